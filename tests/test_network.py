import json
import pickle
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ndbmi_gym.files import read_arrays, write_arrays
from ndbmi_gym.policies import network
from ndbmi_gym.policies.network import ACTIVATIONS, Layer, Network, load_network, save_network
from ndbmi_gym.rollout import as_actor, score

SEEN = Box(-1, 1, (5,), np.float32)
ACTED = Box(np.float32([0, -1]), np.float32([1, 1]), dtype=np.float32)
TORCH = {
    "identity": nn.Identity(),
    "tanh": nn.Tanh(),
    "relu": nn.ReLU(),
    "elu": nn.ELU(),
    "leaky_relu": nn.LeakyReLU(),
    "sigmoid": nn.Sigmoid(),
    "silu": nn.SiLU(),
}
GATES = {"gru": 3, "lstm": 4}


def weights(kind, inputs, units, rng, scale=1.0):
    rows = units * GATES.get(kind, 1)
    shapes = {"weight": (rows, inputs), "bias": (rows,)}
    if kind in GATES:
        shapes = {
            "weight_ih": (rows, inputs),
            "weight_hh": (rows, units),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
        }
    return {name: rng.normal(0, scale, shape).astype(np.float32) for name, shape in shapes.items()}


def small(seed=0, recurrent="gru", **changes):
    """Encoder, recurrent layer joined to what it sees, head."""
    rng = np.random.default_rng(seed)
    layers = (
        Layer("linear", weights("linear", 5, 4, rng), "relu"),
        Layer(recurrent, weights(recurrent, 4, 3, rng), joined=True),
        Layer("linear", weights("linear", 7, 2, rng)),
    )
    return Network(layers, changes.pop("sees", SEEN), ACTED, **changes)


def played(actor, steps=6, trials=4, seed=1):
    rng, state = np.random.default_rng(seed), None
    for _ in range(steps):
        action, state = actor.predict(rng.normal(size=(trials, 5)), state)
    return action


class TestLayers:
    @pytest.mark.parametrize("name", ACTIVATIONS)
    def test_activations_are_those_of_torch(self, name):
        x = np.linspace(-100, 100, 401, dtype=np.float32)
        ours = ACTIVATIONS[name](x)
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, TORCH[name](torch.from_numpy(x)), atol=1e-6, rtol=1e-6)

    @pytest.mark.parametrize("kind", ["gru", "lstm"])
    @given(seed=st.integers(0, 2**32 - 1), inputs=st.integers(1, 6), units=st.integers(1, 6))
    @settings(max_examples=25, deadline=None)
    def test_a_recurrent_one_goes_as_in_torch(self, kind, seed, inputs, units):
        rng = np.random.default_rng(seed)
        own = weights(kind, inputs, units, rng)
        theirs = {"gru": nn.GRU, "lstm": nn.LSTM}[kind](inputs, units)
        theirs.load_state_dict({f"{k}_l0": torch.from_numpy(v) for k, v in own.items()})
        x = rng.normal(size=(9, 3, inputs)).astype(np.float32)
        layer = Layer(kind, own)
        memory, told = layer.begin(3), []
        for each in x:
            y, memory = layer.step(each, memory)
            told.append(y)
        with torch.no_grad():
            wanted, last = theirs(torch.from_numpy(x))
        np.testing.assert_allclose(told, wanted, atol=1e-5)
        last = last if kind == "lstm" else (last,)
        for ours, others in zip(memory, last, strict=True):
            np.testing.assert_allclose(ours, others[0], atol=1e-5)

    def test_joined_puts_the_input_behind_the_output(self):
        own = weights("linear", 5, 2, np.random.default_rng(0))
        x = np.arange(10, dtype=np.float32).reshape(2, 5)
        y, _ = Layer("linear", own).step(x, ())
        joined = Layer("linear", own, joined=True)
        np.testing.assert_array_equal(joined.step(x, ())[0], np.hstack([y, x]))
        assert joined.outputs == 7

    def test_weights_are_a_copy_that_cannot_be_changed(self):
        own = weights("linear", 5, 2, np.random.default_rng(0))
        layer = Layer("linear", own)
        own["bias"] += 1
        assert (layer.weights["bias"] != own["bias"]).all()
        with pytest.raises(ValueError, match="read-only"):
            layer.weights["bias"][0] = 1

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"kind": "transformer"}, "kind 'transformer': a layer is linear, gru, lstm"),
            ({"activation": "eval"}, "activation 'eval': choose one of identity"),
            ({"activation": "tanh"}, "'tanh' of a gru layer: only a linear one"),
            ({"joined": 1}, "joined = 1: give True or False"),
            ({"weights": {}}, "weights none: a gru layer has weight_ih, weight_hh"),
        ],
    )
    def test_what_is_none_is_refused(self, changes, words):
        own = {"kind": "gru", "weights": weights("gru", 2, 3, np.random.default_rng(0))}
        with pytest.raises(ValueError, match=words):
            Layer(**(own | changes))

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("bias_ih", np.zeros(9), "bias_ih is of float64: give an array of float32"),
            ("bias_ih", np.zeros(9, ">f4"), "bias_ih is of >f4"),
            ("bias_ih", [0.0] * 9, "bias_ih is of list"),
            ("bias_ih", np.zeros((9, 1), np.float32), r"shape \(9, 1\): give 1 dimensions"),
            ("bias_ih", np.zeros(8, np.float32), r"bias_ih has shape \(8,\): .* has \(9,\)"),
            ("bias_hh", np.zeros(10, np.float32), r"has shape \(10,\): .* has \(9,\)"),
            ("bias_hh", np.zeros(0, np.float32), "and at least one of each"),
            ("weight_hh", np.zeros((9, 2), np.float32), r"weight_hh has shape \(9, 2\)"),
            ("weight_ih", np.full((9, 2), np.nan, np.float32), "weight_ih holds nan"),
            ("weight_ih", np.full((9, 2), np.inf, np.float32), "weight_ih holds inf"),
            ("more", np.zeros(9, np.float32), "weights bias_hh, bias_ih, more"),
        ],
    )
    def test_weights_that_do_not_fit_are_refused(self, name, value, words):
        own = weights("gru", 2, 3, np.random.default_rng(0))
        with pytest.raises(ValueError, match=words):
            Layer("gru", own | {name: value})


