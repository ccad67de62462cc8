"""The earlier linear interface set against this one in an animal."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ndbmi_gym.experiments.protocol.conditions import (
    DECODERS,
    REFERENCE,
    Setting,
    make_loop,
    path_errors,
    run_setting,
    starts_of,
)
from ndbmi_gym.experiments.protocol.runs import (
    FloatArray,
    IntArray,
    Runs,
    run_protocol,
)
from ndbmi_gym.experiments.vato2014.linear_interface import (
    LinearInterface,
    LinearLoop,
    calibrate_linear,
    check_invertible,
)
from ndbmi_gym.fields import Field, LinearField
from ndbmi_gym.loop import ClosedLoop
from ndbmi_gym.presets import Preset
from ndbmi_gym.spikes import SpikeTrains
from ndbmi_gym.streams import animal_rng, experiment_rng

_NODES = 41
"""Nodes per side of the grid on which forces are compared."""

_RESPONSES = 20
"""Per stimulus, whose forces are averaged."""


class BothInterfaces(NamedTuple):
    """The linear interface set against the non-linear one in one animal.

    Attributes
    ----------
    refused : bool
        Whether the preset's dipole has no inverse, so that the linear interface refuses it.
    interface, forced_interface : LinearInterface
        Calibrated for a linear field, and all the same for the dipole.
    linear, forced : Runs
        Of these, on these fields.
    loop : ClosedLoop
        The non-linear interface with the dipole.
    dipole, ideal : Runs
        Of the non-linear interface on the dipole, and the ideal ones there.
    errors : tuple of float
        How far forces are off (`force_error`): the linear interface's on its linear field, its own
        on the dipole, and the non-linear one's on the dipole.
    """

    refused: bool
    interface: LinearInterface
    forced_interface: LinearInterface
    linear: Runs
    forced: Runs
    loop: ClosedLoop
    dipole: Runs
    ideal: Runs
    errors: tuple[float, float, float]


def run_both(preset: Preset, animal: int, seed: int) -> BothInterfaces:
    """Set the linear interface against the non-linear one in one animal, on stimulus set 6.

    The linear field pulls, at the middle of the workspace's edges, with the preset's amplitude.
    """
    setting = Setting(REFERENCE, "dipole", DECODERS[0])
    loop = make_loop(preset, setting, animal)
    half_side_cm, cortex = loop.interface.half_side_cm, loop.cortex
    try:
        check_invertible(loop.field, half_side_cm)
        refused = False
    except ValueError:
        refused = True
    stiffness = preset.amplitude / half_side_cm
    field = LinearField(((-stiffness, 0.0), (0.0, -stiffness)))
    starts = starts_of(animal, seed)
    trains = cortex.respond(
        np.repeat(np.arange(cortex.n_stimuli), _RESPONSES),
        None,
        experiment_rng(seed, animal, "force error"),
    ).trains

    def calibrated(wanted: Field) -> LinearInterface:
        rng = animal_rng(animal)
        return calibrate_linear(
            cortex, wanted, rng, preset.repetitions, half_side_cm, check=wanted is field
        )

    def run(interface: LinearInterface, name: str) -> Runs:
        return run_protocol(
            LinearLoop(cortex, interface, loop.plant),
            experiment_rng(seed, animal, name),
            starts,
            radius_cm=preset.radius_cm,
            stop=True,
        )

    def decoded(trains: SpikeTrains) -> FloatArray:
        return loop.field(loop.interface.decode(trains, loop.decoder))

    interface, forced = calibrated(field), calibrated(loop.field)
    dipole, ideal = run_setting(preset, setting, animal, seed, starts)
    return BothInterfaces(
        refused,
        interface,
        forced,
        run(interface, "linear"),
        run(forced, "linear, dipole"),
        loop,
        dipole,
        ideal,
        (
            force_error(interface.sense, interface.force(trains), field, half_side_cm),
            force_error(forced.sense, forced.force(trains), loop.field, half_side_cm),
            force_error(loop.interface.sense, decoded(trains), loop.field, half_side_cm),
        ),
    )


def force_error(
    sense: Callable[[FloatArray], IntArray], forces: FloatArray, field: Field, half_side_cm: float
) -> float:
    """How far the forces that an interface makes of a field are off, in units of the field.

    Root mean square, over the workspace, of the difference between the field at a place and the
    mean force of the responses to the stimulus that is sensed there, relative to the field's.

    Parameters
    ----------
    sense : callable
        Stimulus of each position, (B, 2) to (B,).
    forces : ndarray (S * R, 2)
        Of R responses to each stimulus in turn, kg·cm/s².
    field : Field
    half_side_cm : float
        Half side L of the workspace.
    """
    axis = np.linspace(-half_side_cm, half_side_cm, _NODES)
    places = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    wanted, stimulus = field(places), sense(places)
    means = forces.reshape(-1, _RESPONSES, 2).mean(axis=1)
    return float(np.sqrt(((means[stimulus] - wanted) ** 2).sum() / (wanted**2).sum()))


def linear_measures(preset: Preset, found: BothInterfaces) -> dict[str, float]:
    """What is told of both.

    Share of convergent runs of the linear interface on its linear field (``"linear"``) and on the
    dipole (``"forced"``), and of this one on the dipole (``"dipole"``); the force errors of each
    (``"linear_error"`` and so on); and the mean wtpe of the latter two, cm.
    """
    linear, forced, dipole = found.errors
    return {
        "linear": float(found.linear.convergent.mean()),
        "linear_error": linear,
        "forced": float(found.forced.convergent.mean()),
        "forced_error": forced,
        "forced_wtpe": _mean(path_errors(preset, found.forced, found.ideal)),
        "dipole": float(found.dipole.convergent.mean()),
        "dipole_error": dipole,
        "dipole_wtpe": _mean(path_errors(preset, found.dipole, found.ideal)),
    }


def _mean(errors: FloatArray) -> float:
    """Of the runs that converge; NaN of none."""
    finite = errors[np.isfinite(errors)]
    return float(finite.mean()) if len(finite) else float("nan")
