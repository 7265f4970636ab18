"""Paint laid along curves: strips of constant width, whole, dashed, or around a ring."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.poses import X, Y
from navsim_agents.world.camera.model import FloatArray


def strip(curve: Float64[np.ndarray, "M 2"], left_m: float, right_m: float) -> Float64[np.ndarray, "V 2"]:
    """Outline between ``left_m`` to the left and ``right_m`` to the right of ``curve``."""
    left = _left_normals(curve)
    return np.concatenate((curve + left_m * left, (curve - right_m * left)[::-1]))


def dashes(curve: Float64[np.ndarray, "M 2"], width_m: float, dash_m: float, gap_m: float) -> list[FloatArray]:
    """Outlines of dashes along ``curve``, the first one half a gap after its start."""
    return [strip(piece, width_m / 2, width_m / 2) for piece in _pieces(curve, dash_m, gap_m)]


def rim_quads(ring: Float64[np.ndarray, "M 2"], outward_m: float) -> list[FloatArray]:
    """A band beside a closed ``ring`` (either orientation), outside it, as one quadrilateral [4, 2] a side.

    Sides shorter than a millimetre are left out. Sharp corners are cut at twice the width.
    """
    ring = ring[np.linalg.norm(np.roll(ring, -1, axis=0) - ring, axis=1) > 1e-3]
    following = np.roll(ring, -1, axis=0)
    sides = following - ring
    local = ring - ring[0]  # map coordinates are large
    area = float(np.sum(local[:, X] * np.roll(local[:, Y], -1) - local[:, Y] * np.roll(local[:, X], -1)))
    outward = np.sign(area) * np.stack((sides[:, Y], -sides[:, X]), axis=1) / np.linalg.norm(sides, axis=1)[:, None]
    corner = outward + np.roll(outward, 1, axis=0)
    corner *= (2.0 / np.maximum((corner**2).sum(axis=1), 1.0))[:, None]  # unit distance from both sides
    outer = ring + outward_m * corner
    return list(np.stack((ring, following, np.roll(outer, -1, axis=0), outer), axis=1))


def resample(curve: Float64[np.ndarray, "M 2"], stations: Float64[np.ndarray, " K"]) -> Float64[np.ndarray, "K 2"]:
    """Points of ``curve`` at arc lengths ``stations``."""
    along = arc_length(curve)
    return np.stack([np.interp(stations, along, curve[:, axis]) for axis in (0, 1)], axis=1)


def arc_length(curve: Float64[np.ndarray, "M 2"]) -> Float64[np.ndarray, " M"]:
    """Distance from the start along ``curve``."""
    return np.concatenate((np.zeros(1), np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))))


def simplify(curve: Float64[np.ndarray, "M 2"], tolerance_m: float = 0.02) -> Float64[np.ndarray, "V 2"]:
    """Fewest of the points of ``curve`` that stay within ``tolerance_m`` of it (Douglas-Peucker)."""
    keep = np.zeros(len(curve), dtype=bool)
    keep[[0, -1]] = True
    spans = [(0, len(curve) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        distances = _distance_to_chord(curve[first + 1 : last], curve[first], curve[last])
        worst = int(np.argmax(distances))
        if distances[worst] > tolerance_m:
            middle = first + 1 + worst
            keep[middle] = True
            spans += [(first, middle), (middle, last)]
    return curve[keep]


def _distance_to_chord(
    points: Float64[np.ndarray, "M 2"], start: Float64[np.ndarray, "2"], end: Float64[np.ndarray, "2"]
) -> Float64[np.ndarray, " M"]:
    chord = end - start
    length = float(np.linalg.norm(chord))
    offsets = points - start
    if length < 1e-9:
        return np.asarray(np.linalg.norm(offsets, axis=1))
    return np.asarray(np.abs(offsets[:, X] * chord[Y] - offsets[:, Y] * chord[X]) / length)


def _pieces(curve: FloatArray, dash_m: float, gap_m: float) -> Iterator[FloatArray]:
    along = arc_length(curve)
    for start in np.arange(gap_m / 2, along[-1] - dash_m, dash_m + gap_m):
        inner = along[(along > start) & (along < start + dash_m)]
        yield simplify(resample(curve, np.array([start, *inner, start + dash_m])))


def _left_normals(curve: Float64[np.ndarray, "M 2"]) -> Float64[np.ndarray, "M 2"]:
    """Unit normals to the left of ``curve``."""
    tangents = np.gradient(curve, axis=0)
    tangents /= np.maximum(np.linalg.norm(tangents, axis=1), 1e-9)[:, None]
    return np.stack((-tangents[:, Y], tangents[:, X]), axis=1)
