"""Learning curves: gone on with where the model is, and whole whenever a run is cut off."""

import csv

from agents.progress import COLUMNS, Progress
from agents.runs import PROGRESS


def rows(folder):
    with (folder / PROGRESS).open(newline="") as file:
        return list(csv.reader(file))


def begin(folder, steps=0, seconds=0.0):
    return Progress(folder, steps, seconds, (1000, "steps"))


def test_every_row_is_there_as_soon_as_it_is_told(tmp_path):
    progress = begin(tmp_path)
    assert rows(tmp_path) == [list(COLUMNS)]
    progress.tell(128, 1.26, (-3.25, 0.5, 17.333))
    assert rows(tmp_path)[1:] == [["128", "1.3", "-3.2500", "0.5000", "17.33"]]
    progress.close()


def test_what_came_after_the_checkpoint_is_told_anew(tmp_path):
    first = begin(tmp_path)
    for steps in (100, 200, 300):
        first.tell(steps, steps / 100, (0, 0, 0))
    first.close()
    again = begin(tmp_path, 200, 2.0)
    again.tell(310, 3.0, (1, 1, 1))
    again.close()
    assert [row[0] for row in rows(tmp_path)] == ["steps", "100", "200", "310"]


def test_the_bar_goes_no_further_than_the_budget(tmp_path):
    progress = begin(tmp_path, 200)
    progress.advance(700)
    assert progress._bar.n == 700
    progress.advance(1200)
    assert progress._bar.n == progress._bar.total == 1000
    progress.close()
