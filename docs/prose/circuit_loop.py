"""The numbers of the page on the circuit: what it does in the closed loop."""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

import numpy as np

from ndbmi_gym.experiments.bench.statistics import Interval
from ndbmi_gym.experiments.bench.tables import Table as Columns
from ndbmi_gym.experiments.bench.tables import read_csv, where
from ndbmi_gym.experiments.circuit.abscissa_summary import (
    CIRCUIT,
    cell_of_all,
    comparable,
    over_tasks,
    overall,
    ratio,
)
from ndbmi_gym.experiments.circuit.cases import STIMULI, STRUCTURE, Case
from ndbmi_gym.experiments.protocol.conditions import DECODERS as PAPERS_DECODERS
from ndbmi_gym.experiments.protocol.conditions import FIELDS
from ndbmi_gym.interface import DECODERS
from prose import ROOT, Piece, Table, number, sentence
from prose.data import tables

PAGE = "docs/studies/circuit.md"
STUDY = "docs/circuit/study"
CONTROLS = ("scaled", "shuffled")
WEAK, NEAR, STRONG = (0.15, 0.5), (0.8, 0.9, 0.95), (0.8, 0.9, 0.95, 0.99)
MULTIPLE, PROJECTION = "multiple-points", "projection"


def pieces() -> list[Piece]:
    """All of them."""
    return [
        *_opening(),
        *_random(),
        _calibrations(),
        *_papers(),
        *_paired(),
        *_volition(),
        *_captions(),
    ]


def _opening() -> list[Piece]:
    same = {carry: _means(False, carry) for carry in (False, True)}
    led = [100 * (1 - value) for value in _built_against_weak()]
    best = [_mean(*key) for key in product(CONTROLS, NEAR)]
    return [
        sentence(
            PAGE,
            "The weak ones (.15, .5) forget and go on converging, but err {weak[0]:.1f} to "
            "{weak[1]:.1f} times as much; of the strong ones (.8 and more) only {share[0]:.2} to "
            "{share[1]:.2} of the runs converge",
            weak=_range(_means(True, True, WEAK)),
            share=_range(_share(*key) for key in product(CONTROLS, STRONG)),
        ),
        sentence(
            PAGE,
            "err more: {reset[0]:.1f} to {reset[1]:.1f} times as much with the state reset, "
            "{carried[0]:.1f} to {carried[1]:.1f} times with the state carried, where enough runs "
            "converge to compare. With the projection decoder and the state reset the strongest "
            "come near it ({strong[0]:.2f} to {strong[1]:.2f} times)",
            reset=_range(same[False]),
            carried=_range(same[True]),
            strong=_range(_strongest()),
        ),
        sentence(
            PAGE,
            "with multiple points the circuit's wtpe was {low:.0f} to {high:.0f} % below",
            low=min(led),
            high=max(led),
        ),
        sentence(
            PAGE,
            "They had the circuit's own abscissa, .15, at which a random network's neurons hardly "
            "hear each other (largest energy {energy[0]:.1f} to {energy[1]:.1f}; unconnected "
            "neurons 1, the circuit {own:.0f}). They err {weak:.2f} times as much as the circuit "
            "in the mean over all tasks; the {all:word} random networks of .8 to .95 err "
            "{best[0]:.2f} to {best[1]:.2f} times as much, and {apart:word} of the {all:word} "
            "intervals exclude 1",
            energy=_range(_networks("energy", control, 0.15) for control in CONTROLS),
            own=_networks("energy"),
            weak=np.mean([_mean(control, 0.15).estimate for control in CONTROLS]),
            best=_range(found.estimate for found in best),
            apart=sum(found.low > 1 for found in best),
            all=len(best),
        ),
    ]


