"""Reliability over trials: explained variance, and stimuli identified from single responses."""

import numpy as np
from matplotlib.figure import Figure as Canvas

from ndbmi_gym.config import Config
from ndbmi_gym.cortex.soc.cortex import SOC, WINDOW_S, SOCCortex, soc_cortex
from ndbmi_gym.experiments.bench.drawing import FONT, NARROW, canvas
from ndbmi_gym.experiments.bench.tables import (
    Tables,
    from_rows,
    where,
)
from ndbmi_gym.experiments.circuit.cases import (
    identified,
)
from ndbmi_gym.experiments.circuit.measures import (
    affine_r2,
    explained_share,
)
from ndbmi_gym.experiments.circuit.readout import smoother
from ndbmi_gym.experiments.circuit.report_drawing import (
    compared_in,
    draw_key,
    in_words,
    letters,
    look,
    name_axes,
)
from ndbmi_gym.experiments.circuit.specimen import (
    REPEATS,
    SAME,
    SMOOTHING_S,
    STABILISED,
    STEP_S,
    Specimen,
    enlargement,
)
from ndbmi_gym.experiments.protocol.runs import (
    FloatArray,
)

TRIALS = 50  # fresh responses to every stimulus in the plane
ANIMALS = 4  # animals
SINGLE_TRIALS = 25  # of every stimulus, for reliability
NOISE = (0.0, 0.1, 0.2, 0.4)  # in the prepared state, relative to its size
SHORT_S = 0.05  # a window in which transients are hardly under way


def measure_reliability(specimen: Specimen) -> Tables:
    """``reliability``: share of single-trial variance explained by the stimulus.

    With Poisson spikes (``share``) and without (``rates``), by noise in the prepared state. States
    are ``factor`` times as large as at the same amplitude.
    """
    rows = []
    for name, amplitude in specimen.conditions:
        # what a cortex carries is added to the prepared state: this is where its noise enters
        cortex, same = (
            soc_cortex(SOC(**specimen.options(name, how) | {"carry": True}))
            for how in (amplitude, SAME)
        )
        for noise in NOISE:
            names = ("reliability", name, amplitude, f"{noise}")
            shares = [_shares(cortex, noise, specimen.stream(k, *names)) for k in range(REPEATS)]
            mean, spread = np.mean(shares, axis=0), np.std(shares, axis=0, ddof=1)
            rows.append(
                {
                    "circuit": name,
                    "amplitude": amplitude,
                    "factor": enlargement(cortex, same),
                    "noise": noise,
                    "share": mean[0],
                    "share_spread": spread[0],
                    "rates": mean[1],
                    "rates_spread": spread[1],
                }
            )
    return {"reliability": from_rows(rows)}


def _shares(cortex: SOCCortex, noise: float, rng: np.random.Generator) -> tuple[float, float]:
    """`explained_share` of spikes and of expected counts, smoothed, every 10 ms."""
    n = cortex.circuit.n_neurons
    stimulus = np.repeat(np.arange(cortex.n_stimuli), SINGLE_TRIALS)
    size = noise * np.linalg.norm(cortex.prepared, axis=1) / np.sqrt(n)
    added = rng.standard_normal((len(stimulus), n)) * size[stimulus, None]
    expected = cortex.profile(stimulus, None, added)
    smooth = smoother(expected.shape[-1], STEP_S, SMOOTHING_S)[:, ::2]

    def share(counts: FloatArray) -> float:
        return explained_share((counts @ smooth).reshape(cortex.n_stimuli, SINGLE_TRIALS, -1))

    return share(rng.poisson(expected).astype(float)), share(expected)


def measure_identification(specimen: Specimen) -> Tables:
    """``identification``: single trials assigned to the nearest class mean in the MDS plane."""
    settings = [(name, amplitude, 8, WINDOW_S) for name, amplitude in specimen.conditions]
    settings += [(STABILISED, SAME, 8, SHORT_S), (STABILISED, SAME, 32, WINDOW_S)]
    rows = []
    for name, amplitude, stimuli, window_s in settings:
        config = Config.of(
            cortex={"kind": "soc"} | specimen.options(name, amplitude, stimuli), window_s=window_s
        )
        for animal in range(ANIMALS):
            loop = config.make_loop(animal)
            rng = specimen.stream(animal, "recognition", name, amplitude, f"{stimuli} {window_s}")
            assert loop.cortex.layout is not None
            rows.append(
                {
                    "circuit": name,
                    "amplitude": amplitude,
                    "stimuli": stimuli,
                    "window_s": window_s,
                    "animal": animal,
                    "identified": identified(loop, rng, TRIALS),
                    "layout_r2": affine_r2(loop.interface.sites, loop.cortex.layout),
                }
            )
    return {"identification": from_rows(rows)}


def draw_reliability(tables: Tables) -> Canvas:
    """Explained variance by noise in the prepared state, and identified stimuli.

    Parameters
    ----------
    tables : Tables
        ``reliability`` and ``identification``.
    """
    figure = canvas(NARROW, 7.6)
    panels = figure.subplot_mosaic("AB;CC")
    spikes, rates, chart = (panels[letter] for letter in "ABC")
    table = tables["reliability"]
    for name, amplitude in compared_in(table):
        own = where(table, circuit=name, amplitude=amplitude)
        style = look(name) | {"lw": 1.4, "marker": "o"}
        noise = 100 * own["noise"]
        spikes.errorbar(noise, own["share"], own["share_spread"], ms=4, capsize=2, **style)
        rates.errorbar(noise, own["rates"], own["rates_spread"], ms=4, capsize=2, **style)
    spikes.set_ylim(bottom=0)
    spikes.set_title("Single trials, with the noise of spikes", size=FONT)
    rates.set_title("Without the noise of spikes", size=FONT)
    for axes in (spikes, rates):
        name_axes(axes, "noise in the prepared state (%)", "variance due to the stimulus")

    table = tables["identification"]
    longest = table["window_s"].max()
    shown = compared_in(table)
    settings = [
        setting
        for setting in dict.fromkeys(
            zip(*(table[c] for c in ("circuit", "amplitude", "stimuli", "window_s")), strict=True)
        )
        if setting[:2] in shown
    ]
    for i, (name, amplitude, stimuli, window_s) in enumerate(settings):
        own = where(table, circuit=name, amplitude=amplitude, stimuli=stimuli, window_s=window_s)
        chart.barh(i, own["identified"].mean(), color=look(name)["color"], height=0.7)
        chart.plot(own["identified"], np.full(len(own["animal"]), i), "k.", ms=4)
        chart.plot([1 / stimuli] * 2, [i - 0.4, i + 0.4], color="black", lw=1.2)
    labels = [
        in_words(name)
        + (f", {stimuli} stimuli" if stimuli != settings[0][2] else "")
        + (f", {1e3 * window_s:.0f} ms" if window_s != longest else "")
        for name, _, stimuli, window_s in settings
    ]
    chart.set_yticks(np.arange(len(labels)), labels)
    chart.invert_yaxis()
    chart.set_xlim(0, 1.02)
    chart.set_title(
        f"Which of {settings[0][2]} stimuli it was, told from one trial (lines: chance)", size=FONT
    )
    name_axes(chart, "share of trials identified", "")
    draw_key(figure, tables["reliability"])
    letters((spikes, rates, chart))
    return figure
