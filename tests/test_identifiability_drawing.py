import numpy as np
import pytest
from matplotlib.text import Text

from ndbmi_gym.experiments.recovery.identifiability import Identifiability
from ndbmi_gym.experiments.recovery.identifiability_drawing import draw_best, draw_importance
from ndbmi_gym.experiments.recovery.search import SEARCHED, SPACE

INTERVALS = [name for name, values in SPACE.items() if not values.choices]


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(0)
    return Identifiability(
        rng.uniform(0, 1, (len(SEARCHED) + 1, len(SPACE))),
        rng.uniform(0, 1, len(SEARCHED) + 1),
        {name: (SPACE[name].low, SPACE[name].high, 0.01 * i) for i, name in enumerate(INTERVALS)},
        {},
        [],
    )


def trials(n):
    """Every interval from end to end, and every reading in turn."""
    table = {"trial": np.arange(n)}
    for name, values in SPACE.items():
        if values.choices:
            table[name] = np.resize(np.array(values.choices), n)
        elif values.log:
            table[name] = np.geomspace(values.low, values.high, n)
        else:
            table[name] = np.linspace(values.low, values.high, n)
    return table


def check_inside(canvas):
    """No text is cut off."""
    canvas.draw_without_rendering()
    edge = canvas.bbox.padded(1)
    for text in (t for t in canvas.findobj(Text) if t.get_visible() and t.get_text().strip()):
        box = text.get_window_extent()
        assert edge.x0 <= box.x0 <= box.x1 <= edge.x1, text
        assert edge.y0 <= box.y0 <= box.y1 <= edge.y1, text


def test_importance_of_every_parameter_for_every_claim(found):
    canvas = draw_importance(found)
    check_inside(canvas)
    shares, chart = canvas.axes[:2]
    np.testing.assert_allclose([bar.get_height() for bar in shares.patches], found.explained)
    columns = [text.get_text() for text in chart.get_xticklabels()]
    assert [column.partition(",")[0] for column in columns] == [*SEARCHED, "Table 1"]
    shown = chart.images[0].get_array()
    totals = shown.sum(axis=1)
    assert (np.diff(totals) <= 0).all()  # what matters most is above
    np.testing.assert_allclose(np.sort(totals), np.sort(found.importance.sum(axis=0)))
    assert len({text.get_text() for text in chart.get_yticklabels()}) == len(SPACE)


@pytest.mark.parametrize("searched", [False, True])
def test_where_the_best_trials_lie(found, searched):
    all_, best = trials(60), trials(60)
    best["obstacle_angle"] = np.full(60, round(SPACE["obstacle_angle"].choices[1], 6))
    groups = {"all": all_, "best": best} | ({"search": trials(120)} if searched else {})
    canvas = draw_best(groups, found)
    check_inside(canvas)
    spans, shares = canvas.axes
    bars = [line.get_xdata() for line in spans.lines]
    assert len(bars) == len(INTERVALS) * len(groups)
    np.testing.assert_allclose(bars, np.tile([0.1, 0.9], (len(bars), 1)), atol=1e-3)
    texts = {text.get_text() for text in spans.texts}
    assert {"0.01 to 3", "× 0.00", "× 0.09"} <= texts
    readings = [text.get_text() for text in shares.get_yticklabels()]
    assert len(set(readings)) == sum(len(values.choices) for values in SPACE.values())
    dots = [float(line.get_xdata()[0]) for line in shares.lines if line.get_marker() == "o"]
    assert len(dots) == len(readings)
    at = readings.index("obstacle: direction (rad): 0")
    assert dots[at : at + 2] == [0.0, 1.0]  # π/8, which a file has to six digits
    assert dots[:5] == [0.2] * 5
    said = [text.get_text() for text in canvas.legends[0].get_texts()]
    assert said[:2] == ["all 60 random trials", "best 60 of the random trials"]
    assert said[2:] == (["best 120 of the whole search"] if searched else [])
