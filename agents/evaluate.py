"""Compare policies on the same trials: ``python -m agents.evaluate --policy runs/mine --figure``.

The floor (zero volition), the paper's command (Eq 24) and the reference ceiling are always in the
table. Runs of the same label are pooled: a mean over training seeds.
"""

import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import gymnasium
import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from agents.intervals import Bootstrap, interval
from agents.options import JSON, parse, setting
from agents.pictures import draw_figure, write_video
from agents.runs import Agent, versions, write_json, write_whole
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.policies import POLICIES, make_policy

FLOOR, COMMAND, CEILING = "zero", "eq24", "ceiling"
DEFAULT_ENV = "ndbmi/ShiftTargetCurl-v0"
DATA, TABLE, FIGURE, VIDEO = "evaluation.json", "table.md", "trajectories.png", "agent.mp4"

_BATCH = 250  # trials side by side
_LAST_STEPS = 25  # those that count when a target is to be held
_SHOWN_STARTS = 8
_SHOWN_TRIALS = 6

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Settings:
    """What is to be evaluated, and on what; its fields are the command line."""

    policy: tuple[str, ...] = setting((), f"{', '.join(POLICIES)}, or the folder of a run")
    env: str | None = setting(
        None, f"environment id; by default that of the first run, or {DEFAULT_ENV}"
    )
    option: Mapping[str, Any] = setting(
        None, "option of the environment, e.g. observe=state (may be repeated)"
    )
    episodes: int = setting(1000, "trials of each policy, for each subject")
    seed: int = setting(1000, "of the trials")
    subjects: tuple[int, ...] = setting((), "animals to test on; by default that of the options")
    out: str = setting("runs/evaluation", "folder for the results")
    figure: bool = setting(False, "draw trajectories")
    video: bool = setting(False, "film the last policy named")
    stochastic: bool = setting(False, "let agents explore")
    threads: int = setting(1, "threads of torch")


