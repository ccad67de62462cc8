"""Random configurations and odd calls: each works, or is refused with value, rule and remedy.

::

    python tests/fuzz.py --configurations 10000 --calls 500 --seed 0 --jobs 2
    python tests/fuzz.py --seed 0 --only configuration:1234

Cases run in processes of their own under a time limit, so that one that crashes or hangs is a
finding, too. The exit status is 1 if there are findings.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import time
import warnings
from collections import deque
from dataclasses import asdict, dataclass
from multiprocessing.connection import wait
from pathlib import Path

import gymnasium
import numpy as np
from fuzz_cases import KINDS, Finding, make, play
from tqdm import tqdm

LIMIT_S, WARM_UP_S = 35.0, 300.0
"""Longest silence of a process during a case (made, played), and while numba compiles."""

MEMORY = 6 * 2**30
"""Address space of a process, bytes."""

BLOCK = 250
"""Cases of a process."""


@dataclass(frozen=True)
class Verdict:
    """What became of a case: its status is worked, refused or finding."""

    case: str
    status: str
    text: str
    seconds: float
    given: str


def attempt(case, seed):
    """The verdict on a case, ``"configuration:3"``."""
    kind, index = case.split(":")
    rng = np.random.default_rng([seed, list(KINDS).index(kind), int(index)])
    known = {"given": "", "seconds": 0.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", RuntimeWarning)
        try:
            status, text = KINDS[kind](rng, known)
        except Exception as error:
            status = "finding"
            text = str(error) if isinstance(error, Finding) else f"{type(error).__name__}: {error}"
    return Verdict(case, status, text, known["seconds"], known["given"][:1000])


def work(pipe, cases, seed):
    """Try cases one after another, in a process of its own."""
    gymnasium.logger.min_level = gymnasium.logger.ERROR
    rng = np.random.default_rng(0)
    decoders = ({}, {"decoder": "single-point"}, {"decoder": "projection"}, {"gamma_shape": 2})
    for few in ({"repetitions": 2}, {"repetitions": 2, "from_s": 0.1}):  # by either kernel
        for options in decoders:
            play(make("ndbmi/HoldTarget-v1", True, options | few | {"num_envs": 2}), rng)
        for core in ("linear", "nonlinear"):
            cortex = {"kind": "soc", "core": core, "stimuli": 32}
            play(make("ndbmi/ShiftTarget-v1", False, few | {"cortex": cortex}), rng)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    pipe.send(None)
    for case in cases:
        pipe.send(attempt(case, seed))


def run(cases, seed, jobs=1, progress=True):
    """Yield the verdicts on cases, from processes that are watched."""
    context = multiprocessing.get_context("spawn")
    tqdm.monitor_interval = 0
    blocks = deque(cases[i : i + BLOCK] for i in range(0, len(cases), BLOCK))
    running = {}  # connection: process, cases left, until when to wait, whether it has begun
    with tqdm(total=len(cases), disable=not progress) as bar:
        while blocks or running:
            while blocks and len(running) < jobs:
                mine, its = context.Pipe()
                left = deque(blocks.popleft())
                process = context.Process(target=work, args=(its, list(left), seed), daemon=True)
                process.start()
                its.close()
                running[mine] = [process, left, time.monotonic() + WARM_UP_S, False]
            heard = wait(list(running), timeout=1.0)
            for pipe, (process, left, until, begun) in list(running.items()):
                verdict, gone = None, ""
                if pipe in heard:
                    try:
                        verdict = pipe.recv()
                        running[pipe][2:] = time.monotonic() + LIMIT_S, True
                    except EOFError:
                        process.join()
                        gone = f"the process died with {process.exitcode}"
                elif time.monotonic() > until:
                    process.kill()
                    gone = f"no answer within {LIMIT_S:g} s"
                if gone and not begun:
                    raise RuntimeError(f"{gone} before the first case")
                if verdict is not None:
                    left.popleft()
                elif gone and left:
                    verdict = Verdict(left.popleft(), "finding", gone, LIMIT_S, "")
                if verdict is not None:
                    bar.update()
                    yield verdict
                if gone or not left:
                    process.join()
                    pipe.close()
                    del running[pipe]
                    if left:
                        blocks.appendleft(left)


def report(verdicts, seed):
    """Counts, the slowest environment, and a line for every finding."""
    counts = {}
    for kind in KINDS:
        mine = [v.status for v in verdicts if v.case.startswith(kind)]
        counts[kind] = {status: mine.count(status) for status in ("worked", "refused", "finding")}
    worked = [v for v in verdicts if v.status == "worked"]
    slowest = max(worked, key=lambda v: v.seconds, default=None)
    return {
        "seed": seed,
        "counts": counts,
        "slowest": slowest and asdict(slowest),
        "findings": [asdict(v) for v in verdicts if v.status == "finding"],
    }


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("configurations", 10_000), ("calls", 500), ("seed", 0), ("jobs", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--only", metavar="KIND:INDEX", help="one case, in this process")
    parser.add_argument("--out", metavar="FILE", help="write a report in JSON")
    given = parser.parse_args(arguments)
    if given.only:
        verdict = attempt(given.only, given.seed)
        print(json.dumps(asdict(verdict), indent=1, ensure_ascii=False))
        return int(verdict.status == "finding")
    cases = [f"configuration:{i}" for i in range(given.configurations)]
    cases += [f"call:{i}" for i in range(given.calls)]
    found = report(list(run(cases, given.seed, given.jobs)), given.seed)
    for each in found["findings"]:
        print(
            f"--seed {given.seed} --only {each['case']}: {each['text'][:300]}\n    {each['given']}"
        )
    for kind, counts in found["counts"].items():
        print(f"{kind}s: " + ", ".join(f"{n} {status}" for status, n in counts.items()))
    if found["slowest"]:
        print(f"slowest: {found['slowest']['seconds']:.2f} s, {found['slowest']['given']}")
    if given.out:
        Path(given.out).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    return int(bool(found["findings"]))


if __name__ == "__main__":
    sys.exit(main())
