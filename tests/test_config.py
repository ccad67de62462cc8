import json
from dataclasses import asdict

import numpy as np
import pytest

from ndbmi_gym.calibration import SCALINGS
from ndbmi_gym.config import Config, animal_rng
from ndbmi_gym.perturbations import Draw
from ndbmi_gym.presets import Preset, load_preset
from ndbmi_gym.stimuli import evoked_counts, flatten, lose_site, misplace_electrode, stimulus_set

SET_6 = evoked_counts(stimulus_set(6))
DEGRADATIONS = (
    {"flatten": 0.6},
    {"misplaced_electrode": 4},
    {"lost_site": 7},
    {"spontaneous": 40.0},
    {"gamma_shape": 0.3},
)


def test_defaults_are_json():
    assert Config.of(**json.loads(json.dumps(asdict(Config())))) == Config.of()


def test_unknown_options_are_named_with_the_known_ones():
    with pytest.raises(
        TypeError, match=r"unknown option 'datset': the options are preset, task, dataset"
    ):
        Config.of(**{"datset": 6})


def build(options):
    config = Config.of(**options)
    config.make_task()
    config.make_loop(0)
    config.make_draw()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": 8}, "unknown dataset 8.*1, 2, 3, 4, 5, 6, 7"),
        ({"dataset": "6"}, "unknown dataset '6'"),
        ({"dataset": [6]}, "unknown dataset"),
        ({"decoder": "linear"}, "unknown decoder 'linear'.*multiple-points"),
        ({"cortex": "real"}, "unknown cortex 'real'.*topographic, soc"),
        ({"cortex": {"kind": "real"}}, "unknown cortex 'real'"),
        ({"cortex": {"stimuli": 8}}, "give its 'kind', one of topographic, soc"),
        ({"cortex": {"kind": ["soc"]}}, r"unknown cortex \['soc'\]"),
        ({"cortex": None}, "give its 'kind', one of topographic, soc"),
        (
            {"cortex": {"kind": "topographic", "stimuli": 8, "units": 1}},
            r"unknown option 'stimuli' of the topographic cortex: its options .*environment \(data",
        ),
        ({"cortex": {"kind": "soc", "dataset": 6}}, "unknown option 'dataset' of the soc cortex"),
        ({"cortex": {"kind": "soc", "stimuli": 1}}, "stimuli = 1: give a whole number >= 2"),
        ({"observe": "all"}, "unknown observe 'all'.*neural, state, full"),
        ({"volition": "both"}, "unknown volition 'both'.*positive, signed"),
        ({"field": "vortex"}, "unknown field 'vortex'.*gaussian"),
        ({"field": {"kind": "gaussian", "width": 3}}, "width"),
        ({"perturbation": {"wind": 1}}, "perturbation .*'curl'"),
        ({"perturbation": {"curl": [1, 0]}}, r"curl range \(1.0, 0.0\).*low <= high"),
        ({"perturbation": {"curl": "strong"}}, "curl takes a number"),
        ({"repetitions": 0}, "repetitions = 0.*K >= 1"),
        ({"tau_s": 0.0}, "tau_s = 0.0.*> 0 s"),
        ({"theta": 2.0}, "theta = 2.0.*pi/2"),
        ({"theta": -0.1}, "theta = -0.1"),
        ({"exponent": 0}, "exponent = 0"),
        ({"window_s": 0.0}, "window_s = 0.0"),
        ({"window_s": 0.0005}, "window_s = 0.0005"),
        ({"clock_s": -1.0}, "clock_s = -1.0"),
        ({"window_s": 0.1005}, "not a whole number"),
        ({"spontaneous": -1.0}, "spontaneous = -1.0"),
        ({"gamma_shape": 0.0}, "shape = 0.0"),
        ({"flatten": 1.01}, r"flatten = 1.01: give a share within \[0, 1\]"),
        ({"flatten": -0.1}, "flatten = -0.1"),
        ({"flatten": float("nan")}, "flatten = nan"),
        ({"flatten": "much"}, "flatten = 'much': give a number"),
        ({"misplaced_electrode": 9}, "electrode 9: this table has the electrodes 0 to 8"),
        ({"misplaced_electrode": 4, "dataset": 5}, "electrode 4: .* 0 to 3"),
        ({"misplaced_electrode": -1}, "misplaced_electrode = -1"),
        ({"misplaced_electrode": 9, "degraded": "test"}, "electrode 9"),
        ({"misplaced_electrode": 1.5}, "misplaced_electrode = 1.5"),
        ({"misplaced_electrode": "4"}, "misplaced_electrode = '4'"),
        ({"lost_site": 4}, "site 4 is stimulated by no pattern: .*0, 1, 2, 3, 5, 6, 7, 8"),
        ({"lost_site": 9}, "site 9"),
        ({"lost_site": "7"}, "lost_site = '7'"),
        ({"lost_site": 4, "degraded": "test"}, "site 4"),
        ({"degraded": "never"}, "unknown degraded 'never': choose one of always, test"),
        ({"degraded": None}, "unknown degraded None"),
        ({"scaling": "fit"}, "unknown scaling 'fit': choose one of axis, isotropic, sites, box"),
        ({"gain": "high"}, "gain = 'high': give a number"),
        ({"gain": -1.0}, "gain = -1.0"),
        ({"half_side_cm": 0.0}, "half_side_cm = 0.0"),
        ({"mass": 0.0}, "mass = 0.0"),
        ({"viscosity": -1.0}, "viscosity = -1.0"),
        ({"step_s": float("nan")}, "step_s = nan"),
        ({"max_rate_hz": 0.0}, "max_rate_hz = 0.0"),
        ({"animal": -1}, "animal = -1"),
        ({"animal": 1.5}, "animal = 1.5"),
        ({"tau_s": "slow"}, "tau_s = 'slow': give a number"),
        ({"theta": None}, "theta = None: give a number"),
        ({"max_rate_hz": "fast"}, "max_rate_hz = 'fast'"),
        ({"perturbation": lambda x, v: np.zeros(2)}, r"one finite force per trial, shape \(3, 2\)"),
        ({"perturbation": lambda x, v: v + np.nan}, "one finite force per trial"),
        ({"perturbation": np.add, "observe_perturbation": True}, "drop either"),
        (
            {"task": {"kind": "shift", "target_range_cm": 5}, "reward": "dense"},
            "target_range_cm = 5",
        ),
        ({"n_animals": 0, "animal": None}, "n_animals = 0"),
        ({"interface": "a.npz", "animal": None}, "drop either"),
    ],
)
def test_bad_values_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        build(options)