class TestPredict:
    def test_one_observation_is_a_batch_of_one(self):
        net, seen = small(), np.random.default_rng(2).normal(size=(3, 5))
        many, after = net.predict(seen)
        again, _ = net.predict(seen, after)
        one, state = net.predict(seen[1])
        assert one.shape == (2,)
        np.testing.assert_allclose(one, many[1], atol=1e-6)
        np.testing.assert_allclose(net.predict(seen[1], state)[0], again[1], atol=1e-6)

    @pytest.mark.parametrize("recurrent", ["gru", "lstm"])
    def test_a_trial_that_begins_remembers_nothing(self, recurrent):
        net = small(recurrent=recurrent, squashed=True)
        seen = np.random.default_rng(2).normal(size=(2, 5))
        first, state = net.predict(seen)
        second, _ = net.predict(seen, state, np.array([True, False]))
        np.testing.assert_allclose(second[0], first[0], atol=1e-6)
        assert np.abs(second[1] - first[1]).max() > 1e-3
        np.testing.assert_allclose(net.predict(seen, state, True)[0], first, atol=1e-6)

    @given(seed=st.integers(0, 2**32 - 1), squashed=st.booleans())
    @settings(max_examples=20, deadline=None)
    def test_actions_lie_in_their_space(self, seed, squashed):
        action = played(small(seed, squashed=squashed))
        assert action.dtype == np.float32
        assert all(ACTED.contains(each) for each in action)

    def test_squashing_spans_the_space_where_clipping_cuts(self):
        head = {"weight": np.zeros((2, 5), np.float32), "bias": np.float32([0.5, -9])}
        net = Network((Layer("linear", head),), SEEN, ACTED)
        np.testing.assert_allclose(net.predict(np.zeros(5))[0], [0.5, -1])
        net = Network((Layer("linear", head),), SEEN, ACTED, squashed=True)
        np.testing.assert_allclose(
            net.predict(np.zeros(5))[0], [(np.tanh(0.5) + 1) / 2, np.tanh(-9)], rtol=1e-6
        )

    def test_observations_of_another_size_are_refused(self):
        with pytest.raises(ValueError, match=r"shape \(4,\): the network sees 5 numbers"):
            small().predict(np.zeros(4))

    def test_it_goes_to_other_processes(self):
        np.testing.assert_array_equal(played(pickle.loads(pickle.dumps(small()))), played(small()))


