import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from scipy.stats import ks_2samp

from ndbmi_gym.cortex.soc import cortex as soc
from ndbmi_gym.cortex.soc.cortex import DRIVE_HZ
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.spikes import SpikeTrains

MODES = list(AutoresetMode)
SOC = "ndbmi/ShiftTargetSOC-v0"
CARRY = {"cortex": {"kind": "soc", "stimuli": 8, "carry": True}}


def make(n=5, env_id="ndbmi/ShiftTargetCurl-v0", mode=AutoresetMode.NEXT_STEP, **options):
    return gymnasium.make_vec(env_id, num_envs=n, autoreset_mode=mode, **options)


def test_spaces_and_metadata():
    env = make(mode="SameStep")
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert env.observation_space.shape == (5, 20)
    assert env.action_space.shape == (5, 9)
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    scalar = gymnasium.make("ndbmi/ShiftTargetCurl-v0")
    assert env.single_observation_space == scalar.observation_space
    assert env.single_action_space == scalar.action_space


@pytest.mark.parametrize(
    ("env_id", "options"),
    [
        ("ndbmi/ShiftTargetCurl-v0", {}),
        ("ndbmi/FixedField-v0", {}),
        (SOC, {}),
        (SOC, CARRY),
        (SOC, {"cortex": CARRY["cortex"] | {"core": "nonlinear"}}),
        (SOC, CARRY | {"animal": None, "n_animals": 3}),
    ],
)
def test_one_trial_is_the_scalar_environment_bit_for_bit(env_id, options):
    scalar = gymnasium.make(env_id, **options)
    vector = make(1, env_id, AutoresetMode.SAME_STEP, **options)
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(scalar.reset(seed=8)[0], vector.reset(seed=8)[0][0])
    ends = 0
    for _ in range(150):
        action = 0.3 * rng.random(scalar.action_space.shape, np.float32)
        one, many = scalar.step(action), vector.step(action[None])
        ended = one[2] or one[3]
        told = many[4]["final_info"] if ended else many[4]
        seen = many[4]["final_obs"] if ended else many[0]
        for a, b in zip((one[0], *one[1:4]), (seen, *many[1:4]), strict=True):
            np.testing.assert_array_equal(a, b[0])
        for name, value in one[4].items():
            np.testing.assert_array_equal(value, told[name][0])
        if ended:
            ends += 1
            np.testing.assert_array_equal(scalar.reset()[0], many[0][0])
    assert ends > 4


def steer(shape, rng):
    """Actions of very different success, so that trials end at staggered times."""
    return (rng.random(shape[0])[:, None] * rng.random(shape)).astype(np.float32)


@pytest.fixture(params=["paper", "circuit"])
def repeatable(request, noiseless, monkeypatch):
    """The option ``cortex=`` of cortices without noise, one of which carries activity on."""
    if request.param == "paper":
        return noiseless
    draw = soc.sample_profile

    def same(rng, expected, edges):
        if len(expected) > 100:
            return draw(rng, expected, edges)  # a calibration
        parts = [draw(np.random.default_rng(0), trial[None], edges) for trial in expected]
        rows, offsets = np.concatenate([p[0].rows for p in parts]), [len(p[0].rows) for p in parts]
        offsets = np.concatenate([[0], np.cumsum(offsets)])
        trains = SpikeTrains(rows, offsets, expected.shape[1], int(edges[-1]))
        return trains, np.concatenate([p[1] for p in parts])

    monkeypatch.setattr(soc, "sample_profile", same)
    return CARRY["cortex"]


