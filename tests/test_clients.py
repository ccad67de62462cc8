"""The examples of other libraries: those that are installed here run, all say what they need."""

import csv
import re
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import gymnasium
import pytest

import ndbmi_gym  # noqa: F401 (registers the ids)

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "clients"
PAGES = ROOT / "docs" / "clients"
TORCH = re.search(r"^torch==.+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[0]
NAMES = sorted(path.stem.removeprefix("with_") for path in FOLDER.glob("with_*.py"))
HERE = {"cleanrl": "torch", "minari": "minari", "sb3_contrib": "sb3_contrib", "sb3": "torch"}
"""What these need beside the package, all of which the tests bring."""


@pytest.fixture
def runner(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    yield import_module("run")
    sys.modules.pop("run", None)


@pytest.mark.parametrize(
    "name",
    [
        "sb3",
        *(pytest.param(each, marks=pytest.mark.slow) for each in HERE if each != "sb3"),
    ],
)
def test_it_runs_and_learns(runner, monkeypatch, capsys, name):
    monkeypatch.setenv("MINARI_DATASETS_PATH", "")  # which one sets, to be put back
    if find_spec(HERE[name]) is None:
        pytest.skip(f"{HERE[name]} is not installed")
    try:
        import_module(f"with_{name}")
    finally:
        sys.modules.pop(f"with_{name}", None)
    found = runner.read(capsys.readouterr().out)
    assert found["steps/s"] > 0
    assert found["return"] > -12  # zero volition has -14.2
    assert found["success"] > 0.2


@pytest.mark.parametrize("name", NAMES)
def test_each_says_what_it_needs_and_has_a_page(runner, name):
    about = runner.head(name)
    assert about["dependencies"][0] == "ndbmi-gym"
    others = about["dependencies"][1:]
    assert TORCH in others or name == "minari"
    assert all("==" in each for each in others if each != "pillow")
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert f"examples/clients/with_{name}.py" in page
    assert "(../start.md#install)" in page
    assert about["tool"]["ndbmi-gym"]["autoreset"] in page
    assert f"\n{name}\n" in (PAGES / "index.md").read_text(encoding="utf-8")


def test_what_is_not_a_result_is_refused(runner):
    assert runner.read("noise\n1,234 steps/s, return -7.50, success 0.81\n") == {
        "steps/s": 1234.0,
        "return": -7.5,
        "success": 0.81,
    }
    with pytest.raises(ValueError, match="one line of results"):
        runner.read("nothing of the kind")


def test_the_table_has_a_row_for_each(runner):
    with (PAGES / "speed.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == NAMES
    for row in rows:
        assert row["autoreset"] == runner.head(row["name"])["tool"]["ndbmi-gym"]["autoreset"]
        assert float(row["steps/s"]) > 100
        assert row["gymnasium"]


def test_an_unknown_option_is_refused_in_pythons_words():
    # TorchRL's GymEnv tries frameskip=1, and goes on without on this phrase only
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'frameskip'.*options"):
        gymnasium.make("ndbmi/ShiftTarget-v1", frameskip=1)


def test_a_row_takes_the_place_of_its_own(runner, monkeypatch, tmp_path):
    monkeypatch.setattr(runner, "TABLE", tmp_path / "speed.csv")
    for name, speed in (("skrl", 1), ("cleanrl", 2), ("skrl", 3)):
        runner.note({"name": name, "steps/s": speed})
    assert runner.TABLE.read_text() == "name,steps/s\ncleanrl,2\nskrl,3\n"
