"""Rendered pictures, against independent projections of what they ought to show."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from navsim_agents.errors import InputError
from navsim_agents.world.camera import CameraModel, Renderer, default_cameras, lighting_of
from navsim_agents.world.types import AgentType, Light
from tests.world.camera.worlds import (
    LOCATION,
    PLAIN,
    POLE,
    SMALL,
    STEPS,
    front_camera,
    make_drive,
    make_town,
    make_track,
    moved_drive,
    moved_town,
)

EGO = (0.0, -1.75, 0.0)
PINK = (200, 40, 160)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(make_town())


def _differs(first: np.ndarray, second: np.ndarray, by: int = 8) -> np.ndarray:
    return (np.abs(first.astype(int) - second.astype(int)) > by).any(axis=-1)


def _box_corners(track) -> np.ndarray:
    """The eight corners [8, 3] of a track's box in the ego frame of EGO."""
    length, width, height = track.size
    x, y, heading = track.poses[0]
    signs = np.array([[sx, sy, sz] for sx in (-0.5, 0.5) for sy in (-0.5, 0.5) for sz in (0.0, 1.0)])
    local = signs * [length, width, height]
    turn = np.array([[np.cos(heading), np.sin(heading)], [-np.sin(heading), np.cos(heading)]])
    return np.column_stack((local[:, :2] @ turn + [x, y] - [EGO[0], EGO[1]], local[:, 2]))


def _opencv_pixels(points: np.ndarray, camera: CameraModel) -> np.ndarray:
    inverse = camera.sensor2lidar_rotation.T
    shift = -inverse @ camera.sensor2lidar_translation
    pixels, _ = cv2.projectPoints(points, cv2.Rodrigues(inverse)[0], shift, camera.intrinsics, np.zeros(5))
    return pixels[:, 0]


def _hull_mask(pixels: np.ndarray, camera: CameraModel) -> np.ndarray:
    mask = np.zeros((camera.height, camera.width), np.uint8)
    hull = cv2.convexHull(np.rint(pixels * 16).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, 1, shift=4)
    return mask.astype(bool)


@pytest.mark.parametrize(
    ("kind", "overlap"), [(AgentType.GENERIC_OBJECT, 0.96), (AgentType.BARRIER, 0.96), (AgentType.VEHICLE, 0.80)]
)
@pytest.mark.parametrize("pose", [(15.0, -1.0, 0.4), (11.0, -4.0, -1.2), (25.0, 3.0, 2.8)])
def test_a_box_fills_the_region_of_its_projected_corners(renderer, kind: AgentType, overlap: float, pose):
    track, camera = make_track(pose, kind=kind), front_camera(640, 360)
    changed = _differs(
        renderer.render(make_drive(track), 0, camera, PLAIN), renderer.render(make_drive(), 0, camera, PLAIN)
    )
    expected = _hull_mask(_opencv_pixels(_box_corners(track), camera), camera)
    near = cv2.dilate(expected.astype(np.uint8), np.ones((3, 3))) > 0
    contact = _hull_mask(_opencv_pixels(_box_corners(track) * [1, 1, 0], camera), camera)
    contact = cv2.dilate(contact.astype(np.uint8), np.ones((23, 23))) > 0  # the soft dark patch beneath
    assert (changed & expected).sum() / expected.sum() > overlap
    assert not (changed & ~near & ~contact).any()


def test_colour_of_a_plain_box_in_plain_light(renderer):
    picture = renderer.render(make_drive(make_track((15.0, -1.75, 0.0))), 0, front_camera(), PLAIN)
    pixel = np.rint(front_camera().project([13.0, 0.0, 0.75])[0]).astype(int)
    np.testing.assert_allclose(picture[pixel[1], pixel[0]], np.array(PINK) * 0.82, atol=1.0)  # an upright face


