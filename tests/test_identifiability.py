import json

import numpy as np
import pytest

from ndbmi_gym.experiments.bench.tables import write_csv
from ndbmi_gym.experiments.recovery import identifiability, identifiability_drawing
from ndbmi_gym.experiments.recovery.search import SPACE

SEARCHED = ("C1", "C2", "C7", "C12")
DESIGN = 200


@pytest.fixture(autouse=True, scope="module")
def few_claims():
    with pytest.MonkeyPatch.context() as patch:
        for part in (identifiability, identifiability_drawing):
            patch.setattr(part, "SEARCHED", SEARCHED)
        yield


def invented_trials(n, rng, first=0):
    """Trials in which C1 wants a small radius, C2 a large one, and all else is chance."""
    table = {"trial": np.arange(n) + first}
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


def misleading_trials(n, rng, first):
    """Trials of an estimator that crowds about one mass and one reading, with the best scores."""
    table = invented_trials(n, rng, first)
    table["mass"] = 0.3 * np.exp(rng.normal(0, 0.05, n))
    table["ideal"] = np.full(n, "held")
    table["C7"] = 20 * np.log(table["mass"] / 0.3)
    table["C12"] = -table["C7"]
    table["score"] = 5.0 + rng.normal(0, 0.1, n)
    return table


def stacked(first, second):
    return {name: np.concatenate([first[name], second[name]]) for name in first}


def rows(table, chosen):
    return {name: column[chosen] for name, column in table.items()}


@pytest.fixture(scope="module")
def random_trials():
    return invented_trials(DESIGN, np.random.default_rng(0))


@pytest.fixture(scope="module")
def found(random_trials):
    return identifiability.identify(random_trials, DESIGN)


def test_what_decides_is_told_from_what_does_not(found):
    claims, names = (*SEARCHED, "misfit"), list(SPACE)
    for claim, parameter in (("C1", "radius_cm"), ("C2", "radius_cm"), ("misfit", "tau_s")):
        row = found.importance[claims.index(claim)]
        assert names[row.argmax()] == parameter
        assert np.sort(row)[-2] < 0.1 * row.max()
        assert found.explained[claims.index(claim)] > 0.9
    # chance explains nothing: R² of a forest on held-out noise is not above 0 by much
    assert found.explained[claims.index("C7")] < 0.1
    # the 20 best of 200 span less than half of an indifferent parameter with a probability of
    # 0.09 %: one of ten in 0.9 % of seeds
    assert found.constrained == ["radius_cm"]
    low, high, share = found.spans["radius_cm"]
    assert SPACE["radius_cm"].low <= low < high < 1.3
    assert share < 0.3
    for name, shares in found.choices.items():
        assert list(shares) == [str(choice) for choice in SPACE[name].choices]
        assert sum(shares.values()) == pytest.approx(1.0)


def test_conflicts_are_found_and_not_invented(found):
    # of 6 pairs, one with a true conflict; false alarms at most 1 % by Bonferroni
    assert [pair[:2] for pair in found.conflicts] == [("C1", "C2")]
    together, expected = found.conflicts[0][2:]
    assert together == 0.0 < expected


@pytest.mark.slow
def test_trials_beyond_the_design_mislead_and_are_left_out(random_trials, found):
    rng = np.random.default_rng(1)
    all_trials = stacked(random_trials, misleading_trials(DESIGN, rng, first=DESIGN))
    mixed = rows(all_trials, rng.permutation(2 * DESIGN))  # numbers count, not places
    back = rows(mixed, np.argsort(mixed["trial"]))
    same = identifiability.identify(back, DESIGN)
    for ours, theirs in zip(same[:2], found[:2], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert same[2:] == found[2:]
    shuffled = identifiability.identify(mixed, DESIGN)  # forests see the same in another order
    assert shuffled[2:] == found[2:]
    np.testing.assert_allclose(shuffled.explained, found.explained, atol=0.15)
    # all of them would say something else
    wrong = identifiability.identify(mixed, 2 * DESIGN)
    assert "mass" in wrong.constrained
    assert "mass" not in found.constrained
    assert wrong.choices["ideal"]["held"] == 1.0 != found.choices["ideal"]["held"]
    assert ("C7", "C12") in [pair[:2] for pair in wrong.conflicts]
    row = SEARCHED.index("C7")
    assert list(SPACE)[wrong.importance[row].argmax()] == "mass"


def test_too_few_random_trials_are_refused(random_trials):
    """However many come after them, or failed among them."""
    later = misleading_trials(50, np.random.default_rng(2), first=DESIGN)
    few = rows(random_trials, np.arange(DESIGN) >= DESIGN - 29)
    for trials in (few, stacked(few, later)):
        with pytest.raises(ValueError, match="29 random trials: at least 30"):
            identifiability.identify(trials, DESIGN)
    with pytest.raises(ValueError, match="12 random trials"):
        identifiability.identify(random_trials, 12)


def test_thirty_random_trials_are_enough(random_trials, monkeypatch):
    monkeypatch.setattr(identifiability, "_fit", lambda inputs, outputs: (np.zeros(len(SPACE)), 0))
    found = identifiability.identify(rows(random_trials, np.arange(DESIGN) < 30), DESIGN)
    assert found.importance.shape == (len(SEARCHED) + 1, len(SPACE))


def test_results_are_written(random_trials, found, tmp_path, monkeypatch):
    monkeypatch.setattr(identifiability, "identify", lambda trials, design: found)
    assert identifiability.write(tmp_path, random_trials, DESIGN) is found
    saved = json.loads((tmp_path / "identifiability.json").read_text())
    assert saved["constrained"] == found.constrained
    assert set(saved["importance"]) == {*SEARCHED, "misfit"}
    assert saved["importance"]["C1"]["radius_cm"] == round(found.importance[0].max(), 4)
    assert saved["spans"]["mass"] == list(found.spans["mass"])
    assert saved["conflicts"] == [list(pair) for pair in found.conflicts]
    for name in ("identifiability", "best_trials"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_pictures_are_drawn_anew_from_files(random_trials, found, tmp_path, monkeypatch):
    monkeypatch.setattr(identifiability, "identify", lambda trials, design: found)
    identifiability.write(tmp_path, random_trials, DESIGN)
    pictures = [tmp_path / f"{name}.png" for name in ("identifiability", "best_trials")]
    first = [picture.read_bytes() for picture in pictures]
    for picture in pictures:
        picture.unlink()
    with pytest.raises(ValueError, match=r"trials\.csv is not there.*without --redraw"):
        identifiability.redraw(tmp_path, DESIGN)
    write_csv(tmp_path / "trials.csv", random_trials)
    names = identifiability.redraw(tmp_path, DESIGN)
    assert [tmp_path / f"{name}.png" for name in names] == pictures
    assert pictures[0].read_bytes().startswith(b"\x89PNG")  # of numbers to four digits
    assert pictures[1].read_bytes() == first[1]
    saved = json.loads((tmp_path / "identifiability.json").read_text())
    back = identifiability.from_json(saved)
    assert identifiability.as_json(back) == identifiability.as_json(
        back._replace(spans=found.spans)
    )
    np.testing.assert_allclose(back.importance, found.importance, atol=6e-5)
    assert back.spans == found.spans
    assert back.conflicts == found.conflicts
