import json
import pickle
import warnings
from copy import deepcopy

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import ndbmi_gym
from ndbmi_gym.cortex.soc.cortex import DRIVE_HZ
from ndbmi_gym.envs.scalar import BMIEnv
from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.fields import GaussianField
from ndbmi_gym.tasks import Judged, Outcome
from ndbmi_gym.tasks.reach import Reach

IDS = [f"ndbmi/{name}" for name in ndbmi_gym._IDS]
SOC = "ndbmi/ShiftTargetSOC-v1"
FAST = {"kind": "soc", "stimuli": 8}


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("observe", ["neural", "state", "full"])
def test_gymnasiums_checker_passes(env_id, observe):
    env = gymnasium.make(env_id, observe=observe, render_mode="rgb_array").unwrapped
    check_env(env)
    env.close()


def test_gymnasiums_checker_passes_with_drawn_animals_and_forces():
    options = {"animal": None, "n_animals": 2, "perturbation": {"curl": [-1, 1]}}
    check_env(gymnasium.make("ndbmi/HoldTarget-v1", **options).unwrapped, skip_render_check=True)


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
    env = gymnasium.make("ndbmi/ShiftTarget-v1")
    first = env.reset(seed=1)[0]
    second = env.reset()[0]
    assert not np.array_equal(first, second)
    env.reset(seed=1)
    np.testing.assert_array_equal(env.reset()[0], second)


def test_the_seed_of_trials_does_not_change_the_animal():
    env = gymnasium.make("ndbmi/ShiftTarget-v1", animal=2).unwrapped
    sites = env.episodes.loops[0].interface.sites.copy()
    env.reset(seed=99)
    np.testing.assert_array_equal(env.episodes.loops[0].interface.sites, sites)


def test_flags_are_bool_and_the_time_limit_truncates():
    env = gymnasium.make("ndbmi/ShiftTarget-v1")
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
    env = gymnasium.make("ndbmi/FixedField-v1")
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
    env = gymnasium.make("ndbmi/ShiftTarget-v1", disable_env_checker=True).unwrapped
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
        gymnasium.make("ndbmi/Reach-v1")
    with pytest.raises(
        TypeError,
        match=r"BMIEnv\.__init__\(\) got an unexpected keyword argument 'radius' .*'radius_cm'",
    ):
        gymnasium.make("ndbmi/ShiftTarget-v1", radius=1)
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
    env = gymnasium.make("ndbmi/ShiftTarget-v1", render_mode="rgb_array")
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
    drawn = gymnasium.make("ndbmi/ShiftTarget-v1", render_mode="rgb_array")
    plain = gymnasium.make("ndbmi/ShiftTarget-v1")
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
        env = gymnasium.make("ndbmi/ShiftTarget-v1", render_mode="human")
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


# Options at work


class Far(Reach):
    """A task of one's own, in a module."""

    def assess(self, before, after, target, action, last, half_side_cm):
        values = super().assess(before, after, target, action, last, half_side_cm).values
        values[:, Judged.FAILED] = np.hypot(*after.position.T) > 7.0
        return Outcome(values)


def test_a_failed_trial_terminates_and_is_no_success():
    env = gymnasium.make("ndbmi/ShiftTarget-v1", task=f"{__name__}:Far")
    env.reset(seed=0, options={"start": (9, 0), "target": (0, 0)})
    _, _, terminated, truncated, info = env.step(np.zeros(9, np.float32))
    assert (terminated, truncated) == (True, False)
    assert info["failed"] is True
    assert info["is_success"] is False


def law(position, velocity):
    """A law of one's own, in a module."""
    return -0.1 * position


@pytest.mark.parametrize(
    "options",
    [
        {"dataset": np.int64(5), "gain": np.float32(0.5), "animal": np.uint8(2)},
        {"perturbation": {"curl": np.array([-1, 1]), "push": (0, (0, np.float16(1)))}},
        {"perturbation": {"kind": "blocks", "blocks": [{"trials": 1}, {"curl": 1.5}]}},
        {"targets": {"centre_out": 8, "radius_cm": 5}, "starts": np.array([[1.0, 2.0]])},
        {"task": Reach(radius_cm=2.0, targets=((1, 2),)), "field": GaussianField(sigma=4)},
        {"task": f"{__name__}:Far", "perturbation": law},
        {"field": np.negative, "max_rate_hz": 50},
        {"cortex": {"kind": "soc", "stimuli": 8, "carry": True}},
        {"preset": "paper", "field": "dipole"},
    ],
)
@pytest.mark.parametrize("vector", [False, True])
def test_every_environment_that_is_made_is_made_again_from_its_spec(options, vector):
    env_id = "ndbmi/ShiftTarget-v1"
    if vector:
        env = gymnasium.make_vec(env_id, num_envs=2, **options)
    else:
        env = gymnasium.make(env_id, **options)
    text = env.spec.to_json()
    assert json.loads(text)["kwargs"]
    spec = gymnasium.envs.registration.EnvSpec.from_json(text)
    again = gymnasium.make_vec(spec, num_envs=2) if vector else gymnasium.make(spec)
    assert again.unwrapped.episodes.config == env.unwrapped.episodes.config
    for seed in (3, None):
        one, other = env.reset(seed=seed), again.reset(seed=seed)
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1]["target"], other[1]["target"])
    assert again.spec.to_json() == text