class Actor(Protocol):
    """What acts on batched observations: a baseline, an `Agent` or an SB3 model."""

    def predict(
        self,
        observation: npt.NDArray[Any],
        state: Any = None,
        episode_start: npt.NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[npt.NDArray[Any], Any]:
        """Actions (B, n) and what to hand in as `state` the next time."""
        ...


Lineup = dict[str, list[str | Agent]]
"""What is compared, by label: one baseline's name, or agents from runs of the same label."""

QUANTITIES = ("score", "success", "return", "effort", "steps")
"""What is measured of a trial.

The score is the number of steps to arrival (a miss takes all there are), or in tasks that do not
end on arrival the share of the last 25 steps that ended in the target. The effort is the mean of
|action| over electrodes and steps.
"""


def evaluate(settings: Settings) -> JSON:
    """Results of all policies on the same trials.

    All trials of a batch begin at once and each counts once, however long it takes: none is left
    out for being slow.

    Returns
    -------
    dict
        JSON types throughout. ``table``: a row for each policy, quantities as ``[mean, low,
        high]`` with 95 % intervals (see `tabulate`). ``trials``: for each policy and quantity the
        values of all trials, nested as (run, subject, trial). ``scene`` and ``paths``: trajectories
        between starts and targets that all policies share.

    Raises
    ------
    FileNotFoundError
        If a policy is neither a baseline's name nor the folder of a run.
    ValueError
        If an agent cannot act on what the environment shows, or has a baseline's name.
    """
    torch.set_num_threads(settings.threads)
    lineup = line_up(settings.policy)
    env_id, options = _place(settings, lineup)
    animals = [options | {"subject": subject} for subject in settings.subjects] or [options]
    trials, score = _measure_all(env_id, animals, lineup, settings)
    return {
        "env": env_id,
        "options": options,
        "settings": dataclasses.asdict(settings),
        "versions": versions(),
        "runs": {
            label: [str(member.folder) for member in members if isinstance(member, Agent)]
            for label, members in lineup.items()
        },
        "score": score,
        "table": tabulate(trials, settings.seed),
        **_show(env_id, animals[0], lineup, settings),
        "trials": {
            label: {name: np.round(values, 4).tolist() for name, values in measured.items()}
            for label, measured in trials.items()
        },
    }


def line_up(policies: Sequence[str]) -> Lineup:
    """Floor and command first, then what was named in that order, the ceiling last."""
    lineup: Lineup = {FLOOR: [FLOOR], COMMAND: [COMMAND]}
    for policy in dict.fromkeys(policies):
        if policy in POLICIES:
            lineup[policy] = [policy]
            continue
        agent = Agent(policy)
        if agent.label in POLICIES:
            raise ValueError(f"{policy} is labelled {agent.label!r}, the name of a baseline")
        lineup.setdefault(agent.label, []).append(agent)
    lineup.pop(CEILING, None)
    return lineup | {CEILING: [CEILING]}


def play(
    env: BMIVectorEnv, actor: Actor, seen: npt.NDArray[Any], deterministic: bool
) -> Iterator[tuple[BoolArray, FloatArray, JSON]]:
    """Run every trial of a batch to its end, from the observations of `reset`.

    Yields which trials were still running, the rewards and the infos of each step. Trials that
    ended begin anew in the following step (autoreset), and are not counted again.
    """
    state: Any = None
    running, begun = np.ones((2, env.num_envs), bool)
    ended = np.zeros(env.num_envs, bool)
    while running.any():
        action, state = actor.predict(seen, state, begun, deterministic)
        begun = ended
        seen, reward, terminated, truncated, info = env.step(action)
        yield running, reward, info
        ended = terminated | truncated
        running = running & ~ended


def measure(env: BMIVectorEnv, actor: Actor, seed: int, deterministic: bool = True) -> FloatArray:
    """`QUANTITIES` of one trial in each place of a batch, (5, B)."""
    seen, _ = env.reset(seed=seed)
    success = np.zeros(env.num_envs)
    taken, inside, rewards, efforts = [], [], [], []
    for running, reward, info in play(env, actor, seen, deterministic):
        taken.append(running)
        inside.append(info["inside"])
        rewards.append(reward * running)
        efforts.append(info["effort"] * running)
        success[running] = info["is_success"][running]
    steps = np.sum(taken, axis=0)
    score = np.mean(inside[-_LAST_STEPS:], axis=0) if _holds(env) else steps
    return np.stack(
        [score, success, np.sum(rewards, axis=0), np.sum(efforts, axis=0) / steps, steps]
    )


def tabulate(trials: Mapping[str, Mapping[str, FloatArray]], seed: int = 0) -> list[JSON]:
    """Means with 95 % intervals of each policy's trials, (runs, subjects, episodes).

    ``normalised`` is the score on a scale from the floor (0) to the ceiling (1, and above where an
    agent beats it); None if these two are not apart.
    """
    _, n_subjects, n_episodes = trials[FLOOR]["score"].shape
    bootstrap = Bootstrap(n_subjects, n_episodes, seed=seed)
    rows, scores = [], {}
    for label, measured in trials.items():
        row: JSON = {"policy": label, "runs": len(measured["score"])}
        for name in ("score", "success", "return", "effort"):
            resampled = bootstrap.means(measured[name])
            row[name] = [float(measured[name].mean()), *interval(resampled)]
            if name == "score":
                scores[label] = np.append(row["score"][0], resampled)
        rows.append(row)
    span = scores[CEILING] - scores[FLOOR]
    low, high = interval(span[1:])
    for row in rows:
        row["normalised"] = None
        if low > 0 or high < 0:
            normalised = (scores[row["policy"]] - scores[FLOOR]) / span
            row["normalised"] = [float(normalised[0]), *interval(normalised[1:])]
    return rows


def format_table(data: JSON) -> str:
    """The table of an evaluation in Markdown, columns aligned."""
    digits = {"score": 3 if data["score"].startswith("share") else 1, "success": 3, "effort": 3}
    names = ("score", "success", "return", "effort", "normalised")
    lines = [["policy", "runs", data["score"], *names[1:]]]
    for row in data["table"]:
        cells = [row["policy"], str(row["runs"])]
        for name in names:
            mean, low, high = (f"{x:.{digits.get(name, 2)}f}" for x in row[name] or [np.nan] * 3)
            cells.append(f"{mean} ({low}, {high})" if row[name] else "–")
        lines.append(cells)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(map(str.ljust, cells, widths, strict=True)) + " |" for cells in lines
    )


def save(data: JSON, settings: Settings) -> None:
    """Write what `evaluate` found, and the figure and the video that were asked for."""
    out = Path(settings.out)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / DATA, data)
    (out / TABLE).write_text(format_table(data) + "\n")
    if settings.figure:
        draw_figure(out / DATA, out / FIGURE)
    if settings.video:
        lineup = line_up(settings.policy)
        *_, last = lineup[_featured(settings)]
        env = _make(data["env"], 1, data["options"], render_mode="rgb_array")
        frames = film(env, _seat(last, env), settings.seed, not settings.stochastic)
        write_video(out / VIDEO, frames, env.metadata["render_fps"])
        env.close()


def film(
    env: BMIVectorEnv, actor: Actor, seed: int, deterministic: bool = True, n_trials: int = 6
) -> Iterator[npt.NDArray[np.uint8]]:
    """Pictures of successive trials, each of which pauses at its end."""
    for trial in range(n_trials):
        seen, _ = env.reset(seed=seed + trial)
        yield _picture(env)
        for _ in play(env, actor, seen, deterministic):
            last = _picture(env)
            yield last
        yield from [last] * env.metadata["render_fps"]


def _place(settings: Settings, lineup: Lineup) -> tuple[str, JSON]:
    """Environment and options: those that are set, else those of the first run."""
    changes = dict(settings.option or {})
    if settings.env is not None:
        return settings.env, changes
    agents = [member for members in lineup.values() for member in members]
    for agent in agents:
        if isinstance(agent, Agent):
            trained = agent.config["settings"]
            return trained["env"], trained["option"] | changes
    return DEFAULT_ENV, changes
