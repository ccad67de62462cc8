import sys
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec, WrapperSpec
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import RescaleAction, TimeAwareObservation
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from gymnasium.wrappers.vector import RescaleAction as VectorRescaleAction

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym import files
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.recording import (
    Recorder,
    VectorRecorder,
    load_trials,
    record,
    save_trials,
    scalar_spec,
    to_minari,
)
from ndbmi_gym.rollout import score

ID = "ndbmi/FixedField-v1"
KEYS = ("position", "inside", "trial", "distance")
LIMIT = 8  # zero volition arrives in 6 to 10 steps: staggered ends of both kinds
OPTIONS = {"observe": "state", "max_episode_steps": LIMIT}
MODES = [mode.value for mode in AutoresetMode]

ABOUT = {
    "algorithm_name": "zero volition",
    "author": "nobody",
    "author_email": "nobody@example.com",
    "code_permalink": "https://example.com",
    "description": "trials that nobody acts in",
}


def action(step, n=9):
    return np.random.default_rng(step).random(n).astype(np.float32) / 8


def from_scalar(steps=40, **more):
    """Trials of a scalar environment whose actions go by the number of the step."""
    env = Recorder(gymnasium.make(ID, **OPTIONS, **more), KEYS)
    env.reset(seed=3)
    for step in range(steps):
        _, _, terminated, truncated, _ = env.step(action(step))
        if terminated or truncated:
            env.reset()
    return env.trials


def from_batch(mode, n=5, steps=40, env=None):
    """The same of a batch, whatever its mode, and what was seen beside."""
    env = env or gymnasium.make_vec(ID, num_envs=n, autoreset_mode=mode, **OPTIONS)
    batch = VectorRecorder(env, KEYS)
    batch.reset(seed=3)
    used, ended = 0, np.zeros(env.num_envs, bool)
    for _ in range(steps):
        # a batch of one that begins anew in this step does not use its action up
        idle = mode == "NextStep" and ended.all()
        _, _, terminated, truncated, _ = batch.step(np.tile(action(used), (env.num_envs, 1)))
        used += not idle
        ended = terminated | truncated
        if mode == "Disabled" and ended.any():
            batch.reset(options={"reset_mask": ended})
    return batch


def alike(ours, theirs):
    assert len(ours) == len(theirs) > 2
    for a, b in zip(ours, theirs, strict=True):
        for name in ("observations", "actions", "rewards"):
            one, other = getattr(a, name), getattr(b, name)
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
        assert (a.terminated, a.truncated) == (b.terminated, b.truncated)
        assert a.infos.keys() == b.infos.keys()
        for key in a.infos:
            assert a.infos[key].dtype == b.infos[key].dtype
            np.testing.assert_array_equal(a.infos[key], b.infos[key])


def separate(n, mode):
    makers = [lambda: gymnasium.make(ID, **OPTIONS)] * n
    return SyncVectorEnv(makers, autoreset_mode=AutoresetMode(mode))


