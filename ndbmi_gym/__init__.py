"""Gymnasium environments of volitional control of a closed-loop brain-machine interface."""

from typing import Any

from gymnasium.envs.registration import register as _register

__version__ = "0.1.0"

_IDS: dict[str, tuple[int | None, dict[str, Any]]] = {
    "FixedField-v1": (50, {"task": "fixed"}),
    "ShiftTarget-v1": (25, {"task": "shift"}),
    "ShiftTargetCurl-v1": (25, {"task": "shift", "perturbation": {"curl": 0.6}}),
    "HoldTarget-v1": (50, {"task": "hold"}),
    "ShiftTargetSOC-v1": (
        25,
        {
            "task": "shift",
            "cortex": {"kind": "soc", "stimuli": 32, "units": 1},
            "volition": "signed",
        },
    ),
    "HoldTargetDelayed-v0": (50, {"task": "hold", "delay_steps": 3}),
    "Degraded-v0": (50, {"task": "hold", "degraded": "test", "flatten": 0.5}),
    "ShiftTargetArm-v0": (25, {"task": "shift", "plant": "arm"}),
    "Adaptation-v0": (
        None,  # a session ends by itself
        {
            "task": "straight",
            "targets": {"centre_out": 8, "radius_cm": 5.0},
            "min_start_distance_cm": 0.0,
            "starts": "centre",
            "radius_cm": 1.5,
            "dwell": 1,
            "step_s": 0.25,
            "delay_steps": 3,
            "session_trials": 112,
            "trial_steps": 24,
            "perturbation": {
                "kind": "blocks",
                "sign": "animal",
                "blocks": [
                    {"name": "baseline", "trials": 24},
                    {
                        "name": "adaptation",
                        "trials": 64,
                        "curl": 1.5,
                        "catch": {"each": 8, "from": 8, "until": 60},
                    },
                    {"name": "washout", "trials": 24},
                ],
            },
        },
    ),
    "AvoidObstacle-v0": (30, {"task": "avoid"}),
    "ChooseField-v0": (
        25,
        {
            "task": "shift",
            "targets": [[5.0, 0.0], [-5.0, 0.0]],
            "cortex": "dedicated",
            "field": "choice",
        },
    ),
    "Rhythm-v0": (80, {"task": "rhythm", "field": "limit_cycle"}),
}

for _name, (_steps, _kwargs) in _IDS.items():
    _register(
        f"ndbmi/{_name}",
        entry_point="ndbmi_gym.envs.scalar:BMIEnv",
        vector_entry_point="ndbmi_gym.envs.vector:BMIVectorEnv",
        max_episode_steps=_steps,
        kwargs=_kwargs,
    )

_GOAL_IDS: dict[str, tuple[int, dict[str, Any]]] = {
    "ShiftTargetGoal-v0": (25, {"task": "shift", "observe": "state"}),
    "HoldTargetGoal-v0": (50, {"task": "hold", "observe": "state"}),
}

for _name, (_steps, _kwargs) in _GOAL_IDS.items():
    _register(
        f"ndbmi/{_name}",
        entry_point="ndbmi_gym.envs.goal:BMIGoalEnv",
        vector_entry_point="ndbmi_gym.envs.goal:BMIGoalVectorEnv",
        max_episode_steps=_steps,
        kwargs=_kwargs,
    )
