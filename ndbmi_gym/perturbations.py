"""Forces on the device that the interface does not know of (Eq 25), one set per trial.

Every linear law of position and velocity is plain data, a row of `Force` for each trial: while
``FROM <= t < UNTIL`` in the trial,

    F = push + K·(x − c) + (B + curl·J)·v,   J = [[0, −1], [1, 0]].

So it is a curl field (Eq 25; curl > 0, in kg/s, deflects counter-clockwise), a constant push, a
spring, a viscous or assistive field, a *force channel* across the line from start to target (the
error clamp of adaptation studies), or their sum. The point mass moves exactly under all of them.
Any other force is a *law*: a callable ``(position, velocity) -> force``, or ``(position, velocity,
time) -> force`` with the time since the trial began, on (B, 2) arrays, which the plant integrates
numerically.

Which perturbation belongs to which trial is what a *schedule* says: `Draw` gives every trial the
same distribution, `ndbmi_gym.schedules.Blocks` goes by the trial's number, animal and session.
One's own is an object with `ranges`, `sample` and `law`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache, cached_property
from inspect import Parameter, signature
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ndbmi_gym.checks import RuleError, declare, nested, number, numbers, real, settle
from ndbmi_gym.compiled import compiled, inlined
from ndbmi_gym.parts import Registry, attribute
from ndbmi_gym.streams import Source, Streams

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
ForceLaw = Callable[..., FloatArray]
Range = tuple[float, float]
Matrix = tuple[tuple[float, float], tuple[float, float]]

MOST_CURL, MOST_PUSH, MOST_SPRING = 1e3, 1e6, 1e6
"""Largest strength of a curl or viscous field, kg/s, of a push, kg·cm/s², of a spring, kg/s²."""

CHANNEL = (6000.0, 250.0)
"""Stiffness, kg/s², and damping, kg/s, of a force channel as adaptation studies have it."""


class Force(IntEnum):
    """Columns of a perturbation as data, (B, 17)."""

    CURL = 0  #: kg/s
    PUSH_X = 1  #: kg·cm/s²
    PUSH_Y = 2
    K_XX = 3  #: K, kg/s²
    K_XY = 4
    K_YX = 5
    K_YY = 6
    CENTRE_X = 7  #: c, cm
    CENTRE_Y = 8
    B_XX = 9  #: B, kg/s
    B_XY = 10
    B_YX = 11
    B_YY = 12
    FROM = 13  #: onset, s since the trial began
    UNTIL = 14  #: end, s
    CHANNEL_K = 15  #: of a force channel, which is in K, B and c once the trial has begun
    CHANNEL_B = 16


N_FORCES, N_SIMPLE = len(Force), Force.K_XX
"""Number of columns; and of the first, curl and push, that `ranges` are told of."""

_K, _C, _B = (
    slice(Force.K_XX, Force.CENTRE_X),
    slice(Force.CENTRE_X, Force.B_XX),
    slice(Force.B_XX, Force.FROM),
)
_PUSHES = slice(Force.PUSH_X, Force.K_XX)
_CHANNEL_K, _CHANNEL_B = int(Force.CHANNEL_K), int(Force.CHANNEL_B)
_K_XX, _FROM, _UNTIL = int(Force.K_XX), int(Force.FROM), int(Force.UNTIL)


class Which(NamedTuple):
    """The trials that forces are drawn for.

    Attributes
    ----------
    number : ndarray of int (B,)
        Of the trial in its session, or since a seeded reset.
    animal : ndarray of int (B,)
        Whose trials they are.
    session : Streams
        Streams of the sessions that they belong to, as these began; of trials alone, their own.
        They are for branches (`Streams.branch`), which draw the same in all trials of a session.
    """

    number: IntArray
    animal: IntArray
    session: Streams


class Perturbation(Protocol):
    """A schedule: which force acts in which trial.

    One that lets forces speed the device up beyond what commands and pushes do has a true
    `unbounded`; one that may clamp it to a channel, a true `channels`.
    """

    @property
    def law(self) -> ForceLaw | None:
        """A further force, the same in every trial."""

    def ranges(self) -> FloatArray:
        """Low and high over all trials of curl and both components of push, (3, 2)."""

    def sample(self, rng: Source, trials: Which) -> FloatArray:
        """Forces of trials (B), columns of `Force`, (B, 17)."""


def forces_of(
    curl: npt.ArrayLike = 0.0,
    push: npt.ArrayLike = (0.0, 0.0),
    *,
    n_trials: int | None = None,
    spring: npt.ArrayLike = 0.0,
    viscous: npt.ArrayLike = 0.0,
    centre: npt.ArrayLike = (0.0, 0.0),
    from_s: npt.ArrayLike = 0.0,
    until_s: npt.ArrayLike = np.inf,
    channel: npt.ArrayLike = (0.0, 0.0),
) -> FloatArray:
    """Forces of B trials, columns of `Force`, (B, 17); whatever is given is broadcast to them.

    Parameters
    ----------
    curl : array_like (B,)
        kg/s.
    push : array_like (B, 2)
        kg·cm/s².
    n_trials : int, optional
        B; by default as many as curl and push are of.
    spring, viscous : array_like (B, 2, 2), or numbers
        K, kg/s², and B, kg/s; a number is that times the identity.
    centre : array_like (B, 2)
        Of the spring, cm.
    from_s, until_s : array_like (B,)
        Onset and end, s since the trial began.
    channel : array_like (B, 2)
        Stiffness and damping of a channel; `channelled` makes it one.
    """
    if n_trials is None:
        shape = np.broadcast_shapes((1,), np.shape(curl), np.shape(push)[:-1])
        n_trials = shape[0]
    made = np.zeros((n_trials, N_FORCES))
    made[:, Force.CURL], made[:, _PUSHES], made[:, _C] = curl, push, centre
    for columns, given in ((_K, spring), (_B, viscous)):
        matrix = np.asarray(given, float)
        if matrix.ndim < 2:
            matrix = matrix[..., None, None] * np.eye(2)
        made[:, columns] = np.broadcast_to(matrix, (n_trials, 2, 2)).reshape(n_trials, 4)
    made[:, _FROM], made[:, _UNTIL], made[:, _CHANNEL_K:] = from_s, until_s, channel
    return made


def channelled(forces: FloatArray, start: FloatArray, target: FloatArray) -> FloatArray:
    """Forces in which channels have become springs and dampers across the line to the target.

    Parameters
    ----------
    forces : ndarray (B, 17)
    start, target : ndarray (B, 2)
        cm.

    Returns
    -------
    ndarray (B, 17)
        The same array where there is no channel.
    """
    stiffness, damping = forces[:, _CHANNEL_K], forces[:, _CHANNEL_B]
    if not (stiffness.any() or damping.any()):
        return forces
    made, across = forces.copy(), lateral(start, target)
    projector = (across[:, :, None] * across[:, None, :]).reshape(-1, 4)
    has = (stiffness != 0) | (damping != 0)
    # a spring that is there already keeps its own centre: the difference is a push
    apart = np.where(has[:, None], start - forces[:, _C], 0.0)
    for d in range(2):
        k = forces[:, _K_XX + 2 * d : _K_XX + 2 * d + 2]
        made[:, Force.PUSH_X + d] += k[:, 0] * apart[:, 0] + k[:, 1] * apart[:, 1]
    made[:, _C] += apart
    made[:, _K] -= stiffness[:, None] * projector
    made[:, _B] -= damping[:, None] * projector
    return made


def lateral(start: FloatArray, target: FloatArray) -> FloatArray:
    """Unit vectors to the left of the line from start to target, (B, 2).

    Upwards where these are the same.
    """
    along = target - start
    length = np.sqrt(along[:, :1] ** 2 + along[:, 1:] ** 2)
    along = np.where(length > 0, along / np.where(length > 0, length, 1.0), (1.0, 0.0))
    return np.column_stack((-along[:, 1], along[:, 0]))


def channel_force(
    forces: FloatArray,
    position: FloatArray,
    velocity: FloatArray,
    across: FloatArray,
    time_s: FloatArray | float,
) -> FloatArray:
    """Force that devices exert on their channel, to the left of the line positive, (B,), kg·cm/s².

    The channel answers with its opposite. It is what adaptation is measured by where errors are
    clamped; 0 without a channel, before its onset and after its end.

    Parameters
    ----------
    forces : ndarray (B, 17)
    position, velocity : ndarray (B, 2)
        cm, cm/s.
    across : ndarray (B, 2)
        See `lateral`.
    time_s : ndarray (B,) or float
        Since the trials began, s.
    """
    off, speed = position - forces[:, _C], velocity
    beside = off[:, 0] * across[:, 0] + off[:, 1] * across[:, 1]
    drift = speed[:, 0] * across[:, 0] + speed[:, 1] * across[:, 1]
    acts = (forces[:, _FROM] <= time_s) & (time_s < forces[:, _UNTIL])
    pressed = forces[:, _CHANNEL_K] * beside + forces[:, _CHANNEL_B] * drift
    return np.where(acts, pressed, 0.0)


@inlined
def beyond(forces):  # type: ignore[no-untyped-def]
    """Whether one trial's force (17,) is more than curl and push throughout."""
    for c in range(_K_XX, _FROM):
        if forces[c] != 0.0:
            return True
    return forces[_FROM] > 0.0 or forces[_UNTIL] < np.inf


