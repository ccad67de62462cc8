"""The code of docs/parts.md does what the page says."""

import re
from dataclasses import dataclass
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import ndbmi_gym  # noqa: F401
from ndbmi_gym.checks import number, settle
from ndbmi_gym.envs.scalar import BMIEnv
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.tasks import Judged, Outcome
from ndbmi_gym.tasks.reach import Reach

PAGE = (Path(__file__).parents[1] / "docs" / "parts.md").read_text(encoding="utf-8")
FEW = {"dataset": 5, "repetitions": 3}


def written(name):
    """A class as the page has it."""
    block = next(
        b for b in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if f"class {name}" in b
    )
    known = {
        "dataclass": dataclass,
        "np": np,
        "number": number,
        "settle": settle,
        "Reach": Reach,
        "Outcome": Outcome,
        "Judged": Judged,
        "__name__": "written",
    }
    exec(block, known)
    return known[name]


def test_the_field():
    field = written("Corridor")(strength=2.0)
    env = BMIEnv(field=field, **FEW)
    env.reset(seed=0)
    *_, info = env.step(np.zeros(env.action_space.shape, np.float32))
    np.testing.assert_allclose(info["commanded_force"], field(info["virtual_point"]))
    with pytest.raises(ValueError, match="strength = 200: give a finite number > 0 and <= 100"):
        written("Corridor")(strength=200)


def test_the_schedule():
    env = BMIEnv(perturbation=written("Alternating")(), **FEW)
    curls = [env.reset(seed=0 if k == 0 else None)[1]["curl"] for k in range(4)]
    assert curls == [0.0, 1.5, 0.0, 1.5]


def test_the_task():
    env = BMIVectorEnv(20, max_episode_steps=25, task=written("StayRight")(fine=2.0), **FEW)
    starts = np.tile([[-3.0, 0.0], [3.0, 0.0]], (10, 1))
    env.reset(seed=0, options={"start": starts, "target": (5.0, 5.0)})
    _, reward, terminated, _, info = env.step(np.zeros(env.action_space.shape, np.float32))
    left = info["position"][:, 0] < 0
    assert 0 < left.sum() < 20
    np.testing.assert_array_equal(info["failed"], left)
    np.testing.assert_array_equal(terminated, left)
    np.testing.assert_array_equal(info["reward_penalty"], np.where(left, -2.0, 0.0))
    terms = [value for name, value in info.items() if name.startswith("reward_")]
    np.testing.assert_allclose(reward, sum(terms))


@pytest.mark.parametrize("line", re.findall(r"^(?:env|venv)\..*change.*$", PAGE, re.MULTILINE))
def test_every_way_of_changing(line):
    made = {
        "scalar": lambda: gymnasium.make("ndbmi/ShiftTarget-v1", **FEW),
        "native": lambda: gymnasium.make_vec("ndbmi/ShiftTarget-v1", num_envs=2, **FEW),
        "Gymnasium": lambda: gymnasium.make_vec(
            "ndbmi/ShiftTarget-v1", num_envs=2, vectorization_mode="sync", **FEW
        ),
        "Baselines3": lambda: _adapted(),
    }
    env = next(make() for word, make in reversed(made.items()) if word in line)
    code, _, _ = line.partition("  #")
    exec(code, {"env": env, "venv": env})
    inner = env.envs[0].unwrapped if hasattr(env, "envs") else getattr(env, "env", env).unwrapped
    task, forces = inner.episodes.task, inner.episodes.config.perturbation
    assert task != Reach() or forces.ranges().any()
    env.close()


def _adapted():
    from ndbmi_gym.sb3 import NativeVecEnv

    return NativeVecEnv(
        gymnasium.make_vec("ndbmi/ShiftTarget-v1", num_envs=2, autoreset_mode="SameStep", **FEW)
    )
