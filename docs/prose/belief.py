"""The numbers of what agents believe."""

from prose import Piece, Table, number
from prose.data import read

PAGE = "docs/agents.md"
HEAD = ("off by, cm; cm/s", "hold", "curl field", "circuit")
AGENTS = {
    "three agents of five minutes": ("", "distill"),
    "three agents of fifteen minutes": ("-15min", "distill"),
    "the filter": ("", "filter"),
}


def pieces() -> list[Piece]:
    """All of them."""
    return [Table(PAGE, HEAD, [[words, *_off(*where)] for words, where in AGENTS.items()])]


def _off(kind: str, who: str) -> list[str]:
    """Mean errors of position and velocity on each task."""
    found = [
        read(f"docs/belief/{task}{kind}.json")["errors"][who]
        for task in ("hold", "shift-curl", "soc")
    ]
    names = ("position_cm", "velocity_cm_s")
    return ["; ".join(number(each[name][0], ".2f") for name in names) for each in found]
