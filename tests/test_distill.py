import csv
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch

from agents import convert, distill
from agents.distill import (
    Distillation,
    Recall,
    Recipe,
    advantages,
    network,
    privileged,
    whole_trials,
)
from agents.runs import AGENT, CONFIG, PROGRESS, STATE, Agent, make_env, read_config
from agents.train import HYPERPARAMS, Settings, main, train
from ndbmi_gym.files import write_json
from ndbmi_gym.policies import LookAhead, make_policy
from ndbmi_gym.policies.network import load_network
from ndbmi_gym.rollout import score

VALUES = json.loads((HYPERPARAMS / "distill.json").read_text())["default"]
SMALL = {"trials": 32, "teach_trials": 16, "encoder": 16, "memory": 8, "units": 16}
SMALL |= {"copy_part": 16, "tune_part": 16}
RECIPE = Recipe(**{k: v for k, v in (VALUES | SMALL).items() if k != "frame_stack"})
HOLD, SHIFT = "ndbmi/HoldTarget-v1", "ndbmi/ShiftTargetCurl-v1"
REACHES = "ndbmi/Adaptation-v0"
FEW = {"repetitions": 3}
"""Calibration responses: a look-ahead has its tables in a fraction of the time."""
TEN = FEW | {
    "session_trials": 10,
    "perturbation": {"kind": "blocks", "blocks": [{"trials": 5}, {"trials": 5, "curl": 1.5}]},
}
"""Sessions of ten reaches."""


def small(env_id=SHIFT, seed=0, option=FEW, **changes):
    return Distillation(replace(RECIPE, **changes), lambda n: make_env(env_id, n, option), seed)


def settings(tmp_path, **changes):
    chosen = {"algo": "distill", "env": SHIFT, "option": FEW, "steps": 12_000, "hyper": SMALL}
    return Settings(**(chosen | {"out": str(tmp_path / "run")} | changes))


def test_advantages_are_discounted_sums_of_errors_until_a_trial_ends():
    rng = np.random.default_rng(0)
    reward, value = rng.normal(size=(2, 6, 3)).astype(np.float32)
    running = np.arange(6)[:, None] < np.array([6, 3, 1])
    found = advantages(reward, value, running, 0.9, 0.8)
    for trial, length in enumerate(running.sum(axis=0)):
        ahead = [*value[1:length, trial], 0.0]
        errors = reward[:length, trial] + 0.9 * np.array(ahead) - value[:length, trial]
        for t in range(length):
            wanted = sum((0.9 * 0.8) ** (s - t) * errors[s] for s in range(t, length))
            assert np.isclose(found[t, trial], wanted, atol=1e-5)


def test_with_lambda_1_advantage_and_value_are_the_discounted_return():
    rng = np.random.default_rng(1)
    reward, value = rng.normal(size=(2, 5, 4)).astype(np.float32)
    running = np.ones((5, 4), bool)
    returns = advantages(reward, value, running, 0.95, 1.0) + value
    wanted = sum(0.95**t * reward[t] for t in range(5))
    assert np.allclose(returns[0], wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("share", "stage", "within"),
    [(0.0, "teach", 0), (0.05, "teach", 0.5), (0.1, "copy", 0), (0.3, "copy", 0.5)]
    + [(0.5, "tune", 0), (0.75, "tune", 0.5), (1.0, "tune", 1)],
)
def test_stages_follow_the_budget(share, stage, within):
    found = small(shares=(0.1, 0.5)).stage(share)
    assert found[0] == stage
    assert np.isclose(found[1], within)


def test_a_stage_without_a_share_is_left_out():
    run = small(shares=(0.0, 1.0))
    assert run.stage(0.0) == ("copy", 0.0)
    assert run.stage(1.0)[0] == "tune"  # a finished run that is gone on with


