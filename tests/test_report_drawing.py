import numpy as np
import pytest
from legible import check_legible, tick_labels
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle

from ndbmi_gym.cortex.soc.circuit import CONTROLS, random_circuit, stabilise
from ndbmi_gym.experiments.bench.tables import read_csv, where, write_csv
from ndbmi_gym.experiments.circuit import (
    construction,
    quench,
    reaching,
    reliability,
    report,
    report_drawing,
    study_drawing,
)
from ndbmi_gym.experiments.circuit.report import PICTURES, measure_specimen
from ndbmi_gym.experiments.circuit.specimen import NETWORKS, Specimen


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Tables of a small circuit that were saved and read back."""
    folder = tmp_path_factory.mktemp("soc")
    circuit = stabilise(random_circuit(np.random.default_rng(0), 50))
    specimen = Specimen(str(circuit.save(folder / "small.npz")), 0)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("ANIMALS", 2), ("TRIALS", 5)):
            patch.setattr(reliability, name, value)
        for part in (construction, reaching, reliability):
            patch.setattr(part, "REPEATS", 2)
        patch.setattr(reaching, "READ_TRIALS", 6)
        patch.setattr(quench, "TRIALS", 3)
        patch.setattr(report, "STAGES", dict(list(report.STAGES.items())[:-1]))
        measured = measure_specimen(specimen)
    for name, table in measured.items():
        write_csv(folder / f"{name}.csv", table)
    return {name: read_csv(folder / f"{name}.csv") for name in measured}


@pytest.fixture(scope="module")
def pictures(tables):
    return {name: draw(tables) for name, draw in PICTURES.items()}


def titles(canvas):
    return [axes.get_title() for axes in canvas.axes]


def heights(axes):
    return [p.get_height() for p in axes.patches if isinstance(p, Rectangle)]


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_legible(name, pictures):
    check_legible(pictures[name], tick_labels(pictures[name]))


def test_construction(pictures, tables):
    course, before, after = pictures["construction"].axes
    np.testing.assert_array_equal(course.lines[0].get_ydata(), tables["construction"]["abscissa"])
    assert len(before.lines[0].get_xdata()) == 50
    assert [t.get_text() for t in after.get_legend().get_texts()] == [
        "stabilised circuit",
        "random weights, 0.99",
        "random weights, 0.15",
    ]
    lost = (where(tables["eigenvalues"], circuit="SOC")["real"] < after.get_xlim()[0]).sum()
    assert f"({lost} of" in after.get_title()


def test_balance(pictures, tables):
    chart, *panels = pictures["balance"].axes
    table = tables["balance"]
    expected = [where(table, population=p)["exact"] for p in "EI"]
    np.testing.assert_allclose(heights(chart), np.concatenate(expected))
    names = [axes.get_title().split(":")[0] for axes in panels]
    shown = ("SOC", "scaled 0.99", "shuffled 0.99")
    assert names == [report_drawing.in_words(name) for name in shown]
    assert all(len(axes.lines) == 2 for axes in panels)


def test_transients(pictures, tables):
    canvas = pictures["transients"]
    assert titles(canvas)[:4] == [
        "How much states are amplified",
        "Activity of the stabilised circuit",
        "Activity from the state amplified most",
        "Activity from a random state",
    ]
    assert [len(axes.lines) for axes in canvas.axes] == [9, 3, 8, 8, 7, 7, 7, 7]
    own = where(tables["courses"], circuit="SOC", state="v1")["norm"]
    np.testing.assert_array_equal(canvas.axes[2].lines[0].get_ydata(), own)
    assert len({axes.get_ylim() for axes in canvas.axes[4:]}) == 1


def test_reliability(pictures, tables):
    spikes, rates, chart = pictures["reliability"].axes
    for axes in (spikes, rates):
        assert len([c for c in axes.collections if isinstance(c, LineCollection)]) == 8
    widths = [p.get_width() for p in chart.patches]
    table = tables["identification"]
    own = (table["amplitude"] == "matched") | (table["circuit"] == "SOC")
    identified = table["identified"][own].reshape(-1, 2).mean(axis=1)
    np.testing.assert_allclose(widths, identified)
    labels = [t.get_text() for t in chart.get_yticklabels()]
    assert labels[-2:] == ["stabilised circuit, 50 ms", "stabilised circuit, 32 stimuli"]
    assert {"random weights, 0.15", "random weights, 0.99"} < set(labels)


def test_richness(pictures, tables):
    curve, outside, chart = pictures["richness"].axes
    assert len(curve.lines) == 8 + 1
    table = tables["dimensions"]
    np.testing.assert_allclose(heights(chart), table["participation"])
    widths = [patch.get_width() for patch in outside.patches]
    np.testing.assert_allclose(widths, where(table, states="all")["outside"])


def test_reaching(pictures, tables):
    canvas = pictures["reaching"]
    assert len(canvas.axes) == 8 * 4 + 2
    first = canvas.axes[0]
    rows = [axes.get_ylabel().replace("\n", " ") for axes in canvas.axes[:32:4]]
    assert rows == [report_drawing.in_words(name) for name in ("SOC", *NETWORKS)]
    target = where(tables["paths"], circuit="target", movement=0)
    np.testing.assert_array_equal(first.lines[0].get_xdata(), target["x"])
    # target, single trials of few units and of many, start
    assert all(len(axes.lines) == 1 + 3 + 1 + 1 for axes in canvas.axes[1:32])
    assert len(first.lines) == 1 + 3 + 1 + 1 + 1  # and a length
    widths = [line.get_linewidth() for line in first.lines[1:5]]
    assert widths[0] == widths[1] == widths[2] < widths[3]
    for axes in canvas.axes[:32]:  # nothing is cut off
        for line in axes.lines:
            x, y = line.get_data()
            assert axes.get_xlim()[0] < np.min(x) <= np.max(x) < axes.get_xlim()[1]
            assert axes.get_ylim()[0] < np.min(y) <= np.max(y) < axes.get_ylim()[1]
    fit = canvas.axes[32]
    assert [t.get_text() for t in fit.get_xticklabels()] == ["1", "4", "16", "64"]


def test_rotations(pictures, tables):
    *planes, ratio, r2, frequency = pictures["rotations"].axes
    assert len(planes) == 8
    table = tables["rotations"]
    shown = (table["amplitude"] == "matched") | (table["circuit"] == "SOC")
    shown &= (table["neurons"] == "excitatory") & (table["conditions"] == 8)
    for axes, column in ((ratio, "ratio"), (r2, "r2_skew"), (frequency, "frequency_hz")):
        drawn = [container.lines[0].get_xdata()[0] for container in axes.containers]
        np.testing.assert_array_equal(drawn, table[column][shown])
    first = where(tables["planes"], circuit="SOC", state=0)
    np.testing.assert_array_equal(planes[0].lines[0].get_xdata(), first["x"])


def test_quench(pictures, tables):
    axes = pictures["quench"].axes
    assert [len(panel.lines) for panel in axes] == [6, 6, 5, 5]
    own = where(tables["variability"], circuit="SOC", core="nonlinear")
    for panel, kind in zip(axes, ("state", "rate", "fano", "fano_matched"), strict=True):
        np.testing.assert_array_equal(panel.lines[0].get_ydata(), own[kind])


def test_circuits_have_the_colours_of_the_study():
    for name in ("SOC", *CONTROLS[1:]):
        assert report_drawing.COLORS[name] == study_drawing._CORTICES[name.lower()]["color"]
