"""Random networks of any strength beside the circuit: measurement, summary and picture."""

from dataclasses import asdict
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from ndbmi_gym.config import Config
from ndbmi_gym.cortex.soc.circuit import control, load_circuit, random_circuit
from ndbmi_gym.experiments.bench.crossed import crossed_interval
from ndbmi_gym.experiments.bench.statistics import mean_interval, ratio_interval
from ndbmi_gym.experiments.bench.tables import from_rows, read_folder, where
from ndbmi_gym.experiments.circuit import abscissa, abscissa_drawing, abscissa_summary, cases
from ndbmi_gym.experiments.circuit.abscissa import Network
from ndbmi_gym.experiments.protocol.conditions import FIELDS, loop_with, run_loop, starts_of
from ndbmi_gym.presets import Preset
from ndbmi_gym.streams import experiment_rng

PRESET = Preset(repetitions=5)  # calibrates fast
NOWHERE = Path("nowhere")  # the packaged circuit needs no folder
STRONG = Network(0, "shuffled", 0.9, matched=True)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Few starts and kinds of stimuli."""
    monkeypatch.setattr(cases, "N_STARTS", 3)
    monkeypatch.setattr(cases, "STIMULI", (8,))


# Networks


def test_every_circuit_has_controls_of_its_own():
    found = abscissa.networks()
    assert len(found) == len(set(found))
    assert {n.circuit for n in found if n.control == "none"} == set(abscissa.CIRCUITS)
    for circuit, kind in product(abscissa.CIRCUITS, abscissa.KINDS):
        own = [n for n in found if (n.circuit, n.control) == (circuit, kind)]
        assert tuple(n.abscissa for n in own if n.matched) == abscissa.ABSCISSAE
        assert tuple(n.abscissa for n in own if not n.matched) == abscissa.SAME_ABSCISSAE


def test_a_network_is_the_control_that_it_names():
    cortices = [
        Config.of(**network.options(NOWHERE, 8)).make_cortex() for network in (Network(), STRONG)
    ]
    expected = control(load_circuit(), "shuffled", 0.9)
    np.testing.assert_array_equal(cortices[0].circuit.weights, load_circuit().weights)
    np.testing.assert_array_equal(cortices[1].circuit.weights, expected.weights)
    assert cortices[1].signal() == pytest.approx(cortices[0].signal(), rel=1e-4)
    assert Config.of(**STRONG.options(NOWHERE, 8, carry=True)).make_cortex().carry


def test_built_circuits_are_read_from_the_folder(tmp_path, stabilised):
    path = abscissa.circuit_file(tmp_path, 3)
    stabilised[0].save(path)
    cortex = Config.of(**Network(3).options(tmp_path, 8)).make_cortex()
    np.testing.assert_array_equal(cortex.circuit.weights, stabilised[0].weights)


def test_finished_circuits_are_left_alone(tmp_path, monkeypatch, stabilised):
    monkeypatch.setattr(abscissa, "CIRCUITS", (0, 1, 2, 3))
    finished, unfinished = (abscissa.circuit_file(tmp_path, seed) for seed in (1, 2))
    stabilised[0].save(finished)
    random_circuit(np.random.default_rng(0), 20).save(unfinished)
    built = []

    def build(path, n_neurons, seed, progress):
        built.append((path, n_neurons, seed))
        progress(stabilised[0])
        return stabilised[0]

    monkeypatch.setattr(abscissa, "build", build)
    abscissa.build_circuits(tmp_path)
    assert built == [(unfinished, 200, 2), (abscissa.circuit_file(tmp_path, 3), 200, 3)]


# Measurement


def test_a_row_is_the_outcome_of_the_protocol():
    table = abscissa.run_network(STRONG, NOWHERE, PRESET, 1, 5)
    assert len(table["wtpe"]) == 2 * len(FIELDS) * len(abscissa.DECODERS)
    own = {"stimuli": 8, "carry": True, "field": FIELDS[1], "decoder": abscissa.DECODERS[1]}
    loop = loop_with(PRESET, STRONG.options(NOWHERE, 8, True), *list(own.values())[2:], 1)
    rng = experiment_rng(5, 1, repr(STRONG), repr(own))
    expected = cases.outcome(PRESET, *run_loop(PRESET, loop, rng, starts_of(1, 5, 3, 1)))
    row = where(table, **own, **asdict(STRONG))
    for name, value in expected.items():
        np.testing.assert_array_equal(row[name], [value])


def test_what_a_network_is():
    circuit, strong = (abscissa.describe(n, NOWHERE, PRESET) for n in (Network(), STRONG))
    assert circuit["enlargement"].tolist() == [1.0]
    assert circuit["energy"] == pytest.approx(load_circuit().modes[0][0])
    assert strong["energy"] == pytest.approx(control(load_circuit(), "shuffled", 0.9).modes[0][0])
    options = STRONG.options(NOWHERE, 8)
    plain = {**options["cortex"], "match_signal": False}
    sizes = [
        np.linalg.norm(Config.of(cortex=own).make_cortex().prepared)
        for own in (options["cortex"], {"kind": "soc"})
    ]
    assert strong["enlargement"] == pytest.approx(sizes[0] / sizes[1])
    assert sizes[0] > 1.2 * np.linalg.norm(Config.of(cortex=plain).make_cortex().prepared)
    # a network near instability keeps what the circuit forgets
    assert strong["carried"] > 5 * circuit["carried"]


def test_tables_of_an_animal(monkeypatch):
    monkeypatch.setattr(abscissa, "networks", lambda: [Network(), STRONG])
    tables = abscissa.figure(NOWHERE).data(PRESET, 2, 0)
    assert set(tables["loops"]["animal"].tolist()) == {2}
    assert len(tables["loops"]["wtpe"]) == 2 * 2 * 2 * 2
    assert tables["networks"]["control"].tolist() == ["none", "shuffled"]


# Summary and picture


def constructed(circuits=(0, 1, 2), animals=(0, 1)):
    """Tables in which a control's wtpe is 1 + its abscissa times its circuit's."""
    loops, described = [], []
    tasks = list(product((8, 32), (False, True), FIELDS, abscissa.DECODERS))
    for network in abscissa.networks():
        if network.circuit not in circuits:
            continue
        own = asdict(network)
        strength = 0.0 if network.control == "none" else network.abscissa
        for stimuli in (8, 32):
            size = {"energy": 10 * strength + network.circuit, "enlargement": 1.0, "carried": 0.5}
            described.append(own | {"stimuli": stimuli} | size)
        for (stimuli, carry, field, decoder), animal in product(tasks, animals):
            share = 0.25 if carry and strength > 0.9 else 1.0
            error = (1 + strength) * np.exp(0.1 * network.circuit + 0.01 * animal)
            task = {"stimuli": stimuli, "carry": carry, "field": field, "decoder": decoder}
            outcome = {"animal": animal, "convergent": share, "wtpe": error, "steps": 9.0}
            loops.append(own | task | outcome)
    return {"loops": from_rows(loops), "networks": from_rows(described)}


def rows(block):
    return {
        line[2:-2].split(" | ")[0]: line[2:-2].split(" | ")[1:] for line in block.splitlines()[2:]
    }


def test_summary_shows_means_over_circuits_and_animals():
    networks, _, *others = [b for b in abscissa_summary.blocks(constructed()) if b.startswith("|")]
    assert len(others) == 2 * 4
    named = {f"{k} to {a:g}" for k, a in product(abscissa.KINDS, abscissa.ABSCISSAE)}
    assert set(rows(networks)) == {"circuit", *named}
    assert rows(networks)["scaled to 0.5"][0] == str(mean_interval([5.0, 6.0, 7.0]))
    errors, ratios = map(rows, others[:2])
    assert set(errors) == {"circuit", *named}
    assert set(ratios) == named
    base = np.exp(0.1 * np.arange(3)[:, None] + 0.01 * np.arange(2))
    assert errors["circuit"] == [str(crossed_interval(base))] * 8
    assert errors["shuffled to 0.8"] == [str(crossed_interval(1.8 * base))] * 8
    assert ratios["scaled to 0.15"] == [str(ratio_interval([1.15, 1.15]))] * 8
    same = rows(others[2])
    assert set(same) - {"circuit"} == {
        f"{k} to {a:g}" for k, a in product(abscissa.KINDS, abscissa.SAME_ABSCISSAE)
    }


def test_where_few_runs_converge_errors_are_not_compared():
    tables = [b for b in abscissa_summary.blocks(constructed()) if b.startswith("|")]
    errors, ratios = map(rows, tables[6:8])  # of carried state
    assert all(cell.endswith("; 0.25") for cell in errors["scaled to 0.95"])
    assert ratios["scaled to 0.95"] == [""] * 8
    assert ratios["scaled to 0.9"] == [str(ratio_interval([1.9, 1.9]))] * 8


def test_all_tasks_in_one():
    tables = constructed()
    loops = tables["loops"]
    # in one field controls err twice as much
    loops["wtpe"][(loops["field"] == FIELDS[1]) & (loops["control"] != "none")] *= 2
    found = rows(abscissa_summary.overall(tables))
    assert found["circuit"][2:] == ["1"] * 4
    assert found["circuit"][:2] == ["1.0", "0.50"]
    expected = str(ratio_interval(np.sqrt(2) * np.array([1.5, 1.5])))
    assert found["scaled to 0.5"][2:] == [expected] * 4
    expected = str(ratio_interval(np.sqrt(2) * np.array([1.99, 1.99])))
    selected = f"({np.sqrt(2) * 1.99:.2f}); 0.25 converge"
    assert found["shuffled to 0.99"][2:] == [expected, "", selected, ""]


def test_one_selection_takes_the_interval_away():
    tables = constructed()
    loops = tables["loops"]
    own = (loops["control"] == "scaled") & (loops["abscissa"] == 0.5) & loops["carry"]
    loops["convergent"][np.flatnonzero(own & loops["matched"])[0]] = 0.4
    found = rows(abscissa_summary.overall(tables))
    assert found["scaled to 0.5"][3] == str(ratio_interval([1.5, 1.5]))
    assert found["scaled to 0.5"][4] == "(1.50); 0.99 converge"


def test_the_page_has_the_tables_of_the_data():
    docs = Path(__file__).parents[1] / "docs"
    tables = read_folder(docs / "circuit" / "study" / "abscissa")
    page = (docs / "studies" / "circuit.md").read_text(encoding="utf-8")
    assert abscissa_summary.overall(tables) in page
    summary = (docs / "circuit" / "study" / "study.md").read_text(encoding="utf-8")
    assert "\n\n".join(abscissa_summary.blocks(tables)) in summary


def test_shares_stay_within_0_and_1():
    table = {"circuit": np.array([0, 0, 1, 1]), "animal": np.array([0, 1, 0, 1])}
    table["convergent"] = np.array([1.0, 1.0, 0.8, 0.9])
    found = abscissa_summary.mean(table, "convergent")
    assert (found.estimate, found.high) == (0.925, 1.0)
    assert found.low == 0.0


def test_one_animal_has_no_intervals():
    text = "\n".join(abscissa_summary.blocks(constructed((0,), (0,))))
    assert "nan" not in text
    assert " to 1." not in text.replace("scaled to ", "").replace("shuffled to ", "")


@pytest.mark.parametrize(("circuits", "animals"), [((0,), (0,)), ((0, 1, 2), (0, 1))])
def test_picture_of_abscissae(circuits, animals):
    tables = constructed(circuits, animals)
    canvas = abscissa_drawing.draw(tables, PRESET)
    canvas.draw_without_rendering()
    panels = np.array(canvas.axes).reshape(3, 2, 4)
    said = [text.get_text() for text in canvas.legends[0].get_texts()]
    interval = f"bars, band: 95 % interval over {len(circuits)} circuits and {len(animals)} animals"
    assert (interval in said) == (len(animals) > 1)
    first, second, third = panels[:, 0, 0]
    level = np.mean(np.exp([0.1 * c + 0.01 * a for c, a in product(circuits, animals)]))
    for axes in (first, second):  # matched: every abscissa, of either kind
        heights = [bar.lines[0].get_ydata() for bar in axes.containers]
        np.testing.assert_allclose(heights, [level * (1 + np.array(abscissa.ABSCISSAE))] * 2)
        assert axes.lines[0].get_ydata()[0] == pytest.approx(level)
    heights = [bar.lines[0].get_ydata() for bar in third.containers]
    np.testing.assert_allclose(heights, [level * (1 + np.array(abscissa.SAME_ABSCISSAE))] * 2)
    hollow = [sum(len(line.get_xdata()) for line in axes.lines if line.get_mfc() == "white")
              for axes in panels[:, 0, 0]]  # fmt: skip
    assert hollow == [0, 4, 2]
    assert [axes.get_title() for axes in panels[0, 0]] == [
        f"{name}, {stimuli} stimuli"
        for name in ("Gaussian field", "Dipole field")
        for stimuli in (8, 32)
    ]


@pytest.mark.parametrize("spreads", [(1, 0, 0), (0, 1, 0), (1, 0.3, 0.3)])
def test_intervals_over_five_circuits_and_six_animals_cover(spreads):
    """Spreads of circuits, of animals, and of both together."""
    rng = np.random.default_rng(11)
    shapes = (5, 1), (1, 6), (5, 6)
    covered = []
    for _ in range(1000):
        parts = [s * rng.standard_normal(shape) for s, shape in zip(spreads, shapes, strict=True)]
        _, low, high = crossed_interval(parts[0] + parts[1] + parts[2])
        covered.append(low <= 0 <= high)
    assert np.mean(covered) > 0.93  # of a true 95 %: three standard errors