def _random() -> list[Piece]:
    """Beside random networks of any strength."""
    head, _, *body = overall(tables(f"{STUDY}/abscissa")).splitlines()
    near = [100 * (value - 1) for value in _means(True, False, NEAR)]
    tasks = [
        found
        for control, abscissa, task in product(CONTROLS, NEAR, _tasks())
        if (found := _task(control, abscissa, False, True, task))
    ]
    carried = [_own_carried(task) for task in _tasks()]
    dipole = {"stimuli": 8, "field": "dipole", "decoder": MULTIPLE}
    weak = _mean("shuffled", 0.15, carry=True)
    middle = [_task(control, 0.5, True, True, dipole) for control in CONTROLS]
    projected = [
        found.estimate
        for control, task in product(CONTROLS, _tasks(PROJECTION))
        if (found := _task(control, 0.5, True, True, task))
    ]
    astray = [
        float(_loops(control, abscissa, True, True, **task)["convergent"].mean())
        for control, abscissa, task in product(CONTROLS, (0.95, 0.99), _tasks(PROJECTION))
    ]
    same = _by_task(False, False, MULTIPLE)
    lasting = [_by_task(False, True, decoder) for decoder in (MULTIPLE, PROJECTION)]
    return [
        Table(PAGE, _cells(head), [_cells(row) for row in body]),
        sentence(
            PAGE,
            "Random networks of abscissa .8 to .95 err by {near[0]:.0f} to {near[1]:.0f} % more "
            "than the circuit, those of .15 by {weak:.0f} %. In single tasks all means of the "
            "strong ones are above 1 ({tasks[0]:.2f} to {tasks[1]:.2f}), and {apart:d} of {all:d} "
            "intervals exclude it.",
            near=_range(near),
            weak=100 * (_mean("scaled", 0.15).estimate - 1),
            tasks=_range(found.estimate for found in tasks),
            apart=sum(found.low > 1 for found in tasks),
            all=len(tasks),
        ),
        sentence(
            PAGE,
            "The circuit's wtpe changes by {least:.0f} to {most:.0f} % (no interval",
            least=100 * (min(found.estimate for found in carried) - 1),
            most=100 * (max(found.estimate for found in carried) - 1),
        ),
        sentence(
            PAGE,
            "The random networks' best is {weak.estimate:.2f} ({weak.low:.2f} to {weak.high:.2f}), "
            "at .15. In one of eight tasks (dipole, 8 stimuli, multiple points) those of .5 "
            "cannot be told from it, at {a.estimate:.2f} ({a.low:.2} to {a.high:.2f}) and "
            "{b.estimate:.2f} "
            "({b.low:.2} to {b.high:.2f}); with projection the same networks err "
            "{projected[0]:.1f} to {projected[1]:.1f} times as much, and those with scaled "
            "weights lose some runs ({lost:.2} converge). From .8 on runs go astray, most with "
            "projection ({astray[0]:.2} to {astray[1]:.2} converge at .95 and .99).",
            weak=weak,
            a=middle[0],
            b=middle[1],
            projected=_range(projected),
            astray=_range(astray),
            lost=np.mean(
                [
                    _loops("scaled", 0.5, True, True, **task)["convergent"].mean()
                    for task in _tasks(PROJECTION)
                ]
            ),
        ),
        sentence(
            PAGE,
            "the circuit's energy of {energy:.0f} lies between those of .5 and .8, where random "
            "networks carry {carried[0]:.1f} to {carried[1]:.1f} times the prepared state, and the "
            "circuit {own:.2}",
            energy=_networks("energy"),
            carried=_range(
                _networks("carried", control, abscissa)
                for control, abscissa in product(CONTROLS, (0.5, 0.8))
            ),
            own=_networks("carried"),
        ),
        sentence(
            PAGE,
            "random networks err {same[0]:.1f} to {same[1]:.1f} times as much, or fewer than half "
            "of some animals' runs converge; with projection the strongest (shuffled, .95) "
            "{strong[0]:.2f} to {strong[1]:.2f} times. With the state carried, {lasting:.1f} times "
            "or more in every task",
            same=_range(same),
            strong=_range(_strongest()),
            lasting=min(value for values in lasting for value in values),
        ),
    ]


