"""What the trials of a search say: which parameters the claims constrain, which claims conflict."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from ndbmi_gym.experiments.bench.drawing import DPI
from ndbmi_gym.experiments.bench.tables import Table, read_csv
from ndbmi_gym.experiments.recovery.search import SEARCHED, SPACE
from ndbmi_gym.files import whole_file, write_json
from ndbmi_gym.provenance import JSON

FloatArray = npt.NDArray[np.float64]

BEST = 0.1
"""Share of the trials that counts as the best."""

_CONSTRAINED = 0.5  # the best trials span less than this of what all do

FEWEST = 30
"""Random trials that tell something."""


class Identifiability(NamedTuple):
    """What is known of the parameters, from the trials that were drawn at random.

    The later trials of a search crowd where scores were high, in every parameter, whether it
    matters or not; they show where the search went and nothing else.

    Attributes
    ----------
    importance : ndarray (claims + 1, parameters)
        How much of a claim's margin a parameter explains: drop of R² when its values are shuffled,
        in a random forest on trials that it was not grown on. The last row is the misfit of the f
        factors.
    explained : ndarray (claims + 1,)
        R² of that forest on those trials.
    spans : dict of str to (float, float, float)
        Of interval parameters: 10th and 90th percentile in the best trials, and the distance
        between them in units of that in all.
    choices : dict of str to dict of str to float
        Of readings: share of each among the best trials.
    conflicts : list of (str, str, float, float)
        Pairs of claims that hold together less often than if they were independent (Fisher's exact
        test, Bonferroni at 0.01), with the share of trials in which both hold, and that expected.
    """

    importance: FloatArray
    explained: FloatArray
    spans: dict[str, tuple[float, float, float]]
    choices: dict[str, dict[str, float]]
    conflicts: list[tuple[str, str, float, float]]

    @property
    def constrained(self) -> list[str]:
        """Interval parameters that the best trials narrow down to less than half."""
        return [name for name, (_, _, share) in self.spans.items() if share < _CONSTRAINED]


def identify(trials: Table, design: int) -> Identifiability:
    """Analyse the first `design` trials of a search, which were drawn at random.

    Raises
    ------
    ValueError
        If there are fewer than 30 of them.
    """
    drawn = rows(trials, trials["trial"] < design)
    size = len(drawn["trial"])
    if size < FEWEST:
        raise ValueError(f"{size} random trials: at least {FEWEST} tell something; go on searching")
    inputs = np.column_stack([_numeric(name, drawn[name]) for name in SPACE])
    fits = [_fit(inputs, drawn[name]) for name in (*SEARCHED, "misfit")]
    chosen = best(drawn)
    spans, choices = {}, {}
    for name, range_ in SPACE.items():
        if range_.choices:
            choices[name] = {
                str(c): float((drawn[name][chosen] == c).mean()) for c in range_.choices
            }
            continue
        values = np.log(drawn[name]) if range_.log else drawn[name]
        low, high = np.percentile(values[chosen], (10, 90))
        share = (high - low) / np.ptp(np.percentile(values, (10, 90)))
        ends = np.exp((low, high)) if range_.log else (low, high)
        spans[name] = (float(ends[0]), float(ends[1]), float(share))
    return Identifiability(
        np.array([importance for importance, _ in fits]),
        np.array([explained for _, explained in fits]),
        spans,
        choices,
        _conflicts(drawn),
    )


def rows(trials: Table, chosen: npt.NDArray[Any]) -> Table:
    """Some of the trials."""
    return {name: column[chosen] for name, column in trials.items()}


def best(trials: Table) -> npt.NDArray[np.int64]:
    """Indices of the tenth of the trials with the highest scores, at least five, best first."""
    count = max(5, int(BEST * len(trials["score"])))
    return np.argsort(trials["score"])[::-1][:count]


def write(folder: Path, trials: Table, design: int) -> Identifiability:
    """Analyse trials; write ``identifiability.json``, and pictures of it and of the best trials."""
    found = identify(trials, design)
    write_json(folder / "identifiability.json", as_json(found))
    _draw_pictures(folder, trials, found, design)
    return found


def redraw(folder: Path, design: int) -> list[str]:
    """Draw the pictures anew from ``trials.csv`` and ``identifiability.json``; return their names.

    Raises
    ------
    ValueError
        If the folder lacks one of them.
    """
    files = folder / "trials.csv", folder / "identifiability.json"
    for file in files:
        if not file.is_file():
            raise ValueError(f"{file} is not there to draw from: search first, without --redraw")
    found = from_json(json.loads(files[1].read_text(encoding="utf-8")))
    return _draw_pictures(folder, read_csv(files[0]), found, design)


def _draw_pictures(folder: Path, trials: Table, found: Identifiability, design: int) -> list[str]:
    from ndbmi_gym.experiments.recovery import identifiability_drawing as drawing

    drawn = rows(trials, trials["trial"] < design)
    groups = {"all": drawn, "best": rows(drawn, best(drawn))}
    if len(trials["trial"]) > len(drawn["trial"]):
        groups["search"] = rows(trials, best(trials))
    pictures = {
        "identifiability": drawing.draw_importance(found),
        "best_trials": drawing.draw_best(groups, found),
    }
    for name, canvas in pictures.items():
        with whole_file(folder / f"{name}.png") as part:
            canvas.savefig(part, dpi=DPI)
    return list(pictures)


def as_json(found: Identifiability) -> JSON:
    """The analysis in JSON's types."""
    names = (*SEARCHED, "misfit")
    return {
        "importance": {
            claim: dict(zip(SPACE, np.round(row, 4).tolist(), strict=True))
            for claim, row in zip(names, found.importance, strict=True)
        },
        "explained": dict(zip(names, np.round(found.explained, 3).tolist(), strict=True)),
        "spans": found.spans,
        "choices": found.choices,
        "constrained": found.constrained,
        "conflicts": found.conflicts,
    }


