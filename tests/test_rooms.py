"""The house's plan: imports go one way, among modules and among rooms."""

from graphlib import TopologicalSorter

import pytest

from ndbmi_gym import provenance
from ndbmi_gym.provenance import imports

MODULES = tuple(provenance._modules())
EXPERIMENTS = "ndbmi_gym.experiments"
ROOMS = {
    "bench": set(),
    "protocol": set(),
    "vato2014": {"bench", "protocol"},
    "recovery": {"bench", "protocol", "vato2014"},
    "circuit": {"bench", "protocol", "vato2014"},
    "adaptation": {"bench"},
}
"""What each room builds on: nine arrows."""


def room(module):
    """The room of the experiments that a module lies in; empty if it lies in none."""
    parts = module.split(".")
    return parts[2] if parts[:2] == EXPERIMENTS.split(".") and len(parts) > 2 else ""


def below(module):
    """Modules that a module imports, without the packages that it takes other modules from."""
    used = imports(module)
    return {name for name in used if not any(n.startswith(f"{name}.") for n in used)}


def test_modules_import_in_no_circle():
    graph = {module: below(module) for module in MODULES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES) > 80


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_builds_on_those_below(name):
    own = [module for module in MODULES if room(module) == name]
    assert own
    assert {room(n) for module in own for n in below(module)} - {"", name} == ROOMS[name]


def test_every_module_of_the_experiments_lies_in_a_room():
    lying = {room(module) for module in MODULES if module.startswith(f"{EXPERIMENTS}.")}
    assert lying == set(ROOMS)


def test_nothing_but_the_command_line_knows_the_experiments():
    knowing = {m for m in MODULES if not room(m) and any(map(room, below(m)))}
    assert {module.split(".")[1] for module in knowing} == {"cli"}


def test_what_draws_measures_nothing():
    for module in MODULES:
        if module.endswith(provenance.DRAWING):
            used = {name.rpartition(".")[2] for name in below(module)}
            assert not used & {"loop", "config", "policies"}, module
