"""Cases of the fuzz (`fuzz`): how each is drawn, tried, and found right or wrong."""

import copy
import math
import os
import pickle
import re
import time
from fractions import Fraction
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.config import CHANGEABLE, option_tables
from ndbmi_gym.policies import make_policy

REFUSED_S, MADE_S, PLAYED_S = 2.0, 15.0, 15.0
"""Longest that a refusal may take, the making of an environment, and a few steps."""

IDS = (
    *("FixedField-v1", "ShiftTarget-v1", "ShiftTargetCurl-v1", "HoldTarget-v1"),
    *("ShiftTargetSOC-v1", "AvoidObstacle-v0", "Rhythm-v0"),
)
_RHYTHM = {"task": "rhythm", "field": "limit_cycle"}
OF_ID = {"AvoidObstacle-v0": {"task": "avoid"}, "Rhythm-v0": _RHYTHM}
OF_ID["ShiftTargetSOC-v1"] = {"cortex": "soc"}
"""Parts of an id that are not the usual ones, as far as their options matter."""

ERRORS = (TypeError, ValueError, FileNotFoundError, gymnasium.error.Error)
REMEDY = re.compile(
    r"\b(give|choose|drop|lower|raise|widen|call|make|leave|set|load|name|soften|shorten|pass|"
    r"return|begin|take|calibrate|put|shape|options|must be|at most|at least|needs?|expected|"
    r"use|build)\b"
)
CHOSEN = ("task", "cortex", "field", "perturbation", "plant")
TABLES = option_tables()


class Finding(AssertionError):  # noqa: N818 (it is found, not made)
    """A case that neither works nor is refused as it should be."""


def pick(rng, items):
    return items[int(rng.integers(len(items)))]


WILD = (
    *(None, True, False, "", "x", "7", "nan", b"x", 0, 1, -1, 3, 2**31, 2**63, 10**30, 10**400),
    *(0.0, -0.0, 0.5, -1.5, 1e-300, 5e-324, 1e-9, 1e9, 1e308, -1e308, math.nan, math.inf),
    *(-math.inf, 1j, (), [], {}, [1], [1, 2], (2.0, 1.0), [[1, 2]], [[1, 2], [3, 4]], [1, "a"]),
    *([[1], [2, 3]], {"kind": "x"}, {"a": 1}, {1: 2}, {1, 2}, range(2), Fraction(1, 3), object),
    *(
        np.float32(0.5),
        np.int8(2),
        np.bool_(True),
        np.array(2.0),
        np.array([1, 2]),
        np.ones((2, 2)),
    ),
    *(np.datetime64("2020-01-01"), np.array(["1"]), np.float64("nan"), Path("/nope"), len),
    *("numpy:tanh", "math:pi", "nope:x", "numpy:nope", ":", "os:system", "dipole", "soc", "hold"),
)


def _law(position, velocity):
    return -0.3 * position - 0.1 * velocity


