import numpy as np
import pytest

from ndbmi_gym.experiments.adaptation.protocols import PROTOCOLS
from ndbmi_gym.experiments.adaptation.report import markdown
from ndbmi_gym.experiments.adaptation.summary import UNTRAINED, curves, effects, over, summarise
from ndbmi_gym.experiments.bench.crossed import crossed_interval
from ndbmi_gym.experiments.bench.statistics import mean_interval
from ndbmi_gym.experiments.bench.tables import concatenate, labelled, where


def made(protocol, error, animals=3, **more):
    """Trials of a protocol, with errors by (block, number in it, kind, animal, direction)."""
    order, rows = PROTOCOLS[protocol].order, []
    for animal in range(animals):
        trial = 0
        for block in PROTOCOLS[protocol].blocks:
            for number in range(block["trials"]):
                kind = "plain"
                if block["name"] == "adaptation" and protocol == "adaptation" and number % 8 == 7:
                    kind = "catch" if 8 <= number < 60 else "plain"
                if "channels" in block and number % 2:
                    kind = "channel"
                turn = order[trial] if order else 0
                value = error(block["name"], number, kind, animal, turn)
                rows.append((animal, trial, block["name"], kind, turn, value, value / 2, 1.0))
                trial += 1
    names = ("animal", "trial", "block", "kind", "direction", "mpe", "compensation", "success")
    table = dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True))
    once = {"session": np.zeros_like(table["trial"])}
    return table | once | {"force": 3 * table["compensation"], **more}


def learning(block, number, kind, animal, turn):
    if kind == "catch":
        return -2.0 - animal
    if block == "adaptation":
        return 2.0 if number == 0 else 1.0 + 0.1 * animal
    if block == "washout":
        return -1.5 if number == 0 else 0.25
    return 0.5


def test_the_after_effect_is_less_the_baseline_and_by_animal():
    table = effects({"adaptation": made("adaptation", learning)})
    catch = where(table, effect="catch − baseline")
    assert catch["animal"].tolist() == [0, 1, 2]
    assert catch["value"].tolist() == [-2.5, -3.5, -4.5]
    assert where(table, effect="wash 1 − baseline")["value"].tolist() == [-2.0] * 3
    assert where(table, effect="trial 1")["value"].tolist() == [2.0] * 3
    np.testing.assert_allclose(where(table, effect="late")["value"], [1.0, 1.1, 1.2])
    found = summarise(table)
    assert found["catch − baseline"] == mean_interval([-2.5, -3.5, -4.5])
    assert found["baseline"].estimate == 0.5


def test_a_curve_leaves_out_catch_trials():
    curve = curves("adaptation", made("adaptation", learning))
    assert len(curve["trial"]) == 112
    assert np.isnan(curve["mpe"][24 + 15])  # a catch in every animal
    np.testing.assert_allclose(curve["mpe"][24:26], [2.0, 1.1])
    low, high = curve["mpe_low"][25], curve["mpe_high"][25]
    assert (low, high) == pytest.approx(mean_interval([1.0, 1.1, 1.2])[1:])
    assert np.isnan(curve["compensation"]).all()


def test_savings_compare_first_errors():
    def error(block, number, kind, animal, turn):
        early = {"adaptation": 2.0, "again": 1.25}.get(block, 0.0)
        return early if number < 5 else 0.0

    found = summarise(effects({"savings": made("savings", error)}))
    assert found["savings: first"].estimate == 2.0
    assert found["savings: second"].estimate == 1.25
    assert found["savings: second − first"].estimate == -0.75
    other = summarise(effects({"interference": made("interference", error)}))
    assert other["interference: second − first"].estimate == -0.75


def test_generalisation_goes_by_the_angle_from_what_was_trained():
    def error(block, number, kind, animal, turn):
        away = min(turn, 8 - turn)
        return 2 * (0.1 + (block == "test") * (1.0 - 0.2 * away))

    found = summarise(effects({"generalisation": made("generalisation", error)}))
    for away in range(5):
        value = found[f"compensation at {45 * away}°"].estimate
        assert value == pytest.approx(1.0 - 0.2 * away)


def test_channels_tell_compensation_late_and_early():
    def error(block, number, kind, animal, turn):
        late = block == "adaptation" and number >= 48
        return 1.8 if late else 1.0 if block == "washout" and number < 8 else 0.0

    trials = made("channels", error)
    trials["kind"] = np.where(trials["trial"] % 8 == 3, "channel", "plain")
    found = summarise(effects({"channels": trials}))
    assert found["compensation, baseline"].estimate == 0.0
    assert found["compensation, late"].estimate == pytest.approx(0.9)
    assert found["compensation, early washout"].estimate == 0.5
    assert found["channel force, late"].estimate == pytest.approx(2.7)


def of_runs(n_runs, animals):
    """Effects of runs that differ by 1 cm in catch trials."""
    runs = [
        made("adaptation", lambda *at, r=r: learning(*at) + r * (at[2] == "catch"), animals)
        for r in range(n_runs)
    ]
    return effects({"adaptation": concatenate(labelled(t, run=r) for r, t in enumerate(runs))})


def test_of_several_runs_the_interval_is_over_them():
    found = summarise(of_runs(4, animals=1))
    assert found["catch − baseline"] == mean_interval([-2.5, -1.5, -0.5, 0.5])


def test_of_several_runs_and_animals_it_is_over_both():
    found = summarise(of_runs(4, animals=3))
    values = np.add.outer([0.0, 1.0, 2.0, 3.0], [-2.5, -3.5, -4.5])
    assert found["catch − baseline"] == pytest.approx(crossed_interval(values))


def test_a_single_run_has_no_interval():
    table = of_runs(1, animals=3)
    middle, *ends = summarise(table)["catch − baseline"]
    assert middle == -3.5
    assert np.isnan(ends).all()
    labels = {"policy": "mine", "device": "arm", "delay": 3}
    text = markdown({"effects": labelled(table, **labels)})
    assert "| mine | arm | 3 | 1 | 3 × 1 | 2.00 |" in text
    assert "−3.50 (one run)" in text
    trials = labelled(made("adaptation", learning), run=0)
    curve = curves("adaptation", trials)
    assert np.isnan(curve["mpe_low"]).all()
    assert curve["mpe"][25] == pytest.approx(1.1)


def test_who_was_not_trained_has_no_run():
    table = effects({"adaptation": made("adaptation", learning)})
    assert set(table["run"].tolist()) == {UNTRAINED}
    text = markdown({"effects": labelled(table, policy="bayes", device="arm", delay=3)})
    assert "| arm | 3 | – | 3 × 1 | 2.00 |" in text


def test_sessions_are_counted():
    trials = [made("adaptation", learning, session=session) for session in range(3)]
    for table in trials:
        table["session"] = np.full(len(table["trial"]), table["session"])
    assert set(effects({"adaptation": concatenate(trials)})["sessions"].tolist()) == {3}


def test_a_mean_is_of_what_is_finite():
    animals = np.arange(2)
    assert np.isnan(over({"animal": animals, "value": np.full(2, np.nan)}, "value")).all()
    found = over({"animal": animals, "value": np.array([1.0, np.nan])}, "value")
    assert found.estimate == 1.0
    assert np.isnan(found.low)
