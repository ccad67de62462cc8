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
