"""The numbers of the page on the circuit: what it does by itself."""

from collections.abc import Iterable

import numpy as np

from ndbmi_gym.experiments.bench.tables import where
from ndbmi_gym.experiments.circuit.quench import NONLINEAR, PREPARED
from ndbmi_gym.experiments.circuit.rotations import EXCITATORY
from ndbmi_gym.experiments.circuit.specimen import MATCHED, NETWORKS, SAME, STABILISED
from prose import Piece, sentence
from prose.data import tables

PAGE = "docs/studies/circuit.md"
WEAK = [name for name, (_, abscissa) in NETWORKS.items() if abscissa < 0.5]
STRONG = [name for name in NETWORKS if name not in WEAK]
RATIO, FREQUENCY, SKEW = (
    f"rotation: {what}" for what in ("ratio", "frequency (Hz)", "R², skew-symmetric")
)
FEW, MANY, NEAR, FAR = (
    f"{what}, {units} units" for what in ("movement R²", "path error (cm)") for units in (4, 64)
)
VARIED = "variance of states, prepared (1: as unprepared)"


def pieces() -> list[Piece]:
    """All of them."""
    return [*_kept(), *_withdrawn(), *_captions()]


def _kept() -> list[Piece]:
    """What the harder controls do not take away."""
    outside = {
        name: _value("dimensions", "outside", circuit=name, states="all")
        for name in (STABILISED, "scaled 0.99")
    }
    every = where(tables("docs/circuit")["rotations"], neurons="all", conditions=8)
    controls = where(every, amplitude=MATCHED)
    highest = int(np.argmax(controls["ratio"]))
    forty = {"circuit": STABILISED, "neurons": EXCITATORY, "conditions": 40}
    return [
        sentence(
            PAGE,
            "have dimension {soc:.1f}, with random networks at most {most:.1f} (difference "
            "{apart[0]:.1f}, {apart[1]:.1f} to {apart[2]:.1f}). One transient alone has {one:.1f} "
            "against {others:.1f}. That activity leaves the ten dimensions that were put in is not "
            "special: {scaled:.2} of its power does with weights scaled to 0.99, {own:.2} in the "
            "circuit.",
            soc=_mean("dimension"),
            most=_mean("dimension", _best("dimension")),
            apart=_apart("dimension"),
            one=_mean("dimension of one transient"),
            others=_mean("dimension of one transient", _best("dimension of one transient")),
            scaled=outside["scaled 0.99"],
            own=outside[STABILISED],
        ),
        sentence(
            PAGE,
            "is read out with R² {soc[0]:.2} (4 units) and {soc[1]:.2} (64) against at most "
            "{most[0]:.2} and {most[1]:.2} (differences {few[0]:.2}, {few[1]:.2} to {few[2]:.2}, "
            "and {many[0]:.2}, {many[1]:.2} to {many[2]:.2})",
            soc=[_mean(FEW), _mean(MANY)],
            most=[_mean(FEW, _best(FEW)), _mean(MANY, _best(MANY))],
            few=_apart(FEW),
            many=_apart(MANY),
        ),
        sentence(
            PAGE,
            "their error is {near[0]:.1f} against {near[1]:.1f} cm (4 units; difference "
            "{apart[0]:.2f}, {apart[1]:.2f} to {apart[2]:.2f}) and {far[0]:.1f} against "
            "{far[1]:.1f} cm (64)",
            near=[_mean(NEAR), _mean(NEAR, _best(NEAR))],
            apart=_apart(NEAR),
            far=[_mean(FAR), _mean(FAR, _best(FAR))],
        ),
        sentence(
            PAGE,
            "explains {soc:.2} of what any linear law explains, at {turns:.1f} Hz; in controls at "
            "most {most:.2}, at no more than {slow:.1f} Hz",
            soc=_mean(RATIO),
            turns=_mean(FREQUENCY),
            most=_mean(RATIO, _best(RATIO)),
            slow=_mean(FREQUENCY, _best(FREQUENCY)),
        ),
        sentence(
            PAGE,
            "R² {soc:.2}, and {other:.2} with inhibition shuffled and scaled to 0.99. The "
            "circuit's ratio is high because in six components any linear law explains little "
            "more ({any:.2}).",
            soc=_mean(SKEW),
            other=_mean(SKEW, "shuffled 0.99"),
            any=_value("rotations", "r2", circuit=STABILISED, neurons=EXCITATORY, conditions=8),
        ),
        sentence(
            PAGE,
            "the packaged circuit has ratio {soc:.2} at {turns:.1f} Hz and its controls up to "
            "{most:.2}, at {slow:.1f} Hz; with forty states at once the circuit's ratio is "
            "{forty:.2}, and both its R² {skew:.2}.",
            soc=where(every, circuit=STABILISED)["ratio"][0],
            turns=where(every, circuit=STABILISED)["frequency_hz"][0],
            most=controls["ratio"][highest],
            slow=controls["frequency_hz"][highest],
            forty=_value("rotations", "ratio", **forty),
            skew=_value("rotations", "r2_skew", **forty),
        ),
        sentence(
            PAGE,
            "spent at most {strong:.0f} % (0.8) or {strongest:.0f} % (0.99) of the energy that "
            "their best state evokes, the circuit {soc:.0f} %",
            strong=100 * _most("circuits", "spent_300ms", ["scaled 0.8", "shuffled 0.8"]),
            strongest=100 * _most("circuits", "spent_300ms", ["scaled 0.99", "shuffled 0.99"]),
            soc=100 * _value("circuits", "spent_300ms", circuit=STABILISED),
        ),
    ]