@compiled
def beyond_curl_and_push(forces):  # type: ignore[no-untyped-def]
    """Whether in any trial (B, 17) there is more than curl and push."""
    for b in range(forces.shape[0]):  # noqa: SIM110 (numba knows no any)
        if beyond(forces[b]):
            return True
    return False


def _range(value: Any, most: float) -> Range:
    """A number, or a pair low <= high of them, as a pair."""
    try:
        low = high = real(value)
    except TypeError:
        low, high = nested(value, (2,))
    if not -most <= low <= high <= most:
        raise RuleError(f"low <= high, and neither beyond {most:g}")
    return low, high


def _pair(value: Any) -> tuple[Range, Range]:
    first, second = list(value)
    return _range(first, MOST_PUSH), _range(second, MOST_PUSH)


def _matrix(value: Any, most: float) -> Matrix:
    """A number as that times the identity, or a 2 x 2 matrix."""
    try:
        size = real(value)
        matrix: Matrix = ((size, 0.0), (0.0, size))
    except TypeError:
        matrix = nested(value, (2, 2))
    if max(abs(each) for row in matrix for each in row) > most:
        raise RuleError(f"an entry is beyond {most:g}")
    return matrix


def _channel(value: Any) -> tuple[float, float] | None:
    if value is None or value is False:
        return None
    stiffness, damping = CHANNEL if value is True else nested(value, (2,))
    if not (0 <= stiffness <= MOST_SPRING and 0 <= damping <= MOST_CURL):
        raise RuleError("out of range")
    return stiffness, damping


