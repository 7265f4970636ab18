"""From a town and a log's frames to scoring scenes, one for each scene that NAVSIM's loader would yield.

Values are those that the unmodified devkit v2.2 puts into its metric cache for the same world; the only exception is
``pdm_trajectory``, which the caller fills (see ``reference.py``): here it stands still.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Union

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float64
from torch import Tensor

from navsim_agents.common.agent_types import AGENT_NAMES
from navsim_agents.common.conventions import (
    EGO_MEASURES_M,
    NUM_FUTURE_FRAMES,
    NUM_HISTORY_FRAMES,
    NUM_POSES,
    NUM_STATES,
    POSE_INTERVAL_S,
)
from navsim_agents.common.poses import HEADING, POSE, XY
from navsim_agents.data.logs import split_into_scenes
from navsim_agents.data.scene import LogFrame
from navsim_agents.poses import points_to_local, poses_to_local
from navsim_agents.scoring.scene import ScoringScene
from navsim_agents.scoring.scene_parts import area_fields, as_tensor, local_states, ring_offsets
from navsim_agents.scoring.simulation.reference import knot_times_us, sample_times_us
from navsim_agents.scoring.traffic.record import Arrays, replayed_arrays
from navsim_agents.world.curves import unit
from navsim_agents.world.fleet import EGO_BODY
from navsim_agents.world.scoring_scenes import ego
from navsim_agents.world.scoring_scenes.lights import RedLights, red_lights
from navsim_agents.world.scoring_scenes.reacting import reacting_arrays
from navsim_agents.world.scoring_scenes.route import centerline, lanes_of_route, starting_lane, without_loops
from navsim_agents.world.scoring_scenes.town_map import TownMap
from navsim_agents.world.scoring_scenes.tracks import (
    NUM_COLUMNS,
    FrameBoxes,
    SceneTracks,
    frame_boxes,
    scene_tracks,
    touching_ego,
)

DEVKIT = "v2.2"
REFERENCE_DRIVER = "navsim_agents.world"  # the driver in PDM-Closed's role in these scenes
NOW = NUM_HISTORY_FRAMES - 1


class SceneBuilder:
    """Builds the scenes of one log; what its scenes share is worked out once."""

    def __init__(self, town_map: TownMap, frames: Sequence[LogFrame]) -> None:
        self._map = town_map
        self._frames = list(frames)
        self._states = ego.global_states(frames) if frames else np.zeros((0, ego.NUM_STATE_COLUMNS))
        self._boxes = [frame_boxes(frame) for frame in frames]
        self._times = np.array([frame["timestamp"] for frame in frames], dtype=np.int64)
        self._route = lru_cache(maxsize=None)(lambda blocks: without_loops(town_map, blocks))
        self._centerline = lru_cache(maxsize=None)(lambda blocks, lane: centerline(town_map, blocks, lane))

    def indices(self) -> list[int]:
        """Index of the current frame of every scene with a route, as SceneLoader(frame_interval=1) takes them."""
        windows = split_into_scenes(self._frames, NUM_HISTORY_FRAMES + NUM_FUTURE_FRAMES, 1)
        return [start + NOW for start, window in enumerate(windows) if window[NOW]["roadblock_ids"]]

    def start(self, index: int) -> tuple[tuple[str, ...], str]:
        """Route without loops and starting lane of the scene whose current frame is ``index``."""
        route = self._route(tuple(self._frames[index]["roadblock_ids"]))
        return route, starting_lane(self._map, lanes_of_route(self._map, route), self._states[index, POSE])

    def speed_limit_mps(self, index: int) -> float:
        """Limit of the starting lane."""
        return self._map.town.lanes[self.start(index)[1]].speed_limit_mps

    def build(self, index: int) -> ScoringScene:
        """The scene whose current frame is ``index``."""
        frame, pose = self._frames[index], self._states[index, POSE]
        route, lane = self.start(index)
        first, future = index - NOW, slice(index, index + NUM_FUTURE_FRAMES + 1)
        on_route_lanes = frozenset(lanes_of_route(self._map, route))
        area = self._map.drivable_area(pose[XY] + EGO_BODY.center_m * unit(pose[HEADING]))
        on_route = [token in on_route_lanes for token in area.tokens]
        lights = red_lights(self._frames[future], lanes_of_route(self._map, frame["roadblock_ids"]))
        past = slice(first, index + 1)
        history = ego.history_states(self._states[past], self._times[past])
        human = self._states[index + 1 : index + 1 + NUM_POSES, POSE]
        timestamp_us = int(self._times[index])
        return ScoringScene(
            devkit=DEVKIT,
            token=frame["token"],
            log_name=frame["log_name"],
            map_name=frame["map_location"],
            scene_type="original",
            timestamp_us=timestamp_us,
            ego_pose=as_tensor(pose),
            ego_state=as_tensor(local_states(self._states[index], pose)),
            vehicle=torch.tensor(EGO_MEASURES_M, dtype=torch.float64),
            history_states=as_tensor(local_states(history, pose)),
            human_trajectory=as_tensor(poses_to_local(human, pose)),
            pdm_trajectory=torch.zeros(NUM_STATES, ego.NUM_STATE_COLUMNS, dtype=torch.float64),
            centerline=as_tensor(points_to_local(self._centerline(route, lane), pose)),
            **area_fields(area.layers, area.tokens, area.rings, on_route, pose),
            **_object_fields(self._boxes[future], self._map, pose),
            **_light_fields(lights, self._map, pose),
            model_knots_us=knot_times_us(NUM_POSES, POSE_INTERVAL_S, timestamp_us),
            sample_times_us=sample_times_us(timestamp_us),
            reference_driver=REFERENCE_DRIVER,
        )


def _object_fields(frames: Sequence[FrameBoxes], town_map: TownMap, origin: Float64[np.ndarray, "3"]) -> dict:
    """Tracks as v2.2's log replay has them, without those that touch the ego at t0; and what reactive traffic needs."""
    tracks = scene_tracks(frames, origin)
    arrays, detected = _track_arrays(tracks), frozenset(frames[0].tokens)
    touches_ego = touching_ego(tracks)
    is_late = np.array([token not in detected for token in tracks.tokens], dtype=bool)
    fields = {
        **{name: values[~touches_ego] for name, values in arrays.items()},
        **reacting_arrays(frames[0], town_map.segments, origin),
        **replayed_arrays(arrays, touches_ego, is_late),
    }
    return {name: _field(values) for name, values in fields.items()}