OWN = {
    "targets": (
        *("calibration", "calibration", "field", {"centre_out": 8}, [[3, 4], [-4, 3]]),
        *({"centre_out": 4, "radius_cm": 3}, np.eye(2), ((0, 0),), [[11, 0]], {"centre_out": 0}),
    ),
    "starts": ("square", "centre", [[1, 2]], np.eye(2) * 5, [[0, 0], [9, 9]], [[30, 0]]),
    "curl": (0, 0.6, -1, [0, 2], (-1.5, 1.5), np.array([0.1, 0.2]), 900, [1, 0], 1001),
    "push": ((0, 0), (1, -1), [[0, 1], [0, 1]], np.ones(2), ([-1, 1], 2), (1e7, 0), 3),
    "law": (None, "fuzz_cases:_law", _law, "math:sin", lambda x, v: 0 * x, lambda x, v: -9e9 * x),
    "wall_cm": (None, 25, 12.0, math.inf, 1, 0.5, -1),
    "exponent": (-2, -1, 1, 0.5, 3, 100, -100, 0, 101),
    "fields": (
        ["gaussian"],
        ["gaussian", {"kind": "limit_cycle", "radius": 3}],
        [{"kind": "linear"}, {"kind": "sum", "fields": ["dipole"]}],
        [],
    ),
    "weights": (None, [1], [1, 0.5], [2, -1]),
    "blocks": (
        [{"trials": 3}, {"curl": 1.5}],
        [{"curl": [0, 1], "push": (1, 0)}],
        [{"trials": 1, "push": [[0, 1], 0]}, {"trials": 2, "curl": 2}],
        [{"trials": 0}, {}],
        [{}, {}],
        [{"trials": 1, "law": "math:sin"}, {}],
        [
            {"trials": 2, "channel": True},
            {"trials": 2, "laws": [{"curl": 1}, {}], "switch": 0.5},
            {},
        ],
        [{"trials": 2, "ramp": True, "viscous": -1}, {"catch": {"each": 2}, "channels": [1]}],
        [{"laws": [{}, {}]}],
        [{"catch": {"each": 0}}],
    ),
    "spring": (0, -2.0, 0.5, [[-1, 0.5], [0, -2]], np.eye(2) * -6000, 1e7, "stiff"),
    "spring_centre_cm": ((0, 0), (3.0, -2.0), [30, 1], 3),
    "viscous": (0, -1, 0.8, [[0, 1], [-1, 0]], -250, 1001),
    "channel": (None, True, False, (100, 5), [6000, 250], [-1, 0], 7),
    "from_s": (0, 0.3, 0.5, 7, -1),
    "until_s": (math.inf, 0.7, 1, 0.25, 0, -math.inf),
    "session_trials": (None, None, None, 2, 0),  # see `configuration`
    "trial_steps": (None, None, None, 2, 0),
    "delay_steps": (0, 1, 2, 30, 1001, -1),
    "noise_cm": (0, 0.5, 3.0, 1e5, -0.1),
    "obstacle": ((4.0, 0.0), (-2, 2), (0, 0)),
    "obstacle_cm": ((4.0, 0.0), (-3, 3), [0, 5], np.array([2.0, -1.0]), (0, 0), (30, 0)),
    "obstacle_radius_cm": (1.5, 0.5, 2, 0.1, 3.0, 0, 20),
    "demands": ([(3, 0.25)], ((5, 0.1), (4.0, -0.3)), np.full((1, 2), 0.5), [(0, 1)], [(11, 0)]),
    "repetitions": (1, 2, 2, 2, 3, 5, 10),
    "animal": (0, 0, 1, 7, 123, None),
    "n_animals": (1, 2, 3),
    "num_envs": (1, 2, 3, 5),
    "stimuli": (2, 5, 8, 9, 12, 13, 20, 32),
    "prepare_s": (0, 0.05, 0.4, 0.4, 1, 10, 5e-324),
    "window_offset_s": (0, 0.02, 0.1, 1, -0.02, -0.3, -1, 1e-17),
    "electrodes": (1, 2, 9, 25, 50, 100, 101),
}
"""Values of options whose rules do not tell enough, most of them valid."""


