import os
import subprocess
import sys
from importlib.util import find_spec

import gymnasium
import pytest
import yaml
from torch import nn

from agents import train, zoo

HELD = {name: zoo.FOLDER / name for name in zoo.files()}


@pytest.mark.parametrize("name", HELD)
def test_the_files_are_those_that_our_own_make(name):
    assert HELD[name].read_text() == zoo.files()[name], "run: python -m agents.zoo"


def test_every_id_has_an_entry_but_for_goals_where_there_is_no_policy_for_them():
    every = {env_id for env_id in gymnasium.registry if env_id.startswith("ndbmi/")}
    goals = {env_id for env_id in every if env_id.endswith("Goal-v0")}
    for name, path in HELD.items():
        entries = yaml.safe_load(path.read_text())
        assert set(entries) == (every - goals if name == "ppo_lstm.yml" else every)
        for env_id, entry in entries.items():
            assert entry["policy"].startswith("MultiInput") == (env_id in goals)


@pytest.mark.parametrize("algo", zoo.NAMES)
def test_an_entry_reads_as_what_training_takes(algo):
    entries = yaml.safe_load(HELD[f"{zoo.NAMES[algo]}.yml"].read_text())
    for env_id in ("ndbmi/HoldTarget-v1", "ndbmi/Adaptation-v0"):
        ours = train.read_hyperparams(train.Settings(algo=algo, env=env_id))
        entry = dict(entries[env_id])
        assert entry.pop("n_timesteps") == train.DEFAULT_STEPS
        networks = eval(entry.pop("policy_kwargs"), {"nn": nn})
        mine = ours.pop("policy_kwargs")
        assert networks.pop("activation_fn") is getattr(nn, mine.pop("activation_fn"))
        assert networks == mine
        rate, own = entry.pop("learning_rate"), ours.pop("learning_rate")
        assert rate == (f"lin_{own['linear'][0]}" if isinstance(own, dict) else own)
        assert entry.pop("frame_stack", 1) == ours.pop("frame_stack")
        assert entry == ours


def test_small_numbers_stay_numbers():
    words = zoo.translated({"frame_stack": 2, "ent_coef": 1e-05, "use_sde": True, "train_freq": 4})
    text = "\n".join(f"{name}: {value}" for name, value in words.items())
    read = yaml.safe_load(text)
    assert read == {
        "n_timesteps": train.DEFAULT_STEPS,
        "frame_stack": 2,
        "ent_coef": 1e-05,
        "use_sde": True,
        "train_freq": 4,
    }


def test_what_has_no_word_is_refused():
    with pytest.raises(ValueError, match="no word"):
        zoo.translated({"frame_stack": 1, "train_freq": [1, "episode"]})


@pytest.mark.skipif(find_spec("rl_zoo3") is None, reason="the Zoo wants an environment of its own")
@pytest.mark.parametrize(
    ("name", "env_id"),
    [*((name, "FixedField-v1") for name in HELD), ("sac.yml", "HoldTargetGoal-v0")],
)
def test_the_zoo_reads_them(name, env_id, tmp_path):
    words = ["--algo", name.removesuffix(".yml"), "--env", f"ndbmi/{env_id}"]
    words += ["--gym-packages", "ndbmi_gym", "--conf-file", str(HELD[name]), "-n", "64"]
    words += ["--hyperparams", "n_envs:2", "--eval-freq", "-1", "-f", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "rl_zoo3.train", *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("*/*/*.zip"))
