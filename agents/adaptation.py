"""Trained agents in the study of adaptation: ``python -m agents.adaptation --run RUN RUN ...``.

Runs of `agents.train` are played through the protocols of ``ndbmi-gym study adaptation``, and written
in the form of its results: tables, pictures and ``study.md``. Runs of one label are training seeds
of one agent: its intervals are over them. Run folders are read without running code of theirs,
unless ``--trust`` is given.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from agents.options import check_positive, parse, plain_errors, setting
from agents.runs import Agent, versions
from ndbmi_gym.experiments.adaptation.protocols import DELAY_STEPS, DEVICES, PROTOCOLS
from ndbmi_gym.experiments.adaptation.runs import study_of
from ndbmi_gym.experiments.adaptation.study import redraw, write
from ndbmi_gym.experiments.bench.tables import Tables, concatenate, labelled
from ndbmi_gym.files import write_json


@dataclass(frozen=True)
class Settings:
    """What is to be played; its fields are the command line."""

    run: tuple[str, ...] = setting((), "folders of runs of agents.train")
    device: str = setting("point mass", "what is moved", choices=tuple(DEVICES))
    animals: int = setting(10, "animals 0, 1, ...")
    seed: int = setting(0, "of the sessions")
    out: str = setting("runs/adaptation", "folder for the results")
    threads: int = setting(1, "threads of torch")
    trust: bool = setting(False, "let code in the folders that are named run")

    def __post_init__(self) -> None:
        check_positive(self, "animals", "threads")
        if not self.run:
            raise ValueError("there is no run to play: name folders by --run")


def play(settings: Settings) -> dict[str, Tables]:
    """Trials of all runs, by label and protocol, with a column that tells the runs of a label apart.

    Raises
    ------
    FileNotFoundError
        If a folder holds no run.
    ValueError
        If an agent does not fit the sessions of the study.
    """
    torch.set_num_threads(settings.threads)
    agents = [Agent(folder, settings.trust) for folder in settings.run]
    played: dict[str, list[Tables]] = {}
    for agent in tqdm(agents, unit="run"):
        observe = agent.config["settings"]["option"].get("observe", "neural")
        found = study_of(
            agent,
            device=settings.device,
            animals=settings.animals,
            observe=observe,
            seed=settings.seed,
        )
        runs = played.setdefault(f"{agent.label}, {observe}", [])
        runs.append({name: labelled(table, run=len(runs)) for name, table in found.items()})
    return {
        label: {name: concatenate([tables[name] for tables in runs]) for name in PROTOCOLS}
        for label, runs in played.items()
    }


def run(settings: Settings) -> str:
    """Play, write, and return the summary, in Markdown."""
    out = Path(settings.out)
    out.mkdir(parents=True, exist_ok=True)
    labels = {"device": settings.device, "delay": DELAY_STEPS}
    played = [({"policy": label} | labels, tables) for label, tables in play(settings).items()]
    write(out, played)
    write_json(
        out / "parameters.json",
        {"settings": dataclasses.asdict(settings), "versions": versions()},
    )
    return redraw(out)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    with plain_errors():
        print(run(Settings(**parse(Settings, arguments, __doc__))))


if __name__ == "__main__":
    main()
