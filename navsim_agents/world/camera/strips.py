"""Paint laid along curves: strips of constant width, whole, dashed, or one quadrilateral a segment."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from navsim_agents.world.camera.model import FloatArray


def strip(curve: FloatArray, left_m: float, right_m: float) -> FloatArray:
    """Outline [2M, 2] between ``left_m`` to the left and ``right_m`` to the right of ``curve`` [M, 2]."""
    left = _left_normals(curve)
    return np.concatenate((curve + left_m * left, (curve - right_m * left)[::-1]))


def dashes(curve: FloatArray, width_m: float, dash_m: float, gap_m: float) -> list[FloatArray]:
    """Outlines of dashes along ``curve`` [M, 2], the first one half a gap after its start."""
    return [strip(piece, width_m / 2, width_m / 2) for piece in _pieces(curve, dash_m, gap_m)]


def segment_quads(ring: FloatArray, outward_m: float) -> list[FloatArray]:
    """One quadrilateral [4, 2] beside each side of a closed ``ring`` [M, 2] (either orientation), outside it.

    Neighbours overlap or gape at corners: meant to lie beneath the ring's own surface.
    """
    following = np.roll(ring, -1, axis=0)
    sides = following - ring
    lengths = np.linalg.norm(sides, axis=1)
    area = float(np.sum(ring[:, 0] * following[:, 1] - ring[:, 1] * following[:, 0]))
    outward = np.sign(area) * np.stack((sides[:, 1], -sides[:, 0]), axis=1) / np.maximum(lengths, 1e-9)[:, None]
    quads = np.stack((ring, following, following + outward_m * outward, ring + outward_m * outward), axis=1)
    return list(quads[lengths > 1e-3])


def resample(curve: FloatArray, stations: FloatArray) -> FloatArray:
    """Points [K, 2] of ``curve`` [M, 2] at arc lengths ``stations`` [K]."""
    along = arc_length(curve)
    return np.stack([np.interp(stations, along, curve[:, axis]) for axis in (0, 1)], axis=1)


def arc_length(curve: FloatArray) -> FloatArray:
    """Distance [M] from the start along ``curve`` [M, 2]."""
    return np.concatenate((np.zeros(1), np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))))


def simplify(curve: FloatArray, tolerance_m: float = 0.02) -> FloatArray:
    """Fewest of the points of ``curve`` [M, 2] that stay within ``tolerance_m`` of it (Douglas-Peucker)."""
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


def _distance_to_chord(points: FloatArray, start: FloatArray, end: FloatArray) -> FloatArray:
    chord = end - start
    length = float(np.linalg.norm(chord))
    offsets = points - start
    if length < 1e-9:
        return np.asarray(np.linalg.norm(offsets, axis=1))
    return np.asarray(np.abs(offsets[:, 0] * chord[1] - offsets[:, 1] * chord[0]) / length)


def _pieces(curve: FloatArray, dash_m: float, gap_m: float) -> Iterator[FloatArray]:
    along = arc_length(curve)
    for start in np.arange(gap_m / 2, along[-1] - dash_m, dash_m + gap_m):
        inner = along[(along > start) & (along < start + dash_m)]
        yield simplify(resample(curve, np.array([start, *inner, start + dash_m])))


def _left_normals(curve: FloatArray) -> FloatArray:
    """Unit normals [M, 2] to the left of ``curve`` [M, 2]."""
    tangents = np.gradient(curve, axis=0)
    tangents /= np.maximum(np.linalg.norm(tangents, axis=1), 1e-9)[:, None]
    return np.stack((-tangents[:, 1], tangents[:, 0]), axis=1)
