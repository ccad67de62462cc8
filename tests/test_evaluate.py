import json

import numpy as np
import pytest
from quick_runs import quick
from test_third_party import ALL

from agents import evaluate, runs, train
from ndbmi_gym.files import write_json

FEW = {"repetitions": 3}
"""Calibration responses: a look-ahead has its tables in a fraction of the time."""


class TestTable:
    def trials(self, **scores):
        rng = np.random.default_rng(0)
        noise = rng.normal(size=(1, 1, 400))
        found = {}
        for label, score in scores.items():
            runs_of_it = np.reshape(score, (-1, 1, 1)) + noise
            names = ("score", "success", "return", "effort")
            found[label] = dict.fromkeys(names, runs_of_it)
        return found

    def test_scores_are_normalised_from_floor_to_ceiling(self):
        rows = evaluate.tabulate(
            self.trials(zero=25, eq24=20, mine=[14, 16, 18], ceiling=5), {"mine"}
        )
        by_name = {row["policy"]: row for row in rows}
        assert list(by_name) == ["zero", "eq24", "mine", "ceiling"]
        assert by_name["zero"]["normalised"] == pytest.approx([0, 0, 0])
        assert by_name["ceiling"]["normalised"] == pytest.approx([1, 1, 1])
        assert by_name["eq24"]["normalised"] == pytest.approx([0.25] * 3)  # common noise cancels
        mean, low, high = by_name["mine"]["normalised"]
        assert mean == pytest.approx(9 / 20)
        # Student's t of two degrees of freedom is 4.303
        half = 4.303 * 2 / 20 / 3**0.5
        assert (low, high) == pytest.approx((mean - half, mean + half), rel=1e-3)
        assert (by_name["mine"]["runs"], by_name["mine"]["trials"]) == (3, 400)
        assert by_name["zero"]["score"][1] < 25 < by_name["zero"]["score"][2]

    def test_the_return_is_normalised_by_returns(self):
        trials = self.trials(zero=25, mine=[14, 16, 18], ceiling=5)
        noise = np.random.default_rng(1).normal(size=(1, 1, 400))
        for label, mean in (("zero", -20), ("mine", [[[-9]], [[-8]], [[-7]]]), ("ceiling", -4)):
            trials[label]["return"] = mean + noise
        _, mine, ceiling = evaluate.tabulate(trials, {"mine"})
        assert ceiling["normalised_return"] == pytest.approx([1, 1, 1])
        half = 4.303 * 1 / 16 / 3**0.5
        assert mine["normalised_return"] == pytest.approx(
            [0.75, 0.75 - half, 0.75 + half], rel=1e-3
        )
        assert mine["normalised"][0] == pytest.approx(9 / 20)

    def test_a_ceiling_that_costs_return_is_none_of_it(self):
        trials = self.trials(zero=25, ceiling=5)
        trials["ceiling"]["return"] = trials["zero"]["return"] - 1.0  # better, at a price
        rows = evaluate.tabulate(trials)
        assert [row["normalised_return"] for row in rows] == [None, None]
        assert rows[1]["normalised"] == pytest.approx([1, 1, 1])

    def test_trials_that_all_succeed_do_not_say_that_all_do(self):
        trials = self.trials(zero=25, ceiling=5)
        trials["zero"]["success"] = np.zeros((1, 1, 400))
        trials["ceiling"]["success"] = np.ones((1, 1, 400))
        zero, ceiling = evaluate.tabulate(trials)
        assert zero["success"] == pytest.approx([0, 0, 0.007], abs=5e-4)  # some 3 in 400
        assert ceiling["success"] == pytest.approx([1, 0.993, 1], abs=5e-4)

    def test_one_run_has_a_word_in_place_of_an_interval(self):
        rows = evaluate.tabulate(self.trials(zero=25, mine=[15], ceiling=5), {"mine"})
        assert rows[1]["score"][1:] == rows[1]["normalised"][1:] == [None, None]
        assert rows[0]["score"][1] < 25
        text = evaluate.format_table({"score": "steps to arrival", "table": rows})
        assert "(one run)" in text.splitlines()[3]
        assert "(one run)" not in text.splitlines()[2]

    def test_above_the_ceiling_is_above_one(self):
        rows = evaluate.tabulate(self.trials(zero=0.0, mine=1.2, ceiling=1.0))
        assert rows[1]["normalised"][0] == pytest.approx(1.2)

    def test_there_is_no_scale_where_floor_and_ceiling_agree(self):
        rows = evaluate.tabulate(self.trials(zero=1.0, ceiling=1.0))
        assert all(row["normalised"] is row["normalised_return"] is None for row in rows)
        unscored = evaluate.tabulate(self.trials(zero=2.0, ceiling=1.0), scored=False)
        assert all(row["normalised"] is row["normalised_return"] is None for row in unscored)
        text = evaluate.format_table({"score": "steps to arrival", "table": rows})
        assert "–" in text
        assert len({len(line) for line in text.splitlines()}) == 1


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two runs that differ in their seed, and an evaluation of both."""
    folder = tmp_path_factory.mktemp("evaluation")
    named = []
    for seed in range(2):
        settings = quick(folder, steps=256, seed=seed, out=str(folder / f"run{seed}"))
        train.train(settings)
        named.append(settings.out)
    settings = evaluate.Settings(
        policy=("random", *named),
        episodes=20,
        option=FEW,
        animals=(0, 1),
        figure=True,
        video=True,
        out=str(folder / "results"),
    )
    data = evaluate.evaluate(settings)
    return settings, data, evaluate.save(data, settings)


class TestEvaluation:
    def test_floor_command_and_ceiling_are_always_there(self, finished):
        _, data, _ = finished
        assert [row["policy"] for row in data["table"]] == [
            "zero",
            "eq24",
            "random",
            "quick",
            "ceiling",
        ]

    def test_runs_of_one_label_are_pooled(self, finished):
        _, data, _ = finished
        row = data["table"][3]
        trials = np.array(data["trials"]["quick"]["score"])
        assert row["runs"] == 2
        assert trials.shape == (2, 2, 20)
        assert row["score"][0] == pytest.approx(trials.mean(), abs=1e-3)

    def test_the_saved_file_is_what_was_found(self, finished):
        _, data, files = finished
        loaded = json.loads(files[0].read_text())
        assert loaded["table"] == data["table"]
        assert loaded["trials"] == data["trials"]
        assert loaded["env"] == "ndbmi/ShiftTargetCurl-v1"
        assert loaded["settings"]["episodes"] == 20
        assert loaded["versions"]["numpy"]

    def test_trajectories_share_starts_and_targets(self, finished):
        _, data, _ = finished
        trials = data["scene"]["trials"]
        assert len({tuple(trial["target"]) for trial in trials}) == 2
        for walked in data["paths"].values():
            for path, trial in zip(walked, trials, strict=True):
                assert path["path"][0] == trial["start"]
                assert 2 < len(path["path"]) <= 26

    def test_table_figure_and_film_are_written(self, finished):
        _, data, files = finished
        assert [path.name for path in files] == [
            "evaluation.json",
            "table.md",
            "trajectories.png",
            "agent.mp4",
        ]
        assert all(path.stat().st_size > 500 for path in files)
        assert evaluate.format_table(data) in files[1].read_text()

    def test_the_same_seed_gives_the_same_results(self):
        settings = evaluate.Settings(episodes=10, seed=5, option=FEW)
        first, second = evaluate.evaluate(settings), evaluate.evaluate(settings)
        assert first == second

    def test_what_is_no_policy_is_refused(self, tmp_path):
        with pytest.raises(SystemExit, match="holds no run"):
            evaluate.main(["--policy", str(tmp_path)])

    def test_an_agent_must_not_pose_as_a_baseline(self, finished, tmp_path):
        settings, _, _ = finished
        source = runs.Path(settings.policy[1])
        config = runs.read_config(source)
        config["settings"]["label"] = "ceiling"
        (tmp_path / runs.MODEL).write_bytes((source / runs.MODEL).read_bytes())
        write_json(tmp_path / runs.CONFIG, config)
        with pytest.raises(ValueError, match="baseline"):
            evaluate.line_up([str(tmp_path)])


class TestOwnPolicies:
    def test_a_run_and_its_model_score_alike(self, finished, tmp_path, capsys):
        settings, data, _ = finished
        model = f"{settings.policy[1]}/{runs.MODEL}"
        line = ["--policy", model, "--episodes", "20", "--option", "repetitions=3"]
        evaluate.main([*line, "--out", str(tmp_path / "out")])
        found = json.loads((tmp_path / "out" / evaluate.DATA).read_text())
        assert found["trials"]["model"]["return"][0][0] == data["trials"]["quick"]["return"][0][0]
        (row,) = [row for row in found["table"] if row["policy"] == "model"]
        assert row["return"][1] < row["return"][0] < row["return"][2]  # over trials: it is this one
        assert "| model" in capsys.readouterr().out

    def test_one_call_in_python(self):
        def still(observation):
            return np.zeros((len(observation), 9))

        table = evaluate.score({"still": still}, env="ndbmi/ShiftTarget-v1", episodes=20)
        rows = {row["policy"]: row for row in table}
        assert rows["still"]["score"] == rows["zero"]["score"]
        assert rows["still"]["normalised"] == [0.0, 0.0, 0.0]


# the references of a table need a cortex that knows its rates
OWN = {name: value for name, value in ALL.items() if name != "cortex"}


@pytest.fixture(scope="module")
def on_own_parts(tmp_path_factory):
    """A command line that evaluates a run on an environment of parts of one's own."""
    folder = tmp_path_factory.mktemp("own")
    settings = quick(folder, steps=256, env="ndbmi/ShiftTarget-v1", option=OWN)
    assert train.train(settings)
    more = ["--episodes", "5", "--figure", "--video", "--out", str(folder / "results")]
    return ["--policy", settings.out, *more]