def value_of(rng, option):
    """A value of an option: mostly one that its rule allows, some on its bounds, some wild."""
    how = rng.random()
    if how < 0.07:
        return pick(rng, WILD)
    if option.name in OWN:
        return pick(rng, OWN[option.name])
    rule, default = option.rule, option.default
    if rule.endswith("or None") and how < 0.15:
        return None
    words = re.search(r"choose one of ([\w, -]+)", rule)
    if words:
        return pick(rng, words[1].removesuffix(", or None").split(", "))
    if "True or False" in rule:
        return bool(rng.random() < 0.5)
    if "path" in rule:
        return pick(rng, (None, "/nope.npz", Path("nope"), "", os.devnull))
    many = re.search(r"give (\d)( x \d)? (finite )?numbers", rule)
    if many or isinstance(default, tuple):
        shape = (2, 2) if many and many[2] else (2,)
        drawn = np.round(rng.normal(0, 2, shape), 3)
        if "low <= high" in rule:
            drawn = np.sort(3 + np.abs(drawn) * [1, 4])
        return pick(rng, (drawn, drawn.tolist(), tuple(map(tuple, np.atleast_2d(drawn)))))[:2]
    bounds = [(sign, float(end)) for sign, end in re.findall(r"(>=|<=|>) (-?\d[^\s,)]*)", rule)]
    if bounds and how < 0.2:
        _, end = pick(rng, bounds)
        beside = pick(rng, (end, np.nextafter(end, -np.inf), np.nextafter(end, np.inf)))
        return int(end) + int(rng.integers(-1, 2)) if "whole" in rule else float(beside)
    low = max((end for sign, end in bounds if sign != "<="), default=-math.inf)
    high = min((end for sign, end in bounds if sign == "<="), default=math.inf)
    if "whole" in rule:
        return int(np.clip(rng.integers(0, 9), max(low, -1e9), min(high, 1e9)))
    middle = float(default) if isinstance(default, int | float) and default else 1.0
    drawn = float(np.clip(middle * np.exp(0.7 * rng.normal()), low, high))
    return pick(rng, (drawn, drawn, np.float32(drawn), Fraction(drawn).limit_denominator(1000)))


def configuration(rng):
    """An id, whether it is vector, and keyword arguments."""
    options = {"repetitions": 2} if rng.random() < 0.95 else {}
    kinds = {name: name for name in TABLES}
    name = pick(rng, IDS)
    kinds |= {"task": "shift", "cortex": "topographic", "field": "gaussian"}
    kinds |= {"perturbation": "draw", "plant": "point_mass"} | OF_ID.get(name, {})
    mappings = {}
    for part in CHOSEN:
        if rng.random() < 0.35:
            kinds[part] = pick(rng, list(TABLES[part]))
            mappings[part] = {"kind": kinds[part]}
    if kinds["field"] == "sum":
        mappings["field"]["fields"] = pick(rng, OWN["fields"])
    if kinds["cortex"] == "soc" and rng.random() < 0.7 and "cortex" in mappings:
        mappings["cortex"] |= {"stimuli": 8, "units": 1}
    every = [(part, option) for part in TABLES for option in TABLES[part][kinds[part]]]
    for _ in range(int(rng.integers(0, 6))):
        part, option = pick(rng, every)
        held = mappings[part] if part in mappings and rng.random() < 0.5 else options
        held[option.name] = value_of(rng, option)
    for part, mapping in mappings.items():
        options[part] = mapping["kind"] if len(mapping) == 1 else mapping
    if rng.random() < 0.15:  # one without the other is refused
        options |= {"session_trials": int(rng.integers(1, 4)), "trial_steps": 2}
    if rng.random() < 0.1:
        options["preset"] = pick(rng, ("paper", "paper", "default", "nope", "/nope.json", 3, None))
    if rng.random() < 0.05:
        options[pick(rng, CHOSEN)] = pick(rng, WILD)
    if rng.random() < 0.02:
        options[pick(rng, ("frameskip", "dataset_", "n_trials", "subject"))] = 1
    vector = bool(rng.random() < 0.5)
    if vector:
        options["num_envs"] = pick(rng, OWN["num_envs"] if rng.random() < 0.95 else WILD)
        if rng.random() < 0.6:
            options["autoreset_mode"] = pick(rng, ("NextStep", "SameStep", "Disabled"))
    if rng.random() < 0.1:
        options["max_episode_steps"] = pick(rng, (1, 3, -1, 25))
    return f"ndbmi/{name}", vector, options


def make(env_id, vector, options):
    return (gymnasium.make_vec if vector else gymnasium.make)(env_id, **options)


def finite(name, value):
    if isinstance(value, dict):
        for key, entry in value.items():
            finite(f"{name}.{key}", entry)
    elif not np.isfinite(np.asarray(value, dtype=float)).all():
        raise Finding(f"{name} = {value!r} is not finite")


