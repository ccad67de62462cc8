"""Circuits as objects and on file: what is refused, what is kept, what is taken up again."""

import json
import os
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ndbmi_gym.cli import main
from ndbmi_gym.cortex.soc.circuit import (
    Circuit,
    build,
    control,
    load_circuit,
    random_circuit,
    stabilise,
)

PROPERTY = settings(deadline=None, derandomize=True, max_examples=60)


@pytest.mark.parametrize(
    ("weights", "n_excitatory", "initial", "message"),
    [
        (np.zeros((4, 3)), 2, np.zeros((4, 3)), r"shape \(4, 3\).*two square matrices"),
        (np.zeros(4), 2, np.zeros(4), "two square matrices"),
        (np.zeros((4, 4)), 2, np.zeros((5, 5)), r"initial ones of \(5, 5\)"),
        (np.zeros((1, 1)), 1, np.zeros((1, 1)), "two square matrices"),
        (np.full((4, 4), np.nan), 2, np.zeros((4, 4)), "not finite"),
        (np.zeros((4, 4)), 2, np.full((4, 4), np.inf), "not finite"),
        (np.zeros((4, 4)), 0, np.zeros((4, 4)), "n_excitatory = 0: give a number between 1 and 3"),
        (np.zeros((4, 4)), 4, np.zeros((4, 4)), "n_excitatory = 4"),
    ],
)
def test_bad_circuits_are_refused(weights, n_excitatory, initial, message):
    with pytest.raises(ValueError, match=message):
        Circuit(weights, n_excitatory, initial, np.zeros(1))


def test_circuits_are_frozen(stabilised):
    finished, _ = stabilised
    for array in (finished.weights, finished.initial, finished.trace):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(AttributeError):
        finished.seed = 1


def odd_circuit():
    """Unequal populations and values that decimal notation would spoil."""
    rng = np.random.default_rng(9)
    return Circuit(rng.normal(size=(5, 5)) / 3, 2, rng.normal(size=(5, 5)), rng.random(7), 2**40)


def assert_same(first, second):
    for name in ("weights", "initial", "trace"):
        ours, theirs = getattr(first, name), getattr(second, name)
        assert ours.dtype == theirs.dtype == np.float64
        assert ours.tobytes() == theirs.tobytes()
    assert (first.n_excitatory, first.seed) == (second.n_excitatory, second.seed)


@pytest.mark.parametrize("name", ["circuit.npz", "of rat 7"])
def test_round_trip_is_bit_equal(tmp_path, name):
    path = tmp_path / "new" / name
    assert odd_circuit().save(path) == path
    loaded = Circuit.load(str(path))
    assert_same(loaded, odd_circuit())
    assert not loaded.weights.flags.writeable
    assert os.listdir(tmp_path / "new") == [name]
    odd_circuit().save(str(path))  # replaces
    assert os.listdir(tmp_path / "new") == [name]


def refuse(path):
    with pytest.raises(ValueError, match=r"is not an intact ndbmi_gym\.Circuit file") as caught:
        Circuit.load(path)
    assert str(path) in str(caught.value)
    assert "ndbmi-gym circuit build" in str(caught.value)
    return str(caught.value)


def test_missing_file_is_missing(tmp_path):
    message = r"there is no .*nowhere\.npz.*ndbmi-gym circuit build"
    with pytest.raises(FileNotFoundError, match=message):
        Circuit.load(tmp_path / "nowhere.npz")
    with pytest.raises(FileNotFoundError, match=message):
        load_circuit(str(tmp_path / "nowhere.npz"))


@pytest.mark.parametrize("read", [Circuit.load, load_circuit, odd_circuit().save])
def test_a_number_is_no_path(read):
    with pytest.raises(ValueError, match=r"(path|circuit) = 7: give a path, as str or os.PathLike"):
        read(7)


@pytest.mark.parametrize(
    "change",
    [
        {"weights": np.zeros((50, 49))},
        {"weights": np.zeros(50)},
        {"weights": np.zeros((3, 3), complex)},
        {"initial": np.zeros((51, 51))},
        {"trace": np.zeros((2, 2))},
        {"trace": np.array(["0.1"])},
    ],
)
def test_arrays_of_other_shapes_are_refused(tmp_path, change):
    path = odd_circuit().save(tmp_path / "odd.npz")
    with np.load(path) as file:
        np.savez_compressed(path, **{each: file[each] for each in file.files} | change)
    assert re.search("square|no list|not real numbers", refuse(path))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_truncated_file_is_refused(tmp_path, share):
    path = odd_circuit().save(tmp_path / "cut.npz")
    intact = path.read_bytes()
    path.write_bytes(intact[: int(share * len(intact))])
    refuse(path)


def test_directory_is_refused(tmp_path):
    refuse(tmp_path)


@PROPERTY
@given(noise=st.binary(max_size=300), prefix=st.sampled_from([b"", b"PK\x03\x04", b"\x93NUMPY"]))
def test_random_bytes_are_refused(tmp_path_factory, noise, prefix):
    path = tmp_path_factory.getbasetemp() / "noise.npz"
    path.write_bytes(prefix + noise)
    refuse(path)


@settings(PROPERTY, max_examples=200)
@given(data=st.data())
def test_corrupted_bytes_are_refused_or_harmless(tmp_path_factory, data):
    path = odd_circuit().save(tmp_path_factory.getbasetemp() / "damaged.npz")
    damaged = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    try:
        loaded = Circuit.load(path)
    except ValueError as error:
        assert "is not an intact ndbmi_gym.Circuit file" in str(error)  # noqa: PT017
    else:
        assert_same(loaded, odd_circuit())


