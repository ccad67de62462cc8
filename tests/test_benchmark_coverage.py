"""The benchmark's intervals hold the truth as often as is said."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def coverage():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        found = importlib.import_module("benchmark_coverage")
        patch.setattr(found, "MANY", 40_000)  # quicker, and true to a hundredth of the spread
        yield found


@pytest.fixture(scope="module")
def cases(coverage):
    return {f"{case.interval}, {case.data}": case for case in coverage.cases()}


@pytest.fixture(scope="module")
def rows(coverage):
    kept = json.loads(coverage.OUT.read_text())["rows"]
    return {f"{row['interval']}, {row['data']}": row for row in kept}


def least(share, n, z=3.72):
    """A share of n below which one of `share` lies once in 10,000 times."""
    return share - z * np.sqrt(share * (1 - share) / n)


@pytest.mark.parametrize("tasks", ["alike", "apart"])
def test_intervals_of_three_runs_hold_the_truth(coverage, cases, tasks):
    # anew, from other random numbers
    case = cases[f"interquartile mean, tasks: {tasks}; runs: normal; trials: quiet"]
    assert case.coverage(3, 400, seed=1) >= least(coverage.LEAST, 400)


def test_a_bootstrap_of_three_runs_would_be_found_out(coverage, cases):
    (case,) = (case for name, case in cases.items() if "bootstrap" in name)
    assert case.coverage(3, 400, seed=1) < least(coverage.LEAST, 400)


def test_the_data_hold_every_case_and_what_is_promised(coverage, cases, rows):
    assert list(rows) == list(cases)
    for name, row in rows.items():
        covered = row["coverage"]
        assert [int(n) for n in covered] == list(cases[name].sizes)
        # what goes beyond the promise is told of because it breaks it
        assert row["beyond"] == cases[name].beyond == (min(covered.values()) < coverage.LEAST), name


def test_the_data_are_what_the_script_measures(coverage, cases, rows):
    made = json.loads(coverage.OUT.read_text())
    assert (made["repetitions"], made["seed"]) == (coverage.REPETITIONS, coverage.SEED)
    name = "performance profile, runs above 0.85, normal; tasks: apart"
    found = cases[name].coverage(3, made["repetitions"])
    assert rows[name]["coverage"]["3"] == pytest.approx(found, abs=1e-4)
