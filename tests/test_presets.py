"""Presets build configurations and fields, and survive JSON."""

import json
from dataclasses import FrozenInstanceError, asdict, fields, replace

import numpy as np
import pytest

from ndbmi_gym.calibration import SCALINGS
from ndbmi_gym.config import Config
from ndbmi_gym.fields import DipoleField, GaussianField, LinearField, make_field, target_of
from ndbmi_gym.plants.point_mass import PointMass
from ndbmi_gym.presets import ERRORS, IDEALS, PRESETS, SET_5, SPONTANEOUS, Preset, load_preset
from ndbmi_gym.stimuli import evoked_counts, stimulus_set
from ndbmi_gym.tasks import make_task

ODD = Preset(
    tau_s=0.05,
    theta=1.0,
    repetitions=7,
    window_s=0.3,
    scaling="box",
    amplitude=5.0,
    sigma=4.0,
    obstacle_cm=6.0,
    obstacle_angle=np.pi / 6,
    obstacle_ratio=0.4,
    pole_ratio=0.8,
    obstacle_sigma=1.5,
    mass=0.7,
    viscosity=1.3,
    step_s=0.8,
    radius_cm=2.0,
    curl=0.2,
    misplaced_electrode=4,
    lost_site=7,
    ideal="continuous, ends",
    error="nearest",
    spontaneous="array",
    set_5="doubled",
)
ALL = pytest.mark.parametrize("preset", [*PRESETS.values(), ODD])
PLACES = np.random.default_rng(0).uniform(-10, 10, (50, 2))


def values(config):
    """What a preset has of a configuration, by name."""
    parts = (config.cortex, config.calibration, config.plant)
    return {n: getattr(p, n) for p in parts for n in Preset().options() if hasattr(p, n)}


@ALL
def test_options_build_a_configuration(preset):
    options = preset.options()
    assert values(Config.of(**options)) == options
    for name in options:
        assert options[name] == getattr(preset, name)


def test_every_parameter_of_the_loop_is_passed_on():
    """What presets and configurations have both is an option, but for what conditions set."""
    config = Config.of()
    parts = (config.cortex, config.calibration, config.plant)
    shared = {f.name for p in parts for f in fields(p)} & {f.name for f in fields(Preset)}
    assert set(Preset().options()) == shared - {"misplaced_electrode", "lost_site", "spontaneous"}


def test_the_default_preset_is_the_default_configuration():
    default = PRESETS["default"]
    assert default == Preset()
    assert values(Config.of(**default.options())) == values(Config.of()) | {"tau_s": 0.1}
    assert make_field(default.field("gaussian")) == GaussianField()
    np.testing.assert_allclose(
        make_field(default.field("dipole"))(PLACES), DipoleField()(PLACES), atol=1e-12
    )


@ALL
def test_fields_have_the_presets_numbers(preset):
    gaussian = make_field(preset.field("gaussian"))
    assert gaussian == GaussianField((0.0, 0.0), preset.amplitude, preset.sigma)
    angle = preset.obstacle_angle
    obstacle = preset.obstacle_cm * np.array([np.cos(angle), np.sin(angle)])
    by_hand = (
        gaussian(PLACES)
        + GaussianField(
            tuple(obstacle), -preset.obstacle_ratio * preset.amplitude, preset.obstacle_sigma
        )(PLACES)
        + GaussianField((0.0, 0.0), preset.pole_ratio * preset.amplitude, preset.obstacle_sigma)(
            PLACES
        )
    )
    dipole = make_field(preset.field("dipole"))
    np.testing.assert_allclose(dipole(PLACES), by_hand, atol=1e-12)
    np.testing.assert_array_equal(target_of(dipole), (0.0, 0.0))
    # the obstacle pushes away from itself
    around = np.array([(0.1, 0.0), (-0.1, 0.0), (0.0, 0.1), (0.0, -0.1)])
    pushed = dipole(obstacle + around) - dipole(obstacle)
    assert ((pushed * around).sum(axis=1) > 0).all()