def seen(env, observation, info, keys=None):
    """Check what a reset or step returns."""
    if not env.observation_space.contains(observation):
        low, high = env.observation_space.low, env.observation_space.high
        where = np.argwhere(~((observation >= low) & (observation <= high)))
        raise Finding(
            f"observation outside its space, {observation.dtype} {observation.shape}, at "
            f"{where[:3].tolist()}: {[float(observation[tuple(i)]) for i in where[:3]]}"
        )
    finite("info", info)
    mine = {key for key in info if "final" not in key and key != "episode"}
    if keys is not None and mine != keys:
        raise Finding(f"info has other keys: {sorted(mine ^ keys)}")
    return mine


def play(env, rng, keys=None, steps=6):
    """Reset, and step with actions of all kinds."""
    vector, seed = hasattr(env, "num_envs"), int(rng.integers(2**31))
    first, info = env.reset(seed=seed)
    again, _ = env.reset(seed=seed)
    if not np.array_equal(first, again):
        raise Finding("two resets with one seed begin differently")
    keys = seen(env, first, info, keys)
    disabled = vector and env.unwrapped.autoreset_mode.value == "Disabled"
    space = env.action_space
    for i in range(steps):
        drawn = rng.random(space.shape) * (space.high - space.low) + space.low
        huge = 1e30 * rng.normal(size=space.shape)
        action = (space.high, 0 * space.high, space.low, drawn, huge, drawn)[i % 6]
        observation, reward, terminated, truncated, info = env.step(action.astype(np.float32))
        seen(env, observation, info, keys)
        finite("reward", reward)
        ended = terminated | truncated
        if vector and disabled and ended.any():
            seen(env, *env.reset(options={"reset_mask": ended}), keys)
        elif not vector and ended:
            seen(env, *env.reset(), keys)
    return keys


def refused(error, names, seconds):
    """Check a refusal; returns its message."""
    message = f"{type(error).__name__}: {error}"
    if not isinstance(error, ERRORS):
        raise Finding(f"not a refusal but {message}") from error
    if isinstance(error, TypeError) and "unexpected keyword argument" not in str(error):
        raise Finding(f"a TypeError that is not Python's own: {message}") from error
    if not REMEDY.search(str(error)):
        raise Finding(f"no remedy: {message}") from error
    if not any(name in str(error) for name in names):
        raise Finding(f"names none of what was given: {message}") from error
    if seconds > REFUSED_S:
        raise Finding(f"refused after {seconds:.1f} s: {message}") from error
    return message


def words_in(value):
    """Names in a configuration, nested ones and words among values included."""
    if isinstance(value, dict):
        return {str(key) for key in value}.union(*map(words_in, value.values()))
    if isinstance(value, list | tuple):
        return set().union(*map(words_in, value))
    if isinstance(value, str):
        return {value} if value else {"''"}
    return {str(value) if isinstance(value, Path) else repr(value)[:60]}


CONFIG_WORDS = {"interface", "window", "clock", "ticks", "target", "sites", "field", "spikes"}


def try_configuration(rng, verdict):
    env_id, vector, options = configuration(rng)
    verdict["given"] = f"{'make_vec' if vector else 'make'}({env_id!r}, **{options!r})"
    names = words_in(options) | CONFIG_WORDS
    begun = time.perf_counter()
    try:
        env = make(env_id, vector, options)
    except Exception as error:
        verdict["seconds"] = time.perf_counter() - begun
        return "refused", refused(error, names, verdict["seconds"])
    verdict["seconds"] = time.perf_counter() - begun
    if verdict["seconds"] > MADE_S:
        raise Finding(f"made only after {verdict['seconds']:.1f} s")
    before = time.perf_counter()
    keys = play(env, rng)
    if rng.random() < 0.3:
        rebuilt(env, vector)
    if rng.random() < 0.4:
        changed(env, rng, keys)
    env.close()
    spent = time.perf_counter() - before
    if spent > PLAYED_S:
        raise Finding(f"a few steps took {spent:.1f} s")
    return "worked", ""


