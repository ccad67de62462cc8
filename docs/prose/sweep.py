"""The numbers of the search for hyper-parameters."""

from typing import Any

from prose import Piece, sentence
from prose.data import read

PAGE = "docs/agents.md"


def pieces() -> list[Piece]:
    """All of them."""
    data = read("docs/sweep/ppo.json")
    trials, kept = data["trials"], data["confirmation"]
    whole = [trial for trial in trials if not trial["pruned"]]
    first, best = trials[0], max(whole, key=lambda trial: trial["score"])
    return [
        sentence(
            PAGE,
            "After {steps:,} steps the present values have {first[score]:.2} and the best trial "
            "{best[score]:.2}.",
            steps=data["made"]["settings"]["steps"],
            first=first,
            best=best,
        ),
        sentence(
            PAGE,
            "but trial {tried[number]:d} ({tried[score]:.2}), which takes no longer",
            tried=trials[kept["trial"]],
        ),
        sentence(
            PAGE,
            "In {n:word} fresh trainings of {steps:,} steps each it has {hold[swept]:.2} where the "
            "present values have {hold[current]:.2} on hold, and {curl[swept]:.2} to their "
            "{curl[current]:.2} under the curl field:",
            n=len(kept["training seeds"]),
            steps=kept["steps"],
            hold=_normalised(kept, "ndbmi/HoldTarget-v1"),
            curl=_normalised(kept, "ndbmi/ShiftTargetCurl-v1"),
        ),
        sentence(
            PAGE,
            "It renews its policy after {best:,} steps where the present values collect {first:,}.",
            best=_rollout(best),
            first=_rollout(first),
        ),
    ]


def _normalised(kept: dict[str, Any], env_id: str) -> dict[str, float]:
    """Normalised scores of present and swept values."""
    return {row["policy"]: row["normalised"][0] for row in kept["results"][env_id]["table"]}


def _rollout(trial: dict[str, dict[str, int]]) -> int:
    """Steps that are collected before the policy is renewed."""
    return trial["params"]["n_envs"] * trial["params"]["n_steps"]
