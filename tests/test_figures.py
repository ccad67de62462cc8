from importlib import import_module
from io import BytesIO

import legible
import numpy as np
import pytest
from matplotlib.axis import Axis
from matplotlib.collections import EventCollection
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from ndbmi_gym.experiments.bench.statistics import mean_interval
from ndbmi_gym.experiments.bench.tables import concatenate, read_csv, write_csv
from ndbmi_gym.experiments.vato2014 import comparison
from ndbmi_gym.experiments.vato2014.comparison import Bar, Comparison, bars, draw_comparison
from ndbmi_gym.presets import Preset
from ndbmi_gym.stimuli import stimulus_set

PRESET = Preset(repetitions=5)  # calibrates fast
COMPARISONS = {  # with the text's letters, panels before charts
    "fig6": "BDCE",
    "fig7": "ACBD",
    "fig8": "ACBD",
    "fig9": "ACBD",
    "fig10": "ABCEFGDH",
    "fig11": "ACBD",
    "windows": "ACBD",
}


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Draw a figure at less cost from tables that were saved and read back."""
    monkeypatch.setattr(comparison, "N_STARTS", 3)
    monkeypatch.setattr(comparison, "REPETITIONS", 2)

    def draw(name):
        figure = import_module(f"ndbmi_gym.experiments.vato2014.{name}").FIGURE
        tables = figure.data(PRESET, 0, 0)
        for table, columns in tables.items():
            write_csv(tmp_path / f"{table}.csv", columns)
        saved = {table: read_csv(tmp_path / f"{table}.csv") for table in tables}
        return figure, saved, figure.draw(saved, PRESET)

    return draw


def texts(artist):
    return [t.get_text() for t in artist.findobj(Text) if t.get_visible() and t.get_text()]


def outside(axis):
    """Labels of ticks that are kept beyond the ends of an axis."""
    low, high = sorted(axis.get_view_interval())
    slack = 1e-9 * (high - low)
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    beyond = [t for t in ticks if not low - slack <= t.get_loc() <= high + slack]
    return {label for t in beyond for label in (t.label1, t.label2)}


def check_legible(canvas):
    """As of any picture, without the labels of ticks that lie beyond an axis."""
    canvas.draw_without_rendering()  # lays out
    legible.check_legible(canvas, set().union(*(outside(axis) for axis in canvas.findobj(Axis))))


@pytest.mark.parametrize(("name", "letters"), COMPARISONS.items())
def test_comparisons(name, letters, drawn):
    figure, tables, canvas = drawn(name)
    compared = figure.draw.__self__
    n = len(compared.conditions)
    panels, charts = canvas.axes[: 2 * n], canvas.axes[2 * n :]
    assert [axes.get_title() for axes in panels[:n]] == list(compared.labels)
    assert "".join(t for axes in canvas.axes for t in texts(axes) if t in "ABCDEFGH") == letters
    assert "Gaussian" in panels[0].get_ylabel()
    assert "Dipole" in panels[n].get_ylabel()
    assert all(axes.get_xlim() == axes.get_ylim() == (-10, 10) for axes in panels)
    for axes, field in zip(charts, ("gaussian", "dipole"), strict=True):
        heights = [p.get_height() for p in axes.patches if isinstance(p, Rectangle)]
        for decoder, side in (("single-point", heights[:n]), ("multiple-points", heights[n:])):
            runs = tables["runs"]
            chosen = (runs["field"] == field) & (runs["decoder"] == decoder)
            for condition, height in zip(compared.conditions, side, strict=True):
                group = runs["wtpe"][chosen & (runs["condition"] == condition)]
                mean = np.mean(group[np.isfinite(group)]) if np.isfinite(group).any() else 0.0
                assert height == pytest.approx(mean)
    check_legible(canvas)


def test_fields(drawn):
    *_, canvas = drawn("fig2")
    panels, color_bars = canvas.axes[:2], canvas.axes[2:]
    assert ["Gaussian" in panels[0].get_title(), "Dipole" in panels[1].get_title()] == [True] * 2
    assert [bar.get_ylabel() for bar in color_bars] == ["potential (kg·cm²/s²)"] * 2
    check_legible(canvas)


def test_responses(drawn):
    _, tables, canvas = drawn("fig3")
    singles, _, pairs, _, color_bar = canvas.axes
    assert [len(singles.images), len(pairs.images)] == [4 * 8, 4 * 8]
    # a pair of neighbours at distance 1 evokes, where it is stimulated, h · (1 + exp(−1/2))
    grids = [(image.get_extent(), image.get_array()) for image in (*singles.images, *pairs.images)]
    peaks = sorted({round(float(grid.max()), 6) for _, grid in grids})
    spread = 1 + np.exp(-0.5)
    expected = sorted(h * s for h in (10, 20, 30, 40) for s in (1, spread))
    np.testing.assert_allclose(peaks, expected, rtol=1e-5)
    for axes, marked in ((singles, 1), (pairs, 2)):
        for image, line in zip(axes.images, axes.lines, strict=True):  # an x on each peak
            x, _, y, _ = image.get_extent()
            column, row = (line.get_xdata() - x).astype(int), (line.get_ydata() - y).astype(int)
            counts = np.asarray(image.get_array())
            assert len(column) == marked
            np.testing.assert_allclose(counts[row, column], counts.max())
    spikes = tables["spikes"]
    assert len(spikes["time_s"]) == sum(
        len(line.get_positions())
        for axes in canvas.axes
        for line in axes.collections
        if isinstance(line, EventCollection)
    )
    assert 0 <= spikes["time_s"].min() <= spikes["time_s"].max() < PRESET.window_s
    # 121 and 276 spikes are expected; so far off is a Poisson count in one of 10^4 responses
    drawn_of = [np.sum(spikes["kind"] == kind) for kind in ("single", "pair")]
    np.testing.assert_allclose(drawn_of, [121, 276], rtol=0.4)
    assert color_bar.get_ylabel() == "mean count (spikes/trial)"
    check_legible(canvas)


def test_maps(drawn):
    *_, canvas = drawn("fig4")
    assert len(canvas.axes) == 4 * 3
    for row, number in enumerate((1, 2, 3, 4)):
        evoked, _, regions = canvas.axes[3 * row : 3 * row + 3]
        n = stimulus_set(number).n_stimuli
        assert f"set {number}" in evoked.get_title("left")
        assert len(evoked.images) == n
        assert len(regions.collections[0].get_paths()) == n
    check_legible(canvas)


def test_run(drawn):
    _, tables, canvas = drawn("fig5")
    assert len(canvas.axes) == 5 + 6 + 1 + 1  # courses, snapshots with their colour bar, path
    last = tables["steps"]["step"][-1] - 1
    assert canvas.axes[5].get_title() == "1: step 0"
    assert canvas.axes[10].get_title() == f"6: step {last}"
    check_legible(canvas)


def test_volition(drawn):
    *_, canvas = drawn("fig12")
    assert len(canvas.axes) == 2 * 4
    assert "no perturbation" in canvas.axes[0].get_ylabel()
    assert f"{PRESET.curl:g} kg/s" in canvas.axes[4].get_ylabel()
    assert all(len(axes.collections[1].get_paths()) == 16 for axes in canvas.axes)
    check_legible(canvas)


def test_region(drawn):
    _, tables, canvas = drawn("region")
    assert len(canvas.axes) == 3
    for axes, column in zip(canvas.axes, ("stopped_cm", "length_cm", "least_cm"), strict=True):
        for line, field in zip(axes.lines, ("gaussian", "dipole"), strict=False):
            values = tables["arrivals"][column][tables["arrivals"]["field"] == field]
            np.testing.assert_array_equal(line.get_xdata(), np.sort(values[np.isfinite(values)]))
            assert line.get_ydata()[-1] == pytest.approx(np.isfinite(values).mean())
    dotted = [axes.lines[-1].get_xdata()[0] for axes in (canvas.axes[0], canvas.axes[2])]
    assert dotted == [PRESET.radius_cm, 1.0]
    check_legible(canvas)


def test_interfaces(drawn):
    _, tables, canvas = drawn("linear")
    shares = tables["shares"]
    names = ("linear", "forced", "dipole")
    for axes, name in zip(canvas.axes, names, strict=True):
        assert f"{100 * shares[name].mean():.0f} % of runs arrive" in axes.get_title()
        assert f"off by {100 * shares[f'{name}_error'].mean():.0f} %" in axes.get_title()
        assert len(axes.collections[1].get_paths()) == 24
    check_legible(canvas)


def constructed(groups, lost=0.0, animal=0):
    """Runs of conditions whose wtpe scatter around given means; paths of one start."""
    scatter = np.linspace(-0.1, 0.1, 40)
    runs, paths = [], []
    for field in ("gaussian", "dipole"):
        for condition, mean in groups.items():
            labels = {"condition": np.full(40, condition), "field": np.full(40, field)}
            path = {"run": np.zeros(40, int), "step": np.arange(40)}
            paths.append({**labels, **path, "x": 8 - 0.2 * np.arange(40), "y": np.zeros(40)})
            for decoder in ("multiple-points", "single-point"):
                error = mean + scatter
                error[: round(40 * lost)] = np.nan
                runs.append(
                    {
                        **labels,
                        "decoder": np.full(40, decoder),
                        "animal": np.full(40, animal),
                        "repetition": np.arange(40) % 10,
                        "wtpe": error,
                    }
                )
    places = np.array([(-5.0, -5.0), (5.0, -5.0), (0.0, 5.0)])
    sites = [
        {"condition": np.full(3, c), "stimulus": np.arange(3), "x": places[:, 0], "y": places[:, 1]}
        for c in groups
    ]
    paths = concatenate(paths)
    return {"runs": concatenate(runs), "paths": paths, "ideal": paths, "sites": concatenate(sites)}


COMPARED = Comparison(("low", "set 6", "same", "high"), ("1", "2", "3", "4"), "what varies")
MEANS = {"low": 1.0, "set 6": 2.0, "same": 2.01, "high": 3.0}


def test_stars_mark_differences_from_the_reference():
    canvas = draw_comparison(COMPARED, constructed(MEANS), PRESET)
    for axes in canvas.axes[-2:]:
        stars = sorted(t.xy[0] for t in axes.texts if t.get_text() == "*")
        np.testing.assert_array_equal(np.round(stars), [0, 0, 3, 3])
        heights = [p.get_height() for p in axes.patches]
        np.testing.assert_allclose(heights, 2 * list(MEANS.values()))
    assert not [t for t in texts(canvas) if "%" in t and t[0].isdigit()]
    check_legible(canvas)


def test_one_animal_has_standard_errors():
    bar = bars(COMPARED, constructed(MEANS)["runs"], "gaussian", "single-point")[0]
    error = np.linspace(-0.1, 0.1, 40).std(ddof=1) / np.sqrt(40)
    assert bar == Bar(pytest.approx(1), pytest.approx(1 - error), pytest.approx(1 + error), True, 0)


def test_lost_runs_are_written():
    canvas = draw_comparison(COMPARED, constructed(MEANS, lost=0.25), PRESET)
    canvas.savefig(BytesIO(), format="png")
    assert texts(canvas.axes[-1]).count("25 %") == 8
    check_legible(canvas)


def test_a_condition_without_convergent_runs():
    tables = constructed(MEANS)
    tables["runs"]["wtpe"][tables["runs"]["condition"] == "high"] = np.nan
    canvas = draw_comparison(COMPARED, tables, PRESET)
    assert texts(canvas.axes[-1]).count("100 %") == 2
    assert [p.get_height() for p in canvas.axes[-1].patches][3] == 0
    check_legible(canvas)


def test_several_animals():
    """Bars are means over animals; a star asks for the difference in most of them."""
    rising, flat = MEANS, dict.fromkeys(MEANS, 1.5)
    for animals, starred in ((((rising, rising, flat)), True), ((rising, flat, flat), False)):
        runs = [constructed(means, animal=s)["runs"] for s, means in enumerate(animals)]
        tables = constructed(MEANS) | {"runs": concatenate(runs)}
        bar = bars(COMPARED, tables["runs"], "dipole", "multiple-points")[3]
        expected = mean_interval([means["high"] for means in animals])
        assert bar[:3] == pytest.approx(tuple(expected))
        assert bar.starred is starred
        canvas = draw_comparison(COMPARED, tables, PRESET)
        assert any("over 3 animals" in t.get_text() for t in canvas.legends[0].get_texts())
