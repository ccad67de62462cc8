"""Trials are drawn otherwise than before they had streams, from the same laws, and decoded alike.

``distributions.json`` holds histograms of the version before. Its own environments made them, in a
checkout of it (`BEFORE`), by ``PYTHONPATH=. python PATH/TO/HERE/test_distributions.py``.
"""

import json
from pathlib import Path
from zlib import crc32

import gymnasium
import numpy as np
import pytest
from scipy import stats

import ndbmi_gym
from ndbmi_gym.config import Config
from ndbmi_gym.policies import make_policy

FILE = Path(__file__).parent / "distributions.json"
BEFORE = "c9b443e"
IDS = {name.split("-")[0]: f"ndbmi/{name}" for name in ndbmi_gym._IDS if not name.endswith("-v0")}
"""Those that were there before, by what does not change with a version."""
POLICIES = ("zero", "half", "eq24")
RESPONSES = {
    "poisson": {},
    "bursts": {"gamma_shape": 0.5},
    "regular": {"gamma_shape": 3.0, "dataset": 5},
    "suppressed": {"volition": "signed"},
    "circuit": {"cortex": {"kind": "soc", "stimuli": 8}, "volition": "signed"},
}
DECODED = {
    "set 6": {},
    "set 1": {"dataset": 1, "repetitions": 50},
    "set 7": {"dataset": 7, "repetitions": 4},
    "circuit": {"cortex": {"kind": "soc", "stimuli": 8}, "volition": "signed"},
}
DECODERS = ("multiple-points", "single-point", "projection")
AT = 4  # the step at which trials are looked at, while nearly all run
N_BEFORE, N_NOW, CELLS = 20_000, 6_000, 16
FALSE_ALARM = 1e-4
"""Of all tests of this file together, with the seeds fixed."""


def actions(env, policy):
    """Actions on observations: none, half of full volition on some electrodes, or Eq 24's."""
    if policy == "eq24":
        actor = make_policy("eq24", env)
        return lambda seen: actor.predict(seen)[0]
    size = 0.0 if policy == "zero" else 0.5
    action = np.full(env.action_space.shape, size, np.float32)
    action[:, ::3] = 0
    return lambda seen: action


def trials(name, policy, n, seed):
    """Quantities of n trials by name: at the beginning, at a step, and of the whole trial."""
    env = gymnasium.make_vec(IDS[name], num_envs=n)
    act = actions(env, policy)
    seen, info = env.reset(seed=seed)
    found = {"first spikes": info["evoked_counts"].sum(axis=1), "start": info["position"][:, 0]}
    found["target"] = info["target"][:, 1]
    total, length, over = np.zeros(n), np.zeros(n), np.zeros(n, bool)
    for step in range(1, env.unwrapped.max_episode_steps + 1):
        seen, reward, terminated, truncated, info = env.step(act(seen))
        total += reward * ~over
        length += ~over
        over |= terminated | truncated
        if step == AT:
            found |= {
                "stimulus": info["stimulus"],
                "evoked": info["evoked_counts"].sum(axis=1),
                "volitional": info["volitional_counts"].sum(axis=1),
                "one electrode": info["evoked_counts"][:, 1] + info["volitional_counts"][:, 1],
                "virtual x": info["virtual_point"][:, 0],
                "virtual y": info["virtual_point"][:, 1],
                "x": info["position"][:, 0],
                "speed": np.hypot(*info["velocity"].T),
                "reward": reward,
            }
    env.close()
    return found | {"return": total, "length": length}