class TestRecorders:
    @pytest.mark.parametrize("mode", ["SameStep", "Disabled"])
    def test_a_batch_of_one_gives_the_trials_of_the_scalar_environment(self, mode):
        alike(from_batch(mode, 1).trials, from_scalar())

    @pytest.mark.parametrize("mode", MODES)
    def test_separate_environments_give_theirs(self, mode):
        ours = from_batch(mode, env=separate(1, mode)).trials
        alike(ours, from_scalar()[: len(ours)])

    @pytest.mark.parametrize("native", [True, False])
    @pytest.mark.parametrize("mode", MODES)
    def test_trials_are_whole_wherever_they_end(self, mode, native):
        batch = from_batch(mode, env=None if native else separate(5, mode), steps=60)
        lengths, kinds = set(), set()
        for trial in batch.trials:
            n = len(trial)
            assert trial.observations.shape == (n + 1, *batch.single_observation_space.shape)
            assert trial.actions.shape == (n, 9)
            assert trial.terminated or (trial.truncated and n == LIMIT)
            # position and last action are in the observation, and both go on from step to step
            np.testing.assert_array_equal(trial.observations[1:, 4:13], trial.actions)
            assert not trial.observations[0, 4:13].any()
            shown = trial.infos["position"] / 10
            np.testing.assert_allclose(trial.observations[:, :2], shown, rtol=1e-6)
            assert trial.infos["inside"][-1] == trial.terminated
            assert not trial.infos["inside"][:-1].any()
            assert len(set(trial.infos["trial"].tolist())) == 1
            lengths.add(n)
            kinds.add(trial.terminated)
        assert len(lengths) > 2
        assert kinds == {True, False}
        # every trial of every place, in order
        for place in range(5):
            numbers = [t.infos["trial"][0] for t in batch.trials if t.place == place]
            assert numbers == list(range(len(numbers)))
            assert len(numbers) >= 5
        begun = [t for t in batch.trials if t.reset is not None]
        assert len(begun) == (len(batch.trials) if mode == "Disabled" else 5)
        seeds = {t.place: t.reset.seed for t in begun if t.reset.seed is not None}
        assert seeds == {place: 3 + place for place in range(5)}

    def test_a_buffer_that_is_used_again_does_no_harm(self):
        env = Recorder(gymnasium.make(ID, **OPTIONS))
        env.reset(seed=3)
        buffer = np.empty(9, np.float32)
        while not env.trials:
            buffer[:] = action(len(env._running.acted))
            env.step(buffer)
        np.testing.assert_array_equal(env.trials[0].actions[0], action(0))

    def test_a_reset_leaves_an_unfinished_trial_out(self):
        env = Recorder(gymnasium.make(ID, **OPTIONS))
        env.reset(seed=3)
        env.step(action(0))
        env.reset(seed=4, options={"start": [7.0, 2.0]})
        while not env.trials:
            env.step(action(0))
        (trial,) = env.trials
        assert trial.reset.seed == 4
        assert trial.reset.options == {"start": [7.0, 2.0]}
        np.testing.assert_allclose(trial.observations[0, :2], [0.7, 0.2])

    def test_what_cannot_be_kept_is_refused(self):
        with pytest.raises(ValueError, match="'nonsense' in this info, which has stimulus"):
            Recorder(gymnasium.make(ID), ("nonsense",)).reset()
        with pytest.raises(ValueError, match=r"\('inside',\)"):
            Recorder(gymnasium.make(ID), "inside")
        with pytest.raises(ValueError, match="only arrays, of a Box"):
            Recorder(gymnasium.make("Blackjack-v1"))
        batch = gymnasium.make_vec(ID, num_envs=2)
        batch.metadata = {}
        with pytest.raises(ValueError, match="autoreset_mode = None in the metadata"):
            VectorRecorder(batch)


def still(seen):
    return np.zeros((len(seen), 9), np.float32)


class TestRecord:
    def test_each_trial_counts_once(self):
        trials = record(ID, "zero", 12, seed=5, keys=("is_success", "trial"), observe="state")
        found = score(ID, "zero", 12, seed=5, observe="state")
        assert [len(trial) for trial in trials] == found["steps"].tolist()
        assert [t.infos["is_success"][-1] for t in trials] == found["success"].tolist()
        np.testing.assert_allclose([t.rewards.sum() for t in trials], found["return"])
        assert [trial.infos["trial"][0] for trial in trials] == list(range(12))
        assert len(set(found["steps"])) > 2

    def test_more_than_a_batch(self, monkeypatch):
        monkeypatch.setattr("ndbmi_gym.recording.BATCH", 4)
        trials = record(ID, "zero", 6, keys=("trial",), **OPTIONS)
        assert [trial.infos["trial"][0] for trial in trials] == list(range(6))
        assert [trial.reset.seed for trial in trials] == list(range(6))
        # and are those of a batch that holds them all
        monkeypatch.setattr("ndbmi_gym.recording.BATCH", 6)
        alike(trials, record(ID, "zero", 6, keys=("trial",), **OPTIONS))

    def test_trials_without_end_are_refused(self):
        with pytest.raises(ValueError, match="without a step limit"):
            record(ID, "zero", max_episode_steps=-1)

    @pytest.mark.parametrize("trials", [0, -1, 2.5, "a", True])
    def test_a_number_of_trials_that_cannot_be_is_refused(self, trials):
        with pytest.raises(ValueError, match=rf"^trials = {trials!r}: give a whole number >= 1$"):
            record(ID, "zero", trials)

    @pytest.mark.parametrize("mode", ["SameStep", "Disabled"])
    def test_only_the_mode_that_scores_is_played(self, mode):
        with pytest.raises(ValueError, match=f"autoreset_mode = '{mode}': make the batch with"):
            record(ID, "zero", 2, autoreset_mode=mode)

    def test_the_batch_is_closed_whatever_happens(self, monkeypatch):
        closed = []
        monkeypatch.setattr(BMIVectorEnv, "close", lambda env: closed.append(env))
        record(ID, "zero", 2)
        assert len(closed) == 1
        for wrong in ({"policy": "nonsense"}, {"keys": ("a",)}, {"max_episode_steps": -1}):
            with pytest.raises(ValueError, match=r".{10}"):
                record(**{"env": ID, "policy": "zero", "trials": 2} | wrong)
        assert len(closed) == 4

    def test_separate_environments_are_played_as_they_are_scored(self):
        options = {"vectorization_mode": "sync", **OPTIONS}
        trials = record(ID, still, 3, seed=5, **options)
        found = score(ID, still, 3, seed=5, **options)
        assert [len(trial) for trial in trials] == found["steps"].tolist()


