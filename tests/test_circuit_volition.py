from dataclasses import fields
from itertools import combinations, product

import numpy as np
import pytest

from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.experiments.circuit import volition as reaching
from ndbmi_gym.experiments.circuit.cases import (
    Case,
)
from ndbmi_gym.experiments.circuit.volition import (
    DIRECTIONS,
    measure_volition,
    play_policies,
    reach,
)
from ndbmi_gym.experiments.protocol import volition
from ndbmi_gym.experiments.protocol.runs import protocol_starts, run_protocol
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
    monkeypatch.setattr(reaching, "_TRIALS", 6)
    monkeypatch.setattr(volition, "N_STARTS", 2)


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
