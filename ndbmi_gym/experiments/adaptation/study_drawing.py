"""The study's pictures, from the tables of its curves and effects."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from ndbmi_gym.experiments.adaptation.report import WORDS
from ndbmi_gym.experiments.adaptation.summary import summarise
from ndbmi_gym.experiments.bench.drawing import FONT, NARROW, SMALL, canvas, legend, letter_panel
from ndbmi_gym.experiments.bench.statistics import Interval
from ndbmi_gym.experiments.bench.tables import Table, Tables, where

STYLES: dict[str, dict[str, Any]] = {  # Okabe and Ito's colours, for the colour-blind, and browns
    "ignorant": {"color": "#777777", "marker": "v"},
    "knowing": {"color": "black", "marker": "*"},
    "trial_by_trial": {"color": "#0072b2", "marker": "o"},
    "bayes": {"color": "#e69f00", "marker": "s"},
    "listener": {"color": "#d55e00", "marker": "D"},
    "forgetful": {"color": "#cc79a7", "marker": "^"},
    "recurrent_ppo": {"color": "#009e73", "marker": "P"},
    "recurrent_ppo, forgetting": {"color": "#56b4e9", "marker": "P"},
    "distill": {"color": "#6b3a12", "marker": "X"},
    "distill, forgetting": {"color": "#c49a6c", "marker": "X"},
}
_OTHERS = ("#f0e442", "#332288", "#aa4499")  # for policies of one's own, in turn
_FIELDS = {"adaptation": "#f3dcc9", "again": "#f3dcc9", "test": "#f3dcc9", "opposite": "#d5e3f0"}
"""Shades of the blocks in which a field is on."""


def draw_curves(tables: Tables) -> Canvas:
    """Errors from trial to trial of the scored session, by device; blocks are shaded."""
    curves = _late(where(tables["curves"], protocol="adaptation"))
    devices = list(dict.fromkeys(curves["device"].tolist()))
    figure = canvas(NARROW, 2.3 * len(devices) + 0.9)
    panels = figure.subplots(len(devices), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
    for axes, device, letter in zip(panels, devices, "ABCDEF", strict=False):
        own = where(curves, device=device)
        for policy in _policies(own):
            color = _style(policy, _policies(curves))["color"]
            _curve(axes, where(own, policy=policy), "mpe", color)
        _shade(axes, own)
        letter_panel(axes, letter, 24)
        axes.set_title(device, size=FONT + 1, loc="left")
        axes.set_ylabel("largest error\nacross the line (cm)", size=FONT)
    panels[-1].set_xlabel("trial", size=FONT)
    legend(figure, _handles(_policies(curves)), 2)
    return figure


def draw_after_effects(tables: Tables) -> Canvas:
    """Errors in catch trials and in the first trial of washout, less the baseline's."""
    effects = _late(tables["effects"])
    devices = list(dict.fromkeys(effects["device"].tolist()))
    policies = _policies(effects)
    sizes = [len(_policies(where(effects, device=device))) for device in devices]
    figure = canvas(NARROW, 0.27 * sum(sizes) + 0.55 * len(devices) + 0.7)
    panels = figure.subplots(
        len(devices), 1, squeeze=False, sharex=True, height_ratios=[size + 0.4 for size in sizes]
    )[:, 0]
    for axes, device, letter in zip(panels, devices, "ABCDEF", strict=False):
        own = where(effects, device=device)
        present = _policies(own)
        for place, policy in enumerate(present):
            found = summarise(own, policy=policy)
            for name, aside, face in (
                ("catch − baseline", -0.14, None),
                ("wash 1 − baseline", 0.14, "white"),
            ):
                if name in found:
                    _dot(axes, found[name], place + aside, _style(policy, policies), face)
        axes.axvline(0, color="0.6", lw=0.8, zorder=0)
        axes.set_yticks(range(len(present)), [WORDS.get(policy, policy) for policy in present])
        axes.set_ylim(len(present) - 0.5, -0.5)
        axes.set_title(device, size=FONT + 1, loc="left")
        letter_panel(axes, letter, 60)
        _tidy(axes)
    panels[-1].set_xlabel(
        "error less that of the baseline (cm): below 0 is an after-effect", size=FONT
    )
    style: dict[str, Any] = {"color": "0.3", "ls": "", "marker": "o"}
    handles = [
        Line2D([], [], label="catch trials", **style),
        Line2D([], [], label="first trial of washout", mfc="white", **style),
    ]
    legend(figure, handles, 2)
    return figure


