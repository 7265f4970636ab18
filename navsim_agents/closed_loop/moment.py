"""What an agent is shown: the last 1.5 s of a closed loop as NAVSIM's data, with pictures from where the car is."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from navsim_agents.closed_loop.stage import Stage
from navsim_agents.common.conventions import CAMERA_NAMES, NUM_HISTORY_FRAMES, STEP_US
from navsim_agents.common.poses import POSE, XY
from navsim_agents.data.scene import Scene
from navsim_agents.data.types import AgentInput, Camera, Cameras, SceneMetadata
from navsim_agents.world.camera import default_cameras
from navsim_agents.world.camera.model import CameraModel
from navsim_agents.world.drive import EPOCH_US, HOUR_US
from navsim_agents.world.log import ego_states, route_per_step
from navsim_agents.world.parts import Painter
from navsim_agents.world.signals import LIGHTS
from navsim_agents.world.simulation import Record
from navsim_agents.world.still_objects import StillScene
from navsim_agents.world.tracks import all_tracks
from navsim_agents.world.types import Drive, Track
from navsim_agents.world.writers.blobs import encode_jpeg
from navsim_agents.world.writers.logs import STEPS_PER_FRAME, log_frames, timestamp_us

WINDOW = STEPS_PER_FRAME * (NUM_HISTORY_FRAMES - 1) + 1  # steps that an agent is shown
VIEW_M = 75.0  # tracks are known up to this distance from the ego, as in the world's logs
KEPT_PICTURES = 16

Picture = UInt8[np.ndarray, "H W 3"]


class Witness:
    """Shows one route's closed loop to its agent."""

    def __init__(self, stage: Stage, cameras: Mapping[str, tuple[int, ...]], painter: Any, jpeg_quality: int) -> None:
        """Show ``stage``.

        Args:
            stage: with a record of at least :data:`WINDOW` steps.
            cameras: of each the history frames that the agent looks at.
            painter: of the town, None where no camera is asked for.
            jpeg_quality: through which pictures go, as those that agents learnt from did; 0 leaves them as rendered.
        """
        self._stage, self._cameras, self._jpeg_quality = stage, cameras, jpeg_quality
        self._painter: Any = painter
        self._pictures: dict[tuple[int, str], Any] = {}

    def drive(self, num_after: int = 0) -> Drive:
        """The window's steps as a drive, everything in it on the map; ``num_after`` more in which nothing moves."""
        stage, record = self._stage, self._stage.simulation.record
        last = len(record.ego)
        steps = [*range(last - WINDOW, last), *[last - 1] * num_after]
        short = Record()
        for name, column in columns_of(record).items():
            setattr(short, name, [column[step] for step in steps])
        lights = {lane: tuple(LIGHTS[code] for code in codes[steps].tolist()) for lane, codes in stage.codes.items()}
        guide = stage.simulation.expert
        return Drive(
            log_name=f"closed_loop_{stage.route.world_seed}_{stage.route.name}",
            location=stage.route.location,
            start_time_us=EPOCH_US + stage.route.number * HOUR_US + steps[0] * STEP_US,
            ego=ego_states(stage.graph, short, guide.route),
            tracks=self._tracks(short),
            lights=lights,
            route_roadblock_ids=route_per_step(short, guide.route),
        )

    def _tracks(self, short: Record) -> tuple[Track, ...]:
        """All that is near the ego at some step; nobody is left out for touching it."""
        ego = np.array(short.ego)[:, POSE]
        still = self._stage.still
        near = [item for item in still.objects if np.hypot(*(item.pose[XY] - ego[-1, XY])) < VIEW_M]
        found = all_tracks(short, self._stage.movers, StillScene(objects=near), np.random.default_rng(0))
        seen = []
        for track in found:
            valid = track.valid & (np.hypot(*(track.poses[:, XY] - ego[:, XY]).T) < VIEW_M)
            if valid.any():
                seen.append(replace(track, valid=valid))
        return tuple(seen)

    def frames(self, drive: Drive) -> list[dict[str, Any]]:
        """The drive's frames, 0.5 s apart, in the keys of NAVSIM's logs."""
        return log_frames(drive, {})

    def scene(self, drive: Drive) -> Scene:
        """Four history frames, none of the future."""
        frames = self.frames(drive)[:NUM_HISTORY_FRAMES]
        now = frames[-1]
        about = SceneMetadata(
            drive.log_name, now["scene_token"], drive.location, now["token"], NUM_HISTORY_FRAMES, num_future_frames=0
        )
        return Scene(about, frames, Path(), {})

    def agent_input(self, drive: Drive, scene: Scene) -> AgentInput:
        """As the data room makes it, with the pictures that the agent asks for."""
        made: AgentInput = scene.get_agent_input()
        shown = [
            {name: self._camera(drive, frame, name) for name in CAMERA_NAMES if frame in self._cameras.get(name, ())}
            for frame in range(NUM_HISTORY_FRAMES)
        ]
        return AgentInput(made.ego_statuses, [Cameras(**cameras) for cameras in shown])

    def _camera(self, drive: Drive, frame: int, name: str) -> Camera:
        model = default_cameras()[name]
        return Camera(
            image=self.picture(drive, frame * STEPS_PER_FRAME, model, self._jpeg_quality),
            sensor2lidar_rotation=model.sensor2lidar_rotation,
            sensor2lidar_translation=model.sensor2lidar_translation,
            intrinsics=model.intrinsics,
            distortion=np.zeros(5),
        )

    def render(self, drive: Drive, step: int, camera: CameraModel) -> Picture:
        """What a camera of any calibration sees at a step of the window."""
        painter: Painter = self._painter
        picture: Picture = painter.render(drive, step, camera)
        return picture

    def picture(self, drive: Drive, step: int, camera: CameraModel, jpeg_quality: int) -> Picture:
        """The same through a JPEG, of one of the agent's cameras: the last ones are kept."""
        key = (timestamp_us(drive, step), camera.name)
        if key not in self._pictures:
            picture = self.render(drive, step, camera)
            self._pictures[key] = _through_jpeg(picture, jpeg_quality)
            while len(self._pictures) > KEPT_PICTURES:
                self._pictures.pop(next(iter(self._pictures)))
        found: Picture = self._pictures[key]
        return found


def columns_of(record: Record) -> dict[str, Any]:
    """Lists of a record that have one entry a step, by field."""
    return {item.name: getattr(record, item.name) for item in fields(record) if item.name != "events"}


def _through_jpeg(picture: Picture, quality: int) -> Picture:
    if not quality:
        return picture
    with Image.open(io.BytesIO(encode_jpeg(picture, quality))) as image:
        return np.asarray(image)
