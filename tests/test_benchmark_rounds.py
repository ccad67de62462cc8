import json
import os
import time

import benchmark_rounds
import pytest
from benchmark_rounds import Spent, cores, enough, interleaved, ratios, spent, told, written


def test_every_round_measures_each_once():
    order = []

    def measure(name):
        return lambda: order.append(name) or Spent(len(order), 2.0, 4.0)

    found = interleaved({name: measure(name) for name in "ab"}, 3)
    assert order == list("ababab")
    assert [each.rate for each in found["b"]] == [1.0, 2.0, 3.0]


def test_ratios_are_of_one_round_and_their_median_is_told_with_the_spread():
    slow_then_quick = [10.0, 20.0, 30.0]
    assert ratios(slow_then_quick, [5.0, 10.0, 10.0]) == [2.0, 2.0, 3.0]
    assert told([3.0, 1.0, 2.0]) == "2 (1-3)"
    assert told([2.0]) == "2"
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0, 2.0], [1.0])


def test_time_of_the_processor_is_less_than_that_of_the_clock_where_one_waits():
    took = spent(7, lambda: time.sleep(0.05))
    assert took.done == 7
    assert took.cpu_s < 0.04 < took.wall_s


def test_work_is_repeated_for_a_while_in_whole_cycles(monkeypatch):
    done = []
    monkeypatch.setattr(
        benchmark_rounds, "spent", lambda n, work: work() or Spent(n, cpu_s=0.01, wall_s=0.01)
    )

    def work():
        done.append(1)

    assert enough(work, seconds=0.05) == 5
    assert len(done) == 2  # the first of them is not timed
    assert enough(work, seconds=0.05, cycle=26) == 26
    assert enough(work, seconds=0.3, cycle=26) == 52
    assert enough(work, seconds=0.001) == 1


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="a system without affinity")
def test_cores_are_set_for_a_while():
    before = os.sched_getaffinity(0)
    with cores(1):
        assert len(os.sched_getaffinity(0)) == 1
        with cores(2):
            assert len(os.sched_getaffinity(0)) == min(2, len(before))
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


def test_a_record_keeps_four_digits_and_a_line_for_each_measurement():
    text = written({"ours": {"256": [1.23456, 20000.123, 3]}, "s": 0.000123456})
    assert '  "256": [1.235, 20000.0, 3]\n' in text
    assert json.loads(text)["s"] == 0.0001235


def test_the_machine_is_described():
    machine = benchmark_rounds.machine()
    assert machine["processor"]
    assert machine["cores"] >= 1
    json.dumps(machine)
