"""Parts from a module outside the package, through every door that the package has."""

import gymnasium
import numpy as np
import pytest
import third_party
from gymnasium.envs.registration import EnvSpec

import ndbmi_gym  # noqa: F401 (registers the ids)
from agents.train import Settings, train
from ndbmi_gym.cortex import CORTICES
from ndbmi_gym.fields import FIELDS
from ndbmi_gym.perturbations import PERTURBATIONS
from ndbmi_gym.plants import PLANTS
from ndbmi_gym.policies import make_policy
from ndbmi_gym.tasks import TASKS

ID = "ndbmi/ShiftTarget-v1"
FEW = {"repetitions": 3, "target_range_cm": (0.0, 20.0), "min_start_distance_cm": 0.0}

PARTS = {
    "field": ("Corridor", {"strength": 2.0}, FIELDS),
    "law": ("gust", {}, None),
    "schedule": ("EverySecond", {"strength_kg_s": 2.0}, PERTURBATIONS),
    "task": ("Obstacle", {"obstacle_radius_cm": 1.0, "obstacle_cm": (1.0, 1.0)}, TASKS),
    "cortex": ("Latencies", {"n_electrodes": 5}, CORTICES),
    "plant": ("Cursor", {"mobility": 0.5}, PLANTS),
}
"""Name, options and registry of each; a law is chosen as a perturbation, too."""

ALL = {
    "field": "third_party:Corridor",
    "perturbation": "third_party:EverySecond",
    "task": "third_party:Obstacle",
    "cortex": "third_party:Latencies",
    "plant": "third_party:Cursor",
    "repetitions": 3,
    "target_range_cm": [0.0, 20.0],
    "min_start_distance_cm": 0.0,
    "obstacle_radius_cm": 1.0,
    "strength": 2.0,
}


def option(part):
    return "perturbation" if part in ("law", "schedule") else part


def path(env, steps=12, seed=3):
    """Observations and rewards under actions that are drawn."""
    rng = np.random.default_rng(0)
    observation, _ = env.reset(seed=seed)
    seen = [observation]
    for _ in range(steps):
        action = rng.random(env.action_space.shape).astype(np.float32)
        observation, reward, terminated, truncated, _ = env.step(action)
        assert env.observation_space.contains(observation)
        seen += [observation, np.atleast_1d(reward)]
        if not hasattr(env, "num_envs") and (terminated or truncated):
            seen.append(env.reset()[0])
    env.close()
    return np.concatenate([np.ravel(each) for each in seen])


def held(env, part):
    """The part that an environment has."""
    config = env.unwrapped.episodes.config
    return config.perturbation.law if part == "law" else getattr(config, option(part))


@pytest.fixture(params=PARTS)
def part(request):
    return request.param


def test_by_name_of_the_module(part):
    name, own, _ = PARTS[part]
    chosen = f"third_party:{name}"
    env = gymnasium.make(ID, **FEW, **{option(part): chosen}, **own)
    made = held(env, part)
    whose = made if part == "law" else type(made)
    assert whose is getattr(third_party, name)
    for key, value in own.items():
        assert getattr(made, key) == value
    expected = path(env)

    mapping = gymnasium.make(ID, **FEW, **{option(part): {"kind": chosen, **own}})
    np.testing.assert_array_equal(path(mapping), expected)
    written = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    np.testing.assert_array_equal(path(written), expected)
    vector = gymnasium.make_vec(
        ID, num_envs=1, autoreset_mode="SameStep", **FEW, **{option(part): chosen}, **own
    )
    first = env.observation_space.shape[0]
    np.testing.assert_array_equal(path(vector)[:first], expected[:first])


def test_it_differs_from_the_packages_own(part):
    name, own, _ = PARTS[part]
    mine = gymnasium.make(ID, **FEW, **{option(part): f"third_party:{name}"}, **own)
    assert not np.array_equal(path(mine), path(gymnasium.make(ID, **FEW)))


def test_by_a_name_of_ones_own(part):
    name, own, registry = PARTS[part]
    if registry is None:  # a law has no registry: it is an option of a schedule
        registry, name = PERTURBATIONS, "EverySecond"
    registry.register(f"own_{part}", getattr(third_party, name))
    try:
        options = {option(part): f"own_{part}"} | own
        if part == "law":
            options["perturbation"] = {"kind": "draw", "law": "third_party:gust"}
        env = gymnasium.make(ID, **FEW, **options)
        assert option(part) in env.spec.kwargs
        path(env)
        with pytest.raises(ValueError, match="already: choose another name"):
            registry.register(f"own_{part}", dict)
    finally:
        del registry._parts[f"own_{part}"]


