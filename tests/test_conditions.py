"""Every condition builds, test-only ones share a calibration, and measurements stand alone."""

from dataclasses import replace

import numpy as np
import pytest

from ndbmi_gym import interface
from ndbmi_gym.experiments.protocol import conditions as cond
from ndbmi_gym.experiments.protocol.conditions import DECODERS, FIELDS, REFERENCE, Measured, Setting
from ndbmi_gym.experiments.protocol.runs import wtpe
from ndbmi_gym.fields import make_field
from ndbmi_gym.presets import Preset
from ndbmi_gym.stimuli import evoked_counts, flatten, lose_site, misplace_electrode, stimulus_set
from ndbmi_gym.streams import experiment_rng

# quick animals, and electrodes apart from each other and from the defaults of `Config`
PRESET = Preset(repetitions=3, misplaced_electrode=4, lost_site=7)
NAMES = tuple(cond.conditions(PRESET))
SETS = {n: evoked_counts(stimulus_set(n)) for n in (5, 6, 7)}


def loop_of(name, field="gaussian", decoder=DECODERS[0], animal=0):
    return cond.make_loop(PRESET, Setting(name, field, decoder), animal)


# Conditions


@pytest.mark.parametrize("name", NAMES)
def test_every_condition_builds_a_loop_that_runs(name):
    loop = loop_of(name, "dipole", DECODERS[1])
    assert loop.decoder == DECODERS[1]
    assert loop.field == make_field(PRESET.field("dipole"))
    state = loop.plant.place([(8.0, 3.0), (-8.0, 0.0)])
    state, _ = loop.step(state, None, np.random.default_rng(0))
    assert np.isfinite(state.values).all()


@pytest.mark.parametrize(
    ("name", "evoked"),
    [
        ("set 5", SETS[5]),
        (REFERENCE, SETS[6]),
        ("set 7", SETS[7]),
        ("flatten 0.3", flatten(SETS[6], 0.3)),
        ("flatten 0.9", flatten(SETS[6], 0.9)),
        ("test flatten 0.7", flatten(SETS[6], 0.7)),
        ("spontaneous 40", SETS[6] + 40),
        ("spontaneous 100", SETS[6] + 100),
        ("misplaced electrode", misplace_electrode(SETS[6], 4)),
        ("lost site", lose_site(SETS[6], stimulus_set(6), 7)),
        ("shape 0.2", SETS[6]),
        ("window 50 ms", SETS[6]),
    ],
)
def test_a_condition_has_the_counts_it_names(name, evoked):
    np.testing.assert_allclose(loop_of(name).cortex.evoked, evoked, atol=1e-12)


def test_a_condition_has_the_intervals_and_window_it_names():
    assert loop_of(REFERENCE).cortex.shape == 1.0
    assert loop_of("shape 0.2").cortex.shape == 0.2
    assert loop_of("shape 10.0").cortex.shape == 10.0
    assert loop_of(REFERENCE).cortex.n_bins == 600
    assert loop_of("window 50 ms").cortex.n_bins == 50
    assert loop_of("window 200 ms").cortex.n_bins == 200
    for name in NAMES:
        if not name.startswith(("window", "truncated")):
            assert loop_of(name).cortex.n_bins == 600


def test_a_truncated_window_keeps_the_rates():
    for seconds in cond.WINDOWS:
        cortex = loop_of(f"truncated to {1e3 * seconds:g} ms").cortex
        assert cortex.n_bins == round(1e3 * seconds)
        np.testing.assert_allclose(cortex.evoked / seconds, SETS[6] / 0.6, atol=1e-9)


def test_the_texts_conditions_are_all_there():
    count = {"set": 3, "flatten": 4, "test flatten": 4, "shape": 4, "spontaneous": 2}
    count |= {"misplaced electrode": 1, "lost site": 1, "window": 3}
    for prefix, number in count.items():
        assert sum(name.startswith(prefix) for name in NAMES) == number
    assert REFERENCE in NAMES
    assert set(DECODERS) <= set(interface.DECODERS)


