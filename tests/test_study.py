from dataclasses import asdict
from importlib import import_module
from itertools import product
from pathlib import Path

import legible
import numpy as np
import pytest
from matplotlib.axis import Axis
from matplotlib.text import Text

from ndbmi_gym import cli
from ndbmi_gym.experiments.bench import batches
from ndbmi_gym.experiments.bench.statistics import ratio_interval
from ndbmi_gym.experiments.bench.tables import read_csv, where, write_csv
from ndbmi_gym.experiments.circuit import abscissa, shift, study
from ndbmi_gym.experiments.circuit import cases as circuit_cases
from ndbmi_gym.experiments.circuit import volition as reaching
from ndbmi_gym.experiments.circuit.cases import CARRY, STRUCTURE, VOLITION, WINDOWS, Case
from ndbmi_gym.experiments.protocol import conditions, volition
from ndbmi_gym.experiments.protocol.conditions import CIRCUITS, FIELDS
from ndbmi_gym.experiments.vato2014 import comparison
from ndbmi_gym.interface import DECODERS
from ndbmi_gym.presets import PRESETS, Preset

LOST = Case("scaled", 8)
"""Of which no run converges with the first decoder in the first field."""
WTPE = {"topographic": 1.5, "soc": 0.5}  # and 2 of others; in each animal, 0.1 more
PROTOCOLS = ("structure", "windows", "carry")
FIGURES = {figure.name: figure for figure in study.figures(Path("nowhere"))}
FAST = Preset(repetitions=5)  # calibrates fast


def table(rows):
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def protocol(cases, animals, decoders=DECODERS):
    loops, decoding = [], []
    for animal in animals:
        for case in cases:
            key = asdict(case) | {"animal": animal}
            spikes = 10 * case.electrodes + animal
            heard = {"identified": 0.9 - 0.01 * animal, "recorded": case.electrodes}
            decoding.append(key | heard | {"spikes": spikes})
            for field in FIELDS:
                for decoder in decoders:
                    key |= {"field": field, "decoder": decoder}
                    error = (WTPE.get(case.cortex, 2.0) + 0.1 * animal) * (1 + case.carry)
                    lost = case == LOST and (field, decoder) == (FIELDS[0], DECODERS[0])
                    share = 0.0 if lost else 0.25 if case.cortex == "symmetric" else 1.0
                    loops.append(
                        key | {"convergent": share, "wtpe": np.nan if lost else error, "steps": 9.0}
                    )
    return {"loops": table(loops), "decoding": table(decoding)}


def carried(cases, animals):
    sizes = [
        asdict(case) | {"size": 2 * case.window_s, "size_at_step": case.window_s}
        for case in cases
        if case.carry
    ]
    loops = protocol(cases, animals, conditions.DECODERS)["loops"]
    return {"loops": loops, "sizes": table(sizes)}


def commanded(cases, animals):
    reached, commands, policies = [], [], []
    for animal in animals:
        for i, case in enumerate(cases):
            for low in (0.0, -1.0):
                key = asdict(case) | {"low": low, "animal": animal}
                reached += [
                    key | {"direction": d, "reach": 2 + i + 0.1 * d - low + animal}
                    for d in range(reaching.DIRECTIONS)
                ]
                commands += [
                    key
                    | {"curl": curl, "target": t, "settled_off": 1.0 + curl}
                    | {"arrived": 0.2 * (t + 1) - curl / 2, "by_itself": 0.04 * (t + 1) + curl}
                    for curl in (0.0, 0.6)
                    for t in range(4)
                ]
                policies += [
                    key | {"policy": name, "success": success, "steps": 12.0}
                    for name, success in (("zero", 0.0), ("eq24", 0.5), ("ceiling", 1.0))
                ]
    return {"reach": table(reached), "commands": table(commands), "policies": table(policies)}