def _calibrations() -> Piece:
    """Carried state, with interfaces that were calibrated at rest and on carried states."""
    found = read_csv(ROOT / "docs/circuit/carried_calibration.csv")
    circuit = where(found, control=CIRCUIT)
    rows = []
    for control, abscissa in dict.fromkeys(zip(found["control"], found["abscissa"], strict=True)):
        own = where(found, control=control, abscissa=abscissa)
        row = ["circuit" if control == CIRCUIT else f"{control} to {abscissa:g}"]
        for calibrated, decoder in product(("rest", "carried"), (MULTIPLE, PROJECTION)):
            each = {"calibrated": calibrated, "decoder": decoder}
            row.append(cell_of_all(where(own, **each), where(circuit, **each)))
        rows.append(row)
    head = ("", *(f"{c}, {d}" for c in ("at rest", "carried") for d in ("points", PROJECTION)))
    return Table(PAGE, head, rows)


def _papers() -> list[Piece]:
    """Beside the paper's cortex."""
    names = {
        "topographic": "paper's, set {set}",
        "soc": "**circuit**",
        "shuffled, matched": "shuffled, matched",
        "scaled, matched": "scaled, matched",
        "scaled": "scaled, same amplitude",
        "soc, 4 electrodes": "circuit, 4 electrodes",
        "soc, 9 electrodes": "circuit, 9 electrodes",
    }
    by_name = {(case.name, case.stimuli): case for case in STRUCTURE}
    chosen = [(by_name[name, n], said) for n in STIMULI for name, said in names.items()
              if (name, n) in by_name]  # fmt: skip
    rows = []
    for case, said in chosen:
        heard = case.rows(tables(f"{STUDY}/structure")["decoding"])
        row = [said.format(set={8: 5, 32: 6}[case.stimuli]), f"{case.stimuli}"]
        row.append(f"{heard['recorded'].mean():.0f}, {heard['spikes'].mean():.0f}")
        for field, decoder in product(FIELDS, (MULTIPLE, PROJECTION)):
            share = _loop(case, "convergent", field=field, decoder=decoder)
            shown = f"{_loop(case, field=field, decoder=decoder):.2f}"
            shown = f"**{shown}**" if "**" in said else shown
            row.append(shown if share > 0.995 else f"{shown} ({number(share, '.2')})")
        rows.append(row)
    return [
        Table(
            PAGE,
            (
                "cortex",
                "stimuli",
                "electrodes, spikes per response",
                "Gaussian, multiple points",
                "Gaussian, projection",
                "dipole, multiple points",
                "dipole, projection",
            ),
            rows,
        )
    ]