class TestFiles:
    @pytest.mark.parametrize("mode", MODES)
    def test_they_come_back_as_they_were(self, tmp_path, mode):
        batch = from_batch(mode)
        save_trials(tmp_path / "trials.npz", batch.trials, batch)
        trials, spec = load_trials(tmp_path / "trials.npz")
        alike(trials, batch.trials)
        for ours, theirs in zip(trials, batch.trials, strict=True):
            assert (ours.place, ours.places) == (theirs.place, 5)
            assert (ours.reset is None) == (theirs.reset is None)
            assert ours.reset is None or ours.reset.seed == theirs.reset.seed
        again = gymnasium.make(spec)
        assert again.observation_space == batch.single_observation_space
        assert again.spec.max_episode_steps == LIMIT

    def test_options_of_resets_come_back(self, tmp_path):
        batch = VectorRecorder(gymnasium.make_vec(ID, num_envs=2, **OPTIONS))
        batch.reset(seed=[1, 2], options={"start": np.array([[7.0, 2.0], [3.0, 4.0]])})
        while len(batch.trials) < 2:
            batch.step(np.zeros((2, 9)))
        save_trials(tmp_path / "trials.npz", batch.trials)
        trials, spec = load_trials(tmp_path / "trials.npz")
        assert spec is None
        one, other = sorted(trials, key=lambda trial: trial.place)
        assert (one.reset.seed, other.reset.seed) == (1, 2)
        assert one.reset.options == {"start": [7.0, 2.0]}
        assert other.reset.options == {"start": [3.0, 4.0]}

    def test_a_reset_that_comes_back_brings_its_trial_back_alone(self, tmp_path):
        batch = from_batch("SameStep")
        save_trials(tmp_path / "trials.npz", batch.trials, batch)
        trials, spec = load_trials(tmp_path / "trials.npz")
        env = gymnasium.make(spec)
        begun = [trial for trial in trials if trial.reset]
        assert len(begun) == 5
        for trial in begun:
            seen = [env.reset(seed=trial.reset.seed, options=trial.reset.options)[0]]
            seen += [env.step(action)[0] for action in trial.actions]
            np.testing.assert_array_equal(seen, trial.observations)

    def test_what_does_not_go_together_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match="no trial to write"):
            save_trials(tmp_path / "trials.npz", [])
        both = [record(ID, "zero", 1, keys=keys)[0] for keys in ((), ("inside",))]
        with pytest.raises(ValueError, match="files of their own"):
            save_trials(tmp_path / "trials.npz", both)
        assert not list(tmp_path.iterdir())

    def test_damage_is_told(self, tmp_path):
        path = tmp_path / "trials.npz"
        with pytest.raises(FileNotFoundError, match="there is no trials file"):
            load_trials(path)
        save_trials(path, record(ID, "zero", 2))
        header, arrays = files.read_arrays(path)
        wrong = {name: arrays[name][1:] for name in ("place", "actions", "observations")}
        wrong["length"] = np.array([len(arrays["rewards"]) + 1, -1])
        wrong["observations as text"] = arrays["observations"].astype(str)
        wrong["rewards as text"] = arrays["rewards"].astype(str)
        wrong["terminated as numbers"] = arrays["terminated"].astype(int)
        wrong["reset in between"] = arrays["reset"] + 0.5
        wrong["reset beyond"] = arrays["reset"] + 1
        for name, values in wrong.items():
            files.write_arrays(path, header, arrays | {name.split()[0]: values})
            with pytest.raises(ValueError, match="not an intact trials file"):
                load_trials(path)

    def test_an_environment_of_others_is_neither_written_nor_read(self, tmp_path):
        path, trials = tmp_path / "trials.npz", record(ID, "zero", 1)
        registered = gymnasium.spec(ID)
        own = {"entry_point": "antigravity:made", "vector_entry_point": "antigravity:made"}
        wrapper = WrapperSpec("Wrapper", "antigravity:Wrapper", {})
        strangers = [replace(registered, **{name: each}) for name, each in own.items()]
        strangers.append(replace(registered, additional_wrappers=(wrapper,)))
        save_trials(path, trials, ID)
        header, arrays = files.read_arrays(path)
        for spec in strangers:
            files.write_arrays(path, header | {"env": spec.to_json()}, arrays)
            with pytest.raises(ValueError, match=r"'antigravity:.* none of this package's"):
                load_trials(path)
        pole = gymnasium.make("CartPole-v1")
        env = Recorder(pole)
        env.reset(seed=0)
        while not env.trials:
            env.step(0)
        with pytest.raises(ValueError, match="write the trials without env"):
            save_trials(tmp_path / "pole.npz", env.trials, env)
        save_trials(tmp_path / "pole.npz", env.trials)
        assert len(load_trials(tmp_path / "pole.npz")[0]) == 1

    def test_trials_of_another_environment_are_refused(self, tmp_path):
        with pytest.raises(ValueError, match="give the environment that they are from, with its"):
            save_trials(tmp_path / "trials.npz", record(ID, "zero", 1, **OPTIONS), ID)


