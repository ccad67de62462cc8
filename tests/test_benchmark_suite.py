"""Suites: what is run, and what is refused before anything is."""

import json
from functools import cache

import pytest
from tiny_suite import SEEING, TINY, tiny

from agents.benchmark_suite import SUITES, Training, identity, read_suite


def named(runs):
    return {(run.task, run.agent, run.seed) for run in runs}


@cache
def shipped(name):
    return read_suite(name).runs()


class TestRuns:
    def test_references_once_and_learners_by_seed(self, tmp_path):
        runs = read_suite(tiny(tmp_path)).runs()
        expected = {(task, agent, 0) for task in TINY["tasks"] for agent in ("zero", "ceiling")}
        expected |= {(task, "eq24", 0) for task in TINY["tasks"]}
        expected |= {(task, "ppo", seed) for task in TINY["tasks"] for seed in (0, 1)}
        expected |= {("shift", "sac", seed) for seed in (0, 1)}  # no steps are named for hold
        assert named(runs) == expected
        assert len(runs) == len(expected)

    def test_a_task_may_have_agents_of_its_own(self, tmp_path):
        tasks = TINY["tasks"] | {"hold": TINY["tasks"]["hold"] | {"agents": ["eq24"]}}
        runs = read_suite(tiny(tmp_path, tasks=tasks)).runs()
        assert {run.agent for run in runs if run.task == "hold"} == {"zero", "ceiling", "eq24"}

    def test_a_task_may_stand_apart(self, tmp_path):
        tasks = TINY["tasks"] | {"hold": TINY["tasks"]["hold"] | {"apart": True}}
        runs = read_suite(tiny(tmp_path, tasks=tasks)).runs()
        assert {run.task for run in runs if run.apart} == {"hold"}

    def test_trained_elsewhere_the_training_is_shared(self, tmp_path):
        tasks = TINY["tasks"] | {"other": {"env": "ndbmi/ShiftTargetCurl-v1", "trained": "shift"}}
        tasks["other"]["option"] = SEEING
        runs = read_suite(tiny(tmp_path, tasks=tasks)).runs()
        trainings = {
            task: {run.policy.name for run in runs if run.task == task and run.agent == "ppo"}
            for task in tasks
        }
        assert trainings["other"] == trainings["shift"]
        assert trainings["other"].isdisjoint(trainings["hold"])
        assert {run.task for run in runs if not run.at_home} == {"other"}

    def test_several_runs_of_ones_own(self, tmp_path):
        suite = read_suite(tiny(tmp_path)).chosen(["shift", "mine"], own={"mine": ["eq24", "zero"]})
        mine = [run for run in suite.runs() if run.agent == "mine"]
        assert [(run.seed, run.policy) for run in mine] == [(0, "eq24"), (1, "zero")]

    @pytest.mark.parametrize("name", sorted(path.stem for path in SUITES.glob("*.json")))
    def test_what_ships_has_runs(self, name):
        data = json.loads((SUITES / f"{name}.json").read_text())
        assert data["about"].endswith(".")
        runs = shipped(name)
        assert {run.task for run in runs} == set(data["tasks"])
        assert len({run.file for run in runs}) == len(runs)

    def test_generalisation_trains_nothing_that_core_does_not(self):
        trained = [
            {run.policy.name for run in shipped(name) if isinstance(run.policy, Training)}
            for name in ("generalisation", "core")
        ]
        assert trained[0]
        assert trained[0] < trained[1]


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    return read_suite(tiny(tmp_path_factory.mktemp("suite")))


class TestChosen:
    def test_tasks_and_agents(self, suite):
        runs = suite.chosen(["hold", "ppo"]).runs()
        assert {run.task for run in runs} == {"hold"}
        assert {run.agent for run in runs} == {"zero", "ceiling", "ppo"}

    @pytest.mark.parametrize(("n", "seeds"), [(1, {0}), (2, {0, 1}), (4, {0, 1, 2, 3})])
    def test_number_of_seeds(self, suite, n, seeds):
        runs = suite.chosen(["ppo"], n).runs()
        assert {run.seed for run in runs if run.agent == "ppo"} == seeds

    def test_ones_own_are_always_there(self, suite):
        runs = suite.chosen(["ppo"], own={"mine": "eq24"}).runs()
        assert {run.agent for run in runs} == {"zero", "ceiling", "ppo", "mine"}

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"only": ["shfit"]}, "'shfit'.*choose from shift, hold"),
            ({"own": {"ppo": "eq24"}}, "'ppo' is in suite tiny"),
            ({"own": {"filter": "a:b"}}, "choose another label"),
            ({"own": {"a/b": "eq24"}}, "agent 'a/b' cannot name a folder"),
            ({"own": {"mine": "no_such_module:act"}}, "no_such_module:act'.*no such baseline"),
            ({"own": {"mine": ["eq24", "gone.npz"]}}, "'gone.npz'.*no such baseline"),
            ({"n_seeds": 0}, "seeds = 0"),
        ],
    )
    def test_what_cannot_be_is_refused(self, suite, given, message):
        with pytest.raises(ValueError, match=message):
            suite.chosen(**given)


def changed(**changes):
    tasks = {"shift": TINY["tasks"]["shift"]}
    return {"tasks": tasks, "agents": {"eq24": "eq24"}} | changes


