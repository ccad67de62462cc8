import base64
import json
import pickle
from pathlib import Path
from zipfile import ZipFile

import gymnasium
import numpy as np
import pytest
import torch
from sb3_contrib import TQC, RecurrentPPO
from stable_baselines3 import A2C, PPO, SAC, TD3
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

import ndbmi_gym  # noqa: F401
from agents.models import load_policy

ENV = "ndbmi/ShiftTarget-v1"
SMALL = {"net_arch": [8], "activation_fn": torch.nn.ReLU}
KINDS = {
    "ppo": (PPO, "MlpPolicy", {"policy_kwargs": {"net_arch": {"pi": [8, 4], "vf": [6]}}}),
    "ppo, other activation": (PPO, "MlpPolicy", {"policy_kwargs": SMALL | {"log_std_init": -1.0}}),
    "ppo, gSDE": (PPO, "MlpPolicy", {"use_sde": True}),
    "a2c": (A2C, "MlpPolicy", {}),
    "sac": (SAC, "MlpPolicy", {"policy_kwargs": SMALL | {"n_critics": 1}, "buffer_size": 10}),
    "td3": (TD3, "MlpPolicy", {"policy_kwargs": {"net_arch": [8]}, "buffer_size": 10}),
    "recurrent": (RecurrentPPO, "MlpLstmPolicy", {"policy_kwargs": {"lstm_hidden_size": 8}}),
}


class OwnPolicy(ActorCriticPolicy):
    """A policy that is not SB3's own."""


@pytest.fixture(scope="module")
def env():
    return gymnasium.make(ENV)


class Bomb:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark):
        self._mark = str(mark)

    def __reduce__(self):
        return Path(self._mark).touch, ()


def tampered(source, target, mark):
    """A copy of a model in which every pickle is a bomb."""
    bomb = base64.b64encode(pickle.dumps(Bomb(mark))).decode()
    with ZipFile(source) as old, ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "data":
                data = json.loads(content)
                for value in data.values():
                    if isinstance(value, dict) and ":serialized:" in value:
                        value[":serialized:"] = bomb
                content = json.dumps(data).encode()
            new.writestr(name, content)
    return target


class TestWithoutPickle:
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_model_acts_as_before(self, kind, env, tmp_path):
        algorithm, policy, arguments = KINDS[kind]
        model = algorithm(policy, env, device="cpu", seed=0, **arguments)
        model.save(tmp_path / "model.zip")
        loaded = load_policy(tmp_path / "model.zip")
        assert loaded.action_space == model.action_space
        np.testing.assert_allclose(loaded.observation_space.low, env.observation_space.low)
        np.testing.assert_allclose(loaded.observation_space.high, env.observation_space.high)
        seen = np.stack([env.observation_space.sample() for _ in range(5)]).clip(-1, 1)
        state = other = None
        for _ in range(3):
            action, state = model.predict(seen, state, deterministic=True)
            same, other = loaded.predict(seen, other, deterministic=True)
            np.testing.assert_array_equal(same, action)

    def test_nothing_in_a_tampered_file_runs(self, env, tmp_path):
        model, mark = PPO("MlpPolicy", env, device="cpu", policy_kwargs=SMALL), tmp_path / "ran"
        model.save(tmp_path / "model.zip")
        bad = tampered(tmp_path / "model.zip", tmp_path / "bad.zip", mark)
        seen = env.observation_space.sample()
        loaded = load_policy(bad)
        assert loaded.predict(seen, deterministic=True)[0] == pytest.approx(
            model.predict(seen, deterministic=True)[0]
        )
        assert not mark.exists()
        with pytest.raises(ValueError, match="does not hold the network"):
            load_policy(bad, trust=True)
        assert mark.exists()  # the bomb is a live one

    @pytest.mark.parametrize("trust", [False, True])
    def test_nor_do_weights_that_are_none(self, trust, env, tmp_path):
        mark = tmp_path / "ran"
        PPO("MlpPolicy", env, device="cpu").save(tmp_path / "model.zip")
        with (
            ZipFile(tmp_path / "model.zip") as old,
            ZipFile(tmp_path / "bad.zip", "w") as new,
            new.open("policy.pth", "w") as weights,
        ):
            torch.save(Bomb(mark), weights)
            weights.close()
            new.writestr("data", old.read("data"))
        with pytest.raises(ValueError, match=r"bad.zip does not hold the network"):
            load_policy(tmp_path / "bad.zip", trust)
        assert not mark.exists()

    def test_bounds_too_long_to_be_written_are_unknown(self, env, tmp_path):
        venv = VecFrameStack(DummyVecEnv([lambda: gymnasium.make(ENV)]), 60)
        PPO("MlpPolicy", venv, device="cpu", policy_kwargs=SMALL).save(tmp_path / "model.zip")
        loaded = load_policy(tmp_path / "model.zip")
        assert loaded.observation_space.shape == (1200,)
        assert np.isinf(loaded.observation_space.low).all()


class TestWhatIsRefused:
    @pytest.mark.parametrize("algorithm", [PPO, TQC])
    def test_other_policies_want_trust(self, algorithm, env, tmp_path):
        policy = OwnPolicy if algorithm is PPO else "MlpPolicy"
        more = {} if algorithm is PPO else {"buffer_size": 10}
        model = algorithm(policy, env, device="cpu", **more)
        model.save(tmp_path / "model.zip")
        with pytest.raises(ValueError, match=r"model.zip: its policy is of '.*: give --trust"):
            load_policy(tmp_path / "model.zip")
        loaded = load_policy(tmp_path / "model.zip", trust=True)
        seen = env.observation_space.sample()
        np.testing.assert_array_equal(
            loaded.predict(seen, deterministic=True)[0], model.predict(seen, deterministic=True)[0]
        )

    def test_arguments_that_are_not_plain_want_trust(self, env, tmp_path):
        kwargs = SMALL | {"squash_output": False}
        PPO("MlpPolicy", env, device="cpu", policy_kwargs=kwargs).save(tmp_path / "model.zip")
        with pytest.raises(ValueError, match=r"squash_output = False.*--trust"):
            load_policy(tmp_path / "model.zip")

    def test_what_is_no_model_is_said_in_one_line(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no model"):
            load_policy(tmp_path / "none.zip")
        (tmp_path / "text.zip").write_text("hello")
        with pytest.raises(ValueError, match=r"text.zip is no intact model .*another copy"):
            load_policy(tmp_path / "text.zip")
        with ZipFile(tmp_path / "other.zip", "w") as file:
            file.writestr("data", "{}")
        with pytest.raises(ValueError, match=r"other.zip is no intact model"):
            load_policy(tmp_path / "other.zip")
