"""Trained agents as files of weights, played in numpy.

::

    from ndbmi_gym.policies.network import load_network
    from ndbmi_gym.rollout import score

    score("ndbmi/HoldTarget-v1", load_network("agent.npz"))

A file is a ``.npz`` of `ndbmi_gym.files`: its header says in JSON what the layers are, its arrays
are their weights. Reading it executes nothing of it and wants no torch. What does not fit together
is refused, and so is a file whose content is not that of its digest. The digest guards against
damage and against a mistaken edit, not against a forger, who can make a new one: all that a forged
file can do is to act badly.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box
from scipy.special import expit

from ndbmi_gym.files import Kind, Layout, read_arrays, reading, write_arrays

Array = npt.NDArray[np.float32]
State = tuple[tuple[Array, ...], ...]

_KIND = Kind("ndbmi_gym agent", 1)
_REMEDY = "take another copy, or convert the agent anew by python -m agents.convert"

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda x: x,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, np.float32(0)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, np.float32(0)))),
    "leaky_relu": lambda x: np.where(x > 0, x, np.float32(0.01) * x),
    "sigmoid": expit,
    "silu": lambda x: x * expit(x),
}
"""What a linear layer may end in, by name; constants are those that torch has by default."""

_RECURRENT = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_NAMES = {"linear": ("weight", "bias"), "gru": _RECURRENT, "lstm": _RECURRENT}
_GATES = {"linear": 1, "gru": 3, "lstm": 4}  # rows of weights for each unit
_MEMORIES = {"linear": 0, "gru": 1, "lstm": 2}  # arrays that are carried along for each unit

_CONTENT = {"layers", "squashed", "about", "keys"}
"""What a file says beside its arrays; keys where there are any."""

_BOUNDS = tuple(f"{name}.{end}" for name in ("observation", "action") for end in ("low", "high"))


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer of n units that each see m numbers; a recurrent one takes one step at a time.

    Attributes
    ----------
    kind : {"linear", "gru", "lstm"}
    weights : mapping of str to ndarray of float32
        As torch names and lays them out: ``weight`` (n, m) and ``bias`` (n,), or ``weight_ih``
        (g·n, m), ``weight_hh`` (g·n, n), ``bias_ih`` and ``bias_hh`` (g·n,) with the gates r, z, n
        of a GRU (g = 3), or i, f, g, o of an LSTM (g = 4). They are copied.
    activation : str
        Of `ACTIVATIONS`, after a linear layer.
    joined : bool
        Whether the layer's own input is put behind its output, so that the next one sees both.

    Raises
    ------
    ValueError
        If it is no such layer, or weights are missing, misshapen or not finite.
    """

    kind: str
    weights: Mapping[str, Array]
    activation: str = "identity"
    joined: bool = False

    def __post_init__(self) -> None:
        if self.kind not in _NAMES:
            raise ValueError(f"kind {self.kind!r}: a layer is {', '.join(_NAMES)}")
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"activation {self.activation!r}: choose one of {', '.join(ACTIVATIONS)}"
            )
        if self.kind != "linear" and self.activation != "identity":
            raise ValueError(
                f"activation {self.activation!r} of a {self.kind} layer: only a linear one has any"
            )
        if not isinstance(self.joined, bool):
            raise ValueError(f"joined = {self.joined!r}: give True or False")
        names = _NAMES[self.kind]
        if set(self.weights) != set(names):
            raise ValueError(
                f"weights {', '.join(sorted(self.weights)) or 'none'}: a {self.kind} layer has "
                f"{', '.join(names)}"
            )
        for name in names:
            _check_numbers(name, self.weights[name], 2 if name.startswith("weight") else 1)
        rows = _GATES[self.kind] * self.units
        shapes = {
            name: (rows,) if name.startswith("bias") else (rows, self.inputs) for name in names
        }
        if "weight_hh" in shapes:
            shapes["weight_hh"] = (rows, self.units)
        for name, shape in shapes.items():
            if self.weights[name].shape != shape or not all(shape):
                raise ValueError(
                    f"{name} has shape {self.weights[name].shape}: a {self.kind} layer of "
                    f"{self.units} units that see {self.inputs} numbers has {shape}, and at least "
                    "one of each"
                )
        object.__setattr__(self, "weights", {name: _frozen(self.weights[name]) for name in names})

    @property
    def inputs(self) -> int:
        """How many numbers go in."""
        return int(self.weights[_NAMES[self.kind][0]].shape[1])

    @property
    def units(self) -> int:
        """How many numbers its units tell."""
        bias = self.weights[_NAMES[self.kind][-1]]
        return len(bias) // _GATES[self.kind]

    @property
    def outputs(self) -> int:
        """How many numbers come out."""
        return self.units + self.joined * self.inputs

    def begin(self, trials: int) -> tuple[Array, ...]:
        """What is remembered before a trial: of each unit nothing, or one or two zeros."""
        return tuple(np.zeros((_MEMORIES[self.kind], trials, self.units), np.float32))

    def step(self, x: Array, memory: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        """Output for inputs (B, m), and what is remembered after them."""
        y, memory = _STEPS[self.kind](self, x, memory)
        return (np.concatenate([y, x], axis=1) if self.joined else y), memory


def _linear(layer: Layer, x: Array, memory: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    w = layer.weights
    return ACTIVATIONS[layer.activation](x @ w["weight"].T + w["bias"]), memory


def _gru(layer: Layer, x: Array, memory: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    """A step of a GRU as torch has it: the reset gate acts on the state after its weights."""
    w, (h,) = layer.weights, memory
    seen = np.split(x @ w["weight_ih"].T + w["bias_ih"], 3, axis=1)
    kept = np.split(h @ w["weight_hh"].T + w["bias_hh"], 3, axis=1)
    reset, update = expit(seen[0] + kept[0]), expit(seen[1] + kept[1])
    new = np.tanh(seen[2] + reset * kept[2])
    h = new + update * (h - new)
    return h, (h,)


def _lstm(layer: Layer, x: Array, memory: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    w, (h, c) = layer.weights, memory
    gates = x @ w["weight_ih"].T + w["bias_ih"] + h @ w["weight_hh"].T + w["bias_hh"]
    let_in, keep, new, let_out = np.split(gates, 4, axis=1)
    c = expit(keep) * c + expit(let_in) * np.tanh(new)
    h = expit(let_out) * np.tanh(c)
    return h, (h, c)


_STEPS = {"linear": _linear, "gru": _gru, "lstm": _lstm}


@dataclass(frozen=True, eq=False)
class Network:
    """A policy that is a chain of layers, with the `predict` of models of SB3.

    Attributes
    ----------
    layers : tuple of Layer
        From the observation to the action.
    observation_space : Box (d,)
        Of all frames, where several observations are joined: `ndbmi_gym.rollout.as_actor` stacks.
    action_space : Box (n,)
        Bounded.
    squashed : bool
        Whether the hyperbolic tangent of the output spans the action space, as in SAC; if not, the
        output is clipped to it.
    about : mapping
        Whatever is to be known of the agent, in JSON types.
    keys : tuple of str
        Of observations that are mappings, as of the goal-conditioned environments: the entries
        that are put behind one another, in this order. Empty where observations are arrays.

    Raises
    ------
    ValueError
        If layers and spaces do not fit together.
    """

    layers: tuple[Layer, ...]
    observation_space: Box
    action_space: Box
    squashed: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)
    keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        keys = self.keys
        if not (isinstance(keys, tuple) and all(isinstance(key, str) for key in keys)):
            raise ValueError(f"keys = {keys!r}: give a tuple of names")
        if len(set(keys)) < len(keys):
            raise ValueError(f"keys = {keys!r}: give each name once")
        for name in ("observation", "action"):
            space = getattr(self, f"{name}_space")
            if not isinstance(space, Box) or len(space.shape) != 1:
                raise ValueError(f"{name}_space is {space!r}: give a Box of shape (n,)")
        if not np.isfinite([self.action_space.low, self.action_space.high]).all():
            raise ValueError(f"action_space is {self.action_space!r}: give finite bounds")
        if not self.layers:
            raise ValueError("layers: there is none: give at least one")
        if not isinstance(self.squashed, bool):
            raise ValueError(f"squashed = {self.squashed!r}: give True or False")
        (width,), (actions,) = self.observation_space.shape, self.action_space.shape
        for i, layer in enumerate(self.layers):
            if layer.inputs != width:
                raise ValueError(
                    f"layer {i} sees {layer.inputs} numbers, and "
                    f"{f'layer {i - 1} tells' if i else 'an observation has'} {width}: give as "
                    "many"
                )
            width = layer.outputs
        if width != actions:
            raise ValueError(
                f"the last layer tells {width} numbers, and an action has {actions}: give as many"
            )
        try:
            about = json.loads(json.dumps(self.about, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ValueError(f"about: {error}: give JSON types, and finite numbers") from error
        object.__setattr__(self, "about", about)

    def predict(
        self,
        observation: npt.NDArray[Any] | Mapping[str, npt.NDArray[Any]],
        state: State | None = None,
        episode_start: npt.NDArray[Any] | bool | None = None,
        deterministic: bool = False,
    ) -> tuple[Array, State]:
        """Actions for observations (B, d), or for a single one (d,).

        Parameters
        ----------
        observation : ndarray (B, d) or (d,), or mapping
            A mapping where there are `keys`, whose entries are d numbers together.
        state : tuple
            What the last call returned; None at first.
        episode_start : ndarray of bool (B,) or bool, optional
            Trials that have just begun, of which nothing is remembered.
        deterministic : bool
            Ignored: the mean is always taken, a file holds no noise to explore with.

        Returns
        -------
        action : ndarray of float32 (B, n) or (n,)
        state : tuple
            For each layer what it remembers, arrays (B, units).

        Raises
        ------
        ValueError
            If observations are of another size, or lack one of the keys.
        """
        observation = self._flat(observation)
        x = np.atleast_2d(np.asarray(observation, np.float32))
        if x.ndim != 2 or x.shape[1] != self.layers[0].inputs:
            raise ValueError(
                f"observation of shape {np.shape(observation)}: the network sees "
                f"{self.layers[0].inputs} numbers, give ({self.layers[0].inputs},) or as many for "
                "each trial"
            )
        begun = np.full(len(x), state is None)
        if episode_start is not None:
            begun |= np.asarray(episode_start, bool)
        fresh = tuple(layer.begin(len(x)) for layer in self.layers)
        after = []
        for layer, blank, before in zip(self.layers, fresh, state or fresh, strict=True):
            memory = tuple(
                np.where(begun[:, None], zero, carried)
                for zero, carried in zip(blank, before, strict=True)
            )
            x, memory = layer.step(x, memory)
            after.append(memory)
        low, high = self.action_space.low, self.action_space.high
        if self.squashed:
            action = low + (high - low) * (np.tanh(x) + 1) / 2
        else:
            action = np.clip(x, low, high)
        action = action.astype(np.float32)
        return (action[0] if np.ndim(observation) == 1 else action), tuple(after)

    def _flat(self, observation: npt.NDArray[Any] | Mapping[str, Any]) -> npt.NDArray[Any]:
        """Entries of a mapping behind one another; an array as it is."""
        if isinstance(observation, Mapping) != bool(self.keys):
            wanted = f"a mapping with {', '.join(self.keys)}" if self.keys else "an array"
            raise ValueError(f"observation is a {type(observation).__name__}: give {wanted}")
        if not isinstance(observation, Mapping):
            return observation
        for key in self.keys:
            if key not in observation:
                raise ValueError(f"observation has {', '.join(observation)}: it needs {key!r}")
        return np.concatenate([observation[key] for key in self.keys], axis=-1)


def save_network(
    path: str | PathLike[str], network: Network, about: Mapping[str, Any] | None = None
) -> None:
    """Write a network to a file.

    Parameters
    ----------
    path : path
        Ends in ``.npz``. A reader finds the old file or the whole new one.
    network : Network
    about : mapping, optional
        In place of the network's own.

    Raises
    ------
    ValueError
        If `about` is not of JSON types.
    """
    if about is not None:
        network = replace(network, about=about)
    header = {
        "layers": [
            {"kind": layer.kind, "activation": layer.activation, "joined": layer.joined}
            for layer in network.layers
        ],
        "squashed": network.squashed,
        "about": network.about,
    }
    if network.keys:
        header["keys"] = list(network.keys)
    spaces = network.observation_space, network.action_space
    bounds = [end.astype(np.float32) for space in spaces for end in (space.low, space.high)]
    arrays = dict(zip(_BOUNDS, bounds, strict=True))
    for i, layer in enumerate(network.layers):
        arrays |= {f"{i}.{name}": values for name, values in layer.weights.items()}
    write_arrays(path, header | {"sha256": _digest(header, arrays)}, arrays, _KIND)


def load_network(path: str | PathLike[str]) -> Network:
    """Read a network that `save_network` wrote; nothing in the file is executed.

    Parameters
    ----------
    path : path

    Returns
    -------
    Network
        With its `about`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such file, is damaged, or holds what does not fit together.
    """
    with reading(path, _KIND, _REMEDY):
        header, arrays = read_arrays(path, _KIND, check=_check)
        content = {name: header[name] for name in _CONTENT & header.keys()}
        if header["sha256"] != _digest(content, arrays):
            raise ValueError("its content is not what its digest, sha256, says")
        ends = [arrays[name] for name in _BOUNDS]
        return Network(
            tuple(
                Layer(
                    weights={name: arrays[f"{i}.{name}"] for name in _NAMES[each["kind"]]}, **each
                )
                for i, each in enumerate(header["layers"])
            ),
            Box(ends[0], ends[1], dtype=np.float32),
            Box(ends[2], ends[3], dtype=np.float32),
            header["squashed"],
            header["about"],
            tuple(header.get("keys", ())),
        )


def _check(header: Mapping[str, Any], layouts: Mapping[str, Layout]) -> None:
    """Raise ValueError unless a file has the entries and arrays of its layers and no others."""
    entries = {*_KIND._fields, *_CONTENT, "sha256"}
    _check_names("entries", header, entries - ({"keys"} - header.keys()))
    if not isinstance(header.get("keys", []), list):
        raise ValueError(f"keys = {header['keys']!r}: a list of names is wanted")
    for layer in header["layers"]:
        _check_names("entries of a layer", layer, {"kind", "activation", "joined"})
        if layer["kind"] not in _NAMES:
            raise ValueError(f"kind {layer['kind']!r}: a layer is {', '.join(_NAMES)}")
    _check_names("arrays", layouts, {*_BOUNDS, *_arrays_of(header["layers"])})
    for name, layout in layouts.items():
        if layout.dtype != np.float32:
            raise ValueError(f"{name} is of {layout.dtype}: all arrays are of float32")


def _arrays_of(layers: list[Mapping[str, Any]]) -> Iterator[str]:
    for i, layer in enumerate(layers):
        yield from (f"{i}.{name}" for name in _NAMES[layer["kind"]])


def _check_names(what: str, found: Any, wanted: set[str]) -> None:
    for name in sorted(wanted - set(found)):
        raise ValueError(f"of its {what}, {name!r} is missing")
    for name in sorted(set(found) - wanted):
        raise ValueError(f"of its {what}, {name!r} is none that it should have")


def _check_numbers(name: str, values: Any, dimensions: int) -> None:
    """Raise ValueError unless it is an array of finite float32."""
    if not isinstance(values, np.ndarray) or values.dtype != np.float32:
        kind = getattr(values, "dtype", type(values).__name__)
        raise ValueError(f"{name} is of {kind}: give an array of float32")
    if values.ndim != dimensions:
        raise ValueError(f"{name} has shape {values.shape}: give {dimensions} dimensions")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} holds {values[~np.isfinite(values)][0]}: give finite weights")


def _frozen(values: Array) -> Array:
    copy = np.array(values)
    copy.flags.writeable = False
    return copy


def _digest(header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """SHA-256 of what a network is, whatever the compression or the order of its file."""
    found = sha256(json.dumps(header, sort_keys=True).encode())
    for name, values in sorted(arrays.items()):
        found.update(f"{name} {values.shape} {values.dtype.str}".encode())
        found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()
