import numpy as np
import pytest

from agents.curve import Curve

N, SPAN, LIMIT = 64, 2000, 25


def play(curve, rng, n_steps, steps=0, share=0.5):
    """Trials that arrive after 2 steps, or never: means are `share`. Rows, and the naive means."""
    ends = np.where(rng.random(N) < share, 2, LIMIT)
    age, rows, naive = np.zeros(N, int), [], []
    for _ in range(n_steps):
        steps, age = steps + N, age + 1
        over = age == ends
        naive += (ends[over] == 2).tolist()
        ended = {i: (float(ends[i] == 2), float(ends[i])) for i in np.flatnonzero(over)}
        rows += curve.step(steps, ended)
        age[over] = 0
        ends = np.where(over, np.where(rng.random(N) < share, 2, LIMIT), ends)
    return rows, np.mean(naive[:N])


class TestCurve:
    def test_it_is_unbiased_from_its_first_row(self):
        rng = np.random.default_rng(0)
        firsts, naives = [], []
        for _ in range(40):
            rows, naive = play(Curve(N, 0, SPAN), rng, 120)
            firsts.append(rows[0][1][0])
            naives.append(naive)
        error = np.std(firsts, ddof=1) / len(firsts) ** 0.5
        assert np.mean(firsts) == pytest.approx(0.5, abs=4 * error)
        assert error < 0.02
        assert np.mean(naives) > 0.8  # what had ended by then

    def test_nor_is_it_after_going_on(self):
        rng = np.random.default_rng(1)
        firsts = [play(Curve(N, 7000, SPAN), rng, 120, 7000)[0][0] for _ in range(40)]
        assert {steps for steps, _ in firsts} == {9000}
        assert np.mean([means[0] for _, means in firsts]) == pytest.approx(0.5, abs=0.03)

    def test_every_trial_that_began_in_a_span_counts_once(self):
        curve = Curve(2, 0, 10)
        assert curve.step(2, {0: (1.0,)}) == []
        assert curve.step(12, {0: (3.0,)}) == []  # the other one still runs
        ((steps, means),) = curve.step(14, {1: (8.0,)})
        assert steps == 10
        assert means == pytest.approx([4.0])
        # trials of 12 and 14 began after 10, none before; they span what follows
        assert curve.step(40, {0: (1.0,), 1: (2.0,)})[0] == (20, pytest.approx([1.5]))
        assert curve.step(60, {0: (5.0,), 1: (7.0,)})[0] == (50, pytest.approx([6.0]))
