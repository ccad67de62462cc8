"""One place for every named parameter, and the assembly of a closed loop from them."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from ndbmi_gym.calibration import SCALINGS, calibrate
from ndbmi_gym.cortex import Cortex, soc
from ndbmi_gym.cortex.soc import SOCOptions, soc_cortex
from ndbmi_gym.cortex.topographic import topographic_cortex
from ndbmi_gym.fields import Field, make_field
from ndbmi_gym.interface import DECODERS, Interface
from ndbmi_gym.loop import ClosedLoop
from ndbmi_gym.perturbations import Draw, ForceLaw, make_draw
from ndbmi_gym.plant import Plant
from ndbmi_gym.presets import HALF_SIDE_CM, load_preset
from ndbmi_gym.stimuli import flatten, lose_site, misplace_electrode, stimulus_set
from ndbmi_gym.tasks import Task, make_task

OBSERVATIONS = ("neural", "state", "full")
VOLITIONS = ("positive", "signed")
DEGRADED = ("always", "test")


@dataclass(frozen=True)
class Config:
    """Every parameter of an environment. All but callables are JSON types.

    Attributes
    ----------
    task : str, mapping or Task
        What a trial asks for (`ndbmi_gym.tasks.make_task`).
    dataset : int
        Stimulus set of Table 1, 1 to 7. This and the degradations below, from `spontaneous` to
        `lost_site`, are of the paper's cortex (``"topographic"``).
    cortex : str or mapping
        Model of the cortex: a name of `CORTICES`, or a mapping with that name under ``"kind"`` and
        options of its own (those of ``"soc"`` are `ndbmi_gym.cortex.soc.SOCOptions`).
    field : str, mapping or callable
        Desired force field (`ndbmi_gym.fields.make_field`).
    decoder : str
        ``"multiple-points"``, ``"single-point"`` or ``"projection"``.
    perturbation : mapping, callable or None
        Force that the interface does not know of (`ndbmi_gym.perturbations.make_draw`), or a
        callable ``(position, velocity) -> force``.
    animal : int or None
        The animal: fixes the calibration noise, and with it map and regions. None draws one of
        `n_animals` at every reset.
    n_animals : int
        Size of the pool 0, 1, … that ``animal=None`` draws from.
    interface : path or None
        A saved interface to use instead of calibrating one. It brings its own calibration:
        `repetitions`, `tau_s`, `theta`, `exponent`, `half_side_cm` and `scaling` do not apply.
    volition : {"positive", "signed"}
        Whether the action box is [0, 1] or [−1, 1]; negative entries suppress evoked firing.
    max_rate_hz : float or None
        Firing rate added by an action entry of 1. None: the largest evoked peak over the window
        (66.7 Hz on set 6). With ``cortex="soc"`` the input that it means; None: 100 Hz.
    observe : {"neural", "state", "full"}
        What the agent sees.
    observe_perturbation : bool
        Append the trial's curl strength and constant force to the observation.
    reward : {"dense", "sparse"} or None
        Overrides the task's reward scheme.
    effort_weight : float or None
        Overrides the task's price of volition.
    window_s, clock_s : float
        Recording window T and tick of its clock, s. By default the window is the cortex's own: 0.6,
        for ``"soc"`` 0.3.
    spontaneous : float
        Spontaneous spikes per window on every electrode.
    gamma_shape : float
        Shape k of the inter-spike intervals (Eq 19); 1 is Poisson.
    gain : float
        Factor on all evoked counts.
    flatten : float
        Share α in [0, 1] of the electrodes' tuning that is lost (Eq 18).
    misplaced_electrode : int or None
        A recording electrode that answers all stimuli alike (Eq 20).
    lost_site : int or None
        A stimulation site whose stimuli all evoke the same everywhere (Eq 21).
    degraded : {"always", "test"}
        When spontaneous firing, Gamma intervals, flattening and broken electrodes are there: in
        calibration and afterwards, or only afterwards ("test", the text's Fig 11).
    repetitions : int
        Calibration responses K per stimulus.
    tau_s, theta : float
        Spike-train metric: time constant, s, and angle between electrodes, rad. By default the
        time constant is the cortex's own: 0.1, for ``"soc"`` 0.05.
    exponent : float
        Power z of the single-point decoder's mean (Eq 8).
    half_side_cm : float
        Half side L of the workspace.
    scaling : str
        How the map is made to fit the workspace (Eq 5), one of `ndbmi_gym.calibration.SCALINGS`.
    mass, viscosity, step_s : float
        Plant: m in kg, b in kg/s, Δt in s.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    task: str | Mapping[str, Any] | Task = "shift"
    dataset: int = 6
    cortex: str | Mapping[str, Any] = "topographic"
    field: str | Mapping[str, Any] | Field = "gaussian"
    decoder: str = "multiple-points"
    perturbation: Mapping[str, Any] | ForceLaw | None = None
    animal: int | None = 0
    n_animals: int = 8
    interface: str | os.PathLike[str] | None = None
    volition: str = "positive"
    max_rate_hz: float | None = None
    observe: str = "neural"
    observe_perturbation: bool = False
    reward: str | None = None
    effort_weight: float | None = None
    window_s: float = None  # type: ignore[assignment]  # becomes the cortex's own
    clock_s: float = 1e-3
    spontaneous: float = 0.0
    gamma_shape: float = 1.0
    gain: float = 1.0
    flatten: float = 0.0
    misplaced_electrode: int | None = None
    lost_site: int | None = None
    degraded: str = "always"
    repetitions: int = 20
    tau_s: float = None  # type: ignore[assignment]  # becomes the cortex's own
    theta: float = np.pi / 2
    exponent: float = -2.0
    half_side_cm: float = HALF_SIDE_CM
    scaling: str = "axis"
    mass: float = 0.5
    viscosity: float = 1.0
    step_s: float = 0.5

    def __post_init__(self) -> None:
        model, options = _model(self.cortex)
        for name in ("window_s", "tau_s"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, getattr(model, name))
        model.check(self, options)
        for name, choices in (
            ("decoder", DECODERS),
            ("observe", OBSERVATIONS),
            ("volition", VOLITIONS),
            ("degraded", DEGRADED),
            ("scaling", SCALINGS),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"unknown {name} {getattr(self, name)!r}: choose one of {', '.join(choices)}"
                )
        for name in _NUMBERS:
            value = getattr(self, name)
            optional = value is None and name in ("max_rate_hz", "effort_weight")
            if isinstance(value, bool) or not (isinstance(value, Real) or optional):
                raise ValueError(f"{name} = {value!r}: give a number")
        if self.observe_perturbation and callable(self.perturbation):
            raise ValueError(
                "observe_perturbation shows drawn curl and push, and the perturbation is a "
                "callable: drop either"
            )
        if not 0 <= self.gain < np.inf:
            raise ValueError(f"gain = {self.gain!r}: give a finite factor >= 0")
        if not 0 <= self.flatten <= 1:
            raise ValueError(f"flatten = {self.flatten!r}: give a share within [0, 1]")
        for name in ("misplaced_electrode", "lost_site"):
            value = getattr(self, name)
            if value is not None and not _is_whole(value, 0):
                raise ValueError(f"{name} = {value!r}: give an electrode's number, or None")
        if self.max_rate_hz is not None and not 0 < self.max_rate_hz < np.inf:
            raise ValueError(f"max_rate_hz = {self.max_rate_hz!r}: give a rate > 0 Hz, or None")
        if self.animal is not None and not _is_whole(self.animal, 0):
            raise ValueError(f"animal = {self.animal!r}: give a whole number >= 0, or None")
        if not _is_whole(self.n_animals, 1):
            raise ValueError(f"n_animals = {self.n_animals!r}: give a whole number >= 1")
        if self.interface is not None and self.animal is None:
            raise ValueError("animal=None draws animals, interface= names one: drop either")

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> "Config":
        """A configuration from keyword arguments: the fields, and ``preset``.

        A preset (`ndbmi_gym.presets`) gives metric, plant, the shape of fields that are given by
        name, and the target's radius of the task ``"fixed"``; other options override it. Its window
        and time constant are those of the paper's cortex, and of no other.

        Raises
        ------
        TypeError
            If an option is unknown.
        ValueError
            If a value is out of range.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(options) - {*known, "preset"})
        if unknown:
            raise TypeError(
                f"unknown option {unknown[0]!r}: the options are preset, {', '.join(known)}"
            )
        chosen = dict(options)
        name = chosen.pop("preset", "default")
        if name == "default":
            return cls(**chosen)
        preset = load_preset(name)
        given = preset.options()
        model, _ = _model(chosen.get("cortex", cls.cortex))
        if model is not CORTICES["topographic"]:
            for own in ("window_s", "tau_s"):  # they suit the paper's cortex
                del given[own]
        chosen = {**given, **chosen}
        if chosen.get("field", "gaussian") in ("gaussian", "dipole"):
            chosen["field"] = preset.field(chosen.get("field", "gaussian"))
        if chosen.get("task") == "fixed":
            chosen["task"] = {"kind": "fixed", "radius_cm": preset.radius_cm}
        return cls(**chosen)

    def make_task(self) -> Task:
        """The task, with the overrides of this configuration."""
        task = make_task(self.task)
        changes = {"reward": self.reward, "effort_weight": self.effort_weight}
        current = {field.name: getattr(task, field.name) for field in fields(Task)}
        return Task(**(current | {k: v for k, v in changes.items() if v is not None}))

    def make_draw(self) -> Draw:
        """The distribution of perturbations over trials."""
        return Draw() if callable(self.perturbation) else make_draw(self.perturbation)

    def animals(self) -> tuple[int, ...]:
        """The animals that trials are drawn from."""
        return tuple(range(self.n_animals)) if self.animal is None else (self.animal,)

    def make_cortex(self) -> Cortex:
        """The model of the cortex, the same in all animals.

        Raises
        ------
        ValueError
            If it does not know an option, or a value is out of range.
        """
        model, options = _model(self.cortex)
        return model.make(self, options)

    def make_loop(self, animal: int) -> ClosedLoop:
        """The closed loop of an animal."""
        cortex = self.make_cortex()
        if self.interface is not None:
            interface = Interface.load(self.interface)
        else:
            sound = _SOUND if self.degraded == "test" else {}
            parameters = {n: getattr(self, n) for n in _CALIBRATION} | sound
            interface = _calibrated(animal, json.dumps(parameters, default=_plain))
        plant = Plant(
            mass=self.mass,
            viscosity=self.viscosity,
            step_s=self.step_s,
            wall_cm=2 * interface.half_side_cm,
            law=self.perturbation if callable(self.perturbation) else None,
        )
        return ClosedLoop(cortex, interface, make_field(self.field), plant, self.decoder)


class CortexModel(NamedTuple):
    """How a cortex is made from a configuration and the options of its own, and what suits it.

    Attributes
    ----------
    make, check : callable
        Of a configuration and options. The latter raises ValueError if they are not right.
    window_s, tau_s : float
        Default of `Config`'s recording window and time constant of the metric, s.
    """

    make: Callable[[Config, dict[str, Any]], Cortex]
    check: Callable[[Config, dict[str, Any]], object]
    window_s: float = 0.6
    tau_s: float = 0.1


def _check_paper(config: Config, options: dict[str, Any]) -> None:
    if options:
        raise ValueError(
            f"unknown option {min(options)!r} of the topographic cortex: its options are those of "
            "the environment (dataset, gain, flatten, ...)"
        )


def _paper_cortex(config: Config, options: dict[str, Any]) -> Cortex:
    stimuli = stimulus_set(config.dataset)
    cortex = topographic_cortex(
        stimuli, config.window_s, config.clock_s, config.spontaneous, config.gamma_shape
    )
    evoked = config.gain * cortex.evoked
    if config.lost_site is not None:
        evoked = lose_site(evoked, stimuli, config.lost_site)
    if config.misplaced_electrode is not None:
        evoked = misplace_electrode(evoked, config.misplaced_electrode)
    return replace(cortex, evoked=flatten(evoked, config.flatten))


def _check_soc(config: Config, options: dict[str, Any]) -> None:
    SOCOptions.of(options)
    for name in _PAPERS_OWN:
        value = getattr(config, name)
        if value != getattr(Config, name):
            raise ValueError(
                f"{name} = {value!r} is an option of the topographic cortex: drop it, or drop "
                "cortex='soc'"
            )


def _soc_cortex(config: Config, options: dict[str, Any]) -> Cortex:
    return soc_cortex(SOCOptions.of(options), config.window_s, config.clock_s)


CORTICES: dict[str, CortexModel] = {
    "topographic": CortexModel(_paper_cortex, _check_paper),
    "soc": CortexModel(_soc_cortex, _check_soc, soc.WINDOW_S, soc.METRIC_TAU_S),
}
"""Models of the cortex by name. Recorded data would add an entry."""


def _model(spec: Any) -> tuple[CortexModel, dict[str, Any]]:
    """The model of a cortex, and its options."""
    options = dict(spec) if isinstance(spec, Mapping) else {"kind": spec}
    kind = options.pop("kind", None)
    known = ", ".join(CORTICES)
    if kind is None:
        raise ValueError(f"cortex = {spec!r}: give its 'kind', one of {known}")
    if not isinstance(kind, str) or kind not in CORTICES:
        raise ValueError(f"unknown cortex {kind!r}: choose one of {known}")
    return CORTICES[kind], options


_PAPERS_OWN = (
    "dataset",
    "spontaneous",
    "gamma_shape",
    "gain",
    "flatten",
    "misplaced_electrode",
    "lost_site",
    "degraded",
)
"""Parameters of the paper's cortex that no other cortex has."""

_NUMBERS = (
    "max_rate_hz",
    "effort_weight",
    "window_s",
    "clock_s",
    "spontaneous",
    "gamma_shape",
    "gain",
    "flatten",
    "tau_s",
    "theta",
    "exponent",
    "half_side_cm",
    "mass",
    "viscosity",
    "step_s",
)

_CALIBRATION = (
    "cortex",
    "dataset",
    "window_s",
    "clock_s",
    "spontaneous",
    "gamma_shape",
    "gain",
    "flatten",
    "misplaced_electrode",
    "lost_site",
    "repetitions",
    "half_side_cm",
    "tau_s",
    "theta",
    "exponent",
    "scaling",
)
"""The parameters that, with the animal, determine its interface."""

_SOUND = {
    "spontaneous": 0.0,
    "gamma_shape": 1.0,
    "flatten": 0.0,
    "misplaced_electrode": None,
    "lost_site": None,
}
"""The cortex without any degradation."""


@lru_cache(maxsize=8)
def _calibrated(animal: int, parameters: str) -> Interface:
    """Calibrate an animal once per process, however many environments share it."""
    config = Config(**json.loads(parameters))
    return calibrate(
        config.make_cortex(),
        animal_rng(animal),
        config.repetitions,
        config.half_side_cm,
        config.tau_s,
        config.theta,
        config.exponent,
        config.scaling,
    )


def _plain(value: Any) -> Any:
    """A mapping as a dict, a numpy scalar as a Python number."""
    return dict(value) if isinstance(value, Mapping) else value.item()


def animal_rng(animal: int) -> np.random.Generator:
    """The random stream of an animal's calibration, apart from every stream seeded by a user."""
    return np.random.default_rng(np.random.SeedSequence(animal, spawn_key=(0x5B,)))


def _is_whole(value: Any, low: int) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and bool(value >= low)
