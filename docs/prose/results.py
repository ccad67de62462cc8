"""The numbers of the pages on trained agents and on other libraries."""

from statistics import mean

from prose import Piece, Table, interval, number, sentence
from prose.data import read, scores

PAGE = "docs/results.md"


def pieces() -> list[Piece]:
    """All of them."""
    policies = ("zero", "eq24", "ppo", "filter", "ceiling")
    curl, soc = (
        {policy: scores(file, policy)["score"][0] for policy in policies}
        for file in ("shift_curl_neural", "shift_soc_neural")
    )
    effort = {
        f"{file}_{policy}": scores(f"{file}_neural", policy)["effort"][0]
        for file in ("shift_curl", "hold", "shift_soc")
        for policy in policies
    }
    shift = {policy: scores("shift_neural", policy) for policy in ("zero", "eq24")}
    return [
        sentence(
            PAGE,
            "the field's own centre ({zero:.1f} steps on average, of at most 25); the paper's "
            "command needs {eq24:.1f} steps, PPO {ppo:.1f}, the filter {filter:.1f}, the ceiling "
            "{ceiling:.1f}.",
            **curl,
        ),
        sentence(
            PAGE,
            "no volition {zero:.1f} steps, the paper's command {eq24:.1f}, PPO {ppo:.1f}, the "
            "filter {filter:.1f}, the ceiling {ceiling:.1f}.",
            **soc,
        ),
        sentence(
            PAGE,
            "under the curl field PPO has {ppo_return} of the way from floor to ceiling in "
            "return, {ppo} in score, the filter {filter_return:.2} and {filter:.2}; on hold both "
            "scales say the same ({hold_return:.2} and {hold:.2}).",
            ppo_return=_way("shift_curl", "ppo", "normalised_return"),
            ppo=_way("shift_curl", "ppo", "normalised"),
            filter_return=scores("shift_curl_neural", "filter")["normalised_return"][0],
            filter=scores("shift_curl_neural", "filter")["normalised"][0],
            hold_return=scores("hold_neural", "ppo")["normalised_return"][0],
            hold=scores("hold_neural", "ppo")["normalised"][0],
        ),
        sentence(
            PAGE,
            "By score PPO has {ppo} of the way to the ceiling and the filter {filter}; by return, "
            "which is what agents optimise, {ppo_return} and {filter_return}, intervals that "
            "overlap.",
            ppo_return=_way("shift_soc", "ppo", "normalised_return"),
            ppo=_way("shift_soc", "ppo", "normalised"),
            filter_return=_way("shift_soc", "filter", "normalised_return"),
            filter=_way("shift_soc", "filter", "normalised"),
        ),
        sentence(
            PAGE,
            "settle on less effort ({shift_curl_ppo:.2} and {hold_ppo:.2}) than the filter's "
            "{shift_curl_filter:.2} and {hold_filter:.2}.",
            **effort,
        ),
        sentence(
            PAGE,
            "with less input than filter and ceiling (mean effort {shift_soc_ppo:.2} against "
            "{shift_soc_filter:.2}).",
            **effort,
        ),
        sentence(
            "docs/clients/index.md",
            "zero volition has a return of {zero[return][0]:.1f} and success in "
            "{zero[success][0]:.3}, the paper's command {eq24[return][0]:.1f} and "
            "{eq24[success][0]:.2}.",
            **shift,
        ),
        Table(
            "docs/clients/sb3.md",
            ("`log_std_init`", "actions", "return", "success"),
            [_explored(log_std, rescaled) for rescaled in (False, True) for log_std in (0, -1)],
        ),
    ]


def _way(file: str, policy: str, scale: str) -> str:
    """How much of the way from floor to ceiling, with its interval."""
    return interval(scores(f"{file}_neural", policy)[scale], ".2", "–")


def _explored(log_std: int, rescaled: bool) -> list[str]:
    """Mean and every seed."""
    rows = [
        row
        for row in read("docs/clients/exploration.csv")
        if (int(row["log_std_init"]), row["rescaled"] == "1") == (log_std, rescaled)
    ]
    cells = [number(log_std, "d"), "`RescaleAction`" if rescaled else "the box"]
    for measure in ("return", "success"):
        each = [float(row[measure]) for row in rows]
        middle, *seeds = (number(value, ".2f") for value in (mean(each), *each))
        cells.append(f"{middle} ({', '.join(seeds)})")
    return cells