def _paired() -> list[Piece]:
    """What is said of electrodes, windows and carried state."""
    gaussian = {"field": "gaussian", "decoder": MULTIPLE}
    papers = {n: _loop(Case("topographic", n, 0.6), **gaussian) for n in STIMULI}
    short = {n: _loop(Case("topographic", n, 0.3), part="windows", **gaussian) for n in STIMULI}
    few = {8: Case("soc", 8, electrodes=4), 32: Case("soc", 32, electrodes=9, units=2)}
    spikes = [
        _decoded(case, "spikes")
        for case in (few[8], few[32], Case("topographic", 8, 0.6), Case("topographic", 32, 0.6))
    ]
    weak = [
        100 * _loop(Case(cortex, 8), "convergent", field=field, decoder=decoder)
        for cortex in ("scaled", "shuffled", "symmetric")
        for field, decoder in product(FIELDS, PAPERS_DECODERS)
    ]
    bare = [
        _loop(Case("soc", n, 0.05), "convergent", "windows", field=field, decoder=decoder)
        for n, field, decoder in product(STIMULI, FIELDS, PAPERS_DECODERS)
    ]
    tenth, twentieth = ([value - 1 for value in _window(s)] for s in (0.1, 0.05))
    sizes = tables(f"{STUDY}/carry")["sizes"]
    size = {s: where(sizes, window_s=s)["size"].mean() for s in (0.05, 0.3, 0.6)}
    cores = [
        _geometric("structure", Case("soc", n, core="nonlinear"), Case("soc", n), **task)
        for n in STIMULI
        for task in ({"field": f, "decoder": d} for f, d in product(FIELDS, DECODERS))
    ]
    off = [100 * abs(value - 1) for value in cores]
    left = where(sizes, window_s=0.05)["size_at_step"].mean()
    later = [100 * (value - 1) for n in STIMULI for value in _carried(n, 0.3)]
    return [
        sentence(
            PAGE,
            "(at 50 ms at least {least:.0f} %, mean over animals)",
            least=100 * min(bare),
        ),
        sentence(
            PAGE,
            "The non-linear core comes within {most:.0f} % of the linear one's wtpe, in "
            "{near:word} of {all:word} comparisons within 5 %",
            most=max(off),
            near=sum(value < 5 for value in off),
            all=len(off),
        ),
        sentence(
            PAGE,
            "with 8 stimuli {low:.0f} to {high:.0f} % of their runs converge unless projection "
            "decodes",
            low=min(weak),
            high=max(weak),
        ),
        sentence(
            PAGE,
            "as good with multiple points ({a:.2f}; the paper's cortex {b:.2f}, and {c:.2f} if it, "
            "too, has only 0.3 s), with 9 of two units each, as in set 6, worse ({d:.2f} against "
            "{e:.2f}, or {f:.2f}), and both times better with projection. It then still fires "
            "more: {spikes[0]:.0f} and {spikes[1]:.0f} spikes in 0.3 s against {spikes[2]:.0f} and "
            "{spikes[3]:.0f} in 0.6 s.",
            a=_loop(few[8], **gaussian),
            b=papers[8],
            c=short[8],
            d=_loop(few[32], **gaussian),
            e=papers[32],
            f=short[32],
            spikes=spikes,
        ),
        sentence(
            PAGE,
            "At 100 ms wtpe is {low:.0f} to {high:.0f} % higher than there, and at 50 ms, before "
            "the transient's peak, {least:.1f} to {most:.1f} times as high (multiple points)",
            low=100 * min(tenth),
            high=100 * max(tenth),
            least=1 + min(twentieth),
            most=1 + max(twentieth),
        ),
        sentence(
            PAGE,
            "its errors are {least:.1f} to {most:.1f} times as large as at 200 ms. Controls: "
            "abscissa 0.15.",
            least=1 + min(twentieth),
            most=1 + max(twentieth),
        ),
        sentence(
            PAGE,
            "what is carried is {a:.1f}, {b:.1f} and {c:.1f} times the prepared state at 50, 300 "
            "and 600 ms",
            a=size[0.05],
            b=size[0.3],
            c=size[0.6],
        ),
        sentence(
            PAGE,
            "changes by a factor of {few[0]:.2f} to {few[1]:.2f} with 8 stimuli and of "
            "{many[0]:.2f} to {many[1]:.2f} with 32; at 300 ms it rises by {low:.0f} to {high:.0f} "
            "%",
            few=_range(_carried(8, 0.05)),
            many=_range(_carried(32, 0.05)),
            low=min(later),
            high=max(later),
        ),
        sentence(
            PAGE,
            "until the end of the loop's step of 0.5 s, {left:.1f} of the prepared state",
            left=left,
        ),
    ]