SHIFT = TINY["tasks"]["shift"]
DISTILLED = {"algo": "distill", "steps": 9}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": {}}, "'task': choose from tasks"),
        ({"seeds": [0, 0]}, "seeds = .0, 0.*different"),
        ({"seeds": [-1]}, "seeds = -1.*>= 0"),
        ({"trials": 0}, "trials = 0.*>= 1"),
        ({"segments": 1.5}, "segments = 1.5"),
        ({"tasks": []}, "tasks is .*mapping"),
        ({"tasks": {}}, "tasks is {}: name one"),
        ({"tasks": {"a/b": SHIFT}}, "task 'a/b' cannot name a folder"),
        ({"tasks": {"": SHIFT}}, "task '' cannot name a folder"),
        ({"seeds": [[1]]}, "seeds = .1.: give a whole"),
        ({"like": 5}, "like = 5: give the name"),
        ({"curve_trials": 21, "agents": {"a": {"algo": "ppo", "steps": 9}}}, "more than the 20"),
        (
            {"tasks": {"shift": SHIFT, "t": {"env": SHIFT["env"], "trained": "shift"}}},
            "task 't' has other observations or actions than 'shift'",
        ),
        ({"tasks": {"shift": SHIFT | {"trained": ["a"]}}}, "trained on .'a'.: give a task's"),
        ({"tasks": {"shift": SHIFT | {"animals": 3}}}, "animals of task 'shift' are 3: give a"),
        ({"tasks": {"shift": SHIFT | {"animals": [-1]}}}, "animals of task 'shift' = -1"),
        ({"tasks": {"shift": SHIFT | {"option": ["a"]}}}, "option of task 'shift' is .'a'.: give"),
        ({"tasks": {"shift": {}}}, "task 'shift' has no 'env'"),
        ({"tasks": {"shift": SHIFT | {"optoin": {}}}}, "'optoin': choose from option"),
        ({"tasks": {"shift": {"env": "ndbmi/Shift-v1"}}}, "task 'shift': .*Shift"),
        ({"tasks": {"shift": SHIFT | {"option": {"gaim": 1}}}}, "task 'shift': .*gaim"),
        ({"tasks": {"shift": SHIFT | {"agents": ["ppo"]}}}, "names the agent 'ppo'"),
        ({"tasks": {"shift": SHIFT | {"trained": "hold"}}}, "trained on 'hold'"),
        ({"tasks": {"shift": SHIFT | {"agents": "eq24"}}}, "agents of task 'shift' are 'eq24'"),
        ({"tasks": {"shift": SHIFT | {"agents": [1]}}}, "agents of task 'shift' are .1.: give"),
        ({"tasks": {"shift": SHIFT | {"apart": 1}}}, "apart of task 'shift' is 1"),
        ({"agents": [1]}, "agents is .1.: give a mapping"),
        ({"agents": {"a": 1}}, "agent 'a' is 1"),
        ({"agents": {"eq24": "zero"}}, "'eq24' has the name of a baseline"),
        ({"agents": {"a": {"algo": "ppo"}}}, "'a' has no 'steps'"),
        ({"agents": {"a": {"algo": "ppo", "steps": 0}}}, "steps of agent 'a' = 0"),
        ({"agents": {"a": {"algo": "ppo", "steps": {"hold": 9}}}}, "steps of agent 'a'.*'hold'"),
        ({"agents": {"a": {"algo": "ppq", "steps": 9}}}, "agent 'a' on 'shift': algo = 'ppq'"),
        ({"agents": {"a": {"algo": "ppo", "steps": 9, "hyper": {"gama": 1}}}}, "'gama'.*gamma"),
        ({"agents": {"a": {"algo": "ppo", "steps": {}}}}, "steps of agent 'a' = ..: name a task"),
        ({"agents": {"a": {"algo": "ppo", "steps": 9, "hyper": 5}}}, "hyper of agent 'a' is 5"),
        ({"agents": {"a": DISTILLED | {"hyper": {"gamma": 1.5}}}}, "gamma = 1.5.*from 0 to 1"),
        (
            {"agents": {"a": DISTILLED}, "tasks": {"s": {"env": "ndbmi/HoldTargetGoal-v0"}}},
            "'a' on 's': distill sees flat observations",
        ),
    ],
)
def test_what_is_no_suite_is_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        read_suite(tiny(tmp_path, **changed(**changes)))


def test_one_that_is_not_there_is_told_of():
    with pytest.raises(FileNotFoundError, match=r"'quik'.*core.*quick"):
        read_suite("quik")


def test_another_version_of_ones_own_is_another_agent(tmp_path, monkeypatch):
    file = tmp_path / "an_agent_in_two_versions.py"
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    for text in ("a = 1", "a = 2", "a = 1"):
        file.write_text(text)
        found.append(identity("an_agent_in_two_versions:a"))
    assert found[0] == found[2] != found[1]
    assert identity("eq24") == ""
    assert identity("pretrained")  # which another version of the package may bring


def test_all_of_a_package_is_what_an_agent_is_made_of(tmp_path, monkeypatch):
    package = tmp_path / "a_package_of_agents"
    package.mkdir()
    for name in ("__init__", "mine", "helpers"):
        (package / f"{name}.py").write_text("a = 1")
    monkeypatch.syspath_prepend(tmp_path)
    before = identity("a_package_of_agents.mine:a")
    found = {before}
    for name, text in {"helpers.py": "a = 2", "weights.json": "{}"}.items():
        (package / name).write_text(text)
        found.add(identity("a_package_of_agents.mine:a"))
    assert len(found) == 3
