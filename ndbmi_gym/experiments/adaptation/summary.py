"""From trials to what they say: learning curves, and effects by animal, with intervals."""

from collections.abc import Iterator

import numpy as np

from ndbmi_gym.experiments.adaptation.protocols import N_TARGETS
from ndbmi_gym.experiments.bench.statistics import FloatArray, Interval, mean_interval
from ndbmi_gym.experiments.bench.tables import Table, Tables, from_rows, where
from ndbmi_gym.provenance import JSON

SHOWN_TRIALS = (1, 2, 5, 10)
"""Trials of adaptation, from 1, whose errors are told one by one."""

EARLY, LATE = 5, 4
"""Trials at the beginning and at the end of a block that are told together."""


def curves(protocol: str, trials: Table) -> Table:
    """A row for each trial of a protocol: means over animals, with 95 % intervals.

    Errors are those of plain trials, the compensation that of channel trials; NaN where there is
    none. An animal's sessions, and a policy's training runs, are averaged first.

    Parameters
    ----------
    protocol : str
    trials : Table
        Of `ndbmi_gym.experiments.adaptation.runs.trials_of`.
    """
    rows = []
    block = {int(t): str(b) for t, b in zip(trials["trial"], trials["block"], strict=True)}
    for trial in sorted(block):
        own = where(trials, trial=trial)
        row: JSON = {"protocol": protocol, "trial": trial, "block": block[trial]}
        for measure, kind in (("mpe", "plain"), ("compensation", "channel")):
            found = over(list(_by_unit(where(own, kind=kind), measure)))
            row |= {
                measure: found.estimate,
                f"{measure}_low": found.low,
                f"{measure}_high": found.high,
            }
        rows.append(row)
    return from_rows(rows)


def effects(tables: Tables) -> Table:
    """What the protocols say, by animal: ``effect``, ``run``, ``animal`` and ``value``.

    Parameters
    ----------
    tables : Tables
        Of `ndbmi_gym.experiments.adaptation.runs.study_of`; an effect of a protocol that is not
        among them is left out.
    """
    rows: list[JSON] = []
    for run, animal in _units(tables):
        own = {
            name: where(table, animal=animal)
            if run is None
            else where(table, animal=animal, run=run)
            for name, table in tables.items()
        }
        found: dict[str, float] = {}
        if "adaptation" in own:
            found |= _adaptation(own["adaptation"])
        if "channels" in own:
            found |= _channels(own["channels"])
        for name in ("savings", "interference"):
            if name in own:
                found |= {f"{name}: {k}": v for k, v in _again(own[name]).items()}
        if "generalisation" in own:
            found |= _generalisation(own["generalisation"])
        key = {"run": run or 0, "animal": animal}
        rows += [{"effect": name} | key | {"value": value} for name, value in found.items()]
    return from_rows(rows)


def summarise(table: Table, **labels: object) -> dict[str, Interval]:
    """Mean of each effect with its 95 % interval (Student's), over runs if there are several.

    Of a run, the animals are averaged first; with a single run the interval is over animals.

    Parameters
    ----------
    table : Table
        Of `effects`, maybe with further columns.
    **labels
        Values of those columns.
    """
    own = where(table, **labels)
    return {str(e): over(spread(own, str(e))) for e in dict.fromkeys(own["effect"].tolist())}


def spread(table: Table, effect: str) -> list[float]:
    """Values of an effect by run, or by animal if there is a single run."""
    own = where(table, effect=effect)
    unit = "run" if len(set(own["run"].tolist())) > 1 else "animal"
    return [
        _mean(where(own, **{unit: each})["value"]) for each in dict.fromkeys(own[unit].tolist())
    ]


def over(values: list[float]) -> Interval:
    """Mean of those that are finite, with Student's interval if there are several."""
    finite = np.array([value for value in values if np.isfinite(value)])
    mean = float(finite.mean()) if len(finite) else float("nan")
    return Interval(mean, *mean_interval(finite)[1:])


def _adaptation(trials: Table) -> dict[str, float]:
    """Errors in learning, in catch trials and in washout, cm."""
    base = _mean(where(trials, block="baseline")["mpe"])
    learning = where(trials, block="adaptation", kind="plain")
    number = learning["trial"] - where(trials, block="adaptation")["trial"].min()
    last = number.max() + 1 - LATE
    washout = where(trials, block="washout")
    first = washout["trial"] == washout["trial"].min()
    return (
        {"baseline": base}
        | {f"trial {k}": _mean(learning["mpe"][number == k - 1]) for k in SHOWN_TRIALS}
        | {
            "late": _mean(learning["mpe"][number >= last]),
            "success, first": _mean(learning["success"][number < 2 * LATE]),
            "success, late": _mean(learning["success"][number >= last]),
            "catch − baseline": _mean(where(trials, kind="catch")["mpe"]) - base,
            "wash 1 − baseline": _mean(washout["mpe"][first]) - base,
        }
    )


def _channels(trials: Table) -> dict[str, float]:
    """Share of the field that is compensated in channels, and the force."""
    clamped = where(trials, kind="channel")
    base = where(clamped, block="baseline")
    learning = where(clamped, block="adaptation")
    late = learning["trial"] >= np.unique(where(trials, block="adaptation")["trial"])[-16]
    washout = where(clamped, block="washout")
    soon = washout["trial"] < where(trials, block="washout")["trial"].min() + 8
    return {
        "compensation, baseline": _mean(base["compensation"]),
        "compensation, late": _mean(learning["compensation"][late]),
        "compensation, early washout": _mean(washout["compensation"][soon]),
        "channel force, late": _mean(learning["force"][late]),
    }


def _again(trials: Table) -> dict[str, float]:
    """Early errors of a first and a second adaptation, cm, and their difference."""
    means = []
    for block in ("adaptation", "again"):
        own = where(trials, block=block)
        means.append(_mean(own["mpe"][own["trial"] < own["trial"].min() + EARLY]))
    return {"first": means[0], "second": means[1], "second − first": means[1] - means[0]}


def _generalisation(trials: Table) -> dict[str, float]:
    """Compensation less that of the baseline, by angle from the trained direction."""
    clamped, found = where(trials, kind="channel"), {}
    for away in range(N_TARGETS // 2 + 1):
        both = np.isin(clamped["direction"], (away, -away % N_TARGETS))
        base, test = (
            _mean(clamped["compensation"][both & (clamped["block"] == block)])
            for block in ("baseline", "test")
        )
        found[f"compensation at {away * 360 // N_TARGETS}°"] = test - base
    return found


def _units(tables: Tables) -> list[tuple[int | None, int]]:
    """Runs and animals; run None where there are none."""
    table = next(iter(tables.values()))
    runs = table["run"].tolist() if "run" in table else [None] * len(table["animal"])
    return list(dict.fromkeys(zip(runs, table["animal"].tolist(), strict=True)))


def _by_unit(trials: Table, measure: str) -> Iterator[float]:
    unit = "run" if "run" in trials and len(set(trials["run"].tolist())) > 1 else "animal"
    for each in np.unique(trials[unit]):
        yield _mean(where(trials, **{unit: each})[measure])


def _mean(values: FloatArray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")