def constructed(animals=(0, 1, 2)):
    """Tables of the parts that are the study's own, as of so many animals."""
    return {
        "structure": protocol(STRUCTURE, animals),
        "windows": protocol(WINDOWS, animals, conditions.DECODERS),
        "carry": carried(CARRY, animals),
        "volition": commanded(VOLITION, animals),
    }


# The summary


def cells(text):
    """Rows of the Markdown tables, a list of tables."""
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    return [[line[2:-2].split(" | ") for line in block] for block in blocks]


def test_summary_contains_every_case():
    blocks = cells(study.summary(constructed()))
    structure, contrasts, *timed, sizes, reached = blocks
    names = [(row[0], row[1]) for row in structure[2:]]
    assert len(names) == len(set(names)) == len(STRUCTURE)
    unusual = {"soc, nonlinear", "soc, 4 electrodes", "soc, 9 electrodes"}
    assert {name for name, _ in names} == {*circuit_cases.CORTICES, *unusual}
    assert {stimuli for _, stimuli in names} == {"8", "32"}
    others = [(f"soc / {name}", stimuli) for name, stimuli in names if name != "soc"]
    assert [(row[0], row[1]) for row in contrasts[2:]] == others
    settings = [f"{field}, {decoder}" for field in FIELDS for decoder in conditions.DECODERS]
    assert [block[0][0] for block in timed] == 2 * settings
    for block, n_rows in zip(timed, 4 * (8,) + 4 * (4,), strict=True):
        assert block[0][2:] == ["50 ms", "100 ms", "200 ms", "300 ms", "600 ms"]
        assert len({(row[0], row[1]) for row in block[2:]}) == n_rows
    assert {row[0] for row in timed[4][2:]} == {"soc", "soc, carried"}
    expected = [*settings, "size of what is carried"]
    assert [(row[0], row[1]) for row in sizes[2:]] == [
        (s, n) for n in ("8", "32") for s in expected
    ]
    assert len(reached[2:]) == sum(len(case.lows) for case in VOLITION)
    assert {row[2] for row in reached[2:]} == {"positive", "signed"}
    for block in blocks:
        assert len({len(row) for row in block}) == 1


def test_summary_shows_means_over_animals():
    structure, *_, reached = cells(study.summary(constructed()))
    rows = {(row[0], row[1]): row[2:] for row in structure[2:]}
    assert rows["topographic", "8"] == ["25", "251", "0.89", *["1.60 (1.00)"] * 6]
    assert rows["soc", "32"] == ["25", "251", "0.89", *["0.60 (1.00)"] * 6]
    assert rows["soc, 4 electrodes", "8"][:2] == ["4", "41"]
    assert rows["symmetric", "8"][3:] == ["2.10 (0.25)"] * 6
    expected = ["3.0 to 4.5", "0.10", "0.50", "0.20", "1.0", "0.50", "1.00", "12.0"]
    assert reached[2] == ["topographic", "32", "positive", *expected]
    assert reached[3][3] == "4.0 to 5.5"


def test_summary_shows_both_of_the_papers_decoders():
    tables = constructed()
    for name in ("windows", "carry"):
        loops = tables[name]["loops"]
        loops["wtpe"] = 2.0 * (loops["field"] == FIELDS[1]) + loops["window_s"]
        loops["wtpe"] += 1.0 * (loops["decoder"] == conditions.DECODERS[1]) + 4.0 * loops["carry"]
    _, _, *timed, _, _ = cells(study.summary(tables))
    offsets = [2.0 * field + decoder for field in (0, 1) for decoder in (0, 1)]
    for block, offset in zip(timed, 2 * offsets, strict=True):
        for row in block[2:]:
            first = offset + 4.0 * row[0].endswith("carried")
            assert row[2:] == [f"{first + t:.2f} (1.00)" for t in circuit_cases.WINDOWS_S]


