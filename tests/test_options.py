import dataclasses

import pytest

from agents import adaptation, belief, benchmark, demo, evaluate, sweep, train, zoo
from agents.options import parse


class TestCommandLine:
    def test_only_what_is_given_comes_back(self):
        assert parse(train.Settings, []) == {}
        line = "--algo sac --steps 5 --option observe=state --option animal=3 --resume"
        given = parse(train.Settings, line.split())
        assert given == {
            "algo": "sac",
            "steps": 5,
            "option": {"observe": "state", "animal": 3},
            "resume": True,
        }
        assert train.Settings(**given).minutes is None

    def test_several_values(self):
        line = "--policy a b --policy c --animals 0 1"
        given = parse(evaluate.Settings, line.split())
        assert given == {"policy": ("a", "b", "c"), "animals": (0, 1)}

    @pytest.mark.parametrize("line", ["--algo dqn", "--option observe", "--steps x", "--nonsense"])
    def test_nonsense_is_refused(self, line, capsys):
        with pytest.raises(SystemExit):
            parse(train.Settings, line.split())
        assert line.split()[0].removeprefix("--") in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("program", "line", "text"),
        [
            (train, "--env ndbmi/Nope-v1", "Nope"),
            (train, "--env CartPole-v1", "CartPole-v1"),
            (train, "--option datset=6", "unexpected keyword argument 'datset'"),
            (train, "--option num_envs=6", "num_envs"),
            (train, "--hyper gama=0.9", "'gama': did you mean gamma?"),
            (train, "--hyper seed=1", "'seed'"),
            (train, "--hyper n_epochs=1 --algo sac", "sac has no hyper-parameter 'n_epochs'"),
            (train, '--hyper policy_kwargs={"net":[1]}', "hyper-parameters of ppo: .*'net'"),
            (train, '--hyper policy_kwargs={"activation_fn":"Tan"}', "'Tan'"),
            (train, "--minutes 0", "minutes = 0.0"),
            (evaluate, "--env ndbmi/Nope-v1", "Nope"),
            (evaluate, "--option datset=6", "unexpected keyword argument 'datset'"),
            (evaluate, "--episodes 0", "episodes = 0"),
            (evaluate, "--threads 0", "threads = 0"),
            (demo, "--minutes 0", "minutes = 0.0"),
            (demo, "--episodes 0", "episodes = 0"),
        ],
    )
    def test_what_cannot_be_done_is_said_in_one_line(self, program, line, text, tmp_path):
        out = tmp_path / "out"
        with pytest.raises(SystemExit, match=f"^error: .*{text}"):
            program.main([*line.split(), "--out", str(out)])
        assert not out.exists()

    @pytest.mark.parametrize("program", [train.Settings, evaluate.Settings, demo.Settings])
    def test_help_describes_every_setting(self, program, capsys):
        with pytest.raises(SystemExit):
            parse(program, ["--help"])
        text = capsys.readouterr().out
        for each in dataclasses.fields(program):
            assert "--" + each.name.replace("_", "-") in text


@pytest.mark.parametrize(
    ("program", "work", "line", "name"),
    [
        (adaptation, "play", "--policy a", ""),
        (belief, "measured", "--policy a", "belief.json"),
        (benchmark, "benchmark", "--suite quick", ""),
        (evaluate, "evaluate", "", ""),
        (sweep, "_study", "", ""),
        (train, "_learn", "", ""),
        (zoo, "files", "", ""),
    ],
)
def test_where_nothing_can_be_written_no_work_begins(
    program, work, line, name, tmp_path, monkeypatch
):
    def begin(*_):
        raise AssertionError("work began")

    monkeypatch.setattr(program, work, begin)
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(SystemExit, match=r"a\.txt cannot be written to .*: name another folder"):
        program.main([*line.split(), "--out", str(tmp_path / "a.txt" / name)])