@pytest.mark.parametrize("mode", MODES)
def test_staggered_trials_agree_with_the_scalar_environment(mode, repeatable):
    # without spike noise a trial is a function of start, target and actions: every trial of the
    # vector environment is replayed in a scalar one and must agree exactly, step by step
    env_id, n = "ndbmi/FixedField-v0", 6
    options = {"cortex": repeatable, "observe": "full", "decoder": "projection"}
    vector = make(n, env_id, mode, **options)
    scalar = gymnasium.make(env_id, **options)
    rng = np.random.default_rng(3)

    def begun(trial):
        episodes = vector.episodes
        return episodes.state.position[trial].copy(), episodes.target[trial].copy(), []

    observation, _ = vector.reset(seed=1)
    trials = [begun(i) for i in range(n)]
    fresh = np.zeros(n, bool)
    finished = []
    ends = set()
    for step in range(60):
        action = steer(vector.action_space.shape, rng)
        if mode == AutoresetMode.NEXT_STEP:
            action[fresh] = np.nan  # ignored
        observation, reward, terminated, truncated, info = vector.step(action)
        ended = terminated | truncated
        for i in range(n):
            if fresh[i]:
                assert reward[i] == 0
                assert not ended[i]
                trials[i] = begun(i)
                continue
            same = mode == AutoresetMode.SAME_STEP and ended[i]
            seen = info["final_obs"][i] if same else observation[i]
            told = info["final_info"] if same else info
            trials[i][2].append(
                (action[i], seen.copy(), reward[i], terminated[i], truncated[i])
                + (told["distance"][i], told["is_success"][i])
            )
            if ended[i]:
                finished.append(trials[i])
                ends.add(step)
                if same:
                    trials[i] = begun(i)
        fresh = ended if mode == AutoresetMode.NEXT_STEP else np.zeros(n, bool)
        if mode == AutoresetMode.DISABLED and ended.any():
            observation, _ = vector.reset(options={"reset_mask": ended})
            for i in np.flatnonzero(ended):
                trials[i] = begun(i)
    assert len(finished) > 2 * n
    assert len(ends) > n  # staggered indeed

    for start, target, steps in finished:
        scalar.reset(options={"start": start, "target": target})
        for action, seen, reward, terminated, truncated, distance, success in steps:
            one = scalar.step(action)
            np.testing.assert_array_equal(one[0], seen)
            assert one[1:4] == (reward, terminated, truncated)
            assert one[4]["distance"] == distance
            assert one[4]["is_success"] == success


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("drawn", [{}, {"animal": None, "n_animals": 3}])
def test_activity_is_each_trials_own_and_begins_at_rest(mode, drawn):
    n = 7
    env = BMIVectorEnv(
        n, max_episode_steps=4, autoreset_mode=mode, volition="signed", **CARRY, **drawn
    )
    cortex, episodes = env.episodes.loops[0].cortex, env.episodes
    flow, held = cortex.impulses.last_free, cortex.impulses.last_held
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    before, ended = np.zeros((n, 200)), np.zeros(n, bool)
    restarts = 0
    for step in range(14):
        if step:
            begins = ended
            _, _, terminated, truncated, _ = env.step(rng.uniform(-1, 1, (n, 25)))
            ended = terminated | truncated
            if mode == AutoresetMode.SAME_STEP:
                begins = ended
            before[begins] = 0
            restarts += begins.sum()
            assert (episodes.action[begins] == 0).all()
        begun = before + cortex.prepared[episodes.signals.stimulus]
        expected = begun @ flow.T + DRIVE_HZ * episodes.action @ held.T
        np.testing.assert_allclose(episodes.signals.activity, expected, atol=1e-9)
        before = expected.copy()
    assert restarts >= 2 * n


def returns(env, policy_rng, n_episodes):
    """Undiscounted returns of the first `n_episodes` episodes of every trial."""
    n = env.num_envs
    env.reset(seed=17)
    total, done, out = np.zeros(n), np.zeros(n, int), []
    while done.min() < n_episodes:
        _, reward, terminated, truncated, _ = env.step(0.4 * policy_rng.random((n, 9), np.float32))
        total += reward
        for i in np.flatnonzero(terminated | truncated):
            if done[i] < n_episodes:
                out.append(total[i])
            total[i], done[i] = 0.0, done[i] + 1
    return np.array(out)


def test_scalar_and_vector_returns_have_one_distribution():
    env_id = "ndbmi/FixedField-v0"
    options = {"vector_kwargs": {"autoreset_mode": AutoresetMode.SAME_STEP}}
    sync = gymnasium.make_vec(env_id, num_envs=4, vectorization_mode="sync", **options)
    native = make(40, env_id, AutoresetMode.SAME_STEP)
    one = returns(sync, np.random.default_rng(1), 150)
    many = returns(native, np.random.default_rng(2), 15)
    assert isinstance(sync, SyncVectorEnv)
    # false alarm 1e-3, with the seeds fixed
    assert ks_2samp(one, many).pvalue > 1e-3


@pytest.mark.parametrize("mode", MODES)
def test_the_step_limit_truncates(mode):
    env = BMIVectorEnv(3, max_episode_steps=4, autoreset_mode=mode)
    env.reset(seed=0)
    for step in range(4):
        _, _, terminated, truncated, _ = env.step(np.zeros((3, 9), np.float32))
        assert not terminated.any()
        assert truncated.all() == (step == 3)


def test_same_step_hands_over_final_and_first_observation():
    env = BMIVectorEnv(3, max_episode_steps=2, autoreset_mode="SameStep", observe="full")
    env.reset(seed=0)
    env.step(np.full((3, 9), 0.5, np.float32))
    observation, _, _, _, info = env.step(np.full((3, 9), 0.5, np.float32))
    assert info["_final_obs"].all()
    actions = env.episodes.layout.columns["action"]
    assert (observation[:, actions] == 0).all()
    assert (info["final_obs"][:, actions] == 0.5).all()
    assert (info["effort"] == 0).all()
    np.testing.assert_allclose(info["final_info"]["effort"], 0.5)
    assert (info["final_info"]["_effort"] == info["_final_info"]).all()