def _until(value: Any) -> float:
    end = float("inf") if value == float("inf") else real(value)
    if not end > 0:
        raise RuleError("no time > 0")
    return end


def _law(value: Any) -> ForceLaw | None:
    if isinstance(value, Mapping):
        options = dict(value)
        return _law(attribute(options.pop("kind", ""))(**options))
    found = attribute(value) if isinstance(value, str) else value
    if isinstance(found, type):
        found = _only(found)
    if not (found is None or callable(found)):
        raise TypeError
    if found is not None and not takes_time(found):
        late = [each.name for each in _places(found)[2:] if each.name in ("t", "time", "time_s")]
        if late:
            raise RuleError(f"its argument {late[0]!r} has a default, so it is given none: drop it")
    return found


@cache
def _only(law: type) -> Any:
    """The one law of a class, so that what is made again has the same."""
    return law()


@dataclass(frozen=True)
class Draw:
    """Ranges from which the perturbation of every trial is drawn, uniformly and independently.

    Attributes
    ----------
    curl : (float, float)
        Range of the curl strength, kg/s. A number fixes it.
    push : ((float, float), (float, float))
        Range of each component of the constant force, kg·cm/s².
    spring : 2 x 2 nested tuple
        K, kg/s²; a number is that times the identity, negative pulls to the centre.
    spring_centre_cm : (float, float)
        c, cm.
    viscous : 2 x 2 nested tuple
        B, kg/s; a number is that times the identity, negative damps, positive assists.
    channel : (float, float) or None
        Stiffness, kg/s², and damping, kg/s, across the line from start to target; True:
        `CHANNEL`.
    from_s, until_s : float
        Onset and end of all of these within a trial, s.
    law : callable, str or None
        A further force, or its ``"module:attribute"``.

    Raises
    ------
    ValueError
        If a range is none, or a law is given beside what it would have to be integrated with.
    """

    curl: Range = declare(
        (0.0, 0.0),
        "strength of the curl field, or the range that it is drawn from",
        f"give a strength or [low, high], at most {MOST_CURL:g} kg/s",
        lambda value: _range(value, MOST_CURL),
        "kg/s",
    )
    push: tuple[Range, Range] = declare(
        ((0.0, 0.0), (0.0, 0.0)),
        "constant force, each component a number or a range",
        f"give two forces, each a number or [low, high], at most {MOST_PUSH:g} kg·cm/s²",
        _pair,
        "kg·cm/s²",
    )
    spring: Matrix = declare(
        ((0.0, 0.0), (0.0, 0.0)),
        "K of a force K·(x − c): negative pulls to the centre c",
        f"give a number or a 2 x 2 matrix, entries at most {MOST_SPRING:g} kg/s²",
        lambda value: _matrix(value, MOST_SPRING),
        "kg/s²",
    )
    spring_centre_cm: tuple[float, float] = numbers((0.0, 0.0), (2,), "centre c of it", "cm")
    viscous: Matrix = declare(
        ((0.0, 0.0), (0.0, 0.0)),
        "B of a force B·v: negative damps, positive assists",
        f"give a number or a 2 x 2 matrix, entries at most {MOST_CURL:g} kg/s",
        lambda value: _matrix(value, MOST_CURL),
        "kg/s",
    )
    channel: tuple[float, float] | None = declare(
        None,
        f"force channel from start to target, stiffness and damping; True: {CHANNEL}",
        f"give two numbers from 0 to {MOST_SPRING:g} kg/s² and {MOST_CURL:g} kg/s, True or None",
        _channel,
        "kg/s², kg/s",
    )
    from_s: float = number(0.0, "onset of the perturbation within a trial", "s", least=0, most=1e6)
    until_s: float = declare(
        float("inf"), "its end within a trial", "give a time > from_s, or infinity", _until, "s"
    )
    law: ForceLaw | None = declare(
        None,
        "a further force (position, velocity[, time]) -> force",
        "give a callable (position, velocity[, time]) -> force, or its 'module:attribute'",
        _law,
    )

    def __post_init__(self) -> None:
        settle(self)
        if not self.from_s < self.until_s:
            raise ValueError(
                f"until_s = {self.until_s:g}: give a time after from_s = {self.from_s:g} s"
            )
        if any(self.spring_centre_cm) and not np.any(self.spring):
            raise ValueError(
                f"spring_centre_cm = {self.spring_centre_cm}: there is no spring; give it by "
                "spring, or drop spring_centre_cm"
            )
        if self.law is not None and (self.unbounded or (self.from_s, self.until_s) != _ALWAYS):
            raise ValueError(
                "a law of your own is integrated alone with curl and push: put spring, viscous, "
                "channel, onset and end into the law itself, or drop it"
            )

    @property
    def channels(self) -> bool:
        """Whether trials are clamped to a channel."""
        return self.channel is not None

    @property
    def unbounded(self) -> bool:
        """Whether a force may speed the device up beyond what commands and pushes do."""
        return bool(self.channels or np.any(self.spring) or np.any(self.viscous))

    def ranges(self) -> FloatArray:
        """Low and high of curl and both components of push, (3, 2)."""
        return np.array([self.curl, *self.push], dtype=float)

    def sample(self, rng: Source, trials: Which) -> FloatArray:
        """Forces of trials (B), whichever they are, (B, 17)."""
        return self.drawn(rng.random((len(trials.number), N_SIMPLE)))

    def drawn(self, share: FloatArray) -> FloatArray:
        """Forces with curl and push at shares (B, 3) of their ranges, (B, 17)."""
        forces = np.empty((len(share), N_FORCES))
        forces[:] = self._rest
        forces[:, :N_SIMPLE] = self._low + self._span * share
        return forces

    @cached_property
    def _low(self) -> FloatArray:
        return self.ranges()[:, 0]

    @cached_property
    def _span(self) -> FloatArray:
        return np.diff(self.ranges(), axis=1)[:, 0]

    @cached_property
    def _rest(self) -> FloatArray:
        """What is the same in all trials."""
        return forces_of(
            spring=self.spring,
            viscous=self.viscous,
            centre=self.spring_centre_cm,
            from_s=self.from_s,
            until_s=self.until_s,
            channel=self.channel or (0.0, 0.0),
        )[0]


