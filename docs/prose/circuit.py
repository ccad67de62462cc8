"""The numbers of the pages on the circuit."""

import numpy as np

from ndbmi_gym.experiments.bench.tables import where
from ndbmi_gym.experiments.circuit import report, study
from ndbmi_gym.experiments.circuit.preparation import LOOPS_S, SAME, USUAL_S, WHOLE
from ndbmi_gym.experiments.circuit.specimen import Specimen
from prose import ROOT, Piece, Table, Whole, circuit_alone, circuit_loop, number, sentence
from prose.data import read, tables

PAGE = "docs/studies/circuit.md"
REPORT = "docs/circuit"
STUDY = "docs/circuit/study"
PREPARED = "docs/circuit/preparation"


def pieces() -> list[Piece]:
    """All of them."""
    parts = [path.name for path in (ROOT / STUDY).iterdir() if path.is_dir()]
    found = {part: tables(f"{STUDY}/{part}") for part in parts}
    return [
        Whole(f"{REPORT}/report.md", _report()),
        Whole(f"{STUDY}/study.md", study.summary(found) + "\n"),
        *circuit_alone.pieces(),
        *_preparation(),
        *circuit_loop.pieces(),
    ]


def _report() -> str:
    """That of the packaged circuit."""
    found, specimen = tables(REPORT), Specimen(None, read(f"{REPORT}/circuit.json")["seed"])
    told = report.summary(specimen, report.acceptance(found), found)
    return report.markdown(specimen, found, told)


def _preparation() -> list[Piece]:
    course = where(tables(PREPARED)["courses"], prepare_s=USUAL_S)
    before = course["time_s"] < 0
    after = [_told(prepare_s=seconds, calibrated=WHOLE) for seconds in (0.3, 0.2, 0.1, 0.05)]
    same = [_told(prepare_s=seconds, calibrated=SAME) for seconds in (0.1, 0.05)]
    apart = (0.02, -0.02, 0.05, -0.05, 0.1, -0.1)
    late, early, late50, early50, late100, early100 = (
        _mean("offsets", "identified", prepare_s=USUAL_S, offset_s=seconds) for seconds in apart
    )
    return [
        sentence(
            PAGE,
            "leads away from x₀, {away:.1f} times as far as x₀ is from rest, and the electrodes "
            "hear preparation as loudly as movement ({before:.1f} against {after:.1f} Hz at their "
            "peaks)",
            away=course["distance"][before].max(),
            before=course["output_hz"][before].max(),
            after=course["output_hz"][~before].max(),
        ),
        sentence(
            PAGE,
            "({told[0]:.2} of 32 stimuli); after 0.2 s {told[1]:.2}, 0.1 s {told[2]:.2}, 0.05 s "
            "{told[3]:.2}.",
            told=after,
        ),
        sentence(
            PAGE,
            "0.1 s are enough ({told[0]:.2}), and 0.05 s nearly ({told[1]:.2})",
            told=same,
        ),
        sentence(
            PAGE,
            "harms nothing ({least:.2} to {most:.2}); at 50 ms {late50:.2} (late) and {early50:.2} "
            "(early), at 100 ms {late100:.2} and {early100:.2}.",
            least=min(late, early),
            most=max(late, early),
            late50=late50,
            early50=early50,
            late100=late100,
            early100=early100,
        ),
        Table(
            PAGE,
            (
                "preparation",
                "Gaussian: converge, wtpe",
                "dipole: converge, wtpe",
                "shift task: no volition",
                "Eq 24",
                "ceiling",
            ),
            [_prepared_loop(seconds) for seconds in LOOPS_S],
        ),
    ]


def _told(**labels: object) -> float:
    return _mean("holds", "identified", **labels)


def _mean(table: str, column: str, **labels: object) -> float:
    """Mean over animals."""
    return float(np.mean(where(tables(PREPARED)[table], **labels)[column]))


def _prepared_loop(seconds: float) -> list[str]:
    loops = [
        f"{number(_mean('loops', 'convergent', prepare_s=seconds, field=field), '.2f')}, "
        f"{number(_mean('loops', 'wtpe', prepare_s=seconds, field=field), '.2f')}"
        for field in ("gaussian", "dipole")
    ]
    shift = [
        number(_mean("shift", "success", prepare_s=seconds, policy=policy), ".2")
        for policy in ("zero", "eq24", "ceiling")
    ]
    return [f"{seconds} s" if seconds else "none: at once", *loops, *shift]
