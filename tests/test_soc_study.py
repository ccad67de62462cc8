from dataclasses import asdict
from importlib import import_module
from itertools import combinations

import numpy as np
import pytest
from matplotlib.axis import Axis
from matplotlib.text import Text

from ndbmi_gym.experiments import reproduce, soc_cases, soc_study
from ndbmi_gym.experiments.conditions import FIELDS
from ndbmi_gym.experiments.figures.soc_drawing import over_animals
from ndbmi_gym.experiments.records import read_csv, where
from ndbmi_gym.experiments.reproduce import STUDIES
from ndbmi_gym.experiments.soc_cases import CARRY, DIRECTIONS, STRUCTURE, VOLITION, WINDOWS, Case
from ndbmi_gym.experiments.statistics import mean_interval
from ndbmi_gym.interface import DECODERS
from ndbmi_gym.presets import Preset

LOST = Case("scaled", 8)
"""Of which no run converges with the first decoder in the first field."""
WTPE = {"topographic": 1.5, "soc": 0.5}  # and 2 of others; in each animal, 0.1 more
CASES = {"soc_structure": STRUCTURE, "soc_windows": WINDOWS, "soc_carry": CARRY}


def table(rows):
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def protocol(cases, subjects):
    loops, decoding = [], []
    for subject in subjects:
        for case in cases:
            key = asdict(case) | {"subject": subject}
            decoding.append(key | {"accuracy": 0.9 - 0.01 * subject})
            for field in FIELDS:
                for decoder in DECODERS:
                    key |= {"field": field, "decoder": decoder}
                    error = WTPE.get(case.cortex, 2.0) + 0.1 * subject
                    lost = case == LOST and (field, decoder) == (FIELDS[0], DECODERS[0])
                    share = 0.0 if lost else 0.25 if case.cortex == "symmetric" else 1.0
                    loops.append(
                        key | {"convergent": share, "wtpe": np.nan if lost else error, "steps": 9.0}
                    )
    return {"loops": table(loops), "decoding": table(decoding)}


def volition(cases, subjects):
    reached, commands, policies = [], [], []
    for subject in subjects:
        for i, case in enumerate(cases):
            for low in (0.0, -1.0):
                key = asdict(case) | {"low": low, "subject": subject}
                reached += [
                    key | {"direction": d, "reach": 2 + i + 0.1 * d - low + subject}
                    for d in range(DIRECTIONS)
                ]
                commands += [
                    key | {"curl": curl, "target": t, "arrived": 0.2 * (t + 1), "settled_off": 1.0}
                    for curl in (0.0, 0.6)
                    for t in range(4)
                ]
                policies += [
                    key | {"policy": name, "success": success, "steps": 12.0}
                    for name, success in (("zero", 0.0), ("eq24", 0.5), ("ceiling", 1.0))
                ]
    return {"reach": table(reached), "commands": table(commands), "policies": table(policies)}


def constructed(subjects=(0, 1, 2)):
    """Tables of all parts, as of so many animals."""
    made = {name: protocol(cases, subjects) for name, cases in CASES.items()}
    return made | {"soc_volition": volition(VOLITION, subjects)}


# The summary


def cells(text):
    """Rows of the Markdown tables, a list of tables."""
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    return [[line.strip("| ").split(" | ") for line in block] for block in blocks]


def test_summary_contains_every_case():
    structure, *others, reached = cells(soc_study.summary(constructed()))
    names = [(row[0], row[1]) for row in structure[2:]]
    assert len(names) == len(set(names)) == len(STRUCTURE)
    assert {name for name, _ in names} == {*soc_cases.CORTICES, "soc, nonlinear"}
    assert {stimuli for _, stimuli in names} == {"8", "32"}
    assert len(others) == 2 * len(FIELDS)
    for block, n_rows in zip(others, (8, 8, 4, 4), strict=True):
        assert [row[2] for row in block[:1]] == ["50 ms"]
        assert len({(row[0], row[1]) for row in block[2:]}) == n_rows
    assert {row[0] for row in others[2][2:]} == {"soc", "soc, carried"}
    assert len(reached[2:]) == sum(len(case.lows) for case in VOLITION)
    assert {row[2] for row in reached[2:]} == {"positive", "signed"}
    for block in (structure, *others, reached):
        assert len({len(row) for row in block}) == 1


def test_summary_shows_means_over_animals():
    structure, *_, reached = cells(soc_study.summary(constructed()))
    rows = {(row[0], row[1]): row[2:] for row in structure[2:]}
    assert rows["topographic", "8"] == ["0.89", *["1.60 (1.00)"] * 6]
    assert rows["soc", "32"] == ["0.89", *["0.60 (1.00)"] * 6]
    assert rows["symmetric", "8"][1:] == ["2.10 (0.25)"] * 6
    expected = ["3.0 to 4.5", "0.50", "0.50", "1.0", "0.50", "1.00", "12.0"]
    assert reached[2] == ["topographic", "32", "positive", *expected]
    assert reached[3][3] == "4.0 to 5.5"


