"""Planar curves sampled as [M, 3] arrays of x, y (metres) and tangent heading (radians)."""

from __future__ import annotations

from typing import Optional

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64

from navsim_agents.common.planar import arc_lengths, left_normal, unit
from navsim_agents.common.poses import HEADING, XY, X, Y
from navsim_agents.poses import Numbers, wrap_angle

FloatArray = npt.NDArray[np.float64]

# Handle length of the cubic Bezier quarter that lies closest to a circle, as a share of its tangents' length.
CIRCLE_HANDLE = 0.5523
_MIN_CORNER_SINE = 0.3  # below it two tangents meet too far away to shape a corner
_FINE_SAMPLES = 200


def dot(
    first: Float64[np.ndarray, "*batch 2"], second: Float64[np.ndarray, "*batch 2"]
) -> Float64[np.ndarray, "*batch"]:
    """Scalar products of vectors."""
    return first[..., X] * second[..., X] + first[..., Y] * second[..., Y]


def offset_curve(curve: Float64[np.ndarray, "M 3"], offset: Numbers) -> Float64[np.ndarray, "M 2"]:
    """Points at ``offset`` metres ([M] or one) to the left of ``curve``."""
    distance = np.broadcast_to(np.asarray(offset, dtype=np.float64), curve.shape[:1])
    return curve[:, XY] + distance[:, None] * left_normal(curve[:, HEADING])


def reverse_curve(curve: Float64[np.ndarray, "M 3"]) -> Float64[np.ndarray, "M 3"]:
    """The same curve driven the other way."""
    turned = curve[::-1].copy()
    turned[:, HEADING] = wrap_angle(turned[:, HEADING] + np.pi)
    return turned


def resample_curve(curve: Float64[np.ndarray, "M 3"], spacing_m: float) -> Float64[np.ndarray, "S 3"]:
    """``curve`` at equal steps of about ``spacing_m``, its first and last point kept."""
    travelled = arc_lengths(curve)
    count = max(2, round(travelled[-1] / spacing_m) + 1)
    return interpolate_curve(curve, np.linspace(0.0, travelled[-1], count))


def interpolate_curve(
    curve: Float64[np.ndarray, "M 3"], stations: Float64[np.ndarray, " S"]
) -> Float64[np.ndarray, "S 3"]:
    """Poses of ``curve`` at arc lengths ``stations``; headings in [-pi, pi)."""
    travelled = arc_lengths(curve)
    columns = (curve[:, X], curve[:, Y], np.unwrap(curve[:, HEADING]))
    x, y, heading = (np.interp(stations, travelled, column) for column in columns)
    return np.stack((x, y, wrap_angle(heading)), axis=-1)


def cut_curve(curve: Float64[np.ndarray, "M 3"], start_m: float, end_m: float) -> Float64[np.ndarray, "S 3"]:
    """The part of ``curve`` between two arc lengths, ``end_m`` measured from the start."""
    travelled = arc_lengths(curve)
    inside = (travelled > start_m + 1e-6) & (travelled < end_m - 1e-6)
    ends = interpolate_curve(curve, np.array([start_m, end_m]))
    return np.concatenate((ends[:1], curve[inside], ends[1:]))


def connect_poses(
    start: Float64[np.ndarray, "3"], end: Float64[np.ndarray, "3"], spacing_m: float, roundness: Optional[float] = None
) -> Float64[np.ndarray, "M 3"]:
    """Smooth curve between two poses [3], leaving and arriving along their headings.

    ``roundness`` is the Bezier handle as a share of the way to where the two tangents meet (corners of streets);
    without it both handles are equal, as an arc of that chord and angle would have them (bends of roads).
    """
    handles = _arc_handles(start, end) if roundness is None else _corner_handles(start, end, roundness)
    control = np.stack(
        (start[XY], start[XY] + handles[0] * unit(start[HEADING]), end[XY] - handles[1] * unit(end[HEADING]), end[XY])
    )
    curve = resample_curve(_bezier(control), spacing_m)
    curve[0], curve[-1] = start, end
    curve[:, HEADING] = wrap_angle(curve[:, HEADING])
    return curve


def _arc_handles(start: Float64[np.ndarray, "3"], end: Float64[np.ndarray, "3"]) -> tuple[float, float]:
    """Of a circular arc with turn angle a and chord c: c / (3 cos^2(a / 4))."""
    turn = float(wrap_angle(end[HEADING] - start[HEADING]))
    handle = float(np.hypot(*(end[XY] - start[XY]))) / (3.0 * np.cos(turn / 4.0) ** 2)
    return handle, handle


def _corner_handles(
    start: Float64[np.ndarray, "3"], end: Float64[np.ndarray, "3"], roundness: float
) -> tuple[float, float]:
    chord = end[XY] - start[XY]
    sine = float(np.sin(end[HEADING] - start[HEADING]))
    if abs(sine) > _MIN_CORNER_SINE:
        to_corner = float(chord[X] * np.sin(end[HEADING]) - chord[Y] * np.cos(end[HEADING])) / sine
        from_corner = float(np.cos(start[HEADING]) * chord[Y] - np.sin(start[HEADING]) * chord[X]) / sine
        if min(to_corner, from_corner) > 0.1 * float(np.hypot(*chord)):
            return roundness * to_corner, roundness * from_corner
    return _arc_handles(start, end)


def _bezier(control: Float64[np.ndarray, "4 2"]) -> Float64[np.ndarray, "M 3"]:
    t = np.linspace(0.0, 1.0, _FINE_SAMPLES)[:, None]
    weights = np.concatenate(((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3), axis=1)
    slopes = np.concatenate(((1 - t) ** 2, 2 * t * (1 - t), t**2), axis=1)
    tangent = slopes @ np.diff(control, axis=0)
    heading = np.unwrap(np.arctan2(tangent[:, Y], tangent[:, X]))
    return np.column_stack((weights @ control, heading))
