import json
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from ndbmi_gym import cli
from ndbmi_gym.experiments.bench import batches
from ndbmi_gym.experiments.bench.batches import Batch
from ndbmi_gym.experiments.bench.tables import read_csv
from ndbmi_gym.experiments.protocol.conditions import Setting, measure_settings
from ndbmi_gym.experiments.protocol.volition import SHIFTED
from ndbmi_gym.experiments.vato2014 import comparison, reproduce
from ndbmi_gym.experiments.vato2014.evidence import from_tables
from ndbmi_gym.experiments.vato2014.reproduce import FIGURES
from ndbmi_gym.presets import Preset


@pytest.fixture
def few(monkeypatch):
    """Few starts and repetitions."""
    monkeypatch.setattr(comparison, "N_STARTS", 4)
    monkeypatch.setattr(comparison, "REPETITIONS", 3)


def run(batch, *names):
    return batches.run(batch, [reproduce.figure(name) for name in names])


def test_every_figure_has_a_module_with_data_and_drawing():
    for name in FIGURES:
        made = reproduce.figure(name)
        assert made.name == name
        assert isinstance(made.data, Callable)
        assert isinstance(made.draw, Callable)


def test_the_text_has_these_figures():
    assert set(FIGURES) >= {f"fig{n}" for n in range(2, 13)}  # Fig 1 is a schematic


def test_data_pictures_and_parameters_are_left(few, tmp_path, capsys):
    task = Batch(tmp_path, animals=(0, 1), seed=3)
    tables = run(task, "fig10", "fig2")
    runs = read_csv(tmp_path / "fig10" / "runs.csv")
    assert sorted(set(runs["animal"].tolist())) == [0, 1]
    assert len(runs["wtpe"]) == 3 * 2 * 2 * 2 * 12
    np.testing.assert_allclose(runs["wtpe"], tables["fig10"]["runs"]["wtpe"], rtol=1e-5)
    parameters = json.loads((tmp_path / "fig10" / "parameters.json").read_text())
    assert parameters["parameters"]["tau_s"] == 0.1
    assert (parameters["animals"], parameters["seed"]) == ([0, 1], 3)
    assert (tmp_path / "fig2.png").read_bytes().startswith(b"\x89PNG")
    assert "fig10" in capsys.readouterr().out  # the time of the stage


def test_what_is_there_is_not_measured_again(few, tmp_path, monkeypatch):
    task = Batch(tmp_path)
    first = run(task, "fig10")
    calls = []
    one = batches._one
    monkeypatch.setattr(batches, "_one", lambda *a: calls.append(a) or one(*a))
    second = run(task, "fig10")
    assert not calls
    np.testing.assert_array_equal(first["fig10"]["runs"]["wtpe"], second["fig10"]["runs"]["wtpe"])
    run(Batch(tmp_path, seed=1), "fig10")
    assert len(calls) == 1


