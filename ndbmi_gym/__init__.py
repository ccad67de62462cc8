"""Gymnasium environments of volitional control of a closed-loop brain-machine interface."""

from typing import Any

from gymnasium.envs.registration import register as _register

__version__ = "0.1.0"

_IDS: dict[str, tuple[int, dict[str, Any]]] = {
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