class TestOwnParts:
    def test_they_want_trust(self, on_own_parts):
        with pytest.raises(SystemExit, match=r"names 'third_party:\w+', which .* give --trust"):
            evaluate.main(on_own_parts)

    def test_with_trust_a_run_is_evaluated_on_them(self, on_own_parts, capsys):
        evaluate.main([*on_own_parts, "--trust"])
        assert "| quick" in capsys.readouterr().out
        out = runs.Path(on_own_parts[-1])
        data = json.loads((out / evaluate.DATA).read_text())
        assert data["options"] == OWN
        assert np.shape(data["trials"]["quick"]["score"]) == (1, 1, 5)
        assert (out / evaluate.VIDEO).stat().st_size > 500


class TestRetabulate:
    def test_trials_make_the_table_again(self, finished, tmp_path, capsys):
        _, data, _ = finished
        path = tmp_path / evaluate.DATA
        other = [row | {"score": [row["score"][0], 0.0, 1.0]} for row in data["table"]]
        write_json(path, data | {"table": other})
        evaluate.main(["--retabulate", str(path)])
        again = json.loads(path.read_text())
        assert evaluate.format_table(data) in capsys.readouterr().out
        for old, new in zip(data["table"], again["table"], strict=True):
            assert old["score"][0] == new["score"][0]  # to the last digit
            assert old["score"][1:] == pytest.approx(new["score"][1:], rel=1e-3)
        assert again["trials"] == data["trials"]

    def test_what_an_older_table_did_not_tell_is_added(self, finished, tmp_path):
        _, data, _ = finished
        path = tmp_path / evaluate.DATA
        added = {"trials", "normalised_return"}
        older = [{k: v for k, v in row.items() if k not in added} for row in data["table"]]
        write_json(path, data | {"table": older})
        again = evaluate.retabulate(path)["table"]
        assert [row["trials"] for row in again] == [40] * 5
        for old, new in zip(data["table"], again, strict=True):
            assert old["normalised_return"] == pytest.approx(new["normalised_return"], abs=1e-3)

    def test_means_that_are_not_those_of_the_trials_are_refused(self, finished, tmp_path):
        _, data, _ = finished
        path = tmp_path / evaluate.DATA
        wrong = [row | {"score": [1.5, 0.0, 3.0]} for row in data["table"]]
        write_json(path, data | {"table": wrong})
        with pytest.raises(SystemExit, match=r"evaluation.json is no intact .*score of zero is"):
            evaluate.main(["--retabulate", str(path)])
        path.write_text("[]")
        with pytest.raises(SystemExit, match=r"evaluation.json is no intact data file"):
            evaluate.main(["--retabulate", str(path)])
