"""The fields of a scoring scene: what is there, of which shape, in which unit, and of which kind in an archive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from jaxtyping import Bool, Float, Int
from torch import Tensor

SCENE_TEXT_KEYS = ("devkit", "token", "log_name", "map_name", "scene_type", "reference_driver")
LIST_TEXT_KEYS = ("polygon_layer", "polygon_token", "track_token", "track_type", "red_light_token")
INTEGER_KEYS = ("ring_offsets", "ring_polygon", "red_light_offsets", "model_knots_us", "sample_times_us")
TRUTH_KEYS = ("ring_is_hole", "polygon_on_route", "track_is_agent", "collided_track", "track_valid", "red_light_active")
ORIGINAL, SYNTHETIC = "original", "synthetic"  # scene_type
PDM_CLOSED = "pdm_closed"  # who drives where nobody says otherwise
OPTIONAL_KEYS = ("model_knots_us", "sample_times_us", "reference_driver")


@dataclass(frozen=True)
class SceneFields:
    """Frames: everything is in the ego's rear-axle frame at t0 (x ahead, y left; m, rad), except ``ego_pose``.

    H history states, M centreline points, V ring vertices, R rings, P polygons, K tracks, T track columns 0.1 s
    apart, L red lights, E vertices of theirs.
    """

    devkit: str  # v1.1 or v2.2: whose rules the cache was built with
    token: str
    log_name: str
    map_name: str
    scene_type: str  # original or synthetic
    timestamp_us: int
    ego_pose: Float[Tensor, " 3"]  # rear axle in the map frame
    ego_state: Float[Tensor, " 11"]
    vehicle: Float[Tensor, " 4"]  # half length, half width, rear axle to centre, wheel base
    history_states: Float[Tensor, "H 11"]
    human_trajectory: Float[Tensor, "8 3"]
    pdm_trajectory: Float[Tensor, "41 11"]
    centerline: Float[Tensor, "M 2"]
    ring_xy: Float[Tensor, "V 2"]
    ring_offsets: Int[Tensor, " R1"]
    ring_polygon: Int[Tensor, " R"]
    ring_is_hole: Bool[Tensor, " R"]
    polygon_layer: tuple[str, ...]
    polygon_token: tuple[str, ...]
    polygon_on_route: Bool[Tensor, " P"]
    track_token: tuple[str, ...]
    track_type: tuple[str, ...]
    track_is_agent: Bool[Tensor, " K"]
    collided_track: Bool[Tensor, " K"]
    track_size: Float[Tensor, "K 2"]  # length, width
    track_speed: Float[Tensor, " K"]  # of the first appearance
    track_heading: Float[Tensor, " K"]  # of the first appearance
    track_poses: Float[Tensor, "K T 3"]
    track_valid: Bool[Tensor, "K T"]
    red_light_token: tuple[str, ...]
    red_light_xy: Float[Tensor, "E 2"]
    red_light_offsets: Int[Tensor, " L1"]
    red_light_active: Bool[Tensor, "L T"]
    model_knots_us: Optional[Int[Tensor, " 9"]] = None
    sample_times_us: Optional[Int[Tensor, " 41"]] = None
    reference_driver: str = PDM_CLOSED  # who drives ``pdm_trajectory``; the built-in world has a driver of its own
