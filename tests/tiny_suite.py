"""A suite that takes seconds, for tests of the benchmark."""

import json

from quick_runs import QUICK, QUICK_SAC

SEEING = {"observe": "state", "repetitions": 3}  # a ceiling is made sooner
TINY = {
    "about": "for tests",
    "seeds": [0, 1],
    "trials": 20,
    "segments": 3,
    "curve_trials": 10,
    "tasks": {
        "shift": {"env": "ndbmi/ShiftTarget-v1", "option": SEEING},
        "hold": {"env": "ndbmi/HoldTarget-v1", "option": SEEING, "trials": 10},
    },
    "agents": {
        "eq24": "eq24",
        "ppo": {"algo": "ppo", "steps": 768, "hyper": QUICK},
        "sac": {"algo": "sac", "steps": {"shift": 180}, "hyper": QUICK_SAC},
    },
}


def tiny(folder, name="tiny", **changes):
    """The path of such a suite, with changes."""
    path = folder / f"{name}.json"
    path.write_text(json.dumps(TINY | changes))
    return str(path)


def results(folder):
    """All results beneath a folder by file, but for what wall time says."""
    found = {}
    for path in sorted(folder.rglob("*.json")):
        assert not path.name.startswith("."), "what a killed process left is not cleared away"
        kept = json.loads(path.read_text())
        kept.pop("seconds")
        if "trained" in kept:
            assert kept["trained"].pop("cpu_seconds") > 0
            kept["trained"].pop("seconds")
        found[str(path.relative_to(folder))] = kept
    return found