def responses(kind, n, draw_from):
    """Quantities of n responses by name; of each spike train one, so that all are independent."""
    loop = Config.of(**RESPONSES[kind]).make_loop(0)
    cortex = loop.cortex
    volition = np.full(cortex.n_electrodes, 5.0)
    volition[::2] = -3.0 if "volition" in RESPONSES[kind] else 2.0
    stimulus = np.full(n, cortex.n_stimuli // 2)
    response = cortex.respond(stimulus, np.tile(volition, (n, 1)), draw_from)
    trains = response.trains
    electrode, tick = np.divmod(trains.rows, trains.n_bins)
    trial = np.repeat(np.arange(n), np.diff(trains.offsets))
    found = {"evoked": response.counts[:, : len(volition)].sum(axis=1)}
    found["all"] = np.diff(trains.offsets)
    for unit in (0, 1):
        mine = electrode == unit
        order = np.lexsort((tick[mine], trial[mine]))
        whose, when = trial[mine][order], tick[mine][order]
        first = np.flatnonzero(np.diff(whose, prepend=-1))
        found[f"spikes of {unit}"] = np.bincount(whose, minlength=n)
        found[f"first of {unit}"] = when[first]
        last = np.append(first[1:], len(whose)) - 1
        second = first[last > first]
        found[f"interval of {unit}"] = when[second + 1] - when[second]
    return found


def edges(values):
    """Cells of about equal share."""
    values = np.round(values, 6)  # what differs by rounding falls into one cell
    cuts = np.unique(np.quantile(values, np.linspace(0, 1, CELLS + 1)[1:-1], method="nearest"))
    return [float(cut) for cut in cuts]


def histogram(values, cuts):
    cells = np.searchsorted(cuts, np.round(values, 6), side="right")
    return np.bincount(cells, minlength=len(cuts) + 1)


def decoded(name):
    """Virtual points of responses to all stimuli, and which spikes they had."""
    loop = Config.of(**DECODED[name]).make_loop(0)
    n = loop.cortex.n_stimuli
    rng = np.random.default_rng(5)
    stimulus = np.tile(np.arange(n), 256 // n)
    volition = rng.uniform(-0.3, 0.5, (len(stimulus), loop.cortex.n_electrodes))
    trains = loop.cortex.respond(stimulus, volition * loop.cortex.max_count, rng).trains
    points = {decoder: loop.interface.decode(trains, decoder) for decoder in DECODERS}
    return loop.interface, crc32(trains.rows.tobytes()), points


def index(points, of):
    """Which of the points each is, exactly; the first of equals."""
    same = (points[:, None] == of).all(axis=-1)
    assert same.any(axis=1).all()
    return same.argmax(axis=1).tolist()


CASES = [(name, policy) for name in IDS for policy in POLICIES]
N_TESTS = len(CASES) * 14 + len(RESPONSES) * 8


def merged(table):
    """Cells of two samples, those with less than 100 joined with their neighbours."""
    cells = [np.zeros(2, int)]
    for cell in table.T:
        if cells[-1].sum() >= 100:
            cells.append(np.zeros(2, int))
        cells[-1] += cell
    if len(cells) > 1 and cells[-1].sum() < 100:
        cells[-2] += cells.pop()
    return np.array(cells).T


def check(found, before):
    """The same law in every cell, by chi-squared of both samples."""
    assert found.keys() == before.keys()
    p = {}
    for name, values in found.items():
        known = before[name]
        table = np.array([known["counts"], histogram(values, known["cuts"])])
        table = merged(table)
        p[name] = stats.chi2_contingency(table).pvalue if table.shape[1] > 1 else 1.0
    suspicious = {name: value for name, value in p.items() if value < FALSE_ALARM / N_TESTS}
    assert not suspicious


@pytest.fixture(scope="module")
def before():
    return json.loads(FILE.read_text())


@pytest.mark.parametrize(("name", "policy"), CASES)
def test_trials_follow_the_laws_of_before(name, policy, before):
    found = trials(name, policy, N_NOW, 1)
    assert len(found) <= 14
    check(found, before["trials"][f"{name} {policy}"])


@pytest.mark.parametrize("kind", RESPONSES)
def test_responses_follow_the_laws_of_before(kind, before):
    from ndbmi_gym.streams import Streams

    found = responses(kind, N_NOW, Streams.of(np.random.default_rng(1), N_NOW))
    assert len(found) <= 8
    check(found, before["responses"][kind])


@pytest.mark.parametrize("name", DECODED)
def test_the_same_spikes_are_decoded_to_the_same_points(name, before):
    interface, spikes, points = decoded(name)
    known = before["decoded"][name]
    assert spikes == known["spikes"]
    assert index(points["multiple-points"], interface.points) == known["multiple-points"]
    assert index(points["single-point"], interface.sites) == known["single-point"]
    np.testing.assert_allclose(points["projection"][:20], known["projection"], atol=1e-9)


def test_another_law_is_found(before):
    """Two volitional spikes more of 120, positions 5 % farther out, returns lower by 1 of 22."""
    known = before["trials"]["ShiftTarget half"]
    found = trials("ShiftTarget", "half", N_NOW, 1)
    for name, values in (
        ("volitional", found["volitional"] + 2),
        ("x", found["x"] * 1.05),
        ("return", found["return"] - 1.0),
    ):
        with pytest.raises(AssertionError, match=name):
            check(found | {name: values}, known)


def recorded(found):
    kept = {}
    for name, values in found.items():
        cuts = edges(values)
        kept[name] = {"cuts": cuts, "counts": histogram(values, cuts).tolist()}
    return kept


def record():
    """Histograms of this version."""
    whole = {"commit": BEFORE, "trials": {}, "responses": {}, "decoded": {}}
    for name, policy in CASES:
        whole["trials"][f"{name} {policy}"] = recorded(trials(name, policy, N_BEFORE, 0))
    for kind in RESPONSES:
        rng = np.random.default_rng(0)
        whole["responses"][kind] = recorded(responses(kind, N_BEFORE, rng))
    for name in DECODED:
        interface, spikes, points = decoded(name)
        whole["decoded"][name] = {
            "spikes": spikes,
            "multiple-points": index(points["multiple-points"], interface.points),
            "single-point": index(points["single-point"], interface.sites),
            "projection": points["projection"][:20].tolist(),
        }
    FILE.write_text(json.dumps(whole) + "\n")


if __name__ == "__main__":
    record()
