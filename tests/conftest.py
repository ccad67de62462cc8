"""A cortex without noise, so that whole episodes are functions of starts, targets and actions."""

import os
import signal
from contextlib import contextmanager
from dataclasses import dataclass

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # one core for each process, before numpy is imported

import gymnasium
import hypothesis
import numpy as np
import pytest

from ndbmi_gym import animals
from ndbmi_gym.cortex import CORTICES, Response
from ndbmi_gym.cortex.soc.circuit import random_circuit, stabilise
from ndbmi_gym.cortex.topographic import Topographic, TopographicCortex, topographic_cortex
from ndbmi_gym.spikes import SpikeTrains
from ndbmi_gym.stimuli import stimulus_set

# the first example may have to wait until something is compiled
hypothesis.settings.register_profile("ndbmi_gym", deadline=None)
hypothesis.settings.load_profile("ndbmi_gym")


@dataclass(frozen=True)
class NoiselessCortex(TopographicCortex):
    """Responds to volition with its rounded mean counts, evenly spaced; calibrates as usual."""

    def respond(self, stimulus, volition, rng, activity=None):
        if volition is None and len(stimulus) > 100:
            return super().respond(stimulus, None, rng)
        added = np.zeros((len(stimulus), self.n_electrodes)) if volition is None else volition
        volitional = np.rint(np.maximum(added, 0)).astype(np.int64)
        evoked = np.rint(self.mean_counts(stimulus, np.minimum(added, 0))).astype(np.int64)
        rows, sizes = [], []
        for counts in evoked + volitional:
            for unit, count in enumerate(counts):
                bins = ((np.arange(count) + 0.5) / max(count, 1) * self.n_bins).astype(np.int32)
                rows.append(unit * self.n_bins + bins)
            sizes.append(counts.sum())
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        trains = SpikeTrains(np.concatenate(rows).astype(np.int32), offsets, *self._size)
        return Response(trains, np.hstack((evoked, volitional)), np.empty((len(evoked), 0)))

    @property
    def _size(self):
        return self.n_electrodes, self.n_bins


@dataclass(frozen=True)
class Noiseless(Topographic):
    """The paper's cortex without trial-to-trial noise."""

    def for_animal(self, animal):
        paper = topographic_cortex(stimulus_set(self.dataset), self.window_s, self.clock_s)
        return NoiselessCortex(
            paper.evoked, paper.max_count, paper.layout, self.window_s, self.clock_s
        )

    def calibrated(self):
        return self


@pytest.fixture
def noiseless(monkeypatch):
    """The option ``cortex=`` of a cortex without trial-to-trial noise."""
    monkeypatch.setitem(CORTICES._parts, "noiseless", Noiseless)
    yield "noiseless"
    animals.forget()


@pytest.fixture
def own_id():
    """An id that somebody registered for an environment of the package."""
    spec = gymnasium.spec("ndbmi/HoldTarget-v1")
    gymnasium.register(
        "mine/Hold-v0",
        spec.entry_point,
        max_episode_steps=spec.max_episode_steps,
        kwargs=spec.kwargs,
        vector_entry_point=spec.vector_entry_point,
    )
    yield "mine/Hold-v0"
    gymnasium.registry.pop("mine/Hold-v0")


@pytest.fixture(scope="session")
def stabilised():
    """A finished circuit of 50 neurons, and what was shown on the way."""
    shown = []
    initial = random_circuit(np.random.default_rng(0), 50)
    return stabilise(initial, progress=shown.append, every=100), shown


# A test that waits for ever fails, whatever it waits for.


@contextmanager
def time_limit(item):
    """Raise in a test after its time: ``slow(minutes=...)``, or five minutes if it is not slow."""
    slow = item.get_closest_marker("slow")
    minutes = slow.kwargs.get("minutes", 30) if slow else 5

    def stop(number, frame):
        raise TimeoutError(f"{item.name}: longer than {minutes} minutes")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 60 * minutes)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    with time_limit(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    with time_limit(item):
        return (yield)