class TestSpecs:
    def test_of_whatever_trials_are_from(self):
        scalar = gymnasium.make(ID, **OPTIONS)
        for env in (
            scalar,
            Recorder(scalar),
            gymnasium.make_vec(ID, num_envs=2, autoreset_mode="SameStep", **OPTIONS),
            VectorRecorder(
                gymnasium.make_vec(ID, num_envs=2, vectorization_mode="sync", **OPTIONS)
            ),
            separate(2, "NextStep"),
            AsyncVectorEnv([lambda: gymnasium.make(ID, **OPTIONS)] * 2),
            RecordEpisodeStatistics(gymnasium.make_vec(ID, num_envs=2, **OPTIONS)),
            SyncVectorEnv([lambda: Recorder(gymnasium.make(ID, **OPTIONS))]),
            scalar.spec,
        ):
            assert scalar_spec(env) == scalar.spec
            if env is not scalar.spec:
                env.close()
        assert scalar_spec(ID) == gymnasium.spec(ID)
        endless = gymnasium.make_vec(ID, num_envs=2, max_episode_steps=-1)
        assert scalar_spec(endless).max_episode_steps is None

    @pytest.mark.parametrize("make", [lambda: gymnasium.make(ID).unwrapped.__class__(), object])
    def test_one_that_was_made_by_hand_is_refused(self, make):
        with pytest.raises(ValueError, match="does not tell how it was made"):
            scalar_spec(make())

    def test_wrappers_of_scalar_environments_are_told(self):
        def make():
            return TimeAwareObservation(gymnasium.make(ID, **OPTIONS))

        wrapped = make()
        sync = {"num_envs": 2, "vectorization_mode": "sync"}
        for env in (
            Recorder(wrapped),
            VectorRecorder(SyncVectorEnv([make] * 2)),
            VectorRecorder(
                gymnasium.make_vec(ID, **sync, wrappers=[TimeAwareObservation], **OPTIONS)
            ),
        ):
            again = gymnasium.make(EnvSpec.from_json(scalar_spec(env).to_json()))
            assert again.observation_space == wrapped.observation_space

    def test_wrappers_that_no_spec_tells_of_are_refused(self, tmp_path):
        low = np.full(9, -1, np.float32)
        batch = gymnasium.make_vec(ID, num_envs=2, **OPTIONS)
        rescaled = VectorRecorder(VectorRescaleAction(batch, low, -low))
        rescaled.reset(seed=0)
        while not rescaled.trials:
            rescaled.step(np.tile(low, (2, 1)))
        with pytest.raises(ValueError, match="RescaleAction around a batch: no spec tells of it"):
            save_trials(tmp_path / "trials.npz", rescaled.trials, rescaled)
        with pytest.raises(ValueError, match="RescaleAction around a batch: no spec tells of it"):
            to_minari("ndbmi/fixed/one-v0", rescaled.trials, rescaled)
        scalar = gymnasium.make(ID, **OPTIONS)
        with pytest.raises(
            ValueError, match=r"a recorder within other wrappers.*give the recorder"
        ):
            scalar_spec(TimeAwareObservation(Recorder(scalar)))
        with pytest.raises(ValueError, match=r"cannot be written down .*give them Python's own"):
            scalar_spec(RescaleAction(scalar, low, -low))
        apart = SyncVectorEnv([lambda: scalar, lambda: gymnasium.make(ID, observe="state")])
        with pytest.raises(ValueError, match="environments of this batch differ"):
            scalar_spec(apart)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["minari", "h5py"])