def test_a_animal_is_one_animal_wherever_it_is_made():
    first = Config.of(animal=3).make_loop(3).interface
    again = Config.of(animal=3, decoder="projection", step_s=0.25).make_loop(3).interface
    other = Config.of(animal=4).make_loop(4).interface
    np.testing.assert_array_equal(first.points, again.points)
    assert not np.array_equal(first.points, other.points)


# Degradations


@pytest.mark.parametrize(
    ("options", "evoked"),
    [
        ({}, SET_6),
        ({"flatten": 0.0}, SET_6),
        ({"flatten": 0.6}, flatten(SET_6, 0.6)),
        ({"misplaced_electrode": 4}, misplace_electrode(SET_6, 4)),
        ({"lost_site": 7}, lose_site(SET_6, stimulus_set(6), 7)),
        ({"spontaneous": 40.0}, SET_6 + 40),
        ({"spontaneous": 40.0, "lost_site": 7}, lose_site(SET_6 + 40, stimulus_set(6), 7)),
        ({"gain": 0.5}, SET_6 / 2),
        ({"gain": 0.5, "misplaced_electrode": 4}, misplace_electrode(SET_6, 4) / 2),
    ],
)
@pytest.mark.parametrize("degraded", ["always", "test"])
def test_the_cortex_is_degraded_as_asked(options, evoked, degraded):
    cortex = Config.of(**options, degraded=degraded, repetitions=2).make_loop(0).cortex
    np.testing.assert_allclose(cortex.evoked, evoked, atol=1e-12)
    assert Config.of().make_loop(0).cortex.max_count == cortex.max_count


def test_degradations_follow_each_other():
    """The site is lost before the electrode hears it, and what it hears is flattened."""
    options = {"lost_site": 7, "misplaced_electrode": 4, "flatten": 0.5}
    lost = lose_site(SET_6, stimulus_set(6), 7)
    expected = flatten(misplace_electrode(lost, 4), 0.5)
    cortex = Config.of(**options, repetitions=2).make_loop(0).cortex
    np.testing.assert_allclose(cortex.evoked, expected, atol=1e-12)
    # by hand: half of the grand mean from either part, on the electrode that answers all alike
    np.testing.assert_allclose(cortex.evoked[:, 4], lost.mean(), atol=1e-12)


