import numpy as np
import pytest

from ndbmi_gym.calibration import SCALINGS
from ndbmi_gym.config import Config, option_tables
from ndbmi_gym.cortex import CORTICES
from ndbmi_gym.cortex.topographic import Topographic
from ndbmi_gym.fields import GaussianField
from ndbmi_gym.perturbations import Draw
from ndbmi_gym.plants.point_mass import PointMass
from ndbmi_gym.presets import Preset, load_preset
from ndbmi_gym.stimuli import evoked_counts, flatten, lose_site, misplace_electrode, stimulus_set
from ndbmi_gym.tasks.reach import Reach

SET_6 = evoked_counts(stimulus_set(6))
DEGRADATIONS = (
    {"flatten": 0.6},
    {"misplaced_electrode": 4},
    {"lost_site": 7},
    {"spontaneous": 40.0},
    {"gamma_shape": 0.3},
)


def test_options_over_an_object_are_written_down():
    config = Config.of(field=GaussianField(sigma=3.0), amplitude=2.0, plant=PointMass(mass=0.2))
    again = Config.of(**config.plain())
    assert again == config
    assert (again.field.sigma, again.field.amplitude, again.plant.mass) == (3.0, 2.0, 0.2)


def test_parts_have_their_defaults():
    config = Config.of()
    assert (config.task, config.field, config.perturbation) == (Reach(), GaussianField(), Draw())
    assert (config.cortex, config.plant) == (Topographic(), PointMass())
    assert config.plain() == {
        "task": {"kind": "shift"},
        "cortex": {"kind": "topographic"},
        "field": {"kind": "gaussian"},
        "perturbation": {"kind": "draw"},
        "plant": {"kind": "point_mass"},
    }


def test_unknown_options_are_refused_in_pythons_words_with_the_known_ones():
    with pytest.raises(
        TypeError,
        match=r"^got an unexpected keyword argument 'datset' .*: the options here are preset, "
        r"task, cortex, field, perturbation, plant, and of the chosen parts targets, .*dataset, "
        r".*animal",
    ):
        Config.of(datset=6)


