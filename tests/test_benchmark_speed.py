import json

import benchmark_speed
import pytest


@pytest.mark.parametrize(
    ("env_id", "options"),
    [("ndbmi/ShiftTarget-v0", {"decoder": "projection"}), ("ndbmi/ShiftTargetSOC-v0", {})],
)
def test_the_parts_of_a_step_can_be_timed(env_id, options):
    spent = benchmark_speed.floor(env_id, num_envs=8, calls=2, **options)
    assert min(spent.values()) > 0
    assert spent["reward"] < spent["whole step, autoresets included"]


def test_ratios_are_compared_not_rates():
    before = {benchmark_speed.REFERENCE: 10.0, "ours": 20.0, "gone": 1.0}
    now = {benchmark_speed.REFERENCE: 5.0, "ours": 30.0, "new": 1.0}  # on a slower machine
    _, reference, ours = benchmark_speed.compared(now, before)
    assert reference.split()[:3] == ["1.00", "1.00", "1.00"]
    assert ours.split() == ["6.00", "2.00", "3.00", "ours"]


def test_what_is_kept_can_be_compared():
    kept = list(benchmark_speed.HISTORY.glob("*.json"))
    assert len(kept) >= 2
    for file in kept:
        record = json.loads(file.read_text())
        assert record["commit"] == file.stem
        assert len(benchmark_speed.compared(record["steps_per_s"], record["steps_per_s"])) > 10
