import json
import os
import subprocess
import sys

import numpy as np
import pytest

from ndbmi_gym.files import whole_file, write_json


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
