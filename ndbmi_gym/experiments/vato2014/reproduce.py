"""`ndbmi-gym reproduce`: the figures, and the claims judged on all of them."""

import numpy as np

from ndbmi_gym.experiments.bench.batches import Batch
from ndbmi_gym.experiments.bench.figure import Figure
from ndbmi_gym.experiments.bench.statistics import mean_interval, ratio_interval
from ndbmi_gym.experiments.bench.tables import Table, Tables, where
from ndbmi_gym.experiments.protocol.geometry import f_factor_misfit, f_factor_residuals
from ndbmi_gym.experiments.protocol.volition import N_TARGETS
from ndbmi_gym.experiments.vato2014 import (
    fig2,
    fig3,
    fig4,
    fig5,
    fig6,
    fig7,
    fig8,
    fig9,
    fig10,
    fig11,
    fig12,
    linear,
    region,
    report,
    windows,
)
from ndbmi_gym.experiments.vato2014.claims import judge
from ndbmi_gym.experiments.vato2014.evidence import f_factors, from_tables
from ndbmi_gym.presets import SET_5
from ndbmi_gym.stimuli import stimulus_set

FIGURES: dict[str, Figure] = {
    module.FIGURE.name: module.FIGURE
    for module in (
        fig2, fig3, fig4, fig5, fig6, fig7, fig8, fig9, fig10, fig11, fig12, windows, linear,
        region,
    )
}  # fmt: skip
"""The text's figures; short windows and the earlier interface, which it describes without one; and
what the target region decides, whose radius it does not give."""


def figure(name: str) -> Figure:
    """A figure by name."""
    if name not in FIGURES:
        known = ", ".join((*FIGURES, "all", "claims"))
        raise ValueError(f"unknown figure {name!r}: choose from {known}")
    return FIGURES[name]


def judge_claims(batch: Batch, tables: dict[str, Tables]) -> str:
    """Judge the claims on the tables of all figures, write the report, return its summary."""
    evidence = from_tables(tables)
    findings = judge(evidence)
    factors = f_factors(tables["fig4"]["shares"])
    misfit = f_factor_misfit(factors)
    off = ", ".join(
        f"set {n}: {100 * np.expm1(residual):+.0f} %"
        for n, residual in f_factor_residuals(factors).items()
    )
    remarks = (
        "Table 1: within sets 1-4 and within sets 5-7, the f factors are off from the printed ones "
        f"by {100 * misfit:.0f} % (root mean square of logarithmic differences; the unit of length "
        f"is lost); {off}. {_set_5(tables['fig4']['set 5'])}",
        f"C20: {region.remark(tables['region']['arrivals'], batch.values)}",
        f"C21: {_curls(tables['fig12']['shares'])}",
        f"C24: {_either_interface(tables['linear']['shares'])}",
    )
    pictures = {f"{name}: {figure(name).title}": batch.out / f"{name}.png" for name in tables}
    report.write(batch.out, findings, batch.settings(), remarks, pictures)
    verdicts = "\n".join(f"{f.claim.id:>4} {f.verdict:<14} {f.claim.statement}" for f in findings)
    return f"{verdicts}\n{report.summary(findings, batch.settings())}"


def _set_5(factors: Table) -> str:
    """How the readings of set 5 agree with Table 1."""
    fifth, sixth = (np.mean(stimulus_set(n).printed_f_factors) for n in (5, 6))
    found = [
        f"{mean_interval(where(factors, reading=reading)['to set 6'])} with its intensities "
        f"{reading}"
        for reading in SET_5
    ]
    return (
        f"The factors of set 5 are {fifth / sixth:.2f} times those of set 6 in print, and "
        f"{', '.join(found)}."
    )


def _curls(shares: Table) -> str:
    """How volition fares as the curl field gets stronger."""
    told = []
    for curl in np.unique(shares["curl"]):
        own = where(shares, curl=curl)
        worst = own["arrived"].reshape(-1, N_TARGETS).min(axis=1)
        settle = own["shifted"].reshape(-1, N_TARGETS).all(axis=1).mean()
        told.append(
            f"{curl:g} kg/s: {mean_interval(worst)} of the runs to the hardest target arrive "
            f"({own['unmoved'].mean():.2f} of all without volition), and in {settle:.0%} of the "
            "animals runs settle nearer to each target"
        )
    return (
        f"the curl field's strength is lost; at {'; at '.join(told)}. Paths turn to the left in "
        "any positive curl field, with volition or without."
    )


def _either_interface(shares: Table) -> str:
    """What the linear interface makes of the dipole when it is not refused."""
    linear, forced, dipole = (
        mean_interval(shares[f"{name}_error"]) for name in ("linear", "forced", "dipole")
    )
    paths = ratio_interval(shares["forced_wtpe"] / shares["dipole_wtpe"])
    return (
        "an interface that must be invertible refuses the dipole; calibrated for it all the same, "
        f"the linear one makes forces that are off by {forced} of the field (root mean squares "
        f"over the workspace), this one by {dipole}, and the linear one on a linear field by "
        f"{linear}. On paths that shows as a wtpe of {paths} times this one's."
    )