def test_an_option_that_it_does_not_have_is_refused(part):
    name, _, registry = PARTS[part]
    chosen = f"third_party:{name}"
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'stiffness'"):
        gymnasium.make(ID, **FEW, **{option(part): chosen}, stiffness=1.0)
    with pytest.raises(ValueError, match=r"no option 'stiffness'"):
        gymnasium.make(ID, **FEW, **{option(part): {"kind": chosen, "stiffness": 1.0}})
    if registry is not None:
        with pytest.raises(ValueError, match=r"no option 'stiffness'.*its options are"):
            registry.make({"kind": chosen, "stiffness": 1.0})


def test_options_of_what_it_replaces_go_with_it():
    with pytest.raises(TypeError, match="unexpected keyword argument 'flatten'"):
        gymnasium.make(ID, cortex="third_party:Latencies", flatten=0.5)
    with pytest.raises(TypeError, match="unexpected keyword argument 'mass'"):
        gymnasium.make(ID, plant="third_party:Cursor", mass=2.0)
    with pytest.raises(ValueError, match=r"strength = -1: give a finite number > 0"):
        gymnasium.make(ID, field="third_party:Corridor", strength=-1)


def test_batches_of_all_together():
    env = gymnasium.make_vec(ID, num_envs=4, **ALL)
    expected = path(env)
    written = EnvSpec.from_json(env.spec.to_json())
    again = gymnasium.make_vec(written.id, **written.kwargs)
    np.testing.assert_array_equal(path(again), expected)


def test_worker_processes():
    def steps(mode, **more):
        env = gymnasium.make_vec(ID, num_envs=2, vectorization_mode=mode, **more, **ALL)
        return path(env, steps=4)

    workers = steps("async", vector_kwargs={"context": "spawn"})
    np.testing.assert_array_equal(workers, steps("sync"))


def test_training(tmp_path):
    hyper = {"n_steps": 64, "batch_size": 64, "n_envs": 2, "frame_stack": 1}
    settings = Settings(env=ID, option=ALL, steps=256, out=str(tmp_path / "run"), hyper=hyper)
    assert train(settings)
    assert (tmp_path / "run" / "model.zip").exists()
    with pytest.raises(ValueError, match="unexpected keyword argument 'stiffness'"):
        train(Settings(env=ID, option=ALL | {"stiffness": 1}, out=str(tmp_path / "other")))


def test_an_obstacle_ends_a_trial_in_failure():
    options = {"task": "third_party:Obstacle", "targets": "field", "repetitions": 3, "fine": 2.0}
    env = gymnasium.make(ID, **options, obstacle_cm=(4.0, 0.0), obstacle_radius_cm=1.0)
    env.reset(seed=0, options={"start": (8.0, 0.0)})  # the field leads through the disc
    terminated, rewards = False, []
    while not terminated:
        _, reward, terminated, truncated, info = env.step(np.zeros(9, np.float32))
        rewards.append(reward)
        assert not truncated
        assert info["failed"] == terminated
    assert not info["is_success"]
    assert info["reward_penalty"] == -2.0
    assert rewards[-1] == pytest.approx(info["reward_distance"] + info["reward_penalty"])


def test_animals_of_a_cortex_differ():
    options = FEW | {"cortex": "third_party:Latencies", "animal": None, "n_animals": 2}
    first, second = gymnasium.make(ID, **options).unwrapped.episodes.loops
    assert (first.cortex.tuned_for, second.cortex.tuned_for) == (0, 1)
    assert not np.allclose(first.interface.points, second.interface.points)


def test_every_second_trial_is_perturbed():
    env = gymnasium.make(ID, perturbation="third_party:EverySecond", **FEW)
    curls = [env.reset(seed=1 if i == 0 else None)[1]["curl"] for i in range(4)]
    assert curls == [0.0, 1.0, 0.0, 1.0]


@pytest.mark.parametrize("policy", ["eq24", "ceiling", "filter"])
def test_policies_that_need_rates_refuse_a_cortex_that_tells_none(policy):
    env = gymnasium.make(ID, cortex="third_party:Latencies", **FEW)
    observation, _ = env.reset(seed=0)
    for name in ("zero", "random"):
        assert env.action_space.contains(make_policy(name, env).predict(observation)[0])
    with pytest.raises(ValueError, match=r"rates.*Latencies.*mean_counts"):
        make_policy(policy, env).predict(observation)


def test_a_task_is_told_the_numbers_of_trials():
    targets = np.array([[5.0, 0.0], [0.0, 5.0], [-5.0, 0.0]])
    options = {"task": "third_party:Obstacle", "targets": targets, "repetitions": 3}
    env = gymnasium.make(ID, **options)
    aims = [env.reset(seed=0 if i == 0 else None)[1]["target"] for i in range(5)]
    np.testing.assert_array_equal(aims, targets[[0, 1, 2, 0, 1]])
    batch = gymnasium.make_vec(ID, num_envs=3, animal=None, n_animals=2, **options)
    batch.reset(seed=0)
    batch.reset(options={"reset_mask": np.array([False, True, True])})
    _, info = batch.reset(options={"reset_mask": np.array([True, False, True])})
    np.testing.assert_array_equal(info["target"], targets[[1, 1, 2]])
