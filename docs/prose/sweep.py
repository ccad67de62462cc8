"""The numbers of the search for hyper-parameters."""

from prose import Piece, sentence
from prose.data import read

PAGE = "docs/agents.md"


def pieces() -> list[Piece]:
    """All of them."""
    data = read("docs/sweep/ppo.json")
    trials = data["trials"]
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
            "It renews its policy after {best:,} steps where the present values collect {first:,}.",
            best=_rollout(best),
            first=_rollout(first),
        ),
    ]


def _rollout(trial: dict[str, dict[str, int]]) -> int:
    """Steps that are collected before the policy is renewed."""
    return trial["params"]["n_envs"] * trial["params"]["n_steps"]
