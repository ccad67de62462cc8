"""Several circuits: what is measured of each, and intervals over them."""

import numpy as np
import pytest
from scipy import stats

from ndbmi_gym.cortex.soc.circuit import ABSCISSA, Circuit, random_circuit, stabilise
from ndbmi_gym.experiments.bench.tables import from_rows, where
from ndbmi_gym.experiments.circuit import abscissa, builds, quench, reaching
from ndbmi_gym.experiments.circuit.specimen import MATCHED, NETWORKS, STABILISED, Specimen

SOC = [3.0, 4.0, 5.0, 4.5, 3.5]
WEAK = [1.0, 1.2, 0.9, 1.1, 1.3]
ALIKE = [3.5, 3.5, 5.5, 4.0, 3.6]


@pytest.fixture
def measured():
    """Five circuits, one measure."""
    networks = {STABILISED: SOC, "scaled 0.15": WEAK, "scaled 0.99": ALIKE}
    return from_rows(
        [
            {"circuit": k, "network": name, "measure": "E₁", "value": value}
            for name, values in networks.items()
            for k, value in enumerate(values)
        ]
    )


def test_intervals_are_students_over_circuits(measured):
    compared = builds.compare_builds(measured)
    row = where(compared, network="scaled 0.15")
    paired = stats.ttest_rel(SOC, WEAK).confidence_interval(0.95)
    assert row["difference"][0] == pytest.approx(np.mean(SOC) - np.mean(WEAK))
    assert (row["difference_low"][0], row["difference_high"][0]) == pytest.approx(tuple(paired))
    alone = stats.ttest_1samp(WEAK, 0).confidence_interval(0.95)
    assert (row["low"][0], row["high"][0]) == pytest.approx(tuple(alone))
    assert np.isnan(where(compared, network=STABILISED)["difference"]).all()


def test_what_cannot_be_told_apart_is_not_said_to_be_alike(measured):
    table = builds.builds_told(builds.compare_builds(measured)).splitlines()
    assert table[0] == "| measure | SOC | scaled 0.15 | scaled 0.99 |"
    assert table[2] == "| E₁ | 4.00 ± 0.98 | 1.10 ± 0.20 | 4.02 ± 1.06 *not told apart* |"
    assert "over 5 circuits" in table[-1]


def test_every_network_is_measured(tmp_path, monkeypatch):
    circuit = stabilise(random_circuit(np.random.default_rng(0), 50))
    path = str(circuit.save(tmp_path / "small.npz"))
    monkeypatch.setattr(reaching, "REPEATS", 2)
    monkeypatch.setattr(reaching, "READ_TRIALS", 6)
    monkeypatch.setattr(quench, "TRIALS", 3)
    table = builds.measure_build(Specimen(path, 0, (MATCHED,)))
    assert set(table["network"]) == {STABILISED, *NETWORKS}
    energy = where(table, network=STABILISED, measure="E₁")["value"]
    assert energy == pytest.approx(circuit.modes[0][0])
    assert not any(name.endswith("±") for name in table["measure"])
    varied = where(table, measure=builds._QUENCH)
    unknown = varied["network"][np.isnan(varied["value"])]
    assert set(unknown) == set(NETWORKS) - set(quench.QUENCHED)


def test_measurements_are_kept_and_go_on(tmp_path, monkeypatch):
    seen = []

    def measure(specimen):
        seen.append(specimen.circuit.seed)
        return from_rows([{"network": STABILISED, "measure": "E₁", "value": 1.0}])

    monkeypatch.setattr(builds, "measure_build", measure)
    monkeypatch.setattr(abscissa, "_NEURONS", 50)
    first = builds.measure_builds(tmp_path, 2, 0, {"version": 1})
    assert first["circuit"].tolist() == seen == [0, 1]
    assert Circuit.load(tmp_path / "50-1.npz").abscissa <= ABSCISSA
    assert builds.measure_builds(tmp_path, 2, 0, {"version": 1})["circuit"].tolist() == [0, 1]
    assert seen == [0, 1]
    builds.measure_builds(tmp_path, 2, 0, {"version": 2})  # by another program: measured anew
    assert seen == [0, 1, 0, 1]


def test_pictures_show_every_circuit(measured):
    table = {name: np.concatenate([column] * 6) for name, column in measured.items()}
    table["measure"] = np.repeat(builds.DRAWN, len(measured["value"]))
    canvas = builds.draw_builds(
        {"builds": table, "circuits_compared": builds.compare_builds(table)}
    )
    for axes, measure in zip(canvas.axes, builds.DRAWN, strict=True):
        assert axes.get_title().startswith(measure)
        assert axes.lines[0].get_xdata().tolist() == SOC
