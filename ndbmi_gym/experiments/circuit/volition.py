"""What volition reaches through the circuit, and past it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.projections.polar import PolarAxes
from matplotlib.ticker import MaxNLocator

from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.experiments.bench.drawing import FONT, SMALL, canvas, legend
from ndbmi_gym.experiments.bench.figure import Figure
from ndbmi_gym.experiments.bench.tables import (
    Table,
    Tables,
    from_rows,
    where,
)
from ndbmi_gym.experiments.circuit.cases import VOLITION, Case
from ndbmi_gym.experiments.circuit.study_drawing import (
    WIDTH,
    Series,
    beside,
    cases_of,
    draw_means,
    handle,
    interval_handle,
    make_share,
    name_places,
    over_animals,
    separate,
    style_of,
    tidy,
)
from ndbmi_gym.experiments.protocol.runs import (
    FloatArray,
)
from ndbmi_gym.experiments.protocol.volition import N_TARGETS, command_runs
from ndbmi_gym.inversion import expected_projection
from ndbmi_gym.loop import ClosedLoop
from ndbmi_gym.policies import make_policy
from ndbmi_gym.presets import Preset
from ndbmi_gym.provenance import JSON
from ndbmi_gym.streams import experiment_rng

_TRIALS = 100  # of the shift task, per policy
_SHIFT_STEPS = 25  # its limit
DIRECTIONS = 16
"""In which reach is measured, from +x on."""
_FEWER = {"color": "#56b4e9", "marker": "X", "ls": "-."}  # stimuli than the other cases have
_CURLS = ({"color": "black", "marker": "o"}, {"color": "#c8202a", "marker": "^"})
_POLICIES: dict[str, dict[str, Any]] = {
    "zero": {"color": "#777777", "marker": "v"},
    "eq24": {"color": "#2f6db5", "marker": "s"},
    "ceiling": {"color": "#e09b00", "marker": "*", "ms": 8},
}
_POLICY_NAMES = {"zero": "no volition", "eq24": "Eq 24, or its analogue", "ceiling": "ceiling"}
_RING_LABELS = 292.5  # degrees, between two directions that are labelled


def data(preset: Preset, animal: int, seed: int) -> Tables:
    """Reach, commands and baseline policies in one animal."""
    return measure_volition(VOLITION, preset, animal, seed)


def measure_volition(cases: Sequence[Case], preset: Preset, animal: int, seed: int) -> Tables:
    """What volition reaches in one animal.

    Returns
    -------
    Tables
        ``reach``: how far volition within its bounds displaces the expected projected response,
        cm, by direction. ``commands``: share of runs that enter a target's region under the
        constant command towards it, and without volition; and how far from it they settle, cm;
        without and with a curl field. ``policies``: success and steps in the shift task with the
        state in view.
    """
    reached, commands, policies = [], [], []
    for case in cases:
        loop = case.make_loop(preset, animal)
        for low in case.lows:
            key = asdict(case) | {"low": low, "animal": animal}
            for direction, distance in enumerate(reach(loop, low)):
                reached.append(key | {"direction": direction, "reach": distance})
            for curl in (0.0, preset.curl):
                places = experiment_rng(seed, animal, "volition starts")
                rng = experiment_rng(seed, animal, repr(case), f"{low} {curl}")
                runs = command_runs(preset, loop, rng, places, curl, low)
                places = experiment_rng(seed, animal, "volition starts")
                still = command_runs(preset, loop, rng, places, curl, low, moved=False)
                off = np.linalg.norm(runs.settled - runs.targets, axis=1)
                for target in range(N_TARGETS):
                    row = {
                        "curl": curl,
                        "target": target,
                        "arrived": runs.arrived[target],
                        "by_itself": still.arrived[target],
                        "settled_off": off[target],
                    }
                    commands.append(key | row)
            policies += [key | row for row in play_policies(case, preset, animal, seed, low)]
    return {
        "reach": from_rows(reached),
        "commands": from_rows(commands),
        "policies": from_rows(policies),
    }


def reach(loop: ClosedLoop, low: float) -> FloatArray:
    """How far volition displaces the expected projected response in each of 16 directions, cm.

    It says what the map shows of volition at rest, not that nearest responses decode it: a weak
    evoked response is stretched to the workspace (Eq 5), and volition with it. The volition is
    sought among the corners of its box: from the one that the linearised effect favours, single
    entries are flipped as long as that leads farther. Where rates saturate it is a lower bound.

    Parameters
    ----------
    loop : ClosedLoop
    low : float
        Least volition in units of full volition, 0 or −1.
    """
    n_electrodes, small = loop.cortex.n_electrodes, 1e-3
    angle = np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS
    slopes = _displacement(loop, small * np.eye(n_electrodes)) / small
    return np.array([_farthest(loop, low, slopes, np.array([np.cos(a), np.sin(a)])) for a in angle])


def _farthest(loop: ClosedLoop, low: float, slopes: FloatArray, direction: FloatArray) -> float:
    corner = np.where(slopes @ direction > 0, 1.0, low)
    best = float((_displacement(loop, corner[None]) @ direction)[0])
    while True:
        flipped = np.where(np.eye(len(corner), dtype=bool), 1.0 + low - corner, corner)
        found = _displacement(loop, flipped) @ direction
        if found.max() <= best + 1e-9:
            return best
        best, corner = float(found.max()), flipped[found.argmax()]


def _displacement(loop: ClosedLoop, action: FloatArray) -> FloatArray:
    cortex, interface = loop.rates("a displacement"), loop.interface
    rest = expected_projection(cortex, interface, None, np.zeros((1, cortex.n_electrodes)))
    return expected_projection(cortex, interface, None, action * cortex.max_count) - rest


def play_policies(case: Case, preset: Preset, animal: int, seed: int, low: float) -> list[JSON]:
    """Success and mean steps of floor, Eq 24 and ceiling in the shift task, state in view."""
    trials = int(
        experiment_rng(seed, animal, "shift task").integers(2**31)
    )  # the same for all policies
    rows = []
    for name in ("zero", "eq24", "ceiling"):
        env = BMIVectorEnv(
            _TRIALS,
            max_episode_steps=_SHIFT_STEPS,
            task="shift",
            observe="state",
            animal=animal,
            preset=preset,
            volition="signed" if low < 0 else "positive",
            **case.options(),
        )
        seen, _ = env.reset(seed=trials)
        policy = make_policy(name, env)
        steps = np.full(_TRIALS, _SHIFT_STEPS)
        running, arrived = np.ones(_TRIALS, bool), np.zeros(_TRIALS, bool)
        for step in range(1, _SHIFT_STEPS + 1):
            action, _ = policy.predict(seen)
            seen, _, ended, _, _ = env.step(action)
            now = ended & running
            steps[now], arrived[now] = step, True
            running &= ~ended
        rows.append(
            {"policy": name, "success": float(arrived.mean()), "steps": float(steps.mean())}
        )
    return rows


def draw(tables: Tables, preset: Preset) -> Canvas:
    """Reach by direction; runs that enter the target under a command; success of policies.

    Parameters
    ----------
    tables : Tables
        ``reach``, ``commands`` and ``policies``, of one animal or several.
    """
    cases = cases_of(tables["reach"])
    most = max(case.stimuli for case in cases)
    names = [f"{case.name} ({case.stimuli})" for case in cases]
    styles = [style_of(case) | (_FEWER if case.stimuli < most else {}) for case in cases]
    lows = sorted(set(tables["reach"]["low"].tolist()), reverse=True)

    figure = canvas(WIDTH, 11.4)
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.1, 1.0))[:, 0]
    polar = upper.subplots(1, len(lows), squeeze=False, subplot_kw={"projection": "polar"})[0]
    panels = lower.subplots(2, len(lows), squeeze=False, sharex="col", sharey="row")
    farthest = 0.0
    for low, axes in zip(lows, polar, strict=True):
        for case, style in zip(cases, styles, strict=True):
            reached = case.rows(tables["reach"], low=low)
            if not len(reached["reach"]):
                continue
            farthest = max(farthest, _draw_reach(axes, reached, style))
        axes.set_title("signed volition" if low < 0 else "positive volition", size=FONT + 1)
    for axes in polar:
        _tidy_polar(axes, 1.05 * farthest)
    lines = [style | {"marker": ""} for style in styles]
    handles = [handle(style, name) for style, name in zip(lines, names, strict=True)]
    legend(upper, handles, 4)

    curls = sorted(set(tables["commands"]["curl"].tolist()))
    known = set(tables["policies"]["policy"].tolist())
    policies = [policy for policy in _POLICIES if policy in known]
    for low, (commanded, played) in zip(lows, panels.T, strict=True):
        for i, curl in enumerate(curls):
            own = [case.rows(tables["commands"], low=low, curl=curl) for case in cases]
            _dots(commanded, _CURLS[i], own, "arrived", i, len(curls) + 1)
        own = [case.rows(tables["commands"], low=low, curl=curls[0]) for case in cases]
        _dots(commanded, _POLICIES["zero"], own, "by_itself", len(curls), len(curls) + 1)
        for i, policy in enumerate(policies):
            own = [case.rows(tables["policies"], low=low, policy=policy) for case in cases]
            _dots(played, _POLICIES[policy], own, "success", i, len(policies))
        for axes in (commanded, played):
            tidy(axes)
            make_share(axes)
            separate(axes, len(cases))
        name_places(played, names)
        played.set_xlabel("cortex (stimuli)", size=FONT)
    panels[0, 0].set_ylabel("Constant command:\nshare of runs that\nenter the target", size=FONT)
    panels[1, 0].set_ylabel("Shift task:\nshare of trials\nthat succeed", size=FONT)
    handles = [
        handle(_CURLS[i], f"command, curl field of {curl:g} kg/s" if curl else "command, no curl")
        for i, curl in enumerate(curls)
    ]
    handles += [handle(_POLICIES[policy], _POLICY_NAMES[policy]) for policy in policies]
    legend(lower, [*handles, *interval_handle(tables["reach"])], 3)
    return figure


def _draw_reach(axes: Axes, reached: Table, style: dict[str, Any]) -> float:
    """A closed line around the centre; return how far it goes."""
    directions = np.unique(reached["direction"])
    mean = [over_animals(where(reached, direction=d), "reach").estimate for d in directions]
    angle = directions * 2 * np.pi / len(directions)
    color, ls = style["color"], style["ls"]
    axes.plot(np.append(angle, angle[0]), [*mean, mean[0]], lw=1.6, color=color, ls=ls)
    return max(mean)


def _dots(
    axes: Axes, style: dict[str, Any], tables: Sequence[Table], column: str, i: int, of: int
) -> None:
    """A marker for every case, beside `of` others."""
    places = np.arange(len(tables)) + beside(of, 0.22)[i]
    series = Series({**style, "ls": ""}, "", places.tolist(), [])
    draw_means(axes, series, [over_animals(table, column) for table in tables])


def _tidy_polar(axes: PolarAxes, farthest: float) -> None:
    ticks = MaxNLocator(4, steps=(1, 2, 5, 10)).tick_values(0, farthest)
    rings = [tick for tick in ticks if 0 < tick < farthest]
    axes.set_ylim(0, farthest)
    axes.set_yticks(rings, [])
    for ring in rings:  # above the lines, which tick labels are not
        axes.text(
            np.radians(_RING_LABELS),
            ring,
            f"{ring:g}",
            size=SMALL,
            ha="center",
            va="center",
            bbox={"fc": "white", "ec": "none", "alpha": 0.75, "pad": 0.5},
        )
    axes.tick_params(labelsize=SMALL)
    axes.set_xlabel("mean reach by direction (cm)", size=FONT)


FIGURE = Figure(
    __name__,
    "Volition through the circuit",
    data,
    draw,
    pooled=("reach", "commands", "policies"),
)