class TestNetwork:
    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"layers": ()}, "layers: there is none"),
            ({"layers": small().layers[:2]}, "last layer tells 7 numbers, and an action has 2"),
            ({"layers": small().layers[::-1]}, "layer 0 sees 7 numbers, and an observation has 5"),
            ({"layers": small().layers[::2]}, "layer 1 sees 7 numbers, and layer 0 tells 4"),
            ({"observation_space": Discrete(5)}, "observation_space is Discrete"),
            ({"observation_space": Box(0, 1, (5, 1))}, r"give a Box of shape \(n,\)"),
            ({"action_space": Box(-np.inf, np.inf, (2,))}, "action_space .* give finite bounds"),
            ({"squashed": "yes"}, "squashed = 'yes'"),
            ({"keys": ["a"]}, "keys = ..a..: give a tuple"),
            ({"keys": ("a", "a")}, "give each name once"),
            ({"about": {"f": print}}, "about: .* give JSON types"),
            ({"about": {"score": np.nan}}, "about: .* finite numbers"),
        ],
    )
    def test_what_does_not_fit_together_is_refused(self, changes, words):
        net = small()
        whole = {
            name: getattr(net, name) for name in ("layers", "observation_space", "action_space")
        }
        with pytest.raises(ValueError, match=words):
            Network(**(whole | changes))

    def test_frames_are_stacked_for_it(self):
        env = "ndbmi/FixedField-v1"
        batch = gymnasium.make_vec(env, num_envs=2)
        shown = batch.single_observation_space
        sees = Box(np.repeat(shown.low, 2), np.repeat(shown.high, 2), dtype=np.float32)
        n = batch.single_action_space.shape[0]
        own = weights("linear", sees.shape[0], n, np.random.default_rng(0))
        net = Network((Layer("linear", own),), sees, batch.single_action_space)
        assert as_actor(net, batch).frames == 2
        assert score(env, net, trials=2)["score"].shape == (2,)


@pytest.fixture
def path(tmp_path):
    save_network(tmp_path / "agent.npz", small(), {"algo": "none"})
    return tmp_path / "agent.npz"


def rewritten(path, change, honest=False):
    """A file whose header and arrays `change` has changed; with the digest of its new content."""
    header, arrays = read_arrays(path)
    change(header, arrays)
    if honest:
        content = {name: header.get(name) for name in network._CONTENT & header.keys()}
        header["sha256"] = network._digest(content, arrays)
    write_arrays(path, header, arrays)


def swap_layers(header, arrays):
    header["layers"][:2] = header["layers"][1::-1]


def test_entries_of_a_mapping_are_put_behind_one_another(tmp_path):
    flat = small()
    width = flat.observation_space.shape[0]
    seen = np.random.default_rng(0).uniform(-1, 1, (5, width)).astype(np.float32)
    save_network(tmp_path / "mine.npz", replace(flat, keys=("b", "a")))
    network = load_network(tmp_path / "mine.npz")
    assert network.keys == ("b", "a")
    mapping = {"a": seen[:, 2:].astype(float), "b": seen[:, :2], "c": seen}
    np.testing.assert_array_equal(network.predict(mapping)[0], flat.predict(seen)[0])
    one = {name: each[0] for name, each in mapping.items()}
    np.testing.assert_allclose(network.predict(one)[0], flat.predict(seen[0])[0], atol=1e-6)
    with pytest.raises(ValueError, match="observation has a: it needs 'b'"):
        network.predict({"a": seen})
    with pytest.raises(ValueError, match="ndarray: give a mapping with b, a"):
        network.predict(seen)
    with pytest.raises(ValueError, match="dict: give an array"):
        flat.predict(mapping)


