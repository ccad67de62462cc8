"""Measurements that can be compared: interleaved rounds, on as many cores as are said.

Machines are slow and quick by turns. So every round measures each thing once, ratios are taken
within a round, and the median over rounds is told with the lowest and the highest.
"""

import json
import os
import platform
import re
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple


class Spent(NamedTuple):
    """What was done, and in how many seconds of the processor and of the clock."""

    done: float
    cpu_s: float
    wall_s: float

    @property
    def rate(self) -> float:
        """Done per second of the processor."""
        return self.done / self.cpu_s


def spent(done: float, work: Callable[[], Any]) -> Spent:
    """Do some work and measure it."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Spent(done, time.process_time() - cpu, time.perf_counter() - wall)


def enough(work: Callable[[], Any], seconds: float = 0.3, cycle: int = 1) -> int:
    """How often to do some work so that it takes about as long as is said; it is done once before.

    Whole cycles, such as the steps of trials that begin together.
    """
    work()
    times = max(1, round(seconds / spent(1, work).wall_s))
    return -(-times // cycle) * cycle


def interleaved(
    measures: Mapping[Hashable, Callable[[], Spent]], rounds: int
) -> dict[Any, list[Spent]]:
    """Take every measure once in each round."""
    found: dict[Any, list[Spent]] = {key: [] for key in measures}
    for _ in range(rounds):
        for key, measure in measures.items():
            found[key].append(measure())
    return found


def ratios(values: Sequence[float], reference: Sequence[float]) -> list[float]:
    """Ratios within each round."""
    return [value / unit for value, unit in zip(values, reference, strict=True)]


def told(values: Sequence[float]) -> str:
    """The median, and the lowest and highest in brackets."""
    each = (median(values), min(values), max(values))
    return "{:.3g} ({:.3g}-{:.3g})".format(*each) if len(values) > 1 else f"{values[0]:.3g}"


@contextmanager
def cores(n: int) -> Iterator[None]:
    """Run on the first n of this process's cores, as many as there are."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(_CORES)[:n])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


_CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else frozenset({0})


def machine() -> dict[str, Any]:
    """What a record says of the machine; caches are those of the first core, by level and kind."""
    caches = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / each).read_text().strip() for each in _CACHE)
        caches[f"L{level} {kind.lower()}"] = size
    return {
        "processor": _processor(),
        "cores": len(_CORES),
        "caches": caches,
        "python": platform.python_version(),
    }


_CACHE = ("level", "type", "size")


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    for line in told.read_text().splitlines() if told.exists() else ():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.processor() or platform.machine()


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Of packages that are installed here."""
    return {name: version(name) for name in packages}


def written(record: Mapping[str, Any]) -> str:
    """A record as JSON, to four digits, the rounds of a measurement in a line."""
    rounded = json.loads(json.dumps(record), parse_float=lambda value: float(f"{float(value):.4g}"))
    lists = re.compile(r"\[\s*([^][{}]*?)\s*\]")
    lines = lists.sub(
        lambda found: f"[{' '.join(found[1].split())}]", json.dumps(rounded, indent=1)
    )
    return lines + "\n"


def scalar_steps(env: Any, action: Any, steps: int) -> None:
    """Step one of Gymnasium's environments, and begin trials anew where they end."""
    for _ in range(steps):
        *_, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