def test_summary_shows_where_no_run_converges():
    structure, *_ = cells(soc_study.summary(constructed()))
    rows = {(row[0], row[1]): row[2:] for row in structure[2:]}
    assert rows["scaled", "8"][1] == "– (0.00)"
    assert all("–" not in cell for cell in rows["scaled", "8"][2:])
    assert all("nan" not in cell for row in rows.values() for cell in row)


# The study


@pytest.fixture
def few(monkeypatch):
    """Few cases, starts, repetitions and responses, and no policies."""
    cases = (Case("topographic", 8, 0.6), Case("soc", 8))
    for name in ("STRUCTURE", "WINDOWS", "CARRY", "VOLITION"):
        part = import_module(f"ndbmi_gym.experiments.figures.soc_{name.lower()}")
        monkeypatch.setattr(part, name, cases)
        monkeypatch.setattr(soc_study, name, cases)
    monkeypatch.setattr(soc_study, "WINDOWS_S", (0.3, 0.6))
    for name, value in (("N_STARTS", 2), ("REPETITIONS", 2), ("_TESTED", 3)):
        monkeypatch.setattr(soc_cases, name, value)
    monkeypatch.setattr("ndbmi_gym.experiments.volition.N_STARTS", 2)
    played = [{"policy": p, "success": 0.5, "steps": 9.0} for p in ("zero", "eq24", "ceiling")]
    monkeypatch.setattr(soc_cases, "play", lambda *args: played)


def test_a_study_is_written_and_goes_on(few, tmp_path, monkeypatch):
    calls = []
    one = reproduce._one
    monkeypatch.setattr(reproduce, "_one", lambda *args: calls.append(args[1:]) or one(*args))
    text = soc_study.run(tmp_path, (0, 1), 3, 1)
    assert sorted(calls) == sorted((name, subject) for name in STUDIES for subject in (0, 1))
    assert (tmp_path / "study.md").read_text(encoding="utf-8") == text + "\n"
    for name in STUDIES:
        folder = tmp_path / name
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert {path.stem for path in folder.glob("*.csv")} == set(reproduce.figure(name).pooled)
    loops = read_csv(tmp_path / "soc_structure" / "loops.csv")
    assert sorted(set(loops["subject"].tolist())) == [0, 1]
    assert len(loops["wtpe"]) == 2 * 2 * len(FIELDS) * len(DECODERS)

    (tmp_path / "parts" / "soc_carry-001.npz").unlink()
    calls.clear()
    assert soc_study.run(tmp_path, (0, 1), 3, 1) == text
    assert calls == [("soc_carry", 1)]


# Pictures


def draw(name, tables):
    canvas = reproduce.figure(name).draw(tables, Preset())
    canvas.draw_without_rendering()  # lays out
    return canvas


def beyond(axis):
    """Labels of ticks that are kept beyond the ends of an axis."""
    low, high = sorted(axis.get_view_interval())
    ticks = [t for t in axis.get_major_ticks() if not low <= t.get_loc() <= high]
    return {label for t in ticks for label in (t.label1, t.label2)}


def check_legible(canvas):
    """No text is small, cut off or on top of another, and no legend on a panel."""
    hidden = set().union(*(beyond(axis) for axis in canvas.findobj(Axis)))
    shown = [t for t in canvas.findobj(Text) if t.get_visible() and t.get_text().strip()]
    shown = [t for t in shown if t not in hidden]
    assert min(t.get_fontsize() for t in shown) >= 7
    turned = {t for t in shown if t.get_rotation() % 90}  # whose boxes overlap
    boxes = [(t.get_text(), t.get_window_extent()) for t in shown]
    edge = canvas.bbox.padded(1)
    for text, box in boxes:
        assert edge.x0 <= box.x0 <= box.x1 <= edge.x1, text
        assert edge.y0 <= box.y0 <= box.y1 <= edge.y1, text
    straight = [(t.get_text(), t.get_window_extent()) for t in shown if t not in turned]
    for (first, a), (second, b) in combinations(straight, 2):
        wide, high = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(wide, high) <= 2, (first, second)
    parts = [canvas, *canvas.subfigs]
    for legend in (legend for part in parts for legend in part.legends):
        frame = legend.get_window_extent()
        assert not any(frame.overlaps(axes.get_tightbbox()) for axes in canvas.axes)


def drawn(axes):
    """Mean and interval of what is drawn with error bars, a list of arrays."""
    return [bar.lines[0].get_ydata() for bar in axes.containers]


@pytest.mark.parametrize("subjects", [(0,), (0, 1), (0, 1, 2, 3)])
@pytest.mark.parametrize("name", STUDIES)
def test_pictures_of_one_animal_and_several(name, subjects):
    canvas = draw(name, constructed(subjects)[name])
    check_legible(canvas)
    legends = [legend for part in (canvas, *canvas.subfigs) for legend in part.legends]
    said = [text.get_text() for legend in legends for text in legend.get_texts()]
    interval = f"95 % interval over {len(subjects)} animals"
    assert (interval in said) == (len(subjects) > 1)
    assert 1290 <= 110 * canvas.get_figwidth() <= 1310


