import io
import json
import os
import subprocess
import sys
import time
import tracemalloc
import zipfile
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from ndbmi_gym import files
from ndbmi_gym.files import (
    Kind,
    Layout,
    as_path,
    check_folder,
    digest,
    read_arrays,
    reading,
    whole_file,
    write_arrays,
    write_json,
)

THING = Kind("thing", 3)
ARRAYS = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(5, np.int16), "c": np.array(["x", "yz"])}


def test_a_file_is_put_in_place_at_the_end(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with whole_file(path) as part:
        part.write_text("whole")
        assert not path.exists()
        assert (part.suffix, part.parent) == (path.suffix, path.parent)
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with whole_file(path) as part:
            part.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_can_be_written_to_is_left_as_it_is(tmp_path):
    for folder in (tmp_path, tmp_path / "new" / "folder", str(tmp_path)):
        check_folder(folder)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("inside", ["", "folder"])
def test_a_file_is_no_folder(tmp_path, inside):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(OSError, match=r"a\.txt.* cannot be written to .*: name another folder"):
        check_folder(tmp_path / "a.txt" / inside)


# JSON and text


def test_what_is_not_finite_becomes_null(tmp_path):
    data = {
        "a": float("nan"),
        "b": [1.5, np.float64("inf"), (2, -np.inf)],
        "c": {"d": {"e": np.nan}, "f": None, "g": True, "h": "NaN", "i": 3},
    }
    write_json(tmp_path / "a" / "x.json", data)

    def refuse(word):
        raise AssertionError(word)

    text = (tmp_path / "a" / "x.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=refuse) == {
        "a": None,
        "b": [1.5, None, [2, None]],
        "c": {"d": {"e": None}, "f": None, "g": True, "h": "NaN", "i": 3},
    }
    assert np.isnan(data["a"])  # what was given is left as it was


def test_text_is_utf_8_whatever_the_locale(tmp_path):
    path = tmp_path / "report.md"
    script = (
        "import sys; from pathlib import Path; from ndbmi_gym.files import write_text"
        "; write_text(Path(sys.argv[1]), '\\u03b1 \\u2265 0.7')"
    )
    plain = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", script, str(path)], env=plain, check=True)
    assert path.read_bytes() == "α ≥ 0.7".encode()


# Paths


class Somewhere:
    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return self.path


@pytest.mark.parametrize(
    "path", ["a/b.npz", Path("a/b.npz"), Somewhere("a/b.npz"), np.str_("a/b.npz")]
)
def test_text_and_path_objects_are_paths(path):
    assert as_path(path) == Path("a/b.npz")


@pytest.mark.parametrize("path", [0, 7, True, np.int64(3), 2.5, None, b"a", Somewhere(b"a"), ["a"]])
def test_anything_else_is_refused_by_name(path):
    with pytest.raises(ValueError, match=r"interface = .*: give a path, as str or os\.PathLike"):
        as_path(path, "interface")


def test_digest_is_of_the_content(tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    assert digest(tmp_path / "a") == sha256(b"content").hexdigest()


# Arrays


@pytest.fixture
def path(tmp_path):
    write_arrays(tmp_path / "a.npz", {"of": [1, "x"]}, ARRAYS, THING)
    return tmp_path / "a.npz"


def rewritten(path, compression=zipfile.ZIP_DEFLATED, **members):
    """The archive with some members replaced, by their bytes."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in (parts | {f"{name}.npy": b for name, b in members.items()}).items():
            archive.writestr(name, content)
    return path


def npy(shape, dtype="<f8", content=b"", version=(1, 0)):
    file = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    write = {
        (1, 0): np.lib.format.write_array_header_1_0,
        (2, 0): np.lib.format.write_array_header_2_0,
    }
    write[version](file, header)
    return file.getvalue() + content


@pytest.mark.parametrize("names", [None, ("c", "a")])
def test_arrays_return_as_they_were(path, names):
    header, arrays = read_arrays(path, THING, names)
    assert header == {"format": "thing", "version": 3, "of": [1, "x"]}
    assert list(arrays) == list(names or ARRAYS)
    for name, array in arrays.items():
        assert array.dtype == ARRAYS[name].dtype
        np.testing.assert_array_equal(array, ARRAYS[name])


def test_columns_first_and_the_later_format_are_read(path):
    other = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    file = io.BytesIO()
    np.lib.format.write_array(file, other, version=(2, 0))
    _, arrays = read_arrays(rewritten(path, a=file.getvalue()))
    np.testing.assert_array_equal(arrays["a"], other)


def test_the_check_sees_header_and_layouts_before_any_array(path, monkeypatch):
    def check(header, layouts):
        assert header["of"] == [1, "x"]
        assert layouts == {
            "a": Layout((2, 3), np.dtype(float)),
            "b": Layout((), np.dtype(np.int16)),
            "c": Layout((2,), np.dtype("<U2")),
        }
        assert [layout.n_bytes for layout in layouts.values()] == [48, 2, 16]
        monkeypatch.setattr(files, "_array", None)
        raise ValueError("no such shape")

    with pytest.raises(ValueError, match="no such shape"):
        read_arrays(path, THING, check=check)


@pytest.mark.parametrize("fake", [False, True])
def test_what_inflates_is_refused_at_once(path, fake):
    """A file of 1 MB that holds 1 GB of zeros, or says so."""
    content = b"" if fake else bytes(2**30)
    rewritten(path, a=npy((2**27,), content=content))
    del content
    assert path.stat().st_size < 2e6
    tracemalloc.start()
    begin = time.perf_counter()
    try:
        with pytest.raises(
            ValueError, match="a has .* bytes" if fake else "take 1024.0 MiB, and at most 256"
        ):
            read_arrays(path)
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - begin < 1


def test_many_arrays_count_together(path):
    half = npy((2**24,), content=bytes(2**27))
    with pytest.raises(ValueError, match="at most 256 MiB"):
        read_arrays(rewritten(path, a=half, b=half, c=half))


def test_a_huge_header_is_refused(path):
    text = npy((), "<U300000", bytes(1_200_000))
    with pytest.raises(ValueError, match=r"take 1\.1 MiB, and at most 1 MiB"):
        read_arrays(rewritten(path, header=text))
    long = b"\x93NUMPY\x02\x00" + (2**28).to_bytes(4, "little") + b" " * 2**28
    with pytest.raises(ValueError, match="EOF"):
        read_arrays(rewritten(path, header=long))


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (npy((2, 3)), "bytes, not those of shape"),
        (npy((2, 3), content=bytes(49)), "bytes, not those of shape"),
        (npy((-2, -3), content=bytes(48)), "bytes, not those of shape"),
        (npy((1,), "|O", bytes(8)), "a holds Python objects"),
        (b"\x93NUMPY\x03\x00" + npy((2, 3), version=(2, 0), content=bytes(48))[8:], "format"),
        (b"text", "magic"),
        (b"", "magic|EOF"),
    ],
)
def test_a_damaged_array_is_refused(path, member, message):
    with pytest.raises(ValueError, match=message):
        read_arrays(rewritten(path, a=member))


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_only_numpy_s_compression_is_read(path, compression):
    with pytest.raises(ValueError, match="compressed in another way"):
        read_arrays(rewritten(path, compression))


def test_what_could_not_be_read_is_not_written(tmp_path):
    large = np.broadcast_to(np.zeros(1), (2**26,))
    with pytest.raises(ValueError, match=r"512\.0 MiB, and at most 256 MiB are written"):
        write_arrays(tmp_path / "large.npz", {}, {"large": large})
    assert not list(tmp_path.iterdir())


def test_every_trouble_in_reading_is_named_with_the_remedy(tmp_path):
    missing = tmp_path / "none.npz"
    cases = [
        (missing, FileNotFoundError, f"no thing file {missing}: .* or make it"),
        (str(tmp_path), ValueError, f"{tmp_path} is not an intact thing file .*: make it"),
        (7, ValueError, "path = 7: give a path"),
    ]
    for path, error, message in cases:
        with pytest.raises(error, match=message), reading(path, THING, "make it"):
            read_arrays(path)