_ALWAYS = (0.0, float("inf"))


def speeds_up(perturbation: Perturbation) -> bool:
    """Whether the device may become faster than by commands and pushes: under a law, say."""
    return perturbation.law is not None or bool(getattr(perturbation, "unbounded", False))


def takes_time(law: ForceLaw) -> bool:
    """Whether a law is of (position, velocity, time)."""
    return sum(each.default is each.empty for each in _places(law)) == 3


def _places(law: ForceLaw) -> list[Parameter]:
    """What a law may be given by place."""
    try:
        known = signature(law).parameters.values()
    except (TypeError, ValueError):  # a compiled function may not tell
        return []
    by_place = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return [each for each in known if each.kind in by_place]


PERTURBATIONS: Registry[Perturbation] = Registry(
    "perturbation",
    ("ranges", "sample", "law"),
    {"draw": Draw, "blocks": "ndbmi_gym.schedules:Blocks"},
)
"""Schedules of perturbations by name."""


def make_perturbation(spec: Mapping[str, Any] | str | Perturbation | ForceLaw | None) -> Any:
    """Build a perturbation.

    Parameters
    ----------
    spec : mapping, str, Perturbation, callable or None
        ``{"curl": ..., "push": ..., "law": ...}``, the options of `Draw`; a name or mapping of
        `PERTURBATIONS`; ``"module:attribute"`` of a schedule or a law; or either as an object.
        None is no perturbation.

    Raises
    ------
    ValueError
        If it is none of these, or a value is out of range.
    """
    return PERTURBATIONS.checked(choose_perturbation(spec).part())


def choose_perturbation(spec: Any) -> Any:
    """The choice (`ndbmi_gym.parts.Choice`) that a specification means, a law as a `Draw` of it."""
    if spec is None:
        spec = {}
    if not isinstance(spec, str | Mapping) and callable(spec) and not PERTURBATIONS.fits(spec):
        spec = {"law": spec}
    chosen = PERTURBATIONS.choose(spec, "draw")
    if not (chosen.made or ":" not in chosen.kind):
        made = chosen.part()
        if PERTURBATIONS.fits(made):
            return chosen
        law = made if chosen.options else chosen.kind  # a name can be written down
        return PERTURBATIONS.choose({"law": law}, "draw")
    if chosen.made and not PERTURBATIONS.fits(chosen.make):
        return PERTURBATIONS.choose({"law": chosen.kind} | chosen.options, "draw")
    return chosen
