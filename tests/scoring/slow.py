"""Every rule as plain loops over one trajectory, with shapely and scipy: slow, obvious, apart from the fast code."""

from __future__ import annotations

import numpy as np
import shapely
from scipy.signal import savgol_filter
from shapely.geometry import LineString, Point, Polygon

from tests.scoring.slow_simulation import interpolate, simulate

DRIVABLE = ("roadblock", "intersection", "drivable_area", "carpark_area")
LANES = ("lane", "lane_connector")


class SlowScene:
    """Shapely's view of a scoring scene."""

    def __init__(self, scene):
        self.scene = scene
        self.polygons = []
        for number in range(len(scene.polygon_layer)):
            shape = Polygon()
            for ring in range(len(scene.ring_polygon)):
                if int(scene.ring_polygon[ring]) == number:
                    start, end = scene.ring_offsets[ring : ring + 2].tolist()
                    shape = shape.symmetric_difference(Polygon(scene.ring_xy[start:end].numpy()))
            shapely.prepare(shape)
            self.polygons.append(shape)
        self.line = LineString(scene.centerline.numpy())
        offsets = scene.red_light_offsets.tolist()
        self.lights = [Polygon(scene.red_light_xy[a:b].numpy()) for a, b in zip(offsets[:-1], offsets[1:])]

    def inside(self, layers, point, on_route=False):
        """Numbers of the polygons of these layers that contain the point."""
        return {
            number
            for number, layer in enumerate(self.scene.polygon_layer)
            if layer in layers
            and (not on_route or bool(self.scene.polygon_on_route[number]))
            and self.polygons[number].contains(point)
        }

    def track_box(self, track, step):
        """The track's box, or None where it is not seen."""
        if not bool(self.scene.track_valid[track, step]):
            return None
        x, y, heading = self.scene.track_poses[track, step].tolist()
        length, width = self.scene.track_size[track].tolist()
        return box(x, y, heading, length / 2, width / 2)


def box(x, y, heading, half_length, half_width):
    """Front left, rear left, rear right, front right."""
    along = np.array([np.cos(heading), np.sin(heading)]) * half_length
    left = np.array([-np.sin(heading), np.cos(heading)]) * half_width
    center = np.array([x, y])
    return Polygon([center + along + left, center - along + left, center - along - left, center + along - left])


def bearing_deg(state, point):
    """Angle between the heading and the way from the rear axle to a point."""
    way = np.array([point.x - state[0], point.y - state[1]])
    cosine = way @ [np.cos(state[2]), np.sin(state[2])] / np.linalg.norm(way)
    return np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))


def score_one(slow, states, metric):
    """Sub-scores of one simulated trajectory, with raw progress."""
    scene = slow.scene
    half_length, half_width, ahead, _ = scene.vehicle.tolist()
    headings = states[:, 2]
    centers = states[:, :2] + ahead * np.stack((np.cos(headings), np.sin(headings)), axis=1)
    boxes = [box(*center, heading, half_length, half_width) for center, heading in zip(centers, headings)]
    areas = [ego_areas(slow, polygon, center) for polygon, center in zip(boxes, centers)]
    in_crossing = [bool(slow.inside(("intersection",), Point(center))) for center in centers]
    speeds = np.hypot(states[:, 3], states[:, 4])
    no_collision, collision_step = no_at_fault_collision(slow, states, speeds, boxes, areas, metric)
    ttc, ttc_step = time_to_collision(slow, states, speeds, centers, areas, metric)
    result = {
        "no_at_fault_collisions": no_collision,
        "collision_step": collision_step,
        "time_to_collision_within_bound": ttc,
        "ttc_step": ttc_step,
        "drivable_area_compliance": float(not any(area[1] for area in areas)),
        "driving_direction_compliance": driving_direction(centers, areas, in_crossing, metric),
        "raw_progress": max(0.0, slow.line.project(Point(centers[-1])) - slow.line.project(Point(centers[0]))),
        "ego_areas": np.array(areas),
    }
    if metric == "epdms":
        red = scene.red_light_active.numpy()
        crossed = [
            red[k, s] and boxes[s].intersects(slow.lights[k]) for k in range(len(slow.lights)) for s in range(41)
        ]
        result["traffic_light_compliance"] = float(not any(crossed))
        result["lane_keeping"] = lane_keeping(slow, centers, in_crossing)
        history = scene.history_states.numpy()
        whole = np.concatenate((history, states))
        result["history_comfort"] = float(len(history) == 0 or comfort(whole, metric, ahead))
    else:
        result["comfort"] = float(comfort(states, metric, ahead))
    return result


def ego_areas(slow, polygon, center):
    """Multiple lanes, non-drivable, oncoming."""
    corners = [Point(corner) for corner in polygon.exterior.coords[:4]]
    lanes = [slow.inside(LANES, corner) for corner in corners]
    multiple = len(set.union(*lanes)) > 1 and not set.intersection(*lanes)
    off_road = any(not slow.inside(DRIVABLE, corner) for corner in corners)
    return multiple, off_road, not slow.inside(LANES, Point(center), on_route=True)


