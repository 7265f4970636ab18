"""Each rule on a straight road, worked by hand: the box reaches 4 m ahead of the rear axle, 1 m back, 1 m aside."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
import torch

from navsim_agents.scoring.config import EPDMS, METRICS, PDMS
from navsim_agents.scoring.rules.centerline import lane_keeping, normalized_progress, raw_progress
from navsim_agents.scoring.rules.collisions import no_at_fault_collision, time_to_collision
from navsim_agents.scoring.rules.comfort import comfort
from navsim_agents.scoring.rules.ego import drivable_area, driving_direction, traffic_light
from tests.scoring.tiny import ROAD, light, rectangle, scene, situation, straight, track

CROSSING = [*ROAD, ("intersection", False, rectangle(-40, 120, -2, 6))]


def collision(made, states, metric="epdms"):
    score, step, culprit = no_at_fault_collision(*situation(made, [states], metric))
    return score.item(), step.item(), culprit.item()


def threat(made, states, metric="epdms"):
    score, step, culprit = time_to_collision(*situation(made, [states], metric))
    return score.item(), step.item(), culprit.item()


CLEAR = (1.0, math.inf, -1)


def test_collision_with_what_stands_ahead_counts_from_touching():
    # Its rear is at 18 m; the front reaches that exactly at x = 14, the fourteenth step.
    assert collision(scene(tracks=[track(20, 0)]), straight()) == (0.0, 14, 0)


def test_collision_with_an_object_costs_half():
    cones = [track(20, 0, kind="traffic_cone"), track(60, 0)]
    assert collision(scene(tracks=cones), straight(speed=5.0)) == (0.5, 28, 0)


def test_the_worst_of_two_collisions_counts_and_the_first_names_the_step():
    tracks = [track(25, 0), track(20, 0, kind="traffic_cone")]
    assert collision(scene(tracks=tracks), straight()) == (0.0, 14, 1)


@pytest.mark.parametrize(("speed", "score"), [(0.05, 1.0), (0.0501, 0.0)])
def test_an_ego_that_stands_is_not_at_fault(speed, score):
    states = straight(speed=0.0)
    states[:, 3] = speed
    assert collision(scene(tracks=[track(5, 0)]), states)[0] == score


@pytest.mark.parametrize(("speed", "score"), [(0.05, 0.0), (0.0501, 1.0)])
def test_a_track_that_stands_is_hit_even_from_the_side(speed, score):
    beside = track(1.5, 2.0)  # touches the left side
    beside["speed"] = speed
    assert collision(scene(tracks=[beside]), straight(speed=1.0))[0] == score


def test_being_hit_from_behind_is_not_at_fault():
    assert collision(scene(tracks=[track(-10, 0, speed=20)]), straight(speed=5.0)) == CLEAR


def test_the_front_bumper_is_at_fault():
    assert collision(scene(tracks=[track(20, 0, speed=1.0)]), straight())[:2] == (0.0, 16)


def test_lateral_contact_is_at_fault_only_between_lanes_or_off_the_road():
    beside = track(0.5, 3.5, speed=10, drift=-5.0)
    assert collision(scene(tracks=[beside]), straight()) == CLEAR
    higher = track(0.5, 5.0, speed=10, drift=-5.0)
    assert collision(scene(tracks=[higher]), straight(y=1.5))[0] == 0.0  # corners at 0.5 and 2.5: two lanes
    below = track(0.5, -5.0, speed=10, drift=5.0)
    assert collision(scene(tracks=[below]), straight(y=-1.5))[0] == 0.0  # corners at -2.5: off the road


def test_the_first_contact_with_a_track_decides():
    # Brushes the side first, then crosses to the front bumper: the second contact no longer counts.
    way = track(0.5, 2.5, speed=10, drift=0.0)
    way["poses"][:, 1] = np.linspace(2.5, -0.5, 51)
    way["poses"][:, 0] += np.linspace(0, 8, 51)
    assert collision(scene(tracks=[way]), straight()) == CLEAR


def test_tracks_met_at_the_start_are_ignored_by_v1_only():
    made = scene(tracks=[track(20, 0, collided=True)])
    assert collision(made, straight(), "pdms") == CLEAR
    assert threat(made, straight(), "pdms") == CLEAR
    assert collision(made, straight(), "epdms")[0] == 0.0


def test_unseen_tracks_do_not_collide():
    assert collision(scene(tracks=[track(20, 0, valid=slice(0, 14))]), straight()) == CLEAR


def test_heading_of_the_first_appearance_decides_nothing():
    turned = track(20, 0)
    turned["heading"] = 2.0
    assert collision(scene(tracks=[turned]), straight()) == (0.0, 14, 0)


def test_time_to_collision_looks_ahead_nine_tenths_of_a_second():
    # 4 m of car and 9 m of look-ahead reach the rear at 18 m from x = 5.
    assert threat(scene(tracks=[track(20, 0)]), straight()) == (0.0, 5, 0)


@pytest.mark.parametrize(("speed", "score"), [(0.0049, 1.0), (0.0051, 0.0)])
def test_time_to_collision_excuses_an_ego_that_stands(speed, score):
    states = straight(speed=0.0)
    states[:, 3] = speed
    assert threat(scene(tracks=[track(5, 0)]), states)[0] == score


def test_a_track_beside_threatens_only_where_the_ego_cuts_in():
    # Met 0.6 s ahead, at 1.8 m ahead and 1.9 m aside of the axle: 47 degrees.
    slow = straight(speed=0.5)
    beside = [track(1.5, 2.5, speed=0.5, size=(2.0, 2.0), drift=-1.0)]
    assert threat(scene(tracks=beside), slow) == CLEAR
    assert threat(scene(tracks=beside, roads=CROSSING), slow) == (0.0, 0, 0)
    higher = [track(1.5, 4.0, speed=0.5, size=(2.0, 2.0), drift=-1.0)]
    assert threat(scene(tracks=higher), straight(y=1.5, speed=0.5)) == (0.0, 0, 0)


def test_a_track_met_behind_is_ignored_from_then_on():
    behind = [track(-4.2, 0.0, speed=2.0)]  # met 0.9 s ahead, when it is 2.4 m behind the axle; overtakes later
    assert threat(scene(tracks=behind, roads=CROSSING), straight(speed=0.5)) == CLEAR


def test_the_bearing_is_that_of_the_track_then_from_the_ego_now():
    # Comes from behind, but is ahead of where the axle is now when it is met 0.6 s later.
    assert threat(scene(tracks=[track(-10.0, 0.0, speed=20.0)]), straight(speed=5.0)) == (0.0, 0, 0)


@pytest.mark.parametrize(("metric", "score"), [("pdms", 0.0), ("epdms", 1.0)])
def test_time_to_collision_stops_at_step_31_in_v2(metric, score):
    late = [track(45.0, 0.0, valid=slice(41, 51))]  # appears after the 4 s, in the look-ahead of the last states
    assert threat(scene(tracks=late), straight(), metric)[0] == score


def ego_areas(y, roads=None, heading=0.0):
    areas = situation(scene(roads=roads), [straight(y=y, heading=heading, speed=0.0)])[2]
    return [bool(value[0, 0, 0]) for value in (areas.multiple_lanes, areas.non_drivable, areas.oncoming)]


def test_ego_areas():
    assert ego_areas(0.0) == [False, False, False]
    assert ego_areas(1.5) == [True, False, False]
    assert ego_areas(2.5) == [True, False, True]
    assert ego_areas(4.0) == [False, False, True]
    assert ego_areas(5.5) == [False, True, True]


def test_a_corner_on_a_lane_border_is_in_neither_lane():
    assert ego_areas(1.0) == [False, False, False]  # left corners at y = 2, the border; the roadblock holds them
    assert ego_areas(-1.0) == [False, True, False]  # right corners at y = -2, the border of everything


def test_a_lane_that_holds_all_corners_outweighs_others():
    wide = [*ROAD, ("lane_connector", False, rectangle(-40, 120, -2, 6))]
    assert ego_areas(1.5, wide) == [False, False, False]


def test_drivable_area_needs_every_state():
    states = straight()
    states[40, 1] = 5.5
    areas = situation(scene(), [straight(), states])[2]
    assert drivable_area(areas).tolist() == [[True, False]]


@pytest.mark.parametrize(("speed", "score"), [(1.8, 1.0), (1.9, 0.5), (5.4, 0.5), (5.5, 0.0)])
def test_driving_direction_sums_eleven_steps(speed, score):
    motion, _, areas, _, config = situation(scene(), [straight(y=4.0, speed=speed)])
    assert driving_direction(motion, areas, config).item() == score


@pytest.mark.parametrize(("metric", "score"), [("pdms", 0.0), ("epdms", 1.0)])
def test_intersections_excuse_direction_in_v2(metric, score):
    motion, _, areas, _, config = situation(scene(roads=CROSSING), [straight(y=4.0)], metric)
    assert driving_direction(motion, areas, config).item() == score


def test_red_lights_are_not_touched_while_they_are_red():
    strip = rectangle(20, 25, -2, 2)
    states = [straight(), straight(speed=4.0), straight(speed=3.975)]  # the front ends at 44, 20 (touching), 19.9 m
    motion, batch, areas, _, _ = situation(scene(lights=[light(strip)]), states)
    assert traffic_light(motion, batch, areas).tolist() == [[False, False, True]]
    early = scene(lights=[light(strip, slice(0, 16)), light(rectangle(90, 95, -2, 2))])
    motion, batch, areas, _, _ = situation(early, states[:1])
    assert traffic_light(motion, batch, areas).tolist() == [[True]]


def test_a_red_connector_between_the_corners_is_touched():
    needle = light(rectangle(20, 20.5, -0.25, 0.25), slice(18, 19))  # under the car at step 18, no corner in it
    motion, batch, areas, _, _ = situation(scene(lights=[needle]), [straight()])
    assert not (areas.corner_bits & batch.index.light_bits.squeeze()).any()
    assert traffic_light(motion, batch, areas).tolist() == [[False]]


def test_raw_progress_is_the_way_of_the_centre_and_never_negative():
    made = scene()
    motion, batch, *_ = situation(made, [straight(), straight(heading=math.pi, speed=3.0)])
    np.testing.assert_allclose(raw_progress(motion, batch.centerline), [[40.0, 0.0]], atol=1e-12)


@pytest.mark.parametrize(
    ("metric", "wanted"),
    # raw 10 and gates 1, 1, 1/2, 0 against PDM-Closed at 20, 4, 4, 4
    [("pdms", [0.5, 1.0, 1.0, 0.0]), ("epdms", [0.5, 1.0, 1.0, 1.0])],
)
def test_progress_compares_each_trajectory_with_the_reference_alone(metric, wanted):
    raw, gates = torch.full((1, 4), 10.0).double(), torch.tensor([[1.0, 1.0, 0.5, 0.0]]).double()
    reference = torch.tensor([[20.0, 4.0, 4.0, 4.0]]).double()
    assert normalized_progress(raw, gates, reference, METRICS[metric]).tolist() == [wanted]


def test_progress_gates_the_numerator_in_v1_only():
    raw, gates, reference = (torch.tensor([[value]]).double() for value in (12.0, 0.5, 8.0))
    assert normalized_progress(raw, gates, reference, PDMS).item() == 0.75
    assert normalized_progress(raw, gates, reference, EPDMS).item() == 1.0


def lane_kept(states, roads=None):
    motion, batch, areas, _, config = situation(scene(roads=roads), [states])
    return lane_keeping(motion, batch, areas, config).item()


def aside(spans, far=0.75):
    states = straight()
    for span in spans:
        states[span, 1] = far
    return states


def test_lane_keeping_allows_nineteen_states_on_end():
    assert lane_kept(aside([slice(3, 22)]))
    assert not lane_kept(aside([slice(3, 23)]))
    assert lane_kept(aside([slice(0, 19), slice(20, 39)]))
    assert lane_kept(aside([slice(None)], far=0.5))


def test_states_in_intersections_neither_count_nor_reset():
    crossing = [*ROAD, ("intersection", False, rectangle(11, 22, -2, 6))]  # the centre is in it at steps 10 to 20
    assert lane_kept(aside([slice(0, 29)]), crossing)  # 10 before, 8 behind
    assert not lane_kept(aside([slice(0, 10), slice(21, 31)]), crossing)  # 10 before, 10 behind


def comfortable(states, metric="epdms", history=None):
    _, batch, *_, config = situation(scene(history=history), [states], metric)
    return comfort(torch.from_numpy(states)[None, None], batch, config).item()


@pytest.mark.parametrize("metric", METRICS)
def test_comfort_bounds(metric):
    history = straight(steps=13)
    assert comfortable(straight(), metric, history)
    for column, value in ((5, 2.41), (5, -4.06), (6, 4.9), (6, -4.9)):
        states, past = straight(), history.copy()
        states[:, column] = past[:, column] = value
        assert not comfortable(states, metric, past), (column, value)
        states[:, column] = past[:, column] = value * 0.99
        assert comfortable(states, metric, past), (column, value)
    states, past = straight(), history.copy()
    past[:, 2], states[:, 2] = 0.096 * np.arange(13), 0.096 * np.arange(13, 54)
    assert not comfortable(states, metric, past)


def test_history_comfort_sees_the_past_and_is_met_without_one():
    past = straight(steps=13)
    past[:6, 5] = 9.0
    assert not comfortable(straight(), history=past)
    assert comfortable(straight(), "pdms", history=past)
    rough = straight()
    rough[:, 5] = 9.0
    assert comfortable(rough, history=None)


def test_history_comfort_is_of_the_centre():
    states, past = straight(), straight(steps=13)
    states[:, 10] = past[:, 10] = 1.61  # 1.5 m of lever: 2.415 m/s^2 by yaw acceleration alone
    assert not comfortable(states, history=past)
    assert comfortable(states, "pdms")


def test_headings_may_wrap():
    history, states = straight(heading=math.pi - 1e-3, steps=13), straight(heading=-math.pi + 1e-3)
    assert comfortable(states, history=history)


@pytest.mark.parametrize(("below", "is_met"), [(4e-9, False), (2e-8, True)])
def test_filtered_quantities_are_rounded_to_eight_decimals(below, is_met):
    states = straight()
    states[:, 5] = 2.4 - below  # within the bound of 2.4, but 4e-9 rounds onto it
    assert comfortable(states, "pdms") is is_met


def test_boxes_against_a_non_convex_red_polygon_agree_with_shapely():
    star = np.array([[0, 9], [3, 3], [9, 3], [4, -1], [6, -9], [0, -4], [-6, -9], [-4, -1], [-9, 3], [-3, 3.0]])
    draw = np.random.default_rng(12)
    poses = np.concatenate((draw.uniform(-14, 14, (300, 2)), draw.uniform(-3, 3, (300, 1))), axis=1)
    states = np.zeros((len(poses), 41, 11))
    states[:, :, :3] = poses[:, None]
    motion, batch, areas, _, _ = situation(scene(lights=[light(star.tolist())]), states)
    corners_x, corners_y = (corner[:, 0, :, 0].T.numpy() for corner in motion.corners())
    boxes = shapely.polygons(np.stack((corners_x, corners_y), axis=-1))
    wanted = shapely.intersects(boxes, shapely.Polygon(star))
    np.testing.assert_array_equal(~traffic_light(motion, batch, areas)[0].numpy(), wanted)
    assert 50 < wanted.sum() < 250
