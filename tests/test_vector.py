import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from ndbmi_gym.cortex.soc.cortex import DRIVE_HZ
from ndbmi_gym.envs.vector import BMIVectorEnv

MODES = list(AutoresetMode)
SOC = "ndbmi/ShiftTargetSOC-v1"
CARRY = {"cortex": {"kind": "soc", "stimuli": 8, "carry": True}}


def make(n=5, env_id="ndbmi/ShiftTargetCurl-v1", mode=AutoresetMode.NEXT_STEP, **options):
    return gymnasium.make_vec(env_id, num_envs=n, autoreset_mode=mode, **options)


def test_spaces_and_metadata():
    env = make(mode="SameStep")
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert env.observation_space.shape == (5, 20)
    assert env.action_space.shape == (5, 9)
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    scalar = gymnasium.make("ndbmi/ShiftTargetCurl-v1")
    assert env.single_observation_space == scalar.observation_space
    assert env.single_action_space == scalar.action_space


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
    env = RecordEpisodeStatistics(make(3, "ndbmi/ShiftTarget-v1"))
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
        return gymnasium.make("ndbmi/ShiftTarget-v1")

    env = AsyncVectorEnv([one, one])
    observation, _ = env.reset(seed=3)
    expected = [one().reset(seed=3 + i)[0] for i in range(2)]
    np.testing.assert_array_equal(observation, expected)
    env.step(np.zeros((2, 9), np.float32))
    env.close()
