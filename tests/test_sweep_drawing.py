"""The picture of a sweep shows its trials, from the data alone."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from agents import sweep, train

CURRENT = train.read_hyperparams(train.Settings())


@pytest.fixture
def data(tmp_path):
    """The file of a sweep of four trials, the second of which was given up."""
    trials = [
        {
            "number": number,
            "params": sweep.params("ppo", CURRENT) | {"gamma": 0.9 + 0.01 * number},
            "pruned": number == 1,
            "score": None if number == 1 else 0.1 * number,
            "curve": {"a": [0.0, 0.1 * number]},
            "seconds": 1.0,
        }
        for number in range(4)
    ]
    made = {"space": sweep._made(sweep.Settings())["space"]}
    path = tmp_path / sweep.DATA
    path.write_text(json.dumps({"made": made, "scales": {"a": [0, 1]}, "trials": trials}))
    return path


def test_it_is_made_from_the_data_which_stay_as_they_are(data):
    before = data.read_bytes()
    assert sweep.main(["--redraw", str(data)]) == 0
    assert data.with_suffix(".png").stat().st_size > 20_000
    assert data.read_bytes() == before


def test_each_trial_stands_where_it_came_to(data, monkeypatch):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    sweep.main(["--redraw", str(data)])
    marks = {
        axes.get_title().partition(",")[0]: {
            line.get_marker(): np.column_stack(line.get_data()) for line in axes.lines
        }
        for axes in drawn[0].axes
        if axes.lines
    }
    assert set(marks) == {"trial"} | {name.replace("_", " ") for name in sweep.SPACES["ppo"]}
    assert marks["trial"]["x"] == pytest.approx(np.array([[1, 0.1]]))
    assert marks["trial"]["o"] == pytest.approx(np.array([[0, 0], [2, 0.2], [3, 0.3]]))
    assert marks["gamma"]["o"] == pytest.approx(np.array([[0.9, 0], [0.92, 0.2], [0.93, 0.3]]))
    assert marks["gamma"]["D"] == pytest.approx(np.array([[0.9, 0]]))
