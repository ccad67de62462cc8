"""The numbers of the pages on the circuit."""

from ndbmi_gym.experiments.circuit.study import summary
from prose import ROOT, Piece, Whole
from prose.data import tables

STUDY = "docs/circuit/study"


def pieces() -> list[Piece]:
    """All of them."""
    parts = [path.name for path in (ROOT / STUDY).iterdir() if path.is_dir()]
    found = {part: tables(f"{STUDY}/{part}") for part in parts}
    return [Whole(f"{STUDY}/study.md", summary(found) + "\n")]
