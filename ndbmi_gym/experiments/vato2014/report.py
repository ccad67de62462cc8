"""The claims table as Markdown, and with the figures as one self-contained HTML page."""

import math
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from html import escape
from pathlib import Path

from ndbmi_gym.experiments.bench.statistics import Interval, share_interval
from ndbmi_gym.experiments.vato2014.baselines import load_baselines
from ndbmi_gym.experiments.vato2014.checks import (
    DEPENDS,
    FAILS,
    HOLDS,
    LARGE,
    NEARLY,
    SMALL,
    UNDECIDED,
    Check,
    Finding,
)
from ndbmi_gym.experiments.vato2014.claims import CLAIMS
from ndbmi_gym.files import write_json, write_text
from ndbmi_gym.presets import Preset
from ndbmi_gym.provenance import JSON

_METHOD = (
    "Every claim is judged by checks: a quantity with its 95 % interval over animals, against a "
    "bound. A claim holds if every interval lies on the right side of its bound, does not hold if "
    "one lies on the wrong side, and is undecided otherwise; where the text can be read in two "
    "ways, and it holds in one and not in the other, it depends on the reading. The text's "
    "adjectives are on one scale, as factors of the error: nearly the same, no gain, no loss: "
    f"below {NEARLY:g}; small, stable, robust, insensitive: below {SMALL:g}; mild: below "
    f"{LARGE:g}; large, marked: above it. Ratios are of mean wtpe, geometric means over animals, "
    "and of convergent runs only, as in the text; p < 0.01 is the text's own test on the 240 runs "
    "of one animal (one-way ANOVA, then Tukey's HSD). Decoding is by multiple points where the "
    "claim does not compare decoders. Intervals are not corrected for the number of checks. "
    "*Random sets*: under what share of random sets of parameters a claim holds (95 % binomial "
    "interval); a claim that most of them satisfy says little about these parameters. They are "
    "judged by estimates, in two animals with half of the runs: a rule that is looser than the "
    "verdict's where a ratio is near its bound, and stricter where most animals must agree, since "
    "both have to. Nothing here is entered by hand."
)

_STYLE = """
body { font: 16px/1.45 system-ui, sans-serif; max-width: 78rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 }
td, th { border-bottom: 1px solid #ccc; padding: .35rem .6rem; text-align: left }
td { vertical-align: top }
td.n { white-space: nowrap }
.holds { color: #086b24 } .fails { color: #b00020 } .undecided { color: #8a5a00 }
small { color: #444 } img { max-width: 100%; border: 1px solid #ddd }
""".strip()

_ORDER = (FAILS, UNDECIDED, HOLDS)
_CLASS = {HOLDS: "holds", FAILS: "fails", UNDECIDED: "undecided", DEPENDS: "undecided"}
_COMMON, _RARE = 0.5, 0.2
"""Shares of random sets: from the one on a claim that holds is no news, below the other it is."""


def summary(findings: Sequence[Finding], settings: JSON) -> str:
    """How many claims hold, in which animals, and how many of them chance would satisfy."""
    count = Counter(finding.verdict for finding in findings)
    base, animals = load_baselines(), settings["animals"]
    common = sum(f.verdict == HOLDS and base.passed[f.claim.id] >= _COMMON for f in findings)
    rare = sum(f.verdict == HOLDS and base.passed[f.claim.id] < _RARE for f in findings)
    fresh = not set(animals) & set(base.searched)
    seen = "none of which the search had seen" if fresh else "some of which the search had seen"
    presets = ", ".join(f"the preset {name!r} {n}" for name, n in base.presets.items())
    return (
        f"Preset {settings['preset']!r}, {len(animals)} animals ({animals[0]} to {animals[-1]}), "
        f"{seen}, seed {settings['seed']}: {count[HOLDS]} of {len(findings)} claims hold, "
        f"{count[FAILS]} do not, {count[UNDECIDED]} are undecided, and the verdict on "
        f"{count[DEPENDS]} depends on how the text is read. Of the {count[HOLDS]} that hold, "
        f"{common} also hold under at least half of random sets of parameters, and {rare} under "
        f"fewer than a fifth. By estimates in two other animals, {base.sets} random sets satisfy a "
        f"median of {base.median:g} claims (at most {base.most}), {presets}."
    )


def claims_table(findings: Sequence[Finding], brief: bool = False) -> str:
    """The claims as a Markdown table; a brief one has the check that decides only."""
    lines = [
        "| claim | where | the text says | verdict | random sets | measured |",
        "|---|---|---|---|---|---|",
    ]
    for finding in findings:
        claim, verdict = finding.claim, finding.verdict
        deciding = min(finding.checks, key=lambda c: (_ORDER.index(c.verdict), c.margin))
        measured = "<br>".join(map(str, [deciding] if brief else finding.checks))
        lines.append(
            f"| {claim.id} | {claim.where} | {claim.statement} | **{verdict}** | "
            f"{_passed(finding)} | {measured} |"
        )
    return "\n".join(lines)


