"""Registries choose parts in one way, and what was chosen can be written down."""

import json
from collections import UserList
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from ndbmi_gym import config
from ndbmi_gym.checks import number, settle, whole
from ndbmi_gym.config import Config
from ndbmi_gym.fields import GaussianField
from ndbmi_gym.parts import Registry, attribute, named, plain
from ndbmi_gym.plants.point_mass import PointMass
from ndbmi_gym.presets import Preset
from ndbmi_gym.tasks.reach import Reach


@dataclass(frozen=True)
class Spring:
    """Declares its options."""

    stiffness: float = number(1.0, "force per distance", "kg/s²", above=0)

    def __post_init__(self):
        settle(self)

    def pull(self):
        return self.stiffness


class Rubber:
    """Has a constructor only."""

    def __init__(self, length=2.0):
        self.length = length

    def pull(self):
        return self.length


def band(length=3.0, *, width=1.0):
    """A function that makes one."""
    return Rubber(length * width)


def grasp(length):
    """Makes no spring."""
    return length


RUBBER = Rubber(7.0)


@pytest.fixture
def springs():
    return Registry(
        "spring",
        ("pull",),
        {
            "spring": Spring,
            "stiff": partial(Spring, stiffness=9.0),
            "band": band,
            "later": f"{__name__}:Rubber",
            "grasp": grasp,
        },
    )


# Choosing


@pytest.mark.parametrize(
    ("spec", "pull"),
    [
        ("spring", 1.0),
        ("stiff", 9.0),
        ("band", 3.0),
        ("later", 2.0),
        ({"kind": "spring", "stiffness": 4}, 4.0),
        ({"kind": "stiff", "stiffness": 4}, 4.0),
        (MappingProxyType({"kind": "band", "width": 2.0}), 6.0),
        ({"kind": "later", "length": 5.0}, 5.0),
        (f"{__name__}:Spring", 1.0),
        (f"{__name__}:Rubber", 2.0),
        ({"kind": f"{__name__}:Spring", "stiffness": 3}, 3.0),
        (f"{__name__}:RUBBER", 7.0),
        ({"kind": f"{__name__}:RUBBER"}, 7.0),
        (Spring(8.0), 8.0),
    ],
    ids=str,
)
def test_a_part_is_chosen_by_name_mapping_attribute_or_as_an_object(springs, spec, pull):
    assert springs.make(spec).pull() == pull


def test_an_object_is_taken_as_it_is(springs):
    mine = Rubber()
    assert springs.make(mine) is mine
    assert springs.make(f"{__name__}:RUBBER") is RUBBER
    assert springs.choose(mine).made


def test_a_mapping_is_left_as_it_was(springs):
    spec = {"kind": "spring", "stiffness": 4}
    springs.make(spec)
    assert spec == {"kind": "spring", "stiffness": 4}
    assert springs.make({"stiffness": 4}, "spring") == Spring(4)


