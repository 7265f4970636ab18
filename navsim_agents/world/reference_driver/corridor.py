"""The path of one scene, and what stands or moves in its corridor: stations along the path, speeds, lateral extents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from navsim_agents.common.conventions import HORIZON_S, NUM_STATES, STEP_S
from navsim_agents.common.planar import corners
from navsim_agents.common.poses import HEADING, XY, X, Y
from navsim_agents.scoring.axes import State, Vehicle
from navsim_agents.scoring.scene import ScoringScene
from navsim_agents.world.curves import arc_lengths, left_normal, unit
from navsim_agents.world.reference_driver.rule import DriverRule


@dataclass(frozen=True)
class Path:
    """Part of a scene's centreline around the ego, in its frame."""

    points: Float64[np.ndarray, "M 2"]  # m
    headings: Float64[np.ndarray, " M"]  # rad, unwrapped
    stations: Float64[np.ndarray, " M"]  # m from the first point
    ego_station: float  # of the rear axle

    def poses(self, stations: Float64[np.ndarray, "*batch"], offset_m: float) -> Float64[np.ndarray, "*batch 3"]:
        """Poses at ``stations``, ``offset_m`` to the left of the path."""
        shifted = self.points + offset_m * left_normal(self.headings)
        columns = (shifted[:, X], shifted[:, Y], self.headings)
        return np.stack([np.interp(stations, self.stations, column) for column in columns], axis=-1)

    def project(
        self, points: Float64[np.ndarray, "*batch 2"]
    ) -> tuple[Float64[np.ndarray, "*batch"], Float64[np.ndarray, "*batch"], Int64[np.ndarray, "*batch"]]:
        """Station [...], lateral position [...] (left is positive) and nearest vertex [...] of ``points``."""
        flat = points.reshape(-1, 2)
        distance = (self.points**2).sum(-1) - 2.0 * flat @ self.points.T
        nearest = distance.argmin(-1).reshape(points.shape[:-1])
        reach, heading = points - self.points[nearest], self.headings[nearest]
        along, aside = (reach * unit(heading)).sum(-1), (reach * left_normal(heading)).sum(-1)
        return self.stations[nearest] + along, aside, nearest


@dataclass(frozen=True)
class Obstacles:
    """J things that may stand in the way, at U moments ``lead_stride`` steps apart."""

    rear: Float64[np.ndarray, "J U"]  # station of the nearest corner
    center: Float64[np.ndarray, "J U"]  # station of the middle
    right: Float64[np.ndarray, "J U"]  # lateral extent
    left: Float64[np.ndarray, "J U"]
    speed: Float64[np.ndarray, "J U"]  # m/s along the path


def scene_path(scene: ScoringScene, top_speed_mps: float, rule: DriverRule) -> Path:
    """The centreline from a little behind the ego to beyond its reach."""
    line = scene.centerline.numpy()
    line = line[np.concatenate(([True], np.abs(np.diff(line, axis=0)).max(-1) > 0.0))]
    stations = arc_lengths(line)
    nearest = int((line**2).sum(-1).argmin())
    reach = top_speed_mps * HORIZON_S + rule.look_ahead_m
    first = int(np.searchsorted(stations, stations[nearest] - rule.look_behind_m))
    last = int(np.searchsorted(stations, stations[nearest] + reach)) + 1
    points = line[min(first, len(line) - 2) : max(last, first + 2)]
    steps = np.gradient(points, axis=0)
    path = Path(points, np.unwrap(np.arctan2(steps[:, Y], steps[:, X])), arc_lengths(points), 0.0)
    station, _, _ = path.project(np.zeros((1, 2)))
    return Path(path.points, path.headings, path.stations, float(station[0]))


def forecast_tracks(scene: ScoringScene) -> tuple[Float64[np.ndarray, "K S 3"], Bool[np.ndarray, " K"]]:
    """Poses [K, S, 3] of the tracks seen now, each straight on at its present speed; and which ones are seen [K]."""
    now, seen = scene.track_poses[:, 0].numpy(), scene.track_valid[:, 0].numpy()
    way = scene.track_speed.numpy()[:, None] * STEP_S * np.arange(NUM_STATES)
    poses = np.repeat(now[:, None], NUM_STATES, axis=1)
    poses[..., XY] += way[..., None] * unit(now[:, None, HEADING])
    return poses, seen


def find_obstacles(scene: ScoringScene, path: Path, rule: DriverRule) -> Obstacles:
    """Tracks near the path, forecast at constant velocity, and red connectors that the ego has not entered."""
    poses, seen = forecast_tracks(scene)
    poses = poses[:, :: rule.lead_stride]
    sizes, speeds = scene.track_size.numpy(), scene.track_speed.numpy()
    chosen = np.flatnonzero(seen)
    _, aside, _ = path.project(poses[chosen, :, XY])
    chosen = chosen[(np.abs(aside) < rule.max_gap_to_path_m).any(1)]
    poses, sizes, speeds = poses[chosen], sizes[chosen], speeds[chosen]
    boxes = np.concatenate((poses, np.repeat(sizes[:, None], poses.shape[1], axis=1)), axis=-1)
    along, aside, _ = path.project(corners(boxes))
    center, _, nearest = path.project(poses[..., XY])
    forward = speeds[:, None] * np.cos(poses[..., HEADING] - path.headings[nearest])
    tracks = Obstacles(along.min(-1), center, aside.min(-1), aside.max(-1), forward)
    return _with_lights(tracks, _red_lights(scene, path, rule))


def _red_lights(scene: ScoringScene, path: Path, rule: DriverRule) -> list[tuple[float, float, float]]:
    """Start, right and left of connectors that are red now and that the front bumper has not passed into."""
    front = float(scene.vehicle[Vehicle.HALF_LENGTH] + scene.vehicle[Vehicle.REAR_AXLE_TO_CENTER])
    offsets, xy = scene.red_light_offsets.tolist(), scene.red_light_xy.numpy()
    found = []
    for light in np.flatnonzero(scene.red_light_active[:, :1].any(1).numpy()):
        along, aside, _ = path.project(xy[offsets[light] : offsets[light + 1]])
        if along.min() > path.ego_station + front - rule.red_slack_m:
            found.append((float(along.min()), float(aside.min()), float(aside.max())))
    return found


def _with_lights(tracks: Obstacles, lights: list[tuple[float, float, float]]) -> Obstacles:
    """Red connectors as obstacles that stand, after the tracks."""
    moments = tracks.rear.shape[1]
    start, right, left = (np.repeat(column[:, None], moments, axis=1) for column in np.array(lights).reshape(-1, 3).T)
    return Obstacles(
        rear=np.concatenate((tracks.rear, start)),
        center=np.concatenate((tracks.center, start)),
        right=np.concatenate((tracks.right, right)),
        left=np.concatenate((tracks.left, left)),
        speed=np.concatenate((tracks.speed, np.zeros_like(start))),
    )


def ego_speed(scene: ScoringScene) -> float:
    """Speed [m/s] ahead, at least 0."""
    return max(0.0, float(scene.ego_state[State.VELOCITY_X]))
