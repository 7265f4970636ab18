"""The path that a vehicle keeps to: poses at a progress, the line ahead, and the ground that it claims."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float64
from shapely.geometry import LineString, Polygon
from shapely.geometry.base import BaseGeometry

from navsim_agents.common.poses import HEADING, XY, X, Y, wrap_angle

QUARTER_CIRCLE_SEGMENTS = 16  # of bends in a strip, as shapely's geometries have it by default


@dataclass(frozen=True)
class Rail:
    """Points of a path with their progress [m]; frame of the points."""

    poses: Float64[np.ndarray, "P 3"]  # headings unwrapped
    progress: Float64[np.ndarray, " P"]

    @staticmethod
    def of(poses: Float64[np.ndarray, "P 3"], progress: Float64[np.ndarray, " P"]) -> Rail:
        """A path whose headings may jump by full turns."""
        headings = np.unwrap(poses[:, HEADING])
        return Rail(np.column_stack((poses[:, XY], headings)), progress)

    @property
    def end(self) -> float:
        """Progress [m] of the last point."""
        return float(self.progress[-1])

    def clamp(self, progress: float) -> float:
        """The nearest progress [m] that is on the path."""
        return max(float(self.progress[0]), min(progress, self.end))

    def pose_at(self, progress: float) -> Float64[np.ndarray, "3"]:
        """Pose at a progress [m] on the path, heading in [-pi, pi)."""
        pose = np.array([np.interp(progress, self.progress, column) for column in self.poses.T])
        pose[HEADING] = wrap_angle(pose[HEADING])
        return pose

    def line_from(self, progress: float) -> Float64[np.ndarray, "Q 2"]:
        """Points from ``progress`` to the end; at the end, the last two points of the path."""
        ahead = self.poses[self.progress > progress][:, XY]
        if not len(ahead):
            return self.poses[-2:, XY]
        return np.concatenate((self.pose_at(progress)[None, XY], ahead))

    def line_between(self, start: float, end: float) -> Float64[np.ndarray, "Q 2"]:
        """Points from ``start`` to ``end``; outside of the path, its last or its first two points."""
        if not (self.progress > start).any():
            return self.poses[-2:, XY]
        if not (self.progress < end).any():
            return self.poses[:2, XY]
        between = self.poses[(self.progress > start) & (self.progress < end)][:, XY]
        return np.concatenate((self.pose_at(start)[None, XY], between, self.pose_at(end)[None, XY]))


def strip(line: Float64[np.ndarray, "Q 2"], width: float) -> BaseGeometry:
    """The ground that ``width`` [m] along a line covers, cut off straight at both ends."""
    return LineString(line).buffer(width / 2.0, quad_segs=QUARTER_CIRCLE_SEGMENTS, cap_style="flat")


def box_polygon(pose: Float64[np.ndarray, "3"], length: float, width: float) -> Polygon:
    """The box about ``pose``, from its front left corner counter-clockwise."""
    ahead = np.array([np.cos(pose[HEADING]), np.sin(pose[HEADING])]) * (length / 2.0)
    left = np.array([-np.sin(pose[HEADING]), np.cos(pose[HEADING])]) * (width / 2.0)
    corners = (ahead + left, left - ahead, -ahead - left, ahead - left)
    return Polygon([(pose[X] + corner[X], pose[Y] + corner[Y]) for corner in corners])


def footprint(rail: Rail, progress: float, reach: float, length: float, width: float) -> BaseGeometry:
    """The box of who is at ``progress`` [m], and its path from its rear to ``reach`` [m] beyond its front."""
    start, end = rail.clamp(progress - length / 2.0), rail.clamp(progress + length / 2.0 + reach)
    box = box_polygon(rail.pose_at(rail.clamp(progress)), length, width)
    return shapely.unary_union([strip(rail.line_between(start, end), width), box])
