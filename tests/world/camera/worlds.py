"""A hand-built town of one straight road, and drives through it that show what a test asks for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from navsim_agents.poses import points_to_global, poses_to_global
from navsim_agents.world.camera import CameraModel, Lighting, default_cameras
from navsim_agents.world.types import (
    AgentType,
    Area,
    Drive,
    EgoStates,
    Intersection,
    Lane,
    Light,
    Roadblock,
    StopLine,
    Town,
    Track,
    TrafficLightPole,
    Turn,
)

STEPS = 3
LOCATION = "us-ma-boston"
SMALL = (384, 216)  # a fifth of a full picture
POLE = np.array([40.0, -6.0, 5.0])

# Plain light: colours come out as they are, nothing throws a shadow, the air is clear.
PLAIN = Lighting(
    sun=np.array([0.0, 0.0, 1.0]),
    sun_strength=0.0,
    ambient=1.0,
    tint=np.ones(3),
    zenith=np.array([80.0, 130.0, 200.0]),
    horizon=np.array([200.0, 210.0, 220.0]),
    cloudiness=0.0,
    shadow_strength=0.0,
    haze_range_m=1e9,
    sky_seed=0,
)


def front_camera(width: int = SMALL[0], height: int = SMALL[1]) -> CameraModel:
    return default_cameras()["cam_f0"].scaled(width, height)


def _line(start: float, end: float, y: float) -> np.ndarray:
    x = np.linspace(start, end, round(abs(end - start) / 0.5) + 1)
    return np.stack((x, np.full_like(x, y)), axis=1)


def _lane(lane_id: str, start: float, end: float, y: float, **changes: object) -> Lane:
    """A lane 3.5 m wide along x; it runs backwards when ``end`` < ``start``."""
    sign = 1.0 if end > start else -1.0
    line = _line(start, end, y)
    heading = np.full((len(line), 1), 0.0 if end > start else np.pi)
    lane = Lane(
        lane_id=lane_id,
        roadblock_id=f"1{lane_id}",
        is_connector=False,
        turn=Turn.STRAIGHT,
        centerline=np.concatenate((line, heading), axis=1),
        left_boundary=_line(start, end, y + sign * 1.75),
        right_boundary=_line(start, end, y - sign * 1.75),
        speed_limit_mps=10.0,
        predecessors=(),
        successors=(),
    )
    return replace(lane, **changes)


def make_town(has_building: bool = True) -> Town:
    """Two lanes each way along x from -50 to 30, a signalised crossing up to 50; yellow line on y = 0."""
    lanes = [
        _lane("1", -50.0, 30.0, -1.75, right_neighbor="2", successors=("5",)),
        _lane("2", -50.0, 30.0, -5.25, left_neighbor="1"),
        _lane("3", 30.0, -50.0, 1.75),
        _lane("5", 30.0, 50.0, -1.75, is_connector=True, intersection_id="7", signal_group=0, predecessors=("1",)),
    ]
    square = np.array([[30.0, -10.0], [50.0, -10.0], [50.0, 10.0], [30.0, 10.0]])
    stop = np.array([[29.0, -7.0], [29.5, -7.0], [29.5, 0.0], [29.0, 0.0]])
    crosswalk = np.array([[31.0, -7.0], [34.0, -7.0], [34.0, 3.5], [31.0, 3.5]])
    house = np.array([[10.0, 14.0], [22.0, 14.0], [22.0, 24.0], [10.0, 24.0]])
    walkway = np.array([[-50.0, -12.0], [30.0, -12.0], [30.0, -9.7], [-50.0, -9.7]])
    lot = np.array([[-40.0, -40.0], [-10.0, -40.0], [-10.0, -16.0], [-40.0, -16.0]])
    return Town(
        location=LOCATION,
        lanes={lane.lane_id: lane for lane in lanes},
        roadblocks={"11": Roadblock("11", False, ("1", "2"), lanes[0].polygon, (), ())},
        intersections={"7": Intersection("7", square, True, 2)},
        stop_lines={"8": StopLine("8", "7", ("1", "2"), stop)},
        crosswalks={"9": Area("9", crosswalk)},
        walkways={"20": Area("20", walkway)},
        carparks={"21": Area("21", lot, heading=np.pi / 2)},
        buildings={"22": Area("22", house, height_m=9.0)} if has_building else {},
        light_poles=(TrafficLightPole(0, "7", POLE, np.pi),),
    )


def make_track(
    pose: tuple[float, float, float],
    size: tuple[float, float, float] = (4.0, 2.0, 1.5),
    kind: AgentType = AgentType.GENERIC_OBJECT,
    color: tuple[int, int, int] = (200, 40, 160),
    speeds: tuple[float, ...] = (0.0,) * STEPS,
    token: str = "00000000000000a1",
) -> Track:
    ahead = np.array([np.cos(pose[2]), np.sin(pose[2])])
    return Track(
        track_token=token,
        agent_type=kind,
        size=np.array(size),
        poses=np.tile(np.array(pose), (len(speeds), 1)),
        velocities=np.array(speeds)[:, None] * ahead,
        valid=np.ones(len(speeds), dtype=bool),
        color=color,
    )


def make_drive(
    *tracks: Track, ego: tuple[float, float, float] = (0.0, -1.75, 0.0), light: Light = Light.RED, name: str = "log"
) -> Drive:
    """Ego stands at ``ego`` (rear axle) for STEPS steps."""
    still = np.zeros((STEPS, 2))
    states = EgoStates(np.tile(np.array(ego), (STEPS, 1)), still, still, np.zeros(STEPS), np.zeros(STEPS, dtype=int))
    return Drive(name, LOCATION, 0, states, tuple(tracks), {"5": (light,) * STEPS}, ((),) * STEPS)


def moved_town(town: Town, motion: np.ndarray) -> Town:
    """The whole town under the planar rigid ``motion`` [3]."""

    def area(item):
        return replace(item, polygon=points_to_global(item.polygon, motion))

    def lane(item: Lane) -> Lane:
        return replace(
            item,
            centerline=poses_to_global(item.centerline, motion),
            left_boundary=points_to_global(item.left_boundary, motion),
            right_boundary=points_to_global(item.right_boundary, motion),
        )

    def pole(item: TrafficLightPole) -> TrafficLightPole:
        place = np.array([*points_to_global(item.position[:2], motion), item.position[2]])
        return replace(item, position=place, facing=item.facing + motion[2])

    groups = ("roadblocks", "intersections", "stop_lines", "crosswalks", "walkways", "buildings")
    changes = {group: {key: area(item) for key, item in getattr(town, group).items()} for group in groups}
    lots = {k: replace(area(lot), heading=lot.heading + motion[2]) for k, lot in town.carparks.items()}
    lanes = {key: lane(item) for key, item in town.lanes.items()}
    return replace(town, lanes=lanes, carparks=lots, light_poles=tuple(map(pole, town.light_poles)), **changes)


def moved_drive(drive: Drive, motion: np.ndarray) -> Drive:
    """The whole drive under the planar rigid ``motion`` [3]."""
    tracks = tuple(replace(track, poses=poses_to_global(track.poses, motion)) for track in drive.tracks)
    return replace(drive, ego=replace(drive.ego, poses=poses_to_global(drive.ego.poses, motion)), tracks=tracks)
