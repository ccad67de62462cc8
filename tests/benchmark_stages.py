"""What a step is made of: every stage timed alone, on a whole batch."""

from typing import Any

import gymnasium
import numpy as np
from benchmark_rounds import enough, interleaved, spent

import ndbmi_gym  # noqa: F401 (registers the ids)


def stages(
    env_id: str, num_envs: int = 256, rounds: int = 5, seconds: float = 0.02, **options: Any
) -> dict[str, float]:
    """Microseconds per trial that each stage of a step takes, the least disturbed of some rounds.

    The stages are those that Python calls; the compiled step goes through the same functions and
    leaves nothing between them in memory, so that it may take less than their sum.
    """
    env: Any = gymnasium.make_vec(env_id, num_envs=num_envs, **options)
    env.reset(seed=0)
    action = np.zeros(env.action_space.shape, np.float32)
    env.step(action)
    episodes = env.unwrapped.episodes
    loop, streams, state = episodes.loops[0], episodes.streams, episodes.state
    interface, volition = loop.interface, np.zeros(action.shape)
    stimulus, activity = interface.sense(state.position), episodes.signals.activity
    response = loop.cortex.respond(stimulus, volition, streams, activity)
    point, force = interface.decode(response.trains, loop.decoder), episodes.signals.force
    judged = state, episodes.target, episodes.action, episodes.outcome.streak, episodes.half_side_cm
    parts = {
        "stimulus": lambda: interface.sense(state.position),
        "spikes": lambda: loop.cortex.respond(stimulus, volition, streams, activity),
        "decoding": lambda: interface.decode(response.trains, loop.decoder),
        "desired field": lambda: loop.field(point),
        "motion": lambda: loop.plant.advance(state, force),
        "reward": lambda: episodes.task.assess(state, *judged),
        "observation": lambda: episodes.layout.observe(
            episodes.signals, state, episodes.action, episodes.target
        ),
        "info": episodes.info,
        "all stages, compiled as one": lambda: episodes.step(action),
        "whole step, new trials included": lambda: env.step(action),
    }

    def measure(part: Any, times: int) -> Any:
        return lambda: spent(times * num_envs, lambda: [part() for _ in range(times)])

    measures = {}
    for name, part in parts.items():
        cycle = env.spec.max_episode_steps + 1 if name.startswith("whole") else 1
        measures[name] = measure(part, enough(part, seconds, cycle))
    found = interleaved(measures, rounds)
    env.close()
    return {name: 1e6 / max(each.rate for each in spans) for name, spans in found.items()}
