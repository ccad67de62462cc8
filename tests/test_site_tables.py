"""The tables of the site say what registry, declarations and results say."""

import json
import pkgutil
import re
from importlib import import_module
from pathlib import Path

import gymnasium
import pytest

import ndbmi_gym
from agents.evaluate import retabulate
from ndbmi_gym.config import option_tables
from ndbmi_gym.policies.pretrained import shipped

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "environments"
IDS = [name for name in gymnasium.registry if name.startswith("ndbmi/")]


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    return import_module("site_tables")


def cells(text):
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]


def test_every_id_has_a_page(tables):
    rows = cells(tables.ids())[2:]
    index = (PAGES / "index.md").read_text(encoding="utf-8")
    assert len(rows) == len(IDS)
    for row, name in zip(rows, IDS, strict=True):
        page = re.fullmatch(rf"\[`{name}`\]\((\w+)\.md\)", row[0])[1]
        spec = gymnasium.spec(name)
        session = "{session_trials} trials of at most {trial_steps}"
        limit = spec.max_episode_steps or session.format(**spec.kwargs)
        assert row[3] == str(limit)
        assert f"\n{page}\n" in index
        text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
        for table in ("spaces", "observed", "scores", "parts"):
            assert f"{{derived}} {table} {name}\n" in text
        assert f"../animations/{page}.gif" in text


@pytest.mark.parametrize("name", IDS)
def test_spaces_and_their_columns(tables, name):
    env = gymnasium.make(name)
    space, observe = env.observation_space, env.unwrapped.episodes.config.observation.observe
    parts = space.values() if isinstance(space, gymnasium.spaces.Dict) else [space]
    (default,) = (line for line in tables.spaces(name).splitlines() if "(default)" in line)
    assert f'observe="{observe}"' in default
    assert all(str(part.shape) in default for part in parts)
    head, _, *rows = cells(tables.observed(name))
    shown = head.index(observe)
    entries = sum(part.shape[0] for part in parts)
    assert sum(int(row[1]) for row in rows if row[shown]) == entries
    env.close()


def test_every_option_of_every_part(tables):
    page = (PAGES / "options.md").read_text(encoding="utf-8")
    for part, kinds in option_tables().items():
        assert f"\n## {part}\n" in page
        assert f"{{derived}} options {part}\n" in page
        text = tables.options(part)
        for kind, options in kinds.items():
            assert len(kinds) == 1 or f'"{kind}"' in text
            for option in options:
                assert f"| `{option.name}` |" in text
                assert option.meaning
                assert option.meaning in text


def test_options_that_differ_in_their_defaults_share_a_table(tables):
    rows = [row for row in cells(tables.options("task")) if row[0] == "`dwell`"]
    assert rows[0][1:4] == ["`1`", "`2`", "`0`"]
    assert {row[1] for row in rows[1:]} == {"`2`"}  # of tasks that have other options, too


def test_parts_of_an_id(tables):
    rows = {row[0].split("]")[0][1:]: row for row in cells(tables.parts("ndbmi/ShiftTargetSOC-v1"))}
    assert rows["cortex"][1] == "`soc`"
    assert "`stimuli=32`" in rows["cortex"][2]
    assert "`volition='signed'`" in rows["volition"][2]


def test_scores_are_those_on_file(tables):
    found = json.loads((ROOT / "agents" / "results" / "hold_neural.json").read_text())
    (agent,) = (row for row in found["table"] if row["policy"].startswith("ppo"))
    # the table of neural observation comes first
    shown, *_ = (row for row in cells(tables.scores(found["env"])) if "ppo" in row[0])
    middle, low, high = agent["score"]
    assert shown[1:3] == ["3 × 1,000", f"{middle:.3f}<br>({low:.3f}–{high:.3f})"]
    assert shown[5] == "{:.2f}<br>({:.2f}–{:.2f})".format(*agent["normalised_return"])


def test_trained_agents_are_shown_as_they_were_scored(tables):
    rows = cells(tables.shipped())[2:]
    assert [row[0] for row in rows] == [f"`{env_id}`" for env_id in shipped()]
    for row, each in zip(rows, shipped().values(), strict=True):
        assert row[1].startswith(each["about"]["algo"])
        assert row[3] == str(each["selected"]["agents"])
        mean, low, high = each["success"]
        assert row[5] == f"{mean:.3f}<br>({low:.3f}–{high:.3f})"
    assert "{derived} shipped\n" in (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")


def test_coverage_is_shown_as_simulated(tables):
    path = ROOT / "docs" / "interval_coverage.json"
    found = json.loads(path.read_text(encoding="utf-8"))["rows"]
    rows = cells(tables.coverage())[2:]
    assert len(rows) == len(found)
    for shown, row in zip(rows, found, strict=True):
        assert shown[:2] == [row["interval"], row["data"]]
        assert shown[2:5] == [f"{row['coverage'][n]:.2f}" for n in ("3", "5", "10")]
    assert "{derived} coverage\n" in (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")


def test_committed_tables_are_those_of_their_trials(tables, tmp_path):
    for path in sorted(tables.RESULTS.glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
        again = retabulate(tmp_path / path.name)["table"]
        for row, told in zip(again, found["table"], strict=True):
            assert list(row) == list(told)
            for name, values in told.items():
                assert row[name] == (pytest.approx(values) if values else values), path.name


@pytest.mark.parametrize("name", IDS)
def test_every_id_has_scores(tables, name):
    assert "| ceiling |" in tables.scores(name)


def test_sections_of_the_docstring(tables):
    assert "effort_weight" in tables.docstring("Rewards")
    with pytest.raises(ValueError, match="section 'Nothing'"):
        tables.docstring("Nothing")


def test_bars_within_a_cell(tables):
    assert tables.table(("a",), [("|x|",)]).endswith("| \\|x\\| |")


def test_every_module_is_in_the_reference():
    page = (ROOT / "docs" / "reference" / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^   (ndbmi_gym[\w.]*)$", page, re.MULTILINE))
    found = {
        module.name
        for module in pkgutil.walk_packages(ndbmi_gym.__path__, "ndbmi_gym.")
        if not module.ispkg and not module.name.startswith("ndbmi_gym.cli")
    }
    assert found <= listed


def test_every_extra_says_what_it_is_for(tables):
    rows = {row[0].strip("`"): row[1:] for row in cells(tables.extras())[2:]}
    assert list(rows) != []
    assert set(rows) == set(tables.EXTRAS)
    assert "extra `render`" in rows["sb3"][0]
    assert "moviepy" in rows["render"][0]


def test_clients_say_what_their_row_says(tables):
    for page in (ROOT / "docs" / "clients").glob("*.md"):
        if page.stem != "index":
            assert f"```{{derived}} client {page.stem}\n" in page.read_text(encoding="utf-8")
            assert f"run.py {page.stem}`" in tables.client(page.stem)
            assert f"]({page.stem}.md) |" in tables.clients()
