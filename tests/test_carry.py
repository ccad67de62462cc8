from dataclasses import fields

import numpy as np
import pytest

from ndbmi_gym.experiments.circuit import cases
from ndbmi_gym.experiments.circuit.carry import carried_sizes, run_carry
from ndbmi_gym.experiments.circuit.cases import (
    Case,
    run_cases,
)
from ndbmi_gym.experiments.protocol import conditions
from ndbmi_gym.experiments.protocol.conditions import FIELDS
from ndbmi_gym.presets import Preset

PRESET = Preset(repetitions=5)  # calibrates fast
CASE = {field.name for field in fields(Case)}


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Few starts, repetitions and trials."""
    monkeypatch.setattr(cases, "N_STARTS", 3)
    monkeypatch.setattr(cases, "REPETITIONS", 2)


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
