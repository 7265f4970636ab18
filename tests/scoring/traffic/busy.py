"""Dense traffic by seed on a small net of roads, and plans that drive through it."""

from __future__ import annotations

import numpy as np

from tests.scoring.tiny import straight
from tests.scoring.traffic.roads import scene_of, standing, vehicle, way


def bend(x, y, radius, start, turn, spacing=0.7):
    """Poses of a piece of a circle that begins at x, y with heading ``start`` and turns by ``turn``."""
    count = int(radius * abs(turn) / spacing) + 2
    headings = start + np.linspace(0.0, turn, count)
    side = np.sign(turn) * radius
    center = np.array([x - side * np.sin(start), y + side * np.cos(start)])
    xy = center + side * np.stack((np.sin(headings), -np.cos(headings)), axis=1)
    return np.column_stack((xy, headings))


def joined(*pieces):
    """One path; the first point of a piece is the last one of the piece before."""
    return np.concatenate([pieces[0], *(piece[1:] for piece in pieces[1:])])


def roads():
    """Two lanes ahead and one back, a crossing, a lane that joins, a ring, and one that ends early."""
    ring = joined(way(40.0, -60.0, 40.0, -20.0, 60), bend(40.0, -20.0, 20.0, np.pi / 2, 2.5 * np.pi))
    joins = joined(
        way(10.0, -40.0, 10.0, -15.0, 51), bend(10.0, -15.0, 15.0, np.pi / 2, -np.pi / 2), way(25, 0, 120, 0, 150)
    )
    return [
        way(-60.0, 0.0, 130.0, 0.0, 381),
        way(-60.0, 3.4, 130.0, 3.4, 381),
        way(130.0, 7.0, -60.0, 7.0, 381),
        way(30.0, 60.0, 30.0, -60.0, 121),
        joins,
        ring,
        way(-20.0, -0.4, 22.0, 0.3, 61),
    ]


def busy_scene(seed, count=24, one_width=False):
    """A scene whose vehicles are strewn over the roads, some of one size, with parked ones beside."""
    draw, paths = np.random.default_rng(seed), roads()
    vehicles, at_end = [], set()
    for _ in range(count):
        chosen = draw.integers(len(paths))
        path = paths[chosen]
        length = np.hypot(*np.diff(path[:, :2], axis=0).T).sum()
        speed = draw.choice([0.0, draw.uniform(0.0, 15.0)])
        size = (4.0, 2.0) if one_width else (draw.uniform(3.5, 9.0), draw.uniform(1.6, 2.5))
        progress = draw.uniform(0.0, length)
        if draw.random() < 0.2 and chosen not in at_end:  # two at one place would tie at rounding level
            at_end.add(chosen)
            progress = length
        vehicles.append(vehicle(path, progress, speed, wanted=draw.uniform(5.0, 15.0), size=size))
    for _ in range(5):
        vehicles.insert(
            draw.integers(len(vehicles)), standing(draw.uniform(-20, 60), draw.choice([-2.2, 9.4, 1.0]), draw.normal())
        )
    return scene_of(*vehicles, turn=draw.uniform(-3.0, 3.0))


def plans(seed, count):
    """States [count, 41, 11]: they keep on, brake, stand, cut in, turn off, leave backwards at speed."""
    draw, t, all_states = np.random.default_rng(seed), 0.1 * np.arange(41), []
    for number in range(count):
        states = straight(speed=draw.uniform(0.0, 14.0), y=draw.choice([0.0, 3.4]))
        kind = number % 6
        if kind == 1:
            states[:, 0], states[:, 3] = 8.0 * t - np.minimum(t, 3.0) ** 2, np.maximum(8.0 - 2.0 * t, 0.0)
        elif kind == 2:
            states = straight(x=draw.uniform(-5.0, 30.0), y=draw.uniform(-3.0, 6.0), heading=draw.normal(), speed=0.0)
        elif kind == 3:
            states[:, 1] += 3.4 * np.clip(t - draw.uniform(0.0, 2.0), 0.0, 2.0) / 2.0
        elif kind == 4:
            states[:, 2] = -0.3 * t
            states[:, 1] -= 0.15 * states[:, 0] * t
        elif kind == 5:
            states = straight(heading=draw.choice([0.0, np.pi]), speed=draw.uniform(10.0, 30.0))
        all_states.append(states)
    return np.stack(all_states)
