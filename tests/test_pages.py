"""The code on the pages that a newcomer reads first does what the pages say."""

import re
from pathlib import Path

import gymnasium
import pytest
import torch

ROOT = Path(__file__).parents[1]

# the same code, in seconds
SHORT = {
    r"num_envs=\d+": "num_envs=4",
    r"n_steps=\d+": "n_steps=8",
    r"batch_size=\d+": "batch_size=16",
    r"learn\([\d_]+.*?\)": "learn(64)",
    r"trials=\d+": "trials=3",
    r'render_mode="human"': 'render_mode="rgb_array"',
}


def code(page):
    """The blocks of Python on a page, shortened."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for long, short in SHORT.items():
        blocks = [re.sub(long, short, block, flags=re.DOTALL) for block in blocks]
    return blocks


def run(blocks, known=()):
    """Run blocks one after the other, as a reader would; what they leave behind."""
    left = dict(known)
    for block in blocks:
        exec(compile(block, "page", "exec"), left)
    return left


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Pages save files where the reader is."""
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(threads)


def test_the_readme(elsewhere):
    left = run(code("README.md"), {"gymnasium": gymnasium})
    assert left["env"].unwrapped.episodes.config.animals.animal == 3


def test_the_first_page(elsewhere):
    left = run(code("docs/start.md"))
    assert (elsewhere / "volition.zip").exists()
    assert len(left["scores"]["success"]) == 3


def test_a_policy_of_ones_own():
    blocks = code("docs/agents.md")
    left = run(block for block in blocks if "def lean" in block)
    assert len(left["found"]["score"]) == 3


def test_recorded_trials():
    left = run((b for b in code("docs/agents.md") if "load_trials" in b), {"gymnasium": gymnasium})
    assert len(left["trials"]) == 3
    assert gymnasium.make(left["spec"]).observation_space.shape == (24,)


def test_environments():
    making, changing = code("docs/environments/index.md")
    left = run([making])
    assert left["env"].unwrapped.episodes.config.animals.animal == 3
    scalar, vector, *_ = changing.splitlines()
    run([scalar, vector], left)
    assert left["venv"].num_envs == 4
