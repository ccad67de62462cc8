from agents import demo, evaluate, runs


class TestDemo:
    def test_it_leaves_everything_in_one_folder(self, tmp_path, capsys):
        out = str(tmp_path / "demo")
        assert demo.main(["--minutes", "0.02", "--episodes", "10", "--out", out]) == 0
        names = {path.name for path in (tmp_path / "demo").iterdir()}
        assert {runs.MODEL, evaluate.DATA, evaluate.FIGURE, evaluate.VIDEO} <= names
        told = capsys.readouterr().out
        assert "| ceiling" in told
        assert f"agents.train --resume --out {tmp_path}" in told
