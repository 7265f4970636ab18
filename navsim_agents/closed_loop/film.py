"""A film of a route: the front camera beside a bird's eye view with the plan, as MP4 or, without PyAV, as GIF."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image, ImageDraw

from navsim_agents.bench2drive.records import MIN_SPEED
from navsim_agents.closed_loop.drive import Shown
from navsim_agents.common.conventions import FRONT_CAMERA, WORLD_STEP_S
from navsim_agents.common.files import whole_file
from navsim_agents.common.planar import corners
from navsim_agents.common.poses import XY, X, Y
from navsim_agents.poses import points_to_local, poses_to_global
from navsim_agents.world.camera import default_cameras
from navsim_agents.world.camera.model import CameraModel
from navsim_agents.world.tracks import track_boxes
from navsim_agents.world.types import AgentType, Drive, Light

FRONT_PX, BIRD_PX, WORDS_PX = (640, 360), 360, 24
SCALE_PX_PER_M, AHEAD_M = 6.0, 14.0  # of the bird's eye view, whose middle lies ahead of the car
EVERY = 2  # steps from a picture to the next
FRAMES_PER_S = round(1.0 / (EVERY * WORLD_STEP_S))  # shown as fast as it was
PICTURE_EVERY = 15  # of these, one that is also kept by itself
ROAD, GRASS, LINE, EGO, PLAN, ROUTE = "#4a4d52", "#7d9a6b", "#c9ccd1", "#1f6fd6", "#ffb000", "#8fd0ff"
COLOURS = {AgentType.VEHICLE: "#d9dde2", AgentType.BICYCLE: "#f08a4b", AgentType.PEDESTRIAN: "#e5484d"}
THING, LIGHTS = "#f2c94c", {Light.RED: "#e5484d", Light.YELLOW: "#f2c94c", Light.GREEN: "#3fbf6f"}


class Film:
    """Written whole when its block ends; a route that fails leaves none."""

    def __init__(self, path: Path, title: str) -> None:
        self._path, self._title = path, title
        self._frames: list[UInt8[np.ndarray, "H W 3"]] = []
        self._calls = 0

    def __enter__(self) -> Film:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if error is None and self._frames:
            write_film(self._path, self._frames)
            for number in range(0, len(self._frames), PICTURE_EVERY):
                picture = self._path.with_name(f"{self._path.stem}-{number / FRAMES_PER_S:05.1f}s.png")
                with whole_file(picture) as unfinished:
                    Image.fromarray(self._frames[number]).save(unfinished)

    def add(self, shown: Shown) -> None:
        """Film a step, if it is one that is filmed."""
        if self._calls % EVERY == 0:
            self._frames.append(picture_of(shown, self._title))
        self._calls += 1


def film_ending() -> str:
    """Of films' names."""
    return ".gif" if find_spec("av") is None else ".mp4"


def write_film(path: Path, frames: Sequence[UInt8[np.ndarray, "H W 3"]]) -> None:
    """``frames`` as a film: H.264 in MP4, or a GIF where ``path`` ends so."""
    if path.suffix == ".gif":
        with whole_file(path) as unfinished:
            first, *others = [Image.fromarray(frame) for frame in frames]
            duration = round(1000 / FRAMES_PER_S)
            first.save(unfinished, format="GIF", save_all=True, append_images=others, duration=duration)
        return
    import av

    with whole_file(path) as unfinished, av.open(str(unfinished), "w", format="mp4") as container:
        stream: Any = container.add_stream("h264", rate=Fraction(FRAMES_PER_S))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def picture_of(shown: Shown, title: str) -> UInt8[np.ndarray, "H W 3"]:
    """Front camera to the left, the world from above to the right, a line of text above."""
    drive = shown.witness.drive()
    step = len(drive.ego.poses) - 1
    camera = default_cameras()[FRONT_CAMERA].scaled(*FRONT_PX)
    plan = poses_to_global(shown.plan, shown.planned_at)
    front = Image.fromarray(shown.witness.render(drive, step, camera))
    _draw_plan(ImageDraw.Draw(front), camera, plan, drive.ego.poses[step])
    whole = Image.new("RGB", (FRONT_PX[0] + BIRD_PX, FRONT_PX[1] + WORDS_PX), "#20242a")
    whole.paste(front, (0, WORDS_PX))
    whole.paste(from_above(shown, drive, plan), (FRONT_PX[0], WORDS_PX))
    ImageDraw.Draw(whole).text((8, 6), _words(shown, title), fill="#e8eaed")
    return np.asarray(whole)


def _words(shown: Shown, title: str) -> str:
    stage, referee = shown.stage, shown.referee
    seconds = (stage.step - stage.first_step) * WORLD_STEP_S
    found = {name: len(its) for name, its in referee.infractions().items() if name != MIN_SPEED}
    faults = ", ".join(f"{count} {name}" for name, count in found.items())
    return f"{title}   {seconds:5.1f} s   {stage.car.speed:4.1f} m/s   {referee.completion.percent:5.1f} %   {faults}"


def _draw_plan(
    draw: ImageDraw.ImageDraw, camera: CameraModel, plan: Float64[np.ndarray, "P 3"], pose: Float64[np.ndarray, "3"]
) -> None:
    points = points_to_local(plan[:, XY], pose)
    pixels, depth = camera.project(np.column_stack((points, np.zeros(len(points)))))
    for (u, v), far in zip(pixels, depth):
        if far > 1.0:
            draw.ellipse((u - 4, v - 4, u + 4, v + 4), fill=PLAN)


def from_above(shown: Shown, drive: Drive, plan: Float64[np.ndarray, "P 3"]) -> Image.Image:
    """The surroundings of the car, which points up."""
    step = len(drive.ego.poses) - 1
    ego, town = drive.ego.poses[step], shown.stage.graph.town
    image = Image.new("RGB", (BIRD_PX, BIRD_PX), GRASS)
    draw = ImageDraw.Draw(image)
    reach = BIRD_PX / SCALE_PX_PER_M + 60.0
    for areas in (town.roadblocks, town.intersections, town.carparks):
        for outline in (area.polygon for area in areas.values()):
            if np.hypot(*(outline - ego[XY]).T).min() < reach:
                draw.polygon(_pixels(outline, ego), fill=ROAD)
    for lane in town.lanes.values():
        if np.hypot(*(lane.centerline[::10, XY] - ego[XY]).T).min() < reach and not lane.is_connector:
            draw.line(_pixels(lane.left_boundary, ego), fill=LINE)
    for lane_id, states in drive.lights.items():
        end = town.lanes[lane_id].centerline[0]
        (x, y), colour = _pixels(end[None, XY], ego)[0], LIGHTS[states[step]]
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)
    draw.line(_pixels(shown.referee.line.points[:, XY], ego), fill=ROUTE, width=2)
    for track in drive.tracks:
        if track.valid[step]:
            box = corners(track_boxes(track)[step])
            draw.polygon(_pixels(box, ego), fill=COLOURS.get(track.agent_type, THING), outline="#202020")
    draw.polygon(_pixels(corners(shown.stage.car.box), ego), fill=EGO, outline="white")
    for x, y in _pixels(plan[:, XY], ego):
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=PLAN)
    return image


def _pixels(points: Float64[np.ndarray, "N 2"], ego: Float64[np.ndarray, "3"]) -> list[tuple[float, float]]:
    local = points_to_local(points, ego)
    across = BIRD_PX / 2 - SCALE_PX_PER_M * local[:, Y]
    down = BIRD_PX / 2 - SCALE_PX_PER_M * (local[:, X] - AHEAD_M)
    return list(zip(across.tolist(), down.tolist()))
