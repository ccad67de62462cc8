"""Functions that are called from elsewhere say what they take."""

import inspect
import pkgutil
from importlib import import_module

import pytest

import agents

MODULES = [f"agents.{module.name}" for module in pkgutil.iter_modules(agents.__path__)]


@pytest.mark.parametrize("name", [*MODULES, "ndbmi_gym.rollout"])
def test_every_argument_of_several_is_described(name):
    for function in vars(import_module(name)).values():
        if not inspect.isfunction(function) or function.__module__ != name:
            continue
        taken = inspect.signature(function).parameters
        if function.__name__.startswith("_") or len(taken) < 2:
            continue
        _, _, described = (inspect.getdoc(function) or "").partition("Parameters\n----------\n")
        heads = [line for line in described.splitlines() if line[:1].strip()]
        words = {word.strip(" *") for line in heads for word in line.partition(":")[0].split(",")}
        assert taken.keys() <= words, function.__qualname__
