"""Compiled functions where machine code can be kept, and where it cannot."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import gymnasium
import numba
import pytest

import ndbmi_gym
from ndbmi_gym.compiled import _Files, compiled

OPTIONS = {"dataset": 1, "window_s": 0.05, "repetitions": 3, "observe": "full"}

PLAY = f"""
import hashlib, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.resetwarnings()  # as for a user
    import gymnasium
    import ndbmi_gym
    env = gymnasium.make("ndbmi/FixedField-v1", **{OPTIONS})
told = [str(each.message) for each in caught if each.category is RuntimeWarning]
seen, _ = env.reset(seed=3)
seen, *_ = env.step(env.action_space.high)
print(ndbmi_gym.__file__)
print(hashlib.sha256(seen.tobytes()).hexdigest())
print(len(told), sum("NUMBA_CACHE_DIR" in each for each in told))
"""


def add(a, b):
    return a + b


def test_machine_code_is_kept_where_it_can_be():
    made = compiled(add)
    assert made(1, 2) == 3
    assert made.stats.cache_path == numba.njit(cache=True)(add).stats.cache_path
    assert made.stats.cache_path is not None


def run(folder, **environment):
    """Make, reset and step in a process of its own, with the package of a folder."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA", "XDG"))}
    done = subprocess.run(
        [sys.executable, "-c", PLAY],
        env=kept | {"PYTHONPATH": str(folder)} | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    where, digest, warnings = done.stdout.splitlines()
    assert Path(where).is_relative_to(folder)
    return digest, warnings


@pytest.fixture
def sealed(tmp_path):
    """An installation and a home in which no cache folder can be made, not even by root."""
    source, copy = Path(ndbmi_gym.__file__).parent, tmp_path / "site" / "ndbmi_gym"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in [copy, *(each for each in copy.rglob("*") if each.is_dir())]:
        (folder / "__pycache__").touch()  # a file is in the way of the folder
    (tmp_path / "home").touch()
    return tmp_path


@pytest.mark.slow
def test_a_read_only_installation_computes_the_same(sealed):
    env = gymnasium.make("ndbmi/FixedField-v1", **OPTIONS)
    env.reset(seed=3)
    seen, *_ = env.step(env.action_space.high)
    expected = hashlib.sha256(seen.tobytes()).hexdigest()
    digest, warnings = run(sealed / "site", HOME=str(sealed / "home"))
    assert digest == expected
    assert warnings == "1 1"  # one for all functions, with the remedy


@pytest.mark.slow
def test_the_remedy_helps(sealed):
    cache = sealed / "cache"
    _, warnings = run(sealed / "site", HOME=str(sealed / "home"), NUMBA_CACHE_DIR=str(cache))
    assert warnings == "0 0"
    assert list(cache.rglob("*.nbc"))


# What is kept is found again, and no longer when something that it is made of has changed

ROOMS = {
    "inner": (
        "from ndbmi_gym.compiled import compiled\n\n@compiled\ndef inner(x):\n    return x + {}\n"
    ),
    "middle": (
        "from ndbmi_gym.compiled import compiled\nfrom rooms.inner import inner\n\n"
        "@compiled\ndef middle(x):\n    return 2 * inner(x)\n"
    ),
    "outer": """
from typing import NamedTuple
from ndbmi_gym.compiled import _Files, compiled
from rooms.middle import middle

class Pair(NamedTuple):
    a: float
    b: float

class Other(NamedTuple):
    b: float
    a: float

@compiled
def square(x):
    return x * x

@compiled
def cube(x):
    return x * x * x

@compiled
def outer(x):
    return middle(x)

def composed(function, made):
    @compiled
    def step(x):
        pair = made(x, 10.0)
        return function(pair.a) + middle(pair.b)
    return step
""",
}

CALL = """
from rooms.outer import Other, Pair, composed, cube, middle, outer, square
steps = [composed(f, made) for f in (square, cube) for made in (Pair, Other)]
print(outer(1.0), middle(1.0), *(step(3.0) for step in steps))
for each in (outer, middle, *steps):
    print(sum(each.stats.cache_hits.values()), sum(each.stats.cache_misses.values()))
"""


def in_another_process(folder, call=CALL):
    """What functions of a package in a folder return, and which of them had to be compiled."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA")}
    done = subprocess.run(
        [sys.executable, "-c", call],
        env=kept | {"PYTHONPATH": f"{folder}{os.pathsep}{Path(ndbmi_gym.__file__).parent.parent}"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    values, *counts = done.stdout.splitlines()
    return [float(value) for value in values.split()], counts


def write(folder, name, *values):
    path = folder / "rooms" / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(ROOMS[name].format(*values) if values else ROOMS[name])


def test_kept_code_is_found_again_and_forgotten_when_what_it_calls_has_changed(tmp_path):
    """`outer` calls into `middle`, which calls into `inner`, each in a file of its own."""
    for name in ROOMS:
        write(tmp_path, name, *([1.0] if name == "inner" else []))
    # square and cube of 3 or, where the names are in the other order, of 10
    first = [4.0, 4.0, 9 + 22, 100 + 8, 27 + 22, 1000 + 8]
    values, counts = in_another_process(tmp_path)
    assert values == first
    assert counts == ["0 1"] * 6
    values, counts = in_another_process(tmp_path)
    assert values == first
    assert counts == ["1 0"] * 6
    write(tmp_path, "inner", 2.5)
    values, counts = in_another_process(tmp_path)
    assert values == [each + 3 for each in first]
    assert counts == ["0 1"] * 6
    values, counts = in_another_process(tmp_path)
    assert values == [each + 3 for each in first]
    assert counts == ["1 0"] * 6


CONSTANT = """
from ndbmi_gym.compiled import _Files, compiled
from rooms.limits import FACTORS, LIMIT

@compiled
def within(x):
    return min(x, LIMIT) * FACTORS[1]

@compiled
def outer(x):
    return within(x) + 1
"""

CALL_CONSTANT = """
from rooms.bounded import outer, within
print(outer(100.0), within(100.0))
for each in (outer, within):
    print(sum(each.stats.cache_hits.values()), sum(each.stats.cache_misses.values()))
"""


def test_kept_code_is_forgotten_when_a_constant_of_another_module_has_changed(tmp_path):
    write(tmp_path, "inner", 1.0)  # makes the folder
    folder = tmp_path / "rooms"
    (folder / "bounded.py").write_text(CONSTANT)
    for limit, factor in ((2.0, 1.0), (30.25, 1.0), (30.25, 10.5)):
        (folder / "limits.py").write_text(f"LIMIT = {limit}\nFACTORS = (0.0, {factor})\n")
        for misses in (1, 0):
            values, counts = in_another_process(tmp_path, CALL_CONSTANT)
            assert values == [limit * factor + 1, limit * factor]
            assert counts == [f"{1 - misses} {misses}"] * 2


PAIRED = """
from typing import NamedTuple
from ndbmi_gym.compiled import _Files, compiled

class {0}(NamedTuple):
    a: float

@compiled
def double(pair):
    return 2 * pair.a
"""


def test_kept_code_for_a_type_that_is_no_longer_there_is_forgotten(tmp_path):
    """What an earlier version has left must not be in the way of the next."""
    write(tmp_path, "inner", 1.0)  # makes the folder
    for name in ("Pair", "Renamed"):
        (tmp_path / "rooms" / "paired.py").write_text(PAIRED.format(name))
        call = f"from rooms.paired import double, {name}\nprint(double({name}(1.5)))\n"
        assert in_another_process(tmp_path, call)[0] == [3.0]


MANY_WAYS = """
import sys
import gymnasium
import ndbmi_gym
for env_id in ("ndbmi/ShiftTarget-v1", "ndbmi/ShiftTargetSOC-v1"):
    env = gymnasium.make(env_id)
    env.reset(seed=3)
    env.step(env.action_space.high)
    batch = gymnasium.make_vec(env_id, num_envs=70, threads=2, autoreset_mode="SameStep")
    batch.reset(seed=[3] * 70)
    action = batch.action_space.high.copy()
    action.setflags(write=False)
    for _ in range(26):
        batch.step(action)
    kernel = env.unwrapped.episodes._compiled._kernel
    assert kernel is batch.unwrapped.episodes._compiled._kernel
    print(len(kernel.signatures), sum(kernel.stats.cache_misses.values()))
for name, module in sorted(sys.modules.items()):
    if name.startswith("ndbmi_gym"):
        for function in vars(module).values():
            if len(getattr(function, "signatures", ())) > 1 and function.__module__ == name:
                print(name, function.__name__, *function.signatures)
"""


def played_in_many_ways(folder):
    """Signatures and compilations of the step by id, and functions of several signatures."""
    done = subprocess.run(
        [sys.executable, "-c", MANY_WAYS],
        env=dict(os.environ) | {"PYTHONPATH": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=290,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_nothing_is_compiled_for_two_kinds_of_arguments():
    """By one process to leave the code for another."""
    folder = Path(ndbmi_gym.__file__).parent.parent
    played_in_many_ways(folder)
    assert played_in_many_ways(folder) == ["1 0"] * 2


PICKLED = """
import pickle, sys
import gymnasium, numpy as np
import ndbmi_gym
if sys.argv[2] == "dump":
    env = gymnasium.make_vec("ndbmi/ShiftTarget-v1", num_envs=4, repetitions=3)
    env.reset(seed=1)
    pickle.dump(env, open(sys.argv[1], "wb"))
else:
    env = pickle.load(open(sys.argv[1], "rb"))
print(hash(env.step(np.ones((4, 9), np.float32))[0].tobytes()))
print(sum(env.unwrapped.episodes._compiled._kernel.stats.cache_misses.values()))
"""


def test_a_pickled_environment_finds_its_code_in_another_process(tmp_path):
    folder, told = Path(ndbmi_gym.__file__).parent.parent, []
    for way in ("dump", "load"):
        done = subprocess.run(
            [sys.executable, "-c", PICKLED, str(tmp_path / "env.pkl"), way],
            env=dict(os.environ) | {"PYTHONPATH": str(folder), "PYTHONHASHSEED": "0"},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=290,
        )
        assert done.returncode == 0, done.stderr
        told.append(done.stdout.splitlines())
    assert told[0][0] == told[1][0]
    assert told[1][1] == "0"


@pytest.mark.slow(minutes=10)
def test_nothing_is_compiled_twice(tmp_path):
    source, copy = Path(ndbmi_gym.__file__).parent, tmp_path / "ndbmi_gym"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    assert played_in_many_ways(tmp_path)[:2] == ["1 1"] * 2
    assert played_in_many_ways(tmp_path) == ["1 0"] * 2


def test_other_troubles_of_numba_are_not_hidden(monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_LOCATOR_CLASSES", "NoSuchLocator", raising=False)
    with pytest.raises(RuntimeError, match="NoSuchLocator"):
        compiled(add)


def test_no_module_compiles_in_another_way():
    for path in Path(ndbmi_gym.__file__).parent.rglob("*.py"):
        assert path.name == "compiled.py" or "njit" not in path.read_text(), path


def test_processes_that_compile_at_once_cannot_swap_their_code(tmp_path, monkeypatch):
    files = _Files(str(tmp_path), "step", "stamp")
    with monkeypatch.context() as at_once:  # neither sees what the other has kept
        at_once.setattr(_Files, "_load_index", lambda self: {})
        for key in ("floats", "integers"):
            files.save((key,), f"code for {key}")
    assert files.load(("integers",)) == "code for integers"
    assert files.load(("floats",)) is None  # compiled once more, rather than another's
    files.save(("floats",), "code for floats")
    for key in ("floats", "integers"):
        assert files.load((key,)) == f"code for {key}"