def _passed(finding: Finding) -> str:
    """Of the random sets, with its interval."""
    base = load_baselines()
    share = base.passed[finding.claim.id]
    _, low, high = share_interval(round(share * base.sets), base.sets)
    return f"{share:.2f} ({low:.2f} to {high:.2f})"


def markdown(findings: Sequence[Finding], settings: JSON, remarks: Sequence[str]) -> str:
    """The report in Markdown."""
    return "\n\n".join(
        (
            "# The findings of Vato et al. 2014, claim by claim",
            summary(findings, settings),
            _METHOD,
            claims_table(findings),
            *remarks,
            "## Parameters",
            "\n".join(f"- `{name}` = {value}" for name, value in settings["parameters"].items()),
        )
    )


def pages(findings: Sequence[Finding], settings: JSON, remarks: Sequence[str]) -> dict[str, str]:
    """``claims.md`` (in brief) and ``report.md``."""
    brief = (f"**{summary(findings, settings)}**", claims_table(findings, brief=True), *remarks)
    return {
        "claims.md": "\n\n".join(brief) + "\n",
        "report.md": markdown(findings, settings, remarks) + "\n",
    }


def findings_of(written: JSON) -> list[Finding]:
    """The findings that a ``claims.json`` holds.

    Parameters
    ----------
    written : dict
        What is in the file.
    """
    known = {claim.id: claim for claim in CLAIMS}
    return [
        Finding(
            known[claim["id"]],
            [
                Check(
                    check["what"],
                    Interval(*(_number(check[end]) for end in Interval._fields)),
                    check["bound"],
                    check["side"] == "above",
                    check["scale"],
                    check["reading"],
                )
                for check in claim["checks"]
            ],
            len(written["animals"]),
        )
        for claim in written["claims"]
    ]


def _number(written: float | None) -> float:
    return math.nan if written is None else written


def html(
    findings: Sequence[Finding],
    settings: JSON,
    remarks: Sequence[str],
    pictures: Mapping[str, Path],
) -> str:
    """The report as one page; pictures by title."""
    rows = "".join(
        f"<tr><td class=n>{f.claim.id}</td><td class=n>{escape(f.claim.where)}</td>"
        f"<td>{escape(f.claim.statement)}</td>"
        f"<td class='n {_CLASS[f.verdict]}'><b>{f.verdict}</b></td>"
        f"<td class=n>{_passed(f)}</td>"
        f"<td><small>{'<br>'.join(escape(str(check)) for check in f.checks)}</small></td></tr>"
        for f in findings
    )
    figures = "".join(
        f"<h2>{escape(title)}</h2><img alt='{escape(title)}' src='data:image/png;base64,"
        f"{b64encode(path.read_bytes()).decode()}'>"
        for title, path in pictures.items()
    )
    parameters = "".join(
        f"<tr><td><code>{field.name}</code></td><td>{settings['parameters'][field.name]}</td></tr>"
        for field in fields(Preset)
    )
    packages = ", ".join(f"{name} {number}" for name, number in settings["versions"].items())
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<title>Vato et al. 2014, claim by claim</title><style>{_STYLE}</style>"
        "<h1>The findings of Vato et al. 2014, claim by claim</h1>"
        f"<p><b>{escape(summary(findings, settings))}</b></p>"
        f"<p>{escape(_METHOD)}</p>"
        "<table><tr><th>claim<th>where<th>the text says<th>verdict<th>random sets<th>measured</tr>"
        f"{rows}</table>{''.join(f'<p>{escape(remark)}</p>' for remark in remarks)}{figures}"
        f"<h2>Parameters</h2><table>{parameters}</table><p><small>{escape(packages)}</small></p>"
        "</html>\n"
    )


def write(
    folder: Path,
    findings: Sequence[Finding],
    settings: JSON,
    remarks: Sequence[str],
    pictures: Mapping[str, Path],
) -> None:
    """Write ``claims.json``, ``claims.md`` (in brief), ``report.md`` and ``report.html``."""
    table = [
        {
            "id": f.claim.id,
            "where": f.claim.where,
            "statement": f.claim.statement,
            "verdict": f.verdict,
            "random_sets": load_baselines().passed[f.claim.id],
            "checks": [
                {
                    "what": check.what,
                    "reading": check.reading,
                    "estimate": check.interval.estimate,
                    "low": check.interval.low,
                    "high": check.interval.high,
                    "bound": check.bound,
                    "scale": check.scale,
                    "side": "above" if check.above else "below",
                    "verdict": check.verdict,
                }
                for check in f.checks
            ],
        }
        for f in findings
    ]
    told = {"summary": summary(findings, settings), "claims": table, "remarks": list(remarks)}
    write_json(folder / "claims.json", settings | told)
    for name, text in pages(findings, settings, remarks).items():
        write_text(folder / name, text)
    write_text(folder / "report.html", html(findings, settings, remarks, pictures))
