"""What the claims are judged on: from the figures' tables, or measured at once for a search."""

from collections.abc import Iterable, Mapping

import numpy as np

from ndbmi_gym.experiments.claims import Evidence
from ndbmi_gym.experiments.conditions import (
    DECODERS,
    FIELDS,
    Measured,
    Measurements,
    Setting,
    conditions,
    measure,
)
from ndbmi_gym.experiments.geometry import f_factor_misfit, make_interface, map_geometry
from ndbmi_gym.experiments.protocol import FloatArray
from ndbmi_gym.experiments.records import Table, Tables, where
from ndbmi_gym.experiments.volition import run_volition
from ndbmi_gym.presets import Preset


def from_tables(figures: Mapping[str, Tables]) -> Evidence:
    """Evidence from the pooled tables of all figures, by figure name."""
    measured: Measurements = {}
    for tables in figures.values():
        if "runs" in tables:
            measured |= _measurements(tables["runs"])
    volition = figures["fig12"]["shares"]
    still = where(volition, curl=0.0)
    curled = {name: column[volition["curl"] != 0.0] for name, column in volition.items()}
    shape = (len(np.unique(volition["subject"])), -1)
    shares = figures["fig4"]["shares"]
    linear = figures["linear"]["shares"]
    return Evidence(
        measured=measured,
        volition={
            "arrived": still["arrived"].reshape(shape),
            "shifted": still["shifted"].reshape(shape),
            "turn": still["turn"].reshape(shape),
            "curl arrived": curled["arrived"].reshape(shape),
            "curl turn": curled["turn"].reshape(shape),
        },
        geometry={
            f"{name} set {number}": where(shares, set=number)[name]
            for number in np.unique(shares["set"])
            for name in shares
            if name not in ("set", "subject", "f_x", "f_y")
        },
        linear={name: linear[name] for name in linear if name != "subject"},
    )


def f_factors(shares: Table) -> dict[int, FloatArray]:
    """Geometric mean over animals of the two f factors of every set, from Fig 4's table."""
    return {
        int(number): np.exp(
            [np.log(where(shares, set=number)[f"f_{axis}"]).mean() for axis in "xy"]
        )
        for number in np.unique(shares["set"])
    }


def gather(
    preset: Preset, subjects: Iterable[int], seed: int, repetitions: int = 5
) -> tuple[Evidence, float]:
    """Measure what the claims need, and the misfit of the f factors, in less time.

    For a search. Each run is counted twice, so that the text's tests see its 240 runs. The second
    decoder is left out where no claim compares decoders, and with set 7, whose distances take
    longest (it is taken to be the first there). The earlier linear interface, which owes little to
    the parameters, is taken to behave as published.
    """
    subjects = list(subjects)
    measured: Measurements = {}
    geometry: dict[str, list[float]] = {}
    factors: list[dict[int, FloatArray]] = [{} for _ in subjects]

    def look_at_map(number: int) -> None:
        for subject, found in zip(subjects, factors, strict=True):
            shape = map_geometry(make_interface(preset, number, subject), number)
            found[number] = shape.f_factors
            for name in shape._fields[:-1]:
                geometry.setdefault(f"{name} set {number}", []).append(getattr(shape, name))

    for number in (1, 2, 3, 4):
        look_at_map(number)
    for condition, options in conditions(preset).items():
        if condition.startswith(("truncated", "window")) and condition != "window 50 ms":
            continue
        decoders = DECODERS if condition in ("set 5", "set 6") else DECODERS[:1]
        settings = [Setting(condition, field, decoder) for field in FIELDS for decoder in decoders]
        for setting, found in measure(
            preset, settings, subjects, seed, repetitions=repetitions
        ).items():
            times = 10 // repetitions
            measured[setting] = Measured(np.tile(found.wtpe, times), np.tile(found.steps, times))
        if "dataset" in options:  # its calibration is still at hand
            look_at_map(options["dataset"])
    for field in FIELDS:
        first, second = (Setting("set 7", field, decoder) for decoder in DECODERS)
        measured[second] = measured[first]

    volition: dict[str, list[FloatArray]] = {}
    for subject in subjects:
        still, curled = (run_volition(preset, subject, seed, c) for c in (0.0, preset.curl))
        for name, values in (
            ("arrived", still.arrived),
            ("shifted", still.shifted),
            ("turn", still.turns),
            ("curl arrived", curled.arrived),
            ("curl turn", curled.turns),
        ):
            volition.setdefault(name, []).append(np.asarray(values, dtype=float))
    published = np.ones(len(subjects))
    evidence = Evidence(
        measured,
        {name: np.array(values) for name, values in volition.items()},
        {name: np.array(values) for name, values in geometry.items()},
        {name: published for name in ("refused", "linear", "dipole")},
    )
    return evidence, float(np.mean([f_factor_misfit(found) for found in factors]))


def _measurements(runs: Table) -> Measurements:
    """Runs by setting, (A, B)."""
    measured = {}
    for condition in dict.fromkeys(runs["condition"].tolist()):
        for field in FIELDS:
            for decoder in DECODERS:
                rows = where(runs, condition=condition, field=field, decoder=decoder)
                shape = (len(np.unique(rows["subject"])), -1)
                measured[Setting(condition, field, decoder)] = Measured(
                    rows["wtpe"].reshape(shape), rows["steps"].reshape(shape)
                )
    return measured
