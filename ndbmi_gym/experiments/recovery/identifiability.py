"""What the trials of a search say: which parameters the claims constrain, which claims conflict."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from ndbmi_gym.experiments.bench.tables import Table
from ndbmi_gym.experiments.recovery.search import SEARCHED, SPACE
from ndbmi_gym.files import whole_file, write_json
from ndbmi_gym.provenance import JSON

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

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
    drawn = _rows(trials, trials["trial"] < design)
    size = len(drawn["trial"])
    if size < FEWEST:
        raise ValueError(f"{size} random trials: at least {FEWEST} tell something; go on searching")
    inputs = np.column_stack([_numeric(name, drawn[name]) for name in SPACE])
    fits = [_fit(inputs, drawn[name]) for name in (*SEARCHED, "misfit")]
    best = _best(drawn)
    spans, choices = {}, {}
    for name, range_ in SPACE.items():
        if range_.choices:
            choices[name] = {str(c): float((drawn[name][best] == c).mean()) for c in range_.choices}
            continue
        values = np.log(drawn[name]) if range_.log else drawn[name]
        low, high = np.percentile(values[best], (10, 90))
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


def _rows(trials: Table, chosen: npt.NDArray[Any]) -> Table:
    return {name: column[chosen] for name, column in trials.items()}


def _best(trials: Table) -> npt.NDArray[np.int64]:
    count = max(5, int(BEST * len(trials["score"])))
    return np.argsort(trials["score"])[::-1][:count]


def write(folder: Path, trials: Table, design: int) -> Identifiability:
    """Analyse trials; write ``identifiability.json`` and ``identifiability.png``."""
    found = identify(trials, design)
    write_json(folder / "identifiability.json", as_json(found))
    with whole_file(folder / "identifiability.png") as part:
        draw(trials, found, design).savefig(part, dpi=100)
    return found


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


def draw(trials: Table, found: Identifiability, design: int) -> "Canvas":
    """Importance of every parameter for every claim; parameters in the best trials and in all."""
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(15, 14), layout="constrained")
    above, below = canvas.subfigures(2, 1, squeeze=False, height_ratios=(1.25, 1)).ravel()
    axes = above.subplots()
    image = axes.imshow(found.importance, cmap="viridis", aspect="auto", vmin=0, vmax=1)
    above.colorbar(image, ax=axes, label="drop of R² when the parameter is shuffled")
    axes.set_xticks(range(len(SPACE)), SPACE, rotation=35, ha="right")
    rows = zip((*SEARCHED, "f factors"), found.explained, strict=True)
    axes.set_yticks(range(len(found.explained)), [f"{name}  (R² {r:.2f})" for name, r in rows])
    axes.set_title("Which parameter decides which claim's margin")

    drawn = _rows(trials, trials["trial"] < design)
    groups = [("random", "0.7", drawn), ("their best tenth", "tab:red", _rows(drawn, _best(drawn)))]
    if len(trials["trial"]) > len(drawn["trial"]):
        groups.append(("best of the search", "tab:blue", _rows(trials, _best(trials))))
    panels = below.subplots(-(-len(SPACE) // 6), 6).ravel()
    for axes, (name, range_) in zip(panels, SPACE.items(), strict=False):
        _draw_parameter(axes, name, groups)
        if not range_.choices:
            low, high, share = found.spans[name]
            axes.set_title(f"{low:.2g} to {high:.2g} (span × {share:.2f})", fontsize=8)
    for axes in panels[len(SPACE) :]:
        axes.axis("off")
    handles, labels = panels[0].get_legend_handles_labels()
    below.legend(handles, labels, loc="lower right", fontsize=10)
    below.suptitle("Share of trials by parameter; above, what the best random trials span")
    return canvas


def _draw_parameter(axes: "Axes", name: str, groups: list[tuple[str, str, Table]]) -> None:
    range_ = SPACE[name]
    if range_.choices:
        places = np.arange(len(range_.choices))
        width = 0.8 / len(groups)
        for k, (label, colour, trials) in enumerate(groups):
            heights = [(trials[name] == choice).mean() for choice in range_.choices]
            axes.bar(
                places + k * width - 0.4, heights, width, align="edge", color=colour, label=label
            )
        labels = [f"{c:.2f}" if isinstance(c, float) else str(c) for c in range_.choices]
        crowded = max(map(len, labels)) > 5
        axes.set_xticks(places, labels, rotation=25 if crowded else 0, fontsize=7)
    else:
        spaced = np.geomspace if range_.log else np.linspace
        bins = spaced(range_.low, range_.high, 13)
        if range_.log:
            axes.set_xscale("log")
            axes.set_xticks([], minor=True)
            ends = np.array([range_.low, np.sqrt(range_.low * range_.high), range_.high])
            axes.set_xticks(ends, [f"{end:.2g}" for end in ends])
        for label, colour, trials in groups:
            share = np.histogram(trials[name], bins)[0] / len(trials[name])
            axes.stairs(share, bins, color=colour, fill=label == "random", label=label)
    axes.set_xlabel(name, fontsize=9)
    axes.tick_params(labelsize=7)


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
