import pytest
from benchmark_stages import stages

import ndbmi_gym

IDS = {name.partition("-")[0]: f"ndbmi/{name}" for name in ndbmi_gym._IDS}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ShiftTarget", {"decoder": "projection"}),
        ("ShiftTargetSOC", {}),
        ("ShiftTarget", {"cortex": {"kind": "soc", "carry": True}}),
    ],
)
def test_stages_of_a_step_are_parts_of_it(name, options):
    spent = stages(IDS[name], num_envs=8, rounds=2, seconds=0.001, **options)
    assert min(spent.values()) > 0
    assert spent["reward"] < spent["whole step, new trials included"]
    assert spent["spikes"] < spent["whole step, new trials included"]
