"""Values for what the text of 2014 leaves open: its numbers were images and are lost.

A preset is one complete set of them. ``"default"`` is a round-numbered choice that makes the loop
converge; ``"paper"`` is recovered: it satisfies most of the published findings at once
(`ndbmi_gym.experiments.recovery`).
"""

import json
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ndbmi_gym.calibration import SCALINGS

HALF_SIDE_CM = 10.0
"""Half side L of the workspace: the unit of length, which no finding depends on."""

IDEALS = ("held", "continuous", "held, ends", "continuous, ends")
"""Readings of the ideal trajectory (Eq 22): it feels the field once per step, or at every moment;
and it goes on to the equilibrium, or ends, as the runs do, where it enters the target region."""

ERRORS = ("same step", "nearest")
"""Readings of the error (Eq 22): a run's distance from the point of the ideal path at the same
step, or from the point that is nearest of the whole ideal path."""

SPONTANEOUS = ("always", "test", "array")
"""Readings of Fig 9's spontaneous counts: on every electrode (Eq 17), in calibration and test or in
test only; or counted over the whole array."""

SET_5 = ("stated", "doubled")
"""Readings of Table 1's set 5: peak intensities of 5 and 10 spikes, as it states, or of 10 and 20,
which its f factors fit."""


@dataclass(frozen=True)
class Preset:
    """The parameters that the text does not state.

    Attributes
    ----------
    tau_s, theta : float
        Spike-train metric: time constant, s, and angle between electrodes, rad.
    repetitions : int
        Calibration responses K per stimulus.
    window_s : float
        Recording window T, s.
    scaling : str
        Reading of Eq 5, one of `ndbmi_gym.calibration.SCALINGS`.
    amplitude, sigma : float
        Gaussian field (Eq 14): peak force, kg·cm/s², and its distance from the centre, cm.
    obstacle_cm, obstacle_angle : float
        Where the dipole field's obstacle lies: distance from the centre, and direction, rad.
    obstacle_ratio, pole_ratio : float
        Peak repulsion and attraction of the divergent field (Eq 16), in units of `amplitude`.
    obstacle_sigma : float
        Width of both its parts, cm.
    mass, viscosity, step_s : float
        Plant (Eq 13): m in kg, b in kg/s, Δt in s.
    radius_cm : float
        Radius of the target region.
    curl : float
        Strength of the curl field of Fig 12B (Eq 25), kg/s.
    misplaced_electrode, lost_site : int
        Which electrode of the 3 x 3 grid Fig 10 breaks (row by row from (−1, −1); 4 is the centre,
        7 the side towards +x), and which stimulation site.
    ideal : str
        Reading of Eq 22's ideal run, one of `IDEALS`.
    error : str
        Reading of Eq 22's distance from it, one of `ERRORS`.
    spontaneous : str
        Reading of Fig 9's spontaneous counts, one of `SPONTANEOUS`.
    set_5 : str
        Reading of Table 1's set 5, one of `SET_5`.
    """

    tau_s: float = 0.1
    theta: float = np.pi / 2
    repetitions: int = 20
    window_s: float = 0.6
    scaling: str = "axis"
    amplitude: float = 3.0
    sigma: float = 7.0
    obstacle_cm: float = 4.0
    obstacle_angle: float = 0.0
    obstacle_ratio: float = 1.0
    pole_ratio: float = 0.5
    obstacle_sigma: float = 2.0
    mass: float = 0.5
    viscosity: float = 1.0
    step_s: float = 0.5
    radius_cm: float = 1.5
    curl: float = 0.6
    misplaced_electrode: int = 0
    lost_site: int = 0
    ideal: str = "held"
    error: str = "same step"
    spontaneous: str = "always"
    set_5: str = "stated"

    def __post_init__(self) -> None:
        for name, choices in (
            ("scaling", SCALINGS),
            ("ideal", IDEALS),
            ("error", ERRORS),
            ("spontaneous", SPONTANEOUS),
            ("set_5", SET_5),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"unknown {name} {getattr(self, name)!r}: choose one of {'; '.join(choices)}"
                )
        for name in _POSITIVE:
            value = getattr(self, name)
            if not (_is_number(value) and value > 0):
                raise ValueError(f"{name} = {value!r}: give a number > 0")
        for name in ("theta", "pole_ratio", "obstacle_angle"):
            value = getattr(self, name)
            if not _is_number(value):
                raise ValueError(f"{name} = {value!r}: give a number")
        if type(self.repetitions) is not int:
            raise ValueError(f"repetitions = {self.repetitions!r}: give a whole number")
        ring = (0, 1, 2, 3, 5, 6, 7, 8)
        if self.misplaced_electrode not in (*ring, 4) or self.lost_site not in ring:
            raise ValueError(
                f"misplaced_electrode = {self.misplaced_electrode!r}, lost_site = "
                f"{self.lost_site!r}: give electrodes 0 to 8 of the 3 x 3 grid; 4, its centre, is "
                "not stimulated"
            )

    def options(self) -> dict[str, Any]:
        """The part that environments take, as options of `ndbmi_gym.config.Config`."""
        names = (
            "tau_s",
            "theta",
            "repetitions",
            "window_s",
            "scaling",
            "mass",
            "viscosity",
            "step_s",
        )
        return {name: getattr(self, name) for name in names}

    def stimuli(self, dataset: int) -> dict[str, Any]:
        """A stimulus set of Table 1 in this reading, as options of `ndbmi_gym.config.Config`."""
        doubled = dataset == 5 and self.set_5 == "doubled"
        return {"dataset": dataset, "gain": 2.0} if doubled else {"dataset": dataset}

    def field(self, name: str) -> dict[str, Any]:
        """One of the text's two desired fields, in the form of `ndbmi_gym.fields.make_field`."""
        gaussian = {"kind": name, "amplitude": self.amplitude, "sigma": self.sigma}
        if name == "gaussian":
            return gaussian
        direction = np.array([np.cos(self.obstacle_angle), np.sin(self.obstacle_angle)])
        return gaussian | {
            "obstacle": tuple((self.obstacle_cm * direction).tolist()),
            "obstacle_amplitude": self.obstacle_ratio * self.amplitude,
            "obstacle_sigma": self.obstacle_sigma,
            "pole_amplitude": self.pole_ratio * self.amplitude,
        }


