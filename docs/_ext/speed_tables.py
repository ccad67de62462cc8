"""Tables of speed, as Markdown, from what the benchmarks keep."""

import json
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from site_tables import ROOT, table

HISTORY = ROOT / "docs" / "speed" / "history"
PEERS = ROOT / "docs" / "speed" / "peers.json"
REACHER = ("MuJoCo Reacher-v5", "scalar")
CARTPOLE = "CartPole-v1 (600 x 400)"

Rounds = Mapping[str, Mapping[str, Sequence[float]]]
"""What each round found, by row and size of the batch."""


def speed() -> str:
    """Steps per second in the latest benchmark, in units of Reacher's."""
    return _rates(_records()[0]["steps_per_s"])


def beside() -> str:
    """Rows of the latest benchmark, one beside another."""
    rows = [
        (name, _trials(size), _short(median(each)), f"{_short(min(each))}–{_short(max(each))}")
        for name, sizes in _records()[0].get("beside", {}).items()
        for size, each in sizes.items()
    ]
    return table(("", "trials", "ratio", "lowest–highest"), rows)


def speed_changes() -> str:
    """What the latest benchmark has in common with earlier ones, in units of Reacher's speed."""
    records = _records()
    latest, *earlier = (_ratios(each["steps_per_s"]) for each in records)
    rows = [
        (
            name,
            _trials(size),
            _short(median(each)),
            *(_short(median(then[name, size])) if (name, size) in then else "" for then in earlier),
        )
        for (name, size), each in latest.items()
        if any((name, size) in then for then in earlier)
    ]
    heads = [f"{each['commit']} ({each['date'][:10]})" for each in records]
    return table(("× Reacher", "trials", *heads), rows)


def pictures() -> str:
    """Pictures per second in the latest benchmark that drew any."""
    found = next(each["pictures_per_s"] for each in _records() if "pictures_per_s" in each)
    ratios = _ratios({name: {"": each} for name, each in found.items()}, (CARTPOLE, ""))
    rows = [
        (name, f"{median(each):,.0f}", _short(median(ratios[name, ""])))
        for name, each in found.items()
    ]
    return table(("", "pictures/s", "× CartPole"), rows)


def beginnings() -> str:
    """What it takes to begin, in the latest benchmark."""
    return table(("", ""), [(n, _short(v)) for n, v in _records()[0]["others"].items()])


def spent() -> str:
    """Where the time of a step goes, microseconds per trial, in the latest benchmark."""
    profiles = _records()[0]["microseconds"]
    names = dict.fromkeys(name for profile in profiles.values() for name in profile)
    rows = [
        (name, *(f"{p[name]:.2f}" if name in p else "" for p in profiles.values()))
        for name in names
    ]
    return table(("µs per trial and step", *profiles), rows)


def peers() -> str:
    """Steps per second of other libraries, in units of Reacher's in the same process."""
    written = []
    for found in json.loads(PEERS.read_text(encoding="utf-8")).values():
        written += [_rates(found["steps_per_s"]), "", _where(found), ""]
    return "\n".join(written)


def speed_machine() -> str:
    """On what the latest benchmark ran."""
    record = _records()[0]
    return f"Commit {record['commit']}, {record['date'][:10]}. {_where(record)}"


def _where(record: Mapping[str, Any]) -> str:
    machine, versions = record["machine"], record["versions"]
    named = [machine["processor"]]
    named += [f"{size} {kind}" for kind, size in machine.get("caches", {}).items()]
    named += [f"{name} {each}" for name, each in {"Python": machine["python"], **versions}.items()]
    return ", ".join(named) + "."


def _records() -> list[dict[str, Any]]:
    """Records of benchmarks, the latest first."""
    records = [json.loads(path.read_text(encoding="utf-8")) for path in HISTORY.glob("*.json")]
    return sorted(records, key=lambda each: each["date"], reverse=True)


def _ratios(found: Rounds, reference: tuple[str, str] = REACHER) -> dict[tuple[str, str], Any]:
    """Ratios within every round."""
    unit = found[reference[0]][reference[1]]
    return {
        (name, size): [value / one for value, one in zip(each, unit, strict=True)]
        for name, sizes in found.items()
        for size, each in sizes.items()
    }


def _rates(found: Rounds) -> str:
    """Ratios to Reacher, a column for every size of a batch, and how far rounds are apart."""
    ratios = _ratios(found)
    columns = sorted(
        {size for _, size in ratios}, key=lambda size: (size.isdigit(), len(size), size)
    )
    rows = []
    for name, sizes in found.items():
        each = [_short(median(ratios[name, size])) if size in sizes else "" for size in columns]
        spread = max(max(ratios[name, size]) / min(ratios[name, size]) - 1 for size in sizes)
        rows.append((name, *each, f"{spread:.0%}"))
    return table(("× Reacher", *map(_trials, columns), "spread"), rows)


def _trials(size: str) -> str:
    return f"{int(size):,}" if size.isdigit() else size


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