@pytest.mark.parametrize("light", list(Light))
def test_the_lit_lamp_shines_where_the_head_projects(renderer, light: Light):
    camera = front_camera(1920, 1080)
    picture = renderer.render(make_drive(light=light), 0, camera)
    rows = {Light.RED: 0.4, Light.YELLOW: 0.0, Light.GREEN: -0.4}
    colours = {}
    for lamp, offset in rows.items():
        u, v = camera.project(POLE + np.array([-0.25, 1.75, offset]))[0]  # EGO is 1.75 m right of the map's x axis
        colours[lamp] = picture[round(v), round(u)].astype(int)
    red, green, _ = colours[light]
    assert {Light.RED: red > 200 > 3 * green, Light.YELLOW: min(red, green) > 150, Light.GREEN: green > 200 > 3 * red}[
        light
    ]
    assert all(colour.max() < 110 for lamp, colour in colours.items() if lamp is not light)


def test_a_drive_without_lights_shows_dark_lamps(renderer):
    dark = renderer.render(replace(make_drive(), lights={}), 0, front_camera(), PLAIN)
    red = renderer.render(make_drive(light=Light.RED), 0, front_camera(), PLAIN)
    assert _differs(dark, red, by=60).any()


def test_nearer_hides_farther_whatever_the_order_of_tracks(renderer):
    near = make_track((14.0, -1.75, 0.0), color=(240, 240, 240), token="00000000000000b1")
    far = make_track((24.0, -1.75, 0.0), size=(4.0, 1.2, 1.2), color=(0, 0, 200), token="00000000000000b2")
    camera = front_camera()
    alone = renderer.render(make_drive(near), 0, camera, PLAIN)
    both = renderer.render(make_drive(near, far), 0, camera, PLAIN)
    np.testing.assert_array_equal(both, renderer.render(make_drive(far, near), 0, camera, PLAIN))
    hidden = _hull_mask(_opencv_pixels(_box_corners(near), camera), camera)
    hidden = cv2.erode(hidden.astype(np.uint8), np.ones((3, 3))) > 0
    np.testing.assert_array_equal(both[hidden], alone[hidden])


def test_same_input_same_bytes(renderer):
    drive, camera = make_drive(make_track((15.0, -1.75, 0.0))), front_camera()
    first = renderer.render(drive, 1, camera)
    renderer.render(make_drive(ego=(5.0, 2.0, 1.0)), 0, default_cameras()["cam_l0"].scaled(200, 100))
    np.testing.assert_array_equal(renderer.render(drive, 1, camera), first)
    np.testing.assert_array_equal(Renderer(make_town()).render(drive, 1, camera), first)


