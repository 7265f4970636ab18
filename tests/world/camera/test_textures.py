"""Textured towns: plain pictures stay what they were, textures stand still in the town and stay off the street."""

from __future__ import annotations

import numpy as np
import pytest
from shapely.geometry import Polygon
from shapely.ops import unary_union

from navsim_agents.world.camera import Renderer, textured_renderer
from navsim_agents.world.camera.ground import build_ground
from navsim_agents.world.camera.markings import GroundPatch, Material, ground_patches
from navsim_agents.world.camera.mesh import MeshBuilder
from navsim_agents.world.camera.textures import cladding, roadside_textures, textured_patches
from tests.world.camera.worlds import PLAIN, front_camera, make_drive, make_town

NEW = (Material.TAR, Material.CONCRETE)


@pytest.fixture(scope="module")
def patches() -> list[GroundPatch]:
    return list(textured_patches(make_town()))


def test_plain_towns_have_none_of_it() -> None:
    assert not {patch.material for patch in ground_patches(make_town())} & set(NEW)
    assert len(build_ground(make_town()).materials) < len(build_ground(make_town(), True).materials)


def test_a_textured_picture_says_more_where_a_plain_one_is_even() -> None:
    camera = front_camera()
    plain = Renderer(make_town()).render(make_drive(), 0, camera, PLAIN)
    textured = textured_renderer(make_town()).render(make_drive(), 0, camera, PLAIN)
    road = np.s_[-60:, 150:230]  # the ego's own lane, without lines
    assert textured[road].std() > 2 * plain[road].std()
    np.testing.assert_array_equal(textured[:80, :100], plain[:80, :100])  # sky


def test_same_town_same_bytes() -> None:
    pictures = [textured_renderer(make_town()).render(make_drive(), 0, front_camera()) for _ in range(2)]
    np.testing.assert_array_equal(*pictures)


def test_plain_patches_keep_their_order_among_the_others(patches: list[GroundPatch]) -> None:
    """So roads stay below paint, whatever lies between."""
    kept = iter(patches)
    for plain in ground_patches(make_town()):
        assert any(it.material == plain.material and np.array_equal(it.outline, plain.outline) for it in kept)


def test_repairs_lie_below_the_paint_and_wear_above(patches: list[GroundPatch]) -> None:
    materials = [patch.material for patch in patches]
    paint = [index for index, material in enumerate(materials) if material in (Material.WHITE, Material.YELLOW)]
    assert max(index for index, material in enumerate(materials) if material in NEW) < min(paint)
    assert materials[-1] == Material.ASPHALT
    assert max(paint) < len(materials) - 1


def test_repairs_lie_on_or_beside_the_road(patches: list[GroundPatch]) -> None:
    town = make_town()
    near = unary_union([Polygon(lane.polygon) for lane in town.lanes.values()]).buffer(6.0)
    outlines = [Polygon(patch.outline) for patch in patches if patch.material in NEW]
    assert len(outlines) > 50
    assert all(near.contains(outline) and outline.is_valid for outline in outlines)


def test_fences_and_posts_leave_streets_car_parks_and_houses_free() -> None:
    town = make_town()
    solids = roadside_textures(town)
    assert len(solids) > 20
    areas = [*town.lanes.values(), *town.carparks.values(), *town.intersections.values(), *town.buildings.values()]
    taken = unary_union([Polygon(area.polygon) for area in areas])
    assert not any(taken.intersects(Polygon(solid.footprint)) for solid in solids)


def test_cladding_covers_every_bay_of_the_wall_below_its_cornice() -> None:
    """Three bays of 2 m and two floors of 3 m along y, from (1, 5); panels leave 12 cm to the next floor."""
    builder = MeshBuilder()
    cladding(builder, np.array([1.0, 5.0]), np.array([0.0, 1.0]), (2.0, 3), (3.0, 2), (100.0, 50.0, 200.0))
    panels = np.array(builder.rings)
    assert panels.shape == (6, 4, 3)
    assert set(panels[..., 0].ravel()) == {1.0}
    np.testing.assert_allclose(panels.min((0, 1)), [1.0, 5.0, 0.5])
    np.testing.assert_allclose(panels.max((0, 1)), [1.0, 11.0, 6.38])
    areas = np.ptp(panels[..., 1], axis=1) * np.ptp(panels[..., 2], axis=1)
    np.testing.assert_allclose(areas, 2.0 * 2.88)
    tones = np.array(builder.colours) / [100.0, 50.0, 200.0]
    np.testing.assert_allclose(tones, tones[:, :1].repeat(3, axis=1))
    assert len(np.unique(tones[:, 0].round(6))) > 1