def test_batches_are_whole_trials_as_the_environment_plays_them():
    env = make_env(SHIFT, 8, {})

    def act(seen, state):
        return torch.full((8, 9), 0.2), torch.zeros(8, 9)

    batch = whole_trials(env, act, seed=5, first=0)
    played = score(SHIFT, lambda seen: np.full((len(seen), 9), 0.2), trials=8, seed=5)
    assert np.array_equal(batch.running.sum(axis=0), played["steps"])
    returns = (batch.reward * batch.running).sum(axis=0)
    assert np.allclose(returns, played["return"], atol=1e-4)
    order = np.argsort(played["steps"], kind="stable")  # as they end
    assert np.array_equal(batch.success, played["success"][order] == 1)
    assert batch.steps == played["steps"].sum()


def test_of_sessions_every_trial_is_judged():
    env = make_env(REACHES, 6, TEN)
    command = make_policy("eq24", env)

    def act(seen, state):
        action = torch.as_tensor(command.predict(seen.numpy())[0], dtype=torch.float32)
        return action, action

    batch = whole_trials(env, act, seed=5, first=0)
    played = score(REACHES, "eq24", trials=60, seed=5, **TEN)
    assert 0 < batch.success.sum() < 60
    assert len(batch.success) == 60
    assert batch.success.sum() == played["success"].sum()
    # a step between two trials begins the next one
    assert batch.steps == played["steps"].sum() + 6 * 9
    returns = (batch.reward * batch.running).sum()
    assert np.isclose(returns, played["return"].sum(), atol=1e-2)