def _withdrawn() -> list[Piece]:
    """What does not stand, or is not the circuit's own."""
    quiet = where(tables("docs/circuit")["reliability"], noise=0.0, amplitude=MATCHED)["share"]
    noisy = {"noise": 0.2, "amplitude": MATCHED}
    varied = where(_compared(), measure=VARIED, network=STABILISED)
    prepared = {"circuit": STABILISED, "core": NONLINEAR, "phase": PREPARED}
    few, others = _mean(NEAR), _mean(NEAR, _best(NEAR))
    return [
        sentence(
            PAGE,
            "(E₁ about {strong:.0f} at 0.8, over a thousand at 0.99, against {soc:.0f}). What they "
            "do not do is amplify quickly: the circuit's transients peak at {peak:.1f} s, those of "
            "the controls at 0.8 after {late:.0f} ms or later, of those at 0.99 not within",
            strong=np.mean([_mean("E₁", name) for name in STRONG if name.endswith(" 0.8")]),
            soc=_mean("E₁"),
            peak=_value("circuits", "peak_s", circuit=STABILISED),
            late=1e3
            * min(
                _value("circuits", "peak_s", circuit=name)
                for name in STRONG
                if name.endswith(" 0.8")
            ),
        ),
        sentence(
            PAGE,
            "the stimulus explains {soc:.3} of the variance of single trials with the circuit, "
            "{least:.3} to {most:.3} with every control of equal signal, and single responses are "
            "identified as well at 0.8 and 0.99 ({told[0]:.2} to {told[1]:.2}) as with the circuit "
            "({own:.2}). Noise in the prepared state matters less to the circuit, {still:.3} of "
            "the variance without spikes' noise against at most {blurred:.3}",
            soc=_value("reliability", "share", circuit=STABILISED, noise=0.0),
            least=quiet.min(),
            most=quiet.max(),
            told=_range(_compare("identified", name, MATCHED) for name in STRONG),
            own=_compare("identified", STABILISED, SAME),
            still=_value("reliability", "rates", circuit=STABILISED, noise=0.2),
            blurred=where(tables("docs/circuit")["reliability"], **noisy)["rates"].max(),
        ),
        sentence(
            PAGE,
            "{soc:.2} in the circuit and none in controls at 0.15, is at most {most:.2} near "
            "instability",
            soc=_balance(STABILISED),
            most=max(_balance(name) for name in STRONG),
        ),
        sentence(
            PAGE,
            "makes states vary *more*, by {mean:.0f} % ({low:.0f} to {high:.0f} %): saturation "
            "upsets the tuned balance (the abscissa of the weights that noise runs through rises "
            "from 0.15 to {abscissa:.2f})",
            **{name: 100 * (varied[name][0] - 1) for name in ("mean", "low", "high")},
            abscissa=_value("quench", "abscissa", **prepared),
        ),
        sentence(
            PAGE,
            "near instability, by {scaled:.0f} % and {shuffled:.0f} %: saturation",
            scaled=100 * (1 - _mean(VARIED, "scaled 0.99")),
            shuffled=100 * (1 - _mean(VARIED, "shuffled 0.99")),
        ),
        sentence(
            PAGE,
            "(64 units: {soc:.2} against {most:.2}, not {weak:.2}; dimension {own:.0f} against "
            "{others:.0f}, not {thin:.0f}); paths with few units, said to be no nearer to the "
            "target, are {nearer:.1f} mm nearer",
            soc=_mean(MANY),
            most=_mean(MANY, _best(MANY)),
            weak=max(_mean(MANY, name) for name in WEAK),
            own=_mean("dimension"),
            others=_mean("dimension", _best("dimension")),
            thin=max(_mean("dimension", name) for name in WEAK),
            nearer=10 * (others - few),
        ),
    ]


