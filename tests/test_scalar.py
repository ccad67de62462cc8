import json
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import ndbmi_gym
from ndbmi_gym.cortex.soc.cortex import DRIVE_HZ
from ndbmi_gym.envs.scalar import BMIEnv

IDS = [f"ndbmi/{name}" for name in ndbmi_gym._IDS]
SOC = "ndbmi/ShiftTargetSOC-v0"
FAST = {"kind": "soc", "stimuli": 8}


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("observe", ["neural", "state", "full"])
def test_gymnasiums_checker_passes(env_id, observe):
    env = gymnasium.make(env_id, observe=observe, render_mode="rgb_array").unwrapped
    check_env(env)
    env.close()


def test_gymnasiums_checker_passes_with_drawn_animals_and_forces():
    options = {"animal": None, "n_animals": 2, "perturbation": {"curl": [-1, 1]}}
    check_env(gymnasium.make("ndbmi/HoldTarget-v0", **options).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("options", [{}, {"core": "nonlinear", "carry": True}])
def test_gymnasiums_checker_passes_with_animals_of_a_circuit(options):
    chosen = {"animal": None, "n_animals": 2, "cortex": FAST | options}
    check_env(gymnasium.make(SOC, **chosen).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("env_id", IDS)
def test_specs_are_json_and_make_the_same_environment(env_id):
    soc = {"cortex": {"kind": "soc", "stimuli": 9, "carry": True}}
    options = {
        **(soc if env_id == SOC else {"dataset": 5}),
        "field": {"kind": "dipole", "obstacle": [4, 0]},
        "perturbation": {"curl": [-0.5, 0.5], "push": [0, 0.1]},
        "animal": 2,
        "observe": "full",
    }
    env = gymnasium.make(env_id, **options)
    text = env.spec.to_json()
    json.loads(text)
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(text))
    first, other = env.reset(seed=3)[0], again.reset(seed=3)[0]
    np.testing.assert_array_equal(first, other)


def rollout(env, seed, steps=30):
    rng = np.random.default_rng(5)
    record = [env.reset(seed=seed)[0]]
    for _ in range(steps):
        action = rng.random(env.action_space.shape, np.float32)
        observation, reward, terminated, truncated, info = env.step(action)
        record += [observation, reward, info["virtual_point"]]
        if terminated or truncated:
            record.append(env.reset()[0])
    return np.concatenate([np.ravel(part) for part in record])


@pytest.mark.parametrize("env_id", IDS)
def test_a_seed_fixes_everything(env_id):
    env, other = gymnasium.make(env_id), gymnasium.make(env_id)
    first = rollout(env, 11)
    np.testing.assert_array_equal(first, rollout(other, 11))
    np.testing.assert_array_equal(first, rollout(env, 11))
    assert not np.array_equal(first[:20], rollout(env, 12)[:20])


def test_a_reset_without_seed_continues_the_stream():
    env = gymnasium.make("ndbmi/ShiftTarget-v0")
    first = env.reset(seed=1)[0]
    second = env.reset()[0]
    assert not np.array_equal(first, second)
    env.reset(seed=1)
    np.testing.assert_array_equal(env.reset()[0], second)


def test_the_seed_of_trials_does_not_change_the_animal():
    env = gymnasium.make("ndbmi/ShiftTarget-v0", animal=2).unwrapped
    sites = env.episodes.loops[0].interface.sites.copy()
    env.reset(seed=99)
    np.testing.assert_array_equal(env.episodes.loops[0].interface.sites, sites)


def test_flags_are_bool_and_the_time_limit_truncates():
    env = gymnasium.make("ndbmi/ShiftTarget-v0")
    env.reset(seed=0, options={"start": (8, 0), "target": (-7, 0)})
    for step in range(25):
        _, reward, terminated, truncated, info = env.step(np.zeros(9, np.float32))
        assert type(reward) is float
        assert type(terminated) is type(truncated) is bool
        assert not terminated
        assert truncated == (step == 24)
    assert not info["is_success"]
    env.unwrapped.step(np.zeros(9, np.float32))  # the bare environment has no limit of its own


def test_arrival_terminates():
    env = gymnasium.make("ndbmi/FixedField-v0")
    env.reset(seed=0)
    for _ in range(50):
        _, _, terminated, _, info = env.step(np.zeros(9, np.float32))
        if terminated:
            break
    assert terminated
    assert info["is_success"]
    assert info["distance"] <= 1.5
    assert info["reward_bonus"] == 1.0


def test_a_bad_action_names_value_and_remedy_and_loses_nothing():
    env = gymnasium.make("ndbmi/ShiftTarget-v0", disable_env_checker=True).unwrapped
    env.reset(seed=4)
    before = env.episodes.observe()
    with pytest.raises(ValueError, match="action holds nan"):
        env.step(np.full(9, np.nan, np.float32))
    with pytest.raises(ValueError, match=r"action of shape \(8,\).*shape \(9,\)"):
        env.step(np.zeros(8, np.float32))
    np.testing.assert_array_equal(env.episodes.observe(), before)
    after = env.step(np.zeros(9, np.float32))[0]
    env.reset(seed=4)
    np.testing.assert_array_equal(env.step(np.zeros(9, np.float32))[0], after)


def test_actions_outside_the_box_are_clipped():
    env = BMIEnv()
    env.reset(seed=0)
    inside = env.step(np.ones(9, np.float32))
    env.reset(seed=0)
    outside = env.step(np.full(9, 7.0, np.float32))
    np.testing.assert_array_equal(inside[0], outside[0])
    assert outside[4]["effort"] == 1.0


def test_bad_arguments():
    with pytest.raises(gymnasium.error.NameNotFound):
        gymnasium.make("ndbmi/Reach-v0")
    with pytest.raises(
        TypeError,
        match=r"BMIEnv\.__init__\(\) got an unexpected keyword argument 'radius': .*radius_cm",
    ):
        gymnasium.make("ndbmi/ShiftTarget-v0", radius=1)
    with pytest.raises(ValueError, match="render_mode = 'ansi'"):
        BMIEnv(render_mode="ansi")
    env = BMIEnv()
    with pytest.raises(ValueError, match="unknown reset option 'goal'"):
        env.reset(options={"goal": (0, 0)})


def test_a_circuit_has_its_own_electrodes_and_signed_volition():
    env = gymnasium.make(SOC).unwrapped
    assert env.action_space.shape == (25,)
    assert (env.action_space.low == -1).all()
    assert env.episodes.loops[0].cortex.n_stimuli == 32
    env.reset(seed=0)
    _, _, _, _, info = env.step(np.ones(25, np.float32))
    assert info["evoked_counts"].shape == (25,)
    assert not info["volitional_counts"].any()
    assert "activity" not in info


@pytest.mark.parametrize("n_animals", [1, 3])
def test_activity_is_carried_through_a_trial_and_forgotten_at_the_next(n_animals):
    drawn = {"animal": None, "n_animals": n_animals} if n_animals > 1 else {}
    env = gymnasium.make(SOC, cortex=FAST | {"carry": True}, **drawn).unwrapped
    cortex, episodes = env.episodes.loops[0].cortex, env.episodes
    impulses, rng = cortex.impulses, np.random.default_rng(0)
    for _ in range(3):
        env.reset(seed=None)
        before = np.zeros(200)
        for step in range(4):
            if step:
                env.step(rng.uniform(-1, 1, 25).astype(np.float32))
            begun = cortex.prepared[episodes.signals.stimulus[0]] + before
            expected = impulses.last_free @ begun
            expected += impulses.last_held @ (DRIVE_HZ * episodes.action[0])
            np.testing.assert_allclose(episodes.signals.activity[0], expected, atol=1e-9)
            assert np.linalg.norm(expected) > 1
            before = expected


def test_what_is_carried_changes_what_is_seen():
    """From the second response on: the first begins at rest, whatever the last trial left."""
    seen = []
    for carry in (False, True):
        env = gymnasium.make(SOC, cortex=FAST | {"carry": carry}, observe="full")
        env.reset(seed=1)
        for _ in range(3):
            env.step(np.ones(25, np.float32))
        first = env.reset(seed=2)[0]
        seen.append((first, env.step(np.ones(25, np.float32))[0]))
    np.testing.assert_array_equal(seen[0][0], seen[1][0])
    assert not np.array_equal(seen[0][1], seen[1][1])


def test_rendering_draws_the_trial():
    env = gymnasium.make("ndbmi/ShiftTarget-v0", render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    env.step(np.full(9, 0.5, np.float32))
    second = env.render()
    assert first.dtype == np.uint8
    assert first.shape == second.shape
    assert first.shape[2] == 3
    assert (first != second).any()
    env.close()


def test_rendering_leaves_the_random_stream_alone():
    drawn = gymnasium.make("ndbmi/ShiftTarget-v0", render_mode="rgb_array")
    plain = gymnasium.make("ndbmi/ShiftTarget-v0")
    drawn.reset(seed=0)
    plain.reset(seed=0)
    for _ in range(3):
        drawn.render()
        action = np.full(9, 0.3, np.float32)
        np.testing.assert_array_equal(drawn.step(action)[0], plain.step(action)[0])
    drawn.close()


def test_human_rendering_shows_a_window(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pygame's own, on import
        env = gymnasium.make("ndbmi/ShiftTarget-v0", render_mode="human")
        env.reset(seed=0)
        env.step(np.zeros(9, np.float32))
        env.close()


def test_importing_the_package_loads_nothing_heavy():
    import subprocess
    import sys

    code = (
        "import sys, ndbmi_gym; "
        "print([m for m in ('numba', 'scipy', 'sklearn', 'matplotlib', 'torch', 'pygame') "
        "if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