@pytest.mark.parametrize("reading", SET_5)
@pytest.mark.parametrize("number", range(1, 8))
def test_only_set_5_has_two_readings(number, reading):
    """Doubled, its evoked counts are those of peak intensities 10 and 20."""
    stimuli = stimulus_set(number)
    if (number, reading) == (5, "doubled"):
        doubled = tuple((sites, 2 * height) for sites, height in stimuli.patterns)
        assert {height for _, height in doubled} == {10, 20}
        stimuli = replace(stimuli, patterns=doubled)
    cortex = Config.of(**Preset(set_5=reading).stimuli(number)).cortex.for_animal(0)
    np.testing.assert_array_equal(cortex.evoked, evoked_counts(stimuli))


def test_an_unknown_field_is_refused():
    with pytest.raises(ValueError, match="unknown field"):
        make_field(Preset().field("vortex"))


@ALL
def test_presets_survive_json(preset):
    assert Preset(**json.loads(json.dumps(asdict(preset)))) == preset
    for name in ("gaussian", "dipole"):
        spec = preset.field(name)
        assert make_field(json.loads(json.dumps(spec))) == make_field(spec)


@ALL
def test_presets_name_readings_that_exist(preset):
    assert preset.ideal in IDEALS
    assert preset.error in ERRORS
    assert preset.spontaneous in SPONTANEOUS
    assert preset.scaling in SCALINGS
    assert preset.set_5 in SET_5
    assert 0 <= preset.misplaced_electrode < 9
    assert preset.lost_site in set(range(9)) - {4}  # stimulation is on the perimeter


def test_presets_are_values():
    with pytest.raises(FrozenInstanceError):
        Preset().mass = 1.0
    assert replace(ODD, mass=0.5) != ODD
    assert len({Preset(), Preset(), ODD}) == 2


# What is refused

POSITIVE = (
    "tau_s",
    "repetitions",
    "window_s",
    "amplitude",
    "sigma",
    "obstacle_cm",
    "obstacle_ratio",
    "obstacle_sigma",
    "mass",
    "viscosity",
    "step_s",
    "radius_cm",
    "curl",
)
NUMBERS = ("theta", "pole_ratio", "obstacle_angle")
ELECTRODES = ("misplaced_electrode", "lost_site")
CHOICES = {
    "scaling": SCALINGS,
    "ideal": IDEALS,
    "error": ERRORS,
    "spontaneous": SPONTANEOUS,
    "set_5": SET_5,
}


def test_every_parameter_is_of_one_kind():
    kinds = [*POSITIVE, *NUMBERS, *ELECTRODES, *CHOICES]
    assert sorted(kinds) == sorted(asdict(Preset()))


@pytest.mark.parametrize("name", POSITIVE)
@pytest.mark.parametrize("value", [0, -1, -0.5, np.nan, np.inf, -np.inf, "1", None, True, [1], 1j])
def test_what_must_be_positive_is(name, value):
    with pytest.raises(ValueError, match=rf"{name} = .*: give a number > 0"):
        Preset(**{name: value})


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, "1", True])
def test_what_must_be_a_number_is(name, value):
    with pytest.raises(ValueError, match=f"{name} = .*: give a number"):
        Preset(**{name: value})


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [0, 0.0, 1, 1.5])
def test_zero_is_a_number(name, value):
    assert getattr(Preset(**{name: value}), name) == value


def test_directions_may_be_negative():
    assert Preset(obstacle_angle=-np.pi / 2).obstacle_angle == -np.pi / 2


@pytest.mark.parametrize("name", ELECTRODES)
@pytest.mark.parametrize("value", [-1, 9, 2.5, "1", None])
def test_electrodes_are_those_of_the_grid(name, value):
    with pytest.raises(ValueError, match=rf"{name} = .*give electrodes 0 to 8 of the 3 x 3 grid"):
        Preset(**{name: value})


def test_the_centre_records_but_is_not_stimulated():
    for electrode in range(9):
        assert Preset(misplaced_electrode=electrode).misplaced_electrode == electrode
    for site in (0, 1, 2, 3, 5, 6, 7, 8):
        assert Preset(lost_site=site).lost_site == site
    with pytest.raises(ValueError, match=r"lost_site = 4.*its centre, is not stimulated"):
        Preset(lost_site=4)


@pytest.mark.parametrize(("name", "choices"), CHOICES.items())
def test_readings_are_those_that_exist(name, choices):
    for choice in choices:
        assert getattr(Preset(**{name: choice}), name) == choice
    for value in ("Axis", "", None, 1, ["axis"]):
        with pytest.raises(ValueError, match=f"unknown {name} .*choose one of {choices[0]}; "):
            Preset(**{name: value})


