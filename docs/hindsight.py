"""What hindsight replay gains: ``python docs/hindsight.py [SEED ...]``, six minutes for 0 1 2.

Trains the agents of ``examples/her.py``, with hindsight and without, writes how they learn to
``docs/clients/her.csv``, and draws ``docs/clients/her.png`` from that file. Without seeds it only
draws.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

ROOT = Path(__file__).parents[1]
TABLE, PICTURE = (ROOT / "docs" / "clients" / f"her.{kind}" for kind in ("csv", "png"))
HEAD = ("agent", "seed", "steps", "held")
AGENTS = {"SAC with HER": True, "SAC": False}
STEPS = 10_000


def measure(seeds: list[int]) -> None:
    """Train with every seed, and write the curves."""
    sys.path.insert(0, str(ROOT / "examples"))
    import her

    rows = []
    for agent, hindsight in AGENTS.items():
        for seed in seeds:
            for steps, held in her.learn(hindsight, seed, STEPS):
                rows.append((agent, seed, steps, round(held, 4)))
                print(*rows[-1], flush=True)
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([HEAD, *rows])


def curves() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By agent, steps of training (n,) and shares held of each seed (seeds, n)."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = {}
    for agent in AGENTS:
        mine = [row for row in rows if row["agent"] == agent]
        steps = np.unique([int(row["steps"]) for row in mine])
        found[agent] = steps, np.reshape([float(row["held"]) for row in mine], (-1, len(steps)))
    return found


def draw() -> None:
    """Mean over seeds, and a thin line for each."""
    figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
    for (agent, (steps, held)), colour in zip(curves().items(), ("C0", "0.45"), strict=True):
        ax.plot(steps, held.mean(axis=0), "o-", color=colour, label=agent)
        ax.plot(steps, held.T, color=colour, lw=0.7, alpha=0.6)
    ax.set(xlabel="steps of training", ylabel="share of steps inside", xlim=(0, None), ylim=(0, 1))
    ax.legend(frameon=False)
    figure.savefig(PICTURE, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    if seeds := list(map(int, sys.argv[1:])):
        measure(seeds)
    draw()