def changed(env, rng, keys):
    """Change task and perturbation of an environment that works, or be refused."""
    options = {}
    for _ in range(int(rng.integers(1, 4))):
        part = pick(rng, CHANGEABLE)
        option = pick(rng, TABLES[part][pick(rng, list(TABLES[part]))])
        options[option.name] = value_of(rng, option)
    before, begun = env.unwrapped.episodes.config, time.perf_counter()
    try:
        env.unwrapped.change(**options)
    except Exception as error:
        refused(error, words_in(options) | CONFIG_WORDS, time.perf_counter() - begun)
        if env.unwrapped.episodes.config is not before:
            raise Finding(f"change({options!r}) was refused and has changed it") from error
    play(env, rng, keys, steps=3)


def rebuilt(env, vector):
    """Make the environment that a spec in JSON means."""
    spec = EnvSpec.from_json(env.spec.to_json())
    if vector:
        options = spec.kwargs | {"num_envs": env.num_envs}
        other = gymnasium.make_vec(spec.id, **options)
    else:
        other = gymnasium.make(spec)
    if other.unwrapped.episodes.config != env.unwrapped.episodes.config:
        raise Finding("the spec in JSON makes another environment")


ACTIONS = (
    *(None, "x", 0.5, [], [0.1] * 9, [0.1] * 8, [["0.1"] * 9], np.zeros(9), np.ones((1, 9))),
    *(np.full(9, np.nan), np.full(9, np.inf), np.zeros(9, complex), np.zeros(9, "datetime64[s]")),
    *(np.array(["0.1"] * 9), np.zeros(9, [("a", float)]), np.zeros(9, object), np.zeros(9, bool)),
    *(np.full(9, 1e308), np.full(9, 2**62), {"a": 1}, np.zeros((3, 9)), np.ones((3, 8)), object()),
    *([np.zeros(9)] * 3, np.full((3, 9), np.nan), np.zeros(0), np.zeros((3, 9), np.float16)),
)
SEEDS = (
    None,
    0,
    3,
    -1,
    1.5,
    "1",
    True,
    2**70,
    [1, 2, 3],
    [1, None, 2],
    [-1, 2, 3],
    [1],
    (),
    np.int8(3),
)
MASKS = (
    *(None, True, [True] * 3, np.ones(3, bool), np.array([True, False, True]), np.zeros(3, bool)),
    *(np.ones(2, bool), np.ones(3), np.ones((3, 1), bool), "all"),
)
POINTS = ("ab", [1], (1, 2), [[1, 2]] * 3, [[1, 2]], (99, 0), [np.nan, 0], None, 3, [[1], [2, 3]])
PLACES = (
    *({}, None, 3, "start", [("start", (1, 2))], {"strat": 1}, {1: 2}, {"animal": 0}),
    *({"animal": 1}, {"animal": [0, 0, 0]}, {"animal": "0"}, {"animal": -1}, {"animal": 0.0}),
    *({"animal": [[0]]}, {"animal": None}, {"animal": [[1], [2, 3]]}, {"animal": True}),
    *({"perturbation": {"curl": 0.3}}, {"perturbation": {"curl": "x"}}, {"perturbation": "blocks"}),
    *({"perturbation": {"law": "numpy:tanh"}}, {"perturbation": []}, {"perturbation": "nope"}),
    *({"perturbation": {"push": (5, 5)}}, {"perturbation": {"kind": "blocks", "blocks": 3}}),
    *({name: point} for name in ("start", "target") for point in POINTS),
)
WORDS = (
    *("step", "reset", "seed", "mask", "shape", "action", "start", "target", "animal", "options"),
    *("perturbation", "render_mode", "autoreset_mode", "num_envs", "max_episode_steps", "policy"),
)


def _twin(env, rng):
    other = pickle.loads(pickle.dumps(env)) if rng.random() < 0.5 else copy.deepcopy(env)
    action = env.action_space.sample()
    if env.unwrapped.episodes.trial.min() < 0:
        return
    mine, its = env.step(action), other.step(action)
    if not np.array_equal(mine[0], its[0]):
        raise Finding("a copy steps differently")