def _is_number(value: Any) -> bool:
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return real and bool(np.isfinite(value))


_POSITIVE = (
    "tau_s",
    "repetitions",
    "window_s",
    "amplitude",
    "sigma",
    "obstacle_cm",
    "obstacle_ratio",
    "obstacle_sigma",
    "mass",
    "viscosity",
    "step_s",
    "radius_cm",
    "curl",
)

PRESETS: dict[str, Preset] = {
    "default": Preset(),
    "paper": Preset(
        tau_s=0.98,
        repetitions=30,
        amplitude=2.5,
        sigma=6.3,
        obstacle_cm=4.9,
        obstacle_ratio=0.75,
        pole_ratio=1.04,
        obstacle_sigma=2.64,
        mass=1.4,
        step_s=0.254,
        radius_cm=3.8,
        misplaced_electrode=7,
        lost_site=1,
        ideal="held, ends",
    ),
}
"""Presets by name."""


def load_preset(name: str | PathLike[str] | Preset) -> Preset:
    """A preset by name, or from a JSON file with some of its fields under ``"parameters"``.

    Raises
    ------
    ValueError
        If there is neither, or the file names an unknown parameter.
    """
    if isinstance(name, Preset):
        return name
    known = f"choose one of {', '.join(PRESETS)}, or give a JSON file"
    if not isinstance(name, str | PathLike):
        raise ValueError(f"preset {name!r}: {known}")
    if name in PRESETS:
        return PRESETS[str(name)]
    try:
        parameters = json.loads(Path(name).read_text(encoding="utf-8"))["parameters"]
        return Preset(**parameters)
    except (FileNotFoundError, IsADirectoryError):
        raise ValueError(f"preset {name!r}: {known}") from None
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{name}: {error}: give a JSON file with 'parameters', some of "
            f"{', '.join(asdict(Preset()))}"
        ) from error