def test_conditions_follow_the_preset():
    loop = cond.make_loop(
        replace(PRESET, window_s=0.3, mass=0.7, scaling="box", amplitude=5.0),
        Setting(REFERENCE, "gaussian", DECODERS[0]),
        0,
    )
    assert (loop.cortex.n_bins, loop.plant.mass, loop.field.amplitude) == (300, 0.7, 5.0)
    np.testing.assert_allclose(loop.interface.points.max(axis=0), 10)  # not so by default


def test_spontaneous_firing_follows_the_presets_reading():
    sound, setting = loop_of(REFERENCE), Setting("spontaneous 100", "gaussian", DECODERS[0])
    loops = {
        reading: cond.make_loop(replace(PRESET, spontaneous=reading), setting, 0)
        for reading in ("always", "test", "array")
    }
    for reading, added in (("always", 100), ("test", 100), ("array", 100 / 9)):
        np.testing.assert_allclose(loops[reading].cortex.evoked, SETS[6] + added, atol=1e-12)
        calibrated_sound = np.array_equal(loops[reading].interface.points, sound.interface.points)
        assert calibrated_sound == (reading == "test")


def test_set_5_has_the_counts_of_the_presets_reading():
    preset = replace(PRESET, set_5="doubled")
    for name, evoked in (("set 5", 2 * SETS[5]), (REFERENCE, SETS[6]), ("set 7", SETS[7])):
        setting = Setting(name, "gaussian", DECODERS[0])
        np.testing.assert_array_equal(cond.make_loop(preset, setting, 0).cortex.evoked, evoked)


@pytest.mark.parametrize("alpha", cond.ALPHAS)
def test_test_only_conditions_share_the_sound_calibration(alpha):
    sound = loop_of(REFERENCE)
    test_only, both = loop_of(f"test flatten {alpha}"), loop_of(f"flatten {alpha}")
    np.testing.assert_array_equal(test_only.interface.points, sound.interface.points)
    np.testing.assert_array_equal(test_only.interface.trains.rows, sound.interface.trains.rows)
    np.testing.assert_array_equal(test_only.cortex.evoked, both.cortex.evoked)
    assert not np.array_equal(test_only.cortex.evoked, sound.cortex.evoked)
    assert not np.array_equal(both.interface.points, sound.interface.points)


def test_fields_and_decoders_share_the_calibration():
    points = loop_of("shape 2.0").interface.points
    for field in FIELDS:
        for decoder in DECODERS:
            assert loop_of("shape 2.0", field, decoder).interface.points is points


# Random streams


def test_streams_differ_by_seed_animal_and_name():
    streams = [
        experiment_rng(*key).random(4)
        for key in ((0, 0, "a"), (1, 0, "a"), (0, 1, "a"), (0, 0, "b"), (0, 0), (0, 0, "a", "b"))
    ]
    assert len(np.unique(streams, axis=0)) == len(streams)
    np.testing.assert_array_equal(streams[0], experiment_rng(0, 0, "a").random(4))


def test_starts_are_an_animals_own():
    starts = cond.starts_of(3, 1)
    assert starts.shape == (240, 2)
    np.testing.assert_array_equal(starts, cond.starts_of(3, 1))
    np.testing.assert_allclose(np.abs(starts).max(axis=1), 8.0)
    assert not np.array_equal(starts, cond.starts_of(4, 1))
    assert not np.array_equal(starts, cond.starts_of(3, 2))
    assert cond.starts_of(3, 1, starts=5, repetitions=2).shape == (10, 2)


# Measurements

SETTINGS = tuple(
    Setting(condition, field, decoder)
    for condition in ("set 5", REFERENCE, "test flatten 0.5", "spontaneous 40")
    for field, decoder in zip(FIELDS, DECODERS, strict=True)
)
QUICK = {"starts": 4, "repetitions": 2}


@pytest.fixture(scope="module")
def measured():
    return cond.measure_settings(PRESET, SETTINGS, (0, 1), 0, **QUICK)


def same(one, other):
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True))


