"""What volition reaches through the circuit, and past it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from ndbmi_gym.envs.vector import BMIVectorEnv
from ndbmi_gym.experiments.bench.drawing import FONT, NARROW, SMALL, canvas, legend, title
from ndbmi_gym.experiments.bench.figure import Figure
from ndbmi_gym.experiments.bench.tables import (
    Table,
    Tables,
    from_rows,
    where,
)
from ndbmi_gym.experiments.circuit.cases import VOLITION, Case
from ndbmi_gym.experiments.circuit.study_drawing import (
    BAR,
    cases_of,
    handle,
    in_words,
    interval_handle,
    over_animals,
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
_WHOLE = ("topographic", "soc")  # and not a control
_POLICIES: dict[str, dict[str, Any]] = {  # Okabe and Ito's colours
    "zero": {"color": "#777777", "marker": "v"},
    "eq24": {"color": "#0072b2", "marker": "o"},
    "ceiling": {"color": "#d55e00", "marker": "*", "ms": 8},
}
_POLICY_NAMES = {
    "zero": "no volition",
    "eq24": "the paper's command (Eq 24), or its analogue",
    "ceiling": "ceiling: a controller that sees the state",
}
_SIGNS = ("volition only adds activity", "volition adds or removes activity")


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
    """How far volition reaches; what a command achieves; what policies achieve; by cortex.

    Parameters
    ----------
    tables : Tables
        ``reach``, ``commands`` and ``policies``, of one animal or several.
    """
    cases = sorted(cases_of(tables["reach"]), key=lambda case: case.cortex not in _WHOLE)
    lows = sorted(set(tables["reach"]["low"].tolist()), reverse=True)
    figure = canvas(NARROW, 3 * (0.21 * len(cases) + 0.95) + 0.5)
    parts = figure.subfigures(3, 1, squeeze=False)[:, 0]
    questions = (
        "How far volition can move the decoded point",
        "Does a constant command bring the device into the target?",
        "Do trials of the shift task succeed?",
    )
    axes_names = ("distance (cm)", "share of runs", "share of trials")
    free = where(tables["commands"], curl=0.0)
    for part, question, letter, name in zip(parts, questions, "ABC", axes_names, strict=True):
        title(part, f"{letter}  {question}")
        panels = part.subplots(1, len(lows), squeeze=False, sharex=True, sharey=True)[0]
        for low, axes in zip(lows, panels, strict=True):
            if letter == "A":
                _draw_reach(axes, [case.rows(tables["reach"], low=low) for case in cases])
            else:
                axes.set_xlim(-0.04, 1.04)
            if letter == "B":
                own = [case.rows(free, low=low) for case in cases]
                _dots(axes, "zero", own, "by_itself")
                _dots(axes, "eq24", own, "arrived")
            if letter == "C":
                for policy in _POLICIES:
                    own = [case.rows(tables["policies"], low=low, policy=policy) for case in cases]
                    _dots(axes, policy, own, "success")
            axes.set_title(_SIGNS[low < 0], size=FONT)
            axes.set_xlabel(name, size=FONT)
            for place, case in enumerate(cases):
                if low not in case.lows:
                    where_ = axes.get_yaxis_transform()
                    text = "(volition only adds spikes)"
                    axes.text(0.5, place, text, transform=where_, ha="center", va="center",
                              size=SMALL - 1, color="0.45")  # fmt: skip
            _name_rows(axes, [_name(case, cases) for case in cases])
    line = {"lw": 5, "color": _POLICIES["eq24"]["color"], "solid_capstyle": "butt"}
    handles = [
        Line2D(
            [], [], label="from the direction reached least to the one reached farthest", **line
        ),
        *(handle(style, _POLICY_NAMES[policy]) for policy, style in _POLICIES.items()),
        *interval_handle(tables["reach"], marker="_"),
    ]
    legend(figure, handles, 2)
    return figure


def _name(case: Case, cases: Sequence[Case]) -> str:
    """A case in words, with the number of stimuli where it is another than the others have."""
    most = max(other.stimuli for other in cases)
    return in_words(case) + (f", {case.stimuli} stimuli" if case.stimuli < most else "")


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Names along the vertical axis, from above."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    for edge in range(1, len(names)):
        axes.axhline(edge - 0.5, color="0.92", lw=0.8, zorder=0)
    tidy(axes)


def _draw_reach(axes: Axes, tables: Sequence[Table]) -> None:
    """A bar for every case, from the least to the largest of the directions' means."""
    for place, reached in enumerate(tables):
        directions = np.unique(reached["direction"])
        means = [over_animals(where(reached, direction=d), "reach").estimate for d in directions]
        if means:
            color = _POLICIES["eq24"]["color"]
            axes.plot(
                [min(means), max(means)], [place] * 2, lw=5, color=color, solid_capstyle="butt"
            )
    axes.set_xlim(left=0)


def _dots(axes: Axes, policy: str, tables: Sequence[Table], column: str) -> None:
    """A marker with its interval for every case."""
    mean, low, high = np.array([over_animals(table, column) for table in tables]).T
    style = BAR | _POLICIES[policy] | {"ls": ""}
    axes.errorbar(mean, np.arange(len(tables)), xerr=[mean - low, high - mean], **style)


FIGURE = Figure(
    __name__,
    "Volition through the circuit",
    data,
    draw,
    pooled=("reach", "commands", "policies"),
)