@pytest.mark.parametrize("steps", [1, 99, 100, 101, 200, 250])
def test_windows_hold_everything_in_order(steps):
    values = torch.arange(steps * 3 * 2).reshape(steps, 3, 2) + 1
    found = distill.windows(values)
    assert len(found) == min(steps, 100)
    for place in range(found.shape[1]):
        wanted = values[100 * (place // 3) :, place % 3][: len(found)]
        assert torch.equal(found[: len(wanted), place], wanted)
        assert not found[len(wanted) :, place].any()
    assert int((found > 0).sum()) == values.numel()


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_windows_begin_with_what_was_remembered(cell):
    student = small(cell=cell).student
    recall, seen = Recall(student), torch.randn(230, 4, student.mean.shape[0])
    with torch.no_grad():
        played = torch.stack([recall(each) for each in seen])
        alone = student(seen)[0]
        places = torch.tensor([11, 0, 5, 8, 3])
        again = student(distill.windows(seen)[:, places], recall.at(places))[0]
    assert torch.allclose(played, alone, atol=1e-5)
    wanted, real = distill.windows(played)[:, places], places // 4
    for i, window in enumerate(real):
        length = min(100, 230 - 100 * int(window))
        assert torch.allclose(again[:length, i], wanted[:length, i], atol=1e-5)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_windows_are_learned_from_as_they_were_played(cell, monkeypatch):
    """Before it has learned anything, the student says of each step what it said there."""
    run = small(REACHES, cell=cell, option=TEN, trials=8, copy_part=8, tune_part=8, copy_noise=0.0)
    with torch.no_grad():
        run.student.head.weight *= 100  # its memory shows
    monkeypatch.setattr(distill, "_fall", lambda *_: 0.0)  # nor does it learn now
    said, ratios, shares = [], [], []
    surrogate, alike = distill._surrogate, distill._alike
    run.student.register_forward_hook(lambda *each: said.append(each[-1][0].detach()))

    def spying_surrogate(log_ratio, gained):
        ratios.append(log_ratio.detach())
        return surrogate(log_ratio, gained)

    def spying_alike(*given):
        for part, share in alike(*given):
            shares.append((part, share))
            yield part, share

    monkeypatch.setattr(distill, "_surrogate", spying_surrogate)
    monkeypatch.setattr(distill, "_alike", spying_alike)

    batch = run.learn(0.3)
    steps = len(batch.seen)
    assert steps > 100
    played = distill.windows(batch.action)
    assert float(played.std()) > 0.05
    for (part, share), again in zip(shares, said[steps:], strict=True):
        assert torch.allclose(again[share > 0], played[part][share > 0], atol=1e-4)

    shares.clear()
    run.learn(0.9)
    assert len(ratios) == len(shares) > 1
    for (_, share), ratio in zip(shares, ratios, strict=True):
        assert float(ratio[share > 0].abs().max()) < 1e-2


def test_what_ends_within_a_window_begins_without_memory():
    recall = Recall(small().student)
    for each in torch.randn(100, 4, 20):
        recall(each)
    assert recall.at(torch.arange(4)) is None


def test_the_teacher_sees_what_the_agent_does_not():
    env = make_env(HOLD, 4, {})
    env.reset(seed=0)
    for _ in range(3):
        env.step(np.full((4, 9), 0.1, np.float32))
    seen, episodes = privileged(env), env.episodes
    half_side = episodes.half_side_cm
    assert np.allclose(seen[:, :2], 2 * episodes.state.position / half_side)
    assert np.allclose(seen[:, 2:4], 2 * episodes.state.velocity / half_side)
    assert np.isfinite(seen).all()
    assert set(env.episodes.layout.columns) == {"counts", "action", "target"}


def test_time_is_a_share_of_the_trial_also_in_sessions():
    shares = []
    for env_id, option, limit in ((HOLD, FEW, 50), (REACHES, TEN, 24)):
        env = make_env(env_id, 2, option)
        env.reset(seed=0)
        before = privileged(env)
        for _ in range(12):
            env.step(np.zeros((2, 9), np.float32))
        grown = privileged(env) - before
        shares.append(np.isclose(grown, 12 / limit).all(axis=0).any())
    assert all(shares)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("env_id", [HOLD, SHIFT, "ndbmi/Rhythm-v0", "ndbmi/ShiftTargetArm-v0"])
def test_the_student_in_numpy_acts_as_in_torch(env_id, cell):
    run = small(env_id, cell=cell)
    run.learn(0.2)
    played = network(run.student, run.env, {})
    seen, _ = run.env.reset(seed=3)
    memory, state = None, None
    for _ in range(12):
        with torch.no_grad():
            wanted, _, memory = run.student(torch.as_tensor(seen)[None], memory)
        wanted = wanted[0].numpy().clip(run.env.episodes.low, 1.0)
        found, state = played.predict(seen, state)
        assert np.allclose(found, wanted, atol=1e-5)
        seen, *_ = run.env.step(found)


def test_copying_brings_the_student_closer_to_its_teacher():
    run = small(copy_epochs=2)

    def distance():
        memory = None

        def act(seen, state):
            nonlocal memory
            action, _, memory = run.student(seen[None], memory)
            return run.teacher(state), (action[0] - run.teacher(state)).clamp(-1, 1)

        batch = whole_trials(run.env, act, 7, 0)
        return float((batch.wished**2)[torch.as_tensor(batch.running)].mean())

    with torch.no_grad():  # a teacher that wants something
        run.teacher.layers[-1].bias[:] = torch.linspace(0.1, 0.6, 9)
    before = distance()
    for share in np.linspace(0.1, 0.4, 8):
        run.learn(share)
    assert distance() < 0.25 * before


def test_look_ahead_is_imitated():
    run = small(teacher="look_ahead", teach_trials=32)
    fresh, expert = make_env(SHIFT, 32, FEW), LookAhead(make_env(SHIFT, 32, FEW), avoids=True)
    expert.episodes = fresh.episodes

    def distance():
        def act(seen, state):
            label = torch.as_tensor(expert.predict(seen.numpy())[0])
            return run.teacher(state), label

        batch = whole_trials(fresh, act, 99, 0)
        with torch.no_grad():
            error = (run.teacher(batch.state) - batch.wished) ** 2
        return float(error[torch.as_tensor(batch.running)].mean())

    before = distance()
    for share in np.linspace(0.0, 0.14, 8):
        run.learn(share)
    assert distance() < 0.7 * before


def test_the_surrogate_is_ppos():
    log_ratio = torch.tensor([0.0, 0.5, 0.5, -0.5, -0.5], requires_grad=True)
    gained = torch.tensor([1.0, 1.0, -1.0, 1.0, -1.0])
    loss = distill._surrogate(log_ratio, gained)
    ratio = np.exp([0.0, 0.5, 0.5, -0.5, -0.5])
    clipped = ratio.clip(0.8, 1.2)
    wanted = -np.minimum(ratio * gained.numpy(), clipped * gained.numpy())
    assert np.allclose(loss.detach(), wanted)
    loss.sum().backward()
    # what was better than expected is made likelier, unless the policy has moved far already
    assert log_ratio.grad[0] < 0
    assert log_ratio.grad[1] == 0
    assert log_ratio.grad[2] > 0
    assert log_ratio.grad[4] == 0


def test_likelihoods_are_those_of_a_normal_policy():
    mean, log_std, action = torch.randn(5, 3), torch.randn(3), torch.randn(5, 3)
    wanted = torch.distributions.Normal(mean, log_std.exp()).log_prob(action).sum(-1)
    found = distill._log_likelihood(mean, log_std, action)
    assert torch.allclose(found - 1.5 * np.log(2 * np.pi), wanted, atol=1e-5)


def test_the_teacher_learns_from_rewards():
    run = small(HOLD, teach_trials=64, units=32, shares=(0.99, 0.99))
    returns = []
    for share in np.linspace(0, 0.5, 14):
        batch = run.learn(share)
        returns.append(float((batch.reward * batch.running).sum(axis=0).mean()))
    assert np.mean(returns[-2:]) > np.mean(returns[:2]) + 3


def test_the_critic_knows_the_student_before_it_is_tuned():
    """What returns vary by is mostly known after copying, and was not before."""
    run = small(SHIFT, trials=64, shares=(0.0, 1.0))

    def unknown(batch):
        returns = run._judge(batch, RECIPE.tune_gamma)[1]
        with torch.no_grad():
            errors = returns - run.critic(batch.state)[..., 0]
        kept = torch.as_tensor(batch.running)
        return float(errors[kept].var() / returns[kept].var())

    first = unknown(run.learn(0.0))
    for share in np.linspace(0, 0.9, 8):
        last = unknown(run.learn(share))
    assert last < 0.5 * first


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The settings of a run that nothing disturbed."""
    found = settings(tmp_path_factory.mktemp("whole"))
    assert train(found)
    return found


def test_a_run_that_goes_on_comes_to_the_same(whole, tmp_path):
    parted = settings(tmp_path)
    for until in (3_000, 7_000):
        assert train(replace(parted, resume=parted.folder.exists()), until=until)
    assert train(replace(parted, resume=True))
    curves = []
    for each in (whole, parted):
        with (each.folder / PROGRESS).open(newline="") as file:
            curves.append([row[:1] + row[2:] for row in csv.reader(file)])  # but for seconds
    assert curves[0] == curves[1]
    ours, theirs = (load_network(s.folder / AGENT) for s in (whole, parted))
    for one, other in zip(ours.layers, theirs.layers, strict=True):
        assert all(np.array_equal(one.weights[name], other.weights[name]) for name in one.weights)


def test_an_interrupt_in_the_midst_of_a_batch_leaves_no_trace(whole, tmp_path, monkeypatch):
    ours = settings(tmp_path)
    original, calls = Distillation.learn, []

    def cut(self, share):
        calls.append(share)
        if len(calls) == 5:
            with torch.no_grad():
                self.student.head.bias += 1.0
            raise KeyboardInterrupt
        return original(self, share)

    monkeypatch.setattr(Distillation, "learn", cut)
    assert not train(ours)
    assert not Agent(ours.folder).config["finished"]
    assert train(replace(ours, resume=True))
    one, other = (load_network(s.folder / AGENT).layers[-1] for s in (whole, ours))
    assert np.array_equal(one.weights["bias"], other.weights["bias"])


def test_other_commands_say_what_a_distilled_run_is_not_for(whole, tmp_path):
    folder = str(whole.folder)
    with pytest.raises(SystemExit, match="trained by distill, with which none begins: name one"):
        main(["--warm-start", folder, "--steps", "9", "--out", str(tmp_path / "new")])
    with pytest.raises(SystemExit, match=r"keeps weights itself: take .*agent\.npz"):
        convert.main([folder])


def test_a_run_is_an_agent_like_any_other(tmp_path):
    ours = settings(tmp_path, steps=2_000)
    assert train(ours)
    agent = Agent(ours.folder)
    env = gymnasium.make(SHIFT)
    seen, _ = env.reset(seed=0)
    action, state = agent.predict(seen)
    assert env.action_space.contains(action)
    agent.predict(seen, state)
    agent.check(make_env(SHIFT, 1, {}))
    with pytest.raises(ValueError, match="observe"):
        agent.check(make_env(SHIFT, 1, {"observe": "state"}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"teacher": "me"}, "teacher = 'me'"),
        ({"cell": "rnn"}, "cell = 'rnn'"),
        ({"shares": (0.5, 0.2)}, "in order"),
        ({"shares": (0.5,)}, "two numbers"),
        ({"shares": ("a", 1)}, "shares = 'a'"),
        ({"memory": 0}, "memory = 0"),
        ({"gamma": 1.1}, "gamma = 1.1: give a number from 0 to 1"),
        ({"copy_rate": "fast"}, "copy_rate = 'fast': give a number"),
        ({"copy_rate": -1.0}, "copy_rate = -1.0: give a number >= 0"),
        ({"teach_log_std": np.nan}, "teach_log_std = nan: give a number$"),
        ({"tune_std": (0.1, 0)}, "two numbers > 0"),
        ({"trials": 40}, "trials = 40: give a multiple"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        replace(RECIPE, **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"warm_start": "runs/other"}, "warm_start"),
        ({"tensorboard": True}, "tensorboard"),
        ({"curriculum": ({"from": 0.5, "option": {"effort_weight": 0}},)}, "curriculum"),
    ],
)
def test_what_distillation_does_not_know_is_refused(tmp_path, changes, words):
    with pytest.raises(ValueError, match=words):
        settings(tmp_path, **changes)


@pytest.mark.parametrize(
    ("env_id", "option", "words"),
    [
        ("ndbmi/HoldTargetGoal-v0", {}, "Goal"),
        (HOLD, {"max_episode_steps": None}, "give max_episode_steps"),
    ],
)
def test_environments_that_cannot_be_distilled_are_refused(tmp_path, env_id, option, words):
    with pytest.raises(ValueError, match=words):
        train(settings(tmp_path, env=env_id, option=FEW | option))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("shares", "told"), [((0.15, 0.65), True), ((0.0, 0.0), False), ((0.0, 1.0), False)]
)
def test_a_budget_that_ends_before_tuning_is_told_of(tmp_path, capsys, shares, told):
    ours = settings(tmp_path, steps=600, hyper=SMALL | {"shares": shares})
    assert train(ours)
    words = "batches, before the student was tuned"
    assert (words in capsys.readouterr().out) == told
    # interrupted at the very end, when there is nothing more to play
    config = read_config(ours.folder)
    write_json(ours.folder / CONFIG, config | {"finished": False})
    assert train(replace(ours, resume=True))
    assert (words in capsys.readouterr().out) == told
    assert read_config(ours.folder)["finished"]


def test_a_damaged_state_is_refused(tmp_path):
    ours = settings(tmp_path, steps=2_000)
    assert train(ours)
    path: Path = ours.folder / STATE
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="train anew"):
        train(replace(ours, resume=True, steps=4_000))
    path.unlink()
    with pytest.raises(FileNotFoundError, match="train anew"):
        train(replace(ours, resume=True, steps=4_000))


def test_minibatches_hold_every_step_once_and_count_all_alike():
    rng = np.random.default_rng(0)
    running = np.arange(25)[:, None] < rng.integers(1, 26, size=64)
    seen, total = np.zeros((25, 64)), 0.0
    for (steps, trials), share in distill._alike(running, 16, epochs=2):
        seen[steps, trials.numpy()] += running[steps, trials.numpy()]
        assert np.array_equal(share.numpy() > 0, running[steps, trials.numpy()])
        total += float(share.sum())
        assert len(share) == running[:, trials.numpy()].sum(axis=0).max()
    assert np.array_equal(seen, 2 * running)
    assert np.isclose(total / (2 * 64 / 16), 1.0, atol=1e-5)


def test_empty_places_of_minibatches_are_left_out():
    running = np.arange(7)[:, None] < np.array([7, 0, 3, 0, 5, 7])
    parts, total = [], 0.0
    for (_, trials), share in distill._alike(running, 2, epochs=1):
        parts.extend(trials.tolist())
        total += float(share.sum())
    assert sorted(parts) == [0, 2, 4, 5]
    assert np.isclose(total, 2)  # two minibatches of two, whose steps count as one each


def test_sessions_are_learned_from_and_gone_on_with(tmp_path):
    """The windows of a session leave nothing behind for the next batch."""
    asked = {"env": REACHES, "option": TEN, "steps": 30_000, "hyper": SMALL | {"teacher": "ppo"}}
    whole, parted = settings(tmp_path / "a", **asked), settings(tmp_path / "b", **asked)
    assert train(whole)
    assert train(parted, until=15_000)
    assert train(replace(parted, resume=True))
    ours, theirs = (load_network(each.folder / AGENT) for each in (whole, parted))
    for one, other in zip(ours.layers, theirs.layers, strict=True):
        assert all(np.array_equal(one.weights[name], other.weights[name]) for name in one.weights)


def test_seeds_and_batches_draw_trials_of_their_own():
    firsts = []
    for seed in range(3):
        run = small(seed=seed)
        for batch in range(5):
            run.batches = batch
            firsts.append(run._hashed())
    evaluated = [1_000, 500_000, 900_000, 2_000_000, 3_000_000]
    firsts = np.sort(firsts + evaluated)
    assert np.diff(firsts).min() > VALUES["trials"] + 1_000  # places take successive seeds


def test_hyper_parameters_of_another_version_are_told_of(tmp_path):
    file = tmp_path / "mine.json"
    for name, values in {
        "tune_warmup": VALUES | SMALL | {"tune_warmup": 0.1},
        "cell": {name: value for name, value in (VALUES | SMALL).items() if name != "cell"},
    }.items():
        with pytest.raises(ValueError, match=f"'{name}'"):
            distill.check(SHIFT, {}, values)
    file.write_text(json.dumps({"default": {k: v for k, v in VALUES.items() if k != "cell"}}))
    with pytest.raises(ValueError, match="'cell' is missing"):
        train(settings(tmp_path, hyperparams=str(file)))
    assert not (tmp_path / "run").exists()


def test_look_ahead_teaches_no_cortex_without_rates():
    option, values = {"cortex": "third_party:Latencies"}, VALUES | SMALL
    distill.check(SHIFT, option, values | {"teacher": "ppo"})
    with pytest.raises(ValueError, match="LookAhead needs expected rates"):
        distill.check(SHIFT, option, values | {"teacher": "look_ahead"})


def test_stacked_frames_are_refused(tmp_path):
    with pytest.raises(ValueError, match="frame_stack = 4"):
        train(settings(tmp_path, hyper=SMALL | {"frame_stack": 4}))
    assert not (tmp_path / "run").exists()


def test_rates_fall_to_a_part():
    assert distill._fall(1.0, 20, 0.0) == 1.0
    assert np.isclose(distill._fall(1.0, 20, 1.0), 0.05)
    assert np.isclose(partial(distill._fall, 3e-3, 30)(0.5), 3e-3 * 31 / 60)
