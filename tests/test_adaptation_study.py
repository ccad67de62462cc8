from pathlib import Path

import numpy as np
import pytest

from ndbmi_gym import cli
from ndbmi_gym.experiments.adaptation import study
from ndbmi_gym.experiments.adaptation.protocols import PROTOCOLS, Protocol
from ndbmi_gym.experiments.adaptation.report import markdown
from ndbmi_gym.experiments.adaptation.study import Case, Plan
from ndbmi_gym.experiments.adaptation.study_drawing import draw_after_effects
from ndbmi_gym.experiments.bench.tables import read_csv, read_folder, write_csv
from ndbmi_gym.policies import LEARNERS

SHORT = Protocol(
    "adaptation",
    (
        {"name": "baseline", "trials": 2},
        {"name": "adaptation", "trials": 12, "curl": 1.5, "catch": [9]},
        {"name": "washout", "trials": 2},
    ),
)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A study of two policies in short sessions, and its folder."""
    out = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROTOCOLS, "adaptation", SHORT)
        patch.setattr(Plan, "cases", lambda self: [Case("ignorant"), Case("zero")])
        plan = Plan(out, animals=2)
        text = study.run(plan)
        made = plan.part(Case("zero")).stat().st_mtime_ns
        again = study.run(plan)
        kept = plan.part(Case("zero")).stat().st_mtime_ns == made
    return out, text, again, kept


def test_a_study_writes_tables_pictures_and_what_made_them(done):
    out, text, again, kept = done
    assert text == again
    assert kept  # nothing is measured twice
    assert {path.name for path in out.iterdir()} == {
        *("parts", "parameters.json", "effects.csv", "curves.csv", "study.md"),
        *("curves.png", "after_effects.png"),  # there is nothing to be seen of a transfer
    }
    effects = read_csv(out / "effects.csv")
    assert set(effects["policy"].tolist()) == {"ignorant", "zero"}
    assert set(effects["animal"].tolist()) == {0, 1}
    assert "| ignorant | point mass | 3 | – | 2 × 1 |" in text
    assert "Force channels" not in text  # no such sessions were played


def test_pictures_are_drawn_from_tables_alone(done, capsys):
    out, text, _, _ = done
    for name in ("curves", "after_effects"):
        (out / f"{name}.png").unlink()
    assert cli.main(["study", "adaptation", "--redraw", "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == text.strip()
    assert (out / "curves.png").stat().st_size > 1000


def test_the_tables_of_the_page_are_those_of_its_data():
    folder = Path(__file__).parents[1] / "docs" / "adaptation"
    text = (folder / "study.md").read_text(encoding="utf-8")
    assert markdown(read_folder(folder)) == text.strip()
    assert text.count("\n| listener: ") == 6  # three devices, and three further tables


def test_a_picture_has_a_mark_for_each_policy(done):
    out = done[0]
    figure = draw_after_effects({"effects": read_csv(out / "effects.csv")})
    (axes,) = figure.axes
    assert len(axes.get_yticklabels()) == 2
    assert len(axes.containers) == 4  # catch and washout of either


def test_what_is_not_there_is_not_drawn(tmp_path, capsys):
    assert cli.main(["study", "adaptation", "--redraw", "--out", str(tmp_path)]) == 2
    assert "measure them first, without --redraw" in capsys.readouterr().err
    write_csv(tmp_path / "effects.csv", {"effect": np.array(["late"])})
    assert cli.main(["study", "adaptation", "--redraw", "--out", str(tmp_path)]) == 2


def test_a_study_covers_all_references_protocols_and_devices(tmp_path):
    cases = Plan(tmp_path).cases()
    assert len(set(cases)) == len(cases)
    assert {case.policy for case in cases} == set(LEARNERS)
    assert {case.protocol for case in cases if case.policy == "bayes"} == set(PROTOCOLS)
    assert {case.device for case in cases} == {"point mass", "arm", "circuit"}
    quick = Plan(tmp_path, quick=True, policies=("third_party:gust",)).cases()
    assert {case.protocol for case in quick} == {"adaptation"}
    assert "third_party:gust" in {case.policy for case in quick}


@pytest.mark.parametrize("option", [["--animals", "1"], ["--jobs", "0"], ["--seed", "-1"]])
def test_values_out_of_range_are_refused(option, tmp_path, capsys):
    assert cli.main(["study", "adaptation", "--out", str(tmp_path), *option]) == 2
    assert "give at least" in capsys.readouterr().err
