"""Pictures of a benchmark show its tables."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from legible import check_legible, tick_labels

from agents import benchmark_drawing as drawing
from agents.benchmark_report import by_task, efficiency, leaderboard, profiles, read_results

CORE = Path(__file__).parents[1] / "agents" / "results" / "benchmark" / "core"


@pytest.fixture(scope="module")
def results():
    return read_results(CORE)


@pytest.fixture(scope="module")
def figures(results):
    rows = leaderboard(results)
    styles = drawing.styles_of(rows)
    curves = list(efficiency(results)), list(by_task(results))
    return {
        "aggregates": drawing.aggregates(rows),
        "profiles": drawing.profiles(list(profiles(results)), styles),
        "efficiency": drawing.efficiency(*curves, styles),
    }


@pytest.mark.parametrize("name", ["aggregates", "profiles", "efficiency"])
def test_they_are_legible(name, figures):
    figure = figures[name]
    check_legible(figure, tick_labels(figure))


def test_numbers_along_steps_have_room(figures):
    figure = figures["efficiency"]
    figure.draw_without_rendering()
    for panel in figure.axes:
        low, high = panel.get_xlim()
        shown = [
            tick.label1 for tick in panel.xaxis.get_major_ticks() if low < tick.get_loc() < high
        ]
        boxes = [label.get_window_extent() for label in shown]
        assert len(boxes) > 1
        assert all(a.x1 < b.x0 for a, b in pairwise(boxes))


def test_the_best_agent_stands_above(results, figures):
    rows = [row for row in leaderboard(results) if row["score"]]
    panel = figures["aggregates"].axes[0]
    names = [label.get_text() for label in panel.get_yticklabels()][::-1]
    assert names[0] == "ceiling"
    assert len(names) == len(rows)
    places = [line.get_xdata()[0] for line in panel.lines if line.get_marker() == "o"][::-1]
    assert places == pytest.approx([row["score"].estimate for row in rows])


def test_profiles_are_lines_of_their_agents(results, figures):
    (panel,) = figures["profiles"].axes
    lines = {line.get_label(): line.get_ydata() for line in panel.lines}
    rows = [row for row in profiles(results) if row["agent"] == "distill-5min"]
    np.testing.assert_allclose(lines["distill-5min"], [row["share"].estimate for row in rows])


def test_an_agent_looks_the_same_in_all_pictures(figures):
    seen = {}
    for name in ("profiles", "efficiency"):
        for panel in figures[name].axes:
            for line in panel.lines:
                seen.setdefault(line.get_label(), set()).add((line.get_color(), line.get_ls()))
    learned = {label: looks for label, looks in seen.items() if label.startswith("distill")}
    assert all(len(looks) == 1 for looks in learned.values())
    assert len(set.union(*learned.values())) == len(learned) == 2


def test_each_task_has_a_panel_of_what_learns(results, figures):
    panels = {axes.get_title(): axes for axes in figures["efficiency"].axes}
    assert set(panels) == set(results.tasks)
    for task, panel in panels.items():
        mine = {line.get_label(): line for line in panel.lines}
        rows = [
            row
            for row in efficiency(results)
            if (row["task"], row["agent"], row["quantity"]) == (task, "distill-5min", "score")
        ]
        np.testing.assert_allclose(mine["distill-5min"].get_xdata(), [row["steps"] for row in rows])
        shown = [row["value"].estimate for row in rows]
        np.testing.assert_allclose(mine["distill-5min"].get_ydata(), shown)
