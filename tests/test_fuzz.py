"""A small part of the fuzz, and the fuzz itself: it must find what is wrong."""

import json
import os
import time

import fuzz
import fuzz_cases
import numpy as np
import pytest

SEED = 7


def test_configurations_and_calls():
    cases = [f"configuration:{i}" for i in range(40)] + [f"call:{i}" for i in range(30)]
    verdicts = list(fuzz.run(cases, SEED, progress=False))
    assert sorted(v.case for v in verdicts) == sorted(cases)
    findings = [f"{v.case}: {v.text} {v.given}" for v in verdicts if v.status == "finding"]
    assert not findings, "\n".join(findings)
    for kind in ("configuration", "call"):
        statuses = [v.status for v in verdicts if v.case.startswith(kind)]
        assert statuses.count("worked") > len(statuses) / 5
        assert statuses.count("refused") > len(statuses) / 5


def test_one_case_is_what_it_was_among_others():
    first, again = (fuzz.attempt("configuration:3", SEED) for _ in range(2))
    assert (first.status, first.text, first.given) == (again.status, again.text, again.given)


@pytest.mark.parametrize(
    ("raised", "seconds", "finding"),
    [
        (ValueError("mass = -1: give a number > 0"), 0.0, None),
        (KeyError("mass"), 0.0, "not a refusal"),
        (ValueError("mass = -1 is wrong"), 0.0, "no remedy"),
        (ValueError("give a number > 0"), 0.0, "names none"),
        (TypeError("mass: give a number"), 0.0, "not Python's own"),
        (ValueError("mass = -1: give a number > 0"), 3.0, "refused after 3.0 s"),
    ],
)
def test_refusals_have_type_value_and_remedy_in_time(raised, seconds, finding):
    if finding is None:
        assert "mass" in fuzz_cases.refused(raised, {"mass"}, seconds)
    else:
        with pytest.raises(fuzz_cases.Finding, match=finding):
            fuzz_cases.refused(raised, {"mass"}, seconds)


def test_a_slow_refusal_of_a_change_is_a_finding(monkeypatch):
    env = fuzz_cases.make("ndbmi/ShiftTarget-v1", False, {"repetitions": 2})

    def change(**_):
        time.sleep(0.02)
        raise ValueError("give another target")

    monkeypatch.setattr(env.unwrapped, "change", change)
    fuzz_cases.changed(env, np.random.default_rng(0), None)
    monkeypatch.setattr(fuzz_cases, "REFUSED_S", 0.01)
    with pytest.raises(fuzz_cases.Finding, match=r"refused after 0\.0 s"):
        fuzz_cases.changed(env, np.random.default_rng(0), None)


def test_observations_and_infos_are_checked():
    env = fuzz_cases.make("ndbmi/ShiftTarget-v1", False, {"repetitions": 2})
    observation, info = env.reset(seed=0)
    keys = fuzz_cases.seen(env, observation, info)
    with pytest.raises(fuzz_cases.Finding, match="outside its space"):
        fuzz_cases.seen(env, observation + 1e9, info)
    with pytest.raises(fuzz_cases.Finding, match="not finite"):
        fuzz_cases.seen(env, observation, info | {"curl": np.nan})
    with pytest.raises(fuzz_cases.Finding, match="other keys"):
        fuzz_cases.seen(env, observation, info | {"more": 1.0}, keys)


def _work(pipe, cases, seed):
    pipe.send(None)
    for case in cases:
        if case == "call:1":
            os._exit(3)
        if case == "call:2":
            time.sleep(60)
        pipe.send(fuzz.Verdict(case, "worked", "", 0.0, ""))


def test_a_crash_and_a_hang_are_findings(monkeypatch):
    monkeypatch.setattr(fuzz, "work", _work)
    monkeypatch.setattr(fuzz, "LIMIT_S", 3.0)
    verdicts = {v.case: v for v in fuzz.run([f"call:{i}" for i in range(4)], 0, progress=False)}
    assert [verdicts[f"call:{i}"].status for i in range(4)] == [
        *("worked", "finding", "finding", "worked")
    ]
    assert "died with 3" in verdicts["call:1"].text
    assert "no answer within 3 s" in verdicts["call:2"].text


