"""The benchmark's intervals hold the truth as often as the documentation says."""

import json
from importlib import import_module
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
LEAST = 0.93


@pytest.fixture(scope="module")
def coverage():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        yield import_module("benchmark_coverage")


@pytest.fixture(scope="module")
def rows(coverage):
    return json.loads(coverage.OUT.read_text(encoding="utf-8"))["rows"]


def test_every_interval_that_is_used_holds_what_is_promised(rows):
    used = [row for row in rows if "not used" not in row["interval"]]
    assert {row["interval"] for row in used} == {
        "interquartile mean",
        "probability of improvement",
        "performance profile",
    }
    for row in used:
        assert set(row["coverage"]) == {"3", "5", "10"}
        assert min(row["coverage"].values()) >= LEAST, row


def test_a_bootstrap_would_be_found_out(rows):
    (row,) = (row for row in rows if "bootstrap" in row["interval"])
    assert max(row["coverage"].values()) < LEAST
