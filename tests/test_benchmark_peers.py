import json
import re
from pathlib import Path

import benchmark_peers
import pytest
from benchmark_peers import NEEDS, PEERS, RECORD, environment, going, repeated


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Commands that would install something; the root of the checkout is another."""
    commands = []
    monkeypatch.setattr(benchmark_peers, "ROOT", tmp_path)
    monkeypatch.setattr(
        benchmark_peers.venv,
        "create",
        lambda folder, **_: folder.mkdir(parents=True, exist_ok=True),
    )
    monkeypatch.setattr(benchmark_peers.subprocess, "run", lambda run, check: commands.append(run))
    (tmp_path / "constraints.txt").write_text("numpy==2.0\ntorch==2.13.0\n")
    return commands


def test_an_environment_is_made_once_with_our_torch(installed):
    python = environment("motornet")
    assert environment("motornet") == python
    (command,) = installed
    assert {*NEEDS["motornet"]} < {*command}
    held = Path(command[command.index("-c") + 1])
    assert held.read_text() == "torch==2.13.0\n"


def test_an_environment_is_made_anew_for_other_needs(installed, monkeypatch):
    environment("gymnax")
    monkeypatch.setitem(NEEDS, "gymnax", ("gymnax==9.9",))
    environment("gymnax")
    assert "gymnax==9.9" in installed[1]


def test_a_step_goes_on_from_the_last_state_and_work_is_counted():
    seen = []
    step = going(lambda n: (n + 1, None), 0, lambda made: seen.append(made[0]) or made)
    step()
    step()
    assert seen == [1, 2]
    took = repeated(5, step)()
    assert took.done % 5 == 0
    assert took.done >= 5
    assert seen == [*range(1, len(seen) + 1)]


def test_what_is_kept_is_of_the_versions_that_are_asked_for():
    kept = json.loads(RECORD.read_text())
    assert [*kept] == [*NEEDS] == [*PEERS]
    for name, found in kept.items():
        asked = dict(
            re.sub(r"\[.*\]", "", need).split("==") for need in NEEDS[name] if "==" in need
        )
        assert asked.items() <= found["versions"].items()
        rounds = {len(each) for of in found["steps_per_s"].values() for each in of.values()}
        assert len(rounds) == 1