def test_picture_of_the_cortices():
    canvas = draw("soc_structure", constructed()["soc_structure"])
    panels = np.array(canvas.axes).reshape(5, 2)
    assert [axes.get_title() for axes in panels[0]] == ["8 stimuli", "32 stimuli"]
    labels = [text.get_text() for text in panels[-1, 0].get_xticklabels()]
    assert labels == [*soc_cases.CORTICES, "soc, nonlinear"]
    for axes in panels[:, 0]:
        assert axes.get_ylabel()
    error, share, *_, identified = panels[:, 0]
    assert [len(drawn(axes)) for axes in panels[:, 0]] == [3, 3, 3, 3, 1]
    lost = labels.index("scaled")
    for i, (mean, arrived) in enumerate(zip(drawn(error), drawn(share), strict=True)):
        assert np.isnan(mean[lost]) == (i == 0)
        assert arrived[lost] == (0 if i == 0 else 1)
        np.testing.assert_allclose(mean[:2], [1.6, 0.6])
    np.testing.assert_allclose(drawn(identified), 0.89)
    hollow = [line for line in error.lines if line.get_markerfacecolor() == "white"]
    few = [labels[round(x)] for line in hollow for x in line.get_xdata()]
    assert sorted(few) == ["scaled", *["symmetric"] * 3]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("soc_windows", ["topographic", "soc", "shuffled, matched", "scaled, matched"]),
        ("soc_carry", ["soc", "soc, carried"]),
    ],
)
def test_pictures_of_windows(name, lines):
    canvas = draw(name, constructed()[name])
    panels = np.array(canvas.axes).reshape(5, 2)
    assert [text.get_text() for text in canvas.legends[0].get_texts()][: len(lines)] == lines
    for axes in panels.flat:
        assert len(drawn(axes)) == len(lines)
        assert {len(line) for line in drawn(axes)} == {5}
        assert axes.get_xscale() == "log"
    for axes in panels[-1]:
        ticks = [text.get_text() for text in axes.get_xticklabels()]
        assert ticks == ["50", "100", "200", "300", "600"]
        assert "(ms)" in axes.get_xlabel()


def test_picture_of_volition():
    canvas = draw("soc_volition", constructed()["soc_volition"])
    polar, panels = canvas.axes[:2], np.array(canvas.axes[2:]).reshape(2, 2)
    assert [axes.name for axes in polar] == ["polar"] * 2
    assert [axes.get_title() for axes in polar] == ["positive volition", "signed volition"]
    for axes, more in zip(polar, (0, 1), strict=True):
        assert len(axes.lines) == len(VOLITION)
        for i, line in enumerate(axes.lines):
            angle, distance = line.get_data()
            np.testing.assert_allclose(np.diff(angle)[:-1], 2 * np.pi / DIRECTIONS)
            expected = 3 + i + 0.1 * np.arange(DIRECTIONS) + more
            np.testing.assert_allclose(distance, [*expected, expected[0]])
    for commanded, played in panels.T:
        np.testing.assert_allclose(drawn(commanded), 0.5)
        assert [set(np.round(mean, 9)) for mean in drawn(played)] == [{0.0}, {0.5}, {1.0}]
    labels = [text.get_text() for text in panels[1, 0].get_xticklabels()]
    assert len(set(labels)) == len(VOLITION)
    assert {"topographic (32)", "soc (32)", "soc, carried (32)", "soc (8)"} <= set(labels)


def test_pictures_without_a_convergent_run():
    tables = constructed()
    for name in CASES:
        tables[name]["loops"]["wtpe"][:] = np.nan
        tables[name]["loops"]["convergent"][:] = 0.0
        check_legible(draw(name, tables[name]))


def test_pictures_of_some_cases():
    """Only one number of stimuli, or lines that only one number has."""
    some = (Case("soc", 8, 0.1), Case("soc", 8, 0.3))
    for name in CASES:
        check_legible(draw(name, protocol(some, (0, 1))))
    canvas = draw("soc_windows", protocol((*some, Case("scaled", 32, 0.3)), (0,)))
    assert [len(drawn(axes)) for axes in canvas.axes[:2]] == [1, 1]


def test_means_are_over_the_animals_that_have_a_value():
    values = {"subject": np.array([0, 0, 1, 2, 3]), "x": np.array([1.0, 3.0, np.nan, 5.0, 6.0])}
    assert over_animals(values, "x") == pytest.approx(tuple(mean_interval([2.0, 5.0, 6.0])))
    one = over_animals(where(values, subject=0), "x")
    assert one.estimate == 2
    assert np.isnan([one.low, one.high]).all()
    assert np.isnan(over_animals(where(values, subject=1), "x")).all()
