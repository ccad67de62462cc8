"""Animals and their interfaces: how each is calibrated, and what of it is kept."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, fields
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from ndbmi_gym.calibration import SCALINGS, calibrate, check_cost
from ndbmi_gym.checks import RuleError, choice, declare, number, path, real, settle, whole
from ndbmi_gym.cortex import CortexModel, metric_tau_s
from ndbmi_gym.interface import Interface
from ndbmi_gym.presets import HALF_SIDE_CM
from ndbmi_gym.streams import animal_rng

_KEPT_BYTES = 256 * 2**20  # of interfaces that no environment uses any more


@dataclass(frozen=True)
class Animals:
    """The animals that trials are drawn from.

    Attributes
    ----------
    animal : int or None
        The animal: fixes the calibration noise, and with it map and regions. None draws one of
        `n_animals` at every reset.
    n_animals : int
        Size of the pool 0, 1, … that ``animal=None`` draws from.

    Raises
    ------
    ValueError
        If a value is out of range, or a pool's size is given beside one animal.
    """

    animal: int | None = whole(
        0,
        "fixes the calibration noise; None: one of n_animals in each trial",
        least=0,
        most=2**63 - 1,
        optional=True,
    )
    n_animals: int = whole(8, "size of the pool that animal=None draws from", least=1, most=1024)

    def __post_init__(self) -> None:
        settle(self)
        if self.animal is not None and self.n_animals != Animals.n_animals:
            raise ValueError(
                f"n_animals = {self.n_animals}: it is the size of a pool, and animal = "
                f"{self.animal} is one animal; drop n_animals, or give animal=None"
            )

    @property
    def pool(self) -> tuple[int, ...]:
        """The animals that trials are drawn from."""
        return tuple(range(self.n_animals)) if self.animal is None else (self.animal,)


def _exponent(value: Any) -> float:
    given = real(value)
    if not given or abs(given) > 100:
        raise RuleError("out of range")
    return given


@dataclass(frozen=True)
class Calibration:
    """How an interface is calibrated (`ndbmi_gym.calibration`), or where it is read from.

    Attributes
    ----------
    repetitions : int
        Calibration responses K per stimulus.
    tau_s : float or None
        Time constant of the spike-train metric, s. None: what suits the cortex (0.1; the circuit:
        0.05).
    theta : float
        Angle between electrodes in the metric, rad.
    exponent : float
        Power z of the single-point decoder's mean (Eq 8).
    half_side_cm : float
        Half side L of the workspace.
    scaling : str
        How the map is made to fit the workspace (Eq 5), one of `ndbmi_gym.calibration.SCALINGS`.
    interface : path or None
        A saved interface to use instead of calibrating one. It brings all of the above.

    Raises
    ------
    ValueError
        If a value is out of range, or given beside an interface.
    """

    repetitions: int = whole(20, "calibration responses K per stimulus", least=1, most=10**9)
    tau_s: float | None = number(
        None,
        "time constant of the metric; None: the cortex's",
        "s",
        above=0,
        most=1e3,
        optional=True,
    )
    theta: float = number(
        np.pi / 2, "angle between electrodes in the metric", "rad", least=0, most=np.pi / 2
    )
    exponent: float = declare(
        -2.0,
        "power z of the single-point decoder's mean (Eq 8); the others have none",
        "give a number other than 0, at most 100 in magnitude",
        _exponent,
    )
    half_side_cm: float = number(
        HALF_SIDE_CM, "half side L of the workspace", "cm", least=1e-3, most=1e6
    )
    scaling: str = choice("axis", SCALINGS, "how the map is made to fit the workspace (Eq 5)")
    interface: str | None = path("file of a saved interface, in place of calibrating one")

    def __post_init__(self) -> None:
        settle(self)
        if self.interface is None:
            return
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name != "interface" and value != each.default:
                raise ValueError(
                    f"{each.name} = {value!r}: the interface {self.interface} brings its own "
                    f"calibration; drop {each.name}, or drop interface"
                )


MAX_POOL_BYTES, MAX_POOL_S = 2 * 2**30, 30.0
"""Memory of a pool's interfaces, and time to calibrate them, at most."""