def test_summary_compares_cortices_in_the_same_animals():
    tables = constructed()
    text = study.summary(tables)
    _, contrasts, *_, sizes, _ = cells(text)
    rows = {(row[0], row[1]): row[2:] for row in contrasts[2:]}
    own = np.array([0.5, 0.6, 0.7])
    assert rows["soc / topographic", "8"] == [str(ratio_interval(own / (own + 1.0)))] * 6
    assert rows["soc / soc, nonlinear", "32"] == ["1.00 (1.00 to 1.00)"] * 6
    # where few runs converge, wtpe is that of a selection
    assert rows["soc / symmetric", "8"] == [""] * 6
    assert rows["soc / scaled", "8"] == ["", *[str(ratio_interval(own / (own + 1.5)))] * 5]
    for row in sizes[2:]:
        expected = ["2.00 (2.00 to 2.00)"] * 5
        if row[0] == "size of what is carried":
            expected = [f"{2 * t:.2f} ({t:.2f})" for t in circuit_cases.WINDOWS_S]
        assert row[2:] == expected
    for name in PROTOCOLS:  # each in an order of its own
        loops = tables[name]["loops"]
        order = np.random.default_rng(0).permutation(len(loops["wtpe"]))
        tables[name]["loops"] = {column: values[order] for column, values in loops.items()}
    assert study.summary(tables) == text


def test_a_ratio_in_one_animal_is_left_out():
    _, contrasts, *_, sizes, _ = cells(study.summary(constructed((0,))))
    assert {cell for row in contrasts[2:] for cell in row[2:]} == {""}
    rows = [row[2:] for row in sizes[2:]]
    assert [set(row) == {""} for row in rows] == 2 * (4 * [True] + [False])


def test_summary_shows_where_no_run_converges():
    structure, *_ = cells(study.summary(constructed()))
    rows = {(row[0], row[1]): row[2:] for row in structure[2:]}
    assert rows["scaled", "8"][3] == "– (0.00)"
    assert all("–" not in cell for cell in rows["scaled", "8"][4:])
    assert all("nan" not in cell for row in rows.values() for cell in row)


# The study


@pytest.fixture
def few(monkeypatch):
    """Few cases, starts, repetitions and calibration responses, and no policies."""
    monkeypatch.setitem(PRESETS, "default", FAST)
    cases = (Case("topographic", 8, 0.6), Case("soc", 8))
    carried = (Case("soc", 8), Case("soc", 8, carry=True))
    for name in ("STRUCTURE", "WINDOWS", "CARRY", "VOLITION"):
        part = import_module(f"ndbmi_gym.experiments.circuit.{name.lower()}")
        chosen = carried if name == "CARRY" else cases
        monkeypatch.setattr(part, name, chosen)
        monkeypatch.setattr(study, name, chosen)
    monkeypatch.setattr(study, "WINDOWS_S", (0.3,))
    networks = [abscissa.Network(), abscissa.Network(0, "scaled", 0.5, matched=True)]
    monkeypatch.setattr(abscissa, "networks", lambda: networks)
    monkeypatch.setattr(abscissa, "build_circuits", lambda folder: None)
    for part in (circuit_cases, comparison):
        monkeypatch.setattr(part, "N_STARTS", 2)
        monkeypatch.setattr(part, "REPETITIONS", 2)
    monkeypatch.setattr(volition, "N_STARTS", 2)
    played = [{"policy": p, "success": 0.5, "steps": 9.0} for p in ("zero", "eq24", "ceiling")]
    monkeypatch.setattr(reaching, "play_policies", lambda *args: played)


