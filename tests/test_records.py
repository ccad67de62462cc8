import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ndbmi_gym.experiments import records


def table():
    return {
        "condition": np.array(["set 6", 'odd, "name"']),
        "run": np.array([0, 12]),
        "wtpe": np.array([0.123456789, np.nan]),
    }


def test_csv_returns_what_was_written(tmp_path):
    records.write_csv(tmp_path / "a" / "runs.csv", table())
    back = records.read_csv(tmp_path / "a" / "runs.csv")
    assert list(back) == list(table())
    assert back["condition"].tolist() == table()["condition"].tolist()
    assert back["run"].dtype.kind == "i"
    np.testing.assert_allclose(back["wtpe"], [0.123457, np.nan])


@given(st.lists(st.tuples(st.integers(-(2**40), 2**40), st.floats(-1e6, 1e6)), min_size=1))
def test_numbers_survive_csv(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    whole, real = map(np.array, zip(*rows, strict=True))
    records.write_csv(path, {"whole": whole, "real": real.astype(float)})
    back = records.read_csv(path)
    np.testing.assert_array_equal(back["whole"], whole)
    np.testing.assert_allclose(back["real"], real, rtol=1e-5, atol=1e-300)


def test_parts_are_read_under_their_own_header_only(tmp_path):
    path = tmp_path / "part.npz"
    header = {"figure": "fig7", "preset": {"tau_s": 0.1}}
    assert records.load_tables(path, header) is None
    records.save_tables(path, header, {"runs": table(), "sites": {"x": np.arange(3.0)}})
    back = records.load_tables(path, header)
    assert {name: list(t) for name, t in back.items()} == {"runs": list(table()), "sites": ["x"]}
    np.testing.assert_array_equal(back["runs"]["wtpe"], table()["wtpe"])
    assert records.load_tables(path, header | {"figure": "fig8"}) is None


def test_a_damaged_part_is_made_anew(tmp_path):
    path = tmp_path / "part.npz"
    records.save_tables(path, {}, {"runs": table()})
    path.write_bytes(path.read_bytes()[:200])
    assert records.load_tables(path, {}) is None


def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    records.write_csv(path, {"a": np.arange(2)})
    with pytest.raises(ValueError, match="zip"):
        records.write_csv(path, {"a": np.arange(2), "b": np.arange(3)})
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]
    assert records.read_csv(path)["a"].tolist() == [0, 1]


def test_where_and_concatenate():
    both = records.concatenate([table(), table()])
    assert both["run"].tolist() == [0, 12, 0, 12]
    assert records.where(both, condition="set 6", run=0)["run"].tolist() == [0, 0]
    assert records.where(both, run=5)["run"].tolist() == []


def test_versions_are_json():
    versions = json.loads(json.dumps(records.versions()))
    assert {"python", "ndbmi-gym", "numpy", "source"} <= set(versions)
    assert all(versions.values())


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package whose source is digested in place of ours."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "loop.py").write_text("x = 1\n")
    (tmp_path / "experiments" / "records.py").write_text("y = 2\n")
    monkeypatch.setattr(records, "__file__", str(tmp_path / "experiments" / "records.py"))
    yield tmp_path
    records._source.cache_clear()


def source():
    records._source.cache_clear()
    return records.versions()["source"]


def test_a_version_is_that_of_all_source_and_of_nothing_else(package):
    first = source()
    (package / "notes.txt").write_text("to do")
    (package / "experiments" / "records.pyc").write_bytes(b"compiled")
    assert source() == first
    seen = {first}
    for change in (
        lambda: (package / "loop.py").write_text("x = 3\n"),
        lambda: (package / "experiments" / "records.py").write_text("y = 3\n"),
        lambda: (package / "experiments" / "new.py").touch(),
        lambda: (package / "experiments" / "new.py").rename(package / "new.py"),
    ):
        change()
        seen.add(source())
    assert len(seen) == 5
    (package / "new.py").unlink()
    (package / "loop.py").write_text("x = 1\n")
    (package / "experiments" / "records.py").write_text("y = 2\n")
    assert source() == first


# JSON and text


def test_what_is_not_finite_becomes_null(tmp_path):
    data = {
        "a": float("nan"),
        "b": [1.5, np.float64("inf"), (2, -np.inf)],
        "c": {"d": {"e": np.nan}, "f": None, "g": True, "h": "NaN", "i": 3},
    }
    records.write_json(tmp_path / "a" / "x.json", data)

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
        "import sys; from pathlib import Path; from ndbmi_gym.experiments.records import write_text"
        "; write_text(Path(sys.argv[1]), '\\u03b1 \\u2265 0.7')"
    )
    plain = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", script, str(path)], env=plain, check=True)
    assert path.read_bytes() == "α ≥ 0.7".encode()