def check_pool(model: CortexModel, calibration: Calibration, animals: Animals) -> None:
    """Refuse more animals than can be calibrated and held, before any is.

    An animal of set 6 takes 0.1 s and 14 MB, one of set 7 2 s and 156 MB; the default of 8 animals
    fits either, and the time of a single one is bounded by `ndbmi_gym.calibration.check_cost`.

    Parameters
    ----------
    model : CortexModel
    calibration : Calibration
    animals : Animals

    Raises
    ------
    ValueError
        If one of the interfaces, or all of them together, would take more than the bounds.
    """
    n_animals = len(animals.pool)
    if n_animals == 1 or calibration.interface is not None:
        return
    cortex = model.calibrated().for_animal(0)
    of_one = cortex.n_stimuli, calibration.repetitions, cortex.n_electrodes, cortex.n_bins
    spikes = cortex.spikes_per_response
    check_cost(*of_one, spikes)
    responses = cortex.n_stimuli * calibration.repetitions
    size = 4 * responses * (cortex.n_electrodes * cortex.n_bins + spikes)
    # measured on one core: the metric of every pair, and the map that is made of them
    seconds = 1e-4 * responses + (2.5e-7 + 3e-10 * spikes) * responses**2
    if n_animals * size > MAX_POOL_BYTES or n_animals * seconds > MAX_POOL_S:
        most = int(min(MAX_POOL_BYTES / size, MAX_POOL_S / seconds))
        raise ValueError(
            f"n_animals = {n_animals}: calibrating them takes about {n_animals * seconds:.0f} s "
            f"and {n_animals * size / 2**30:.1f} GiB; lower it to {max(most, 1)}, or lower "
            "repetitions or the size of the cortex"
        )


_in_use: WeakValueDictionary[Hashable, Interface] = WeakValueDictionary()
_kept: OrderedDict[Hashable, Interface] = OrderedDict()


def interface_of(model: CortexModel, calibration: Calibration, animal: int) -> Interface:
    """The interface of an animal, calibrated once per process however many environments share it.

    Those in use are always shared, however many there are; of the others, the last
    256 MiB are kept.

    Parameters
    ----------
    model : CortexModel
    calibration : Calibration
    animal : int

    Raises
    ------
    ValueError
        If the interface cannot be calibrated or read.
    """
    if calibration.interface is not None:
        return Interface.load(calibration.interface)
    sound = model.calibrated()
    # a file that a model reads counts by its content, not by its name
    key = (sound, getattr(sound, "content", None), calibration, animal)
    try:
        found = _in_use.get(key)
    except TypeError:  # a model of someone's own that cannot be a key
        return _calibrated(sound, calibration, animal)
    if found is None:
        found = _in_use[key] = _calibrated(sound, calibration, animal)
    _keep(key, found)
    return found


def forget() -> None:
    """Keep no interface that is not in use, so that a worker's memory does not grow."""
    _kept.clear()


def _keep(key: Hashable, interface: Interface) -> None:
    _kept[key] = interface
    _kept.move_to_end(key)
    while len(_kept) > 1 and sum(map(_bytes, _kept.values())) > _KEPT_BYTES:
        _kept.popitem(last=False)


def _bytes(interface: Interface) -> int:
    """Memory of an interface, with the table that its bank is about to have."""
    trains = interface.trains
    table = 4 * trains.n_electrodes * trains.n_bins * len(trains)
    return int(table + trains.rows.nbytes + interface.readout.nbytes)


def _calibrated(model: CortexModel, calibration: Calibration, animal: int) -> Interface:
    return calibrate(
        model.for_animal(animal),
        animal_rng(animal),
        calibration.repetitions,
        calibration.half_side_cm,
        metric_tau_s(model) if calibration.tau_s is None else calibration.tau_s,
        calibration.theta,
        calibration.exponent,
        calibration.scaling,
    )