def test_a_study_is_written_and_goes_on(few, tmp_path, monkeypatch):
    calls = []
    one = batches._one
    monkeypatch.setattr(
        batches, "_one", lambda *args: calls.append((args[1].name, args[2])) or one(*args)
    )
    text = study.run(tmp_path, (0, 1), 3, 1)
    assert sorted(calls) == sorted((name, animal) for name in FIGURES for animal in (0, 1))
    assert (tmp_path / "study.md").read_text(encoding="utf-8") == text + "\n"
    first = {"paths": {"paths", "ideal", "sites"}, "shift": {"paths", "sites"}}
    first |= {"carry": {"sizes"}, "abscissa": {"networks"}}  # the same in all animals
    for name in FIGURES:
        folder = tmp_path / name
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        expected = {*FIGURES[name].pooled, *first.get(name, ())}
        assert {path.stem for path in folder.glob("*.csv")} == expected
        for table in FIGURES[name].pooled:
            assert set(read_csv(folder / f"{table}.csv")["animal"].tolist()) == {0, 1}
    for name, tables in constructed((0,)).items():
        for table, columns in tables.items():
            assert set(read_csv(tmp_path / name / f"{table}.csv")) == set(columns)
    assert "## The circuit beside random networks" in text
    loops = read_csv(tmp_path / "structure" / "loops.csv")
    assert len(loops["wtpe"]) == 2 * 2 * len(FIELDS) * len(DECODERS)

    (tmp_path / "parts" / "carry-001.npz").unlink()
    calls.clear()
    assert study.run(tmp_path, (0, 1), 3, 1) == text
    assert calls == [("carry", 1)]
    calls.clear()
    assert study.run(tmp_path, (0, 1), 4, 1, ["carry"]) != text
    assert calls == [("carry", 0), ("carry", 1)]
    with pytest.raises(ValueError, match=r"part 'carries': choose from paths, structure, "):
        study.run(tmp_path, (0, 1), 4, 1, ["carries"])


# Pictures


def draw(name, tables):
    canvas = FIGURES[name].draw(tables, Preset())
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
    turned = {text for text in canvas.findobj(Text) if text.get_rotation() % 90}
    legible.check_legible(canvas, hidden, turned)
    parts = [canvas, *canvas.subfigs]
    for legend in (legend for part in parts for legend in part.legends):
        frame = legend.get_window_extent()
        assert not any(frame.overlaps(axes.get_tightbbox()) for axes in canvas.axes)


def drawn(axes):
    """Mean and interval of what is drawn with error bars, a list of arrays."""
    return [bar.lines[0].get_ydata() for bar in axes.containers]


@pytest.mark.parametrize("animals", [(0,), (0, 1), (0, 1, 2, 3)])
@pytest.mark.parametrize("name", [*PROTOCOLS, "volition"])
def test_pictures_of_one_animal_and_several(name, animals):
    canvas = draw(name, constructed(animals)[name])
    check_legible(canvas)
    legends = [legend for part in (canvas, *canvas.subfigs) for legend in part.legends]
    said = [text.get_text() for legend in legends for text in legend.get_texts()]
    interval = f"95 % interval over {len(animals)} animals"
    assert (interval in said) == (len(animals) > 1)
    width = 1300 if name in ("structure", "windows") else 836
    assert abs(110 * canvas.get_figwidth() - width) <= 10


def test_picture_of_the_cortices():
    canvas = draw("structure", constructed()["structure"])
    panels = np.array(canvas.axes).reshape(5, 2)
    assert [axes.get_title() for axes in panels[0]] == ["8 stimuli", "32 stimuli"]
    for axes, electrodes in zip(panels[-1], (4, 9), strict=True):
        labels = [text.get_text() for text in axes.get_xticklabels()]
        controls = ("shuffled inhibition", "random weights", "symmetric weights")
        assert labels == [
            "paper's cortex",
            "stabilised circuit",
            *(f"{name}, {signal} signal" for name in controls for signal in ("weaker", "same")),
            "stabilised circuit, nonlinear",
            f"stabilised circuit, {electrodes} electrodes",
        ]
    for axes in panels[:, 0]:
        assert axes.get_ylabel()
    error, share, *_, identified = panels[:, 0]
    assert [len(drawn(axes)) for axes in panels[:, 0]] == [3, 3, 3, 3, 1]
    lost = labels.index("random weights, weaker signal")
    for i, (mean, arrived) in enumerate(zip(drawn(error), drawn(share), strict=True)):
        assert np.isnan(mean[lost]) == (i == 0)
        assert arrived[lost] == (0 if i == 0 else 1)
        np.testing.assert_allclose(mean[:2], [1.6, 0.6])
    np.testing.assert_allclose(drawn(identified), 0.89)
    hollow = [line for line in error.lines if line.get_markerfacecolor() == "white"]
    few = [labels[round(x)] for line in hollow for x in line.get_xdata()]
    assert sorted(few) == [labels[lost], *["symmetric weights, weaker signal"] * 3]


