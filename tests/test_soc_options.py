"""What a circuit's options mean: codes of the stimuli, prepared states, controls, refusals."""

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from ndbmi_gym.animals import Calibration, interface_of
from ndbmi_gym.config import Config
from ndbmi_gym.cortex.soc.circuit import (
    control,
    energy_matrix,
    load_circuit,
    random_circuit,
    stabilise,
)
from ndbmi_gym.cortex.soc.cortex import (
    METRIC_TAU_S,
    SOC,
    WINDOW_S,
    matched,
    planar_code,
    soc_cortex,
)


def small_circuit():
    return stabilise(random_circuit(np.random.default_rng(0), 20))


# Codes and prepared states


@pytest.mark.parametrize("stimuli", [2, 3, 8, 12])
def test_a_ring_lies_on_the_unit_circle(stimuli):
    code = planar_code("ring", stimuli)
    np.testing.assert_allclose(np.linalg.norm(code, axis=1), 1)
    turn = np.unwrap(np.arctan2(code[:, 1], code[:, 0]))
    np.testing.assert_allclose(turn, 2 * np.pi * np.arange(stimuli) / stimuli, atol=1e-12)


def test_a_grid_fills_its_rows():
    place = np.sqrt(0.5)
    np.testing.assert_allclose(
        planar_code("grid", 8) / place,
        [[-1, -1], [0, -1], [1, -1], [-1, 0], [0, 0], [1, 0], [-1, 1], [0, 1]],
        atol=1e-12,
    )
    np.testing.assert_allclose(planar_code("grid", 2) / place, [[-1, -1], [1, -1]])


@pytest.mark.parametrize("stimuli", [3, 4, 5, 9, 13, 25, 32])
def test_a_grid_has_distinct_places_within_its_square(stimuli):
    code = planar_code("grid", stimuli)
    assert code.shape == (stimuli, 2)
    assert len(np.unique(code.round(9), axis=0)) == stimuli
    np.testing.assert_allclose(code.min(axis=0), -np.sqrt(0.5))
    np.testing.assert_allclose(code.max(axis=0), np.sqrt(0.5))
    assert len(np.unique(code[:, 0].round(9))) == np.ceil(np.sqrt(stimuli))


@pytest.mark.parametrize(
    ("options", "code", "size", "units"),
    [
        ({}, planar_code("ring", 8), 100, 1),
        ({"stimuli": 12}, planar_code("ring", 12), 100, 1),
        ({"stimuli": 13}, planar_code("grid", 13), 150, 4),
        ({"stimuli": 32, "code": "ring"}, planar_code("ring", 32), 100, 1),
        ({"stimuli": 9, "code": "grid"}, planar_code("grid", 9), 150, 4),
        ({"amplitude_hz": 37, "units": 3}, planar_code("ring", 8), 37, 3),
        ({"stimuli": 32, "amplitude_hz": 5.5, "units": 1}, planar_code("grid", 32), 5.5, 1),
    ],
)
def test_stimuli_prepare_the_two_most_amplified_states(options, code, size, units):
    cortex = soc_cortex(SOC(**options))
    np.testing.assert_array_equal(cortex.layout, code)
    energies, basis = load_circuit().modes
    axes = basis[:, :2] * np.sqrt(energies[0] / energies[:2])
    np.testing.assert_allclose(cortex.prepared, size * code @ axes.T, atol=1e-10)
    # either axis evokes as much: the energy is that of the code alone
    evoked = np.einsum(
        "si,ij,sj->s", *(cortex.prepared, energy_matrix(load_circuit().weights)), cortex.prepared
    )
    np.testing.assert_allclose(evoked, size**2 * energies[0] * (code**2).sum(axis=1), atol=1e-6)
    assert cortex.units == units
    assert (cortex.n_electrodes, cortex.n_stimuli) == (25, len(code))


def test_options_reach_the_cortex():
    options = SOC(electrodes=7, core="nonlinear", carry=True, units=2, window_s=0.2, clock_s=2e-3)
    cortex = soc_cortex(options)
    assert (cortex.n_electrodes, cortex.core, cortex.carry) == (7, "nonlinear", True)
    assert (cortex.window_s, cortex.n_bins, cortex.clock_s) == (0.2, 100, 2e-3)
    assert cortex.max_count == pytest.approx(100 * 0.2)
    assert cortex.n_states == 200
    assert soc_cortex(options) is cortex
    assert (WINDOW_S, METRIC_TAU_S) == (0.3, 0.05)


def test_a_file_s_circuit_is_taken(tmp_path):
    path = str(small_circuit().save(tmp_path / "20.npz"))
    cortex = soc_cortex(SOC(circuit=path, electrodes=10))
    np.testing.assert_array_equal(cortex.circuit.weights, small_circuit().weights)
    with pytest.raises(ValueError, match=r"electrodes = 25: this circuit has 10 excitatory"):
        soc_cortex(SOC(circuit=path))
    with pytest.raises(FileNotFoundError):
        soc_cortex(SOC(circuit=str(tmp_path / "none.npz")))


def test_an_unfinished_circuit_is_refused(tmp_path):
    path = random_circuit(np.random.default_rng(0), 20).save(tmp_path / "20.npz")
    with pytest.raises(ValueError, match=r"unfinished circuit of spectral abscissa .* build"):
        soc_cortex(SOC(circuit=str(path), electrodes=10))