@pytest.mark.parametrize(
    "spec",
    ["sprin", "", {}, {"kind": None}, {"kind": ["spring"]}, {"stiffness": 1}, 3, None, Spring, [1]],
    ids=repr,
)
def test_what_is_no_part_is_named_with_the_choice(springs, spec):
    with pytest.raises(
        ValueError, match=r"spring .*: choose one of spring, stiff, band, later"
    ) as e:
        springs.make(spec)
    assert repr(spec) in str(e.value)
    assert "'module:attribute', or an object with pull" in str(e.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"kind": "spring", "size": 1},
            "the spring 'spring' has no option 'size': its options are s",
        ),
        ({"kind": "stiff", "size": 1}, "the spring 'stiff' has no option 'size'"),
        ({"kind": "band", "size": 1}, "has no option 'size': its options are length, width"),
        ({"kind": "later", "size": 1}, "the spring 'later' has no option 'size': .* length"),
        ({"kind": f"{__name__}:RUBBER", "size": 1}, "has no option 'size': its options are none"),
        ({"kind": "spring", "stiffness": 0}, "stiffness = 0: give a finite number > 0 kg/s²"),
        ("grasp", r"spring 'grasp': grasp\(\) missing 1 required .*its options are length"),
        ({"kind": "grasp", "length": 3}, "3 is no spring, for it has no pull: choose one of"),
        ("nowhere:Spring", r"'nowhere:Spring': No module named 'nowhere': give 'module:attribute'"),
        (f"{__name__}:Nowhere", "has no attribute 'Nowhere': give 'module:attribute'"),
        (":Spring", "':Spring': .*give 'module:attribute'"),
        (f"{__name__}:", "give 'module:attribute'"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_with_what_there_is(springs, spec, message):
    with pytest.raises(ValueError, match=message):
        springs.make(spec)


def test_one_adds_a_name(springs):
    springs.register("mine", Rubber)
    springs.register("mine", Rubber)  # a module may be imported twice
    springs.register("named", f"{__name__}:Spring")
    springs.register("named", ":".join((__name__, "Spring")))  # equal, and not the same string
    assert springs.make("mine").pull() == 2.0
    assert springs.make({"kind": "named", "stiffness": 2}) == Spring(2)
    assert [*springs][-2:] == ["mine", "named"]
    assert len(springs) == 7
    assert springs["named"] is Spring
    with pytest.raises(ValueError, match="there is a spring 'spring' already: choose another name"):
        springs.register("spring", Rubber)
    for name in ("a:b", "", "two words", "1st", 3, None, b"mine"):
        with pytest.raises(ValueError, match=f"name = {name!r}: give letters, digits and under"):
            springs.register(name, Rubber)


def test_a_registered_part_reaches_the_configuration(monkeypatch):
    for name, (registry, _) in config._REGISTRIES.items():
        monkeypatch.setattr(registry, "_parts", dict(registry._parts))
        standard = registry[next(iter(registry))]
        registry.register("mine", standard)
        made = getattr(Config.of(**{name: "mine"}), name)
        assert made == standard()
        with pytest.raises(ValueError, match=f"unknown {name} 'yours': choose one of .*mine"):
            Config.of(**{name: "yours"})


# Protocols


class Nothing:
    """Is no part."""


@pytest.mark.parametrize("part", ["task", "cortex", "field", "perturbation", "plant"])
def test_what_lacks_a_parts_methods_is_refused(part):
    needs = config._REGISTRIES[part][0].needs
    with pytest.raises(ValueError, match=f"{part} = .*or an object with {needs[0]}"):
        Config.of(**{part: Nothing()})
    if part == "perturbation":  # anything that is no schedule may be a law
        needs = ("law = .*Nothing': give a callable",)
    with pytest.raises(ValueError, match=f"is no {part}, for it has no {needs[0]}|{needs[0]}"):
        Config.of(**{part: f"{__name__}:Nothing"})


# Written down

IDS = ("shift", "fixed", "hold")
WRITTEN = [
    {},
    *({"task": task} for task in IDS),
    {"task": {"kind": "fixed", "radius_cm": Fraction(3, 2)}},
    {"cortex": {"kind": "soc", "stimuli": np.int8(9), "electrodes": np.uint16(5), "code": "grid"}},
    {"cortex": "soc", "volition": np.str_("signed"), "window_s": np.float16(0.25)},
    {"dataset": np.int64(5), "gain": np.float32(0.5), "theta": np.longdouble(1)},
    {"field": {"kind": "dipole", "obstacle": np.array([4, 0])}, "mass": np.float64(0.25)},
    {"field": "linear", "matrix": np.array([[0, 1], [-1, 0]]), "center": (1, Fraction(1, 3))},
    {"field": {"kind": "sum", "fields": ["gaussian", {"kind": "linear"}], "weights": (1, 0.5)}},
    {"perturbation": MappingProxyType({"curl": np.array([-1, 1]), "push": (0, (np.int32(1), 2))})},
    {"curl": 0.5, "push": [[0, 1], 2]},
    {"perturbation": {"kind": "blocks", "blocks": ({"trials": np.int64(40)}, {"curl": 1.5})}},
    {"targets": {"centre_out": np.int64(8), "radius_cm": np.float32(5)}, "starts": "centre"},
    {"targets": np.array([[1.0, 2.0], [3.0, 4.0]]), "starts": ((0, 1), (2, 3))},
    {"animal": np.uint8(3), "observe": "full", "observe_perturbation": np.True_},
    {"animal": None, "n_animals": np.int16(4), "wall_cm": float("inf")},
    {"lost_site": 7, "misplaced_electrode": 4, "degraded": "test", "scaling": "sites"},
    {"preset": "paper", "field": "dipole", "task": "fixed"},
    {"preset": Preset(mass=2.0, tau_s=0.7)},
    {"task": f"{__name__}:Far", "n": 3},
    {"field": np.tanh, "perturbation": np.subtract},
    {"task": Reach(radius_cm=2), "plant": PointMass(mass=3), "field": GaussianField(sigma=4)},
]


@dataclass(frozen=True)
class Far(Reach):
    """A task of one's own with an option of its own."""

    n: int = whole(1, "an option of its own", least=1)


@pytest.mark.parametrize("options", WRITTEN, ids=repr)
def test_what_is_written_down_makes_the_same(options):
    config = Config.of(**options)
    text = json.dumps(config.plain())
    again = Config.of(**json.loads(text))
    assert again == config
    assert repr(again) == repr(config)  # which tells np.float64(1.0) from 1.0
    assert json.dumps(again.plain()) == text


def test_what_cannot_be_named_cannot_be_written_down():
    config = Config.of(field=lambda x: -x)
    with pytest.raises(ValueError, match=r"cannot be written down.*'module:attribute', or constr"):
        config.plain()


# In JSON types


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (np.float16(0.5), 0.5),
        (np.longdouble(0.25), 0.25),
        (np.int8(3), 3),
        (np.uint64(3), 3),
        (np.True_, True),
        (True, True),
        (None, None),
        (Fraction(1, 4), 0.25),
        (np.array(2.5), 2.5),
        (np.arange(3), [0, 1, 2]),
        (UserList([1, (2, np.ones(1))]), [1, [2, [1.0]]]),
        (MappingProxyType({"a": np.str_("b")}), {"a": "b"}),
        (Path("a") / "b", "a/b"),
        (Colour.RED, "red"),
        (Spring(3), {"kind": f"{__name__}:Spring", "stiffness": 3.0}),
        (Spring, f"{__name__}:Spring"),
        (np.tanh, "numpy:tanh"),
    ],
    ids=repr,
)
def test_values_become_json(value, written):
    made = plain(value)
    assert made == written
    assert json.loads(json.dumps(made)) == made
    assert type(made) is type(written)


@pytest.mark.parametrize("value", [lambda x: x, RUBBER, object(), b"ab", 1j, {1, 2}])
def test_what_has_no_name_is_refused_with_the_remedy(value):
    with pytest.raises(
        ValueError, match=r"cannot be written down .*put it into a module .*'module:attribute'"
    ):
        plain({"field": [value]})


def test_names_lead_back():
    assert attribute(named(Reach)) is Reach
    assert attribute("ndbmi_gym.config:Config.of") == Config.of
