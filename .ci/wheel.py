"""What must hold where the package was installed from its wheel, far from any checkout.

``python wheel.py core`` where there are no extras, ``read-only`` where nothing can be written
either, ``sb3`` with that extra.
"""

import subprocess
import sys
import warnings
from importlib import import_module
from importlib.metadata import metadata
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import gymnasium
import numpy as np
from gymnasium.error import DependencyNotInstalled

NO_CACHE = "numba can keep no machine code"


def ids():
    """The package's ids."""
    return [name for name in gymnasium.registry if name.startswith("ndbmi/")]


def step(env):
    """Reset and three steps; everything is as the spaces say."""
    observation, _ = env.reset(seed=0)
    env.action_space.seed(0)
    assert env.observation_space.contains(observation)
    for _ in range(3):
        observation, reward, *_ = env.step(env.action_space.sample())
        assert env.observation_space.contains(observation)
        assert np.isfinite(reward).all()
    env.close()


def environments():
    """All ids, scalar and vector, and as their specs write them."""
    assert len(ids()) >= 5
    for name in ids():
        env = gymnasium.make(name)
        step(env)
        step(gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json())))
        step(gymnasium.make_vec(name, num_envs=3))
        step(gymnasium.make_vec(name, num_envs=2, vectorization_mode="sync"))
    print(f"{len(ids())} ids made and stepped")


def contents():
    """It is the installed package, whole, without what belongs to a checkout."""
    import ndbmi_gym

    assert Path(ndbmi_gym.__file__).is_relative_to(sys.prefix), ndbmi_gym.__file__
    for name in ("agents", "tests", "examples", "docs"):
        assert find_spec(name) is None, f"{name} is on the path"
    for name in ("py.typed", "data/soc.npz", "data/agents.json"):
        assert (Path(ndbmi_gym.__file__).parent / name).exists(), name
    told = metadata("ndbmi-gym")
    addresses = dict(each.split(", ") for each in told.get_all("Project-URL"))
    assert all(each.startswith(addresses["Repository"]) for each in addresses.values())
    page = told.get_payload()
    assert f"]({addresses['Repository']}/raw/main/docs/" in page, "no picture"
    assert "](docs/" not in page, "a relative link"
    assert 'src="docs/' not in page, "a relative picture"


def command(line):
    """Exit status and what the command ``ndbmi-gym`` prints and says, in an empty folder."""
    run = [str(Path(sys.executable).parent / "ndbmi-gym"), *line.split()]
    with TemporaryDirectory() as folder:
        done = subprocess.run(run, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def refused(extra, call):
    """A call fails for want of an extra, and says so."""
    try:
        call()
    except (ImportError, DependencyNotInstalled) as error:
        if f'pip install "ndbmi-gym[{extra}]"' in str(error):
            return
        raise
    raise AssertionError(f"it works without {extra}")


def advice():
    """What is missing is named with the line that brings it."""
    from ndbmi_gym.film import film

    status, printed, _ = command("parts")
    assert status == 0
    assert "task" in printed
    for line, extra in {
        "reproduce fig2": "reproduce",
        "recover": "recover",
        "readings": "recover",
        "circuit report": "reproduce",
        "watch HoldTarget-v1": "render",
    }.items():
        status, _, said = command(line)
        assert status == 2
        assert f'pip install "ndbmi-gym[{extra}]"' in said, (line, said)
    env = gymnasium.make(ids()[0], render_mode="rgb_array")
    env.reset()
    refused("render", env.render)
    refused("render", lambda: film(ids()[0], "zero", "never.mp4"))
    refused("sb3", lambda: import_module("ndbmi_gym.sb3"))
    print("advice is true")


def trained_agents():
    """Every trained agent of the package acts, without torch."""
    from ndbmi_gym.policies.pretrained import shipped
    from ndbmi_gym.rollout import score

    assert find_spec("torch") is None
    for name in shipped():
        assert np.isfinite(score(name, "pretrained", trials=2)["score"]).all()
    print(f"{len(shipped())} trained agents played")


def trials():
    """Trials are recorded, written and read again."""
    from ndbmi_gym.recording import load_trials, record, save_trials, to_minari

    found = record(ids()[0], "zero", 3, keys=("position",))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trials.npz"
        save_trials(path, found, ids()[0])
        again, spec = load_trials(path)
    for one, other in zip(again, found, strict=True):
        np.testing.assert_array_equal(one.observations, other.observations)
        np.testing.assert_array_equal(one.infos["position"], other.infos["position"])
    step(gymnasium.make(spec))
    refused("minari", lambda: to_minari("ndbmi/wheel-v0", found, ids()[0]))
    print("trials recorded, written and read")


def train_and_film():
    """A few hundred steps of SB3 on the batch; films by the package and by Gymnasium's wrapper."""
    from gymnasium.wrappers import RecordVideo
    from stable_baselines3 import PPO

    from ndbmi_gym.film import film as film_policy
    from ndbmi_gym.sb3 import NativeVecEnv

    for name in ids():
        batch = NativeVecEnv(gymnasium.make_vec(name, num_envs=8, autoreset_mode="SameStep"))
        policy = "MultiInputPolicy" if "Goal" in name else "MlpPolicy"
        agent = PPO(policy, batch, n_steps=32, batch_size=64, n_epochs=2, seed=0)
        assert agent.learn(512).num_timesteps == 512
    with TemporaryDirectory() as folder:
        env = gymnasium.make(ids()[0], render_mode="rgb_array", max_episode_steps=3)
        films = Path(folder) / "films"
        step(RecordVideo(env, str(films), episode_trigger=lambda _: True))
        (film,) = films.glob("*.mp4")
        assert film.stat().st_size > 1000
        for suffix in ("mp4", "gif"):
            own = Path(folder) / f"own.{suffix}"
            film_policy(ids()[0], "zero", own, trials=1, render_size=(300, 200))
            assert own.stat().st_size > 1000
    print("trained and filmed")


def main(where):
    """All that must hold in a place."""
    with warnings.catch_warnings(record=where == "read-only") as caught:
        import ndbmi_gym  # noqa: F401 (registers the ids)

        environments()
    contents()
    if where == "read-only":
        told = [str(each.message) for each in caught]
        assert told, "it could write"
        assert all(NO_CACHE in each for each in told), told
    if where == "sb3":
        train_and_film()
    else:
        trained_agents()
        advice()
        trials()


if __name__ == "__main__":
    main(*sys.argv[1:])