def check_windows(panels):
    """Every line has all windows, which the last row names."""
    for axes in panels.flat:
        assert {len(line) for line in drawn(axes)} == {5}
        assert axes.get_xscale() == "log"
    for axes in panels[-1]:
        ticks = [text.get_text() for text in axes.get_xticklabels()]
        assert ticks == ["50", "100", "200", "300", "600"]
        assert "(ms)" in axes.get_xlabel()


def test_picture_of_windows():
    canvas = draw("windows", constructed()["windows"])
    panels = np.array(canvas.axes).reshape(5, 2)
    assert [text.get_text() for text in canvas.legends[0].get_texts()][:4] == [
        "paper's cortex",
        "stabilised circuit",
        "shuffled inhibition, same signal",
        "random weights, same signal",
    ]
    assert {len(drawn(axes)) for axes in panels.flat} == {4}
    check_windows(panels)


def test_picture_of_carried_state():
    tables = constructed()["carry"]
    loops = tables["loops"]
    one = (loops["stimuli"] == 8) & (loops["field"] == FIELDS[1])
    loops["convergent"] = np.where(one & loops["carry"], 0.9876, loops["convergent"])
    canvas = draw("carry", tables)
    panels = np.array(canvas.axes).reshape(2, 2)
    said = [text.get_text() for text in canvas.legends[0].get_texts()]
    assert said[:2] == ["state reset", "state carried over"]
    assert "98 % or more" in canvas.get_suptitle()  # not rounded up
    check_windows(panels)
    for axes in panels.flat:  # without and with; the mean of three animals is 0.1 above the first
        reset, carried = drawn(axes)
        np.testing.assert_allclose(reset, 0.6)
        np.testing.assert_allclose(carried, 1.2)


def test_picture_of_volition():
    tables = constructed()["volition"]
    paper = tables["reach"]["cortex"] == "topographic"
    tables["reach"] = {  # the paper's volition is positive
        name: column[~paper | (tables["reach"]["low"] == 0)]
        for name, column in tables["reach"].items()
    }
    canvas = draw("volition", tables)
    reached, entered, played = np.array(canvas.axes).reshape(3, 2)
    for axes in canvas.axes:
        sign = "adds or removes" if axes in (reached[1], entered[1], played[1]) else "only adds"
        assert sign in axes.get_title()
    labels = [text.get_text() for text in reached[0].get_yticklabels()]
    assert labels == [
        "paper's cortex",
        "stabilised circuit",
        "stabilised circuit, state carried over",
        "stabilised circuit, 8 stimuli",
        "shuffled inhibition, weaker signal",
        "shuffled inhibition, same signal",
        "random weights, weaker signal",
        "random weights, same signal",
    ]
    order = [0, 1, 6, 7, 2, 3, 4, 5]  # of the cases
    for axes, more in zip(reached, (0, 1), strict=True):
        bars = {line.get_ydata()[0]: line.get_xdata() for line in axes.lines if line.get_lw() > 2}
        assert set(bars) == set(range(more, len(VOLITION)))
        for place, ends in bars.items():
            least = 3 + order[place] + more
            np.testing.assert_allclose(ends, [least, least + 0.1 * (reaching.DIRECTIONS - 1)])

    def means(axes):
        return [set(np.round(bar.lines[0].get_xdata(), 9)) for bar in axes.containers]

    for axes in entered:  # without volition, and by command; both without a curl field
        assert means(axes) == [{0.1}, {0.5}]
    for axes in played:
        assert means(axes) == [{0.0}, {0.5}, {1.0}]


