"""Every number of README and documentation that comes from data, put where it is printed.

    python docs/published_numbers.py            # write them
    python docs/published_numbers.py --check    # say which differ, and which come from nowhere

`docs/prose` has the pieces, a module for each subject, and what is given rather than found.
"""

import argparse
import difflib
import sys
from collections.abc import Iterable
from pathlib import Path

from prose import (
    ROOT,
    Piece,
    adaptation,
    belief,
    circuit,
    claims,
    environments,
    found,
    readme,
    recovery,
    restated,
    results,
    sweep,
    uncovered,
)
from prose.given import GIVEN, UNDERIVED

SUBJECTS = (readme, results, belief, adaptation, environments, circuit, claims, recovery, sweep)

ELSEWHERE = ("docs/_build/",)
"""What is built, not written."""


def pieces() -> list[Piece]:
    """All pieces.

    Raises
    ------
    ValueError
        If data are not what the pieces of a subject ask for: of another version, say.
    """
    found: list[Piece] = []
    for subject in SUBJECTS:
        try:
            found += subject.pieces()
        except (LookupError, OSError, TypeError, ValueError) as error:
            raise ValueError(
                f"{subject.__name__}: {error!r}: its data are missing or of another version; run "
                "the command that its page names, or mend the piece"
            ) from error
    return found


def pages(root: Path) -> dict[str, str]:
    """The text of all pages by their names."""
    paths = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    names = {path.relative_to(root).as_posix(): path for path in paths}
    return {
        name: path.read_text(encoding="utf-8")
        for name, path in names.items()
        if not name.startswith(ELSEWHERE)
    }


def restate(texts: dict[str, str], known: Iterable[Piece]) -> tuple[dict[str, str], list[str]]:
    """Pages with the numbers of the data, and what is wrong with pages or pieces.

    Parameters
    ----------
    texts : dict of str
        By page.
    known : iterable of Piece
    """
    known = list(known)
    wrong = [f"{p.page} is no page: change the piece {p}" for p in known if p.page not in texts]
    new = {}
    for page, text in texts.items():
        own = [piece for piece in known if piece.page == page]
        new[page], errors = restated(text, own)
        given = [*GIVEN.get("", ()), *GIVEN.get(page, ()), *UNDERIVED.get(page, {})]
        lines = uncovered(text, own, given)
        wrong += errors + [f"{page}:{line}: comes from no data (docs/prose)" for line in lines]
    return new, wrong


def stale(texts: dict[str, str]) -> list[str]:
    """What is given, or measured and not kept, for words that the pages have no more."""
    phrases = [(page, words) for page, own in GIVEN.items() for words in own]
    phrases += [(page, words) for page, own in UNDERIVED.items() for words in own]
    return [
        f"{page or 'no page'} has {words!r} no more: take it out of docs/prose/given.py"
        for page, words in phrases
        if not any(found(words, text) for name, text in texts.items() if page in ("", name))
    ]


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Write or check the pages below a folder; 1 if something is wrong or left to write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, list differences")
    check = parser.parse_args(arguments).check
    texts = pages(root)
    new, wrong = restate(texts, pieces())
    wrong += stale(texts)
    changed = [page for page in texts if new[page] != texts[page]]
    for page in changed:
        differences = difflib.unified_diff(
            texts[page].splitlines(), new[page].splitlines(), page, "the data", n=0, lineterm=""
        )
        print("\n".join(differences))
        if not check:
            (root / page).write_text(new[page], encoding="utf-8")
    for line in wrong:
        print(line)
    return int(bool(wrong or (check and changed)))


if __name__ == "__main__":
    sys.exit(main())