def test_without_minari_the_extra_is_named(monkeypatch, missing):
    trials = record(ID, "zero", 1)
    pytest.importorskip("minari")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "ndbmi-gym\[minari\]"'):
        to_minari("ndbmi/fixed/one-v0", trials, ID)


def test_no_trial_makes_no_data_set():
    with pytest.raises(ValueError, match="no trial to write"):
        to_minari("ndbmi/fixed/none-v0", [], ID)


class TestMinari:
    @pytest.fixture
    def minari(self, tmp_path, monkeypatch):
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
        return pytest.importorskip("minari")

    @pytest.mark.parametrize("mode", [None, *MODES])
    def test_round_trip(self, minari, mode):
        trials = from_scalar() if mode is None else from_batch(mode).trials
        env = gymnasium.make(ID, **OPTIONS)
        if mode is not None:
            env = gymnasium.make_vec(ID, num_envs=2, autoreset_mode=mode, **OPTIONS)
        to_minari("ndbmi/fixed/zero-v0", trials, env, **ABOUT)

        loaded = minari.load_dataset("ndbmi/fixed/zero-v0")
        assert loaded.total_steps == sum(map(len, trials))
        episodes = list(loaded.iterate_episodes())
        for episode, trial in zip(episodes, trials, strict=True):
            np.testing.assert_array_equal(episode.observations, trial.observations)
            np.testing.assert_array_equal(episode.actions, trial.actions)
            np.testing.assert_array_equal(episode.rewards, trial.rewards)
            assert episode.terminations[-1] == trial.terminated
            assert episode.truncations[-1] == trial.truncated
            assert not (episode.terminations[:-1] | episode.truncations[:-1]).any()
            for key in KEYS:
                np.testing.assert_array_equal(episode.infos[key], trial.infos[key])
        for evaluation in (False, True):
            again = loaded.recover_environment(eval_env=evaluation)
            assert again.spec.to_json() == gymnasium.make(ID, **OPTIONS).spec.to_json()

    @pytest.mark.parametrize("seed", [11, [11]])
    def test_an_episode_is_played_again_from_its_seed(self, minari, seed):
        env, acted = Recorder(gymnasium.make(ID, **OPTIONS)), action(1)
        options = {"start": [7.0, 2.0]}
        if isinstance(seed, list):
            env, acted = VectorRecorder(gymnasium.make_vec(ID, num_envs=1, **OPTIONS)), acted[None]
            options = {"start": np.array([[7.0, 2.0]])}
        env.reset(seed=seed, options=options)
        while not env.trials:
            env.step(acted)
        to_minari("ndbmi/fixed/one-v0", env.trials, env, **ABOUT)
        loaded = minari.load_dataset("ndbmi/fixed/one-v0")
        (about,) = loaded.storage.get_episode_metadata([0])
        again = loaded.recover_environment()
        seen = [again.reset(seed=about["seed"], options=about["options"])[0]]
        seen += [again.step(each)[0] for each in loaded[0].actions]
        np.testing.assert_array_equal(seen, loaded[0].observations)


def test_a_batch_in_threads_is_recorded_as_of_the_scalar_environment(tmp_path):
    batch = VectorRecorder(gymnasium.make_vec(ID, num_envs=2, threads=2))
    batch.reset(seed=0)
    while not batch.trials:
        batch.step(batch.action_space.sample())
    save_trials(tmp_path / "a.npz", batch.trials, batch)
    _, spec = load_trials(tmp_path / "a.npz")
    assert "threads" not in spec.kwargs
    gymnasium.make(spec).close()


def test_trials_of_another_version_are_read_with_a_warning(tmp_path, monkeypatch):
    env = Recorder(gymnasium.make(ID))
    env.reset(seed=0)
    while not env.trials:
        env.step(env.action_space.sample())
    save_trials(tmp_path / "a.npz", env.trials, env)
    monkeypatch.setattr(gymnasium, "registry", {})
    with pytest.warns(UserWarning, match=f"of {ID}, which is of another version"):
        trials, _ = load_trials(tmp_path / "a.npz")
    assert len(trials) == 1
