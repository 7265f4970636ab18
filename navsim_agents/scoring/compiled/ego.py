"""Where one ego is at each step, and the areas that it is in: ``scoring/rules/ego.py``."""

from __future__ import annotations

from math import hypot
from typing import NamedTuple

import numpy as np

from navsim_agents.scoring.axes import EgoArea, State, Vehicle
from navsim_agents.scoring.compiled.arrays import HEADING, Bools, Floats, Ints, X, Y
from navsim_agents.scoring.compiled.following import cosine_and_sine
from navsim_agents.scoring.compiled.jit import part
from navsim_agents.scoring.compiled.location import AreaTables, polygons_at
from navsim_agents.scoring.scene import SceneIndex

SPEED_X, SPEED_Y = int(State.VELOCITY_X), int(State.VELOCITY_Y)
HALF_LENGTH, HALF_WIDTH = int(Vehicle.HALF_LENGTH), int(Vehicle.HALF_WIDTH)
REAR_AXLE_TO_CENTER = int(Vehicle.REAR_AXLE_TO_CENTER)
MULTIPLE_LANES, NON_DRIVABLE, ONCOMING = (int(area) for area in EgoArea)


class Ego(NamedTuple):
    """One trajectory of S states; see ``rules.ego.Motion`` and ``EgoAreas``."""

    x: Floats  # [S]
    y: Floats
    cos: Floats
    sin: Floats
    speed: Floats
    center_x: Floats
    center_y: Floats
    multiple_lanes: Bools
    non_drivable: Bools
    oncoming: Bools
    in_intersection: Bools
    points: Floats  # [2, 5, S]: x and y of the four corners and of the centre
    point_bits: Ints  # [W, 5, S]: the polygons that hold each
    corner_bits: Ints  # [W, S]: those that hold a corner or more
    entries: Ints  # [S], room for the entries of the centre's cells
    sweep: Floats  # [3, S]: x, y and radius of a circle about the box and where time to collision moves it
    half_length: float  # m
    half_width: float

    @staticmethod
    def of(num_samples: int, num_words: int) -> Ego:
        """Room for one; a kernel says how large the car is."""
        x, y, cosine, sine, speed, center_x, center_y = (np.empty(num_samples) for _ in range(7))
        multiple_lanes, non_drivable, oncoming, in_intersection = (np.empty(num_samples, np.bool_) for _ in range(4))
        return Ego(
            x,
            y,
            cosine,
            sine,
            speed,
            center_x,
            center_y,
            multiple_lanes,
            non_drivable,
            oncoming,
            in_intersection,
            points=np.empty((2, 5, num_samples)),
            point_bits=np.empty((num_words, 5, num_samples), dtype=np.int64),
            corner_bits=np.empty((num_words, num_samples), dtype=np.int64),
            entries=np.empty(num_samples, dtype=np.int64),
            sweep=np.empty((3, num_samples)),
            half_length=0.0,
            half_width=0.0,
        )


class Layers(NamedTuple):
    """Bits of the polygons of each layer, [B, W]."""

    lanes: Ints
    drivable: Ints
    on_route: Ints
    intersections: Ints

    @staticmethod
    def of(index: SceneIndex) -> Layers:
        """The arrays share the tensors' memory where they are in one piece."""
        names = ("lane_bits", "drivable_bits", "on_route_bits", "intersection_bits")
        return Layers(*(getattr(index, name).contiguous().numpy() for name in names))


@part
def sized(ego: Ego, vehicle: Floats) -> Ego:
    """The same room for a car of this size."""
    return Ego(
        ego.x,
        ego.y,
        ego.cos,
        ego.sin,
        ego.speed,
        ego.center_x,
        ego.center_y,
        ego.multiple_lanes,
        ego.non_drivable,
        ego.oncoming,
        ego.in_intersection,
        ego.points,
        ego.point_bits,
        ego.corner_bits,
        ego.entries,
        ego.sweep,
        vehicle[HALF_LENGTH],
        vehicle[HALF_WIDTH],
    )


@part
def place_ego(states: Floats, vehicle: Floats, ego: Ego) -> None:
    """Position, speed, centre and corners at each state."""
    ahead, length, width = vehicle[REAR_AXLE_TO_CENTER], ego.half_length, ego.half_width
    xs, ys, cosines, sines, speeds = ego.x, ego.y, ego.cos, ego.sin, ego.speed
    center_x, center_y, points_x, points_y = ego.center_x, ego.center_y, ego.points[0], ego.points[1]
    for step in range(len(states)):
        cosines[step], sines[step] = cosine_and_sine(states[step, HEADING])
        cosine, sine, side = cosines[step], sines[step], states[step, SPEED_Y]
        speed = abs(states[step, SPEED_X])
        speeds[step] = speed if side == 0.0 else hypot(speed, side)
        xs[step], ys[step] = states[step, X], states[step, Y]
        x, y = xs[step] + ahead * cosine, ys[step] + ahead * sine
        center_x[step], center_y[step] = x, y
        along_x, along_y, left_x, left_y = length * cosine, length * sine, -width * sine, width * cosine
        front_x, front_y, rear_x, rear_y = x + along_x, y + along_y, x - along_x, y - along_y
        points_x[0, step], points_y[0, step] = front_x + left_x, front_y + left_y
        points_x[1, step], points_y[1, step] = rear_x + left_x, rear_y + left_y
        points_x[2, step], points_y[2, step] = rear_x - left_x, rear_y - left_y
        points_x[3, step], points_y[3, step] = front_x - left_x, front_y - left_y
        points_x[4, step], points_y[4, step] = x, y


@part
def locate(areas: AreaTables, layers: Layers, scene: int, ego: Ego) -> None:
    """Areas at each step."""
    points_x, points_y, bits = ego.points[0], ego.points[1], ego.point_bits
    for word in range(len(bits)):
        for point in range(len(points_x)):
            polygons_at(areas, scene, points_x[point], points_y[point], word, bits[word, point])
    lanes, drivable = layers.lanes[scene], layers.drivable[scene]
    on_route, intersections = layers.on_route[scene], layers.intersections[scene]
    multiple_lanes, non_drivable = ego.multiple_lanes, ego.non_drivable
    oncoming, in_intersection, corner_bits = ego.oncoming, ego.in_intersection, ego.corner_bits
    for step in range(corner_bits.shape[1]):
        in_two, num_words, in_one, routed, crossing = False, 0, False, False, False
        drivable_1, drivable_2, drivable_3, drivable_4 = False, False, False, False
        for word in range(len(bits)):
            one, two, three, four = bits[word, 0, step], bits[word, 1, step], bits[word, 2, step], bits[word, 3, step]
            touched, center = one | two | three | four, bits[word, 4, step]
            corner_bits[word, step] = touched
            touched &= lanes[word]
            in_two |= touched & (touched - 1) != 0
            num_words += touched != 0
            in_one |= one & two & three & four & lanes[word] != 0
            drivable_1 |= one & drivable[word] != 0
            drivable_2 |= two & drivable[word] != 0
            drivable_3 |= three & drivable[word] != 0
            drivable_4 |= four & drivable[word] != 0
            routed |= center & on_route[word] != 0
            crossing |= center & intersections[word] != 0
        multiple_lanes[step] = (in_two | (num_words > 1)) & (not in_one)
        non_drivable[step] = not (drivable_1 & drivable_2 & drivable_3 & drivable_4)
        oncoming[step], in_intersection[step] = not routed, crossing