def test_pictures_are_drawn_anew_from_files(tmp_path, capsys):
    tables = constructed()
    for name in ("carry", "volition"):
        for table, columns in tables[name].items():
            write_csv(tmp_path / name / f"{table}.csv", columns)
    assert cli.main(["circuit", "study", "--redraw", "--out", str(tmp_path)]) == 0
    assert "drawn anew: carry, volition" in capsys.readouterr().out
    draw("carry", tables["carry"]).savefig(tmp_path / "own.png", dpi=110)
    assert (tmp_path / "own.png").read_bytes() == (tmp_path / "carry.png").read_bytes()
    assert not (tmp_path / "structure.png").exists()
    asked = ["circuit", "study", "--redraw", "--parts", "carry", "carry", "--out", str(tmp_path)]
    assert cli.main(asked) == 0
    assert capsys.readouterr().out == "drawn anew: carry\n"
    with pytest.raises(ValueError, match=r"holds no tables of paths, .* without --redraw"):
        study.redraw(tmp_path / "carry")


def test_picture_of_paths(monkeypatch):
    monkeypatch.setattr(comparison, "N_STARTS", 3)
    monkeypatch.setattr(comparison, "REPETITIONS", 2)
    tables = FIGURES["paths"].data(FAST, 0, 0)
    runs, sites = tables["runs"], tables["sites"]
    assert list(dict.fromkeys(runs["condition"].tolist())) == list(CIRCUITS)
    for condition, field, decoder in product(CIRCUITS, FIELDS, conditions.DECODERS):
        own = where(runs, condition=condition, field=field, decoder=decoder)
        assert len(own["wtpe"]) == 3 * 2
    for name in CIRCUITS:
        stimuli = 8 if "8 stimuli" in name else 32
        assert len(where(sites, condition=name)["x"]) == stimuli
    circuit = where(runs, condition="circuit, 32 stimuli")
    assert np.isfinite(circuit["wtpe"]).mean() > 0.5
    canvas = draw("paths", tables)
    check_legible(canvas)
    titles = [axes.get_title() for axes in canvas.axes[: len(CIRCUITS)]]
    assert [title.replace("\n", ", ") for title in titles] == list(CIRCUITS)


def test_picture_of_the_shift(monkeypatch):
    monkeypatch.setattr(volition, "N_STARTS", 2)
    tables = FIGURES["shift"].data(FAST, 0, 0)
    shares, paths = tables["shares"], tables["paths"]
    assert len(tables["sites"]["x"]) == 32
    assert len(paths["x"]) == 2 * 4 * 2 * 51
    for curl in (0.0, FAST.curl):
        own = where(shares, curl=curl)
        signed = volition.run_volition(FAST, 0, 0, curl, shift._OPTIONS, low=-1.0)
        np.testing.assert_array_equal(own["settled_x"], signed.settled[:, 0])
        np.testing.assert_array_equal(own["arrived"], signed.arrived)
    assert set(shift._OPTIONS["cortex"].items()) >= {("kind", "soc"), ("units", 1)}
    canvas = draw("shift", tables)
    check_legible(canvas)
    assert len(canvas.axes) == 2 * 4


def test_pictures_without_a_convergent_run():
    tables = constructed()
    for name in PROTOCOLS:
        tables[name]["loops"]["wtpe"][:] = np.nan
        tables[name]["loops"]["convergent"][:] = 0.0
        check_legible(draw(name, tables[name]))


def test_pictures_of_some_cases():
    """Only one number of stimuli, or lines that only one number has."""
    some = (Case("soc", 8, 0.1), Case("soc", 8, 0.3))
    for name in PROTOCOLS:
        tables = protocol(some, (0, 1))
        if name == "carry":
            del tables["decoding"]
        check_legible(draw(name, tables))
    canvas = draw("windows", protocol((*some, Case("scaled", 32, 0.3)), (0,)))
    assert [len(drawn(axes)) for axes in canvas.axes[:2]] == [1, 1]
