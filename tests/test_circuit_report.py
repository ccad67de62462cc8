import json
from pathlib import Path

import numpy as np
import pytest

from ndbmi_gym import cli
from ndbmi_gym.experiments.bench.tables import read_csv, where
from ndbmi_gym.experiments.circuit import (
    construction,
    quench,
    reaching,
    reliability,
    report,
)
from ndbmi_gym.experiments.circuit.acceptance import Row, acceptance_table
from ndbmi_gym.experiments.circuit.report import PICTURES
from ndbmi_gym.experiments.circuit.specimen import MATCHED, SAME, STABILISED


@pytest.fixture(scope="module")
def circuit(stabilised):
    return stabilised[0]


@pytest.fixture(scope="module")
def path(circuit, tmp_path_factory):
    return str(circuit.save(tmp_path_factory.mktemp("soc") / "small.npz"))


@pytest.fixture(scope="module")
def written(path, tmp_path_factory):
    """A small report, and the summary."""
    folder = tmp_path_factory.mktemp("report") / "new"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("ANIMALS", 2), ("TRIALS", 5)):
            patch.setattr(reliability, name, value)
        for part in (construction, reaching, reliability):
            patch.setattr(part, "REPEATS", 2)
        patch.setattr(reaching, "READ_TRIALS", 6)
        patch.setattr(quench, "TRIALS", 3)
        return folder, report.write(folder, path, 3)


@pytest.mark.parametrize(
    ("low", "high", "measured", "met", "accepted"),
    [
        (1, 2, 1.5, True, "1 to 2"),
        (1, 2, 2, True, "1 to 2"),
        (1, 2, 2.001, False, "1 to 2"),
        (1, 2, 0.999, False, "1 to 2"),
        (-np.inf, 1e-8, 1e-9, True, "≤ 1e-08"),
        (-np.inf, 1e-8, 1e-7, False, "≤ 1e-08"),
        (5, np.inf, 4.9, False, "≥ 5"),
        (1, 2, np.nan, False, "1 to 2"),
    ],
)
def test_verdicts(low, high, measured, met, accepted):
    row = Row("a |x|", low, high, measured)
    assert (row.met, row.accepted) == (met, accepted)
    line = acceptance_table([row]).splitlines()[-1]
    assert ("**not met**" in line) is not met
    assert "a \\|x\\|" in line  # does not end the cell


def test_penalties_at_an_end_of_the_grid_are_told():
    reaching = {
        "circuit": np.array([STABILISED, "scaled"]),
        "amplitude": np.array([SAME, MATCHED]),
        "units": np.array([1, 64]),
        "at_end": np.array([0, 2]),
    }
    assert (
        "its grid, so that its R² may be too low: scaled (matched), 64 units: 2 of 5 repeats."
        in (report.doubtful(reaching))
    )
    reaching["at_end"][:] = 0
    assert report.doubtful(reaching) == ""


def test_every_file_is_written(written):
    folder, _ = written
    names = {p.name for p in folder.iterdir()}
    assert {f"{name}.png" for name in PICTURES} < names
    assert {"circuit.json", "report.md", "acceptance.csv", "comparison.csv"} < names
    assert not any(name.startswith(".") for name in names)
    report = (folder / "report.md").read_text()
    for name in PICTURES:
        assert f"]({name}.png)" in report
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_pictures_are_drawn_anew_from_files(written, tmp_path):
    folder, _ = written
    with pytest.raises(ValueError, match=r"holds no tables to draw.*without --redraw"):
        report.redraw(tmp_path)
    for file in folder.glob("*.csv"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert cli.main(["circuit", "report", "--redraw", "--out", str(tmp_path)]) == 0
    for name in PICTURES:
        picture = f"{name}.png"
        assert (tmp_path / picture).read_bytes() == (folder / picture).read_bytes()


def test_results_tell_what_made_them(written, circuit, path):
    text = (written[0] / "circuit.json").read_text()
    saved = json.loads(text)
    assert saved["circuit"] == "small.npz"
    assert saved["parameters"]["units"] == [1, 4, 16, 64]
    report = (written[0] / "report.md").read_text()
    assert "(small.npz)" in report
    assert str(Path(path).parent) not in text + report  # no path of the machine
    assert (saved["seed"], saved["neurons"]) == (3, 50)
    assert saved["versions"]["numpy"] == np.__version__
    own = next(row for row in saved["results"]["circuits"] if row["circuit"] == STABILISED)
    assert own["E1"] == circuit.modes[0][0]
    assert own["amplifying"] == (circuit.modes[0] > 1).sum()
    assert [row["low"] for row in saved["acceptance"] if row["quantity"] == "E₁"] == [9]


def test_the_table_shows_what_was_measured(written, circuit):
    folder, summary = written
    accepted = read_csv(folder / "acceptance.csv")
    rows = dict(
        zip(accepted["quantity"], zip(*list(accepted.values())[1:], strict=True), strict=True)
    )
    assert rows["E₁"][2] == pytest.approx(circuit.modes[0][0], rel=1e-5)
    assert not rows["E₁"][3]  # 50 neurons amplify less than 200
    for name in ("W = 0: largest |E − 1|", "gradient: error against differences"):
        assert rows[name][3]
    met = accepted["met"].sum()
    assert f"{met} of {len(accepted['met'])} rows of the acceptance table are met" in summary
    assert "not met: " in summary
    assert "this circuit has 50" in summary
    assert summary in (folder / "report.md").read_text()


def test_conditions_are_complete(written):
    folder, _ = written
    table = read_csv(folder / "comparison.csv")
    conditions = list(zip(table["circuit"], table["amplitude"], strict=True))
    kinds = ("scaled", "shuffled")
    controls = [f"{kind} {abscissa}" for kind in kinds for abscissa in (0.15, 0.8, 0.99)]
    assert conditions == [
        (STABILISED, SAME),
        *(
            (c, how)
            for c in (*controls, "symmetric 0.15")
            for how in ((SAME, MATCHED) if c.endswith("0.15") else (MATCHED,))
        ),
    ]
    reaching = read_csv(folder / "reaching.csv")
    assert len(reaching["r2"]) == 11 * 4
    for name, amplitude in conditions:  # the fewer units, the worse
        r2 = where(reaching, circuit=name, amplitude=amplitude)["r2"]
        assert r2[0] < r2[-1] <= 1


def test_nothing_is_written_of_what_cannot_be_measured(tmp_path):
    with pytest.raises(ValueError, match="seed -1"):
        report.write(tmp_path / "out", None, -1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("other", [["--circuit", "own.npz"], ["--redraw"]])
def test_circuits_are_not_compared_with_a_file_nor_drawn(tmp_path, capsys, other):
    asked = ["circuit", "report", "--circuits", "5", *other, "--out", str(tmp_path / "out")]
    assert cli.main(asked) == 2
    assert f"--circuits 5 with {other[0]}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
