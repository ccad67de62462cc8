from dataclasses import asdict, fields
from itertools import combinations, product

import numpy as np
import pytest

from ndbmi_gym.config import Config
from ndbmi_gym.cortex.soc import SOCCortex
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.experiments.circuit import cases
from ndbmi_gym.experiments.circuit import volition as reaching
from ndbmi_gym.experiments.circuit.carry import carried_sizes, run_carry
from ndbmi_gym.experiments.circuit.cases import (
    CARRY,
    STRUCTURE,
    VOLITION,
    WINDOWS,
    Case,
    identified,
    run_cases,
)
from ndbmi_gym.experiments.circuit.volition import (
    DIRECTIONS,
    measure_volition,
    play_policies,
    reach,
)
from ndbmi_gym.experiments.protocol import conditions, volition
from ndbmi_gym.experiments.protocol.conditions import FIELDS, loop_with, run_loop, starts_of
from ndbmi_gym.experiments.protocol.runs import protocol_starts, run_protocol, wtpe
from ndbmi_gym.interface import DECODERS
from ndbmi_gym.inversion import expected_projection
from ndbmi_gym.policies import make_policy
from ndbmi_gym.presets import Preset
from ndbmi_gym.streams import experiment_rng

PRESET = Preset(repetitions=5)  # calibrates fast
PAPERS = Case("topographic", 8, 0.6)
CASE = {field.name for field in fields(Case)}
DIRECTION = np.column_stack(
    [f(np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS) for f in (np.cos, np.sin)]
)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Few starts, repetitions and trials."""
    monkeypatch.setattr(cases, "N_STARTS", 3)
    monkeypatch.setattr(cases, "REPETITIONS", 2)
    monkeypatch.setattr(reaching, "_TRIALS", 6)
    monkeypatch.setattr(volition, "N_STARTS", 2)


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


# Carried state


def settled_size(window_s):
    """Size of what is left when the same stimuli come window after window, from rest."""
    cortex = Case("soc", 8, window_s, carry=True).make_loop(PRESET, 0).cortex
    rng, last, left = np.random.default_rng(0), np.inf, np.zeros((8, cortex.n_states))
    while not np.allclose(last, left, rtol=0, atol=1e-9 * np.abs(left).max()):
        last, left = left, cortex.respond(np.arange(8), None, rng, left).activity
    return np.mean(np.linalg.norm(left, axis=1) / np.linalg.norm(cortex.prepared, axis=1))


@pytest.mark.parametrize("step_s", [0.25, 0.5])
@pytest.mark.parametrize("window_s", [0.1, 0.3, 0.6])
def test_what_is_carried_settles_under_a_lasting_stimulus(window_s, step_s):
    case, preset = Case("soc", 8, window_s, carry=True), Preset(repetitions=5, step_s=step_s)
    size, later = carried_sizes(case, preset)
    assert size == pytest.approx(settled_size(window_s), rel=1e-6)
    # without input, the time until the end of the step is as a longer window
    assert later == pytest.approx(settled_size(max(window_s, step_s)), rel=1e-6)
    assert (later < size) == (window_s < step_s)


def test_tables_of_carried_state():
    cases = (Case(window_s=0.1), Case(window_s=0.1, carry=True), Case(carry=True))
    tables = run_carry(cases, PRESET, 1, 5)
    assert set(tables) == {"loops", "sizes"}
    expected = run_cases(cases, PRESET, 1, 5, conditions.DECODERS)["loops"]
    assert len(expected["wtpe"]) == 3 * len(FIELDS) * 2
    for name, column in expected.items():
        np.testing.assert_array_equal(tables["loops"][name], column)
    sizes = tables["sizes"]
    assert set(sizes) == CASE | {"size", "size_at_step"}
    assert sizes["window_s"].tolist() == [0.1, 0.3]
    assert sizes["carry"].all()
    for i, case in enumerate(cases[1:]):
        assert (sizes["size"][i], sizes["size_at_step"][i]) == carried_sizes(case, PRESET)


# Reach


def displaced(loop, action):
    """How far expected projected responses to volition alone are from that at rest, (B, 2)."""
    tried = np.vstack((np.zeros(loop.cortex.n_electrodes), action)) * loop.cortex.max_count
    places = expected_projection(loop.cortex, loop.interface, None, tried)
    return places[1:] - places[0]


@pytest.mark.parametrize("case", [PAPERS, Case("topographic", 32, 0.3)])
def test_reach_of_added_spikes_is_a_support_function(case):
    loop = case.make_loop(PRESET, 0)
    cortex = loop.cortex
    per_spike = loop.interface.readout.reshape(cortex.n_electrodes, cortex.n_bins, 2).mean(axis=1)
    expected = cortex.max_count * np.maximum(per_spike @ DIRECTION.T, 0).sum(axis=0)
    np.testing.assert_allclose(reach(loop, 0.0), expected)
    np.testing.assert_allclose(reach(loop, -1.0), expected)  # at rest nothing can be taken away


@pytest.mark.parametrize("low", [0.0, -1.0])
@pytest.mark.parametrize("case", [PAPERS, Case()])
def test_no_volition_displaces_farther(case, low):
    loop = case.make_loop(PRESET, 0)
    cortex, rng = loop.cortex, np.random.default_rng(0)
    inside = rng.uniform(low, 1, (300, cortex.n_electrodes))
    ends = rng.choice([low, 1.0], (300, cortex.n_electrodes))
    farthest = (displaced(loop, np.vstack((inside, ends))) @ DIRECTION.T).max(axis=0)
    assert (farthest <= reach(loop, low) + 1e-9).all()


@pytest.mark.parametrize("low", [0.0, -1.0])
@pytest.mark.parametrize(
    "case", [Case(electrodes=4), Case(electrodes=4, core="nonlinear"), Case(electrodes=9, units=2)]
)
def test_reach_among_all_corners(case, low):
    """The best of all corners could have been missed, but is not in these."""
    loop = case.make_loop(PRESET, 0)
    corners = np.array(list(product((low, 1.0), repeat=case.electrodes)))
    farthest = (displaced(loop, corners) @ DIRECTION.T).max(axis=0)
    np.testing.assert_allclose(reach(loop, low), farthest, atol=1e-8)


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_no_flip_of_an_entry_leads_farther(low, monkeypatch):
    tried = []
    real = reaching._displacement

    def spy(loop, action):
        tried.append(action)
        return real(loop, action)

    monkeypatch.setattr(reaching, "_displacement", spy)
    loop = Case().make_loop(PRESET, 0)
    found = reach(loop, low)
    begins = [i for i, action in enumerate(tried) if len(action) == 1]  # the search, by direction
    ends = [*begins[1:], len(tried)]
    for direction, distance, begin, end in zip(DIRECTION, found, begins, ends, strict=True):
        corners = np.vstack(tried[begin:end])
        along = displaced(loop, corners) @ direction
        corner = corners[along.argmax()]
        assert distance == pytest.approx(along.max())
        assert set(corner) <= {low, 1.0}
        flipped = np.tile(corner, (len(corner), 1))
        np.fill_diagonal(flipped, np.where(corner == 1, low, 1.0))
        assert (displaced(loop, flipped) @ direction <= distance + 1e-8).all()


@pytest.mark.parametrize("low", [0.0, -1.0])
@pytest.mark.parametrize("case", [Case(), Case(window_s=0.6), Case("soc", 32, units=1)])
def test_reach_beyond_the_linearised_corner(case, low):
    loop = case.make_loop(PRESET, 0)
    favoured = displaced(loop, 1e-3 * np.eye(loop.cortex.n_electrodes)) @ DIRECTION.T > 0
    linearised = (displaced(loop, np.where(favoured, 1.0, low).T) * DIRECTION).sum(axis=1)
    found = reach(loop, low)
    assert (found >= linearised - 1e-9).all()
    assert (found > linearised + 0.01).any()


def test_signed_volition_reaches_farther_through_the_circuit():
    loop = Case().make_loop(PRESET, 0)
    assert (reach(loop, -1.0) > reach(loop, 0.0)).all()


# The shift task


def by_hand(case, name, preset=PRESET):
    """Success and steps of a policy in the shift task, which begins anew after every arrival."""
    env = BMIVectorEnv(
        6,
        max_episode_steps=25,
        task="shift",
        observe="state",
        animal=0,
        preset=preset,
        **case.options(),
    )
    seen, _ = env.reset(seed=int(experiment_rng(4, 0, "shift task").integers(2**31)))
    policy, ended = make_policy(name, env), []
    for _ in range(25):
        seen, _, arrived, _, _ = env.step(policy.predict(seen)[0])
        ended.append(arrived)
    ended = np.array(ended)
    first = np.where(ended.any(axis=0), ended.argmax(axis=0) + 1, 25)
    return {"success": ended.any(axis=0).mean(), "steps": first.mean()}


def test_play_is_what_the_environment_does():
    rows = play_policies(PAPERS, PRESET, 0, 4, 0.0)
    assert [row["policy"] for row in rows] == ["zero", "eq24", "ceiling"]
    assert rows[0] == {"policy": "zero"} | by_hand(PAPERS, "zero")
    assert rows[2] == {"policy": "ceiling"} | by_hand(PAPERS, "ceiling")
    for row in rows:
        assert 0 <= row["success"] <= 1
        assert 1 <= row["steps"] <= 25
    assert rows[2]["success"] > rows[0]["success"]
    assert rows[2]["steps"] < rows[0]["steps"]


def test_play_through_the_circuit(monkeypatch):
    monkeypatch.setattr(reaching, "make_policy", lambda name, env: make_policy("zero", env))
    for row in play_policies(Case(carry=True), PRESET, 0, 4, -1.0):
        assert row == {"policy": row["policy"]} | by_hand(Case(carry=True), "zero")


def test_play_heeds_the_preset(monkeypatch):
    monkeypatch.setattr(reaching, "make_policy", lambda name, env: make_policy("zero", env))
    heavy = Preset(repetitions=5, mass=5.0)
    row = play_policies(PAPERS, heavy, 0, 4, 0.0)[0]
    assert row == {"policy": "zero"} | by_hand(PAPERS, "zero", heavy)
    assert row["steps"] != by_hand(PAPERS, "zero")["steps"]


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_policies_see_the_same_trials_and_animals_different_ones(low, monkeypatch):
    begun = []

    class Watched(BMIVectorEnv):
        def reset(self, **options):
            seen, info = super().reset(**options)
            begun.append((self.episodes.state.position.copy(), seen.copy()))
            return seen, info

    monkeypatch.setattr(reaching, "BMIVectorEnv", Watched)
    monkeypatch.setattr(reaching, "make_policy", lambda name, env: make_policy("zero", env))
    for animal, seed in ((0, 4), (1, 4), (2, 4), (0, 5)):
        play_policies(PAPERS, PRESET, animal, seed, low)
    for i in range(0, 12, 3):
        for (start, seen), (other, seen_too) in combinations(begun[i : i + 3], 2):
            np.testing.assert_array_equal(start, other)
            np.testing.assert_array_equal(seen, seen_too)
    starts = np.concatenate([start for start, _ in begun[::3]])
    assert len(np.unique(starts, axis=0)) == len(starts) == 4 * 6


def test_only_signed_volition_has_negative_entries(monkeypatch):
    bounds = []
    real = reaching.make_policy

    def spy(name, env):
        bounds.append((env.single_action_space.low.min(), env.single_action_space.high.max()))
        return real("zero", env)

    monkeypatch.setattr(reaching, "make_policy", spy)
    play_policies(PAPERS, PRESET, 0, 0, 0.0)
    play_policies(PAPERS, PRESET, 0, 0, -1.0)
    assert bounds == [(0, 1)] * 3 + [(-1, 1)] * 3


# What volition reaches


def test_tables_of_volition(monkeypatch):
    monkeypatch.setattr(reaching, "play_policies", lambda *a: [{"policy": "zero", "success": 0.5}])
    cases = (PAPERS, Case())
    tables = measure_volition(cases, PRESET, 1, 0)
    # the paper's volition is positive, the circuit's either
    assert {name: len(table["low"]) for name, table in tables.items()} == {
        "reach": 3 * DIRECTIONS,
        "commands": 3 * 2 * 4,
        "policies": 3,
    }
    key = CASE | {"low", "animal"}
    assert set(tables["reach"]) == key | {"direction", "reach"}
    measures = {"arrived", "by_itself", "settled_off"}
    assert set(tables["commands"]) == key | {"curl", "target"} | measures
    assert set(tables["policies"]) == key | {"policy", "success"}
    for table in tables.values():
        assert set(table["low"].tolist()) == {-1.0, 0.0}
        assert set(table["animal"].tolist()) == {1}
        assert list(dict.fromkeys(table["cortex"].tolist())) == ["topographic", "soc"]
    loop = Case().make_loop(PRESET, 1)
    np.testing.assert_array_equal(tables["reach"]["reach"][-DIRECTIONS:], reach(loop, -1.0))
    commands = tables["commands"]
    assert set(commands["curl"].tolist()) == {0.0, PRESET.curl}
    rng, places = (
        experiment_rng(0, 1, repr(Case()), "-1.0 0.0"),
        experiment_rng(0, 1, "volition starts"),
    )
    signed = volition.command_runs(PRESET, loop, rng, places, low=-1.0)
    off = np.linalg.norm(signed.settled - signed.targets, axis=1)
    np.testing.assert_array_equal(commands["settled_off"][-8:-4], off)
    assert set((4 * commands["arrived"]).tolist()) <= {0.0, 2.0, 4.0}  # of two runs each
    alone = measure_volition(cases[1:], PRESET, 1, 0)["commands"]
    np.testing.assert_array_equal(alone["settled_off"], commands["settled_off"][8:])


def test_some_runs_enter_by_themselves(monkeypatch):
    monkeypatch.setattr(reaching, "play_policies", lambda *a: [{"policy": "zero", "success": 0.5}])
    monkeypatch.setattr(volition, "N_STARTS", 8)
    cases = (PAPERS, Case())
    commands = measure_volition(cases, PRESET, 1, 0)["commands"]
    settings = [(case, low, curl) for case in cases for low in case.lows for curl in (0.0, 0.6)]
    expected = []
    for case, low, curl in settings:
        loop, rng = case.make_loop(PRESET, 1), experiment_rng(0, 1, repr(case), f"{low} {curl}")
        runs = volition.command_runs(
            PRESET, loop, rng, experiment_rng(0, 1, "volition starts"), curl, low
        )  # first, on the same stream
        places = experiment_rng(0, 1, "volition starts")
        for target in runs.targets:
            starts = protocol_starts(places, loop.interface.half_side_cm, 8, 1)
            still = run_protocol(loop, rng, starts, target, PRESET.radius_cm, curl=curl)
            expected.append(np.mean(still.entered >= 0))
    np.testing.assert_array_equal(commands["by_itself"], expected)
    assert 0 < commands["by_itself"].mean() < commands["arrived"].mean()
