import numpy as np

from ndbmi_gym.experiments.circuit import comparison
from ndbmi_gym.experiments.circuit.specimen import MATCHED, SAME, STABILISED


def test_the_lead_is_told_as_it_is():
    compared = {
        "circuit": np.array([STABILISED, "scaled", "scaled", "shuffled"]),
        "amplitude": np.array([SAME, SAME, MATCHED, MATCHED]),
        "peak": np.array([3.0, 9, 9, 9]),
        "explained": np.array([0.3, 0.9, 0.2, 0.4]),
        "explained ±": np.array([0.01, 0, 0.02, 0.004]),
        "path error (cm)": np.array([2.0, 1, 5, 4]),
        "path error (cm) ±": np.array([0.1, 0.1, 0.1, 0.2]),
    }
    text = comparison.remaining(compared)
    assert "explained: 0.30 ± 0.01 against 0.40 ± 0.00 (shuffled)" in text
    assert "path error (cm): 2.00 ± 0.10 against 4.00 ± 0.20 (shuffled)" in text
    assert "peak" not in text
    lines = comparison.comparison_table(compared, MATCHED).splitlines()
    assert lines[2:4] == [
        "| peak | 3 | 9 | 9 |",
        "| explained | 0.30 ± 0.01 | 0.20 ± 0.02 | 0.40 ± 0.00 |",
    ]
    assert len(lines) == 5
