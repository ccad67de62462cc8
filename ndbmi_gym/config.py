"""An environment as the composition of its parts, and the closed loop that they make.

Every parameter is declared once, in the part that uses it. Keyword arguments are flat: each goes to
the one chosen part that has an option of its name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as declared
from difflib import get_close_matches
from typing import Any

from ndbmi_gym.animals import Animals, Calibration, interface_of
from ndbmi_gym.checks import choice, declare, integer, number, options_of, settle, shown
from ndbmi_gym.cortex import CORTICES, Cortex, CortexModel
from ndbmi_gym.fields import FIELDS, Field
from ndbmi_gym.interface import DECODERS
from ndbmi_gym.loop import ClosedLoop
from ndbmi_gym.observation import Observation
from ndbmi_gym.parts import Choice, Registry, plain
from ndbmi_gym.perturbations import PERTURBATIONS, Perturbation, choose_perturbation, speeds_up
from ndbmi_gym.plants import PLANTS, Plant
from ndbmi_gym.presets import load_preset
from ndbmi_gym.senses import Senses
from ndbmi_gym.sessions import Session
from ndbmi_gym.tasks import TASKS, Task

VOLITIONS = ("positive", "signed")


@dataclass(frozen=True)
class Decoding:
    """How a response becomes a virtual point.

    Attributes
    ----------
    decoder : str
        One of `ndbmi_gym.interface.DECODERS`.
    """

    decoder: str = choice("multiple-points", DECODERS, "how a response becomes a virtual point")

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True)
class Volition:
    """What an action means.

    Attributes
    ----------
    volition : {"positive", "signed"}
        Whether the action box is [0, 1] or [−1, 1]; negative entries suppress evoked firing.
    max_rate_hz : float or None
        Firing rate added by an action entry of 1. None: the largest evoked peak over the window
        (66.7 Hz on set 6). With ``cortex="soc"`` the input that it means; None: 100 Hz.
    """

    volition: str = choice("positive", VOLITIONS, "action box [0, 1], or [−1, 1]")
    max_rate_hz: float | None = number(
        None,
        "firing rate of an action entry of 1; None: the cortex's own",
        "Hz",
        least=1e-6,
        most=1e5,
        optional=True,
    )

    def __post_init__(self) -> None:
        settle(self)

    @property
    def low(self) -> float:
        """Lower end of the action box."""
        return -1.0 if self.volition == "signed" else 0.0


def _sides(value: Any) -> tuple[int, int]:
    """Width and height of a picture; raises TypeError or ValueError."""
    width, height = map(integer, value)
    for side in (width, height):
        if not 64 <= side <= 4096 or side % 2:
            raise ValueError
    return width, height


@dataclass(frozen=True)
class Picture:
    """How trials are drawn.

    Attributes
    ----------
    render_size : (int, int)
        Width and height, pixels. Type and lines are in proportion; films want even sides.
    """

    render_size: tuple[int, int] = declare(
        (900, 600),
        "width and height of pictures",
        "give width and height, two even whole numbers from 64 to 4096 px",
        _sides,
        "px",
    )

    def __post_init__(self) -> None:
        settle(self)


_REGISTRIES: dict[str, tuple[Registry[Any], str | None]] = {
    "task": (TASKS, "shift"),
    "cortex": (CORTICES, "topographic"),
    "field": (FIELDS, "gaussian"),
    "perturbation": (PERTURBATIONS, None),
    "plant": (PLANTS, "point_mass"),
}
"""Parts to choose: their registries, and what is there by default."""

_SINGLE: dict[str, type] = {
    "calibration": Calibration,
    "decoding": Decoding,
    "volition": Volition,
    "senses": Senses,
    "observation": Observation,
    "session": Session,
    "animals": Animals,
    "picture": Picture,
}
"""Parts of which there is one kind."""

CHANGEABLE = ("task", "perturbation")
"""Parts that may change while an environment lives (`Config.change`)."""


@dataclass(frozen=True)
class Config:
    """The parts of an environment. `Config.of` makes one from keyword arguments.

    Attributes
    ----------
    task : Task
        What a trial asks for (`ndbmi_gym.tasks`).
    cortex : CortexModel
        What answers stimuli (`ndbmi_gym.cortex`).
    field : Field
        Desired force field (`ndbmi_gym.fields`).
    perturbation : Perturbation
        Forces that the interface does not know of, by trial (`ndbmi_gym.perturbations`).
    plant : Plant
        The device (`ndbmi_gym.plants`).
    calibration : Calibration
        How the interface is calibrated (`ndbmi_gym.animals`).
    decoding : Decoding
    volition : Volition
    senses : Senses
        How late and how truly the interface knows the device's place (`ndbmi_gym.senses`).
    observation : Observation
        What the agent sees (`ndbmi_gym.observation`).
    session : Session
        How many trials an episode holds (`ndbmi_gym.sessions`).
    animals : Animals
    picture : Picture
    choices : dict
        How each part was chosen.
    """

    task: Task
    cortex: CortexModel
    field: Field
    perturbation: Perturbation
    plant: Plant
    calibration: Calibration
    decoding: Decoding
    volition: Volition
    senses: Senses
    observation: Observation
    session: Session
    animals: Animals
    picture: Picture
    choices: dict[str, Choice] = declared(compare=False, repr=False)

    @classmethod
    def of(cls, **options: Any) -> "Config":
        """A configuration from keyword arguments.

        ``task``, ``cortex``, ``field``, ``perturbation`` and ``plant`` choose parts, each as a
        name, a mapping ``{"kind": name, ...}``, ``"module:attribute"`` or an object
        (`ndbmi_gym.parts`). Every other keyword is an option of the one chosen part that has it,
        and wins over the same option in a mapping.

        ``preset`` (`ndbmi_gym.presets`) gives metric, plant, the shape of the fields
        ``"gaussian"`` and ``"dipole"``, and the target's radius of the task ``"fixed"``; all other
        options, flat or in a mapping, override it.
        Its window and time constant are those of the paper's cortex, and of no other.

        Raises
        ------
        TypeError
            If no chosen part has such an option.
        ValueError
            If several have it, or a value is out of range.
        """
        choices = {
            name: _choose(name, options.pop(name, default))
            for name, (_, default) in _REGISTRIES.items()
        }
        choices |= {name: Choice(name, name, kind, {}, False) for name, kind in _SINGLE.items()}
        preset = options.pop("preset", "default")
        if not (isinstance(preset, str) and preset == "default"):
            choices = _with_preset(choices, preset, options)
        choices = _routed(choices, options)
        return cls._made(choices, {name: choice.part() for name, choice in choices.items()})

    @classmethod
    def _made(cls, choices: dict[str, Choice], parts: dict[str, Any]) -> "Config":
        for name, (registry, _) in _REGISTRIES.items():
            registry.checked(parts[name])
        config = cls(choices=choices, **parts)
        if config.calibration.interface is not None and config.animals.animal is None:
            raise ValueError("animal=None draws animals, interface= names one: drop either")
        if config.observation.observe_perturbation and speeds_up(config.perturbation):
            raise ValueError(
                "observe_perturbation shows drawn curl and push, and the perturbation is a "
                "law, spring, viscous or channel: drop either"
            )
        if config.calibration.interface is None:
            config.task.check(config.field, config.calibration.half_side_cm)
        return config

    def change(self, **options: Any) -> "Config":
        """The same configuration with another task or perturbation, or other options of them.

        Raises
        ------
        TypeError
            If neither has such an option.
        ValueError
            If it belongs to another part, or a value is out of range.
        """
        chosen = {
            name: _choose(name, options.pop(name)) if name in options else self.choices[name]
            for name in CHANGEABLE
        }
        for name in options:
            owners = [part for part, has in self.choices.items() if name in has.known]
            if name in (*self.choices, "preset"):
                what = f"the {name}"
            elif owners and not set(owners) & set(CHANGEABLE):
                what = f"{name} belongs to the {owners[0]}, which"
            else:
                continue
            raise ValueError(
                f"{what} is fixed while an environment lives: make another environment with it"
            )
        parts = {name: getattr(self, name) for name in self.choices}
        chosen = _routed(chosen, options)
        for name, new in chosen.items():
            was = self.choices[name]
            if new is was:
                continue
            if new.options.get("law") is was.options.get("law", new):
                new = new.having({"law": parts[name].law})  # the same one, not one alike
            parts[name] = new.part()
        return self._made(self.choices | chosen, parts)

    def plain(self) -> dict[str, Any]:
        """The configuration in JSON types, from which `Config.of` makes the same.

        Raises
        ------
        ValueError
            If a part is an object that cannot be named.
        """
        written: dict[str, Any] = {}
        for name, chosen in self.choices.items():
            if name in _SINGLE:
                written |= {key: plain(value) for key, value in chosen.options.items()}
            elif chosen.made:
                whole = chosen.options or not chosen.kind  # options are set over the object's own
                written[name] = plain(chosen.part() if whole else chosen.kind)
            else:
                written[name] = {"kind": chosen.kind} | plain(chosen.options)
        return written

    def make_cortex(self, animal: int = 0) -> Cortex:
        """The cortex of an animal."""
        return self.cortex.for_animal(animal)

    def make_loop(self, animal: int) -> ClosedLoop:
        """The closed loop of an animal."""
        interface = interface_of(self.cortex, self.calibration, animal)
        plant = self.plant.within(interface.half_side_cm, self.perturbation.law)
        return ClosedLoop(
            self.make_cortex(animal), interface, self.field, plant, self.decoding.decoder
        )


def option_tables() -> dict[str, dict[str, Any]]:
    """Every option of every part that can be named, `{part: {kind: [Option, ...]}}`."""
    tables: dict[str, dict[str, Any]] = {
        name: {kind: options_of(registry[kind]) for kind in registry}
        for name, (registry, _) in _REGISTRIES.items()
    }
    return tables | {name: {name: options_of(kind)} for name, kind in _SINGLE.items()}


def _choose(name: str, spec: Any) -> Choice:
    if name == "perturbation":
        return choose_perturbation(spec)
    if spec is None:
        raise ValueError(f"{name} = None: leave it out for the default")
    return _REGISTRIES[name][0].choose(spec)


def _routed(choices: dict[str, Choice], options: Mapping[str, Any]) -> dict[str, Choice]:
    """The choices, each with the options that are its own."""
    known = {name: set(choice.known) for name, choice in choices.items()}
    for option, value in options.items():
        owners = [name for name, has in known.items() if option in has]
        if not owners:
            parts = [name for name in _REGISTRIES if name in choices]
            here = ["preset", *parts] if len(parts) == len(_REGISTRIES) else parts
            every = ", ".join(name for has in choices.values() for name in has.known)
            raise TypeError(
                f"got an unexpected keyword argument {option!r}{_hint(option, every)}: the options "
                f"here are {', '.join(here)}, and of the chosen parts {every}"
            )
        if len(owners) > 1:
            raise ValueError(
                f"{option} = {shown(value)}: {' and '.join(owners)} have an option of that name; "
                f"give it in a mapping, {owners[0]}={{'kind': ..., {option!r}: ...}}"
            )
        choices = choices | {owners[0]: choices[owners[0]].having({option: value})}
    return choices


def _hint(option: str, every: str) -> str:
    """What an unknown option may have been meant for."""
    having = [
        f"{part} {kind!r}"
        for part, kinds in option_tables().items()
        for kind, options in kinds.items()
        if option in (each.name for each in options)
    ]
    hints = [f"an option of {', '.join(having)}"] if having else []
    near = get_close_matches(option, every.split(", "), 1)
    hints += [f"did you mean {near[0]!r}?"] if near else []
    return f" ({'; '.join(hints)})" if hints else ""


def _with_preset(
    choices: dict[str, Choice], preset: Any, options: Mapping[str, Any]
) -> dict[str, Choice]:
    """The choices with a preset's values, where nothing else is asked for."""
    values = load_preset(preset)
    given = values.options()
    if choices["cortex"].kind not in ("topographic", "dedicated"):
        for own in ("window_s", "tau_s"):  # they suit the paper's cortex
            del given[own]
    if options.get("interface") is not None:  # it brings its own calibration
        given = {name: value for name, value in given.items() if name not in _calibration()}
    of_kinds: dict[str, dict[str, Any]] = {}
    if choices["field"].kind in ("gaussian", "dipole"):
        of_kinds["field"] = values.field(choices["field"].kind)
        del of_kinds["field"]["kind"]
    if choices["task"].kind == "fixed":
        of_kinds["task"] = {"radius_cm": values.radius_cm}
    for name, chosen in choices.items():
        mine = {key: value for key, value in given.items() if key in chosen.known}
        mine |= of_kinds.get(name, {})
        if not chosen.made:  # an object has values of its own
            choices = choices | {name: chosen._replace(options=mine | chosen.options)}
    return choices


def _calibration() -> set[str]:
    return {option.name for option in options_of(Calibration)}
