"""The least town that has one of each thing: two lanes, a signalised crossing, two lanes, on a line to the east."""

import numpy as np

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

LOCATION = "us-nv-las-vegas-strip"
ORIGIN = np.array([664_400.25, 3_997_800.5])  # UTM metres: float32 would lose a quarter of a metre here
LANE_WIDTH_M = 3.5
LENGTH_M = 60.0
NUM_STEPS = 151
SPEED_MPS = 5.0


def box(x_from, x_to, y_from, y_to):
    return ORIGIN + np.array([[x_from, y_from], [x_to, y_from], [x_to, y_to], [x_from, y_to]])


def _line(x_from, x_to, y):
    x = np.arange(x_from, x_to + 0.1, 0.5)
    return np.stack((x, np.full_like(x, y)), axis=1) + ORIGIN


def _lane(lane_id, block, x_from, x_to, y, before, after, **kwargs):
    center = _line(x_from, x_to, y)
    return Lane(
        lane_id=lane_id,
        roadblock_id=block,
        is_connector=block == "20",
        turn=Turn.STRAIGHT,
        centerline=np.column_stack((center, np.zeros(len(center)))),
        left_boundary=_line(x_from, x_to, y + LANE_WIDTH_M / 2),
        right_boundary=_line(x_from, x_to, y - LANE_WIDTH_M / 2),
        speed_limit_mps=13.0,
        predecessors=before,
        successors=after,
        **kwargs,
    )


def small_town():
    """Left lanes 11, 21, 31 at y = 3.5 m and right lanes 12, 22, 32 at y = 0, relative to ORIGIN."""
    connector = {"intersection_id": "40", "signal_group": 0}
    lanes = [
        _lane("11", "10", 0, LENGTH_M, LANE_WIDTH_M, (), ("21",), right_neighbor="12"),
        _lane("12", "10", 0, LENGTH_M, 0.0, (), ("22",), left_neighbor="11"),
        _lane("21", "20", LENGTH_M, LENGTH_M + 20, LANE_WIDTH_M, ("11",), ("31",), **connector),
        _lane("22", "20", LENGTH_M, LENGTH_M + 20, 0.0, ("12",), ("32",), **connector),
        _lane("31", "30", LENGTH_M + 20, 2 * LENGTH_M + 20, LANE_WIDTH_M, ("21",), (), right_neighbor="32"),
        _lane("32", "30", LENGTH_M + 20, 2 * LENGTH_M + 20, 0.0, ("22",), (), left_neighbor="31"),
    ]
    low, high = -LANE_WIDTH_M / 2, 1.5 * LANE_WIDTH_M
    blocks = [
        Roadblock("10", False, ("11", "12"), box(0, LENGTH_M, low, high), (), ("20",)),
        Roadblock("20", True, ("21", "22"), box(LENGTH_M, LENGTH_M + 20, low, high), ("10",), ("30",), "40"),
        Roadblock("30", False, ("31", "32"), box(LENGTH_M + 20, 2 * LENGTH_M + 20, low, high), ("20",), ()),
    ]
    return Town(
        location=LOCATION,
        lanes={lane.lane_id: lane for lane in lanes},
        roadblocks={block.roadblock_id: block for block in blocks},
        intersections={"40": Intersection("40", box(LENGTH_M, LENGTH_M + 20, -10, 13.5), True, 2)},
        stop_lines={"50": StopLine("50", "40", ("11", "12"), box(LENGTH_M - 1, LENGTH_M, low, high))},
        crosswalks={"60": Area("60", box(LENGTH_M - 4, LENGTH_M - 1, low, high))},
        walkways={"70": Area("70", box(0, LENGTH_M, low - 2, low))},
        carparks={},
        buildings={"80": Area("80", box(0, 30, 20, 40), height_m=9.0)},
        light_poles=(TrafficLightPole(0, "40", np.array([ORIGIN[0] + 82.0, ORIGIN[1] + 8.0, 5.0]), np.pi),),
    )


def _track(token, agent_type, size, start, velocity, valid):
    times = 0.1 * np.arange(NUM_STEPS)[:, None]
    positions = ORIGIN + np.array(start) + times * np.array(velocity)
    heading = np.full((NUM_STEPS, 1), np.arctan2(velocity[1], velocity[0]))
    velocities = np.tile(np.array(velocity, dtype=float), (NUM_STEPS, 1))
    return Track(token, agent_type, np.array(size), np.hstack((positions, heading)), velocities, valid)


def small_drive(log_name="2021.05.25.14.16.10_veh-35_01690_02183"):
    """15 s along the right lane at constant speed, heading east; a car 20 m ahead and a pedestrian who appears late."""
    times = 0.1 * np.arange(NUM_STEPS)
    poses = np.column_stack((ORIGIN[0] + 5.0 + SPEED_MPS * times, np.full_like(times, ORIGIN[1]), np.zeros_like(times)))
    steps = np.arange(NUM_STEPS)
    always, late = np.ones(NUM_STEPS, dtype=bool), steps >= 40
    return Drive(
        log_name=log_name,
        location=LOCATION,
        start_time_us=1_621_966_570_000_000,
        ego=EgoStates(
            poses=poses,
            velocities=np.tile([SPEED_MPS, 0.0], (NUM_STEPS, 1)),
            accelerations=np.tile([0.25, -0.5], (NUM_STEPS, 1)),
            steering=np.zeros(NUM_STEPS),
            commands=np.where(steps < 60, 1, 2),
        ),
        tracks=(
            _track("00000000000000aa", AgentType.VEHICLE, (4.5, 1.9, 1.6), (25.0, 3.5), (4.0, 0.0), always),
            _track("00000000000000bb", AgentType.PEDESTRIAN, (0.7, 0.7, 1.8), (70.0, -3.0), (0.0, 1.25), late),
        ),
        lights={"21": (Light.RED,) * NUM_STEPS, "22": (Light.GREEN,) * 100 + (Light.YELLOW,) * (NUM_STEPS - 100)},
        route_roadblock_ids=(("10", "20", "30"),) * 111 + (("20", "30"),) * (NUM_STEPS - 111),
    )