def test_the_report(tmp_path, monkeypatch, capsys):
    made = fuzz.Verdict("configuration:0", "worked", "", 1.5, "make(...)")
    wrong = fuzz.Verdict("call:0", "finding", "no remedy: no", 0.1, "step")
    monkeypatch.setattr(fuzz, "run", lambda *_: iter([made, wrong]))
    out = tmp_path / "report.json"
    assert fuzz.main(["--out", str(out)]) == 1
    written = json.loads(out.read_text())
    assert written["counts"]["configuration"] == {"worked": 1, "refused": 0, "finding": 0}
    assert written["slowest"]["seconds"] == 1.5
    printed = capsys.readouterr().out
    assert "--seed 0 --only call:0: no remedy" in printed
    assert "calls: 0 worked, 0 refused, 1 finding" in printed


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"sigma": 5e-324}, "sigma = 5e-324: give a finite number >= 1e-06"),
        ({"center": (1e308, 0)}, "center = .*beyond 1e.09.*: give 2 finite numbers"),
        ({"clock_s": 5e-324}, "clock_s = 5e-324: give"),
        ({"max_rate_hz": 1e-300}, "max_rate_hz = 1e-300: give"),
        ({"law": "math:sin"}, "law = .*sin.*: give a callable|law = .*sin.*; give a callable"),
        ({"field": "math:sin"}, "field = .*sin.*; give a callable"),
        ({"task": "numpy:tanh"}, "is no task, for it has no check, pool.*choose one of fixed"),
        ({"dwell": 2**63}, "dwell = 9223372036854775808: give a whole number >= 0"),
        ({"animal": 10**400}, "animal = 1000.*: give a whole number >= 0"),
        ({"interface": ""}, "interface = '': give the path of a file"),
        ({"cortex": "soc", "window_s": 60}, "window_s = 60: give .* <= 10 s"),
        ({"plant": {"kind": "point_mass", "law": None}}, "no option 'law'"),
        ({"misplaced_electrode": 10**400}, "electrode 1000.*give one of them"),
    ],
)
def test_what_it_found_is_refused(options, refusal):
    with pytest.raises(ValueError, match=refusal):
        fuzz_cases.make("ndbmi/ShiftTarget-v1", False, options)


@pytest.mark.parametrize(
    "options",
    [
        {"curl": 5e-324, "observe_perturbation": True},
        {"amplitude": 1e-300, "observe": "full", "targets": "calibration"},
        {"wall_cm": 1.0, "observe": "state"},
        {"law": "fuzz_cases:_law", "perturbation": {"kind": "draw", "curl": 0.3}},
    ],
)
def test_what_it_found_works(options):
    env = fuzz_cases.make("ndbmi/ShiftTarget-v1", False, options | {"repetitions": 2})
    with np.errstate(all="raise", under="ignore"):
        fuzz_cases.play(env, np.random.default_rng(0))


def test_a_larger_push_is_refused_with_what_was_said_at_first():
    env = fuzz_cases.make("ndbmi/ShiftTarget-v1", False, {"observe": "full", "push": (1.0, 0.0)})
    with pytest.raises(ValueError, match=r"push of 3 .*bounded for at most 1"):
        env.unwrapped.change(push=(3.0, 0.0))


@pytest.mark.parametrize("seed", [-1, 1.5, "1", True, [1]])
def test_seeds_of_a_scalar_environment(seed):
    env = fuzz_cases.make("ndbmi/ShiftTarget-v1", False, {"repetitions": 2})
    np.testing.assert_array_equal(env.reset(seed=np.int8(3))[0], env.reset(seed=3)[0])
    with pytest.raises(ValueError, match=r"seed = .*: give a whole number >= 0"):
        env.reset(seed=seed)
