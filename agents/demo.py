"""The whole story in a few minutes: train an agent, compare it, draw and film it.

``python -m agents.demo`` trains PPO on ndbmi/ShiftTargetCurl-v1, where zero volition fails and the
paper's own command is mediocre, and leaves everything in one folder.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agents import evaluate, train
from agents.lineup import DEFAULT_ENV
from agents.options import parse, plain_errors, setting
from agents.runs import read_config


@dataclass(frozen=True)
class Settings:
    """The few choices of the demonstration; its fields are the command line."""

    minutes: float = setting(3.0, "of training")
    episodes: int = setting(1000, "trials of each policy in the comparison")
    seed: int = setting(0, "of the training")
    out: str = setting("runs/demo", "folder for everything; an earlier demo in it is replaced")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    with plain_errors():
        settings = Settings(**parse(Settings, arguments, __doc__))
        training = train.Settings(
            env=DEFAULT_ENV,
            minutes=settings.minutes,
            seed=settings.seed,
            out=settings.out,
            overwrite=True,
        )
        comparison = evaluate.Settings(
            policy=(settings.out,),
            episodes=settings.episodes,
            out=settings.out,
            figure=True,
            video=True,
        )
        print(f"training for {settings.minutes:g} minutes")
        if not train.train(training):
            return 130
        print(
            f"\n{DEFAULT_ENV}, {settings.episodes} trials; 95 % intervals over trials in brackets"
        )
        evaluate.run(comparison)
        steps = read_config(Path(settings.out))["steps"]
        print(
            f"\n{steps:,} steps in {settings.minutes:g} minutes. If the agent is no better than "
            "Eq 24, they may have been too few. To go on, and compare again:\n"
            f"python -m agents.train --resume --out {settings.out} --minutes {settings.minutes:g}\n"
            f"python -m agents.evaluate --policy {settings.out} --figure --out {settings.out}"
        )
        return 0


if __name__ == "__main__":
    sys.exit(main())