def no_at_fault_collision(slow, states, speeds, boxes, areas, metric):
    scene, score, first = slow.scene, 1.0, np.inf
    for track in range(len(scene.track_token)):
        if metric == "pdms" and bool(scene.collided_track[track]):
            continue
        for step in range(41):
            other = slow.track_box(track, step)
            if other is None or not boxes[step].intersects(other):
                continue
            is_agent = bool(scene.track_is_agent[track])
            corners = boxes[step].exterior.coords
            if speeds[step] <= 0.05:
                fault = False
            elif not is_agent or float(scene.track_speed[track]) <= 0.05:
                fault = True
            elif bearing_deg(states[step], other.centroid) > 150:
                fault = False
            elif LineString([corners[0], corners[3]]).intersects(other):
                fault = True
            else:
                fault = areas[step][0] or areas[step][1]
            if fault:
                score, first = min(score, 0.0 if is_agent else 0.5), min(first, step)
            break
    return score, first


def time_to_collision(slow, states, speeds, centers, areas, metric):
    scene, first = slow.scene, np.inf
    half_length, half_width = scene.vehicle[:2].tolist()
    for track in range(len(scene.track_token)):
        if metric == "pdms" and bool(scene.collided_track[track]):
            continue
        step, contact = first_threat(slow, track, states, speeds, centers, half_length, half_width, metric)
        if contact is None:
            continue
        angle = bearing_deg(states[step], contact.centroid)
        crossing = slow.inside(("intersection",), Point(states[step, :2]))
        if angle < 30 or ((areas[step][0] or areas[step][1] or crossing) and not angle > 150):
            first = min(first, step)
    return float(np.isinf(first)), first


def first_threat(slow, track, states, speeds, centers, half_length, half_width, metric):
    """Step and track box of the first contact of a moving ego, in order of step, then look-ahead."""
    for step in range(41 if metric == "pdms" else 32):
        if speeds[step] < 5e-3:
            continue
        heading = states[step, 2]
        for offset in (0, 3, 6, 9):
            way = speeds[step] * offset * 0.1
            x, y = centers[step] + way * np.array([np.cos(heading), np.sin(heading)])
            other = slow.track_box(track, step + offset)
            if other is not None and box(x, y, heading, half_length, half_width).intersects(other):
                return step, other
    return None, None


def driving_direction(centers, areas, in_crossing, metric):
    ways = [0.0]
    for step in range(1, 41):
        excused = not areas[step][2] or (metric == "epdms" and in_crossing[step])
        ways.append(0.0 if excused else float(np.linalg.norm(centers[step] - centers[step - 1])))
    longest = max(sum(ways[max(0, step - 10) : step + 1]) for step in range(41))
    return 1.0 if longest < 2.0 else 0.5 if longest < 6.0 else 0.0


def lane_keeping(slow, centers, in_crossing):
    run = 0
    for center, crossing in zip(centers, in_crossing):
        if crossing:
            continue
        run = run + 1 if slow.line.distance(Point(center)) > 0.5 else 0
        if run >= 20:
            return 0.0
    return 1.0


def comfort(states, metric, lever):
    count = len(states)
    whole = metric == "pdms"
    ahead, aside = states[:, 5].copy(), states[:, 6]
    if not whole:
        ahead += lever * (states[:, 9] ** 2 + states[:, 10])

    def smooth(signal, window=8):
        return np.round(savgol_filter(signal, min(window, count), 2), 8)

    def rate(signal, window, order=2, deriv=1):
        return np.round(savgol_filter(signal, min(window, count), order, deriv=deriv, delta=0.1), 8)

    headings = np.unwrap(states[:, 2])
    window, jerk_window = (count, count) if whole else (8, 15)
    magnitude = np.hypot(states[:, 5], states[:, 6])
    lon = smooth(ahead, window)
    return bool(
        (lon > -4.05).all()
        and (lon < 2.40).all()
        and (abs(smooth(aside, window)) < 4.89).all()
        and (abs(rate(smooth(magnitude), jerk_window)) < 8.37).all()
        and (abs(rate(smooth(ahead), jerk_window)) < 4.13).all()
        and (abs(rate(headings, 5, 3, 2)) < 1.93).all()
        and (abs(rate(headings, 5)) < 0.95).all()
    )


class SlowScorer:
    """Scores trajectories of one scene, each alone against PDM-Closed."""

    def __init__(self, scene, metric):
        self.slow, self.metric = SlowScene(scene), metric
        self.reference = score_one(self.slow, simulate(scene, scene.pdm_trajectory[:, :3].numpy()), metric)

    def score(self, poses, interval_s=0.5):
        """All columns of one trajectory [P, 3], with steps and areas."""
        scene, metric, theirs = self.slow.scene, self.metric, self.reference
        mine = score_one(self.slow, simulate(scene, interpolate(scene, poses, interval_s)), metric)
        names = ["no_at_fault_collisions", "drivable_area_compliance"]
        if metric == "epdms":
            names += ["driving_direction_compliance", "traffic_light_compliance"]
        gate, their_gate = (np.prod([result[name] for name in names]) for result in (mine, theirs))
        best = max(mine["raw_progress"] * gate, theirs["raw_progress"] * their_gate)
        if metric == "pdms":
            progress = mine["raw_progress"] * gate / best if best > 5.0 else float(gate != 0)
            parts, weights = [progress, mine["time_to_collision_within_bound"], mine["comfort"]], [5, 5, 2]
        else:
            progress = float(np.clip(mine["raw_progress"] / best, 0, 1)) if best > 5.0 else 1.0
            parts = [progress, mine["time_to_collision_within_bound"], mine["lane_keeping"], mine["history_comfort"]]
            weights = [5, 5, 2, 2]
        mine["ego_progress"] = progress
        mine["score" if metric == "pdms" else "pdm_score"] = gate * np.dot(parts, weights) / sum(weights)
        return mine