def from_json(saved: JSON) -> Identifiability:
    """The analysis that `as_json` made, to its four digits."""
    names = (*SEARCHED, "misfit")
    return Identifiability(
        np.array([[saved["importance"][claim][name] for name in SPACE] for claim in names]),
        np.array([saved["explained"][claim] for claim in names]),
        {name: tuple(span) for name, span in saved["spans"].items()},
        saved["choices"],
        [tuple(pair) for pair in saved["conflicts"]],
    )


def _numeric(name: str, values: npt.NDArray[np.generic]) -> FloatArray:
    """A parameter as numbers for a forest; readings by their place in the list."""
    range_ = SPACE[name]
    if range_.choices:
        return np.array([range_.choices.index(v) for v in values.tolist()], dtype=float)
    numbers = values.astype(float)
    return np.log(numbers) if range_.log else numbers


def _fit(inputs: FloatArray, outputs: FloatArray) -> tuple[FloatArray, float]:
    """Permutation importance of every input, and R², averaged over three held-out thirds."""
    order = np.random.default_rng(0).permutation(len(inputs))
    importances: list[FloatArray] = []
    scores: list[float] = []
    for held_out in np.array_split(order, 3):
        grown_on = np.setdiff1d(order, held_out)
        forest = RandomForestRegressor(60, min_samples_leaf=3, random_state=0)
        forest.fit(inputs[grown_on], outputs[grown_on])
        test = inputs[held_out], outputs[held_out]
        scores.append(forest.score(*test))
        importances.append(
            permutation_importance(forest, *test, n_repeats=2, random_state=0).importances_mean
        )
    return np.mean(importances, axis=0), float(np.mean(scores))


def _conflicts(trials: Table) -> list[tuple[str, str, float, float]]:
    found = []
    pairs = [(a, b) for i, a in enumerate(SEARCHED) for b in SEARCHED[i + 1 :]]
    for a, b in pairs:
        first, second = trials[a] > 0, trials[b] > 0
        counts = [
            [int((first & second).sum()), int((first & ~second).sum())],
            [int((~first & second).sum()), int((~first & ~second).sum())],
        ]
        if stats.fisher_exact(counts, "less").pvalue < 0.01 / len(pairs):
            expected = float(first.mean() * second.mean())
            found.append((a, b, float((first & second).mean()), expected))
    return sorted(found, key=lambda pair: pair[2] - pair[3])