def _field(values: npt.NDArray) -> Union[Tensor, tuple[str, ...]]:
    return tuple(values.tolist()) if values.dtype.kind == "U" else torch.from_numpy(np.ascontiguousarray(values))


def _track_arrays(tracks: SceneTracks) -> Arrays:
    return {
        "track_token": np.array(tracks.tokens, dtype=np.str_),
        "track_type": np.array(tracks.names, dtype=np.str_),
        "track_is_agent": np.isin(tracks.names, AGENT_NAMES),
        # The devkit clears its list of tracks hit at the start when it replays the logged future.
        "collided_track": np.zeros(len(tracks.tokens), dtype=bool),
        "track_size": tracks.sizes,
        "track_speed": tracks.speeds,
        "track_heading": tracks.headings,
        "track_poses": tracks.poses,
        "track_valid": tracks.valid,
    }


def _light_fields(lights: RedLights, town_map: TownMap, origin: Float64[np.ndarray, "3"]) -> dict:
    rings = [town_map.lane_ring(lane) for lane in lights.lane_ids]
    xy = points_to_local(np.concatenate(rings), origin) if rings else np.zeros((0, 2))
    return {
        "red_light_token": lights.tokens,
        "red_light_xy": as_tensor(xy),
        "red_light_offsets": ring_offsets(rings),
        "red_light_active": torch.from_numpy(lights.active).reshape(len(rings), NUM_COLUMNS),
    }
