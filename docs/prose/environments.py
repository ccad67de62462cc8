"""The numbers of the pages on environments, most of them as their ids declare them."""

from typing import Any

import gymnasium
import numpy as np

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.plants.arm import Arm
from ndbmi_gym.plants.point_mass import PointMass
from ndbmi_gym.policies.waypoint import NEAR_CM, WIDE_CM
from ndbmi_gym.recording import record
from prose import Piece, sentence


def pieces() -> list[Piece]:
    """All of them."""
    session, disc, rhythm, degraded, delayed = (
        declared(name)
        for name in (
            "Adaptation-v0",
            "AvoidObstacle-v0",
            "Rhythm-v0",
            "Degraded-v0",
            "HoldTargetDelayed-v0",
        )
    )
    learning = session.perturbation.blocks[1]
    radius, speed = _circling()
    return [
        sentence(
            "docs/environments/adaptation.md",
            "sensed three steps ({late:g} s) late",
            late=session.senses.delay_steps * session.plant.step_s,
        ),
        sentence(
            "docs/environments/adaptation.md",
            "− {effort:g}·mean|action| − {deviation:g}·deviation",
            effort=session.task.effort_weight,
            deviation=session.task.deviation_weight,
        ),
        sentence(
            "docs/environments/adaptation.md",
            "The field is a curl of {curl:g} kg/s",
            curl=learning.laws[0].curl[1],
        ),
        sentence(
            "docs/environments/adaptation.md",
            "ends within {radius:g} cm of the target, or after {steps:d} steps of {step:g} s",
            radius=session.task.radius_cm,
            steps=session.session.trial_steps,
            step=session.plant.step_s,
        ),
        sentence(
            "docs/environments/avoid_obstacle.md",
            "has a radius of {radius:g} cm",
            radius=disc.task.obstacle_radius_cm,
        ),
        sentence(
            "docs/environments/avoid_obstacle.md",
            "the sector behind it, {near:g} to {far:g} cm from the centre and within {sector:g}°",
            near=disc.task.target_range_cm[0],
            far=disc.task.target_range_cm[1],
            sector=disc.task.sector_deg,
        ),
        sentence(
            "docs/environments/avoid_obstacle.md",
            "passes it by less than {near:g} cm they steer along the tangent to the circle "
            "{wide:g} cm around it, and places nearer than {near:g} cm cost",
            near=NEAR_CM,
            wide=WIDE_CM,
        ),
        sentence(
            "docs/environments/degraded.md", "(Eq 18, α = {lost:g})", lost=degraded.cortex.flatten
        ),
        sentence(
            "docs/environments/hold_target_delayed.md",
            "three steps ({late:g} s) late",
            late=delayed.senses.delay_steps * delayed.plant.step_s,
        ),
        sentence(
            "docs/environments/options.md",
            "is bounded by {faster:.1f} times what the point mass's is. A wall of {wall:g} cm "
            "holds the hand (the arm reaches {reach:.1f} cm in all directions)",
            faster=Arm().max_speed(1.0) / PointMass().max_speed(1.0),
            wall=Arm().wall_cm,
            reach=Arm().most_half_side_cm,
        ),
        sentence(
            "docs/environments/rhythm.md",
            "circles: at {radius:.1f} cm and {speed:.2f} rad/s",
            radius=radius,
            speed=speed,
        ),
        sentence(
            "docs/environments/rhythm.md",
            "{d0[0]:g} cm at {d0[1]:g} rad/s, {d1[0]:g} cm at {d1[1]:g}, {d2[0]:g} cm at "
            "{d2[1]:g}, {d3[0]:g} cm at {d3[1]:g} (the other way round) and {d4[0]:g} cm at "
            "{d4[1]:g}. A step fulfils the demand if it ends less than {radius:g} cm from the "
            "demanded radius (`radius_cm`) and the angular speed over the last four steps is less "
            "than {tolerance:g} rad/s",
            radius=rhythm.task.radius_cm,
            tolerance=rhythm.task.tolerance,
            **{f"d{i}": demand for i, demand in enumerate(rhythm.task.demands)},
        ),
    ]


def declared(name: str) -> Any:
    """What an id is made of when no option is given."""
    env = gymnasium.make(f"ndbmi/{name}")
    try:
        return env.unwrapped.episodes.config
    finally:
        env.close()


def _circling() -> tuple[float, float]:
    """Radius, cm, and angular speed, rad/s, of Rhythm-v0 without volition when they count."""
    parts = declared("Rhythm-v0")
    steps = parts.task.scored_steps
    trials = record("ndbmi/Rhythm-v0", "zero", trials=200, keys=("position",))
    paths = np.array([trial.infos["position"][-steps - 1 :] for trial in trials])  # (200, T, 2)
    angles = np.unwrap(np.arctan2(paths[..., 1], paths[..., 0]), axis=1)
    speeds = (angles[:, -1] - angles[:, 0]) / (steps * parts.plant.step_s)
    return float(np.linalg.norm(paths, axis=-1).mean()), float(speeds.mean())
