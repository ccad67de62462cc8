"""The loop when the device is sensed late or with noise: ``python docs/senses/late.py``.

Without volition, under the fixed Gaussian field (80 steps): the share of trials that ever come
within 1.5 cm of its centre, their mean distance from the ideal path until then (wtpe), and the
share of the last 25 steps spent there. On HoldTarget-v1: the score of the paper's command, of a
look-ahead on the true state, and of two particle filters, one that knows delay and noise and one
that takes what it hears to be of now. Means over five animals, with the standard deviation.
"""

from pathlib import Path

import gymnasium
import numpy as np
from tqdm import tqdm

from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.experiments.bench.tables import from_rows, write_csv
from ndbmi_gym.experiments.protocol.runs import run_ideal
from ndbmi_gym.policies import Eq24, LookAhead, ParticleFilter
from ndbmi_gym.rollout import score

OUT = Path(__file__).with_name("late.csv")
CASES = ((0, 0.0), (1, 0.0), (2, 0.0), (3, 0.0), (4, 0.0), (0, 1.0), (0, 2.0))
ANIMALS, STEPS, LATE, RADIUS_CM = range(5), 80, 25, 1.5
TRIALS, FILTERED = 100, 20


def fixed_field(animal: int, senses: dict[str, float]) -> tuple[float, float, float]:
    """Share of trials that converge, their wtpe, and the share of late steps inside."""
    task = {"kind": "hold", "targets": "field"}
    env = BMIVectorEnv(TRIALS, task=task, animal=animal, **senses)
    _, info = env.reset(seed=0)
    path, still = [info["position"]], np.zeros(env.action_space.shape, np.float32)
    for _ in range(STEPS):
        path.append(env.step(still)[4]["position"])
    loop = env.episodes.loops[0]
    ideal = run_ideal(loop.field, loop.plant, path[0], radius_cm=RADIUS_CM, max_steps=STEPS)
    inside = np.linalg.norm(path[1:], axis=-1) <= RADIUS_CM
    apart = np.linalg.norm(np.array(path[1:]) - ideal.path[1:], axis=-1)
    entered = inside.argmax(axis=0)
    wtpe = [apart[: n + 1, b].mean() for b, n in enumerate(entered) if inside[n, b]]
    return inside.any(axis=0).mean(), float(np.mean(wtpe)), inside[-LATE:].mean()


POLICIES = {
    "Eq 24": (Eq24, TRIALS),
    "look-ahead": (LookAhead, TRIALS),
    "filter": (lambda env: ParticleFilter(env, knows_force=False), FILTERED),
    "unaware filter": (
        lambda env: ParticleFilter(env, knows_force=False, knows_senses=False),
        FILTERED,
    ),
}


def main() -> None:
    """Measure all cases, and write them."""
    rows = []
    for delay, noise in tqdm(CASES, unit="case"):
        senses = {"delay_steps": delay, "noise_cm": noise}
        found = []
        for animal in ANIMALS:
            held = []
            for make, trials in POLICIES.values():
                env = gymnasium.make_vec(
                    "ndbmi/HoldTarget-v1", num_envs=trials, animal=animal, **senses
                )
                held.append(score(env, make(env), trials)["score"].mean())
            found.append([*fixed_field(animal, senses), *held])
        names = ("converge", "wtpe_cm", "late_inside", *POLICIES)
        row: dict[str, float] = dict(senses)
        for name, mean, sd in zip(names, np.mean(found, 0), np.std(found, 0, ddof=1), strict=True):
            row |= {name: round(float(mean), 3), f"{name} sd": round(float(sd), 3)}
        rows.append(row)
    write_csv(OUT, from_rows(rows))
    print(OUT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