@pytest.mark.parametrize("options", DEGRADATIONS)
def test_degraded_in_test_only_is_calibrated_sound(options):
    sound = Config.of(repetitions=3).make_loop(0)
    both = Config.of(**options, repetitions=3).make_loop(0)
    test_only = Config.of(**options, repetitions=3, degraded="test").make_loop(0)
    assert test_only.interface is sound.interface
    assert not np.array_equal(both.interface.points, sound.interface.points)
    np.testing.assert_array_equal(test_only.cortex.evoked, both.cortex.evoked)
    assert test_only.cortex.shape == both.cortex.shape


def test_what_is_no_degradation_is_calibrated_with():
    options = {"gain": 0.5, "window_s": 0.3, "scaling": "box", "repetitions": 3}
    always = Config.of(**options).make_loop(0)
    test_only = Config.of(**options, degraded="test").make_loop(0)
    np.testing.assert_array_equal(always.interface.points, test_only.interface.points)
    sound = Config.of(repetitions=3).make_loop(0)
    assert not np.array_equal(always.interface.points, sound.interface.points)


def test_lost_tuning_leaves_responses_alike():
    evoked = Config.of(flatten=1.0, repetitions=3).make_loop(0).cortex.evoked
    np.testing.assert_allclose(evoked, np.broadcast_to(SET_6.mean(axis=0), SET_6.shape))


def test_degraded_configurations_are_json():
    options = {"lost_site": 7, "misplaced_electrode": 4, "degraded": "test", "scaling": "sites"}
    config = Config.of(**options)
    assert Config.of(**json.loads(json.dumps(asdict(config)))) == config


def test_every_scaling_is_one_interface():
    points = [Config.of(repetitions=3, scaling=s).make_loop(0).interface.points for s in SCALINGS]
    for i, one in enumerate(points):
        for other in points[:i]:
            assert not np.allclose(one, other)
    np.testing.assert_array_equal(points[0], Config.of(repetitions=3).make_loop(0).interface.points)


# A circuit as the cortex

FAST = {"kind": "soc", "stimuli": 4}


def test_a_cortex_can_be_a_mapping():
    assert Config.of(cortex={"kind": "topographic"}).make_loop(0).cortex.evoked.tolist() == (
        Config.of().make_loop(0).cortex.evoked.tolist()
    )
    given = {"kind": "soc", "stimuli": 9, "electrodes": 5, "code": "grid"}
    kept = dict(given)
    cortex = Config.of(cortex=given).make_cortex()
    assert (cortex.n_stimuli, cortex.n_electrodes) == (9, 5)
    assert given == kept
    assert Config.of(cortex={"kind": "soc"}).make_cortex() is Config.of(cortex="soc").make_cortex()
    config = Config.of(cortex=given, volition="signed")
    assert Config.of(**json.loads(json.dumps(asdict(config)))) == config


@pytest.mark.parametrize(
    ("options", "window_s", "tau_s"),
    [
        ({}, 0.6, 0.1),
        ({"cortex": {"kind": "topographic"}}, 0.6, 0.1),
        ({"cortex": "soc"}, 0.3, 0.05),
        ({"cortex": FAST}, 0.3, 0.05),
        ({"cortex": "soc", "window_s": 0.2}, 0.2, 0.05),
        ({"cortex": "soc", "tau_s": 0.1}, 0.3, 0.1),
        ({"window_s": 0.3}, 0.3, 0.1),
    ],
)
def test_window_and_time_constant_are_the_cortex_s_own(options, window_s, tau_s):
    config = Config.of(**options)
    assert (config.window_s, config.tau_s) == (window_s, tau_s)
    loop = Config.of(**options, repetitions=2).make_loop(0)
    assert loop.cortex.n_bins == round(1000 * window_s)
    assert loop.interface.metric.tau_s == tau_s


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dataset", 5),
        ("spontaneous", 1.0),
        ("gamma_shape", 2.0),
        ("gain", 0.5),
        ("flatten", 0.1),
        ("misplaced_electrode", 0),
        ("lost_site", 0),
        ("degraded", "test"),
    ],
)
def test_options_of_the_papers_cortex_are_refused_beside_a_circuit(name, value):
    for cortex in ("soc", FAST):
        message = f"{name} = {value!r} is an option of the topographic cortex: drop it, or drop"
        with pytest.raises(ValueError, match=message):
            Config.of(cortex=cortex, **{name: value})
    default = getattr(Config(), name)
    assert Config.of(cortex=FAST, **{name: default}).make_cortex().n_stimuli == 4


