"""Data in the repository, as pieces ask for them."""

import csv
import json
import math
from collections import Counter
from functools import cache
from typing import Any

import numpy as np

from ndbmi_gym.experiments.adaptation.summary import summarise
from ndbmi_gym.experiments.bench.crossed import mean_of
from ndbmi_gym.experiments.bench.statistics import Interval
from ndbmi_gym.experiments.bench.tables import Tables, read_folder
from prose import ROOT


@cache
def read(path: str) -> Any:
    """A file of JSON, or the rows of one of CSV."""
    with open(ROOT / path, encoding="utf-8", newline="") as file:
        return json.load(file) if path.endswith(".json") else list(csv.DictReader(file))


@cache
def tables(folder: str) -> Tables:
    """All tables of a folder."""
    return read_folder(ROOT / folder)


def scores(file: str, policy: str) -> dict[str, Any]:
    """A row of what `agents.evaluate` found: values with their intervals."""
    rows = [
        row
        for row in read(f"agents/results/{file}.json")["table"]
        if row["policy"].partition(",")[0] == policy
    ]
    if len(rows) != 1:
        raise ValueError(f"agents/results/{file}.json has {policy!r} {len(rows)} times, not once")
    return rows[0]


@cache
def benchmark(task: str, agent: str, quantity: str) -> Interval:
    """What an agent has in the core of the published benchmark, over its runs and trials."""
    folder = ROOT / "agents/results/benchmark/core" / task / agent
    files = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    if not files:
        raise ValueError(f"{folder} holds no runs: run the benchmark's suite core")
    values = [each["trials"][quantity] for each in files]
    return mean_of(np.array(values, float), "trained" in files[0], quantity)


def effects(policy: str, device: str = "point mass", delay: int = 3) -> dict[str, Interval]:
    """What the study of adaptation found for a policy."""
    found = tables("docs/adaptation")["effects"]
    return summarise(found, policy=policy, device=device, delay=delay)


def hindsight(agent: str) -> list[float]:
    """Share of steps inside at the end of training, by seed."""
    rows = [row for row in read("docs/clients/her.csv") if row["agent"] == agent]
    last = max(int(row["steps"]) for row in rows)
    return [float(row["held"]) for row in rows if int(row["steps"]) == last]


def verdicts() -> Counter[str]:
    """How many of the paper's claims have which verdict."""
    claims = read("docs/reproduction/claims.json")["claims"]
    return Counter(claim["verdict"] for claim in claims)


def holding(least: float = 0.0, below: float = math.inf) -> int:
    """How many of the claims that hold also hold under such a share of random parameters."""
    claims = read("docs/reproduction/claims.json")["claims"]
    return sum(c["verdict"] == "holds" and least <= c["random_sets"] < below for c in claims)
