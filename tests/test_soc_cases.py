from dataclasses import asdict, fields

import numpy as np
import pytest

from ndbmi_gym.config import Config
from ndbmi_gym.cortex.soc import SOCCortex
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.experiments import soc_cases, volition
from ndbmi_gym.experiments.conditions import FIELDS, loop_with, run_loop, starts_of, stream
from ndbmi_gym.experiments.protocol import wtpe
from ndbmi_gym.experiments.soc_cases import (
    CARRY,
    DIRECTIONS,
    STRUCTURE,
    VOLITION,
    WINDOWS,
    Case,
    identified,
    play,
    reach,
    run_cases,
    run_volition,
)
from ndbmi_gym.interface import DECODERS
from ndbmi_gym.inversion import expected_projection
from ndbmi_gym.policies import make_policy
from ndbmi_gym.presets import Preset

PRESET = Preset(trials=5)  # calibrates fast
PAPERS = Case("topographic", 8, 0.6)
CASE = {field.name for field in fields(Case)}
DIRECTION = np.column_stack(
    [f(np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS) for f in (np.cos, np.sin)]
)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Few starts, repetitions, responses and trials."""
    monkeypatch.setattr(soc_cases, "N_STARTS", 3)
    monkeypatch.setattr(soc_cases, "REPETITIONS", 2)
    monkeypatch.setattr(soc_cases, "_TESTED", 4)
    monkeypatch.setattr(soc_cases, "_TRIALS", 6)
    monkeypatch.setattr(volition, "N_STARTS", 2)


# Cases


@pytest.mark.parametrize(
    ("case", "dataset", "gain"),
    [(PAPERS, 5, 1.0), (Case("topographic", 32, 0.6), 6, 1.0), (Case("topographic", 32), 6, 0.5)],
)
def test_the_papers_cortex_keeps_its_rates(case, dataset, gain):
    assert case.options() == {"dataset": dataset, "window_s": case.window_s, "gain": gain}
    usual = Config.from_options({"dataset": dataset}).make_loop(0).cortex
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
    }
    assert options["cortex"] == usual | expected
    assert (options["window_s"], options["tau_s"]) == (case.window_s, 0.05)


@pytest.mark.parametrize(("stimuli", "units", "made"), [(8, 0, 1), (32, 0, 4), (32, 1, 1)])
def test_units_of_the_loop(stimuli, units, made):
    loop = Case("soc", stimuli, units=units).make_loop(PRESET, 0, FIELDS[1], DECODERS[1])
    assert isinstance(loop.cortex, SOCCortex)
    assert (loop.cortex.n_stimuli, loop.cortex.units) == (stimuli, made)
    assert loop.decoder == DECODERS[1]


@pytest.mark.parametrize("cases", [STRUCTURE, WINDOWS, CARRY, VOLITION])
def test_every_case_can_be_configured_and_is_there_once(cases):
    assert len(set(cases)) == len(cases)
    for case in cases:
        Config.from_options({**PRESET.options(), **case.options()})


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
        patch.setattr(soc_cases, "N_STARTS", 3)
        patch.setattr(soc_cases, "REPETITIONS", 2)
        patch.setattr(soc_cases, "_TESTED", 4)
        return run_cases((PAPERS, Case()), PRESET, 1, 5)


def test_tables_of_the_protocol(measured):
    loops, decoding = measured["loops"], measured["decoding"]
    assert set(loops) == CASE | {"field", "decoder", "subject", "convergent", "wtpe", "steps"}
    assert set(decoding) == CASE | {"subject", "accuracy"}
    assert {len(column) for column in loops.values()} == {2 * 2 * 3}
    assert {len(column) for column in decoding.values()} == {2}
    settings = zip(*(loops[name] for name in ("cortex", "field", "decoder")), strict=True)
    assert len(set(settings)) == 2 * 2 * 3
    assert set(loops["subject"]) == {1}
    arrived = loops["convergent"] > 0
    assert arrived.any()
    assert (loops["wtpe"][arrived] > 0).all()
    assert ((loops["steps"][arrived] >= 1) & (loops["steps"][arrived] <= 50)).all()


def test_a_row_is_the_mean_over_the_runs_that_converge(measured):
    row = 2 * 3 + 3 + 1  # the circuit, dipole, single-point
    loop = Case().make_loop(PRESET, 1, FIELDS[1], DECODERS[1])
    rng = stream(5, 1, repr(Case()), FIELDS[1], DECODERS[1])
    runs, ideal = run_loop(PRESET, loop, rng, starts_of(1, 5, 3, 2))
    loops = measured["loops"]
    assert loops["convergent"][row] == pytest.approx(np.mean(runs.entered >= 0))
    assert loops["wtpe"][row] == pytest.approx(np.nanmean(wtpe(runs, ideal)))
    assert loops["steps"][row] == pytest.approx(runs.entered[runs.entered >= 0].mean())


def test_what_a_case_measures_does_not_depend_on_the_others(measured):
    alone = run_cases((Case(),), PRESET, 1, 5, DECODERS[:1])
    loops = measured["loops"]
    same = (loops["cortex"] == "soc") & (loops["decoder"] == DECODERS[0])
    for name, column in alone["loops"].items():
        np.testing.assert_array_equal(column, loops[name][same])
    np.testing.assert_array_equal(
        alone["decoding"]["accuracy"], measured["decoding"]["accuracy"][1:]
    )


def test_cases_animals_and_seeds_have_streams_of_their_own(measured):
    usual = measured["loops"]["wtpe"][6:8]
    others = (
        (Case(units=1), 1, 5),  # the same loop by another name
        (Case(), 2, 5),
        (Case(), 1, 6),
    )
    for case, subject, seed in others:
        loops = run_cases((case,), PRESET, subject, seed, DECODERS[:2])["loops"]
        assert not np.isclose(loops["wtpe"][:2], usual).any()


def test_without_convergent_runs_there_is_no_wtpe(monkeypatch):
    real = soc_cases.run_loop

    def lost(*args):
        runs, ideal = real(*args)
        runs.entered[:] = -1
        return runs, ideal

    monkeypatch.setattr(soc_cases, "run_loop", lost)
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
    assert identified(loop, np.random.default_rng(1)) == np.mean(hits)
    assert np.mean(hits) > 0.8


def test_identification_against_brute_force(monkeypatch):
    monkeypatch.setattr(soc_cases, "_TESTED", 25)
    loop = PAPERS.make_loop(PRESET, 0)
    stimulus = np.repeat(np.arange(8), 25)
    trains = loop.cortex.respond(stimulus, None, np.random.default_rng(3)).trains
    places = loop.interface.decode(trains, "projection")
    off = np.linalg.norm(places[:, None] - loop.interface.sites, axis=-1)
    share = np.mean(off.argmin(axis=1) == stimulus)
    assert identified(loop, np.random.default_rng(3)) == share
    assert 1 / 8 < share < 1


# Reach


@pytest.mark.parametrize("case", [PAPERS, Case("topographic", 32, 0.3)])
def test_reach_of_added_spikes_is_a_support_function(case):
    loop = case.make_loop(PRESET, 0)
    cortex = loop.cortex
    per_spike = loop.interface.readout.reshape(cortex.n_units, cortex.n_bins, 2).mean(axis=1)
    expected = cortex.max_count * np.maximum(per_spike @ DIRECTION.T, 0).sum(axis=0)
    np.testing.assert_allclose(reach(loop, 0.0), expected)
    np.testing.assert_allclose(reach(loop, -1.0), expected)  # at rest nothing can be taken away


@pytest.mark.parametrize("low", [0.0, -1.0])
@pytest.mark.parametrize("case", [PAPERS, Case()])
def test_no_volition_displaces_farther(case, low):
    loop = case.make_loop(PRESET, 0)
    cortex, rng = loop.cortex, np.random.default_rng(0)
    inside = rng.uniform(low, 1, (300, cortex.n_units))
    ends = rng.choice([low, 1.0], (300, cortex.n_units))
    tried = np.vstack((np.zeros(cortex.n_units), inside, ends))
    places = expected_projection(cortex, loop.interface, None, tried * cortex.max_count)
    farthest = ((places - places[0]) @ DIRECTION.T).max(axis=0)
    assert (farthest <= reach(loop, low) + 1e-9).all()


def test_signed_volition_reaches_farther_through_the_circuit():
    loop = Case().make_loop(PRESET, 0)
    assert (reach(loop, -1.0) > reach(loop, 0.0)).all()


# The shift task


def by_hand(case, name):
    """Success and steps of a policy in the shift task, which begins anew after every arrival."""
    env = BMIVectorEnv(
        6, max_episode_steps=25, task="shift", observe="state", subject=0, **case.options()
    )
    seen, _ = env.reset(seed=4)
    policy, ended = make_policy(name, env), []
    for _ in range(25):
        seen, _, arrived, _, _ = env.step(policy.predict(seen)[0])
        ended.append(arrived)
    ended = np.array(ended)
    first = np.where(ended.any(axis=0), ended.argmax(axis=0) + 1, 25)
    return {"success": ended.any(axis=0).mean(), "steps": first.mean()}


def test_play_is_what_the_environment_does():
    rows = play(PAPERS, 0, 4, 0.0)
    assert [row["policy"] for row in rows] == ["zero", "eq24", "ceiling"]
    assert rows[0] == {"policy": "zero"} | by_hand(PAPERS, "zero")
    assert rows[2] == {"policy": "ceiling"} | by_hand(PAPERS, "ceiling")
    for row in rows:
        assert 0 <= row["success"] <= 1
        assert 1 <= row["steps"] <= 25
    assert rows[2]["success"] > rows[0]["success"]
    assert rows[2]["steps"] < rows[0]["steps"]


def test_play_through_the_circuit(monkeypatch):
    monkeypatch.setattr(soc_cases, "make_policy", lambda name, env: make_policy("zero", env))
    for row in play(Case(carry=True), 0, 4, -1.0):
        assert row == {"policy": row["policy"]} | by_hand(Case(carry=True), "zero")


def test_only_signed_volition_has_negative_entries(monkeypatch):
    bounds = []
    real = soc_cases.make_policy

    def spy(name, env):
        bounds.append((env.single_action_space.low.min(), env.single_action_space.high.max()))
        return real("zero", env)

    monkeypatch.setattr(soc_cases, "make_policy", spy)
    play(PAPERS, 0, 0, 0.0)
    play(PAPERS, 0, 0, -1.0)
    assert bounds == [(0, 1)] * 3 + [(-1, 1)] * 3


# What volition reaches


def test_tables_of_volition(monkeypatch):
    monkeypatch.setattr(soc_cases, "play", lambda *a: [{"policy": "zero", "success": 0.5}])
    cases = (PAPERS, Case())
    tables = run_volition(cases, PRESET, 1, 0)
    # the paper's volition is positive, the circuit's either
    assert {name: len(table["low"]) for name, table in tables.items()} == {
        "reach": 3 * DIRECTIONS,
        "commands": 3 * 2 * 4,
        "policies": 3,
    }
    key = CASE | {"low", "subject"}
    assert set(tables["reach"]) == key | {"direction", "reach"}
    assert set(tables["commands"]) == key | {"curl", "target", "arrived", "settled_off"}
    assert set(tables["policies"]) == key | {"policy", "success"}
    for table in tables.values():
        assert set(table["low"].tolist()) == {-1.0, 0.0}
        assert set(table["subject"].tolist()) == {1}
        assert list(dict.fromkeys(table["cortex"].tolist())) == ["topographic", "soc"]
    loop = Case().make_loop(PRESET, 1)
    np.testing.assert_array_equal(tables["reach"]["reach"][-DIRECTIONS:], reach(loop, -1.0))
    commands = tables["commands"]
    assert set(commands["curl"].tolist()) == {0.0, PRESET.curl}
    rng, places = stream(0, 1, repr(Case()), "-1.0 0.0"), stream(0, 1, "volition starts")
    signed = volition.command_runs(PRESET, loop, rng, places, low=-1.0)
    off = np.linalg.norm(signed.settled - signed.targets, axis=1)
    np.testing.assert_array_equal(commands["settled_off"][-8:-4], off)
    assert set((4 * commands["arrived"]).tolist()) <= {0.0, 2.0, 4.0}  # of two runs each
    alone = run_volition(cases[1:], PRESET, 1, 0)["commands"]
    np.testing.assert_array_equal(alone["settled_off"], commands["settled_off"][8:])