def test_options_of_a_cortex_are_checked_at_once():
    with pytest.raises(ValueError, match="stimuli = 'many': give a whole number"):
        Config.of(cortex={"kind": "soc", "stimuli": "many"})
    with pytest.raises(ValueError, match="unknown option 'bogus' of the topographic cortex"):
        Config.of(cortex={"kind": "topographic", "bogus": 1})


@pytest.mark.parametrize("preset", ["paper", Preset(window_s=0.4, tau_s=0.7, mass=2.0)])
def test_a_preset_brings_no_window_and_time_constant_to_a_circuit(preset):
    config = Config.of(**{"preset": preset, "cortex": "soc"})
    assert (config.window_s, config.tau_s) == (0.3, 0.05)
    assert config.mass == load_preset(preset).mass
    own = Config.of(**{"preset": preset, "cortex": "soc", "window_s": 0.1})
    assert own.window_s == 0.1
    assert Config.of(**{"preset": preset}).tau_s == load_preset(preset).tau_s
    named = Config.from_options({"preset": preset, "cortex": {"kind": "topographic"}})
    assert (named.window_s, named.tau_s) == (
        load_preset(preset).window_s,
        load_preset(preset).tau_s,
    )


def test_an_animal_of_a_circuit_is_calibrated_once():
    """However it is written, but anew for another circuit."""
    first = Config.of(cortex=FAST, repetitions=3).make_loop(0).interface
    again = Config.of(cortex=dict(FAST), repetitions=3, decoder="projection", step_s=0.1).make_loop(
        0
    )
    assert again.interface is first
    for other in (
        {"cortex": FAST | {"control": "scaled"}},
        {"cortex": FAST | {"amplitude_hz": 50.0}},
        {"cortex": FAST | {"electrodes": 24}},
        {"cortex": FAST, "window_s": 0.2},
        {"cortex": FAST, "tau_s": 0.1},
        {"cortex": FAST, "animal": 1},
    ):
        made = Config.of(repetitions=3, **other).make_loop(other.get("animal", 0)).interface
        assert not np.array_equal(made.points, first.points)


def test_what_is_carried_is_not_in_the_calibration():
    """Each response of a calibration begins at rest."""
    plain, carry = (
        Config.of(cortex=FAST | {"carry": c}, repetitions=3).make_loop(0).interface
        for c in (False, True)
    )
    np.testing.assert_array_equal(plain.points, carry.points)


def test_an_interface_of_another_cortex_does_not_fit_the_circuit(tmp_path):
    path = Config.of().make_loop(0).interface.save(tmp_path / "paper.npz")
    with pytest.raises(ValueError, match=r"9 electrodes, 600 ticks.*has 25, 300.*calibrate again"):
        Config.of(interface=path, cortex="soc").make_loop(0)


def test_the_animals_stream_is_no_trial_stream():
    for seed in range(20):
        animal = animal_rng(seed).random(4)
        assert not np.isin(animal, np.random.default_rng(seed).random(1000)).any()


def test_subjects_and_overrides():
    assert Config.of(animal=None, n_animals=3).animals() == (0, 1, 2)
    assert Config.of(animal=7).animals() == (7,)
    task = Config.of(task="hold", reward="sparse", effort_weight=0.0).make_task()
    assert (task.reward, task.effort_weight, task.inside_reward) == ("sparse", 0.0, 0.5)
    assert Config.of(perturbation={"curl": [-1, 1]}).make_draw() == Draw(curl=(-1.0, 1.0))


def test_a_saved_interface_can_be_used_and_must_fit(tmp_path):
    path = Config.of().make_loop(0).interface.save(tmp_path / "animal.npz")
    loop = Config.of(interface=path).make_loop(0)
    np.testing.assert_array_equal(loop.interface.points, Config.of().make_loop(0).interface.points)
    with pytest.raises(ValueError, match=r"calibrated with 9 electrodes.*has 25.*calibrate again"):
        Config.of(interface=path, dataset=7).make_loop(0)
    wide = Config.of(half_side_cm=25.0).make_loop(0)
    path = wide.interface.save(tmp_path / "wide.npz")
    assert Config.of(interface=path).make_loop(0).plant.wall_cm == wide.plant.wall_cm == 50.0
    with pytest.raises(FileNotFoundError):
        Config.of(interface=tmp_path / "none.npz").make_loop(0)
