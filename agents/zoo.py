"""Hyper-parameter files for RL Baselines3 Zoo, made from our own: ``python -m agents.zoo``.

For each algorithm a file that the Zoo reads (``--conf-file agents/zoo/ppo.yml``) with an entry for
every id, whose values are those that `agents.train` takes for it. What the Zoo cannot say is said
in a comment at the head of the file.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import gymnasium

import ndbmi_gym  # noqa: F401  (registers the environments)
from agents.options import JSON, parse, plain_errors, setting
from agents.recorder import is_linear
from agents.runs import make_env, short_name
from agents.train import DEFAULT_STEPS, read_hyperparams
from agents.train import Settings as Run
from ndbmi_gym.files import check_folder, write_text

NAMES = {"ppo": "ppo", "sac": "sac", "recurrent_ppo": "ppo_lstm"}
"""What the Zoo calls our algorithms, and the files of their hyper-parameters."""

FOLDER = Path(__file__).parent / "zoo"

_HEAD = """\
# Hyper-parameters of agents/hyperparams/{algo}.json, for RL Baselines3 Zoo. Made by
# `python -m agents.zoo`; do not edit.
#
#     python -m rl_zoo3.train --algo {name} --env {example} --gym-packages ndbmi_gym \\
#       --conf-file agents/zoo/{name}.yml
#
# What is different from `python -m agents.train --algo {algo}`:
# - n_envs single environments are stepped one by one, where agents.train has one batch of so many;
#   docs/clients/rl_zoo3.md gives the Zoo that batch.
# - n_timesteps is the default of agents.train; results say with how many they were made.
"""
_LINEAR = """\
# - A learning rate lin_x goes from x to 0 over the run; ours goes from {ends}.
"""


@dataclass(frozen=True)
class Settings:
    """What is written; its fields are the command line."""

    out: str = setting(str(FOLDER), "folder for the files")


def files() -> dict[str, str]:
    """The text of each file, by its name."""
    return {f"{name}.yml": text(algo) for algo, name in NAMES.items()}


@cache
def ids() -> dict[str, bool]:
    """All ids, and whether their observations are mappings, as those of goals."""
    found = {}
    for env_id in gymnasium.registry:
        if env_id.startswith("ndbmi/"):
            env = make_env(env_id, 1, {})
            found[env_id] = isinstance(env.single_observation_space, gymnasium.spaces.Dict)
            env.close()
    return found


def text(algo: str) -> str:
    """A file for the Zoo: an entry for each id that the policy of our file can make sense of.

    Ids of the same values share one.

    Parameters
    ----------
    algo : str
        One of ours.
    """
    ours = {env_id: read_hyperparams(Run(algo=algo, env=env_id)) for env_id in ids()}
    for env_id, mapped in ids().items():
        if mapped != ours[env_id]["policy"].startswith("MultiInput"):
            del ours[env_id]
    ends = {
        " to ".join(map(_scalar, hyper["learning_rate"]["linear"]))
        for hyper in ours.values()
        if is_linear(hyper["learning_rate"])
    }
    example = "ndbmi/HoldTarget-v1"
    lines = [_HEAD.format(algo=algo, name=NAMES[algo], example=example).rstrip("\n")]
    if ends:
        lines.append(_LINEAR.format(ends=", or ".join(sorted(ends))).rstrip("\n"))
    first: dict[str, str] = {}  # by content, who has it
    for env_id, hyper in ours.items():
        content = json.dumps(hyper, sort_keys=True)
        if content in first:
            lines.append(f"\n{env_id}: *{first[content]}")
            continue
        first[content] = short_name(env_id)
        lines.append(f"\n{env_id}: &{first[content]}")
        lines += [f"  {name}: {value}" for name, value in translated(hyper).items()]
    return "\n".join(lines) + "\n"


def translated(hyper: Mapping[str, Any]) -> dict[str, str]:
    """Hyper-parameters in the Zoo's words, as YAML.

    Parameters
    ----------
    hyper : mapping
        As `agents.train.read_hyperparams` returns them.

    Raises
    ------
    ValueError
        If there is a value that the Zoo's files have no word for.
    """
    whole: JSON = {"n_timesteps": DEFAULT_STEPS} | dict(hyper)
    if whole["frame_stack"] == 1:
        del whole["frame_stack"]  # the Zoo would wrap the environment for nothing
    return {name: _value(name, value) for name, value in whole.items()}


def _value(name: str, value: Any) -> str:
    if is_linear(value):
        return f"lin_{value['linear'][0]!r}"
    if name == "policy_kwargs":
        words = {key: repr(each) for key, each in value.items()}
        if "activation_fn" in words:
            words["activation_fn"] = f"nn.{value['activation_fn']}"
        return f'"dict({", ".join(f"{key}={each}" for key, each in words.items())})"'
    if isinstance(value, Mapping | list | tuple):
        raise ValueError(
            f"{name} = {value!r}: the Zoo has no word for it, add one to agents/zoo.py"
        )
    return _scalar(value)


def _scalar(value: Any) -> str:
    """A number, a word or a truth value in YAML 1.1, to which 1e-05 is a word."""
    if isinstance(value, float) and "e" in repr(value):
        return f"!!float {value!r}"
    return value if isinstance(value, str) else json.dumps(value)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    with plain_errors():
        settings = Settings(**parse(Settings, arguments, __doc__))
        check_folder(settings.out)
        for name, content in files().items():
            write_text(Path(settings.out) / name, content)
            print(Path(settings.out) / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
