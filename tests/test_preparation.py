"""The study of preparation and go cue: what it measures, writes and draws."""

import numpy as np
import pytest
from scipy.linalg import expm

from ndbmi_gym import cli
from ndbmi_gym.cortex.soc.cortex import SOC, soc_cortex
from ndbmi_gym.cortex.soc.transients import TAU_S
from ndbmi_gym.experiments.bench.tables import read_folder, where
from ndbmi_gym.experiments.circuit import preparation as study
from ndbmi_gym.experiments.circuit.preparation_drawing import draw


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A small run: its folder and what it says."""
    folder = tmp_path_factory.mktemp("preparation")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "HOLDS_S", (0.0, 0.05, 0.4))
        patch.setattr(study, "OFFSETS_S", (-0.1, 0.0, 0.1))
        patch.setattr(study, "LOOPS_S", (0.0, 0.4))
        patch.setattr(study, "POLICIES", ("zero", "eq24"))
        patch.setattr(study, "_TRIALS", 20)
        return folder, study.write(folder, [1], 0)


def test_courses_are_those_of_the_tonic_input():
    courses = study.measure_courses()
    cortex = soc_cortex(SOC(stimuli=32))
    system = (cortex.circuit.weights - np.eye(200)) / TAU_S
    size = np.linalg.norm(cortex.prepared, axis=1)
    for prepare_s, time_s in ((0.0, 0.1), (0.4, -0.29), (0.4, 0.0), (0.2, 0.15)):
        own = where(courses, prepare_s=prepare_s)
        at = np.abs(own["time_s"] - time_s).argmin()
        assert own["time_s"][at] == pytest.approx(time_s)
        on = min(prepare_s, prepare_s + time_s)
        states = cortex.prepared
        if prepare_s:
            states = states - states @ expm(system * on).T
        states = states @ expm(system * max(0.0, time_s)).T
        off = np.linalg.norm(states - cortex.prepared, axis=1) / size
        assert own["size"][at] == pytest.approx((np.linalg.norm(states, axis=1) / size).mean())
        assert own["distance"][at] == pytest.approx(off.mean())
        rates = cortex.gain.rate(states[:, :25]) - cortex.gain.baseline_hz
        assert own["output_hz"][at] == pytest.approx(np.abs(rates).mean())
    away = where(courses, prepare_s=0.4)["distance"].max()
    assert 2.5 < away < 2.9


def test_short_preparation_and_a_window_off_time_are_found(written):
    tables = read_folder(written[0])

    def told(name, **values):
        (share,) = where(tables[name], **values)["identified"]
        return share

    for hold in (0.0, 0.4):
        assert told("holds", prepare_s=hold, calibrated=study.WHOLE) > 0.97
        assert told("offsets", prepare_s=hold, offset_s=0.0) > 0.97
        assert told("offsets", prepare_s=hold, offset_s=0.1) < 0.2
    assert told("holds", prepare_s=0.05, calibrated=study.WHOLE) < 0.15
    assert told("holds", prepare_s=0.05, calibrated=study.SAME) > 0.85
    assert told("offsets", prepare_s=0.4, offset_s=-0.1) < 0.25
    assert not len(where(tables["offsets"], prepare_s=0.0, offset_s=-0.1)["identified"])


def test_the_loop_is_measured_by_preparation(written):
    folder, text = written
    tables = read_folder(folder)
    assert (tables["loops"]["convergent"] == 1).all()
    assert (tables["loops"]["animal"] == 1).all()
    assert (where(tables["shift"], policy="zero")["success"] < 0.3).all()
    assert (where(tables["shift"], policy="eq24")["success"] > 0.3).all()
    lines = text.split("\n")
    assert len(lines) == 4
    assert lines[2].startswith("| 0 | 1.00, 0.")
    assert lines[3].startswith("| 0.4 | 1.00, 0.")


def test_the_picture_is_drawn_anew(written, capsys):
    folder, _ = written
    before = (folder / "preparation.png").read_bytes()
    (folder / "preparation.png").unlink()
    assert cli.main(["circuit", "preparation", "--redraw", "--out", str(folder)]) == 0
    assert "drawn anew: preparation" in capsys.readouterr().out
    assert (folder / "preparation.png").read_bytes() == before


def test_a_line_lies_on_the_animals_mean(written):
    tables = read_folder(written[0])
    hold = draw(tables).axes[2]
    lines = {line.get_label(): line for line in hold.get_lines()}
    line = lines[f"calibrated on\n{study.WHOLE}"]
    np.testing.assert_allclose(line.get_xdata(), [50, 400])
    expected = [
        where(tables["holds"], calibrated=study.WHOLE, prepare_s=d)["identified"].mean()
        for d in (0.05, 0.4)
    ]
    np.testing.assert_allclose(line.get_ydata(), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--animals", "0"], "--animals 0: give at least one animal"),
        (["--first-animal", "-1"], "give at least one, all >= 0"),
        (["--seed", "-1"], "seed -1: give a seed >= 0"),
        (["--redraw"], "holds no tables to draw: measure first"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments, message, tmp_path, capsys):
    assert cli.main(["circuit", "preparation", "--out", str(tmp_path / "none"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
