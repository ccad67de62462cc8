"""Screenshots of the built site, wide and narrow: ``python docs/screenshots.py runs/screenshots``.

Wants playwright (``pip install playwright``) and a Chromium of the system. Also tells what is
wider than its window and in no box that scrolls, which nothing should be.
"""

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

SITE = Path(__file__).parent / "_build" / "html"
PAGES = (
    "index",
    "environments/index",
    "environments/shift_target",
    "environments/options",
    "gallery/index",
    "gallery/what_if",
    "gallery/own_field",
    "parts",
    "clients/index",
    "studies/claims",
    "reproduction/report",
    "reference/index",
    "reference/generated/ndbmi_gym.fields",
    "reference/generated/ndbmi_gym.envs.scalar",
    "changelog",
)
WINDOWS = {"wide": (1400, 1000), "narrow": (400, 900)}


TOO_WIDE = """
[...document.querySelectorAll('.main *')].filter(it => {
  if (it.getBoundingClientRect().right <= innerWidth + 1) return false;
  for (let at = it; at.parentElement; at = at.parentElement)
    if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(at).overflowX)) return false;
  return getComputedStyle(it).position != 'fixed';
}).map(it => `${it.tagName} ${it.textContent.slice(0, 40)}`)
"""
"""What sticks out of the window, and is in no box that scrolls."""


def shoot(page: Page, name: str, out: Path) -> list[str]:
    """Picture one page in one window; what is wider than it."""
    page.goto((SITE / f"{name}.html").as_uri())
    page.screenshot(path=out)
    wide: list[str] = page.evaluate(TOO_WIDE)
    return wide


def main() -> int:
    """Picture pages in all windows, light and dark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("pages", nargs="*", default=PAGES)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    wide = []
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for scheme in ("light", "dark"):
            for window, size in WINDOWS.items():
                context = browser.new_context(
                    viewport={"width": size[0], "height": size[1]}, color_scheme=scheme
                )
                page = context.new_page()
                for name in asked.pages:
                    out = asked.out / f"{name.replace('/', '-')}-{window}-{scheme}.png"
                    wide += [f"{name} ({window}): {what}" for what in shoot(page, name, out)]
                context.close()
        browser.close()
    print("\n".join(wide) or "nothing is wider than its window")
    return bool(wide)


if __name__ == "__main__":
    sys.exit(main())