@pytest.mark.parametrize("kind", ["scaled", "shuffled", "symmetric"])
def test_controls_can_be_made_to_signal_as_much(kind):
    made = control(load_circuit(), kind)
    stabilised = soc_cortex(SOC())
    plain, matched = (soc_cortex(SOC(control=kind, match_signal=m)) for m in (False, True))
    for cortex in (plain, matched):
        np.testing.assert_array_equal(cortex.circuit.weights, made.weights)
    expected = stabilised.profile(np.arange(8), None)
    by_hand = ((expected - expected.mean(axis=0)) ** 2).mean(axis=0).sum()
    assert stabilised.signal() == pytest.approx(by_hand)
    assert matched.signal() == pytest.approx(by_hand, rel=1e-4)
    assert plain.signal() < by_hand / 4
    size = matched.prepared[0, 0] / plain.prepared[0, 0]
    np.testing.assert_allclose(matched.prepared, size * plain.prepared)
    assert plain.signal(size) == pytest.approx(matched.signal())


@pytest.mark.parametrize("abscissa", [0.5, 0.99])
def test_controls_of_any_abscissa(abscissa):
    made = control(load_circuit(), "shuffled", abscissa)
    options = SOC(control="shuffled", abscissa=abscissa, match_signal=True)
    cortex = soc_cortex(options)
    assert cortex.circuit.abscissa == pytest.approx(abscissa, abs=1e-9)
    np.testing.assert_array_equal(cortex.circuit.weights, made.weights)
    assert cortex.signal() == pytest.approx(soc_cortex(SOC()).signal(), rel=1e-4)
    usual = soc_cortex(replace(options, abscissa=None))
    np.testing.assert_allclose(usual.circuit.weights, made.weights * (0.15 / abscissa))


def test_the_abscissa_of_a_control_is_its_circuits_unless_given():
    usual, named = (soc_cortex(SOC(control="scaled", abscissa=a)) for a in (None, 0.15))
    assert usual.circuit.abscissa == pytest.approx(0.15, abs=1e-12)
    np.testing.assert_array_equal(named.circuit.weights, usual.circuit.weights)


def test_controls_of_two_abscissae_share_no_calibration():
    calibration = Calibration(repetitions=2)
    models = [SOC(control="scaled", abscissa=a) for a in (0.2, 0.9, 0.2)]
    first, other, again = (interface_of(model, calibration, 0) for model in models)
    assert first is again is not other
    assert not np.allclose(first.sites, other.sites)


@pytest.mark.parametrize("option", [{"match_signal": True}, {"abscissa": 0.5}])
def test_the_circuit_itself_has_no_options_of_a_control(option):
    ((name, value),) = option.items()
    with pytest.raises(
        ValueError, match=rf"{name} = {value} has no meaning without a control: .* drop it"
    ):
        SOC(**option)


def test_a_mute_control_has_no_match():
    plain = soc_cortex(SOC())
    with pytest.raises(ValueError, match=r"out of reach.*lower amplitude_hz"):
        matched(replace(plain, prepared=np.zeros_like(plain.prepared)), plain)


# Bad options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stimuli": 1}, "stimuli = 1: give a whole number >= 2"),
        ({"stimuli": 8.0}, "stimuli = 8.0"),
        ({"stimuli": True}, "stimuli = True"),
        ({"stimuli": None}, "stimuli = None"),
        ({"units": 0}, "units = 0: give a whole number >= 1"),
        ({"units": 1.5}, "units = 1.5"),
        ({"electrodes": 0}, "electrodes = 0: give a whole number >= 1"),
        ({"electrodes": "25"}, "electrodes = '25'"),
        ({"electrodes": 101}, "electrodes = 101: this circuit has 100 excitatory neurons"),
        (
            {"amplitude_hz": 0.0},
            r"amplitude_hz = 0.0: give a finite number > 0 and <= .* Hz",
        ),
        ({"amplitude_hz": -5}, "amplitude_hz = -5"),
        ({"amplitude_hz": float("inf")}, "amplitude_hz = inf"),
        ({"amplitude_hz": "big"}, "amplitude_hz = 'big'"),
        ({"code": "circle"}, "code = 'circle': choose one of ring, grid, or None"),
        ({"core": "quadratic"}, "core = 'quadratic': choose one of linear, nonlinear"),
        ({"core": None}, "core = None"),
        ({"control": "random"}, "control = 'random': choose one of none, scaled, shuffled"),
        ({"control": "scaled", "abscissa": 1}, "abscissa = 1: .* number > 0 and < 1, or None"),
        ({"control": "scaled", "abscissa": 0.0}, "abscissa = 0.0: give a finite number > 0"),
        ({"control": "scaled", "abscissa": float("nan")}, "abscissa = nan: give"),
        ({"control": "scaled", "abscissa": "high"}, "abscissa = 'high': give"),
        ({"carry": "yes"}, "carry = 'yes': give True or False"),
        ({"match_signal": None}, "match_signal = None: give True or False"),
        ({"circuit": 7}, "circuit = 7: give the path of a file, or None"),
    ],
)
def test_bad_options_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        soc_cortex(SOC(**options))
    with pytest.raises(ValueError, match=message):
        Config.of(cortex={"kind": "soc", **options}).make_cortex()


def test_options_of_other_parts_are_none_of_the_circuit():
    with pytest.raises(
        ValueError, match="the cortex 'soc' has no option 'neurons': its options are stimuli, code"
    ):
        Config.of(cortex={"kind": "soc", "neurons": 200})


def test_options_may_be_numpy_numbers():
    options = {"stimuli": np.int64(3), "amplitude_hz": np.float32(50), "electrodes": np.int32(5)}
    cortex = Config.of(cortex=MappingProxyType({"kind": "soc", **options})).make_loop(0).cortex
    assert (cortex.n_stimuli, cortex.n_electrodes) == (3, 5)