def _captions() -> list[Piece]:
    """Of the packaged circuit."""
    spread = {
        which: _range(
            _value("dimensions", "participation", circuit=name, states="all") for name in names
        )
        for which, names in (("weak", WEAK), ("strong", STRONG))
    }
    reads = {"units": 64, "amplitude": MATCHED}
    return [
        sentence(
            PAGE,
            "it grows to {peak:.2f} times its size, at {when:.0f} ms",
            peak=_value("circuits", "peak", circuit=STABILISED),
            when=1e3 * _value("circuits", "peak_s", circuit=STABILISED),
        ),
        sentence(
            PAGE,
            "With 64 units the velocity is explained to {soc:.2} with the circuit and to at most "
            "{most:.2} with controls",
            soc=_value("reaching", "r2", circuit=STABILISED, units=64),
            most=where(tables("docs/circuit")["reaching"], **reads)["r2"].max(),
        ),
        sentence(
            PAGE,
            "{excitatory:.2f} for excitatory (E) and {inhibitory:.2f} for inhibitory cells (I), "
            "none in controls of abscissa 0.15 and up to {most:.2f} nearer to instability",
            excitatory=_balance(STABILISED),
            inhibitory=_balance(STABILISED, "I"),
            most=max(_balance(name, cells) for name in STRONG for cells in "EI"),
        ),
        sentence(
            PAGE,
            "{soc:.1f} in the circuit, against {weak[0]:.1f} to {weak[1]:.1f} in controls of "
            "abscissa 0.15 and {strong[0]:.1f} to {strong[1]:.1f} nearer to instability",
            soc=_value("dimensions", "participation", circuit=STABILISED, states="all"),
            **spread,
        ),
        sentence(
            PAGE,
            "Controls are as reliable ({others:.2f} against {soc:.2f} without noise in the state)",
            others=where(tables("docs/circuit")["reliability"], noise=0.0, amplitude=MATCHED)[
                "share"
            ].mean(),
            soc=_value("reliability", "share", circuit=STABILISED, noise=0.0),
        ),
    ]


def _compared() -> dict[str, np.ndarray]:
    return tables("docs/circuit")["circuits_compared"]


def _mean(measure: str, network: str = STABILISED) -> float:
    """Over circuits."""
    return float(where(_compared(), measure=measure, network=network)["mean"][0])


def _best(measure: str) -> str:
    """The control that comes nearest to the circuit."""
    return min(NETWORKS, key=lambda name: abs(_mean(measure) - _mean(measure, name)))


def _apart(measure: str) -> list[float]:
    """By how much the circuit differs from the control that comes nearest, with its interval."""
    found = where(_compared(), measure=measure, network=_best(measure))
    middle, *ends = (
        float(found[name][0] * np.sign(found["difference"][0]))
        for name in ("difference", "difference_low", "difference_high")
    )
    return [middle, *sorted(ends)]


def _value(table: str, column: str, **labels: object) -> float:
    """Of a single row."""
    (value,) = where(tables("docs/circuit")[table], **labels)[column]
    return float(value)


def _most(table: str, column: str, names: Iterable[str]) -> float:
    return max(_value(table, column, circuit=name) for name in names)


def _balance(name: str, population: str = "E") -> float:
    return _value("balance", "exact", circuit=name, population=population)


def _compare(measure: str, name: str, amplitude: str) -> float:
    return _value("comparison", measure, circuit=name, amplitude=amplitude)


def _range(values: Iterable[float]) -> tuple[float, float]:
    values = list(values)
    return min(values), max(values)
