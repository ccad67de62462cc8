"""The conditions that the text compares, and the wtpe of any of them in any animal.

A condition is a set of options of `ndbmi_gym.config.Config` on top of a preset; what it measures
depends on the preset, the animal and the seed only, whichever figure asks for it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ndbmi_gym.config import Config
from ndbmi_gym.experiments.protocol.runs import (
    FloatArray,
    IntArray,
    Runs,
    protocol_starts,
    run_ideal,
    run_protocol,
    wtpe,
)
from ndbmi_gym.loop import ClosedLoop
from ndbmi_gym.presets import HALF_SIDE_CM, Preset
from ndbmi_gym.stimuli import stimulus_set
from ndbmi_gym.streams import experiment_rng

FIELDS = ("gaussian", "dipole")
DECODERS = ("multiple-points", "single-point")
"""The text's two; `ndbmi_gym.interface.DECODERS` has one more."""
REFERENCE = "set 6"
ALPHAS = (0.3, 0.5, 0.7, 0.9)
SHAPES = (0.2, 0.5, 2.0, 10.0)
SPONTANEOUS = (40.0, 100.0)
WINDOWS = (0.05, 0.1, 0.2)
_FINE = 50
"""Substeps of a continuous ideal run."""


def conditions(preset: Preset) -> dict[str, dict[str, Any]]:
    """Options of every condition by name: Figs 6 to 11, and the short windows of the Methods."""
    table: dict[str, dict[str, Any]] = {f"set {n}": preset.stimuli(n) for n in (5, 6, 7)}
    table |= {f"flatten {a}": {"flatten": a} for a in ALPHAS}
    table |= {f"shape {k}": {"gamma_shape": k} for k in SHAPES}
    when = "test" if preset.spontaneous == "test" else "always"
    electrodes = stimulus_set(6).grid_side ** 2 if preset.spontaneous == "array" else 1
    for r in SPONTANEOUS:
        table[f"spontaneous {r:g}"] = {"spontaneous": r / electrodes, "degraded": when}
    table["misplaced electrode"] = {"misplaced_electrode": preset.misplaced_electrode}
    table["lost site"] = {"lost_site": preset.lost_site}
    table |= {f"test flatten {a}": {"flatten": a, "degraded": "test"} for a in ALPHAS}
    table |= {f"window {1e3 * t:g} ms": {"window_s": t} for t in WINDOWS}
    for t in WINDOWS:
        truncated = {"window_s": t, "gain": t / preset.window_s}
        table[f"truncated to {1e3 * t:g} ms"] = truncated
    return table


CIRCUITS = {
    f"{name}, {stimuli} stimuli": {"cortex": {"kind": "soc", "stimuli": stimuli, **options}}
    for stimuli in (8, 32)
    for name, options in (
        ("circuit", {}),
        ("shuffled", {"control": "shuffled", "match_signal": True}),
    )
}
"""Conditions with a circuit as the cortex, which the text does not have."""


class Setting(NamedTuple):
    """One loop under test: condition, field and decoder, by name."""

    condition: str
    field: str
    decoder: str


def make_loop(preset: Preset, setting: Setting, animal: int) -> ClosedLoop:
    """The closed loop of an animal under a setting."""
    options = (conditions(preset) | CIRCUITS)[setting.condition]
    return loop_with(preset, options, setting.field, setting.decoder, animal)


def loop_with(
    preset: Preset, options: Mapping[str, Any], field: str, decoder: str, animal: int
) -> ClosedLoop:
    """The closed loop of an animal under options of `Config` on top of a preset."""
    own = {"preset": preset, "field": field, "decoder": decoder}
    return Config.of(**{**own, **options}).make_loop(animal)


def starts_of(animal: int, seed: int, starts: int = 24, repetitions: int = 10) -> FloatArray:
    """The start positions of an animal's tests, the same in every setting, (B, 2)."""
    return protocol_starts(
        experiment_rng(seed, animal, "starts"), HALF_SIDE_CM, starts, repetitions
    )


def run_setting(
    preset: Preset, setting: Setting, animal: int, seed: int, starts: FloatArray
) -> tuple[Runs, Runs]:
    """Run the protocol, and its ideal."""
    loop = make_loop(preset, setting, animal)
    return run_loop(preset, loop, experiment_rng(seed, animal, *setting), starts)


def run_loop(
    preset: Preset, loop: ClosedLoop, rng: np.random.Generator, starts: FloatArray
) -> tuple[Runs, Runs]:
    """Run the protocol in a loop, and its ideal."""
    runs = run_protocol(loop, rng, starts, radius_cm=preset.radius_cm, stop=True)
    return runs, ideal_runs(preset, loop, starts)


def ideal_runs(preset: Preset, loop: ClosedLoop, starts: FloatArray) -> Runs:
    """The ideal runs of a loop, in the preset's reading of the text."""
    return run_ideal(
        loop.field,
        loop.plant,
        starts,
        radius_cm=preset.radius_cm,
        substeps=_FINE if preset.ideal.startswith("continuous") else 1,
        stop=preset.ideal.endswith("ends"),
    )


def path_errors(preset: Preset, runs: Runs, ideal: Runs) -> FloatArray:
    """The wtpe of runs, (B,), cm, in the preset's reading of the text."""
    return wtpe(runs, ideal, nearest=preset.error == "nearest")


class Measured(NamedTuple):
    """Outcome of the protocol in A animals, B runs each.

    Attributes
    ----------
    wtpe : ndarray (A, B)
        Within-trajectory position error, cm; NaN where a run did not converge.
    steps : ndarray of int (A, B)
        Steps to the target region; −1 where a run did not converge.
    """

    wtpe: FloatArray
    steps: IntArray


Measurements = dict[Setting, Measured]


def measure_settings(
    preset: Preset,
    settings: Iterable[Setting],
    animals: Iterable[int],
    seed: int = 0,
    starts: int = 24,
    repetitions: int = 10,
) -> Measurements:
    """Run the protocol for settings and animals.

    Settings of the same condition should follow each other: they share a calibration.
    """
    rows: dict[Setting, list[Measured]] = {setting: [] for setting in settings}
    for animal in animals:
        places = starts_of(animal, seed, starts, repetitions)
        for setting, measured in rows.items():
            runs, ideal = run_setting(preset, setting, animal, seed, places)
            measured.append(Measured(path_errors(preset, runs, ideal), runs.entered))
    return {
        setting: Measured(*(np.array(column) for column in zip(*measured, strict=True)))
        for setting, measured in rows.items()
    }


def animal_means(measured: Measured) -> npt.NDArray[np.float64]:
    """Mean wtpe of every animal over its convergent runs, (A,); NaN where none converged."""
    counted = np.isfinite(measured.wtpe)
    total = np.where(counted, measured.wtpe, 0.0).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / counted.sum(axis=1))
