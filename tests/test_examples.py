"""The scripts under examples run, and say what they promise."""

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest
from matplotlib import pyplot as plt

FOLDER = Path(__file__).parents[1] / "examples"


@pytest.fixture
def printed(monkeypatch, capsys):
    """Run a script; returns what it prints, and the numbers in it, line by line."""
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))

    def run(name):
        try:
            import_module(name)
        finally:
            sys.modules.pop(name, None)
        lines = capsys.readouterr().out.splitlines()
        return [[float(each) for each in re.findall(r"-?\d+\.\d+", line)] for line in lines]

    return run


def test_random_volition(printed):
    assert len(printed("random_volition")) == 10


def test_what_if(printed):
    assert len(printed("what_if")) == 10  # a heading and 9 places


def test_circuit(printed):
    assert len(printed("circuit")) == 4


def test_own_field(printed):
    (zero,), (eq24,) = printed("own_field")
    assert zero < 0.1 < 0.5 < eq24


def test_own_task(printed):
    small, middle, large = printed("own_task")
    assert small[2] < middle[2] < large[2]  # failures


def test_own_cortex(printed):
    for _, x, y in printed("own_cortex"):
        assert x**2 + y**2 < 1.5**2


def test_session(printed):
    ignorant, learner, knowing = printed("session")
    assert ignorant[0] > 2 < learner[0]
    assert max(map(abs, knowing)) < 0.5 < 1.5 < ignorant[1]
    assert abs(learner[1]) < 0.8
    assert abs(ignorant[2]) < 0.5
    assert learner[2] < -2.5  # the after-effect


def test_hidden_switch(printed):
    blocks, change = printed("hidden_switch")
    assert blocks[0] > blocks[1] + 0.2
    assert change[0] == blocks[0]
    assert change[0] > change[1] + 0.2


@pytest.fixture
def her(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    yield import_module("her")
    sys.modules.pop("her", None)


@pytest.mark.parametrize("hindsight", [True, False])
def test_her_trains(her, hindsight):
    curve = list(her.learn(hindsight, steps=1_100, every=600))
    assert [steps for steps, _ in curve] == [600, 1200]
    assert all(0 <= share < 0.1 for _, share in curve)


@pytest.mark.slow
def test_her_learns(her):
    (*_, (_, gained)), (*_, (_, without)) = map(her.learn, (True, False))
    assert gained > without + 0.2
    assert gained > her.held("eq24") + 0.1


@pytest.mark.slow
def test_centre_out(printed):
    first, *_, last = printed("centre_out")
    assert last[1] > 0.9 > first[1]