class TestFiles:
    @pytest.mark.parametrize("recurrent", ["gru", "lstm"])
    def test_what_is_read_is_what_was_written(self, recurrent, tmp_path):
        unbounded = Box(-np.inf, np.inf, (5,), np.float32)
        net = small(recurrent=recurrent, squashed=True, sees=unbounded)
        about = {"algo": "distill", "option": {"animal": 3}, "seconds": 0.1}
        save_network(tmp_path / "agent.npz", net, about)
        found = load_network(tmp_path / "agent.npz")
        assert found.about == about
        assert found.observation_space == unbounded
        assert found.action_space == ACTED
        np.testing.assert_array_equal(played(found), played(net))

    def test_a_policy_is_named_by_its_file(self, path):
        with pytest.raises(ValueError, match="the policy acts in 2 numbers"):
            score("ndbmi/FixedField-v1", str(path), trials=1)

    @given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
    @settings(max_examples=150, deadline=None)
    def test_a_flipped_bit_is_refused_or_means_nothing(self, where, bit, tmp_path_factory):
        path = tmp_path_factory.mktemp("agent") / "agent.npz"
        save_network(path, small())
        content = bytearray(path.read_bytes())
        content[int(where * len(content))] ^= 1 << bit
        path.write_bytes(content)
        try:
            found = load_network(path)
        except ValueError as error:
            assert "is not an intact ndbmi_gym agent file" in str(error)  # noqa: PT017
        else:  # dates and the like
            np.testing.assert_array_equal(played(found), played(small()))

    @pytest.mark.parametrize("name", ["0.weight", "1.bias_hh", "2.bias", "action.low"])
    def test_any_other_number_is_refused(self, name, path):
        def change(_, arrays):
            arrays[name].flat[-1] = np.nextafter(arrays[name].flat[-1], np.float32(2))

        rewritten(path, change)
        with pytest.raises(ValueError, match=r"not what its digest.*another copy, or convert"):
            load_network(path)

    @pytest.mark.parametrize(
        "change",
        [
            lambda header, _: header["layers"][0].update(activation="tanh"),
            lambda header, _: header.update(squashed=True),
            lambda header, _: header.update(about={"algo": "better"}),
            lambda header, _: header.update(sha256="0" * 64),
        ],
    )
    def test_nor_is_another_header_taken(self, change, path):
        rewritten(path, change)
        with pytest.raises(ValueError, match="not what its digest"):
            load_network(path)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda header, _: header.update(version=2), "version is 2, this program reads 1"),
            (lambda header, _: header.update(format="other"), "its format is 'other'"),
            (lambda header, _: header.pop("squashed"), "entries, 'squashed' is missing"),
            (lambda header, _: header.update(hook="os:system"), "'hook' is none that it should"),
            (lambda header, _: header["layers"][0].update(kind="rnn"), "kind 'rnn'"),
            (lambda header, _: header["layers"][0].update(activation="x"), "activation 'x'"),
            (lambda header, _: header["layers"][0].update(weights=1), "'weights' is none that"),
            (lambda header, _: header["layers"][0].pop("joined"), "'joined' is missing"),
            (lambda header, _: header["layers"].pop(), "'2.bias' is none that it should have"),
            (lambda header, _: header["layers"].append(header["layers"][0]), "'3.bias' is missing"),
            (lambda header, _: header.update(layers=7), "intact"),
            (lambda header, _: header.update(squashed=1), "squashed = 1"),
            (lambda header, _: header.update(keys=[1]), "keys = .1,."),
            (lambda header, _: header.update(keys="ab"), "a list of names is wanted"),
            (swap_layers, "'0.bias_hh' is missing"),
            (lambda _, arrays: arrays.pop("1.bias_hh"), "'1.bias_hh' is missing"),
            (lambda _, arrays: arrays.update(more=np.zeros(1)), "'more' is none that it should"),
            (lambda _, arrays: arrays.update({"2.bias": np.zeros(2)}), "2.bias is of float64"),
            (
                lambda _, arrays: arrays.update({"2.bias": np.zeros(3, np.float32)}),
                r"weight has shape \(2, 7\)",
            ),
            (lambda _, arrays: arrays["2.bias"].fill(np.nan), "bias holds nan"),
            (
                lambda _, arrays: arrays["action.low"].fill(2),
                "low values must be less than or equal to high",
            ),
            (lambda _, arrays: arrays["action.high"].fill(np.inf), "give finite bounds"),
            (lambda _, arrays: arrays["observation.low"].fill(np.nan), "equal to `np.nan`"),
            (
                lambda _, arrays: arrays.update({"observation.low": np.zeros(4, np.float32)}),
                "intact",
            ),
        ],
    )
    def test_what_does_not_fit_is_refused_with_a_true_digest_too(self, change, words, path):
        rewritten(path, change, honest=True)
        with pytest.raises(ValueError, match=words) as error:
            load_network(path)
        assert "agent.npz is not an intact ndbmi_gym agent file" in str(error.value)
        assert "take another copy" in str(error.value)

    def test_nothing_in_a_file_is_executed(self, path, tmp_path):
        class Bomb:
            def __reduce__(self):
                return (tmp_path / "ran").touch, ()

        header, arrays = read_arrays(path)
        arrays["0.weight"] = np.array([Bomb()], object)
        np.savez(path, header=np.array(json.dumps(header)), **arrays)
        with pytest.raises(ValueError, match="holds Python objects, which are not read"):
            load_network(path)
        assert not (tmp_path / "ran").exists()

    def test_a_file_that_is_not_there_is_said_so(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no ndbmi_gym agent file"):
            load_network(tmp_path / "none.npz")
