"""The study's tables, as Markdown."""

from collections.abc import Sequence

from ndbmi_gym.experiments.adaptation.summary import UNTRAINED, summarise
from ndbmi_gym.experiments.bench.statistics import Interval
from ndbmi_gym.experiments.bench.tables import Table, Tables, where

WORDS = {
    "ignorant": "ignorant",
    "knowing": "knows the field",
    "trial_by_trial": "corrects trial by trial (sees the state)",
    "bayes": "Bayes within the trial (sees the state)",
    "listener": "listener: Bayes on spikes, posterior carried",
    "forgetful": "the same, nothing carried",
    "recurrent_ppo": "recurrent PPO, trained (sees the state)",
    "recurrent_ppo, forgetting": "the same agents, made to forget between trials",
    "distill": "distilled, trained (hears spikes alone)",
    "distill, forgetting": "the distilled ones, made to forget between trials",
}
"""Policies in words; others are called as they are."""


def markdown(tables: Tables) -> str:
    """All tables.

    Parameters
    ----------
    tables : Tables
        ``effects`` of `ndbmi_gym.experiments.adaptation.study.write`.
    """
    effects = tables["effects"]
    parts = [
        (
            "Means with 95 % intervals: over animals, of agents over training runs, and over "
            "animals as well where there are several; a single run has none. Numbers of runs, of "
            "animals and of sessions of each, which are averaged, are told. Errors (largest "
            "perpendicular ones) in cm, signed by the animal's field: positive is where the field "
            "deflects to.",
            _LEARNING,
        ),
        (
            "Force channels: share of the field that is compensated where nothing is deflected, "
            "and the largest force, kg·cm/s².",
            _CHANNELS,
        ),
        (
            "Savings and interference: mean error of the first five trials of the first and of the "
            "second adaptation, cm, after washout (savings) or after the opposite field "
            "(interference).",
            _AGAIN,
        ),
        (
            "Generalisation: compensation in channels, less that of the baseline, by the angle "
            "between the target and the only one that was trained.",
            _TURNED,
        ),
    ]
    written = [(caption, _shown(effects, names)) for caption, names in parts]
    return "\n\n".join(f"{caption}\n\n{table}" for caption, table in written if table)


_LEARNING = (
    *("trial 1", "trial 2", "trial 5", "trial 10"),
    *("late", "catch − baseline", "wash 1 − baseline", "success, late"),
)
_CHANNELS = (
    *("compensation, baseline", "compensation, late", "compensation, early washout"),
    "channel force, late",
)
_AGAIN = tuple(
    f"{protocol}: {which}"
    for protocol in ("savings", "interference")
    for which in ("first", "second", "second − first")
)
_TURNED = tuple(f"compensation at {angle}°" for angle in (0, 45, 90, 135, 180))
_SHORT = ("trial 1", "trial 2", "trial 5", "trial 10", "success, late")
"""Effects that are told without their intervals."""


def cases_of(effects: Table) -> list[tuple[str, str, int]]:
    """Policies, devices and delays of a table, in their order."""
    columns = (effects[name].tolist() for name in ("policy", "device", "delay"))
    return list(dict.fromkeys(zip(*columns, strict=True)))


def _shown(effects: Table, names: Sequence[str]) -> str:
    """The given effects, a row for each policy and device that has any of them."""
    rows = []
    for policy, device, delay in cases_of(effects):
        labels = {"policy": policy, "device": device, "delay": delay}
        found = summarise(effects, **labels)
        if not set(names) & set(found):
            continue
        own = where(effects, **labels)
        runs, animals = (sorted(set(own[name].tolist())) for name in ("run", "animal"))
        trained = "–" if UNTRAINED in runs else f"{len(runs)}"
        cells = [_cell(name, found[name]) if name in found else "" for name in names]
        numbers = trained, f"{len(animals)} × {own['sessions'].max()}"
        rows.append([WORDS.get(policy, policy), device, f"{delay}", *numbers, *cells])
    if not rows:
        return ""
    head = ["policy", "device", "delay", "runs", "animals × sessions", *names]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(name: str, found: Interval) -> str:
    text = f"{found.estimate:.2f}" if name in _SHORT else str(found)
    text = text.replace("-0.00", "0.00").replace("-", "−").replace("nan (nan to nan)", "–")
    return text.replace("(nan to nan)", "(one run)")
