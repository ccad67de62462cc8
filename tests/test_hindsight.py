"""What is said of hindsight replay is what was measured."""

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def hindsight():
    spec = importlib.util.spec_from_file_location("hindsight", DOCS / "hindsight.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_seed_has_a_curve_of_the_same_steps(hindsight):
    with hindsight.TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == hindsight.HEAD
    runs = {}
    for row in rows:
        runs.setdefault((row["agent"], row["seed"]), []).append(int(row["steps"]))
    assert {agent for agent, _ in runs} == set(hindsight.AGENTS)
    assert len(runs) >= 3 * len(hindsight.AGENTS)
    assert len(set(map(tuple, runs.values()))) == 1
    assert runs.popitem()[1][-1] >= hindsight.STEPS


def test_every_seed_gains_by_it(hindsight):
    (_, gained), (_, without) = hindsight.curves().values()
    assert gained[:, -1].min() > without[:, -1].max()


def test_the_picture_is_drawn_from_the_file(hindsight, tmp_path, monkeypatch):
    rows = [(agent, seed, 100, seed / 10) for agent in hindsight.AGENTS for seed in (1, 2)]
    monkeypatch.setattr(hindsight, "TABLE", tmp_path / "her.csv")
    monkeypatch.setattr(hindsight, "PICTURE", tmp_path / "her.png")
    with hindsight.TABLE.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([hindsight.HEAD, *rows])
    for steps, held in hindsight.curves().values():
        np.testing.assert_array_equal(steps, [100])
        np.testing.assert_array_equal(held, [[0.1], [0.2]])
    hindsight.draw()
    assert hindsight.PICTURE.stat().st_size > 5000


def test_the_table_has_the_mean_and_every_seed(hindsight, monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "_ext")
    rows = importlib.import_module("site_tables").hindsight().splitlines()[2:]
    for row, (agent, (_, held)) in zip(rows, hindsight.curves().items(), strict=True):
        cells = [cell.strip() for cell in row.split("|")[1:-1]]
        assert cells[0] == agent
        for cell, each in zip(cells[1:], held.T, strict=True):
            seeds = ", ".join(f"{x:.2f}" for x in each)
            assert cell == f"{each.mean():.2f} ({seeds})"


def test_the_page_shows_file_and_picture(hindsight):
    page = (DOCS / "environments" / "hold_target_goal.md").read_text(encoding="utf-8")
    assert "```{derived} hindsight\n" in page
    assert f"../clients/{hindsight.PICTURE.name}" in page
    assert hindsight.PICTURE.exists()
