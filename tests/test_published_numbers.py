"""Numbers in prose are those of the data, and a number that is not is found and put right."""

import shutil
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def command():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs")
        yield import_module("published_numbers")


@pytest.fixture(scope="module")
def prose(command):
    return import_module("prose")


@pytest.fixture(scope="module")
def known(command):
    return command.pieces()


@pytest.fixture
def copy(tmp_path, command, known, monkeypatch):
    """The pages in a folder of their own; pieces are made once."""
    monkeypatch.setattr(command, "pieces", lambda: known)
    for page in command.pages(ROOT):
        (tmp_path / page).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / page, tmp_path / page)
    return tmp_path


def changed(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_every_page_says_what_the_data_say(copy, command, capsys):
    assert command.main(["--check"], copy) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("page", "old", "new"),
    [
        ("README.md", ".521 (.505–.536)", ".522 (.505–.536)"),  # in a table
        ("README.md", "The paper's own command has\n.706", "The paper's own command has\n.760"),
        ("docs/studies/adaptation.md", "(−0.02 cm, −0.08 to 0.03;", "(0.02 cm, −0.08 to 0.03;"),
        ("docs/studies/circuit.md", "R² .47 (4 units)", "R² .74 (4 units)"),
        ("docs/studies/circuit.md", "| 12.2 | 0.75 | 1 |", "| 12.2 | 0.57 | 1 |"),
        ("docs/circuit/report.md", "| 9 to 16 | 11.5 | met |", "| 9 to 16 | 15.1 | met |"),
        (
            "docs/adaptation/study.md",
            "| 2.72 | 2.37 |",
            "| 2.72 | 2.38 |",
        ),  # a page that is data alone
    ],
)
def test_a_number_that_differs_is_found_and_put_right(copy, command, capsys, page, old, new):
    before = (copy / page).read_text(encoding="utf-8")
    changed(copy / page, old, new)
    assert command.main(["--check"], copy) == 1
    assert f"--- {page}" in capsys.readouterr().out
    assert (copy / page).read_text(encoding="utf-8") != before
    assert command.main([], copy) == 0
    assert (copy / page).read_text(encoding="utf-8") == before


def test_a_new_number_must_come_from_somewhere(copy, command, capsys):
    with (copy / "README.md").open("a", encoding="utf-8") as file:
        file.write("\nIt does so in .123 of the trials.\n")
    assert command.main(["--check"], copy) == 1
    assert ".123 in 'It does so in .123 of the trials.'" in capsys.readouterr().out


def test_words_that_changed_leave_no_number_behind(copy, command, capsys):
    changed(copy / "README.md", "statements of the paper that can", "statements that can")
    assert command.main([], copy) == 1
    assert "README.md has 'Of the {all:d} statements" in capsys.readouterr().out


def test_what_is_given_is_on_a_page(copy, command, capsys):
    changed(copy / "README.md", "takes 1.7 GB", "takes 2 GB")
    assert command.main(["--check"], copy) == 1
    assert "README.md has 'takes 1.7 GB' no more" in capsys.readouterr().out


def test_a_page_that_is_gone(command, prose):
    _, (error,) = command.restate({}, [prose.sentence("gone.md", "{a:d}", a=1)])
    assert error.startswith("gone.md is no page")


@pytest.mark.parametrize(
    ("value", "form", "written"),
    [
        (0.9584, ".3", ".958"),
        (1.0, ".3", "1.000"),
        (-0.0704, ".2", "−.07"),
        (-4.618, ".2f", "−4.62"),
        (-0.001, ".2f", "0.00"),
        (-0.001, ".2", ".00"),
        (0.25, ".0%", "25%"),
        (12345, ",", "12,345"),
        (3, "word", "three"),
        (1.5, "g", "1.5"),
    ],
)
def test_numbers_are_written_as_pages_have_them(prose, value, form, written):
    assert prose.number(value, form) == written


def test_a_sentence_keeps_its_lines(prose):
    piece = prose.sentence(
        "page.md", "of {n:word} runs {a:.2} in {b[0]:,} trials", n=3, a=0.5, b=[1000]
    )
    text = "Of one. The share of two\nruns .7\n   in 20 trials."
    assert piece.restated(text) == "Of one. The share of three\nruns .50\n   in 1,000 trials."


def test_an_interval_goes_in_as_one(prose):
    shown = prose.interval((0.93, 0.9123, 1), ".2", "–")
    assert shown == ".93 (.91–1.00)"
    piece = prose.sentence("page.md", "has {way} of the way", way=shown)
    text = "It has .93\n(.91–1.00) of the way."
    assert piece.restated(text) == text
    assert piece.restated(text.replace(".93", ".7")) == text


def test_a_sentence_does_not_begin_within_a_number(prose):
    piece = prose.sentence("page.md", "{a:.1f} cm", a=2)
    assert piece.restated("is 12.75 cm long") == "is 2.0 cm long"
    assert piece.restated("−1,234.5 cm") == "2.0 cm"


def test_no_number_is_no_number(prose):
    with pytest.raises(ValueError, match="nan: prose has no place for it"):
        prose.number(float("nan"), ".2f")


@pytest.mark.parametrize("text", ["nothing", "1 cm and 2 cm"])
def test_a_piece_is_there_once(prose, text):
    with pytest.raises(ValueError, match=r"page.md has '\{a:d\} cm' [02] times, not once"):
        prose.sentence("page.md", "{a:d} cm", a=2).restated(text)


def test_a_table_is_found_by_its_head(prose):
    other = "| a | b |\n|---|---|\n| x | 1 |\n"
    text = other + "\n| a | c |\n| --- | :-: |\n| y | 2 |\n| z | 3 |\n\nEnd.\n"
    table = prose.Table("page.md", ("a", "c"), [("y", "4")])
    assert table.restated(text) == text.replace("| y | 2 |\n| z | 3 |", "| y | 4 |")
    with pytest.raises(ValueError, match=r"page.md has 'a \| d' 0 times"):
        prose.Table("page.md", ("a", "d"), []).restated(text)


def test_which_numbers_are_covered(prose):
    text = (
        "A radius of 1.5 cm, `0.1` s, [0.2](0.3.md), .4 and 0.5 of Python 3.11.\n"
        "```python\nx = 0.6\n```\n```{figure} 7.png\nShown: 0.8.\n```\n"
        "    indented 0.9\nv1.2.3, 2.5.\n"
    )
    pieces = [prose.sentence("page.md", "{a:.1} and {b:.1f} of", a=0.4, b=0.5)]
    lines = prose.uncovered(text, pieces, ["radius of 1.5 cm", "Python 3.11"])
    assert [line.partition(" in ")[0] for line in lines] == ["1: 0.2", "6: 0.8", "9: 2.5"]
