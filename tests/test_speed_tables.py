"""The tables of speed say what the records of benchmarks say."""

import json
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def cells(text):
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]


@pytest.fixture
def tables(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    module = import_module("speed_tables")
    for commit, date, rates in (
        ("old", "2026-01-01", [3.0]),
        ("new", "2026-02-01T10:00", [5.0, 8.0]),
    ):
        record = {
            "commit": commit,
            "date": date,
            "machine": {"processor": "a machine", "python": "3.11", "caches": {"L1 data": "32K"}},
            "versions": {"numpy": "2.4"},
            "steps_per_s": {
                "MuJoCo Reacher-v5": {"scalar": [2.0] * len(rates)},
                "ours": {"4096": rates} | ({"256": [2.0, 2.0]} if commit == "new" else {}),
            },
            "beside": {"ours to theirs": {"4096": [0.5, 0.7, 0.6]}},
            "pictures_per_s": {"CartPole-v1 (600 x 400)": [10.0], "ours": [20.0]},
            "others": {"import, s": 0.125},
            "microseconds": {"one": {"decoding": rates[0]}, "other": {"motion": 1.0}},
        }
        (tmp_path / f"{commit}.json").write_text(json.dumps(record))
    (tmp_path / "peers").write_text(json.dumps({"theirs": record}))
    monkeypatch.setattr(module, "HISTORY", tmp_path)
    monkeypatch.setattr(module, "PEERS", tmp_path / "peers")
    return module


def test_speeds_are_medians_of_ratios_within_the_rounds_of_the_latest_record(tables):
    heads, _, reference, ours = cells(tables.speed())
    assert heads == ["× Reacher", "scalar", "256", "4,096", "spread"]
    assert reference == ["MuJoCo Reacher-v5", "1", "", "", "0%"]
    assert ours == ["ours", "", "1", "3.2", "60%"]
    assert cells(tables.peers()) == cells(tables.speed())


def test_what_records_have_in_common_is_set_side_by_side(tables):
    heads, _, reference, ours = cells(tables.speed_changes())
    assert heads[2:] == ["new (2026-02-01)", "old (2026-01-01)"]
    assert reference[2:] == ["1", "1"]
    assert ours == ["ours", "4,096", "3.2", "1.5"]


def test_the_other_tables_are_of_the_latest_record(tables):
    assert cells(tables.beside())[2] == ["ours to theirs", "4,096", "0.6", "0.5–0.7"]
    assert cells(tables.pictures())[3] == ["ours", "20", "2"]
    assert cells(tables.beginnings())[2] == ["import, s", "0.12"]
    assert cells(tables.spent())[2:] == [["decoding", "5.00", ""], ["motion", "", "1.00"]]
    assert tables.speed_machine() == (
        "Commit new, 2026-02-01. a machine, 32K L1 data, Python 3.11, numpy 2.4."
    )


def test_the_page_shows_every_table_of_what_is_kept(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    module, page = import_module("speed_tables"), (ROOT / "docs" / "speed.md").read_text("utf-8")
    shown = re.findall(r"```{derived} (\w+)\n", page)
    assert {"speed", "beside", "speed_changes", "spent", "peers"} <= {*shown}
    assert len(cells(module.speed_changes())) > 10
    assert all(len(getattr(module, name)()) > 50 for name in shown)