def test_disabled_autoreset_refuses_to_step_an_ended_trial():
    env = BMIVectorEnv(2, max_episode_steps=1, autoreset_mode="Disabled")
    env.reset(seed=0)
    env.step(np.zeros((2, 9), np.float32))
    with pytest.raises(ValueError, match=r"trial 0 has ended.*reset_mask"):
        env.step(np.zeros((2, 9), np.float32))
    env.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(ValueError, match="trial 1 has ended"):
        env.step(np.zeros((2, 9), np.float32))
    env.reset(options={"reset_mask": np.array([False, True])})
    env.step(np.zeros((2, 9), np.float32))


@pytest.mark.parametrize("mask", [np.zeros(2, bool), np.ones(3, bool), [True, False], np.ones(2)])
def test_bad_masks_are_refused(mask):
    env = make(2, mode="Disabled")
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"reset_mask = .*shape \(2,\)"):
        env.reset(options={"reset_mask": mask})


def test_a_partial_reset_keeps_the_other_trials():
    env = make(3, mode="Disabled", observe="full")
    env.reset(seed=0)
    observation = env.step(np.full((3, 9), 0.2, np.float32))[0]
    after, info = env.reset(options={"reset_mask": np.array([False, True, False])})
    np.testing.assert_array_equal(after[[0, 2]], observation[[0, 2]])
    assert (after[1] != observation[1]).any()
    np.testing.assert_array_equal(info["_distance"], [False, True, False])


def test_seeds():
    env, other = make(4), make(4)
    first = env.reset(seed=5)[0]
    np.testing.assert_array_equal(first, other.reset(seed=5)[0])
    assert not np.array_equal(first, env.reset()[0])
    assert len(np.unique(first, axis=0)) == 4
    listed = env.reset(seed=[1, 2, 3, 4])[0]
    np.testing.assert_array_equal(listed, other.reset(seed=[1, 2, 3, 4])[0])
    assert not np.array_equal(listed, env.reset(seed=[1, 2, 3, 5])[0])
    with pytest.raises(ValueError, match=r"3 seeds; give a whole number .*each of 4 trials"):
        env.reset(seed=[1, 2, 3])


def test_bad_arguments():
    with pytest.raises(ValueError, match="num_envs = 0"):
        BMIVectorEnv(0)
    with pytest.raises(ValueError, match="render_mode = 'human'"):
        BMIVectorEnv(1, render_mode="human")
    with pytest.raises(ValueError, match="max_episode_steps = 0"):
        BMIVectorEnv(1, max_episode_steps=0)
    with pytest.raises(
        TypeError, match=r"unexpected keyword argument 'data' .*: the options here are preset"
    ):
        BMIVectorEnv(1, data=6)
    env = BMIVectorEnv(3)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action of shape \(3, 8\).*of 3 trials, shape \(3, 9\)"):
        env.step(np.zeros((3, 8), np.float32))
    with pytest.raises(ValueError, match="autoreset_mode = 'same': choose one of NextStep"):
        BMIVectorEnv(1, autoreset_mode="same")


def test_a_wrong_shape_is_refused_while_a_trial_begins_anew_too():
    env = BMIVectorEnv(3, max_episode_steps=1)
    env.reset(seed=0)
    env.step(np.zeros((3, 9), np.float32))
    with pytest.raises(ValueError, match=r"action of shape \(9,\)"):
        env.step(np.zeros(9, np.float32))


def test_masks_that_were_handed_out_are_no_part_of_the_environment():
    env = make(2)
    _, info = env.reset(seed=0)
    info["_distance"][:] = False
    assert env.reset()[1]["_distance"].all()


def test_episode_statistics_wrapper_sees_ends():
    env = RecordEpisodeStatistics(make(3, "ndbmi/ShiftTarget-v0"))
    env.reset(seed=0)
    lengths = []
    for _ in range(60):
        *_, info = env.step(np.zeros((3, 9), np.float32))
        if "episode" in info:
            lengths += list(info["episode"]["l"][info["_episode"]])
    assert len(lengths) >= 6
    assert max(lengths) == 25


def test_pictures_of_every_trial():
    env = BMIVectorEnv(2, max_episode_steps=3, autoreset_mode="SameStep", render_mode="rgb_array")
    env.reset(seed=0)
    for _ in range(4):
        env.step(np.full((2, 9), 0.1, np.float32))
        one, two = env.render()
        assert one.shape == two.shape
        assert (one != two).any()
    env.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_scalar_environments_run_in_processes():
    def one():
        return gymnasium.make("ndbmi/ShiftTarget-v0")

    env = AsyncVectorEnv([one, one])
    observation, _ = env.reset(seed=3)
    expected = [one().reset(seed=3 + i)[0] for i in range(2)]
    np.testing.assert_array_equal(observation, expected)
    env.step(np.zeros((2, 9), np.float32))
    env.close()