def test_what_is_replaced_is_checked_too():
    with pytest.raises(ValueError, match="mass = 0: give a number > 0"):
        replace(ODD, mass=0)


# Files


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_loaded_by_name(name):
    assert load_preset(name) is PRESETS[name]


def test_presets_are_loaded_from_files(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"parameters": asdict(ODD), "note": "of another program"}))
    assert load_preset(str(path)) == ODD
    path.write_text(json.dumps({"parameters": {"mass": 0.25}}))
    assert load_preset(str(path)) == Preset(mass=0.25)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "'parameters': give a JSON file with 'parameters'"),
        ('{"parameters": {"weight": 1}}', "weight.*some of tau_s, theta"),
        ('{"parameters": 3}', "give a JSON file with 'parameters'"),
        ("[1]", "give a JSON file with 'parameters'"),
        ('{"parameters": ', "give a JSON file with 'parameters'"),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path, text, message):
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"mine.json: .*{message}"):
        load_preset(str(path))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"mass": -1}, "mass = -1: give a number > 0"),
        ({"mass": None}, "mass = None: give a number > 0"),  # what was NaN when it was written
        ({"pole_ratio": "1"}, "pole_ratio = '1': give a number"),
        ({"scaling": "square"}, "unknown scaling 'square'"),
        ({"lost_site": 4}, "lost_site = 4"),
    ],
)
def test_bad_values_in_a_file_are_refused(tmp_path, parameters, message):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"parameters": parameters}))
    with pytest.raises(ValueError, match=message):
        load_preset(str(path))


def test_a_folder_is_no_preset(tmp_path):
    with pytest.raises(ValueError, match=r"preset .*: choose one of default.* or give a JSON file"):
        load_preset(str(tmp_path))


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="preset 'papper': choose one of default"):
        load_preset("papper")


# As an option of environments


@pytest.fixture
def odd(tmp_path):
    path = tmp_path / "odd.json"
    path.write_text(json.dumps({"parameters": asdict(ODD)}))
    return str(path)


def test_a_preset_is_an_option(odd):
    config = Config.of(preset=odd)
    assert values(config) == ODD.options()
    assert config.field == make_field(ODD.field("gaussian"))
    named = Config.of(preset=odd, field="dipole", task="fixed", mass=0.1)
    assert named.field == make_field(ODD.field("dipole"))
    assert (named.plant.mass, named.plant.viscosity) == (0.1, ODD.viscosity)
    assert named.task.radius_cm == ODD.radius_cm
    assert Config.of(preset=odd, task="fixed", radius_cm=0.7).task.radius_cm == 0.7
    assert Config.of(preset=odd, sigma=1.5).field.sigma == 1.5


def test_options_override_a_preset_one_by_one_flat_or_in_a_mapping(odd):
    away = {"obstacle": (3.0, 1.0), "sigma": 4.0}
    flat = Config.of(preset=odd, field="dipole", task="fixed", dwell=2, **away)
    whole = Config.of(
        preset=odd, field={"kind": "dipole"} | away, task={"kind": "fixed", "dwell": 2}
    )
    assert flat == whole
    assert flat.field == make_field(ODD.field("dipole") | away)
    assert flat.task == make_task({"kind": "fixed", "dwell": 2, "radius_cm": ODD.radius_cm})
    assert Config.of(**whole.plain()) == whole
    for own in (GaussianField(amplitude=1.0), LinearField()):
        assert Config.of(preset=odd, field=own).field == own
    heavy = PointMass(mass=ODD.mass + 1)
    assert Config.of(preset=odd, plant=heavy).plant == heavy


def test_a_preset_is_beside_an_interface_what_the_interface_leaves_open(odd, tmp_path):
    path = Config.of(window_s=0.3, repetitions=3).make_loop(0).interface.save(tmp_path / "a.npz")
    config = Config.of(preset=odd, interface=path)
    assert config.plant.mass == ODD.mass
    assert config.calibration.repetitions == 20


def test_the_default_preset_is_no_option_at_all():
    assert Config.of(preset="default", field="dipole") == Config.of(field="dipole")
    with pytest.raises(ValueError, match="preset 'papper'"):
        Config.of(preset="papper")
