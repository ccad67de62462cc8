"""Training runs that take seconds, for tests of what comes after training."""

from pathlib import Path

import gymnasium

from agents import recorder, runs, train
from ndbmi_gym.files import write_json

QUICK = {"n_envs": 16, "frame_stack": 2, "n_steps": 16, "batch_size": 64, "n_epochs": 1}
QUICK_SAC = {
    "n_envs": 4,
    "frame_stack": 2,
    "learning_starts": 100,
    "gradient_steps": 1,
    "buffer_size": 1000,
    "batch_size": 32,
}


def native(n, env_id="ndbmi/FixedField-v1", mode="SameStep", **options):
    return gymnasium.make_vec(env_id, num_envs=n, autoreset_mode=mode, **options)


def quick(tmp_path, **changes):
    """Settings of a run that takes seconds."""
    given = {"steps": 512, "hyper": QUICK, "out": str(tmp_path / "run"), "label": "quick"}
    return train.Settings(**(given | changes))


def interrupt_after(monkeypatch, steps):
    """Press Ctrl-C once a run has come so far."""
    original = recorder.Recorder._on_step

    def on_step(self):
        if self.num_timesteps >= steps:
            raise KeyboardInterrupt
        return original(self)

    monkeypatch.setattr(recorder.Recorder, "_on_step", on_step)


def like(folder, original, hyper=(), **changes):
    """A run as another one, but for some settings and hyper-parameters."""
    config = runs.read_config(Path(original))
    config["settings"] |= changes
    config["hyperparams"] |= dict(hyper)
    folder.mkdir()
    (folder / runs.MODEL).write_bytes((Path(original) / runs.MODEL).read_bytes())
    write_json(folder / runs.CONFIG, config)
    return str(folder)
