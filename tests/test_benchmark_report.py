"""Tables of a benchmark, from parts of it too, and those that the documentation shows."""

import json
import shutil
from pathlib import Path

import pytest

from agents.benchmark_report import as_csv, by_task, in_words, leaderboard, profiles, read_results

CORE = Path(__file__).parents[1] / "agents" / "results" / "benchmark" / "core"


@pytest.fixture
def part(tmp_path):
    """A copy of the published runs."""
    return Path(shutil.copytree(CORE, tmp_path / "core"))


def row(results, agent):
    return next(each for each in leaderboard(results) if each["agent"] == agent)


@pytest.mark.parametrize("suite", ["core", "studies", "generalisation"])
def test_the_tables_that_are_kept_are_those_of_the_runs(suite):
    results = read_results(CORE.parent / suite)
    for name, rows in (("leaderboard", leaderboard(results)), ("tasks", list(by_task(results)))):
        assert (results.folder / f"{name}.csv").read_text(encoding="utf-8") == as_csv(rows)


def change(path, **asked):
    kept = json.loads(path.read_text(encoding="utf-8"))
    kept["asked"] |= asked
    path.write_text(json.dumps(kept), encoding="utf-8")


def test_an_agent_that_lacks_a_task_has_no_value_over_all(part):
    whole = row(read_results(part), "filter")
    shutil.rmtree(part / "hold" / "filter")
    found = row(read_results(part), "filter")
    assert found["tasks"] == whole["tasks"] - 1
    assert whole["score"] is not None
    assert found["score"] is found["return"] is found["improvement"] is None


def test_what_is_apart_is_in_no_sum(part):
    for path in part.glob("hold/*/*.json"):
        kept = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(kept | {"apart": True}), encoding="utf-8")
    apart = read_results(part)
    tables = {"leaderboard": leaderboard(apart), "tasks": list(by_task(apart))}
    words = in_words(apart, tables)
    assert "Not summed up: hold." in words
    assert "score, IQM" in words
    shutil.rmtree(part / "hold")
    without = read_results(part)
    assert as_csv(leaderboard(apart)) == as_csv(leaderboard(without))
    assert as_csv(list(profiles(apart))) == as_csv(list(profiles(without)))
    assert {each["task"] for each in by_task(apart)} == {"hold", *without.tasks}


def test_where_all_is_apart_no_table_sums_up(part):
    for task in ("shift-curl", "soc"):
        shutil.rmtree(part / task)
    for path in part.glob("hold/*/*.json"):
        kept = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(kept | {"apart": True}), encoding="utf-8")
    apart = read_results(part)
    words = in_words(apart, {"leaderboard": leaderboard(apart), "tasks": list(by_task(apart))})
    assert "IQM" not in words
    assert "## hold" in words


def test_what_is_apart_in_part_is_refused(part):
    path = part / "hold" / "eq24" / "0.json"
    kept = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(kept | {"apart": True}), encoding="utf-8")
    with pytest.raises(ValueError, match="whether the task stands apart"):
        read_results(part)


def test_profiles_are_of_agents_that_were_played_on_all_tasks(part):
    assert {each["agent"] for each in profiles(read_results(part))} >= {"distill-5min", "filter"}
    shutil.rmtree(part / "hold" / "filter")
    found = {each["agent"] for each in profiles(read_results(part))}
    assert "distill-5min" in found
    assert "filter" not in found


def test_the_least_number_of_runs_is_told(part):
    (part / "hold" / "distill-5min" / "0.json").unlink()
    least = min(len(list(each.glob("*.json"))) for each in part.glob("*/distill-5min"))
    assert row(read_results(part), "distill-5min")["runs"] == least


def test_without_a_scale_there_is_no_result(part):
    shutil.rmtree(part / "hold" / "ceiling")
    with pytest.raises(FileNotFoundError, match="no ceiling of task 'hold'"):
        read_results(part)


def test_other_trials_are_refused(part):
    path = part / "hold" / "eq24" / "0.json"
    kept = json.loads(path.read_text(encoding="utf-8"))
    kept["asked"]["place"]["trial_seed"] += 1
    path.write_text(json.dumps(kept), encoding="utf-8")
    with pytest.raises(ValueError, match="other trials"):
        read_results(part)


def test_two_versions_of_an_agent_are_no_single_one(part):
    shutil.copytree(part / "hold" / "eq24", part / "hold" / "mine")
    shutil.copytree(part / "shift-curl" / "eq24", part / "shift-curl" / "mine")
    for task, identity in (("hold", "a"), ("shift-curl", "b")):
        change(part / task / "mine" / "0.json", agent="mine", identity=identity)
    with pytest.raises(ValueError, match=r"another version of 'mine' than on other tasks: go on"):
        read_results(part)
    change(part / "shift-curl" / "mine" / "0.json", identity="a")
    read_results(part)


def test_an_agent_of_ones_own_that_is_named_several_times_has_a_spread(part):
    label = "mine"
    for task in part.iterdir():
        if task.is_dir():
            mine = task / label
            mine.mkdir()
            for seed, other in enumerate(("eq24", "filter", "random")):
                shutil.copy(task / other / "0.json", mine / f"{seed}.json")
                change(mine / f"{seed}.json", agent=label, seed=seed, policy="m:A", identity="a")
    found = row(read_results(part), label)["score"]
    assert found.high - found.low > 1


def test_runs_that_were_trained_and_others_are_refused(part):
    mine = part / "hold" / "ppo"
    shutil.copy(part / "hold" / "eq24" / "0.json", mine / "0.json")
    change(mine / "0.json", agent="ppo")
    with pytest.raises(ValueError, match=r"ppo holds runs that were trained here and others"):
        read_results(part)


@pytest.mark.parametrize("name", ["failed-0.json", "0.json"])
def test_a_damaged_file_is_named(part, name):
    (part / "hold" / "eq24" / name).write_text('{"asked": {"task": "hold"}}')
    with pytest.raises(ValueError, match=f"{name} is no result of a run .*: take it away"):
        read_results(part)


def test_other_files_are_none_of_its_business(part):
    before = as_csv(leaderboard(read_results(part)))
    shutil.copy(part / "hold" / "eq24" / "0.json", part / "hold" / "eq24" / "0 (copy).json")
    assert as_csv(leaderboard(read_results(part))) == before


def test_a_comma_in_a_name_splits_no_cell():
    assert as_csv([{"agent": "mine, new", "score": None}]).splitlines() == [
        "agent,score,score low,score high", '"mine, new",,,'
    ]  # fmt: skip


def test_agents_that_play_several_tasks_are_known_as_the_same(part):
    results = read_results(part)
    assert len(set(results.tasks["hold"]["distill-5min"].agents)) > 1
    eq24 = {results.tasks[task]["eq24"].agents for task in results.tasks}
    assert len(eq24) == 1
