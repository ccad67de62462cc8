"""What a step is made of: every stage timed alone, on a whole batch."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from benchmark_rounds import Spent, enough, interleaved, spent

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.step import Trials

SIGNED = 0.15
"""Mean effort of signed volition, by which circuits are measured."""


def volition(space: Any, effort: float) -> Any:
    """Actions of a mean effort: the same on all electrodes, or drawn for a circuit."""
    if effort != SIGNED:
        return np.full(space.shape, effort, np.float32)
    drawn = 2 * SIGNED * np.random.default_rng(0).uniform(-1, 1, space.shape)
    return drawn.astype(np.float32) if space.low.min() < 0 else np.abs(drawn).astype(np.float32)


def stages(
    env_id: str,
    num_envs: int = 256,
    effort: float = 0.1,
    rounds: int = 5,
    seconds: float = 0.02,
    **options: Any,
) -> dict[str, float]:
    """Microseconds per trial that each stage of a step takes, the least disturbed of some rounds.

    The stages are those that Python calls for a whole batch, in the middle of trials; the compiled
    step goes through the same functions trial by trial, so that it may take less than their sum.
    """
    env: Any = gymnasium.make_vec(env_id, num_envs=num_envs, **options)
    env.reset(seed=0)
    action = volition(env.action_space, effort)
    for _ in range(env.spec.max_episode_steps // 2):
        env.step(action)
    now = env.unwrapped.episodes
    loop, state, signals, streams = now.loops[0], now.state, now.signals, now.streams
    interface, added = loop.interface, now.max_count * action.astype(float)
    stimulus, activity = interface.sense(state.position), signals.activity
    trains = loop.cortex.respond(stimulus, added, streams, activity).trains
    point, given = interface.decode(trains, loop.decoder), action.astype(float)
    judged = now.target, given, now.outcome, now.half_side_cm
    places = state, now.sensed, now.outcome, signals.virtual_point
    trials = Trials(streams, now.animal, now.target, activity, *places)
    task_of = np.zeros(num_envs, np.int64)
    parts: dict[str, Callable[[], Any]] = {
        "stimulus": lambda: interface.sense(state.position),
        "spikes": lambda: loop.cortex.respond(stimulus, added, streams, activity),
        "decoding": lambda: interface.decode(trains, loop.decoder),
        "desired field": lambda: loop.field(point),
        "motion": lambda: loop.plant.advance(state, signals.force),
        "reward": lambda: now.task.assess(state, state, *judged),
        "observation": lambda: now.layout.observe(signals, state, given, now.target),
        "the compiled step": lambda: now._run(trials, given, task_of, moves=True),
        "info": now.info,
        "all of step(), new trials included": lambda: env.step(action),
    }

    def measure(part: Callable[[], Any], times: int) -> Callable[[], Spent]:
        return lambda: spent(times * num_envs, lambda: [part() for _ in range(times)])

    measures = {}
    for name, part in parts.items():
        cycle = env.spec.max_episode_steps + 1 if name.startswith("all") else 1
        measures[name] = measure(part, enough(part, seconds, cycle))
    found = interleaved(measures, rounds)
    env.close()
    return {name: 1e6 / max(each.rate for each in spans) for name, spans in found.items()}
