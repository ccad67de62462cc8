import json
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from quick_runs import QUICK, QUICK_SAC, quick
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO, SAC, TD3
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack
from torch import nn

from agents import convert, recorder, runs, train
from agents.convert import linear, network_of, recurrent
from agents.runs import make_venv
from ndbmi_gym.policies.network import Network, load_network
from ndbmi_gym.rollout import as_actor, score

ENV = "ndbmi/HoldTarget-v1"
RELU = {"net_arch": [32, 16], "activation_fn": nn.ReLU}
KINDS = {
    "ppo": (PPO, "MlpPolicy", 1, {"policy_kwargs": {"net_arch": {"pi": [64, 8], "vf": [4]}}}),
    "ppo, no hidden layer": (PPO, "MlpPolicy", 1, {"policy_kwargs": {"net_arch": []}}),
    "ppo, stacked": (PPO, "MlpPolicy", 4, {"policy_kwargs": RELU}),
    "ppo, gSDE and squashed": (
        PPO,
        "MlpPolicy",
        1,
        {"use_sde": True, "policy_kwargs": {"squash_output": True}},
    ),
    "sac": (SAC, "MlpPolicy", 1, {"buffer_size": 10}),
    "sac, stacked": (SAC, "MlpPolicy", 2, {"buffer_size": 10, "policy_kwargs": RELU}),
    "td3": (TD3, "MlpPolicy", 1, {"buffer_size": 10, "policy_kwargs": {"net_arch": [8]}}),
    "recurrent": (RecurrentPPO, "MlpLstmPolicy", 1, {"policy_kwargs": {"net_arch": [8]}}),
    "recurrent, two layers, shared": (
        RecurrentPPO,
        "MlpLstmPolicy",
        1,
        {
            "policy_kwargs": {
                "n_lstm_layers": 2,
                "lstm_hidden_size": 16,
                "shared_lstm": True,
                "enable_critic_lstm": False,
            }
        },
    ),
}


@pytest.fixture(scope="module")
def observations():
    """1,000 in a row along trials: 25 trials, 40 steps (40, 25, d)."""
    env = gymnasium.make_vec(ENV, num_envs=25, volition="signed")
    rng = np.random.default_rng(0)
    seen, _ = env.reset(seed=0)
    found = []
    for _ in range(40):
        found.append(seen)
        low, high = env.action_space.low, env.action_space.high
        seen, *_ = env.step(rng.uniform(low, high).astype(np.float32))
    env.close()
    return np.array(found)


