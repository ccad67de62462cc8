"""Evidence made to be what the text says, and to differ from it where asked."""

from functools import cache
from zlib import crc32

import numpy as np

from ndbmi_gym.experiments.protocol.conditions import (
    DECODERS,
    FIELDS,
    Measured,
    Setting,
    conditions,
)
from ndbmi_gym.experiments.vato2014.checks import (
    Finding,
)
from ndbmi_gym.experiments.vato2014.claims import CLAIMS
from ndbmi_gym.experiments.vato2014.evidence import Evidence
from ndbmi_gym.presets import Preset

NAN = float("nan")
N = 10
"""Animals: just as many as decide anything."""

BY_ID = {claim.id: claim for claim in CLAIMS}

# Mean wtpe in units of the reference's, as the text has it; 1 where nothing is said.
PUBLISHED = {
    "gaussian": {
        "set 7": 0.6,
        "flatten 0.7": 1.2,
        "flatten 0.9": 2.5,
        "shape 10.0": 0.7,
        "spontaneous 100": 1.1,
        "test flatten 0.3": 1.2,
        "test flatten 0.5": 1.2,
        "test flatten 0.7": 1.4,
        "test flatten 0.9": 1.8,
    },
    "dipole": {
        "set 5": 1.6,
        "set 7": 0.6,
        "flatten 0.3": 1.1,
        "flatten 0.5": 1.5,
        "flatten 0.7": 2.0,
        "flatten 0.9": 3.0,
        "shape 0.2": 2.0,
        "shape 0.5": 1.4,
        "shape 2.0": 0.9,
        "shape 10.0": 0.7,
        "spontaneous 40": 1.1,
        "spontaneous 100": 1.6,
        "misplaced electrode": 1.4,
        "lost site": 1.2,
        "test flatten 0.3": 1.3,
        "test flatten 0.5": 1.8,
        "test flatten 0.7": 2.4,
        "test flatten 0.9": 2.2,
    },
}


def evidence(changes=(), n_animals=N, lost=(), **others):
    """The published findings as measurements, with some of them changed.

    Parameters
    ----------
    changes : dict of (condition, field) or (condition, field, decoder) to float or list
        Mean wtpe that departs from the published one, for all animals or for each; NaN: no run of
        the animal converges.
    lost : dict of (condition, field) to float or list
        Share of runs, those of greatest wtpe, that do not converge, in all animals or in each.
    others : dict
        Changes of volition, geometry and linear.
    """
    changes, lost = dict(changes), dict(lost)
    measured = dict(_published_runs(n_animals))
    for setting in measured:
        key = setting[:2]
        if key in changes or tuple(setting) in changes or key in lost:
            mean = changes.get(key, changes.get(tuple(setting), _published_mean(setting)))
            measured[setting] = runs(setting, mean, n_animals, lost.get(key, 0.0))
    made = {
        "volition": {
            "arrived": np.full((n_animals, 4), 0.99),
            "unmoved": np.full((n_animals, 4), 0.25),
            "shifted": np.ones((n_animals, 4)),
            "curl arrived": np.full((n_animals, 4), 0.98),
            "curl unmoved": np.full((n_animals, 4), 0.45),
            "curl shifted": np.ones((n_animals, 4)),
            "turn": np.tile([0.1, -0.1, 0.2, -0.2], (n_animals, 1)),
            "curl turn": np.tile([0.3, 0.1, 0.4, 0.2], (n_animals, 1)),
        },
        "geometry": {
            f"{name} set {number}": np.full(n_animals, value)
            for name, value in GEOMETRY.items()
            for number in range(1, 8)
        },
        "linear": {name: np.full(n_animals, value) for name, value in LINEAR.items()},
    }
    for name, values in others.items():
        made[name] = made[name] | values
    return Evidence(measured, **made)


GEOMETRY = dict.fromkeys(("clustered", "angle_kept", "radius_rises", "pair_between"), 1.0)
GEOMETRY |= {"skew": 5.0}
LINEAR = {"linear": 1.0, "dipole": 1.0, "forced_error": 0.6, "dipole_error": 0.3}


def _published_mean(setting):
    return PUBLISHED[setting.field].get(setting.condition, 1.0)


@cache
def _published_runs(n_animals):
    settings = (Setting(c, f, d) for c in conditions(Preset()) for f in FIELDS for d in DECODERS)
    return {setting: runs(setting, _published_mean(setting), n_animals) for setting in settings}


def runs(setting, mean, n_animals, lost=0.0):
    """40 runs per animal with a deviation of 12 % and animals that differ in all alike."""
    rng = np.random.default_rng(crc32(repr(tuple(setting)).encode()))
    animal = 1 + 0.2 * np.arange(n_animals)
    own = np.broadcast_to(mean, n_animals) * animal * np.exp(0.01 * rng.normal(size=n_animals))
    spread = rng.permutation(np.linspace(0.8, 1.2, 40))
    kept = 40 - np.rint(40 * np.broadcast_to(lost, n_animals))
    converges = np.argsort(np.argsort(spread)) < kept[:, None]
    wtpe = np.where(converges, own[:, None] * spread, np.nan)
    return Measured(wtpe, np.where(np.isnan(wtpe), -1, 9))


def judged(claim, found):
    return Finding(BY_ID[claim], BY_ID[claim].checks(found), found.animals)


def verdict(claim, found):
    return judged(claim, found).verdict


def verdicts(claim, found):
    """Of every check."""
    return [check.verdict for check in judged(claim, found).checks]