def draw_transfer(tables: Tables) -> Canvas:
    """Compensation in channels; by direction; and what a second adaptation gains or loses."""
    effects = where(_late(tables["effects"]), device="point mass")
    curves = where(_late(tables["curves"]), device="point mass", protocol="channels")
    told = where(effects, effect="savings: first")  # by those who played more than one protocol
    policies = _policies(told)
    figure = canvas(NARROW, 7.6)
    upper, middle, lower = figure.subplots(3, 1)
    for policy in policies:
        own = where(curves, policy=policy)
        if len(own["trial"]):
            _by_eight(upper, own, _style(policy, policies))
    if len(curves["trial"]):
        _shade(upper, curves)
    upper.set_ylim(top=1.2)
    upper.set_xlabel("trial", size=FONT)
    upper.set_ylabel("compensation in channels\n(1: all of the field)", size=FONT)

    angles = np.array([0, 45, 90, 135, 180])
    for i, policy in enumerate(policies):
        found = summarise(effects, policy=policy)
        ends = [found.get(f"compensation at {angle}°") for angle in angles]
        if all(end is not None for end in ends):
            mean, low, high = np.array(ends, float).T
            middle.errorbar(
                angles + 2.0 * (i - len(policies) / 2),
                mean,
                [mean - low, high - mean],
                **_style(policy, policies),
                **_BAR,
            )
    middle.set_xticks(angles)
    middle.set_xlabel("angle from the trained direction (degrees)", size=FONT)
    middle.set_ylabel("compensation,\nless the baseline's", size=FONT)

    names = ("savings: second − first", "interference: second − first")
    for i, policy in enumerate(policies):
        found = summarise(effects, policy=policy)
        for place, name in enumerate(names):
            if name in found:
                at = place + 0.1 * (i - (len(policies) - 1) / 2)
                mean, low, high = found[name]
                lower.errorbar(
                    at, mean, [[mean - low], [high - mean]], **_style(policy, policies), **_BAR
                )
    lower.axhline(0, color="0.6", lw=0.8, zorder=0)
    lower.set_xticks(
        range(2), ["after washout\n(savings)", "after the opposite field\n(interference)"]
    )
    lower.set_xlim(-0.6, 1.6)
    lower.set_ylabel("early error, second\nless first adaptation (cm)", size=FONT)
    for axes, letter in zip((upper, middle, lower), "ABC", strict=True):
        letter_panel(axes, letter, 24)
        _tidy(axes)
    legend(figure, _handles(policies), 2)
    return figure


PICTURES: dict[str, Callable[[Tables], Canvas]] = {
    "curves": draw_curves,
    "after_effects": draw_after_effects,
    "transfer": draw_transfer,
}
"""By the names of their files."""

_BAR: dict[str, Any] = {"ms": 4, "lw": 1.0, "elinewidth": 0.9, "capsize": 2}


def _late(table: Table) -> Table:
    """The rows with the largest delay of the senses."""
    return where(table, delay=table["delay"].max())


def _policies(table: Table) -> list[str]:
    return list(dict.fromkeys(table["policy"].tolist()))


def _style(policy: str, policies: list[str]) -> dict[str, Any]:
    others = [each for each in policies if each not in STYLES]
    if policy in STYLES:
        return STYLES[policy]
    return {"color": _OTHERS[others.index(policy) % len(_OTHERS)], "marker": "P"}


def _handles(policies: list[str]) -> list[Line2D]:
    return [
        Line2D([], [], label=WORDS.get(policy, policy), ms=4, **_style(policy, policies))
        for policy in policies
    ]


def _curve(axes: Axes, own: Table, measure: str, color: str) -> None:
    """A line with its interval as a band."""
    number = own["trial"] + 1
    axes.plot(number, own[measure], color=color, lw=1.2)
    low, high = own[f"{measure}_low"], own[f"{measure}_high"]
    axes.fill_between(number, low, high, color=color, alpha=0.15, lw=0)
    axes.axhline(0, color="0.6", lw=0.8, zorder=0)
    _tidy(axes)


def _by_eight(axes: Axes, own: Table, style: dict[str, Any]) -> None:
    """Means over each eight trials, of which one is a channel, at a place that differs."""
    group = own["trial"] // 8
    present = np.isfinite(own["compensation"])
    numbers = np.unique(group[present])
    means = [own["compensation"][present & (group == g)].mean() for g in numbers]
    axes.plot(8 * numbers + 4.5, means, ms=4, lw=1.2, **style)


def _shade(axes: Axes, own: Table) -> None:
    """Blocks, shaded where a field is on, and named above."""
    own = where(own, policy=own["policy"][0])
    for block in dict.fromkeys(own["block"].tolist()):
        trials = own["trial"][own["block"] == block]
        first, last = trials.min() + 0.5, trials.max() + 1.5
        if block in _FIELDS:
            axes.axvspan(first, last, color=_FIELDS[block], alpha=0.6, zorder=-1, lw=0)
        place = axes.get_xaxis_transform()
        axes.text(
            (first + last) / 2, 0.97, block, transform=place, size=SMALL, ha="center", va="top"
        )
    axes.set_xlim(own["trial"].min() + 0.5, own["trial"].max() + 1.5)


def _dot(
    axes: Axes, found: Interval, place: float, style: dict[str, Any], face: str | None
) -> None:
    mean, low, high = found
    marked = style | ({"mfc": face} if face else {})
    axes.errorbar(mean, place, xerr=[[mean - low], [high - mean]], **marked, **_BAR)


def _tidy(axes: Axes) -> None:
    axes.tick_params(labelsize=SMALL)
    axes.spines[["top", "right"]].set_visible(False)