def _make(rng):
    name = pick(rng, ("render_mode", "autoreset_mode", "num_envs", "max_episode_steps"))
    vector = name in ("autoreset_mode", "num_envs") or rng.random() < 0.5
    options = {"num_envs": 2, "repetitions": 2} if vector else {"repetitions": 2}
    own = {"render_mode": "rgb_array", "autoreset_mode": "SameStep"}.get(name, 2)
    if not vector and name == "max_episode_steps":  # Gymnasium's own
        return
    value = pick(rng, (own, *WILD))
    if name == "render_mode" and not isinstance(value, str | None):  # Gymnasium falls over it
        value = None
    if vector and name == "num_envs" and isinstance(value, int) and value > 1000:
        value = 2**21
    play(make("ndbmi/ShiftTarget-v1", vector, options | {name: value}), rng, steps=2)


def _change(env, rng):
    name = pick(rng, ("dataset", "decoder", "field", "mass", "observe", "nope", "law", "task"))
    env.unwrapped.change(**{name: pick(rng, ("hold", 3, _law, None, "numpy:tanh", 1.5))})


def _draw(env, rng):
    env.reset(seed=0)
    pictures = env.render()
    if (pictures is None) != (env.unwrapped.render_mode is None):
        raise Finding(f"render() returned {type(pictures)}")


def _close(env, rng):
    env.close()
    env.close()


def _act(env, rng):
    policy = make_policy(
        pick(rng, ("zero", "random", "eq24", "nope", "", 3, None, "numpy:pi")), env
    )
    observation = env.reset(seed=1)[0]
    if not env.action_space.contains(policy.predict(observation)[0]):
        raise Finding("a policy leaves the box")


def _reset_mask(env, rng):
    if hasattr(env, "num_envs"):
        env.reset(seed=pick(rng, (None, 3)), options={"reset_mask": pick(rng, MASKS)})


CALLS = {
    "step": lambda env, rng: env.step(pick(rng, ACTIONS)),
    "seed": lambda env, rng: env.reset(seed=pick(rng, SEEDS)),
    "options": lambda env, rng: env.reset(options=pick(rng, PLACES)),
    "mask": _reset_mask,
    "copy": _twin,
    "make": lambda env, rng: _make(rng),
    "change": _change,
    "render": _draw,
    "close": _close,
    "policy": _act,
}


def try_call(rng, verdict):
    vector, begun = bool(rng.random() < 0.5), bool(rng.random() < 0.7)
    options = {"repetitions": 2} | ({"num_envs": 3} if vector else {"disable_env_checker": True})
    options |= {"autoreset_mode": pick(rng, ("NextStep", "SameStep", "Disabled"))} if vector else {}
    options |= {"render_mode": "rgb_array"} if rng.random() < 0.05 else {}
    env = make("ndbmi/ShiftTarget-v1", vector, options)
    if not rng.random() < 0.2:
        env = env.unwrapped
    if begun:
        env.reset(seed=2)
        env.step(np.zeros(env.action_space.shape, np.float32))
    episodes, name = env.unwrapped.episodes, pick(rng, list(CALLS))
    verdict["given"] = f"{name} of {'a vector' if vector else 'an'} environment, begun: {begun}"

    def snapshot():
        random = env.unwrapped._np_random
        state = None if random is None else str(random.bit_generator.state)
        return state, *(
            a.tobytes() for a in (episodes.state.values, episodes.target, episodes.trial)
        )

    before, at = snapshot(), time.perf_counter()
    try:
        CALLS[name](env, rng)
    except Exception as error:
        seconds = time.perf_counter() - at
        text = refused(error, WORDS + ("curl", "push", "law", *words_in(list(TABLES))), seconds)
        if name in ("step", "seed", "options", "mask") and snapshot() != before:
            raise Finding(f"{name} was refused and has changed something: {text}") from error
        status = "refused"
    else:
        status, text = "worked", ""
    if name != "close":
        play(env, rng, steps=3)
    env.close()
    return status, text


KINDS = {"configuration": try_configuration, "call": try_call}