def tampered(path, change):
    """The file of `odd_circuit` with its parts changed."""
    with np.load(odd_circuit().save(path)) as file:
        parts = {name: file[name] for name in file.files}
    header = json.loads(str(parts.pop("header")))
    change(header, parts)
    np.savez(path, header=np.array(json.dumps(header)), **parts)
    return path


def test_the_unchanged_parts_make_an_intact_file(tmp_path):
    assert_same(Circuit.load(tampered(tmp_path / "a.npz", lambda h, p: None)), odd_circuit())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, p: h.update(format="ndbmi_gym.Interface"), "ndbmi_gym.Interface"),
        (lambda h, p: h.update(version=2), "its version is 2, this program reads 1"),
        (lambda h, p: h.pop("seed"), "seed"),
        (lambda h, p: h.update(n_excitatory=5), "n_excitatory = 5"),
        (lambda h, p: h.update(n_excitatory="many"), "many"),
        (lambda h, p: p.pop("initial"), "initial"),
        (lambda h, p: p.update(weights=p["weights"][1:]), "square"),
        (lambda h, p: p.update(weights=p["weights"] * np.nan), "not finite"),
        (lambda h, p: p.update(initial=p["initial"].astype(str)[:4]), ""),
    ],
)
def test_files_of_something_else_are_refused(tmp_path, change, message):
    assert message in refuse(tampered(tmp_path / "odd.npz", change))


class Trap:
    sprung = False

    def __reduce__(self):
        return setattr, (Trap, "sprung", True)


@pytest.mark.parametrize("name", ["header", "weights", "trace"])
def test_pickles_are_never_opened(tmp_path, name):
    path = odd_circuit().save(tmp_path / "trap.npz")
    with np.load(path) as file:
        parts = {each: file[each] for each in file.files}
        assert "O" not in {part.dtype.kind for part in parts.values()}
    np.savez(path, **{**parts, name: np.array([Trap()], object)})
    assert "holds Python objects" in refuse(path)
    assert not Trap.sprung


@pytest.mark.parametrize("exists", [True, False])
def test_interrupted_save_leaves_no_trace(tmp_path, monkeypatch, exists):
    path = tmp_path / "circuit.npz"
    before = odd_circuit().save(path).read_bytes() if exists else None

    def fail(file, *args, **kwargs):
        file.write(b"PK half a circuit")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(KeyboardInterrupt):
        replace(odd_circuit(), seed=1).save(path)
    assert os.listdir(tmp_path) == (["circuit.npz"] if exists else [])
    if exists:
        assert path.read_bytes() == before


# Building in a file


def test_an_interrupted_build_is_continued(tmp_path):
    direct = stabilise(random_circuit(np.random.default_rng(0), 20, seed=0))
    path = tmp_path / "soc" / "20.npz"
    shown = []

    def interrupt(circuit):
        shown.append(circuit)
        if len(shown) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(path, 20, 0, interrupt)
    unfinished = Circuit.load(path)
    assert_same(unfinished, shown[-1])
    assert unfinished.trace[-1] > 0.15
    finished = build(path, 20, 0)
    assert_same(finished, direct)
    assert_same(Circuit.load(path), direct)
    assert_same(build(path, 20, 0), direct)


@pytest.mark.parametrize(("neurons", "seed"), [(20, 1), (22, 0)])
def test_a_file_of_another_circuit_is_left_alone(tmp_path, neurons, seed):
    path = tmp_path / "20.npz"
    random_circuit(np.random.default_rng(0), 20, seed=0).save(path)
    before = path.read_bytes()
    with pytest.raises(
        ValueError, match=rf"20 neurons and seed 0, not of {neurons} and {seed}: name another file"
    ):
        build(path, neurons, seed)
    assert path.read_bytes() == before


def test_the_command_builds_what_the_function_builds(tmp_path, capsys):
    path = tmp_path / "20.npz"
    assert main(["circuit", "build", "--neurons", "20", "--seed", "0", "--out", str(path)]) == 0
    assert str(path) in capsys.readouterr().out
    direct = stabilise(random_circuit(np.random.default_rng(0), 20, seed=0))
    assert_same(Circuit.load(path), direct)


def test_circuits_are_loaded_once(tmp_path, stabilised):
    path = str(stabilised[0].save(tmp_path / "50.npz"))
    assert load_circuit(path) is load_circuit(path)
    assert_same(load_circuit(path), stabilised[0])
    assert_same(load_circuit(path, "scaled"), control(stabilised[0], "scaled"))
    strong = load_circuit(path, "scaled", 0.9)
    assert strong is load_circuit(path, "scaled", 0.9) is not load_circuit(path, "scaled")
    assert_same(strong, control(stabilised[0], "scaled", 0.9))
    assert load_circuit() is load_circuit() is not load_circuit(path)


def test_a_file_that_is_built_anew_is_read_anew(tmp_path, stabilised):
    path = str(stabilised[0].save(tmp_path / "again.npz"))
    first, scaled = load_circuit(path), load_circuit(path, "scaled")
    other = replace(stabilised[0], weights=0.5 * stabilised[0].weights, seed=77)
    other.save(path)
    assert_same(load_circuit(path), other)
    assert_same(load_circuit(path, "scaled"), control(other, "scaled"))
    stabilised[0].save(path)
    assert load_circuit(path) is first
    assert load_circuit(path, "scaled") is scaled
