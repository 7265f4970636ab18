"""Tracks every 0.1 s from boxes every 0.5 s, with v2.2's rule for what is annotated once."""

from __future__ import annotations

import numpy as np
import pytest

from navsim_agents.world.scoring_scenes.tracks import NUM_COLUMNS, FrameBoxes, frame_boxes, scene_tracks

ORIGIN = np.array([100.0, -50.0, np.pi / 2])


def boxes(*entries):
    """A frame of (token, type, pose, speed)."""
    tokens, names, poses, speeds = zip(*entries) if entries else ((), (), (), ())
    sizes = np.tile([4.0, 2.0], (len(tokens), 1))
    return FrameBoxes(tokens, names, np.array(poses, dtype=float).reshape(-1, 3), sizes, np.array(speeds, dtype=float))


def frames_of(appearances, token="a", name="vehicle"):
    """Eleven frames in which one object drives 1 m a frame to the north from (100, -40)."""
    return [
        boxes((token, name, (100.0, -40.0 + frame, np.pi / 2), 2.0)) if frame in appearances else boxes()
        for frame in range(11)
    ]


def test_poses_lie_between_the_frames_in_the_ego_frame():
    tracks = scene_tracks(frames_of(range(2, 6)), ORIGIN)
    valid = np.zeros(NUM_COLUMNS, dtype=bool)
    valid[10:26] = True
    np.testing.assert_array_equal(tracks.valid[0], valid)
    expected = 10.0 + np.arange(10, 26) / 5.0  # ahead of the ego, which looks north
    np.testing.assert_allclose(tracks.poses[0, 10:26, 0], expected, atol=1e-12)
    np.testing.assert_allclose(tracks.poses[0, 10:26, 1:], 0.0, atol=1e-12)
    assert (tracks.speeds[0], tracks.headings[0]) == (2.0, 0.0)


def test_an_object_that_vanishes_for_a_while_is_interpolated():
    tracks = scene_tracks(frames_of((1, 4)), ORIGIN)
    assert np.flatnonzero(tracks.valid[0]).tolist() == list(range(5, 21))
    assert tracks.poses[0, 10, 0] == pytest.approx(12.0)


def test_headings_turn_the_shorter_way():
    frames = [boxes(("a", "vehicle", (100.0, -40.0, heading), 2.0)) for heading in (3.1, -3.1)]
    tracks = scene_tracks([*frames, *[boxes()] * 9], np.zeros(3))
    expected = 3.1 + np.arange(6) / 5.0 * (2 * np.pi - 6.2)
    np.testing.assert_allclose(tracks.poses[0, :6, 2], (expected + np.pi) % (2 * np.pi) - np.pi, atol=1e-12)


@pytest.mark.parametrize(
    ("appearances", "v2_columns", "later_columns"),
    [
        ((3,), range(41), range(41, 51)),  # once in all: everywhere in both versions
        ((8, 9, 10), range(41), range(41, 51)),  # once within 4 s: everywhere in v2.2
        ((7, 8), range(35, 41), ()),
        ((3, 10), range(41), range(41, 51)),
        ((3, 4, 10), range(15, 21), range(41, 51)),  # out of sight from 2 s on for v2.2
        ((9, 10), (), range(45, 51)),  # v2.2 does not know it
        ((10,), (), range(41, 51)),
    ],
)
def test_what_is_annotated_once_stands_everywhere(appearances, v2_columns, later_columns):
    tracks = scene_tracks(frames_of(appearances), ORIGIN)
    assert np.flatnonzero(tracks.valid[0]).tolist() == [*v2_columns, *later_columns]


def test_order_is_that_of_appearance_then_of_nuplans_types():
    frames = [boxes()] * 11
    frames[0] = boxes(("cone", "traffic_cone", (0, 0, 0), 0), ("walker", "pedestrian", (0, 0, 0), 1))
    frames[1] = boxes(("cone", "traffic_cone", (0, 0, 0), 0), ("late", "vehicle", (0, 0, 0), 1))
    frames[2] = frames[1]
    assert scene_tracks(frames, ORIGIN).tokens == ("walker", "cone", "late")


def test_a_scene_without_objects_has_none():
    tracks = scene_tracks([boxes()] * 11, ORIGIN)
    assert tracks.poses.shape == (0, NUM_COLUMNS, 3)
    assert tracks.valid.shape == (0, NUM_COLUMNS)


def test_boxes_of_a_frame_are_those_of_the_drive(driven):
    step = 5 * driven.indices[1]
    found = frame_boxes(driven.frames[driven.indices[1]])
    tracks = {track.track_token: track for track in driven.drive.tracks}
    assert len(found.tokens) == sum(bool(track.valid[step]) for track in tracks.values()) > 10
    for row, token in enumerate(found.tokens):
        np.testing.assert_allclose(found.poses[row], tracks[token].poses[step], atol=1e-8)
        speed = (
            np.hypot(*tracks[token].velocities[step]) if found.names[row] in ("vehicle", "pedestrian", "bicycle") else 0
        )
        assert found.speeds[row] == pytest.approx(speed)
