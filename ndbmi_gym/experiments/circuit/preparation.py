"""Preparation by a tonic input, go cue, and when to record: states, single responses, the loop."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ndbmi_gym.animals import Calibration
from ndbmi_gym.calibration import calibrate
from ndbmi_gym.config import Config
from ndbmi_gym.cortex.soc.cortex import METRIC_TAU_S, SOC, WINDOW_S, soc_cortex
from ndbmi_gym.cortex.soc.transients import tonic
from ndbmi_gym.experiments.bench.drawing import DPI
from ndbmi_gym.experiments.bench.tables import (
    Table,
    Tables,
    concatenate,
    from_rows,
    labelled,
    read_folder,
    where,
    write_csv,
)
from ndbmi_gym.experiments.circuit.cases import N_STARTS, REPETITIONS, identified
from ndbmi_gym.experiments.circuit.preparation_drawing import draw
from ndbmi_gym.experiments.circuit.specimen import STEP_S
from ndbmi_gym.experiments.protocol.conditions import (
    FIELDS,
    loop_with,
    path_errors,
    run_loop,
    starts_of,
)
from ndbmi_gym.files import whole_file, write_json
from ndbmi_gym.presets import Preset
from ndbmi_gym.provenance import JSON, versions
from ndbmi_gym.rollout import score
from ndbmi_gym.streams import experiment_rng

STIMULI = 32
COURSES_S = (0.0, 0.1, 0.2, 0.4)  # preparations whose courses are shown
HOLDS_S = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8)
OFFSETS_S = (-0.15, -0.1, -0.05, -0.02, 0.0, 0.02, 0.05, 0.1, 0.15)
USUAL_S = 0.4
"""Preparation from which on single responses are told as those of states that are there at once."""
LOOPS_S = (0.0, 0.1, 0.2, USUAL_S)  # preparations in the closed loop
WHOLE, SAME = "whole preparations", "the same preparation"
"""What the interface was calibrated on."""
POLICIES = ("zero", "eq24", "ceiling")
_TRIALS = 100  # of the shift task, per animal and policy


def _options(**own: float) -> JSON:
    return {"kind": "soc", "stimuli": STIMULI, **own}


def measure_courses() -> Table:
    """Size of the state, and what is recorded of it, from the onset of preparation on.

    Means over stimuli, by time from the go cue: the size in units of the prepared state; the
    distance from that state; and the mean distance of an electrode's rate from rest, Hz.
    """
    cortex = soc_cortex(SOC(stimuli=STIMULI))
    size = np.linalg.norm(cortex.prepared, axis=1)
    every = np.arange(cortex.circuit.n_neurons)
    courses = []
    for hold in COURSES_S:
        steps = round((hold + WINDOW_S) / STEP_S)
        times = np.asarray(np.arange(steps + 1) * STEP_S, float)
        states = tonic(cortex.circuit.weights, cortex.prepared, hold, times, every)
        rates = cortex.gain(states[..., : cortex.n_electrodes])
        columns = {
            "time_s": times - hold,
            "size": (np.linalg.norm(states, axis=2) / size).mean(axis=1),
            "distance": (np.linalg.norm(states - cortex.prepared, axis=2) / size).mean(axis=1),
            "output_hz": np.abs(rates).mean(axis=(1, 2)),
        }
        courses.append(labelled(columns, prepare_s=hold))
    return concatenate(courses)


def measure_holds(animals: Sequence[int], seed: int) -> Table:
    """Share of single responses that are identified, by preparation and animal.

    Of an interface that was calibrated on whole preparations, and on the same as its test.
    """
    rows = []
    usual = Calibration.repetitions, Calibration.half_side_cm
    for animal in animals:
        for hold in HOLDS_S:
            loop = Config.of(cortex=_options(prepare_s=hold), animal=animal).make_loop(animal)
            rng = experiment_rng(seed, animal, "preparation", f"{hold}")
            row = {"animal": animal, "prepare_s": hold}
            rows.append(row | {"calibrated": WHOLE, "identified": identified(loop, rng)})
            noise = experiment_rng(seed, animal, "calibration", f"{hold}")
            own = calibrate(loop.cortex, noise, *usual, METRIC_TAU_S)
            told = identified(replace(loop, interface=own), rng)
            rows.append(row | {"calibrated": SAME, "identified": told})
    return from_rows(rows)


def measure_offsets(animals: Sequence[int], seed: int) -> Table:
    """Share of single responses that are identified, by preparation, offset and animal.

    A state that is there at once cannot be recorded before.
    """
    rows = []
    for animal in animals:
        for hold in (0.0, USUAL_S):
            for offset in OFFSETS_S:
                if hold + offset < 0:
                    continue
                cortex = _options(prepare_s=hold, window_offset_s=offset)
                loop = Config.of(cortex=cortex, animal=animal).make_loop(animal)
                rng = experiment_rng(seed, animal, "offset", f"{hold} {offset}")
                row = {"animal": animal, "prepare_s": hold, "offset_s": offset}
                rows.append(row | {"identified": identified(loop, rng)})
    return from_rows(rows)


def measure_loops(animals: Sequence[int], seed: int) -> Table:
    """Convergence and wtpe (cm) of both desired fields, by preparation and animal."""
    rows = []
    preset = Preset()
    for animal in animals:
        starts = starts_of(animal, seed, N_STARTS, REPETITIONS)
        for hold in LOOPS_S:
            for field in FIELDS:
                cortex = {"cortex": _options(prepare_s=hold)}
                loop = loop_with(preset, cortex, field, "multiple-points", animal)
                rng = experiment_rng(seed, animal, "preparation", f"{hold}", field)
                runs, ideal = run_loop(preset, loop, rng, starts)
                arrived, error = runs.convergent, path_errors(preset, runs, ideal)
                row = {"animal": animal, "prepare_s": hold, "field": field}
                found = float(error[arrived].mean()) if arrived.any() else np.nan
                rows.append(row | {"convergent": float(arrived.mean()), "wtpe": found})
    return from_rows(rows)


def measure_shift(animals: Sequence[int], seed: int) -> Table:
    """Success in ``ShiftTargetSOC-v1``, by preparation, policy and animal."""
    rows = []
    for animal in animals:
        for hold in LOOPS_S:
            for policy in POLICIES:
                cortex = _options(prepare_s=hold, units=1)
                found = score(
                    *("ndbmi/ShiftTargetSOC-v1", policy, _TRIALS, seed),
                    observe="state",
                    animal=animal,
                    cortex=cortex,
                )
                row = {"animal": animal, "prepare_s": hold, "policy": policy}
                rows.append(row | {"success": float(found["success"].mean())})
    return from_rows(rows)


def measure(animals: Sequence[int], seed: int) -> Tables:
    """All tables: ``courses``, ``holds``, ``offsets``, ``loops``, ``shift``."""
    return {
        "courses": measure_courses(),
        "holds": measure_holds(animals, seed),
        "offsets": measure_offsets(animals, seed),
        "loops": measure_loops(animals, seed),
        "shift": measure_shift(animals, seed),
    }


def write(folder: Path, animals: Sequence[int], seed: int) -> str:
    """Measure; write tables, what they depend on, and the picture.

    Returns
    -------
    str
        Means over animals.

    Raises
    ------
    ValueError
        If an animal or the seed is negative.
    """
    if not animals or min(animals) < 0:
        raise ValueError(f"animals {list(animals)}: give at least one, all >= 0")
    if seed < 0:
        raise ValueError(f"seed {seed}: give a seed >= 0")
    tables = measure(animals, seed)
    for name, table in tables.items():
        write_csv(folder / f"{name}.csv", table)
    settings = {"animals": list(animals), "seed": seed, "stimuli": STIMULI, "trials": _TRIALS}
    write_json(folder / "preparation.json", settings | {"versions": versions("matplotlib")})
    redraw(folder)
    return summary(tables)


def redraw(folder: Path) -> list[str]:
    """Draw the picture anew from the tables in a folder; return its name.

    Raises
    ------
    ValueError
        If there are no tables.
    """
    tables = read_folder(folder)
    if not {"courses", "holds", "offsets"} <= set(tables):
        raise ValueError(f"{folder} holds no tables to draw: measure first, without --redraw")
    with whole_file(folder / "preparation.png") as part:
        draw(tables).savefig(part, dpi=DPI)
    return ["preparation"]


def summary(tables: Tables) -> str:
    """What the loop achieves by preparation, means over animals, in Markdown."""
    loops, shift = tables["loops"], tables["shift"]
    head = ["preparation, s"]
    head += [f"{field}: converge, wtpe (cm)" for field in FIELDS]
    head += [f"shift task: {policy}" for policy in POLICIES]
    lines = [head, ["---"] * len(head)]
    for hold in np.unique(loops["prepare_s"]):
        cells = [f"{hold:g}"]
        for field in FIELDS:
            own = where(loops, prepare_s=hold, field=field)
            cells.append(f"{own['convergent'].mean():.2f}, {np.nanmean(own['wtpe']):.2f}")
        for policy in POLICIES:
            own = where(shift, prepare_s=hold, policy=policy)
            cells.append(f"{own['success'].mean():.2f}")
        lines.append(cells)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
