"""Check the built site: ``python docs/check_site.py docs/_build/html``.

Every internal link, anchor, picture, style and script of every page is there, nothing that a page
loads comes from elsewhere, and no directive is left as text. Links that a reader follows may lead
anywhere; none is fetched.
"""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FOLLOWED = {"canonical", "next", "prev", "search", "index", "author"}
"""Relations of ``<link>`` that no browser loads."""

TARGETS = {"a": ("href",), "link": ("href",), "object": ("data",), "video": ("src", "poster")}
"""Attributes that name a file, where they are others than ``src``."""


class Read(HTMLParser):
    """The anchors of a page, what it links to, and what it loads."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.anchors: set[str] = {"", "top"}
        self.links: list[str] = []
        self.loads: list[str] = []
        self.unread: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take down what a tag names, links to and loads."""
        has = {name: value or "" for name, value in attrs}
        self.anchors |= {has[name] for name in ("id", "name") if name in has}
        followed = tag == "a" or (tag == "link" and has.get("rel") in FOLLOWED)
        for name in TARGETS.get(tag, ("src",)):
            if name in has:
                (self.links if followed else self.loads).append(has[name])
        self.loads += [each.split()[0] for each in has.get("srcset", "").split(",") if each.strip()]

    def handle_data(self, data: str) -> None:
        """Take down a directive that stands on the page as text."""
        self.unread += re.findall(r"(?:`{3}|:{3})\{\S+", data)


def faults(site: Path) -> Iterator[str]:
    """What is wrong with a built site, a line for each fault."""
    pages = {page.resolve(): Read(page) for page in sorted(site.rglob("*.html"))}
    if not pages:
        yield f"{site}: there are no pages"
    for page, read in pages.items():
        name = page.relative_to(site.resolve())
        yield from (f"{name} shows {text} in place of what it makes" for text in read.unread)
        for target in (*read.links, *read.loads):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                if target in read.loads and parts.scheme != "data":
                    yield f"{name} loads {target}, from elsewhere"
                continue
            at = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if not at.is_file():
                yield f"{name} names {target}, which is not there"
            elif at in pages and unquote(parts.fragment) not in pages[at].anchors:
                yield f"{name} names {target}, and the page has no such anchor"
    for style in sorted(site.rglob("*.css")):
        for url in re.findall(
            r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')]+)", style.read_text()
        ):
            yield f"{style.relative_to(site)} loads {url}, from elsewhere"


def main(site: Path) -> int:
    """Print what is wrong; 1 if anything is."""
    found = list(faults(site))
    print("\n".join(found) or f"{site}: every link resolves, nothing is loaded from elsewhere")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
