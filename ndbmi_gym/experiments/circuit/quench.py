"""Whether preparation quenches the trial-to-trial variability of activity.

Across cortex, a stimulus or the onset of a movement makes responses vary less from trial to trial
(Churchland et al. 2010); circuits whose gain saturates were proposed to do so. Here independent
white noise drives all neurons. A tonic input prepares a state and a go cue ends it, as with the
option ``prepare_s``. What trials have in common with those of the same noise that are *not*
prepared is no effect of preparation, so that these are the reference at every time: their variance
need not be stationary.

In the linear core deviations from the mean obey τ·δ̇ = (W − I)·δ + noise, whatever the input: the
variance of states cannot change, and that of rates changes only as far as the neurons' output
saturates. It is the control that a measured quench of states must differ from. In the nonlinear
core what neurons hear of each other saturates, too: about a prepared state x₀, noise runs through
the weights W·diag(g'(x₀)).

References
----------
Churchland MM, Yu BM, Cunningham JP, et al. (2010). Stimulus onset quenches neural variability: a
widespread cortical phenomenon. Nat Neurosci 13:369-378.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from ndbmi_gym.cortex.soc.circuit import Circuit, noise_covariance
from ndbmi_gym.cortex.soc.transients import TAU_S, Gain
from ndbmi_gym.experiments.bench.drawing import FONT, NARROW, canvas, legend
from ndbmi_gym.experiments.bench.tables import (
    Table,
    Tables,
    concatenate,
    from_rows,
    labelled,
    where,
)
from ndbmi_gym.experiments.circuit.measures import root
from ndbmi_gym.experiments.circuit.reaching import mixtures, preparing
from ndbmi_gym.experiments.circuit.report_drawing import (
    in_words,
    key,
    letters,
    look,
    name_axes,
    names_of,
)
from ndbmi_gym.experiments.circuit.specimen import MATCHED, SAME, STABILISED, Specimen
from ndbmi_gym.experiments.protocol.runs import FloatArray

QUENCHED = (STABILISED, "scaled 0.15", "scaled 0.99", "shuffled 0.99")
"""Networks in question."""
LINEAR, NONLINEAR = "linear", "nonlinear"
PREPARED, MOVING = "prepared", "moving"
_PHASES = (PREPARED, MOVING)
NOISE_HZ = 10.0
"""Standard deviation that noise alone gives the state of an excitatory neuron, linear core."""
TRIALS = 10  # of every movement and repeat
BEFORE_S, PREPARE_S, AFTER_S = 0.3, 0.6, 0.5
COUNT_S = 0.05  # window of counts
SEEN_S = 0.01  # between two times that are looked at
_STEP_S = 0.0025  # of the integration
_LASTS_S = 0.1  # the end of preparation, and the beginning of movement, that numbers are of
_BIN = 0.1  # spikes; width of the bins in which mean counts are matched
_KINDS = ("state", "rate", "fano", "fano_matched")


def noisy_trials(
    circuit: Circuit,
    core: str,
    prepared: FloatArray,
    noise_hz: float,
    trials: int,
    rng: np.random.Generator,
    spans_s: tuple[float, float, float] = (BEFORE_S, PREPARE_S, AFTER_S),
) -> FloatArray:
    """States of all neurons before, during and after preparation, under white noise.

    The noise of a trial is the same for every prepared state. Heun's method, steps of 2.5 ms; it
    begins with the stationary distribution of the linear core.

    Parameters
    ----------
    circuit : Circuit
    core : {"linear", "nonlinear"}
        Whether neurons hear each other's states or their gains (`Gain`).
    prepared : ndarray (S, N)
        States x₀, Hz. The input that would hold the circuit there is x₀ − W·x₀ or x₀ − W·g(x₀).
    noise_hz : float
        Standard deviation of the linear core's states, root mean square over excitatory neurons.
    trials : int
        R, of every state.
    rng : numpy.random.Generator
    spans_s : tuple of float
        Time before the preparation, of it, and after, s.

    Returns
    -------
    ndarray (K, S, R, N)
        Every 10 ms.
    """
    heard = Gain() if core == NONLINEAR else _itself
    across = circuit.weights.T
    covariance = noise_covariance(circuit.weights)
    size = noise_hz / np.sqrt(np.diag(covariance)[: circuit.n_excitatory].mean())
    held = (prepared - heard(prepared) @ across)[:, None]
    drawn = rng.standard_normal((trials, circuit.n_neurons))
    x = np.broadcast_to(size * drawn @ root(covariance).T, (len(prepared), *drawn.shape))
    pace, kick = _STEP_S / TAU_S, size * (2 * _STEP_S / TAU_S) ** 0.5
    on, off, end = np.cumsum([round(span / _STEP_S) for span in spans_s])
    seen = []
    for step in range(end):
        if step % round(SEEN_S / _STEP_S) == 0:
            seen.append(x)
        drive: Any = held if on <= step < off else 0.0
        noise = kick * rng.standard_normal(drawn.shape)
        slope = drive - x + heard(x) @ across
        ahead = x + pace * slope + noise
        x = x + pace / 2 * (slope + drive - ahead + heard(ahead) @ across) + noise
    return np.array(seen)


def _itself(x: FloatArray) -> FloatArray:
    return x


def mean_matched(means: FloatArray, variances: FloatArray, width: float = _BIN) -> FloatArray:
    """Fano factor of counts at every time, over the distribution of means common to all times.

    Neurons of the same mean count are compared (Churchland et al. 2010). Where they discard data at
    random until the distributions agree, all of it is kept here, by the weights that this gives it
    in the mean.

    Parameters
    ----------
    means, variances : ndarray (K, M)
        Of the counts of M neurons and conditions at K times.
    width : float
        Of the bins in which means are alike.

    Returns
    -------
    ndarray (K,)
        Weighted sum of the variances over that of the means; NaN if nothing is common.
    """
    place = np.floor(means / width).astype(np.int64)
    place -= place.min()
    number = np.array([np.bincount(row, minlength=place.max() + 1) for row in place])
    common = number.min(axis=0)
    weights = np.take_along_axis(common / np.maximum(number, 1), place, axis=1)
    total = (weights * means).sum(axis=1)
    return np.asarray((weights * variances).sum(axis=1) / np.where(total > 0, total, np.nan))


def variability(states: FloatArray, gain: Gain) -> dict[str, FloatArray]:
    """How much trials vary in the course of time, beside the same trials unprepared.

    Parameters
    ----------
    states : ndarray (K, S, R, N)
        The last condition is the unprepared one.
    gain : Gain

    Returns
    -------
    dict of ndarray (K,)
        ``state`` and ``rate``: variance over trials, summed over neurons and conditions, in units
        of that of the unprepared trials. ``fano``: Fano factor of Poisson counts in 50 ms up to
        each time, the sum of their variances over that of their means; ``fano_matched``: the same
        of matched means; ``fano_unprepared``. NaN where the window does not fit.
    """
    rates = gain.rate(states)
    found = {}
    for name, values in (("state", states), ("rate", rates)):
        spread = values.var(axis=2, ddof=1).mean(axis=2)
        found[name] = spread[:, :-1].mean(axis=1) / spread[:, -1]
    length = round(COUNT_S / SEEN_S)
    windows = np.lib.stride_tricks.sliding_window_view(rates, length, axis=0)
    counts = SEEN_S * windows.sum(axis=-1)
    means = counts.mean(axis=2)
    variances = means + counts.var(axis=2, ddof=1)  # that of a Poisson count, and that of its mean
    flat = len(means), -1
    late = {
        "fano": variances[:, :-1].sum(axis=(1, 2)) / means[:, :-1].sum(axis=(1, 2)),
        "fano_matched": mean_matched(means[:, :-1].reshape(flat), variances[:, :-1].reshape(flat)),
        "fano_unprepared": variances[:, -1].sum(axis=1) / means[:, -1].sum(axis=1),
    }
    return found | {
        name: np.pad(course, (length - 1, 0), constant_values=np.nan)
        for name, course in late.items()
    }


def measure_quench(specimen: Specimen) -> Tables:
    """``variability`` over time, and ``quench``: its mean at two times, by network and core.

    The times are the last 100 ms of preparation and the first 100 ms of movement. Prepared states
    are those of `reaching.preparing`, for every repeat its own; of controls, those of the circuit's
    signal. ``abscissa`` is that of W·diag(g'(x₀)), mean over states.
    """
    courses, rows = [], []
    mixed = mixtures(specimen)
    cases = [(STABILISED, LINEAR), *((name, NONLINEAR) for name in QUENCHED)]
    for name, core in cases:
        circuit = specimen.circuits[name]
        amplitude = SAME if name == STABILISED else MATCHED
        states = [preparing(specimen, name, amplitude, own).prepared for own in mixed]
        held = np.mean([held_abscissa(circuit, x0) for x0 in states[0]])
        found = []
        for repeat, prepared in enumerate(states):
            rng = specimen.stream(repeat, "quench", name, core)
            with_rest = np.concatenate((prepared, np.zeros_like(prepared[:1])))
            trials = noisy_trials(circuit, core, with_rest, NOISE_HZ, TRIALS, rng)
            found.append(variability(trials[..., : circuit.n_excitatory], Gain()))
        own = {"circuit": name, "core": core}
        by_repeat = {kind: np.array([one[kind] for one in found]) for kind in found[0]}
        times_s = np.arange(len(found[0]["state"])) * SEEN_S - BEFORE_S - PREPARE_S
        means = {kind: values.mean(axis=0) for kind, values in by_repeat.items()}
        courses.append(labelled({"time_s": times_s} | means, **own))
        for phase, begin in zip(_PHASES, (-_LASTS_S, 0.0), strict=True):
            chosen = (times_s > begin - SEEN_S / 2) & (times_s < begin + _LASTS_S - SEEN_S / 2)
            row: dict[str, Any] = own | {"phase": phase, "abscissa": held}
            for kind, values in by_repeat.items():
                then = values[:, chosen].mean(axis=1)
                row |= {kind: then.mean(), f"{kind}_spread": then.std(ddof=1)}
            rows.append(row)
    return {"variability": concatenate(courses), "quench": from_rows(rows)}


def quench_table(table: Table) -> str:
    """``quench`` as Markdown: a row for every network and core, with deviations over repeats."""
    lines = [
        "| variability over trials | states: prepared | moving | rates: prepared | moving "
        "| Fano factor: unprepared | prepared | moving |",
        "|---|" + "---:|" * 7,
    ]
    for name, core in dict.fromkeys(zip(table["circuit"], table["core"], strict=True)):
        own = {phase: where(table, circuit=name, core=core, phase=phase) for phase in _PHASES}
        cells = [
            f"{own[phase][kind][0]:.2f} ± {own[phase][f'{kind}_spread'][0]:.2f}"
            for phase, kind in (
                *((phase, "state") for phase in _PHASES),
                *((phase, "rate") for phase in _PHASES),
                (PREPARED, "fano_unprepared"),
                *((phase, "fano") for phase in _PHASES),
            )
        ]
        lines.append(f"| {name}, {core} core | {' | '.join(cells)} |")
    lines.append(
        "\nVariances of states and rates are in units of those of unprepared trials; ± is the "
        "standard deviation over repeats. *Prepared*: last 100 ms before the go cue; *moving*: "
        "first 100 ms after it."
    )
    return "\n".join(lines)


def held_abscissa(circuit: Circuit, prepared: FloatArray) -> float:
    """Spectral abscissa of W·diag(g'(x₀)): how far noise about a prepared state is from exploding.

    Parameters
    ----------
    circuit : Circuit
    prepared : ndarray (N,)
        x₀, Hz.
    """
    gain = Gain()
    reach = np.where(prepared < 0, gain.baseline_hz, gain.max_hz - gain.baseline_hz)
    slope = 1 - (gain(prepared) / reach) ** 2
    return float(np.linalg.eigvals(circuit.weights * slope).real.max())


def draw_quench(tables: Tables) -> Canvas:
    """Variance of states and rates, and Fano factors, around preparation and go cue.

    Parameters
    ----------
    tables : Tables
        ``variability``.
    """
    figure = canvas(NARROW, 6.6)
    panels = figure.subplots(2, 2)
    table = tables["variability"]
    for name in names_of(table):
        own = where(table, circuit=name, core=NONLINEAR)
        for axes, kind in zip(panels.flat, _KINDS, strict=True):
            axes.plot(1e3 * own["time_s"], own[kind], lw=1.4, **look(name))
    linear = where(table, core=LINEAR)
    for axes, kind in zip(panels.flat, _KINDS, strict=True):
        axes.plot(1e3 * linear["time_s"], linear[kind], **_LINEAR)
        _mark_times(axes)
    for axes, said in zip(
        panels.flat,
        ("States", "Firing rates", "Counts of spikes", "Counts, at matched means"),
        strict=True,
    ):
        axes.set_title(said, size=FONT)
    for axes in panels[0]:
        axes.axhline(1, color="#bbbbbb", lw=0.8, zorder=0)
        name_axes(axes, "", "variance over trials\n(unprepared: 1)")
    for axes in panels[1]:
        name_axes(axes, "time from the go cue (ms)", "Fano factor")
    handles = [
        *key(names_of(table)),
        Line2D([], [], label=f"{in_words(STABILISED)}, linear core", **_LINEAR),
    ]
    legend(figure, handles, 3)
    letters(panels.flat)
    return figure


_LINEAR: dict[str, Any] = {"color": "black", "ls": "--", "lw": 1.1}


def _mark_times(axes: Axes) -> None:
    """Shade the preparation."""
    axes.axvspan(-1e3 * PREPARE_S, 0, color="#eeeeee", zorder=-1)
    axes.margins(x=0)