def test_picture_is_writable_rgb_bytes(renderer):
    picture = renderer.render(make_drive(), 0, front_camera(77, 41))
    assert picture.shape == (41, 77, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    assert picture.flags.writeable


def test_a_scaled_camera_sees_the_downscaled_picture(renderer):
    drive = make_drive(make_track((15.0, -1.75, 0.3), kind=AgentType.VEHICLE))
    small = renderer.render(drive, 0, front_camera(640, 360)).astype(int)
    large = Image.fromarray(renderer.render(drive, 0, front_camera(1920, 1080)))
    shrunk = np.asarray(large.resize((640, 360), Image.Resampling.BOX)).astype(int)
    assert np.abs(small - shrunk).mean() < 2.0  # of 255; the ground's grain fades by pixel size
    assert np.abs(small.mean(axis=(0, 1)) - shrunk.mean(axis=(0, 1))).max() < 1.0


def test_the_centre_line_is_where_its_ground_points_project(renderer):
    camera = front_camera(960, 540)
    picture = renderer.render(make_drive(), 0, camera, PLAIN).astype(int)
    yellow = (picture[..., 0] - picture[..., 2] > 60) & (picture[..., 1] - picture[..., 2] > 40)
    for x in (8.0, 12.0, 20.0):
        (u, v), _ = camera.project([x, -0.11 - EGO[1], 0.0])  # the right one of two lines, 0.11 m off the middle
        assert yellow[round(v), round(u)]
        (left, _), _ = camera.project([x, 0.0 - EGO[1], 0.0])  # between the two lines
        row = np.flatnonzero(yellow[round(v)])
        assert abs(row.mean() - left) < 1.0


def test_dashes_and_edge_lines_are_white_on_grey(renderer):
    camera = front_camera(1920, 1080)
    picture = renderer.render(make_drive(), 0, camera, PLAIN).astype(int)

    def colour_at(x: float, y: float) -> np.ndarray:
        u, v = camera.project([x, y - EGO[1], 0.0])[0]
        return picture[round(v), round(u)]

    # Dashes of 3 m each 9 m, the first from 3 m after the lane's start at x = -50: one is at 16 .. 19.
    assert colour_at(17.5, -3.5).min() > 200
    assert colour_at(13.0, -3.5).max() < 140
    assert colour_at(14.5, -7.0 + 0.22).min() > 200
    assert colour_at(29.25, -3.0).min() > 200  # stop line


@pytest.mark.parametrize(("speeds", "is_lit"), [((6.0, 5.7, 5.4), True), ((6.0, 6.0, 6.0), False), ((0.0,) * 3, False)])
def test_brake_lamps_shine_when_slowing_down(renderer, speeds: tuple[float, ...], is_lit: bool):
    track = make_track((14.0, -1.75, 0.0), kind=AgentType.VEHICLE, color=(90, 90, 90), speeds=speeds)
    picture = renderer.render(make_drive(track), 1, front_camera(1920, 1080), PLAIN).astype(int)
    rear = picture[560:700, 800:1120]
    assert ((rear[..., 0] > 230) & (rear[..., 1] < 80)).any() == is_lit


@pytest.mark.parametrize("motion", [(409.6 * 1600, 409.6 * 9700, 0.0), (664_400.0, 3_997_500.0, 0.0)])
def test_moving_the_whole_world_changes_nothing(renderer, motion: tuple[float, float, float]):
    drive = make_drive(make_track((15.0, -1.75, 0.3), kind=AgentType.VEHICLE))
    still = renderer.render(drive, 0, front_camera(), PLAIN)
    moved = Renderer(moved_town(make_town(), np.array(motion)))
    picture = moved.render(moved_drive(drive, np.array(motion)), 0, front_camera(), PLAIN)
    repeats = motion[0] % 409.6 == 0.0  # the ground's grain repeats after so many metres
    assert np.abs(picture.astype(int) - still.astype(int)).mean() < (0.02 if repeats else 1.5)


def test_turning_the_whole_world_turns_the_view_with_it():
    town, drive, motion = make_town(), make_drive(make_track((15.0, -1.0, 0.3))), np.array([3.0, -8.0, 2.0])
    still = Renderer(town).render(drive, 0, front_camera(), PLAIN)
    turned = Renderer(moved_town(town, motion)).render(moved_drive(drive, motion), 0, front_camera(), PLAIN)
    below = slice(125, None)  # clouds and the rim of the world belong to the compass, not to the town
    assert np.abs(turned[below].astype(int) - still[below].astype(int)).mean() < 2.5


@pytest.mark.parametrize("kind", list(AgentType))
def test_every_kind_of_track_shows(renderer, kind: AgentType):
    track = make_track((9.0, -1.75, 0.5), size=(1.2, 0.7, 1.6), kind=kind, speeds=(1.0,) * STEPS)
    camera = front_camera()
    changed = _differs(renderer.render(make_drive(track), 2, camera), renderer.render(make_drive(), 2, camera))
    assert changed.sum() > 60


def test_lorries_and_buses_of_every_size(renderer):
    for size in ((8.0, 2.5, 3.5), (12.0, 2.6, 3.2), (5.2, 2.0, 2.5), (7.0, 2.2, 2.0)):
        track = make_track((20.0, -1.75, 0.8), size=size, kind=AgentType.VEHICLE)
        camera = front_camera()
        changed = _differs(renderer.render(make_drive(track), 0, camera), renderer.render(make_drive(), 0, camera))
        expected = _hull_mask(_opencv_pixels(_box_corners(track), camera), camera)
        assert (changed & expected).sum() > 0.75 * expected.sum()


def test_invalid_tracks_do_not_show(renderer):
    track = make_track((15.0, -1.75, 0.0))
    gone = replace(track, valid=np.array([True, False, True]))
    np.testing.assert_array_equal(
        renderer.render(make_drive(gone), 1, front_camera()), renderer.render(make_drive(), 1, front_camera())
    )


@pytest.mark.parametrize(
    "ego", [(0.0, 0.0, 0.0), (16.0, 19.0, 1.0), (39.0, -6.0, 0.0), (4e4, -4e4, 2.0), (13.5, 0, 3.0)]
)
def test_nothing_fails_wherever_the_ego_stands(renderer, ego: tuple[float, float, float]):
    tracks = [make_track((14.0, 0.0, 0.2), kind=AgentType.VEHICLE), make_track((0.0, 0.0, 0.0), size=(50.0, 9.0, 4.0))]
    for camera in default_cameras().values():
        picture = renderer.render(make_drive(*tracks, ego=ego), 0, camera.scaled(96, 54))
        assert picture.std() > 0.0


def _rolled(angles: tuple[float, float]) -> CameraModel:
    """The front camera rolled about its axis, then pitched up."""
    roll, pitch = np.deg2rad(angles)
    about_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    camera = front_camera(192, 108)
    return replace(camera, sensor2lidar_rotation=camera.sensor2lidar_rotation @ about_x @ about_z)


@pytest.mark.parametrize("angles", [(8.0, 0.0), (-90.0, 0.0), (180.0, 5.0), (0.0, 90.0), (0.0, -90.0), (3.0, 60.0)])
def test_any_attitude_of_the_camera_shows_sky_above_the_horizon(renderer, angles: tuple[float, float]):
    camera = _rolled(angles)
    picture = renderer.render(make_drive(), 0, camera, PLAIN).astype(int)
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    rise = camera.rays(np.stack((u, v), axis=-1))
    rise = rise[..., 2] / np.linalg.norm(rise, axis=-1)
    is_blue = picture[..., 2] - picture[..., 0] > 12
    open_sky, ground = rise > 0.45, rise < -0.05
    assert is_blue[open_sky].mean() > 0.9 if open_sky.any() else ground.any()
    assert is_blue[ground].mean() < 0.02 if ground.any() else open_sky.any()


def test_light_follows_the_name_of_the_drive(renderer):
    names = [f"log-{k}" for k in range(6)]
    pictures = [renderer.render(make_drive(name=name), 0, front_camera(96, 54)) for name in names]
    brightness = [picture.mean() for picture in pictures]
    assert len({round(value, 3) for value in brightness}) > 3
    assert all(60.0 < value < 200.0 for value in brightness)
    assert lighting_of("log-1").sky_seed == lighting_of("log-1").sky_seed != lighting_of("log-2").sky_seed


def test_haze_grows_with_distance_and_stays_partial():
    share = lighting_of("any").haze([0.0, 10.0, 50.0, 300.0, np.inf])
    assert share[0] == share[1] == 0.0
    assert (np.diff(share[1:]) > 0.0).all()
    assert share[-1] < 1.0


def test_a_bare_town_renders():
    bare = replace(make_town(), lanes={}, intersections={}, stop_lines={}, crosswalks={}, walkways={}, carparks={})
    bare = replace(bare, buildings={}, light_poles=(), roadblocks={})
    assert Renderer(bare).render(make_drive(), 0, front_camera()).shape == (SMALL[1], SMALL[0], 3)


@pytest.mark.parametrize("step", [-1, STEPS])
def test_a_step_outside_the_drive_is_refused(renderer, step: int):
    with pytest.raises(InputError, match=f"step is {step}, but log has the steps 0 to 2"):
        renderer.render(make_drive(), step, front_camera())


def test_a_drive_through_another_town_is_refused(renderer):
    with pytest.raises(InputError, match=f"through sg-one-north, but this renderer holds {LOCATION}"):
        renderer.render(replace(make_drive(), location="sg-one-north"), 0, front_camera())
