"""The command: what it plans, agents of one's own, and a worker that outlives nobody."""

import csv
import importlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_suite import tiny

from agents.benchmark import Clock, Settings, main, planned
from agents.benchmark_runs import Outcome
from agents.benchmark_suite import Training, read_suite

ROOT = Path(__file__).parents[1]

BEATING = """
import time
from pathlib import Path

def act(observation):
    for _ in range(600):
        Path("beat").write_text(str(time.monotonic()))
        time.sleep(0.1)
"""


def arguments(folder, *more):
    places = ("--out", str(folder / "out"), "--training", str(folder / "training"))
    return ["--suite", tiny(folder), *places, *more]


def test_the_agent_of_the_page_has_its_row(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "benchmark.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "my_agent.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    own = ("--agent", "settling=my_agent:Settling", "--only", "eq24")
    assert main(arguments(tmp_path, *own)) == 0
    results, pictures = tmp_path / "out" / "tiny", tmp_path / "pictures"
    assert main(["--report", str(results), "--pictures", str(pictures)]) == 0
    with open(results / "leaderboard.csv", encoding="utf-8") as file:
        rows = {row["agent"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"zero", "eq24", "settling", "ceiling"}
    assert float(rows["zero"]["score"]) < float(rows["settling"]["score"]) < 1
    assert rows["settling"]["tasks"] == "2"
    assert (pictures / "tiny" / "aggregates.png").is_file()
    assert not (results / "aggregates.png").exists()


def test_results_of_an_own_agent_that_nobody_asks_for_are_refused(tmp_path, monkeypatch):
    (tmp_path / "still.py").write_text("def act(observation):\n    return observation[:, :9] * 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    alike = {"still": ["still:act", "still:act"]}
    suite = tiny(tmp_path, agents={"eq24": "eq24"} | alike)
    places = ("--out", str(tmp_path / "out"), "--training", str(tmp_path / "training"))
    asked = ["--suite", suite, *places, "--only", "shift"]
    assert main(asked) == 0
    tiny(tmp_path, agents={"eq24": "eq24", "still": "still:act"})
    with pytest.raises(SystemExit, match=r"still.1\.json is a result .* any more: take it away"):
        main(asked)
    (tmp_path / "out" / "tiny" / "shift" / "still" / "1.json").unlink()
    assert main(asked) == 0


@pytest.mark.parametrize("name", ["nothing", "blind"])
def test_own_agents_are_looked_up_before_anything_runs(tmp_path, monkeypatch, name):
    text = "class blind:\n    def __init__(self, env):\n        raise RuntimeError('dark')\n"
    (tmp_path / "an_own_agent.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    own = ("--agent", f"mine=an_own_agent:{name}", "--only", "eq24")
    with pytest.raises(SystemExit, match="agent 'mine' on 'shift'"):
        main(arguments(tmp_path, *own))
    assert not (tmp_path / "out").exists()


def test_a_run_that_fails_is_told_of_until_it_is_repaired(tmp_path, monkeypatch):
    text = "def act(observation):\n    if {}:\n        raise RuntimeError('dark')\n    return {}\n"
    action = "observation[:, :9] * 0"
    monkeypatch.syspath_prepend(tmp_path)
    results = tmp_path / "out" / "tiny"
    for fails in (True, False):
        (tmp_path / "at_times.py").write_text(text.format(fails, action))
        sys.modules.pop("at_times", None)
        importlib.invalidate_caches()
        own = ("--agent", "mine=at_times:act", "--only", "eq24", "shift")
        assert main(arguments(tmp_path, *own)) == fails
        assert main(["--report", str(results)]) == 0
        told = "Failed:\n\n- shift, mine, 0: RuntimeError: dark\n"
        assert (told in (results / "report.md").read_text(encoding="utf-8")) == fails
        assert (results / "shift" / "mine" / "0.json").exists() != fails


def test_references_come_first_and_seeds_in_turn(tmp_path):
    settings = Settings(suite=(tiny(tmp_path),), out=str(tmp_path), training=str(tmp_path))
    works, n_done = planned([read_suite(settings.suite[0])], settings)
    assert n_done == 0
    learned = [isinstance(work.runs[0].policy, Training) for work in works]
    assert learned == sorted(learned)
    assert [work.runs[0].seed for work in works if isinstance(work.runs[0].policy, Training)] == [
        0, 0, 0, 1, 1, 1
    ]  # fmt: skip


def test_the_end_is_told_by_what_alike_took(tmp_path):
    settings = Settings(suite=(tiny(tmp_path),), out=str(tmp_path), training=str(tmp_path))
    works, _ = planned([read_suite(settings.suite[0])], settings)
    clock, told = Clock(works, 1), {}
    for work in works:
        algo = work.runs[0].policy.algo if isinstance(work.runs[0].policy, Training) else ""
        told[work.name] = clock.tick(Outcome(work, {"ppo": 768, "sac": 180}.get(algo, 1), ""))
    words = [line.partition("; ")[2] for line in told.values()]
    # six references of a second; then PPO, SAC and PPO for the first seed, and for the next
    assert words[0] == "end not known yet"
    assert words[6].startswith("more than 38 min left")  # three more of PPO
    assert words[7].startswith("about 41 min left, until")
    assert words[-1].startswith("about 0 min left")


def test_what_is_trained_takes_as_long_as_it_is_played(tmp_path):
    settings = Settings(
        suite=(tiny(tmp_path),), out=str(tmp_path), training=str(tmp_path), only=("ppo",)
    )
    works = planned([read_suite(settings.suite[0])], settings)[0][-4:]
    first, second = (work.runs[0].policy for work in works[:2])
    (tmp_path / first.name / "3").mkdir(parents=True)  # all of its segments
    (tmp_path / second.name / "1").mkdir(parents=True)  # a third of them
    clock = Clock(works, 1)
    assert "end not known yet" in clock.tick(Outcome(works[0], 5, ""))
    assert "end not known yet" in clock.tick(Outcome(works[2], 1, "it failed"))
    # in 512 of 768 steps
    assert "; about 15 min left, until" in clock.tick(Outcome(works[1], 600, ""))


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({}, "give either"),
        ({"suite": ("quick",), "report": ("here",)}, "give either"),
        ({"suite": ("quick",), "pictures": "here"}, "--pictures here is for --report"),
        ({"suite": ("quick",), "jobs": 0}, "jobs"),
    ],
)
def test_what_does_not_go_together_is_refused(given, match):
    with pytest.raises(ValueError, match=match):
        Settings(**given)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_workers_end_soon_after_the_process_that_asked_was_killed(tmp_path):
    (tmp_path / "beating.py").write_text(BEATING)
    own = ("--agent", "mine=beating:act", "--only", "eq24", "--jobs", "2")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    command = [sys.executable, "-m", "agents.benchmark", *arguments(tmp_path, *own)]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.DEVNULL
    )
    beat = tmp_path / "beat"
    end = time.monotonic() + 120
    while not beat.exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(4)
    last = beat.read_text()
    time.sleep(2)
    assert beat.read_text() == last