def test_an_interrupted_run_goes_on(few, tmp_path, monkeypatch):
    one = batches._one

    def interrupt(task, figure, animal):
        if animal == 2:
            raise KeyboardInterrupt
        return one(task, figure, animal)

    line = ["reproduce", "fig10", "--preset", "default", "--animals", "3", "--jobs", "1"]
    line += ["--out", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(batches, "_one", interrupt)
        assert cli.main(line) == 130
    parts = tmp_path / "default" / "parts"
    assert sorted(p.name for p in parts.iterdir()) == ["fig10-000.npz", "fig10-001.npz"]
    before = [p.stat().st_mtime_ns for p in sorted(parts.iterdir())]
    assert cli.main(line) == 0
    assert [p.stat().st_mtime_ns for p in sorted(parts.iterdir())][:2] == before


@pytest.mark.slow
def test_processes_and_figures_do_not_change_the_numbers(tmp_path):
    alone = run(Batch(tmp_path / "a"), "fig10")["fig10"]["runs"]
    many = run(Batch(tmp_path / "b", animals=(0, 1), jobs=2), "fig9", "fig10")
    together = many["fig10"]["runs"]
    np.testing.assert_array_equal(alone["wtpe"], together["wtpe"][together["animal"] == 0])
    # the reference of both figures is the same measurement
    evidence = from_tables({"fig10": many["fig10"], **_others(many)})
    setting = Setting("set 6", "dipole", "single-point")
    expected = measure_settings(Preset(), [setting], (0, 1))[setting]
    np.testing.assert_array_equal(evidence.measured[setting].wtpe, expected.wtpe)
    np.testing.assert_array_equal(evidence.measured[setting].steps, expected.steps)


def _others(many):
    share = np.ones(8)
    volition = {n: share for n in SHIFTED}
    volition |= {"animal": np.repeat([0, 1], 4), "curl": np.tile([0.0, 0.6], 4)}
    maps = {"set": np.array([1, 1]), "animal": np.array([0, 1]), "clustered": np.ones(2)}
    return {
        "fig9": many["fig9"],
        "fig12": {"shares": volition},
        "fig4": {"shares": maps},
        "linear": {"shares": {"animal": np.array([0, 1]), "refused": np.ones(2)}},
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("fig1", "unknown figure 'fig1': choose from fig2"),
        ("fig2 fig1", "unknown figure 'fig1'"),
        ("fig1 all", "unknown figure 'fig1'"),
        ("all fig1", "unknown figure 'fig1'"),
        ("claims fig1", "unknown figure 'fig1'"),
        ("claims al", "unknown figure 'al'"),
        ("fig2 --preset none", "preset 'none': choose one of default"),
        ("fig2 --animals 0", "animals .*at least one"),
        ("claims --animals 0", "animals .*at least one"),
        ("fig2 --first-animal -1", "animals .*all >= 0"),
        ("fig2 --backend mpi", "backend 'mpi': choose from loky, ray, dask"),
        ("fig2 --jobs 0", "jobs 0"),
        ("fig2 --seed -1", "seed -1"),
    ],
)
def test_wrong_words_are_named(line, message, tmp_path, capsys):
    assert cli.main(["reproduce", *line.split(), "--out", str(tmp_path)]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "names", "animals"),
    [
        ("fig2", ("fig2",), range(1)),
        ("fig5 fig2 fig5 fig2", ("fig5", "fig2"), range(1)),
        ("all", FIGURES, range(1)),
        ("fig5 all all fig2", FIGURES, range(1)),
        ("all --animals 3 --first-animal 7", FIGURES, range(7, 10)),
        ("claims", FIGURES, range(100, 130)),
        ("claims fig2 all", FIGURES, range(100, 130)),
        ("fig2 claims --first-animal 20", FIGURES, range(20, 50)),
        ("claims --animals 2", FIGURES, range(100, 102)),
    ],
)
def test_words_become_figures_once_each(line, names, animals, tmp_path, monkeypatch, capsys):
    made, judged = [], []
    monkeypatch.setattr(batches, "run", lambda task, chosen: made.append((task, chosen)) or {})
    monkeypatch.setattr(reproduce, "judge_claims", lambda task, tables: judged.append(task) or "*")
    assert cli.main(["reproduce", *line.split(), "--out", str(tmp_path)]) == 0
    ((task, asked),) = made
    assert tuple(figure.name for figure in asked) == tuple(names)
    assert task.animals == animals
    assert (task.preset, task.out) == ("paper", tmp_path / "paper")
    assert judged == ([task] if "claims" in line else [])
    assert f"results are in {task.out}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("missing", "package"),
    [
        ("ray", "ray"),
        ("dask", "dask[distributed]"),
        ("distributed", "dask[distributed]"),
        ("matplotlib", "ndbmi-gym[reproduce]"),
        ("joblib", "ndbmi-gym[reproduce]"),
    ],
)
def test_a_missing_package_is_named(missing, package, tmp_path, monkeypatch, capsys):
    def fail(task, chosen):
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr(batches, "run", fail)
    assert cli.main(["reproduce", "fig2", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said == f'ndbmi-gym: No module named {missing!r}: run `pip install "{package}"`\n'


@pytest.mark.parametrize(
    ("line", "extra"),
    [("recover", "recover"), ("readings", "recover"), ("circuit study", "reproduce")],
)
def test_each_command_names_the_extra_that_it_wants(line, extra):
    without = "import sys; sys.modules['joblib'] = None; from ndbmi_gym import cli; cli.main()"
    run = [sys.executable, "-c", without, *line.split()]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert f'pip install "ndbmi-gym[{extra}]"' in done.stderr


def test_a_folder_that_cannot_be_written_is_named(few, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    line = ["reproduce", "fig2", "--jobs", "1", "--out", str(tmp_path / "file")]
    assert cli.main(line) == 2
    err = capsys.readouterr().err
    assert str(tmp_path / "file") in err
    assert "Traceback" not in err


def test_without_words_the_command_says_what_it_takes(capsys):
    for line in ([], ["reproduce"], ["reproduce", "fig2", "--seed", "x"], ["paint"]):
        with pytest.raises(SystemExit) as stopped:
            cli.main(line)
        assert stopped.value.code == 2
        assert "usage: ndbmi-gym" in capsys.readouterr().err


def test_ideal_paths_end_before_they_are_long(few):
    tables = reproduce.figure("fig7").data(Preset(), 0, 0)
    runs = tables["ideal"]["run"]
    steps = tables["ideal"]["step"]
    assert all(b == a + 1 for a, b in pairwise(steps[(runs == 0)][: np.sum(runs == 0) // 2]))
