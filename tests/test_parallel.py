import os
import subprocess
import sys
import time
import warnings

import pytest

from ndbmi_gym import animals
from ndbmi_gym.config import Config
from ndbmi_gym.experiments.bench.parallel import run_tasks


def wait(number):
    time.sleep(0.01 * (3 - number))
    return number


def calibrate(animal):
    Config.of(dataset=1, repetitions=2).make_loop(animal)
    return os.getpid(), len(animals._kept)


def fail(number):
    raise ValueError(f"task {number}")


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_as_they_are_ready_or_in_order(jobs):
    tasks = [(number,) for number in range(3)]
    assert sorted(run_tasks(wait, tasks, jobs)) == [0, 1, 2]
    assert list(run_tasks(wait, tasks, jobs, ordered=True)) == [0, 1, 2]


@pytest.mark.parametrize("jobs", [1, 2])
def test_animals_are_dropped_between_tasks(jobs):
    found = list(run_tasks(calibrate, [(animal,) for animal in range(5)], jobs))
    assert [size for _, size in found] == [1] * 5
    assert len({process for process, _ in found}) <= jobs
    assert len(animals._kept) == 0


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_goes_wrong_is_raised_here(jobs):
    before = warnings.filters[:]
    with pytest.raises(ValueError, match="task 0"):
        list(run_tasks(fail, [(0,)], jobs))
    assert warnings.filters == before


PSUTIL = """
import itertools

_grown = itertools.count()


class Process:
    def __init__(self, pid): pass
    def memory_info(self): return self
    rss = property(lambda self: next(_grown) * 10**9)
"""
SCRIPT = """
import os, time
from ndbmi_gym.experiments.bench.parallel import run_tasks

def work(number):
    time.sleep(0.4)
    return os.getpid()

if __name__ == "__main__":
    found = list(run_tasks(work, [(number,) for number in range(16)], 2))
    print(len(found), len(set(found)))
"""


def test_workers_that_are_replaced_stop_nothing(tmp_path):
    """A psutil by which every worker grows without end, and warnings that are errors."""
    (tmp_path / "psutil.py").write_text(PSUTIL)
    (tmp_path / "work.py").write_text(SCRIPT)
    paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    run = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "work.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    done, processes = map(int, run.stdout.split())
    assert done == 16
    assert processes > 2  # some were replaced