def test_what_cannot_be_written_down_is_refused_by_make_and_taken_directly():
    for options in ({"field": lambda x: -x}, {"perturbation": lambda x, v: -x}):
        for make in (gymnasium.make, gymnasium.make_vec):
            with pytest.raises(
                ValueError,
                match=r"cannot be written down in the environment's spec: put it into "
                r"a module and name it as 'module:attribute', or construct BMIEnv or BMIVectorEnv",
            ):
                make("ndbmi/ShiftTarget-v1", **options)
        BMIEnv(**options).reset(seed=0)


def test_info_has_the_same_keys_at_reset_and_every_step():
    env = gymnasium.make("ndbmi/ShiftTarget-v1", disable_env_checker=True)
    first = env.reset(seed=0)[1]
    for _ in range(3):
        info = env.step(np.zeros(9, np.float32))[4]
        assert list(info) == list(first)
        for name, value in info.items():
            assert type(value) is type(first[name]), name
            assert np.shape(value) == np.shape(first[name])
    assert {"target", "animal", "curl", "push", "trial", "time_s", "failed"} <= set(info)
    assert info["time_s"] == pytest.approx(1.5)


@pytest.mark.parametrize(
    "targets", [{"centre_out": 8, "radius_cm": 5}, [[5, 0], [0, -3.5]]], ids=["circle", "list"]
)
def test_targets_of_ones_own_survive_resets(targets):
    env = gymnasium.make("ndbmi/ShiftTarget-v1", targets=targets)
    pool = np.array(env.unwrapped.episodes.task.targets)
    seen = set()
    for trial in range(60):
        _, info = env.reset(seed=0) if not trial else env.reset()
        index = np.flatnonzero((pool == info["target"]).all(axis=1))
        assert len(index) == 1
        seen.add(int(index[0]))
    assert len(seen) == len(pool)


def test_options_of_a_reset_reach_the_trial_and_no_later_one():
    env = gymnasium.make("ndbmi/ShiftTarget-v1", animal=None, n_animals=3)
    options = {"start": [[1, 2]], "target": (3, 4), "animal": 2, "perturbation": {"curl": 0.5}}
    _, info = env.reset(seed=0, options=options)
    assert info["position"].tolist() == [1, 2]
    assert info["target"].tolist() == [3, 4]
    assert (info["animal"], info["curl"]) == (2, 0.5)
    _, info = env.reset()
    assert info["target"].tolist() != [3, 4]
    assert info["curl"] == 0
    for bad in ({"start": "ab"}, {"animal": 7}, {"perturbation": {"curl": 1e308}}):
        with pytest.raises(ValueError, match=f"{next(iter(bad))} = |curl = "):
            env.reset(options=bad)


def test_a_curriculum_goes_through_wrappers():
    env = gymnasium.make("ndbmi/ShiftTarget-v1")
    env.reset(seed=0)
    env.get_wrapper_attr("change")(effort_weight=2.0, curl=0.4)
    action = np.full(9, 0.5, np.float32)
    info = env.step(action)[4]
    assert (info["reward_effort"], info["curl"]) == (pytest.approx(-0.15), 0.0)
    env.reset()
    info = env.step(action)[4]
    assert (info["reward_effort"], info["curl"]) == (pytest.approx(-1.0), 0.4)
    with pytest.raises(ValueError, match="mass belongs to the plant"):
        env.unwrapped.change(mass=1.0)


def test_a_step_before_the_first_reset_is_refused():
    env = BMIEnv()
    with pytest.raises(
        gymnasium.error.ResetNeeded, match=r"no trial to step: call reset\(\) first"
    ):
        env.step(np.zeros(9, np.float32))
    with pytest.raises(ValueError, match="start = "):
        env.reset(options={"start": "ab"})
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.zeros(9, np.float32))


@pytest.mark.parametrize("copy", [deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
@pytest.mark.parametrize("vector", [False, True])
def test_an_environment_that_was_drawn_is_copied(copy, vector):
    env = BMIVectorEnv(2, render_mode="rgb_array") if vector else BMIEnv(render_mode="rgb_array")
    env.reset(seed=0)
    action = np.full(env.action_space.shape, 0.2, np.float32)
    env.step(action)
    drawn = np.array(env.render())
    twin = copy(env)
    np.testing.assert_array_equal(np.array(twin.render()), drawn)
    for _ in range(3):
        one, other = env.step(action), twin.step(action)
        np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(np.array(twin.render()), np.array(env.render()))
    env.close()
    twin.close()


def test_the_path_of_a_descriptor_is_refused_and_the_descriptor_stays_open(tmp_path):
    with (tmp_path / "mine").open("w") as file:
        with pytest.raises(ValueError, match=r"interface = \d+: give the path of a file, or None"):
            BMIEnv(interface=file.fileno())
        file.write("still open")