def moved(policy, seed=0):
    """The policy with weights far from those of the beginning, so that actions use their range."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for each in policy.parameters():
            each += 0.2 * torch.randn(each.shape, generator=generator)
    return policy


def difference(one, other, observations):
    """The largest difference between actions; a trial in five begins anew at step 20."""
    state = memory = None
    largest, spread = 0.0, []
    for i, seen in enumerate(observations):
        begun = np.zeros(len(seen), bool) | (i == 0)
        begun[::5] |= i == 20
        action, state = one.predict(seen, state, begun, deterministic=True)
        wanted, memory = other.predict(seen, memory, begun, deterministic=True)
        largest = max(largest, np.abs(action - wanted).max())
        spread.append(wanted)
    assert np.std(spread) > 0.1  # not all at a bound
    return largest


class Showing(gymnasium.Env):
    """One that shows a mapping with a single entry."""

    def __init__(self, space):
        self.observation_space = gymnasium.spaces.Dict({"seen": space})
        self.action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)


class TestEqualToTorch:
    @pytest.mark.parametrize("algorithm", [PPO, SAC])
    def test_on_mappings(self, algorithm):
        env_id = "ndbmi/ShiftTargetGoal-v0"
        model = algorithm("MultiInputPolicy", make_venv(env_id, {}, 2), device="cpu", seed=0)
        moved(model.policy)
        env = gymnasium.make_vec(env_id, num_envs=40)
        seen, _ = env.reset(seed=0)
        network = network_of(model.policy)
        assert network.keys == tuple(env.single_observation_space)
        acted = []
        for _ in range(25):
            wanted, _ = model.policy.predict(seen, deterministic=True)
            action, _ = network.predict(seen)
            assert np.abs(action - wanted).max() < 1e-5
            seen, *_ = env.step(action)
            acted.append(action)
        env.close()
        assert np.std(acted) > 0.1  # not all at a bound

    @pytest.mark.parametrize("kind", KINDS)
    def test_on_a_thousand_observations(self, kind, observations):
        algorithm, policy, frames, arguments = KINDS[kind]
        venv = make_venv(ENV, {"volition": "signed"}, 2, frames)
        model = algorithm(policy, venv, device="cpu", seed=0, **arguments)
        moved(model.policy)
        env = gymnasium.make_vec(ENV, num_envs=2, volition="signed")
        ours = as_actor(network_of(model.policy), env)
        assert getattr(ours, "frames", 1) == frames
        assert difference(ours, as_actor(model.policy, env), observations) < 1e-5

    def test_a_gru_that_is_joined_to_its_encoding(self, observations):
        torch.manual_seed(0)
        width, actions = observations.shape[-1], 9
        encoder = nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 16), nn.Tanh())
        memory, head = nn.GRU(16, 24), nn.Linear(24 + 16, actions)
        for part in (encoder, memory, head):
            moved(part)
        (layer,) = recurrent(memory)
        low, high = np.full(actions, -1, np.float32), np.ones(actions, np.float32)
        net = Network(
            (*linear(encoder), replace(layer, joined=True), *linear([head])),
            gymnasium.spaces.Box(-np.inf, np.inf, (width,)),
            gymnasium.spaces.Box(low, high),
        )
        with torch.no_grad():
            encoded = encoder(torch.from_numpy(observations))
            wanted = head(torch.cat([memory(encoded)[0], encoded], dim=-1)).clip(-1, 1).numpy()
        state, found = None, []
        for seen in observations:
            action, state = net.predict(seen, state)
            found.append(action)
        assert np.std(wanted) > 0.1
        np.testing.assert_allclose(found, wanted, atol=1e-5)


class Doubled(nn.Module):
    """A module of one's own."""

    def forward(self, x):
        return 2 * x


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("modules", "words"),
        [
            ([nn.Linear(2, 3), Doubled()], "module Doubled.*linear layers with bias"),
            ([nn.Linear(2, 3), nn.ELU(0.5)], r"module ELU\(alpha=0.5\)"),
            ([nn.Linear(2, 3), nn.Dropout()], "module Dropout"),
            ([nn.Tanh(), nn.Linear(2, 3)], "module Tanh"),
            ([nn.Linear(2, 3), nn.Tanh(), nn.Tanh()], "module Tanh"),
            ([nn.Linear(2, 3, bias=False)], "module Linear.*bias=False"),
        ],
    )
    def test_other_modules(self, modules, words):
        with pytest.raises(ValueError, match=words):
            linear(modules)

    @pytest.mark.parametrize(
        "module",
        [nn.RNN(2, 3), nn.GRU(2, 3, bidirectional=True), nn.LSTM(2, 3, proj_size=1), nn.Tanh()],
    )
    def test_other_recurrences(self, module):
        with pytest.raises(ValueError, match="a recurrent one is a GRU or LSTM with bias"):
            recurrent(module)

    def test_pictures_in_dictionaries(self):
        image = gymnasium.spaces.Box(0, 255, (36, 36, 3), np.uint8)
        policy = PPO("MultiInputPolicy", DummyVecEnv([lambda: Showing(image)]), device="cpu").policy
        with pytest.raises(ValueError, match="CombinedExtractor: only flat observations"):
            network_of(policy)

    def test_choices_in_dictionaries(self):
        choice = gymnasium.spaces.Discrete(3)
        policy = PPO(
            "MultiInputPolicy", DummyVecEnv([lambda: Showing(choice)]), device="cpu"
        ).policy
        with pytest.raises(ValueError, match="CombinedExtractor: only flat observations"):
            network_of(policy)

    def test_other_actions(self):
        venv = VecFrameStack(DummyVecEnv([lambda: gymnasium.make("CartPole-v1")]), 2)
        with pytest.raises(ValueError, match="acts in Discrete"):
            network_of(PPO("MlpPolicy", venv, device="cpu").policy)