def _volition() -> list[Piece]:
    soc, ring, held = Case("soc", 32, units=1), Case("soc", 8), Case("soc", 32, units=1, carry=True)
    papers = Case("topographic", 32, 0.6)
    signed, positive = {"low": -1.0}, {"low": 0.0}
    reach, only = _reach(soc, -1.0), _reach(soc, 0.0)
    others = _reach(papers, 0.0)
    weak = [
        _commanded(Case(cortex, 32, units=1))
        for cortex in ("shuffled", "shuffled, matched", "scaled", "scaled, matched")
    ]
    told = {
        "by_itself": _command(soc, "by_itself"),
        "constant": _shift(soc, "eq24", **signed),
        "ceiling": _shift(soc, "ceiling", **signed),
    }
    return [
        sentence(
            PAGE,
            "displaces the virtual point by {reach[0]:.0f} to {reach[1]:.0f} cm ({others[0]:.0f} "
            "to {others[1]:.0f} with the paper's cortex), positive input by only {only:.1f} cm in "
            "some directions",
            reach=reach,
            others=others,
            only=only[0],
        ),
        sentence(
            PAGE,
            "brings {arrived:.0f} % of runs to four targets, with and without a curl field "
            "({alone:.0f} % pass them by themselves). In the stricter shift task it succeeds in "
            "{constant:.2} and the ceiling in {ceiling:.2}; with positive input in {less:.2} and "
            "{least:.2}. Through controls at abscissa 0.15 the same command brings only "
            "{weak[0]:.0f} to {weak[1]:.0f} % to the four targets",
            arrived=100 * _commanded(soc),
            alone=100 * told["by_itself"],
            constant=told["constant"],
            ceiling=told["ceiling"],
            less=_shift(soc, "eq24", **positive),
            least=_shift(soc, "ceiling", **positive),
            weak=[100 * value for value in _range(weak)],
        ),
        sentence(
            PAGE,
            "and their ceiling is {ceiling:.2}, too; and with 8 stimuli on a ring it fails even "
            "through the circuit ({ring:.2}; shift task {shift:.2})",
            ceiling=min(
                _shift(Case(cortex, 32, units=1), "ceiling", **signed)
                for cortex in ("shuffled", "shuffled, matched", "scaled", "scaled, matched")
            ),
            ring=_commanded(ring),
            shift=_shift(ring, "eq24", **signed),
        ),
        sentence(
            PAGE,
            "volition gains by it (ceiling {held:.2} against {reset:.2})",
            held=_shift(held, "ceiling", **positive),
            reset=_shift(soc, "ceiling", **positive),
        ),
        sentence(
            PAGE,
            "the signed command brings {arrived:.2f} of runs to the target ({by_itself:.2f} get "
            "there by themselves), but only {constant:.2f} of shift trials succeed, where the "
            "ceiling reaches {ceiling:.2f}: there is something to learn. Through the controls of "
            "abscissa 0.15 it brings {weak[0]:.2f} to {weak[1]:.2f}.",
            arrived=_commanded(soc),
            weak=_range(weak),
            **told,
        ),
    ]


def _captions() -> list[Piece]:
    gaussian = {"field": "gaussian", "decoder": MULTIPLE}
    early = {
        (n, carry): _loop(Case("soc", n, 0.05, carry), part="carry", **gaussian)
        for n, carry in product(STIMULI, (False, True))
    }
    return [
        sentence(
            PAGE,
            "carried state helps with 8 stimuli ({a:.2f} → {b:.2f} cm in the Gaussian field) and "
            "harms with 32 ({c:.2f} → {d:.2f} cm)",
            a=early[8, False],
            b=early[8, True],
            c=early[32, False],
            d=early[32, True],
        ),
    ]


def _loops(control: str, abscissa: float, matched: bool, carry: bool, **task: Any) -> Columns:
    found = where(tables(f"{STUDY}/abscissa")["loops"], control=control, carry=carry, **task)
    return found if control == CIRCUIT else where(found, abscissa=abscissa, matched=matched)


def _circuit(carry: bool, **task: Any) -> Columns:
    return _loops(CIRCUIT, 0.0, False, carry, **task)


def _mean(control: str, abscissa: float, matched: bool = True, carry: bool = False) -> Interval:
    """In all tasks, in units of the circuit's."""
    return over_tasks(_loops(control, abscissa, matched, carry), _circuit(carry))


def _means(matched: bool, carry: bool, abscissae: Iterable[float] = ()) -> list[float]:
    """Of all controls that were measured and are no selections."""
    abscissae = tuple(abscissae) or (*WEAK, *STRONG)
    return [
        over_tasks(own, _circuit(carry)).estimate
        for control, abscissa in product(CONTROLS, abscissae)
        for own in [_loops(control, abscissa, matched, carry)]
        if len(own["wtpe"]) and comparable(own, _circuit(carry))
    ]


def _share(control: str, abscissa: float) -> float:
    """Of runs that converge with carried state and matched signal."""
    return float(_loops(control, abscissa, True, True)["convergent"].mean())


def _tasks(*decoders: str) -> Iterator[dict[str, Any]]:
    for n, field, decoder in product(STIMULI, FIELDS, decoders or (MULTIPLE, PROJECTION)):
        yield {"stimuli": n, "field": field, "decoder": decoder}


def _task(
    control: str, abscissa: float, carry: bool, matched: bool, task: dict[str, Any]
) -> Interval | None:
    """In one task, if enough runs converge."""
    found = _loops(control, abscissa, matched, carry, **task)
    return ratio(found, _circuit(carry, **task)) if len(found["wtpe"]) else None


