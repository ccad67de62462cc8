import gymnasium
import numpy as np
import pytest
from benchmark_stages import SIGNED, stages, volition

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
    assert spent["reward"] < spent["all of step(), new trials included"]
    assert spent["spikes"] < spent["all of step(), new trials included"]


def test_circuits_are_given_signed_volition_and_others_the_same_everywhere():
    signed = gymnasium.spaces.Box(-1, 1, (64, 25))
    positive = gymnasium.spaces.Box(0, 1, (64, 25))
    assert volition(signed, SIGNED).min() < 0
    for space in (signed, positive):
        drawn = volition(space, SIGNED)
        assert abs(np.abs(drawn).mean() - SIGNED) < 0.01
    assert (volition(positive, 0.1) == np.float32(0.1)).all()
