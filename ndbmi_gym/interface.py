"""The calibrated interface: position to stimulus (Eq 1), response to virtual point (Eqs 7-12).

`ndbmi_gym.calibration` builds it; nothing changes it afterwards.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ndbmi_gym.bank import ResponseBank
from ndbmi_gym.compiled import compiled, inlined
from ndbmi_gym.files import Kind, Layout, as_path, read_arrays, reading, write_arrays
from ndbmi_gym.metric import Metric
from ndbmi_gym.spikes import SpikeTrains

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

DECODERS = ("multiple-points", "single-point", "projection")
"""Ways of turning a response into a virtual point; see `Interface.decode`."""

_KIND = Kind("ndbmi_gym.Interface", 2)


@dataclass(frozen=True)
class Interface:
    """A frozen map between positions, stimuli, responses and virtual points.

    Attributes
    ----------
    metric : Metric
        Spike-train metric of the calibration.
    trains : SpikeTrains
        The M = S·K calibration responses, those of stimulus s at ``s*K:(s+1)*K``.
    points : ndarray (M, 2)
        MDS points of the calibration responses in the workspace, cm (Eqs 4 and 5). By default their
        mean is 0 and they extend over 2L along either axis, so that some may lie a little beyond
        ±L.
    sites : ndarray (S, 2)
        Calibration sites, cm (Eq 6).
    half_side_cm : float
        Half side L of the workspace.
    f_factors : ndarray (2,)
        Scale of either axis (Eq 5), cm per unit of distance.
    readout : ndarray (n * n_bins, 2)
        Displacement of the projected point per spike, cm.
    readout_offset : ndarray (2,)
        Projection of a silent response, cm.
    exponent : float
        Power z of the single-point decoder's mean (Eq 8).
    """

    metric: Metric
    trains: SpikeTrains
    points: FloatArray
    sites: FloatArray
    half_side_cm: float
    f_factors: FloatArray
    readout: FloatArray
    readout_offset: FloatArray
    exponent: float = -2.0

    def __post_init__(self) -> None:
        # environments share an interface: its arrays are as frozen as its names
        for array in (self.trains.rows, self.trains.offsets, *(getattr(self, n) for n in _ARRAYS)):
            array.setflags(write=False)

    @property
    def n_stimuli(self) -> int:
        """Number of stimuli S."""
        return len(self.sites)

    @property
    def n_repetitions(self) -> int:
        """Calibration responses per stimulus K."""
        return len(self.trains) // self.n_stimuli

    @cached_property
    def bank(self) -> ResponseBank:
        """The calibration responses, prepared for distance queries on first use."""
        return ResponseBank(self.metric, self.trains)

    def sense(self, position: FloatArray) -> IntArray:
        """Stimulus of the region that contains each position (Eq 1), (B, 2) to (B,)."""
        places = np.array(position, dtype=float, order="C")  # frozen points and columns are others
        stimulus, animal = np.empty((2, len(places)), np.int64)
        animal[:] = 0
        sense(self._sites, animal, places, stimulus, 0, len(places))
        return stimulus

    @cached_property
    def _sites(self) -> FloatArray:
        return np.array([self.sites])

    def decode(self, trains: SpikeTrains, decoder: str = "multiple-points") -> FloatArray:
        """Virtual point of each response, (B, 2) in cm.

        Parameters
        ----------
        trains : SpikeTrains
            B responses of the calibrated electrodes and window.
        decoder : {"multiple-points", "single-point", "projection"}
            The MDS point of the nearest calibration response (Eqs 11 and 12); the calibration site
            of the stimulus with the smallest power-mean distance (Eqs 8-10); or the response's own
            place in the MDS plane.

        Raises
        ------
        ValueError
            If the decoder is unknown or the responses are of other electrodes or another window.
        """
        if decoder == "multiple-points":
            return self.points[self.bank.nearest(trains)]
        if decoder == "single-point":
            return self.sites[self.bank.nearest_group(trains, self.n_repetitions, self.exponent)]
        if decoder == "projection":
            return self.project(trains)
        raise ValueError(f"unknown decoder {decoder!r}: choose one of {', '.join(DECODERS)}")

    def project(self, trains: SpikeTrains) -> FloatArray:
        """Place of each response in the MDS plane, (B, 2) in cm.

        Gower's out-of-sample formula: with classical MDS the norm of the new response cancels, so
        its place is an affine function of its inner products with the calibration responses, hence
        of its spikes. Calibration responses are returned to their own points.

        References
        ----------
        Gower JC (1968). Adding a point to vector diagrams in multivariate analysis. Biometrika 55.
        """
        self.bank.check(trains)
        place = np.empty((len(trains), 2))
        animal, readout = np.zeros(len(trains), np.int64), self.readout[None]
        offset, rows, offsets = self.readout_offset[None], trains.rows, trains.offsets
        project(readout, offset, animal, rows, offsets, place, 0, len(trains))
        return place

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the interface to a ``.npz`` file, atomically and without pickle.

        Returns
        -------
        Path
            The file written: `path` as it is, whatever its suffix.
        """
        path = as_path(path)
        header = {
            "tau_s": self.metric.tau_s,
            "theta": self.metric.theta,
            "clock_s": self.metric.clock_s,
            "n_electrodes": self.trains.n_electrodes,
            "n_bins": self.trains.n_bins,
            "half_side_cm": self.half_side_cm,
            "exponent": self.exponent,
        }
        arrays = {name: np.asarray(getattr(self, name)) for name in _ARRAYS}
        arrays |= {"rows": self.trains.rows, "offsets": self.trains.offsets}
        write_arrays(path, header, arrays, _KIND)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Interface":
        """Read an interface that `save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If `path` is no path, or the file is damaged, of another program, or of a version this
            one cannot read.
        """
        with reading(path, _KIND, "calibrate again, and save it with Interface.save"):
            header, arrays = read_arrays(path, _KIND, ("rows", "offsets", *_ARRAYS), _check_layouts)
            interface = cls(
                metric=Metric(header["tau_s"], header["theta"], header["clock_s"]),
                trains=SpikeTrains(
                    arrays["rows"],
                    arrays["offsets"],
                    int(header["n_electrodes"]),
                    int(header["n_bins"]),
                ),
                half_side_cm=float(header["half_side_cm"]),
                exponent=float(header["exponent"]),
                **{name: arrays[name] for name in _ARRAYS},
            )
            interface._check()
        return interface

    def _check(self) -> None:
        """Raise ValueError unless the values make sense (a file may have been tampered with).

        Their shapes are those of `_check_layouts`.
        """
        t = self.trains
        for name in _ARRAYS:
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name} holds values that are not finite")
        if not (0 < self.half_side_cm < np.inf and np.isfinite(self.exponent) and self.exponent):
            raise ValueError(
                f"half side {self.half_side_cm} or exponent {self.exponent} is out of range"
            )
        if t.offsets[0] != 0 or t.offsets[-1] != t.rows.size or (np.diff(t.offsets) < 0).any():
            raise ValueError("spike offsets do not partition the spikes")
        if t.rows.size and not (t.rows.min() >= 0 and t.rows.max() < len(self.readout)):
            raise ValueError("a spike lies outside the recording window")


