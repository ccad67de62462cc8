"""Screenshots of the built site, wide and narrow: ``python docs/screenshots.py runs/screenshots``.

Wants playwright (``pip install playwright``) and a Chromium of the system. Also tells which pages
are wider than the window they are in, which no page should be.
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


def shoot(page: Page, name: str, out: Path, size: tuple[int, int]) -> int:
    """Picture one page in one window; how many pixels it is too wide."""
    page.goto((SITE / f"{name}.html").as_uri())
    page.screenshot(path=out)
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return max(0, width - size[0])


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
                    if shoot(page, name, out, size):
                        wide.append(f"{name} ({window})")
                context.close()
        browser.close()
    print("\n".join(wide) or "no page is wider than its window")
    return bool(wide)


if __name__ == "__main__":
    sys.exit(main())
