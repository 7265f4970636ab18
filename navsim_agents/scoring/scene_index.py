"""What is worth working out once a scene: grids over its polygons, its centreline and its red lights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from navsim_agents.scoring.axes import DRIVABLE_LAYERS, INTERSECTION_LAYERS, LANE_LAYERS, Vehicle
from navsim_agents.scoring.config import EPDMS
from navsim_agents.scoring.geometry.areas import Areas, polygon_bits, ring_edges
from navsim_agents.scoring.geometry.near_segments import NearSegments
from navsim_agents.scoring.scene_fields import SceneFields

CENTERLINE_CELL_M = 2.0
LIGHT_CELL_M = 4.0
MAX_LINE_CELLS = 16_384


@dataclass(frozen=True)
class SceneIndex:
    """Grids of B scenes; the polygons of red lights follow the drivable ones as further bits."""

    areas: Areas
    lane_bits: Int[Tensor, "B W"]
    drivable_bits: Int[Tensor, "B W"]
    on_route_bits: Int[Tensor, "B W"]
    intersection_bits: Int[Tensor, "B W"]
    light_bits: Int[Tensor, "B L W"]
    centerline: NearSegments
    lights: NearSegments

    @staticmethod
    def build(scene: SceneFields) -> SceneIndex:
        """Index of one scene, on the CPU."""
        num_areas, num_lights = len(scene.polygon_layer), len(scene.red_light_token)
        total = num_areas + num_lights
        offsets, light_offsets = scene.ring_offsets.cpu().numpy(), scene.red_light_offsets.cpu().numpy()
        xy, light_xy = (value.double().cpu().numpy() for value in (scene.ring_xy, scene.red_light_xy))
        areas = Areas.build(
            np.concatenate((xy, light_xy)),
            np.concatenate((offsets, offsets[-1] + light_offsets[1:])),
            np.concatenate((scene.ring_polygon.cpu().numpy(), num_areas + np.arange(num_lights))),
            total,
        )
        layer = np.array([*scene.polygon_layer, *[""] * num_lights])
        on_route = np.concatenate((scene.polygon_on_route.cpu().numpy(), np.zeros(num_lights, dtype=bool)))
        is_lane = np.isin(layer, LANE_LAYERS)
        vehicle = scene.vehicle.double().cpu()
        reach = float(torch.hypot(vehicle[Vehicle.HALF_LENGTH], vehicle[Vehicle.HALF_WIDTH]))
        light_edges, light = ring_edges(light_xy, light_offsets)
        line = scene.centerline.double().cpu().numpy()
        segments = np.concatenate((line[:-1], line[1:]), axis=1)
        return SceneIndex(
            areas=areas,
            lane_bits=_union(is_lane),
            drivable_bits=_union(np.isin(layer, DRIVABLE_LAYERS)),
            on_route_bits=_union(is_lane & on_route),
            intersection_bits=_union(np.isin(layer, INTERSECTION_LAYERS)),
            light_bits=torch.from_numpy(polygon_bits(num_areas + np.arange(num_lights), total))[None],
            centerline=NearSegments.build(
                segments,
                np.zeros(len(segments), np.int64),
                EPDMS.lane_deviation_m,
                CENTERLINE_CELL_M,
                MAX_LINE_CELLS,
            ),
            lights=NearSegments.build(light_edges, light, reach, LIGHT_CELL_M, MAX_LINE_CELLS),
        )

    @staticmethod
    def concatenate(parts: list[SceneIndex]) -> SceneIndex:
        """Index of several scenes; bits and lights are padded with none."""
        words = max(part.lane_bits.shape[-1] for part in parts)
        lights = max(part.light_bits.shape[1] for part in parts)

        def pad(tables: list[Tensor]) -> Tensor:
            return torch.cat([torch.nn.functional.pad(table, (0, words - table.shape[-1])) for table in tables])

        def pad_lights(table: Tensor) -> Tensor:
            return torch.nn.functional.pad(table, (0, 0, 0, lights - table.shape[1]))

        return SceneIndex(
            areas=Areas.concatenate([part.areas for part in parts]),
            lane_bits=pad([part.lane_bits for part in parts]),
            drivable_bits=pad([part.drivable_bits for part in parts]),
            on_route_bits=pad([part.on_route_bits for part in parts]),
            intersection_bits=pad([part.intersection_bits for part in parts]),
            light_bits=pad([pad_lights(part.light_bits) for part in parts]),
            centerline=NearSegments.concatenate([part.centerline for part in parts]),
            lights=NearSegments.concatenate([part.lights for part in parts]),
        )

    def to(self, device: torch.device) -> SceneIndex:
        """The same index on another device."""
        return SceneIndex(**{name: value.to(device) for name, value in vars(self).items()})


def _union(chosen: np.ndarray) -> Int[Tensor, "1 W"]:
    """The bits of the chosen polygons in one row of words."""
    bits = polygon_bits(np.flatnonzero(chosen), len(chosen))
    return torch.from_numpy(np.bitwise_or.reduce(bits, axis=0))[None]