class TestRuns:
    @pytest.mark.parametrize("algo", ["ppo", "sac"])
    def test_a_run_writes_what_it_has_learned(self, algo, tmp_path):
        hyper = {"ppo": QUICK, "sac": QUICK_SAC}[algo]
        settings = quick(tmp_path, algo=algo, hyper=hyper, option={"observe": "state"}, steps=128)
        train.train(settings)
        told = load_network(settings.folder / runs.AGENT).about
        assert (told["algo"], told["option"], told["seed"]) == (algo, {"observe": "state"}, 0)
        assert told["steps"] >= 128
        options = {"trials": 8, "observe": "state"}
        mine = score("ndbmi/FixedField-v1", str(settings.folder / runs.AGENT), **options)
        theirs = score("ndbmi/FixedField-v1", runs.Agent(settings.folder), **options)
        np.testing.assert_allclose(mine["return"], theirs["return"], atol=1e-4)

    def test_a_run_on_goals_writes_what_it_has_learned(self, tmp_path):
        env_id = "ndbmi/HoldTargetGoal-v0"
        hyper = {name: each for name, each in QUICK.items() if name != "frame_stack"}
        settings = quick(tmp_path, env=env_id, hyper=hyper, steps=64)
        assert train.train(settings)
        mine = score(env_id, str(settings.folder / runs.AGENT), trials=8)
        with pytest.raises(ValueError, match=r"trust=True.*, or play .*agent\.npz, which holds no"):
            runs.Agent(settings.folder)
        theirs = score(env_id, runs.Agent(settings.folder, trust=True), trials=8)
        np.testing.assert_allclose(mine["return"], theirs["return"], atol=1e-4)
        with pytest.raises(ValueError, match="the environment shows 20 numbers"):
            score("ndbmi/HoldTarget-v1", str(settings.folder / runs.AGENT), trials=8)

    def test_a_run_goes_on_where_its_policy_is_no_chain_of_layers(self, tmp_path, monkeypatch):
        def refuse(*_):
            raise ValueError("no chain of layers")

        monkeypatch.setattr(recorder, "network_of", refuse)
        settings = quick(tmp_path, steps=64)
        assert train.train(settings)
        assert not (settings.folder / runs.AGENT).exists()

    def test_the_command_converts_runs_and_models(self, tmp_path, capsys):
        settings = quick(tmp_path, steps=256)
        train.train(settings)
        written = (settings.folder / runs.AGENT).read_bytes()
        (settings.folder / runs.AGENT).unlink()
        convert.main([str(settings.folder)])
        assert capsys.readouterr().out.strip() == str(settings.folder / runs.AGENT)
        assert load_network(settings.folder / runs.AGENT).about["algo"] == "ppo"
        assert (settings.folder / runs.AGENT).read_bytes() == written
        convert.main([str(settings.folder / runs.MODEL), "--out", str(tmp_path / "mine.npz")])
        assert load_network(tmp_path / "mine.npz").about == {}

    def test_what_cannot_be_converted_is_said_in_one_line(self, tmp_path):
        with pytest.raises(SystemExit, match="error: there is no model"):
            convert.main([str(tmp_path / "none.zip")])
        (tmp_path / "config.json").write_text(json.dumps({}))
        with pytest.raises(SystemExit, match=r"error: .*config.json: it has no 'settings'"):
            convert.main([str(tmp_path)])
