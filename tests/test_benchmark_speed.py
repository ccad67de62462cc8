import json

import benchmark_speed
import gymnasium
import pytest
from benchmark_speed import REFERENCE, ROWS, Row, compared, rates


def test_ratios_are_compared_not_rates():
    name, batch = REFERENCE
    before = {name: {batch: [10.0]}, "ours": {"256": [20.0]}, "gone": {"1": [1.0]}}
    # a slower machine, twice as slow in the second round
    now = {name: {batch: [5.0, 2.5]}, "ours": {"256": [30.0, 15.0]}, "new": {"1": [1.0, 1.0]}}
    _, reference, ours = compared(now, before)
    assert reference.split()[:3] == ["1.00", "1.00", "1.00"]
    assert ours.split() == ["6.00", "2.00", "3.00", "ours,", "256"]


def test_rows_are_measured_in_every_batch_and_beside_one_another():
    env_id = benchmark_speed.SHIFT
    rows = (
        Row("one", env_id, (None, 2), threads=(2,)),
        Row("other", env_id, (2,), {"decoder": "projection"}, beside="one"),
    )
    made = rates(rows, rounds=2, seconds=0.001)
    assert {name: [*of] for name, of in made.steps_per_s.items()} == {
        "one": ["scalar", "2"],
        "other": ["2"],
    }
    assert all(len(each) == 2 for of in made.steps_per_s.values() for each in of.values())
    assert made.beside["other, to one"]["2"] == [
        other / one
        for other, one in zip(
            made.steps_per_s["other"]["2"], made.steps_per_s["one"]["2"], strict=True
        )
    ]
    assert min(made.beside["one: two threads to one"]["2"]) > 0


def test_rows_have_names_of_their_own_and_stand_beside_earlier_ones():
    names = [row.name for row in ROWS]
    assert len({*names}) == len(names)
    for i, row in enumerate(ROWS):
        assert {*row.threads} <= {*row.batches}
        if row.beside:
            other = names.index(row.beside)
            assert other < i
            assert {*row.batches} <= {*ROWS[other].batches}


@pytest.mark.parametrize("row", [row for row in ROWS if row.name.endswith("in Python")])
def test_what_is_written_in_python_is_not_compiled(row):
    env = gymnasium.make_vec(row.env_id, num_envs=2, **row.options)
    assert not env.unwrapped.episodes.compiled


def test_a_fresh_process_tells_what_it_took():
    took = benchmark_speed.fresh("made()\nsum(range(10**6))", times=1)
    assert 0 <= took.made_s < took.cpu_s <= 1.1 * took.wall_s
    assert took.memory_mib > 1


def test_a_run_keeps_what_it_found_and_is_compared(monkeypatch, tmp_path, capsys):
    reacher = Row(REFERENCE[0], benchmark_speed.SHIFT, (None,))  # which needs no MuJoCo
    rows = reacher, Row("ours", benchmark_speed.SHIFT, (4,))
    one = {"others": {"import, s": 0.125}, "microseconds": {"256": {"motion": 1.0}}}
    drawn = {benchmark_speed.CARTPOLE: [10.0, 20.0]}
    earlier = {
        "date": "2026-01-01",
        "steps_per_s": {"ours": {"4": [4.0]}, reacher.name: {"scalar": [2.0]}},
    }
    (tmp_path / "0ff.json").write_text(json.dumps(earlier))
    monkeypatch.setattr(benchmark_speed, "HISTORY", tmp_path)
    monkeypatch.setattr(benchmark_speed, "ROWS", rows)
    monkeypatch.setattr(benchmark_speed, "rates", lambda rows, rounds: rates(rows, rounds, 0.001))
    monkeypatch.setattr(benchmark_speed, "pictures", lambda rounds: drawn)
    monkeypatch.setattr(benchmark_speed, "beginnings", lambda: one["others"])
    monkeypatch.setattr(benchmark_speed, "profiles", lambda: one["microseconds"])
    monkeypatch.setattr(benchmark_speed, "commit", lambda: "abc")
    monkeypatch.setattr(benchmark_speed, "versions", lambda names: dict.fromkeys(names, "1"))
    run = ["benchmark_speed.py", "--rounds", "2", "--keep", "--compare", "0ff"]
    monkeypatch.setattr(benchmark_speed.sys, "argv", run)
    benchmark_speed.main()
    kept = json.loads((tmp_path / "abc.json").read_text())
    assert len(kept["steps_per_s"]["ours"]["4"]) == 2
    assert kept.items() >= (one | {"pictures_per_s": drawn}).items()
    assert kept["date"] > earlier["date"]
    told = capsys.readouterr().out
    assert "beside commit 0ff of 2026-01-01" in told
    assert "us per trial and step, 256" in told


def test_what_is_kept_can_be_compared():
    kept = list(benchmark_speed.HISTORY.glob("*.json"))
    assert len(kept) >= 2
    for file in kept:
        record = json.loads(file.read_text())
        assert record["commit"] == file.stem
        assert len(compared(record["steps_per_s"], record["steps_per_s"])) > 10
