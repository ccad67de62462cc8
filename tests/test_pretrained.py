"""What holds of whatever agents come with the package."""

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn

from ndbmi_gym.files import digest
from ndbmi_gym.policies import Pretrained, make_policy, pretrained
from ndbmi_gym.policies.network import Layer, Network
from ndbmi_gym.policies.pretrained import network, shipped
from ndbmi_gym.rollout import as_actor, score

IDS = tuple(shipped())
DATA = pretrained._DATA
ACTIVATIONS = {
    "identity": nn.Identity,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "leaky_relu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
}


class Rebuilt(nn.Module):
    """A network as torch would have it."""

    def __init__(self, layers):
        super().__init__()
        self.layers, self.parts = layers, nn.ModuleList()
        for layer in layers:
            own = {name: torch.from_numpy(w.copy()) for name, w in layer.weights.items()}
            if layer.kind == "linear":
                part = nn.Linear(layer.inputs, layer.units)
            else:
                kind = {"gru": nn.GRU, "lstm": nn.LSTM}[layer.kind]
                part = kind(layer.inputs, layer.units)
                own = {f"{name}_l0": values for name, values in own.items()}
            part.load_state_dict(own)
            self.parts.append(part)

    def forward(self, x):  # (steps, trials, d)
        for layer, part in zip(self.layers, self.parts, strict=True):
            y = part(x) if layer.kind == "linear" else part(x)[0]
            y = ACTIVATIONS[layer.activation]()(y)
            x = torch.cat([y, x], dim=-1) if layer.joined else y
        return x


def observations(env_id, policy, trials=25, steps=40):
    """What a policy sees along its trials, of each step: autoreset goes on with the next."""
    env = gymnasium.make_vec(env_id, num_envs=trials)
    actor = as_actor(policy, env)
    seen, _ = env.reset(seed=7)
    state, found = None, []
    for _ in range(steps):
        found.append(seen)
        action, state = actor.predict(seen, state)
        seen, *_ = env.step(action)
    env.close()
    return found


def flat(net, seen):
    """Observations as rows of numbers, (trials, d)."""
    return np.concatenate([seen[key] for key in net.keys], axis=-1) if net.keys else seen


def test_there_are_some_and_they_are_small():
    assert IDS
    files = sorted((DATA / "agents").glob("*.npz"))
    assert [f"agents/{path.name}" for path in files] == sorted(
        entry["file"] for entry in shipped().values()
    )
    assert sum(path.stat().st_size for path in files) < 3e6
    assert list(shipped()) == sorted(shipped())


@pytest.mark.parametrize("env_id", IDS)
class TestEach:
    def test_its_file_is_the_one_that_was_scored(self, env_id):
        entry = shipped()[env_id]
        assert digest(DATA / entry["file"]) == entry["sha256"]
        assert network(env_id).about == entry["about"]
        assert entry["about"]["env"] == env_id

    def test_it_was_scored_on_other_trials_than_it_was_chosen_on(self, env_id):
        chosen, scored = shipped()[env_id]["selected"], shipped()[env_id]["scored"]
        first, second = sorted([chosen, scored], key=lambda each: each["seed"])
        assert first["seed"] + first["trials"] <= second["seed"]

    def test_it_acts_as_in_torch_on_a_thousand_observations(self, env_id):
        net = network(env_id)
        seen = observations(env_id, net)
        state, found = None, []
        env = gymnasium.make_vec(env_id, num_envs=1)
        actor = as_actor(net, env)
        frames = getattr(actor, "frames", 1)
        for each in seen:
            action, state = actor.predict(each, state)
            found.append(action)
        seen = np.array([flat(net, each) for each in seen], np.float32)
        blank = np.zeros((frames - 1, *seen.shape[1:]), np.float32)
        late = np.concatenate([blank, seen])
        stacked = np.concatenate([late[i : i + len(seen)] for i in range(frames)], axis=-1)
        with torch.no_grad():
            told = Rebuilt(net.layers)(torch.from_numpy(stacked)).numpy()
        low, high = net.action_space.low, net.action_space.high
        wanted = (
            low + (high - low) * (np.tanh(told) + 1) / 2 if net.squashed else told.clip(low, high)
        )
        assert np.std(wanted) > 0.01
        np.testing.assert_allclose(found, wanted, atol=1e-5)

    def test_its_score_is_found_again_on_other_trials(self, env_id):
        mean, low, high = shipped()[env_id]["score"]
        values = score(env_id, "pretrained", trials=300, seed=2_000_000)["score"]
        own = 1.96 * values.std(ddof=1) / np.sqrt(values.size)
        assert low - own <= values.mean() <= high + own
        assert low < mean < high

    def test_it_is_far_from_the_floor(self, env_id):
        normalised = shipped()[env_id]["normalised"]
        assert normalised is None or normalised[1] > 0


def test_it_is_made_for_an_environment_wrapped_or_not():
    env_id = IDS[0]
    env = gymnasium.make(env_id)
    policy = make_policy("pretrained", env)
    assert isinstance(policy, Pretrained)
    assert policy.network is network(env_id)
    seen, _ = env.reset(seed=0)
    action, state = policy.predict(seen)
    assert env.action_space.contains(action)
    many, _ = make_policy("pretrained", gymnasium.make_vec(env_id, num_envs=3)).predict(
        np.stack([seen] * 3)
    )
    np.testing.assert_allclose(many, [action] * 3, atol=1e-6)
    policy.predict(seen, state, False)


def test_agents_that_want_frames_are_given_them(monkeypatch):
    env = gymnasium.make_vec("ndbmi/FixedField-v1", num_envs=2)
    shown, takes = env.single_observation_space, env.single_action_space
    sees = gymnasium.spaces.Box(np.repeat(shown.low, 3), np.repeat(shown.high, 3))
    weight = np.zeros((takes.shape[0], sees.shape[0]), np.float32)
    weight[0, 2 * shown.shape[0]] = 1  # the first number of the last frame
    layer = Layer("linear", {"weight": weight, "bias": np.zeros(len(weight), np.float32)})
    made = Network((layer,), sees, takes)
    monkeypatch.setattr(pretrained, "network", lambda _: made)
    seen = np.full((2, shown.shape[0]), 0.25, np.float32)
    action, _ = Pretrained(env).predict(seen)
    np.testing.assert_allclose(action[:, 0], 0.25)


def test_all_ids_have_one():
    own = [env_id for env_id in gymnasium.registry if env_id.startswith("ndbmi/")]
    assert sorted(own) == list(IDS)


def test_an_id_without_one_is_named_beside_those_with_one(own_id):
    env = gymnasium.make(own_id)
    with pytest.raises(ValueError, match=rf"'{own_id}', only for .*{IDS[0]}.*train one"):
        make_policy("pretrained", env)


def test_options_that_change_what_is_seen_or_done_are_refused():
    for option in ({"observe": "state"}, {"observe": "full"}, {"volition": "signed"}):
        with pytest.raises(ValueError, match=rf"agent of '{IDS[0]}' .*leave out observe, volition"):
            make_policy("pretrained", gymnasium.make(IDS[0], **option))


def test_an_environment_without_an_id_is_refused():
    env = gymnasium.make_vec(IDS[0], num_envs=1).unwrapped
    bare = type(env)(1, 100)
    with pytest.raises(ValueError, match=r"has no id .*gymnasium.make or make_vec"):
        make_policy("pretrained", bare)
