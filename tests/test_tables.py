import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ndbmi_gym.experiments.bench import tables


def table():
    return {
        "condition": np.array(["set 6", 'odd, "name"']),
        "run": np.array([0, 12]),
        "carry": np.array([False, True]),
        "wtpe": np.array([0.123456789, np.nan]),
    }


def test_csv_returns_what_was_written(tmp_path):
    tables.write_csv(tmp_path / "a" / "runs.csv", table())
    back = tables.read_csv(tmp_path / "a" / "runs.csv")
    assert list(back) == list(table())
    assert back["condition"].tolist() == table()["condition"].tolist()
    assert back["run"].dtype.kind == "i"
    np.testing.assert_array_equal(back["carry"], table()["carry"])
    assert back["carry"].dtype == bool
    np.testing.assert_allclose(back["wtpe"], [0.123457, np.nan])


@given(st.lists(st.tuples(st.integers(-(2**40), 2**40), st.floats(-1e6, 1e6)), min_size=1))
def test_numbers_survive_csv(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    whole, real = map(np.array, zip(*rows, strict=True))
    tables.write_csv(path, {"whole": whole, "real": real.astype(float)})
    back = tables.read_csv(path)
    np.testing.assert_array_equal(back["whole"], whole)
    np.testing.assert_allclose(back["real"], real, rtol=1e-5, atol=1e-300)


def test_parts_are_read_under_their_own_header_only(tmp_path):
    path = tmp_path / "part.npz"
    header = {"figure": "fig7", "preset": {"tau_s": 0.1}}
    assert tables.load_tables(path, header) is None
    tables.save_tables(path, header, {"runs": table(), "sites": {"x": np.arange(3.0)}})
    back = tables.load_tables(path, header)
    assert {name: list(t) for name, t in back.items()} == {"runs": list(table()), "sites": ["x"]}
    np.testing.assert_array_equal(back["runs"]["wtpe"], table()["wtpe"])
    assert tables.load_tables(path, header | {"figure": "fig8"}) is None


def test_a_damaged_part_is_made_anew(tmp_path):
    path = tmp_path / "part.npz"
    tables.save_tables(path, {}, {"runs": table()})
    path.write_bytes(path.read_bytes()[:200])
    assert tables.load_tables(path, {}) is None


def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    tables.write_csv(path, {"a": np.arange(2)})
    with pytest.raises(ValueError, match="zip"):
        tables.write_csv(path, {"a": np.arange(2), "b": np.arange(3)})
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]
    assert tables.read_csv(path)["a"].tolist() == [0, 1]


def test_where_and_concatenate():
    both = tables.concatenate([table(), table()])
    assert both["run"].tolist() == [0, 12, 0, 12]
    assert tables.where(both, condition="set 6", run=0)["run"].tolist() == [0, 0]
    assert tables.where(both, run=5)["run"].tolist() == []