def test_measurements_have_a_row_per_animal(measured):
    assert tuple(measured) == SETTINGS
    for one in measured.values():
        assert one.wtpe.shape == one.steps.shape == (2, 8)
        np.testing.assert_array_equal(np.isnan(one.wtpe), one.steps < 0)
        assert (one.wtpe[np.isfinite(one.wtpe)] > 0).all()
        assert one.steps.max() <= 50


def test_measurements_depend_on_setting_animal_and_seed_only(measured):
    backwards = cond.measure_settings(PRESET, SETTINGS[::-1], (1, 0), 0, **QUICK)
    for setting in SETTINGS:
        assert same(backwards[setting], [column[::-1] for column in measured[setting]])
    alone = cond.measure_settings(PRESET, SETTINGS[3:4], [1], 0, **QUICK)
    assert same(alone[SETTINGS[3]], [column[1:] for column in measured[SETTINGS[3]]])


def test_animals_seeds_and_settings_differ(measured):
    other = cond.measure_settings(PRESET, SETTINGS[:1], (0, 1), 1, **QUICK)[SETTINGS[0]]
    assert not np.isin(other.wtpe, measured[SETTINGS[0]].wtpe).any()
    everything = np.concatenate([one.wtpe.ravel() for one in measured.values()])
    everything = everything[np.isfinite(everything)]
    assert len(np.unique(everything)) == len(everything)


def test_noise_is_of_the_seed():
    starts = cond.starts_of(0, 0, 6, 1)
    paths = [cond.run_setting(PRESET, SETTINGS[2], 0, s, starts)[0].path for s in (0, 1, 0)]
    np.testing.assert_array_equal(paths[0], paths[2])
    assert not np.array_equal(paths[0], paths[1])


def test_a_setting_runs_the_protocol_in_the_presets_reading():
    preset = replace(PRESET, radius_cm=3.0)
    setting = Setting(REFERENCE, "gaussian", DECODERS[0])
    starts = cond.starts_of(0, 0, 6, 1)
    runs, held = cond.run_setting(preset, setting, 0, 0, starts)
    np.testing.assert_array_equal(runs.path[0], starts)
    last = np.linalg.norm(runs.path[-1], axis=-1)
    assert (last[runs.convergent] <= 3.0).all()
    assert last[runs.convergent].max() > 1.5  # and stopped there
    continuous = replace(preset, ideal="continuous")
    same_runs, ideal = cond.run_setting(continuous, setting, 0, 0, starts)
    np.testing.assert_array_equal(same_runs.path, runs.path)
    assert 0.01 < np.abs(ideal.path - held.path).max() < 3
    for reading, goes_on in (("held, ends", held), ("continuous, ends", ideal)):
        _, ends = cond.run_setting(replace(preset, ideal=reading), setting, 0, 0, starts)
        np.testing.assert_array_equal(ends.entered, goes_on.entered)
        for b, entered in enumerate(ends.entered):
            np.testing.assert_array_equal(ends.path[:entered, b], goes_on.path[:entered, b])
            assert (ends.path[entered:, b] == goes_on.path[entered, b]).all()


def test_errors_are_measured_in_the_presets_reading(measured):
    setting = SETTINGS[2]
    nearest = replace(PRESET, error="nearest")
    found = cond.measure_settings(nearest, [setting], (0,), 0, **QUICK)[setting]
    runs, ideal = cond.run_setting(PRESET, setting, 0, 0, cond.starts_of(0, 0, *QUICK.values()))
    np.testing.assert_array_equal(found.steps[0], measured[setting].steps[0])
    np.testing.assert_array_equal(found.wtpe[0], wtpe(runs, ideal, nearest=True))
    arrived = found.steps[0] >= 0
    assert (found.wtpe[0, arrived] < measured[setting].wtpe[0, arrived]).all()


def test_means_are_over_convergent_runs():
    nan = np.nan
    wtpe = np.array([[1.0, 2.0, 6.0], [nan, 4.0, 1.0], [nan, nan, 5.0], [nan, nan, nan]])
    means = cond.animal_means(Measured(wtpe, np.where(np.isnan(wtpe), -1, 9)))
    np.testing.assert_allclose(means, [3.0, 2.5, 5.0, nan])