_ARRAYS = ("points", "sites", "f_factors", "readout", "readout_offset")


def _check_layouts(header: Mapping[str, Any], layouts: Mapping[str, Layout]) -> None:
    """Raise ValueError unless the arrays of a file have the shapes that its header implies."""
    n_electrodes, n_bins = int(header["n_electrodes"]), int(header["n_bins"])
    if n_electrodes < 1 or n_bins < 1:
        raise ValueError(f"it has {n_electrodes} electrodes and {n_bins} ticks")
    n_spikes, n_responses, n_stimuli = (
        (layouts[name].shape or (0,))[0] for name in ("rows", "points", "sites")
    )
    if n_stimuli == 0 or n_responses == 0 or n_responses % n_stimuli:
        raise ValueError(f"{n_responses} responses do not divide among {n_stimuli} stimuli")
    expected = {
        "rows": ((n_spikes,), np.int32),
        "offsets": ((n_responses + 1,), np.int64),
        "points": ((n_responses, 2), np.float64),
        "sites": ((n_stimuli, 2), np.float64),
        "f_factors": ((2,), np.float64),
        "readout": ((n_electrodes * n_bins, 2), np.float64),
        "readout_offset": ((2,), np.float64),
    }
    for name, (shape, dtype) in expected.items():
        found = layouts[name]
        if found.shape != shape or found.dtype != dtype:
            raise ValueError(
                f"{name} is {found.dtype} of shape {found.shape}, not {np.dtype(dtype)} of {shape}"
            )


@inlined
def sense(sites, animal, position, stimulus, first, last):  # type: ignore[no-untyped-def]
    """Write the stimuli of the regions that contain positions (Eq 1), the first of the nearest.

    Parameters
    ----------
    sites : ndarray (A, S, 2)
        Calibration sites of A animals, cm.
    animal : ndarray of int (B,)
    position : ndarray (B, 2 or more)
        Its first columns, cm.
    stimulus : ndarray of int (B,)
    first, last : int
        Trials from `first` to before `last`.
    """
    for b in range(first, last):
        a, x, y = animal[b], position[b, 0], position[b, 1]
        nearest, best = 0, np.inf
        for s in range(sites.shape[1]):
            dx, dy = x - sites[a, s, 0], y - sites[a, s, 1]
            squared = dx * dx + dy * dy
            if squared < best:
                nearest, best = s, squared
        stimulus[b] = nearest


@compiled
def project(readout, offset, animal, rows, offsets, point, first, last):  # type: ignore[no-untyped-def]
    """Write the places of responses in the MDS plane.

    Parameters
    ----------
    readout : ndarray (A, n * n_bins, 2)
        Displacement of the point per spike, of A animals, cm.
    offset : ndarray (A, 2)
        Place of a silent response, cm.
    animal : ndarray of int (B,)
    rows, offsets : ndarray of int
        Spikes of the responses `first` to before `last`, as in `SpikeTrains`.
    point : ndarray (B, 2)
    first, last : int
        Trials from `first` to before `last`.
    """
    for b in range(first, last):
        a = animal[b]
        x, y = offset[a, 0], offset[a, 1]
        for k in range(offsets[b - first], offsets[b - first + 1]):
            x += readout[a, rows[k], 0]
            y += readout[a, rows[k], 1]
        point[b, 0], point[b, 1] = x, y