def build(options):
    Config.of(**options).make_loop(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": 8}, "dataset = 8: give a whole number >= 1 and <= 7"),
        ({"dataset": "6"}, "dataset = '6': give a whole"),
        ({"dataset": [6]}, r"dataset = \[6\]: give a whole"),
        ({"decoder": "linear"}, "decoder = 'linear': choose one of multiple-points"),
        ({"cortex": "real"}, "unknown cortex 'real'.*topographic, soc"),
        ({"cortex": {"kind": "real"}}, "unknown cortex .*'real'.*topographic, soc"),
        ({"cortex": {"stimuli": 8}}, "cortex {'stimuli': 8}: .*topographic, soc, .*its 'kind'"),
        ({"cortex": {"kind": ["soc"]}}, r"unknown cortex .*\['soc'\]"),
        ({"cortex": None}, "cortex = None: leave it out for the default"),
        (
            {"cortex": {"kind": "topographic", "stimuli": 8, "units": 1}},
            "the cortex 'topographic' has no option 'stimuli': its options are dataset, ",
        ),
        (
            {"cortex": {"kind": "soc", "dataset": 6}},
            "the cortex 'soc' has no option 'dataset': its options are stimuli, code",
        ),
        ({"cortex": {"kind": "soc", "stimuli": 1}}, "stimuli = 1: give a whole number >= 2"),
        ({"observe": "all"}, "observe = 'all': choose one of neural, state, full"),
        ({"volition": "both"}, "volition = 'both': choose one of positive, signed"),
        ({"field": "vortex"}, "unknown field 'vortex'.*gaussian"),
        ({"field": {"kind": "gaussian", "width": 3}}, "width"),
        ({"perturbation": {"wind": 1}}, "no option 'wind': its options are curl, push, spring, "),
        (
            {"perturbation": {"curl": [1, 0]}},
            r"curl = \[1, 0\] \(low <= high, .*: give a",
        ),
        ({"perturbation": {"curl": "strong"}}, "curl = 'strong': give a strength"),
        ({"repetitions": 0}, "repetitions = 0: give a whole number >= 1"),
        ({"tau_s": 0.0}, "tau_s = 0.0: give a finite number > 0 and <= .* s, or None"),
        ({"theta": 2.0}, "theta = 2.0: give a finite number >= 0 and <= 1.5708 rad"),
        ({"theta": -0.1}, "theta = -0.1"),
        ({"exponent": 0}, "exponent = 0"),
        ({"window_s": 0.0}, "window_s = 0.0"),
        ({"window_s": 0.0005}, "window_s = 0.0005"),
        ({"clock_s": -1.0}, "clock_s = -1.0"),
        ({"window_s": 0.1005}, "not a whole number"),
        ({"spontaneous": -1.0}, "spontaneous = -1.0"),
        ({"gamma_shape": 0.0}, "gamma_shape = 0.0: give"),
        ({"flatten": 1.01}, "flatten = 1.01: give a finite number >= 0 and <= 1"),
        ({"flatten": -0.1}, "flatten = -0.1"),
        ({"flatten": float("nan")}, "flatten = nan"),
        ({"flatten": "much"}, "flatten = 'much': give a finite number"),
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
        ({"degraded": "never"}, "degraded = 'never': choose one of always, test"),
        ({"degraded": None}, "degraded = None: choose"),
        ({"scaling": "fit"}, "scaling = 'fit': choose one of axis, isotropic, sites, box"),
        ({"gain": "high"}, "gain = 'high': give a finite number"),
        ({"gain": -1.0}, "gain = -1.0"),
        ({"half_side_cm": 0.0}, "half_side_cm = 0.0"),
        ({"mass": 0.0}, "mass = 0.0"),
        ({"viscosity": -1.0}, "viscosity = -1.0"),
        ({"step_s": float("nan")}, "step_s = nan"),
        ({"max_rate_hz": 0.0}, "max_rate_hz = 0.0"),
        ({"animal": -1}, "animal = -1"),
        ({"animal": 1.5}, "animal = 1.5"),
        ({"tau_s": "slow"}, "tau_s = 'slow': give a finite number"),
        ({"theta": None}, "theta = None: give a finite number"),
        ({"max_rate_hz": "fast"}, "max_rate_hz = 'fast'"),
        (
            {"perturbation": lambda x, v: np.zeros(2)},
            "one finite force per trial, shape",
        ),
        ({"perturbation": lambda x, v: v + np.nan}, "one finite force per trial"),
        ({"perturbation": np.add, "observe_perturbation": True}, "drop either"),
        (
            {"task": {"kind": "shift", "target_range_cm": 5}, "reward": "dense"},
            "target_range_cm = 5",
        ),
        ({"n_animals": 0, "animal": None}, "n_animals = 0"),
        ({"n_animals": 10**6, "animal": None}, "n_animals = 1000000: give .* <= 1024"),
        ({"task": []}, r"task = \[\]: choose one of fixed, shift, hold"),
        ({"task": {"radius_cm": 2}}, "task .*: choose one of fixed, shift, hold"),
        ({"target_range_cm": [3]}, r"target_range_cm = \[3\]: give two numbers, 0 <= low <= high"),
        ({"observe_perturbation": "False"}, "observe_perturbation = 'False': give True or False"),
        ({"observe_perturbation": 1}, "observe_perturbation = 1: give True or False"),
        ({"dataset": True}, "dataset = True: give a whole number"),
        ({"mass": True}, "mass = True: give a finite number"),
        ({"animal": False}, "animal = False: give a whole number"),
        ({"mass": 5e-324}, "mass = 5e-324: give a finite number >= 1e-06"),
        ({"curl": 1e308}, r"curl = 1e\+308 .*: give a strength"),
        ({"perturbation": {"curl": 1e308}}, r"curl = 1e\+308"),
        ({"gamma_shape": np.nextafter(0, 1)}, "gamma_shape = .*: give"),
        ({"interface": 7}, "interface = 7: give the path of a file, or None"),
        ({"interface": True}, "interface = True: give the path of a file"),
        ({"preset": 3}, "preset 3: choose one of default, paper, or give a JSON file"),
        ({"preset": []}, r"preset \[\]: choose one of default, paper"),
        ({"plant": "leg"}, "unknown plant 'leg': choose one of point_mass, arm"),
        ({"field": 3}, "field = 3: choose one of gaussian"),
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
    assert Config.of(**options).cortex.window_s == window_s
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
        with pytest.raises(TypeError, match=f"got an unexpected keyword argument '{name}'"):
            Config.of(cortex=cortex, **{name: value})
    assert name in {option.name for option in option_tables()["cortex"]["topographic"]}


def test_options_of_a_cortex_are_checked_at_once():
    with pytest.raises(ValueError, match="stimuli = 'many': give a whole number"):
        Config.of(cortex={"kind": "soc", "stimuli": "many"})
    with pytest.raises(ValueError, match="cortex 'topographic' has no option 'bogus'"):
        Config.of(cortex={"kind": "topographic", "bogus": 1})


@pytest.mark.parametrize("preset", ["paper", Preset(window_s=0.4, tau_s=0.7, mass=2.0)])
def test_a_preset_brings_no_window_and_time_constant_to_a_circuit(preset):
    config = Config.of(preset=preset, cortex="soc")
    assert (config.cortex.window_s, config.calibration.tau_s) == (0.3, None)
    assert config.plant.mass == load_preset(preset).mass
    assert Config.of(preset=preset, cortex="soc", window_s=0.1).cortex.window_s == 0.1
    for named in (
        Config.of(preset=preset),
        Config.of(preset=preset, cortex={"kind": "topographic"}),
    ):
        assert (named.cortex.window_s, named.calibration.tau_s) == (
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


# Flat options


def test_a_flat_option_goes_to_the_part_that_has_it():
    config = Config.of(
        task="hold",
        reward="sparse",
        effort_weight=0,
        dataset=5,
        window_s=0.3,
        sigma=3,
        curl=0.4,
        mass=2,
        tau_s=0.2,
        decoder="projection",
        max_rate_hz=50,
        observe="full",
        animal=7,
    )
    task = config.task
    assert (task.reward, task.effort_weight, task.inside_reward) == ("sparse", 0.0, 0.5)
    assert config.cortex == Topographic(dataset=5, window_s=0.3)
    assert config.field == GaussianField(sigma=3)
    assert config.perturbation == Draw(0.4)
    assert config.plant == PointMass(mass=2.0)
    assert (config.calibration.tau_s, config.decoding.decoder) == (0.2, "projection")
    assert (config.volition.max_rate_hz, config.observation.observe) == (50, "full")
    assert config.animals.pool == (7,)
    assert Config.of(animal=None, n_animals=3).animals.pool == (0, 1, 2)


def test_a_flat_option_wins_over_a_mapping():
    task = {"kind": "hold", "radius_cm": 1.0, "bonus": 2.0}
    config = Config.of(task=task, radius_cm=3.0, perturbation={"curl": 1}, curl=[0, 2])
    assert (config.task.radius_cm, config.task.bonus) == (3.0, 2.0)
    assert config.perturbation == Draw((0, 2))
    assert task == {"kind": "hold", "radius_cm": 1.0, "bonus": 2.0}


def test_a_flat_option_of_an_object_makes_another_of_its_kind():
    reach = Reach(radius_cm=2.0)
    config = Config.of(task=reach, bonus=3.0)
    assert config.task == Reach(radius_cm=2.0, bonus=3.0)
    assert reach.bonus == 1.0


def test_an_option_that_two_parts_have_is_refused_with_the_remedy():
    """A circle of 5 cm, or a disc: one has to say of which."""
    with pytest.raises(
        ValueError,
        match=r"amplitude_hz = 3: cortex and field have an option of that name; give it in a "
        r"mapping, cortex=\{'kind': \.\.\., 'amplitude_hz': \.\.\.\}",
    ):
        Config.of(cortex="soc", field={"kind": f"{__name__}:loud"}, amplitude_hz=3)


class loud:  # noqa: N801
    """A field whose option has the name of one of the circuit's."""

    def __init__(self, amplitude_hz=1.0):
        self.amplitude_hz = amplitude_hz

    def __call__(self, position):
        return -self.amplitude_hz * position


def test_options_of_an_own_part_are_flat_too():
    config = Config.of(field=f"{__name__}:loud", amplitude_hz=3)
    assert config.field.amplitude_hz == 3
    with pytest.raises(TypeError, match="unexpected keyword argument 'sigma'"):
        Config.of(field=f"{__name__}:loud", sigma=3)
    with pytest.raises(ValueError, match=r"the field '.*:loud' has no option 'sigma'"):
        Config.of(field={"kind": f"{__name__}:loud", "sigma": 3})


# Changes


def test_task_and_perturbation_can_be_changed_and_nothing_else():
    config = Config.of(radius_cm=2.0, curl=1.0, mass=2.0)
    changed = config.change(effort_weight=0, curl=[0, 1], push=[0, 1])
    assert changed.task == Reach(radius_cm=2.0, effort_weight=0)
    assert changed.perturbation == Draw((0, 1), (0, 1))
    assert changed.plant is not config.task
    assert changed.plant == config.plant
    assert (config.task.effort_weight, config.perturbation) == (0.3, Draw(1))
    hold = config.change(task="hold", perturbation=None)
    assert (hold.task.holds, hold.perturbation) == (True, Draw())
    with pytest.raises(ValueError, match="mass belongs to the plant, which is fixed while an env"):
        config.change(mass=1.0)
    with pytest.raises(ValueError, match="the cortex is fixed while"):
        config.change(cortex="soc")
    with pytest.raises(TypeError, match="unexpected keyword argument 'radius'"):
        config.change(radius=1.0)
    with pytest.raises(ValueError, match="radius_cm = -1: give a finite number > 0"):
        config.change(radius_cm=-1)


def test_option_tables_have_every_option_once():
    tables = option_tables()
    assert set(tables["cortex"]) == set(CORTICES)
    shift, hold = ({o.name: o for o in tables["task"][kind]} for kind in ("shift", "hold"))
    assert (shift["radius_cm"].default, hold["radius_cm"].default) == (1.0, 1.5)
    for kinds in tables.values():
        for options in kinds.values():
            names = [option.name for option in options]
            assert len(names) == len(set(names))
            assert all(option.meaning for option in options if option.rule)
    [mass] = [o for o in tables["plant"]["point_mass"] if o.name == "mass"]
    assert (mass.default, mass.unit, mass.meaning) == (0.5, "kg", "mass m")
    assert mass.rule.startswith("give a finite number")


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


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("obstacle", r"'obstacle' \(an option of field 'dipole', field 'divergent'\): the options"),
        ("datset", r"'datset' \(did you mean 'dataset'\?\): the options"),
        ("grasp", r"'grasp': the options"),
    ],
)
def test_an_unknown_option_may_have_been_meant_for_another(option, hint):
    with pytest.raises(TypeError, match=hint):
        Config.of(**{option: 1})
