"""Packed pixels, canvas, ground relief and sky, against plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from navsim_agents.world.camera import default_cameras
from navsim_agents.world.camera.canvas import Canvas
from navsim_agents.world.camera.horizon import find_horizon
from navsim_agents.world.camera.noise import tileable_noise
from navsim_agents.world.camera.packed import halved, laid_over, pack, unpack
from navsim_agents.world.camera.polygons import make_polygons
from navsim_agents.world.camera.relief import cast_ground_rays
from navsim_agents.world.camera.view import view_from


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (*shape, 4), dtype=np.uint8)


def test_packing_shares_memory_and_keeps_channels():
    channels = _random(2, 3)
    pixels = pack(channels)
    assert pixels.shape == (2, 3)
    assert np.shares_memory(pixels, channels)
    np.testing.assert_array_equal(unpack(pixels), channels)


def test_halving_is_the_mean_of_four_samples():
    samples = _random(10, 14)
    exact = samples.reshape(5, 2, 7, 2, 4).astype(float).mean(axis=(1, 3))
    found = unpack(halved(pack(samples)))
    assert np.abs(found - exact).max() < 1.0
    assert abs((found - exact).mean()) < 0.2


def test_halving_agrees_with_pillow_within_one_level():
    samples = _random(6, 8)
    reduced = Image.frombytes("CMYK", (8, 6), samples.tobytes()).reduce(2)
    assert np.abs(np.asarray(reduced).astype(int) - unpack(halved(pack(samples)))).max() <= 1


def test_even_samples_keep_their_value():
    samples = np.repeat(np.repeat(_random(3, 5), 2, axis=0), 2, axis=1)
    np.testing.assert_array_equal(unpack(halved(pack(samples))), samples[::2, ::2])


def test_laying_over_weighs_by_coverage():
    below, layer = _random(4, 5), _random(4, 5)
    cover = np.random.default_rng(4).choice([0, 64, 128, 191, 255], (4, 5, 1)).astype(np.uint8)
    layer = np.concatenate((layer[..., :3] * (cover / 255.0), cover), axis=-1).astype(np.uint8)
    found = unpack(laid_over(pack(layer), pack(below)))[..., :3]
    exact = layer[..., :3] + below[..., :3] * (1.0 - cover / 255.0)
    assert np.abs(found - exact).max() < 2.0
    full, none = cover[..., 0] == 255, cover[..., 0] == 0
    np.testing.assert_array_equal(found[full], layer[..., :3][full])
    np.testing.assert_array_equal(found[none], below[..., :3][none])


def test_canvas_paints_into_its_array_and_forgets_the_last_picture():
    camera = default_cameras()["cam_f0"].scaled(12, 8)
    view, canvas = view_from(camera, np.zeros(3)), Canvas(12, 8)
    wall = np.array([[5.0, 50.0, -50.0], [5.0, -50.0, -50.0], [5.0, -50.0, 50.0], [5.0, 50.0, 50.0]])
    canvas.start((0, 0, 0, 0))
    canvas.paint(view, make_polygons([wall]), np.array([[9, 8, 7, 255]], dtype=np.uint8))
    assert canvas.samples_of_rows().shape == (16, 24, 4)
    assert (canvas.samples_of_rows() == [9, 8, 7, 255]).all()
    canvas.start((1, 2, 3, 4), first_row=5)
    assert canvas.samples_of_rows().shape == (6, 24, 4)
    assert (canvas.samples_of_rows() == [1, 2, 3, 4]).all()


def test_rows_from_the_first_are_painted_in_place():
    camera = default_cameras()["cam_f0"].scaled(24, 16)
    view = view_from(camera, np.zeros(3))
    patch = make_polygons([np.array([[8.0, 1.0, 0.0], [3.5, 1.0, 0.0], [3.5, -1.0, 0.0], [8.0, -1.0, 0.0]])])
    ink, sheets = np.array([[250, 0, 0, 255]], dtype=np.uint8), []
    for first_row in (0, 9):
        canvas = Canvas(24, 16)
        canvas.start((0, 0, 0, 0), first_row)
        canvas.paint(view, patch, ink)
        sheets.append(canvas.samples_of_rows())
    assert sheets[0][..., 0].any()
    np.testing.assert_array_equal(sheets[0][18:], sheets[1])


def test_ground_rays_agree_with_the_camera_model():
    camera = default_cameras()["cam_r1"].scaled(40, 24)
    pose = np.array([3.0, -2.0, 0.7])
    view = view_from(camera, pose)
    rays = cast_ground_rays(view, first_row=14)
    v, u = np.meshgrid(14.5 + 2 * np.arange(5), 0.5 + 2 * np.arange(20), indexing="ij")
    local = camera.pixels_to_ground(np.stack((u, v), axis=-1))
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    x = pose[0] + cos * local[..., 0] - sin * local[..., 1] - view.position[0]
    y = pose[1] + sin * local[..., 0] + cos * local[..., 1] - view.position[1]
    np.testing.assert_allclose(rays.x, x, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(rays.y, y, rtol=1e-4, atol=1e-3)


def test_horizon_of_a_level_camera_is_a_row():
    camera = default_cameras()["cam_f0"]  # principal row 560
    horizon = find_horizon(view_from(camera, np.array([5.0, 5.0, 1.0])))
    assert (horizon.first_ground_row, horizon.num_sky_rows) == (560, 560)
    assert horizon.is_ground.size == 0


def test_noise_repeats_without_a_seam():
    field = tileable_noise(64, (8, 16), seed=3)
    assert field.shape == (64, 64)
    assert np.abs(field).max() == pytest.approx(1.0)
    across_the_seam = np.abs(field[:, 0] - field[:, -1]).mean()
    assert across_the_seam < 2.0 * np.abs(np.diff(field, axis=1)).mean()
    np.testing.assert_array_equal(field, tileable_noise(64, (8, 16), seed=3))
