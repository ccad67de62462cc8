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
from ndbmi_gym.compiled import compiled

OPTIONS = {"dataset": 1, "window_s": 0.05, "repetitions": 3, "observe": "full"}

PLAY = f"""
import hashlib, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.resetwarnings()  # as for a user
    import gymnasium
    import ndbmi_gym
    env = gymnasium.make("ndbmi/FixedField-v0", **{OPTIONS})
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


def test_a_read_only_installation_computes_the_same(sealed):
    env = gymnasium.make("ndbmi/FixedField-v0", **OPTIONS)
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


def test_other_troubles_of_numba_are_not_hidden(monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_LOCATOR_CLASSES", "NoSuchLocator", raising=False)
    with pytest.raises(RuntimeError, match="NoSuchLocator"):
        compiled(add)


def test_no_module_compiles_in_another_way():
    for path in Path(ndbmi_gym.__file__).parent.rglob("*.py"):
        assert path.name == "compiled.py" or "njit" not in path.read_text(), path
