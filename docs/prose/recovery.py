"""The numbers of the pages on the lost parameters."""

from collections import Counter

import numpy as np

from ndbmi_gym.experiments.recovery.readings import JudgedReading, markdown
from ndbmi_gym.presets import SET_5, Preset
from ndbmi_gym.stimuli import stimulus_set
from prose import Piece, Table, Whole, number, sentence
from prose.data import read

PAGE = "docs/studies/lost_parameters.md"
EARLIER = "docs/recovery/earlier/trials.csv"

SHOWN = {
    "FixedField-v1": "success (steps)",
    "ShiftTarget-v1": "success",
    "ShiftTargetCurl-v1": "success",
    "HoldTarget-v1": "share of the last 25 steps inside",
}


def pieces() -> list[Piece]:
    """All of them."""
    trials, base = read("docs/recovery/trials.csv"), read("ndbmi_gym/data/baselines.json")
    best = read("docs/recovery/best.json")
    judged = Counter(read("docs/recovery/best_verdicts.json")["verdicts"].values())
    spans = [span[2] for span in read("docs/recovery/identifiability.json")["spans"].values()]
    misfits = [float(trial["misfit"]) for trial in trials if trial["scaling"] == "sites"]
    mass, viscosity, step_s = (
        read("docs/recovery/readings.json")["parameters"][name]
        for name in ("mass", "viscosity", "step_s")
    )
    return [
        Whole("docs/recovery/readings.md", _readings()),
        sentence(
            PAGE,
            "{trials:d} trials, of which {random:d} random",
            trials=len(trials),
            random=base["sets"],
        ),
        sentence(
            PAGE,
            "The random sets satisfy a median of {median:.0f} of the {all:d} claims by their "
            "estimates in two animals, and at most {most:d}; the preset `default`, whose round "
            "numbers nobody fitted, {default:d}; the preset `paper`, which was searched, "
            "{paper:d}.",
            all=len(base["passed"]),
            **base,
            **base["presets"],
        ),
        sentence(
            PAGE,
            "The best random trials keep {least:.2f} to {most:.2f} of every range",
            least=min(spans),
            most=max(spans),
        ),
        sentence(
            PAGE,
            "the f factors of such trials are off by at least {misfit:.0f} %",
            misfit=100 * min(misfits),
        ),
        sentence(
            PAGE,
            "the factor of set 5 is then {doubled:.1f} times that of set 6 (stated: {stated:.1f}; "
            "printed: {printed:.1f})",
            **_set_5(),
        ),
        sentence(
            PAGE,
            "trial {trial:d} came out first (`best.json`): {satisfied:d} claims by its estimates",
            trial=best["trial"],
            satisfied=best["claims with a margin above 0"],
        ),
        sentence(
            PAGE,
            "{holds:d} claims hold under it, {fails:d} do not, {undecided:d} are undecided, and "
            "{depends:d} depends on the reading",
            holds=judged["holds"],
            fails=judged["does not hold"],
            undecided=judged["undecided"],
            depends=judged["depends on the reading"],
        ),
        sentence(
            PAGE,
            "few C12 ({c12:d}) or C13 ({c13:d})",
            c12=_satisfy("C12"),
            c13=_satisfy("C13"),
        ),
        sentence(
            PAGE,
            "{c1:d} of {all:d} trials satisfied C1 and {c2:d} C2, {both:word} of them both",
            all=len(read(EARLIER)),
            c1=_satisfy("C1", path=EARLIER),
            c2=_satisfy("C2", path=EARLIER),
            both=_satisfy("C1", "C2", path=EARLIER),
        ),
        sentence(
            PAGE,
            "(m = {mass:g} kg at b = {viscosity:g} kg/s, steps of {step_ms:.0f} ms)",
            mass=mass,
            viscosity=viscosity,
            step_ms=1000 * step_s,
        ),
        Table(
            PAGE,
            ('`preset="paper"`', "floor", "Eq 24", "ceiling"),
            [_task(name, what) for name, what in SHOWN.items()],
        ),
    ]


def _readings() -> str:
    found = read("docs/recovery/readings.json")
    outcomes = [
        JudgedReading(each["field"], each["value"], each["verdicts"], each["misfit"])
        for each in found["outcomes"]
    ]
    return markdown(Preset(**found["parameters"]), outcomes) + "\n"


def _set_5() -> dict[str, float]:
    """The factors of set 5 in units of those of set 6: as printed, and by reading."""
    printed = [np.mean(stimulus_set(number).printed_f_factors) for number in (5, 6)]
    rows = read("docs/reproduction/set_5.csv")
    found = {
        reading: float(np.mean([float(r["to set 6"]) for r in rows if r["reading"] == reading]))
        for reading in SET_5
    }
    return {"printed": float(printed[0] / printed[1]), **found}


def _satisfy(*claims: str, path: str = "docs/recovery/trials.csv") -> int:
    """In how many trials of a search all of these claims have a margin above 0."""
    return sum(all(float(trial[claim]) > 0 for claim in claims) for trial in read(path))


def _task(name: str, what: str) -> list[str]:
    rows = {
        (row["policy"], row["measure"]): [float(row[end]) for end in ("mean", "low", "high")]
        for row in read("docs/recovery/tasks.csv")
        if row["task"] == name
    }
    success, score = (rows["zero", measure][0] for measure in ("success", "score"))
    if name == "FixedField-v1":  # zero volition is the paper's own run: there is nothing to compare
        return [f"`{name}`: {what}", f"{success:.2f} ({score:.1f})", "", ""]
    measure = "success" if what == "success" else "score"
    cells = [number(rows["zero", measure][0], ".2")]
    for policy in ("eq24", "ceiling"):
        middle, low, high = (number(value, ".2") for value in rows[policy, measure])
        cells.append(f"{middle} ({low}–{high})")
    return [f"`{name}`: {what}", *cells]
