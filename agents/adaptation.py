"""Play trained agents through the adaptation study: ``python -m agents.adaptation --policy RUN``.

Agents are played and measured as the references of ``ndbmi-gym study adaptation`` are, and put into
the tables and pictures of its folder. Runs of the same label are pooled: intervals are over
training runs, and a single run has none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from agents.options import check_positive, parse, plain_errors, setting
from agents.runs import Agent
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.experiments.adaptation import study
from ndbmi_gym.experiments.adaptation.protocols import DELAY_STEPS, DEVICES, PROTOCOLS
from ndbmi_gym.experiments.adaptation.runs import study_of
from ndbmi_gym.experiments.bench.tables import Tables, concatenate, labelled
from ndbmi_gym.files import check_folder


@dataclass(frozen=True)
class Settings:
    """What is played, and on what; its fields are the command line."""

    policy: tuple[str, ...] = setting((), "folders of runs")
    out: str = setting("runs/study/adaptation", "folder of the study that they are put into")
    protocol: tuple[str, ...] = setting(tuple(PROTOCOLS), "sessions to play")
    device: str = setting("point mass", "what is moved", choices=tuple(DEVICES))
    delay: int = setting(DELAY_STEPS, "steps by which the senses are late")
    animals: int = setting(1, "animals 0, 1, ...; an agent knows those of its training")
    sessions: int = setting(10, "sessions of each animal")
    seed: int = setting(0, "of the sessions")
    threads: int = setting(1, "threads of torch")
    forget: bool = setting(False, "let agents forget between trials, as a control")
    trust: bool = setting(False, "let code in the folders run")

    def __post_init__(self) -> None:
        check_positive(self, "animals", "sessions", "threads")
        for name in self.protocol:
            if name not in PROTOCOLS:
                raise ValueError(f"protocol {name!r}: choose from {', '.join(PROTOCOLS)}")
        if not self.policy:
            raise ValueError("no policy: give folders of runs with --policy")


def play(settings: Settings) -> str:
    """Play all runs, put them into the study, and return its summary."""
    torch.set_num_threads(settings.threads)
    pools: dict[str, list[Tables]] = {}
    for folder in tqdm(settings.policy, desc="runs"):
        agent = Agent(folder, settings.trust)
        options = agent.config["settings"]["option"]
        tables = study_of(
            forgetting(agent) if settings.forget else agent,
            settings.protocol,
            settings.device,
            settings.animals,
            settings.sessions,
            options.get("observe", "neural"),
            settings.delay,
            settings.seed,
        )
        label = f"{agent.label}, forgetting" if settings.forget else agent.label
        pools.setdefault(label, []).append(tables)
    text = ""
    for label, runs in pools.items():
        pooled = {
            name: concatenate(labelled(run[name], run=i) for i, run in enumerate(runs))
            for name in settings.protocol
        }
        labels = {"policy": label, "device": settings.device, "delay": settings.delay}
        text = study.add(Path(settings.out), labels, pooled)
    return text


def forgetting(agent: Agent) -> type:
    """What makes a policy of an agent that remembers nothing from one trial to the next."""

    class Forgetting:
        """The agent, told at the beginning of every trial that an episode begins.

        Parameters
        ----------
        env : BMIVectorEnv
        """

        def __init__(self, env: BMIVectorEnv) -> None:
            self._episodes = env.episodes

        def predict(
            self, observation: Any, state: Any, begun: Any, deterministic: bool
        ) -> tuple[Any, Any]:
            """Act as the agent, whatever has begun besides."""
            begun = begun | (self._episodes.trial_step == 0)
            return agent.predict(observation, state, begun, deterministic)

    return Forgetting


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    with plain_errors():
        settings = Settings(**parse(Settings, arguments, __doc__))
        check_folder(settings.out)
        print(play(settings))


if __name__ == "__main__":
    main()