def _by_task(matched: bool, carry: bool, decoder: str) -> list[float]:
    """Of all controls, in the tasks of a decoder."""
    return [
        found.estimate
        for control, abscissa, task in product(CONTROLS, (*WEAK, *STRONG), _tasks(decoder))
        if (found := _task(control, abscissa, carry, matched, task))
    ]


def _strongest() -> list[float]:
    """The strongest at the circuit's amplitude, with projection and the state reset."""
    found = (_task("shuffled", 0.95, False, False, task) for task in _tasks(PROJECTION))
    return [each.estimate for each in found if each]


def _own_carried(task: dict[str, Any]) -> Interval:
    """The circuit's wtpe with its state carried, in units of that with its state reset."""
    found = ratio(_circuit(True, **task), _circuit(False, **task))
    assert found is not None
    return found


def _networks(column: str, control: str = CIRCUIT, abscissa: float = 0.0) -> float:
    found = where(tables(f"{STUDY}/abscissa")["networks"], control=control)
    own = found if control == CIRCUIT else where(found, abscissa=abscissa)
    return float(own[column].mean())


def _cells(row: str) -> list[str]:
    return row[2:-2].split(" | ")


def _loop(case: Case, column: str = "wtpe", part: str = "structure", **labels: str) -> float:
    """Mean over animals in which there is a value."""
    return float(np.nanmean(case.rows(tables(f"{STUDY}/{part}")["loops"], **labels)[column]))


def _decoded(case: Case, column: str) -> float:
    return float(case.rows(tables(f"{STUDY}/structure")["decoding"])[column].mean())


def _geometric(part: str, first: Case, second: Case, **labels: str) -> float:
    """Of wtpe in the same animals."""
    loops = tables(f"{STUDY}/{part}")["loops"]
    one, other = (case.rows(loops, **labels)["wtpe"] for case in (first, second))
    return float(np.exp(np.log(one / other).mean()))


def _built_against_weak() -> list[float]:
    """The circuit's wtpe in units of its weak controls', with multiple points."""
    return [
        _geometric("structure", Case("soc", n), Case(cortex, n), **labels)
        for n in STIMULI
        for cortex in ("shuffled, matched", "scaled, matched")
        for labels in ({"field": field, "decoder": MULTIPLE} for field in FIELDS)
    ]


def _window(window_s: float) -> list[float]:
    """The circuit's wtpe in units of that with windows of 200 ms, with multiple points."""
    return [
        _loop(Case("soc", n, window_s), part="windows", field=field, decoder=MULTIPLE)
        / _loop(Case("soc", n, 0.2), part="windows", field=field, decoder=MULTIPLE)
        for n, field in product(STIMULI, FIELDS)
    ]


def _carried(n: int, window_s: float) -> list[float]:
    """Carried against reset, by field and decoder."""
    return [
        _geometric(
            "carry", Case("soc", n, window_s, True), Case("soc", n, window_s), field=f, decoder=d
        )
        for f, d in product(FIELDS, PAPERS_DECODERS)
    ]


def _reach(case: Case, low: float) -> tuple[float, float]:
    """From the direction that full volition reaches least to the one it reaches farthest, cm."""
    found = case.rows(tables(f"{STUDY}/volition")["reach"], low=low)
    directions = np.unique(found["direction"])
    return _range(where(found, direction=each)["reach"].mean() for each in directions)


def _command(case: Case, column: str) -> float:
    """Of the signed command, without a curl field."""
    found = case.rows(tables(f"{STUDY}/volition")["commands"], low=-1.0, curl=0)
    return float(found[column].mean())


def _commanded(case: Case) -> float:
    """Share of runs that the signed command brings to the targets."""
    return _command(case, "arrived")


def _shift(case: Case, policy: str, low: float) -> float:
    """Success of a policy in the shift task."""
    found = case.rows(tables(f"{STUDY}/volition")["policies"], low=low, policy=policy)
    return float(found["success"].mean())


def _range(values: Iterable[float]) -> tuple[float, float]:
    values = list(values)
    return min(values), max(values)
