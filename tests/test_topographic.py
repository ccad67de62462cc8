"""The paper's cortex draws what its table says."""

import math
from dataclasses import replace

import numpy as np
import pytest

from ndbmi_gym.cortex.topographic import TopographicCortex, topographic_cortex
from ndbmi_gym.stimuli import evoked_counts, flatten, stimulus_set

TABLE = np.array([[4.0, 0.0, 9.0], [1.0, 6.0, 2.0]])


def cortex(**options):
    return TopographicCortex(TABLE, 9.0, **options)


def test_shape_of_the_paper_s_cortex():
    for number, n_stimuli, n_electrodes, peak in ((1, 4, 4, 5), (6, 32, 9, 40), (7, 128, 25, 80)):
        stimuli = stimulus_set(number)
        paper = topographic_cortex(stimuli)
        assert (paper.n_stimuli, paper.n_electrodes) == (n_stimuli, n_electrodes)
        assert paper.max_count == peak
        assert (paper.n_bins, paper.clock_s, paper.shape) == (600, 1e-3, 1.0)
        np.testing.assert_array_equal(paper.evoked, evoked_counts(stimuli))
        np.testing.assert_array_equal(paper.layout, stimuli.layout())


def test_options_reach_the_cortex():
    stimuli = stimulus_set(5)
    paper = topographic_cortex(stimuli, 0.05, 5e-4, 2.0, 4.0)
    assert (paper.n_bins, paper.clock_s, paper.shape) == (100, 5e-4, 4.0)
    np.testing.assert_allclose(paper.evoked, evoked_counts(stimuli) + 2.0)


def test_expected_counts_add_volition_and_stop_at_zero():
    """Eq 23."""
    volition = np.array([[1.0, 2.0, -3.0], [-5.0, 0.5, 0.0], [-1.0, -6.0, -2.5]])
    expected = [[5.0, 2.0, 6.0], [0.0, 6.5, 2.0], [0.0, 0.0, 0.0]]
    stimulus = np.array([0, 1, 1])
    np.testing.assert_allclose(cortex().mean_counts(stimulus, volition), expected)


@pytest.mark.parametrize("shape", [1.0, 8.0])
def test_responses_have_the_expected_counts(shape):
    n = 8000
    stimulus = np.arange(2 * n) % 2
    volition = np.where(stimulus[:, None] == 0, [3.0, 2.0, -4.0], [0.0, -1.0, 5.0])
    response = cortex(shape=shape).respond(stimulus, volition, np.random.default_rng(0))
    np.testing.assert_array_equal(
        response.counts[:, :3] + response.counts[:, 3:], response.trains.counts()
    )
    evoked = np.array([[4.0, 0.0, 5.0], [1.0, 5.0, 2.0]])
    added = np.array([[3.0, 2.0, 0.0], [0.0, 0.0, 5.0]])
    for s in (0, 1):
        ours = response.counts[stimulus == s]
        counts, extra = ours[:, :3], ours[:, 3:]
        # twelve z, each beyond 4.9 with probability 1e-6
        error = 4.9 * np.sqrt(added[s] / n)
        assert (np.abs(extra.mean(axis=0) - added[s]) <= error).all()
        error = 4.9 * np.sqrt(evoked[s] / n)
        # regular firing lags: (1 − k)/(2k) asymptotically, less for a count below a few
        lag = np.where(evoked[s] > 0, (shape - 1) / (2 * shape), 0)
        below, above = counts.mean(axis=0) - evoked[s] + lag, counts.mean(axis=0) - evoked[s]
        assert (below >= -error - 1e-12).all()
        assert (above <= error + 1e-12).all()
    # regular firing varies less: 5/8 + 1/12 against 5; the bounds are 15 deviations away
    assert (counts[:, 1].var() < 2) == (shape == 8.0)


def test_no_volition_is_zero_volition():
    stimulus = np.array([0, 1, 1, 0])
    without = cortex().respond(stimulus, None, np.random.default_rng(1))
    zero = cortex().respond(stimulus, np.zeros((4, 3)), np.random.default_rng(1))
    np.testing.assert_array_equal(without.trains.rows, zero.trains.rows)
    np.testing.assert_array_equal(without.counts, zero.counts)
    assert without.counts.sum() > 0


def test_silent_row_stays_silent():
    response = replace(cortex(), evoked=np.zeros((2, 3))).respond(
        np.array([0, 1]), None, np.random.default_rng(0)
    )
    assert len(response.trains) == 2
    assert response.trains.rows.size == 0


def test_degradation_is_a_map_on_the_table():
    degraded = replace(cortex(), evoked=flatten(TABLE, 1.0))
    counts = degraded.mean_counts(np.array([0, 1]), np.zeros((2, 3)))
    np.testing.assert_allclose(counts, np.tile(TABLE.mean(axis=0), (2, 1)))
    assert degraded.n_bins == cortex().n_bins


@pytest.mark.parametrize(
    "table",
    [
        np.array([1.0, 2.0]),
        np.ones((2, 2, 2)),
        np.array([[1.0, -0.1]]),
        np.array([[1.0, math.nan]]),
        np.array([[math.inf, 1.0]]),
    ],
)
def test_bad_table_is_refused(table):
    with pytest.raises(ValueError, match=r"evoked counts of shape .*\(S, n\) table of finite"):
        TopographicCortex(table, 1.0)


@pytest.mark.parametrize("shape", [0.0, -1.0, math.nan, math.inf])
def test_bad_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"shape = .*need a shape > 0"):
        cortex(shape=shape)


def test_bad_window_is_refused():
    with pytest.raises(ValueError, match=r"window_s = 0\.0005"):
        cortex(window_s=5e-4)
    with pytest.raises(ValueError, match="clock_s = 0"):
        topographic_cortex(stimulus_set(1), clock_s=0.0)
