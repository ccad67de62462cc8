import numpy as np
import pytest

from ndbmi_gym.experiments import identifiability
from ndbmi_gym.experiments.recovery import SPACE


@pytest.fixture(autouse=True)
def few_claims(monkeypatch):
    monkeypatch.setattr(identifiability, "SEARCHED", SEARCHED)


SEARCHED = ("C1", "C2", "C7", "C12")


def invented_trials(n, rng):
    """Trials in which C1 wants a small radius, C2 a large one, and all else is chance."""
    table = {"trial": np.arange(n)}
    for name, values in SPACE.items():
        if values.choices:
            table[name] = np.array(
                [values.choices[i] for i in rng.integers(len(values.choices), size=n)]
            )
        elif values.log:
            table[name] = np.exp(rng.uniform(np.log(values.low), np.log(values.high), n))
        else:
            table[name] = rng.uniform(values.low, values.high, n)
    margins = {claim: rng.normal(0.5, 0.5, n) for claim in SEARCHED}
    margins["C1"] = 2.0 - table["radius_cm"]
    margins["C2"] = table["radius_cm"] - 2.0
    table["score"] = np.where(table["radius_cm"] < 1.3, 1.0, 0.0) + rng.normal(0, 0.01, n)
    table["misfit"] = np.abs(np.log(table["tau_s"] / 0.1))
    return table | margins


def test_what_decides_is_told_from_what_does_not():
    found = identifiability.identify(invented_trials(200, np.random.default_rng(0)), 100)
    rows, names = (*SEARCHED, "misfit"), list(SPACE)
    for claim, parameter in (("C1", "radius_cm"), ("C2", "radius_cm"), ("misfit", "tau_s")):
        row = found.importance[rows.index(claim)]
        assert names[row.argmax()] == parameter
        assert np.sort(row)[-2] < 0.1 * row.max()
        assert found.explained[rows.index(claim)] > 0.9
    # chance explains nothing: R² of a forest on held-out noise is not above 0 by much
    assert found.explained[rows.index("C7")] < 0.1
    assert found.constrained == ["radius_cm"]
    low, high, share = found.spans["radius_cm"]
    assert SPACE["radius_cm"].low <= low < high < 1.3
    assert share < 0.3


def test_conflicts_are_found_and_not_invented():
    # of 6 pairs, one with a true conflict; false alarms at most 1 % by Bonferroni
    found = identifiability.identify(invented_trials(200, np.random.default_rng(1)), 100)
    assert [pair[:2] for pair in found.conflicts] == [("C1", "C2")]
    together, expected = found.conflicts[0][2:]
    assert together == 0.0 < expected


def test_the_picture_has_every_claim_and_parameter(tmp_path):
    trials = invented_trials(60, np.random.default_rng(2))
    found = identifiability.write(tmp_path, trials, 30)
    canvas = identifiability.draw(trials, found)
    texts = [t.get_text() for axes in canvas.axes for t in axes.get_yticklabels()]
    assert [t.split()[0] for t in texts if t.startswith("C")][: len(SEARCHED)] == list(SEARCHED)
    labels = {axes.get_xlabel() for axes in canvas.axes}
    assert set(SPACE) <= labels
