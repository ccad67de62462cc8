"""From trials to what they say: learning curves, and effects by animal, with intervals."""

import numpy as np

from ndbmi_gym.experiments.adaptation.protocols import N_TARGETS
from ndbmi_gym.experiments.bench.crossed import crossed_interval
from ndbmi_gym.experiments.bench.statistics import FloatArray, Interval, mean_interval
from ndbmi_gym.experiments.bench.tables import Table, Tables, from_rows, where
from ndbmi_gym.provenance import JSON

SHOWN_TRIALS = (1, 2, 5, 10)
"""Trials of adaptation, from 1, whose errors are told one by one."""

EARLY, LATE = 5, 4
"""Trials at the beginning and at the end of a block that are told together."""


UNTRAINED = -1
"""In the place of the number of the training run, of a policy that had no training."""


def curves(protocol: str, trials: Table) -> Table:
    """A row for each trial of a protocol: means over animals, with 95 % intervals.

    Errors are those of plain trials, the compensation that of channel trials; NaN where there is
    none. An animal's sessions are averaged first; intervals are as in `summarise`.

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
            found = over(where(own, kind=kind), measure)
            row |= {
                measure: found.estimate,
                f"{measure}_low": found.low,
                f"{measure}_high": found.high,
            }
        rows.append(row)
    return from_rows(rows)


def effects(tables: Tables) -> Table:
    """What the protocols say, by animal.

    A row has ``effect``, ``run`` (`UNTRAINED` without training), ``animal``, ``sessions`` (their
    number, which are averaged) and ``value``.

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
        sessions = max(len(np.unique(table["session"])) for table in own.values())
        key = {"run": UNTRAINED if run is None else run, "animal": animal, "sessions": sessions}
        rows += [{"effect": name} | key | {"value": value} for name, value in found.items()]
    return from_rows(rows)


def summarise(table: Table, **labels: object) -> dict[str, Interval]:
    """Mean of each effect with its 95 % interval.

    Of a policy without training it is Student's over animals; of trained ones over training runs,
    and over animals as well if there are several (`crossed_interval`). A single run has none.

    Parameters
    ----------
    table : Table
        Of `effects`, maybe with further columns.
    **labels
        Values of those columns.
    """
    own = where(table, **labels)
    return {
        str(e): over(where(own, effect=e), "value") for e in dict.fromkeys(own["effect"].tolist())
    }


def over(table: Table, measure: str) -> Interval:
    """Mean of a column over runs and animals, those that are finite, with its interval.

    Parameters
    ----------
    table : Table
        With ``animal``, and ``run`` of trained policies.
    measure : str
        The column.
    """
    if not len(table[measure]):
        return Interval(*(float("nan"),) * 3)
    run = table.get("run", np.full(len(table["animal"]), UNTRAINED))
    runs, animals = np.unique(run), np.unique(table["animal"])
    grid = np.array(
        [
            [_mean(table[measure][(run == r) & (table["animal"] == a)]) for a in animals]
            for r in runs
        ]
    )
    if UNTRAINED not in runs and (len(runs) < 2 or len(animals) > 1):
        return crossed_interval(grid)
    finite = grid[np.isfinite(grid)]
    return Interval(_mean(finite), *mean_interval(finite)[1:])


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


def _mean(values: FloatArray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")
