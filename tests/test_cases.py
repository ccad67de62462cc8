from dataclasses import asdict, fields

import numpy as np
import pytest

from ndbmi_gym.config import Config
from ndbmi_gym.cortex.soc.cortex import SOCCortex
from ndbmi_gym.experiments.circuit import cases
from ndbmi_gym.experiments.circuit.cases import (
    CARRY,
    STRUCTURE,
    VOLITION,
    WINDOWS,
    Case,
    identified,
    run_cases,
)
from ndbmi_gym.experiments.protocol.conditions import FIELDS, loop_with, run_loop, starts_of
from ndbmi_gym.experiments.protocol.runs import wtpe
from ndbmi_gym.interface import DECODERS
from ndbmi_gym.presets import Preset
from ndbmi_gym.streams import experiment_rng

PRESET = Preset(repetitions=5)  # calibrates fast
PAPERS = Case("topographic", 8, 0.6)
CASE = {field.name for field in fields(Case)}


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Few starts, repetitions and trials."""
    monkeypatch.setattr(cases, "N_STARTS", 3)
    monkeypatch.setattr(cases, "REPETITIONS", 2)


# Cases


@pytest.mark.parametrize(
    ("case", "dataset", "gain"),
    [(PAPERS, 5, 1.0), (Case("topographic", 32, 0.6), 6, 1.0), (Case("topographic", 32), 6, 0.5)],
)
def test_the_papers_cortex_keeps_its_rates(case, dataset, gain):
    assert case.options() == {"dataset": dataset, "window_s": case.window_s, "gain": gain}
    usual = Config.of(**{"dataset": dataset}).make_loop(0).cortex
    cut = case.make_loop(PRESET, 0).cortex
    np.testing.assert_allclose(cut.evoked, gain * usual.evoked)
    assert cut.window_s == case.window_s


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (Case(), {}),
        (Case("scaled"), {"control": "scaled"}),
        (Case("shuffled, matched", 32), {"control": "shuffled", "match_signal": True}),
        (Case("symmetric, matched"), {"control": "symmetric", "match_signal": True}),
        (Case(carry=True, units=3), {"carry": True, "units": 3}),
        (Case(core="nonlinear", window_s=0.1), {"core": "nonlinear"}),
        (Case(electrodes=4), {"electrodes": 4}),
    ],
)
def test_options_of_circuits(case, expected):
    options = case.options()
    usual = {
        "kind": "soc",
        "stimuli": case.stimuli,
        "control": "none",
        "match_signal": False,
        "carry": False,
        "core": "linear",
        "units": None,
        "electrodes": 25,
    }
    assert options == {"cortex": usual | expected, "window_s": case.window_s}


def test_the_presets_metric_is_the_papers():
    preset = Preset(repetitions=5, tau_s=0.2)
    assert PAPERS.make_loop(preset, 0).interface.metric.tau_s == 0.2
    assert Case().make_loop(preset, 0).interface.metric.tau_s == 0.05


@pytest.mark.parametrize(("stimuli", "units", "made"), [(8, 0, 1), (32, 0, 4), (32, 1, 1)])
def test_units_of_the_loop(stimuli, units, made):
    loop = Case("soc", stimuli, units=units).make_loop(PRESET, 0, FIELDS[1], DECODERS[1])
    assert isinstance(loop.cortex, SOCCortex)
    assert (loop.cortex.n_stimuli, loop.cortex.units) == (stimuli, made)
    assert loop.decoder == DECODERS[1]


def recorded(case):
    """Electrodes, and expected spikes of a response in the mean over stimuli."""
    cortex = case.make_loop(PRESET, 0).cortex
    every = np.arange(cortex.n_stimuli)
    counts = cortex.mean_counts(every, np.zeros((len(every), cortex.n_electrodes)))
    return cortex.n_electrodes, counts.sum(axis=1).mean()


def test_some_circuits_have_as_many_electrodes_as_the_papers_sets():
    few = [case for case in STRUCTURE if case.electrodes < Case().electrodes]
    assert [(case.cortex, case.stimuli) for case in few] == [("soc", 8), ("soc", 32)]
    papers = [Case("topographic", case.stimuli, 0.6) for case in few]
    for case, paper in zip(few, papers, strict=True):
        assert recorded(case)[0] == recorded(paper)[0] == case.electrodes
    assert 1 / 1.5 < recorded(few[1])[1] / recorded(papers[1])[1] < 1.5


@pytest.mark.parametrize(
    ("case", "name"),
    [
        (Case("scaled, matched", 32, 0.1, units=1), "scaled, matched"),
        (Case(core="nonlinear", carry=True), "soc, nonlinear, carried"),
        (Case(electrodes=4), "soc, 4 electrodes"),
    ],
)
def test_names_tell_what_is_unusual(case, name):
    assert case.name == name


@pytest.mark.parametrize("cases", [STRUCTURE, WINDOWS, CARRY, VOLITION])
def test_every_case_can_be_configured_and_is_there_once(cases):
    assert len(set(cases)) == len(cases)
    for case in cases:
        Config.of(**{**PRESET.options(), **case.options()})


def test_rows_of_a_case_are_found_in_a_table():
    cases = (Case("soc", 8), Case("soc", 32), Case("soc", 8, carry=True))
    table = {name: np.array([getattr(c, name) for c in cases]) for name in asdict(cases[0])}
    table["value"] = np.arange(3)
    assert [case.rows(table)["value"].tolist() for case in cases] == [[0], [1], [2]]
    assert not len(cases[0].rows(table, value=1)["value"])


# The protocol


@pytest.fixture(scope="module")
def measured():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cases, "N_STARTS", 3)
        patch.setattr(cases, "REPETITIONS", 2)
        return run_cases((PAPERS, Case()), PRESET, 1, 5)


def test_tables_of_the_protocol(measured):
    loops, decoding = measured["loops"], measured["decoding"]
    assert set(loops) == CASE | {"field", "decoder", "animal", "convergent", "wtpe", "steps"}
    assert set(decoding) == CASE | {"animal", "identified", "recorded", "spikes"}
    assert {len(column) for column in loops.values()} == {2 * 2 * 3}
    assert {len(column) for column in decoding.values()} == {2}
    settings = zip(*(loops[name] for name in ("cortex", "field", "decoder")), strict=True)
    assert len(set(settings)) == 2 * 2 * 3
    assert set(loops["animal"]) == {1}
    arrived = loops["convergent"] > 0
    assert arrived.any()
    assert (loops["wtpe"][arrived] > 0).all()
    assert ((loops["steps"][arrived] >= 1) & (loops["steps"][arrived] <= 50)).all()


def test_a_row_is_the_mean_over_the_runs_that_converge(measured):
    row = 2 * 3 + 3 + 1  # the circuit, dipole, single-point
    loop = Case().make_loop(PRESET, 1, FIELDS[1], DECODERS[1])
    rng = experiment_rng(5, 1, repr(Case()), FIELDS[1], DECODERS[1])
    runs, ideal = run_loop(PRESET, loop, rng, starts_of(1, 5, 3, 2))
    loops = measured["loops"]
    assert loops["convergent"][row] == pytest.approx(np.mean(runs.entered >= 0))
    assert loops["wtpe"][row] == pytest.approx(np.nanmean(wtpe(runs, ideal)))
    assert loops["steps"][row] == pytest.approx(runs.entered[runs.entered >= 0].mean())


def test_a_row_of_what_is_recorded(measured):
    for i, case in enumerate((PAPERS, Case())):
        row = {name: column[i] for name, column in measured["decoding"].items()}
        loop = case.make_loop(PRESET, 1)
        assert row["identified"] == identified(loop, experiment_rng(5, 1, repr(case), "decoding"))
        stimulus = np.repeat(np.arange(8), 200)
        counts = loop.cortex.respond(stimulus, None, np.random.default_rng(0)).trains.counts()
        assert row["recorded"] == counts.shape[1]
        # counts are Poisson: four deviations of their mean
        assert row["spikes"] == pytest.approx(
            counts.sum(axis=1).mean(), abs=4 * np.sqrt(row["spikes"] / len(stimulus))
        )


def test_what_a_case_measures_does_not_depend_on_the_others(measured):
    alone = run_cases((Case(),), PRESET, 1, 5, DECODERS[:1])
    loops = measured["loops"]
    same = (loops["cortex"] == "soc") & (loops["decoder"] == DECODERS[0])
    for name, column in alone["loops"].items():
        np.testing.assert_array_equal(column, loops[name][same])
    np.testing.assert_array_equal(
        alone["decoding"]["identified"], measured["decoding"]["identified"][1:]
    )


def test_cases_animals_and_seeds_have_streams_of_their_own(measured):
    usual = measured["loops"]["wtpe"][6:8]
    others = (
        (Case(units=1), 1, 5),  # the same loop by another name
        (Case(), 2, 5),
        (Case(), 1, 6),
    )
    for case, animal, seed in others:
        loops = run_cases((case,), PRESET, animal, seed, DECODERS[:2])["loops"]
        assert not np.isclose(loops["wtpe"][:2], usual).any()


def test_without_convergent_runs_there_is_no_wtpe(monkeypatch):
    real = cases.run_loop

    def lost(*args):
        runs, ideal = real(*args)
        runs.entered[:] = -1
        return runs, ideal

    monkeypatch.setattr(cases, "run_loop", lost)
    loops = run_cases((PAPERS,), PRESET, 0, 0, DECODERS[:1])["loops"]
    assert (loops["convergent"] == 0).all()
    assert np.isnan(loops["wtpe"]).all()
    assert np.isnan(loops["steps"]).all()


# Decoding


def test_a_noiseless_cortex_is_identified_where_its_responses_are(noiseless):
    loop = loop_with(PRESET, {"dataset": 5, "cortex": noiseless}, "gaussian", DECODERS[0], 0)
    hits = []
    for stimulus in range(8):
        trains = loop.cortex.respond(np.array([stimulus]), None, np.random.default_rng(0)).trains
        place = loop.interface.project(trains)[0]
        off = np.linalg.norm(loop.interface.sites - place, axis=1)
        hits.append(off.argmin() == stimulus)
    assert identified(loop, np.random.default_rng(1), 4) == np.mean(hits)
    assert np.mean(hits) > 0.8


@pytest.mark.parametrize(("given", "trials"), [((25,), 25), ((), 50)])
def test_identification_against_brute_force(given, trials):
    loop = PAPERS.make_loop(PRESET, 0)
    stimulus = np.repeat(np.arange(8), trials)
    trains = loop.cortex.respond(stimulus, None, np.random.default_rng(3)).trains
    places = loop.interface.decode(trains, "projection")
    off = np.linalg.norm(places[:, None] - loop.interface.sites, axis=-1)
    share = np.mean(off.argmin(axis=1) == stimulus)
    assert identified(loop, np.random.default_rng(3), *given) == share
    assert 1 / 8 < share < 1
