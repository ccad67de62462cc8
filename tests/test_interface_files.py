"""The file of an interface: what is kept, and what damage is refused."""

import io
import json
import os
import tracemalloc
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_interface import make, new_responses

from ndbmi_gym.interface import DECODERS, Interface
from ndbmi_gym.metric import Metric

PROPERTY = settings(deadline=None, derandomize=True, max_examples=60)
ARRAYS = ("points", "sites", "f_factors", "readout", "readout_offset")


@pytest.fixture(scope="module", params=[np.pi / 2, 0.9], ids=["labelled", "coupled"])
def interface(request):
    return make(5, repetitions=6, theta=request.param)


@pytest.fixture(scope="module")
def small():
    return make(1, repetitions=3, window_s=0.05)


def assert_same(first, second):
    for name in ARRAYS:
        ours, theirs = getattr(first, name), getattr(second, name)
        assert ours.dtype == theirs.dtype
        assert ours.tobytes() == theirs.tobytes()
    for name in ("rows", "offsets"):
        ours, theirs = getattr(first.trains, name), getattr(second.trains, name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    assert first.trains.n_electrodes == second.trains.n_electrodes
    assert first.trains.n_bins == second.trains.n_bins
    assert first.metric == second.metric
    assert first.half_side_cm == second.half_side_cm
    assert first.exponent == second.exponent


# The file


def test_round_trip_is_bit_equal(interface, tmp_path):
    path = tmp_path / "animal.npz"
    assert interface.save(path) == path
    loaded = Interface.load(path)
    assert_same(loaded, interface)
    trains = new_responses(5, 20)
    for decoder in DECODERS:
        np.testing.assert_array_equal(
            loaded.decode(trains, decoder), interface.decode(trains, decoder)
        )
    # and nothing but the file is left behind
    assert os.listdir(tmp_path) == ["animal.npz"]


@PROPERTY
@given(
    tau=st.floats(1e-300, 1e300),
    theta=st.floats(0, np.pi / 2),
    half_side=st.floats(1e-3, 1e3),
    exponent=st.floats(-50, 50).filter(bool),
)
def test_round_trip_of_any_parameter(small, tmp_path_factory, tau, theta, half_side, exponent):
    """Not through decimal notation, but exactly."""
    odd = replace(small, metric=Metric(tau, theta), half_side_cm=half_side, exponent=exponent)
    path = tmp_path_factory.getbasetemp() / "odd.npz"
    odd.save(str(path))
    assert_same(Interface.load(str(path)), odd)


def test_file_of_any_name(small, tmp_path):
    path = tmp_path / "rat 7"
    assert small.save(path) == path  # numpy would append a suffix
    assert_same(Interface.load(path), small)


def test_file_holds_no_pickle(small, tmp_path):
    with np.load(small.save(tmp_path / "a"), allow_pickle=False) as file:
        kinds = {name: file[name].dtype.kind for name in file.files}
        header = json.loads(str(file["header"]))
    assert set(kinds) == {"header", "rows", "offsets", *ARRAYS}
    assert "O" not in kinds.values()
    assert header["format"] == "ndbmi_gym.Interface"


@pytest.mark.parametrize("stage", ["writing", "renaming"])
@pytest.mark.parametrize("exists", [True, False])
def test_interrupted_save_leaves_no_trace(small, tmp_path, monkeypatch, stage, exists):
    path = tmp_path / "animal.npz"
    before = None
    if exists:
        small.save(path)
        before = path.read_bytes()

    def fail(file, *args, **kwargs):
        if stage == "writing":
            file.write(b"PK half an interface")
        raise KeyboardInterrupt

    target = (np, "savez_compressed") if stage == "writing" else (os, "replace")
    monkeypatch.setattr(*target, fail)
    with pytest.raises(KeyboardInterrupt):
        replace(small, half_side_cm=1.0).save(path)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == (["animal.npz"] if exists else [])
    if exists:
        assert path.read_bytes() == before


def test_save_replaces_as_a_whole(small, tmp_path):
    path = small.save(tmp_path / "animal.npz")
    other = make(1, seed=1, repetitions=3, window_s=0.05)
    other.save(path)
    assert_same(Interface.load(path), other)


def test_missing_file_is_missing(tmp_path):
    path = tmp_path / "nowhere.npz"
    with pytest.raises(
        FileNotFoundError, match=rf"{path}: name one that exists, or calibrate again"
    ):
        Interface.load(path)


def test_a_file_descriptor_is_no_path_and_stays_open(small, tmp_path):
    with open(tmp_path / "mine.txt", "w") as file:
        for use in (Interface.load, small.save):
            with pytest.raises(ValueError, match=f"path = {file.fileno()}: give a path, as str"):
                use(file.fileno())
        os.fstat(file.fileno())


# Damage


@pytest.fixture(scope="module")
def intact(small, tmp_path_factory):
    return small.save(tmp_path_factory.mktemp("intact") / "a.npz").read_bytes()


def refuse(path):
    with pytest.raises(ValueError, match=r"is not an intact ndbmi_gym\.Interface") as caught:
        Interface.load(path)
    assert str(path) in str(caught.value)
    assert "Interface.save" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_truncated_file_is_refused(intact, tmp_path, share):
    path = tmp_path / "cut.npz"
    path.write_bytes(intact[: int(share * len(intact))])
    refuse(path)


@settings(PROPERTY, max_examples=100)
@given(noise=st.binary(max_size=300), prefix=st.sampled_from([b"", b"PK\x03\x04", b"\x93NUMPY"]))
def test_random_bytes_are_refused(tmp_path_factory, noise, prefix):
    path = tmp_path_factory.getbasetemp() / "noise.npz"
    path.write_bytes(prefix + noise)
    refuse(path)


@settings(PROPERTY, max_examples=400)
@given(data=st.data())
def test_corrupted_bytes_are_refused_or_harmless(small, intact, tmp_path_factory, data):
    damaged = bytearray(intact)
    for _ in range(data.draw(st.integers(1, 3))):
        # half of the damage to the zip's own records, which are a small part of the file
        ends = st.integers(0, 400) | st.integers(len(intact) - 900, len(intact) - 1)
        place = data.draw(ends | st.integers(0, len(intact) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(damaged)
    try:
        loaded = Interface.load(path)
    except ValueError as error:
        assert "is not an intact ndbmi_gym.Interface file" in str(error)  # noqa: PT017
    else:
        assert_same(loaded, small)


def test_every_single_byte_of_the_zip_records_may_fail(small, intact, tmp_path):
    """All of the local header of the first member and of the directory, one byte at a time."""
    path = tmp_path / "damaged.npz"
    refused = 0
    for place in [*range(0, 120), *range(len(intact) - 120, len(intact))]:
        damaged = bytearray(intact)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            loaded = Interface.load(path)
        except ValueError as error:
            assert "is not an intact" in str(error)  # noqa: PT017
            refused += 1
        else:
            assert_same(loaded, small)
    assert refused > 100


class Bomb:
    """What a pickle may do to the one who opens it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def contents(intact):
    with np.load(io.BytesIO(intact), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def with_header(intact, **changes):
    parts = contents(intact)
    header = json.loads(str(parts["header"])) | changes
    return parts | {"header": np.array(json.dumps(header))}


def test_rewritten_file_loads(small, intact, tmp_path):
    """So that what follows is refused for its change alone."""
    path = tmp_path / "same.npz"
    np.savez(path, **with_header(intact))
    assert_same(Interface.load(path), small)


@pytest.mark.parametrize("member", ["points", "header", "extra"])
def test_pickle_in_the_file_is_not_executed(intact, tmp_path, member):
    path, mark = tmp_path / "bomb.npz", tmp_path / "executed"
    bomb = np.array([Bomb(mark)], dtype=object)
    np.savez(path, **(contents(intact) | {member: bomb}))
    if member == "extra":
        Interface.load(path)  # a member that nothing reads is not opened
    else:
        refuse(path)
    assert not mark.exists()


def test_plain_array_file_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.arange(5))
    refuse(path)


def test_foreign_archives_are_refused(tmp_path):
    path = tmp_path / "foreign.npz"
    np.savez(path, weights=np.ones(3))
    assert "header" in refuse(path)
    np.savez(path, header=np.array("not JSON"))
    refuse(path)
    np.savez(path, header=np.array("[1, 2]"))
    refuse(path)
    np.savez(path, header=np.array(json.dumps({"format": "another.Thing", "version": 1})))
    assert "its format is 'another.Thing'" in refuse(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header", "text")
    refuse(path)


def test_another_version_asks_to_calibrate_again(intact, tmp_path):
    path = tmp_path / "future.npz"
    for version in (0, 1, 3, "2", None):
        np.savez(path, **with_header(intact, version=version))
        message = refuse(path)
        assert f"its version is {version}, this program reads 2): calibrate again" in message


@pytest.mark.parametrize("name", ["offsets", *ARRAYS])
def test_an_array_that_inflates_is_not_read(intact, tmp_path, name):
    path = tmp_path / "inflated.npz"
    parts = contents(intact)
    inflated = np.zeros((4_000_000, *parts[name].shape[1:]), parts[name].dtype)
    np.savez_compressed(path, **(parts | {name: inflated}))
    tracemalloc.start()
    try:
        refuse(path)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("missing", ["header", "rows", "offsets", *ARRAYS])
def test_missing_member_is_refused(intact, tmp_path, missing):
    path = tmp_path / "part.npz"
    parts = contents(intact)
    del parts[missing]
    np.savez(path, **parts)
    assert missing in refuse(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"tau_s": -1.0},
        {"tau_s": "long"},
        {"theta": 7.0},
        {"clock_s": None},
        {"n_electrodes": 5},
        {"n_electrodes": -4, "n_bins": -50},
        {"n_electrodes": 0},
        {"n_electrodes": float("inf")},
        {"n_electrodes": float("nan")},
        {"n_bins": 49},
        {"n_bins": "x"},
        {"n_bins": [50]},
        {"half_side_cm": float("nan")},
        {"half_side_cm": -10.0},
        {"half_side_cm": 0.0},
        {"exponent": 0.0},
        {"exponent": float("inf")},
        {"exponent": None},
    ],
    ids=repr,
)
def test_inconsistent_header_is_refused(intact, tmp_path, changes):
    path = tmp_path / "odd.npz"
    np.savez(path, **with_header(intact, **changes))
    refuse(path)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("points", lambda a: a[:-1]),
        ("points", lambda a: a[:, :1]),
        ("points", lambda a: a.astype(np.float32)),
        ("points", lambda a: np.where(np.arange(len(a))[:, None] == 3, np.nan, a)),
        ("points", lambda a: a.astype(complex)),
        ("sites", lambda a: a[:0]),
        ("sites", lambda a: np.float64(1.0)),
        ("sites", lambda a: np.vstack((a, a[:1]))),
        ("f_factors", lambda a: a[:1]),
        ("f_factors", lambda a: a * np.inf),
        ("readout", lambda a: a[1:]),
        ("readout", lambda a: a.astype(str)),
        ("readout_offset", lambda a: np.append(a, 0)),
        ("rows", lambda a: a.astype(np.int64)),
        ("rows", lambda a: a[1:]),
        ("rows", lambda a: np.where(np.arange(a.size) == 2, 200, a).astype(np.int32)),
        ("rows", lambda a: np.where(np.arange(a.size) == 2, -1, a).astype(np.int32)),
        ("rows", lambda a: a[None]),
        ("offsets", lambda a: a[:-1]),
        ("offsets", lambda a: a[:0]),
        ("offsets", lambda a: a + 1),
        ("offsets", lambda a: a.astype(np.int32)),
        ("offsets", lambda a: np.append(0, a[::-1][1:])),
        ("offsets", lambda a: a[:, None]),
    ],
)
def test_inconsistent_array_is_refused(intact, tmp_path, name, change):
    path = tmp_path / "odd.npz"
    parts = contents(intact)
    np.savez(path, **(parts | {name: change(parts[name])}))
    refuse(path)
