"""`ndbmi-gym reproduce`: the figures, and the claims judged on all of them."""

import numpy as np

from ndbmi_gym.experiments.bench.batches import Batch
from ndbmi_gym.experiments.bench.figure import Figure
from ndbmi_gym.experiments.bench.statistics import ratio_interval
from ndbmi_gym.experiments.bench.tables import Tables
from ndbmi_gym.experiments.protocol.conditions import FIELDS, REFERENCE
from ndbmi_gym.experiments.protocol.geometry import f_factor_misfit, f_factor_residuals
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
    cut = [
        f"{ratio_interval(evidence.ratios('truncated to 50 ms', REFERENCE, field))} ({field})"
        for field in FIELDS
    ]
    remarks = (
        "Table 1: within sets 1-4 and within sets 5-7, the f factors are off from the printed ones "
        f"by {100 * misfit:.0f} % (root mean square of logarithmic differences; the unit of length "
        f"is lost); {off}.",
        "C22 keeps the spikes per window, as Eq 17 defines h. If responses are cut to their first "
        f"50 ms at unchanged rates instead, mean wtpe is {', '.join(cut)} times that of 600 ms.",
    )
    pictures = {f"{name}: {figure(name).title}": batch.out / f"{name}.png" for name in tables}
    report.write(batch.out, findings, batch.settings(), remarks, pictures)
    verdicts = "\n".join(f"{f.claim.id:>4} {f.verdict:<14} {f.claim.statement}" for f in findings)
    return f"{verdicts}\n{report.summary(findings)}"
