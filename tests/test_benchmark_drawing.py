"""Pictures of a benchmark show its tables."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

from agents import benchmark_drawing as drawing
from agents.benchmark_report import by_task, efficiency, leaderboard, profiles, read_results

CORE = Path(__file__).parents[1] / "agents" / "results" / "benchmark" / "core"


@pytest.fixture(scope="module")
def results():
    return read_results(CORE)


@pytest.fixture(scope="module")
def figures(results):
    return {
        "aggregates": drawing.aggregates(leaderboard(results)),
        "profiles": drawing.profiles(list(profiles(results))),
        "efficiency": drawing.efficiency(list(efficiency(results)), list(by_task(results))),
    }


@pytest.mark.parametrize("name", ["aggregates", "profiles", "efficiency"])
def test_they_are_legible(name, figures):
    """No text is small, cut off or on top of another; the marks at an axis's ends may meet."""
    figure = figures[name]
    figure.draw_without_rendering()
    shown = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    assert min(t.get_fontsize() for t in shown) >= 7
    ticks = {t for axes in figure.axes for t in (*axes.get_xticklabels(), *axes.get_yticklabels())}
    boxes = [(t.get_text(), t.get_window_extent()) for t in shown if t not in ticks]
    edge = figure.bbox.padded(1)
    for text, box in boxes:
        assert edge.x0 <= box.x0 <= box.x1 <= edge.x1, text
        assert edge.y0 <= box.y0 <= box.y1 <= edge.y1, text
    for (first, a), (second, b) in combinations(boxes, 2):
        wide, high = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(wide, high) <= 2, (first, second)


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
