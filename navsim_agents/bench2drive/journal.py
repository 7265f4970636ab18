"""What the agent keeps of a route in ``SAVE_PATH/<save_name>``, named as the benchmark's own scripts want it.

``metric_info.json`` is what the smoothness script reads: its folder must be called as the result file says, with
nothing before it. ``rgb_front/0000.jpg`` and ``meta/0000.json`` are what its video script reads: consecutive numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64
from PIL import Image, ImageDraw

from navsim_agents.bench2drive.frames import FRONT, calibration
from navsim_agents.bench2drive.records import METRIC_INFO, TickInfo, write_metric_info
from navsim_agents.common.files import whole_file, write_json
from navsim_agents.common.poses import XY

COLOUR, COLOUR_OF_TARGET = (30, 220, 60), (255, 150, 0)
LINE_PX = 6
LEAST_DEPTH_M = 1.0
QUALITY = 85


class Journal:
    """Files of one route."""

    def __init__(self, folder: Path, pictures_every: int, metric_info_every: int) -> None:
        """In ``folder``, which is made; numbers of ticks as in the team's config."""
        self._folder = folder
        self._pictures_every, self._metric_info_every = pictures_every, metric_info_every
        self._ticks: dict[int, TickInfo] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def note_motion(self, tick: int, info: Mapping[str, Any]) -> None:
        """Keep what the leaderboard's base class says of the car (``get_metric_info()``); not finite: left out."""
        values = {name: tuple(map(float, info[name])) for name in TickInfo.__dataclass_fields__}
        if np.isfinite([*values.values()]).all():
            self._ticks[tick] = TickInfo(**values)  # type: ignore[arg-type]
        if self._ticks and (tick + 1) % self._metric_info_every == 0:
            self.close()

    def wants_picture(self, tick: int) -> bool:
        """Whether this tick has one."""
        return self._pictures_every > 0 and tick % self._pictures_every == 0

    def note_picture(
        self,
        tick: int,
        picture: npt.NDArray[np.uint8],
        plan: Float64[np.ndarray, "T 3"],
        target: Float64[np.ndarray, "2"],
        meta: Mapping[str, Any],
    ) -> None:
        """The front camera's picture with the plan on it, and numbers beside it."""
        number = f"{tick // self._pictures_every:04d}"
        path = self._folder / "rgb_front" / f"{number}.jpg"
        with whole_file(path, is_forced=False) as unfinished:
            Image.fromarray(with_plan(picture, plan, target)).save(unfinished, "JPEG", quality=QUALITY)
        write_json(self._folder / "meta" / f"{number}.json", {"tick": tick, **meta, "plan": plan.tolist()})

    def close(self) -> None:
        """Write what was noted of the motion so far."""
        if self._ticks:
            write_metric_info(self._folder / METRIC_INFO, self._ticks)


def with_plan(
    picture: npt.NDArray[np.uint8], plan: Float64[np.ndarray, "T 3"], target: Float64[np.ndarray, "2"]
) -> npt.NDArray[np.uint8]:
    """A front camera's picture [H, W, 3] with the plan as a line on the road, its poses and the target as dots."""
    height, width = picture.shape[:2]
    camera = calibration(FRONT, width, height)
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    thick = max(1, round(LINE_PX * width / 1600))

    def seen(places: Float64[np.ndarray, "P 2"]) -> list[tuple[float, float]]:
        projected = camera.project(np.concatenate((places, np.zeros((len(places), 1))), axis=1))
        return [(float(u), float(v)) for u, v, depth in projected if depth > LEAST_DEPTH_M]

    knots = np.concatenate((np.zeros((1, 2)), plan[:, XY]))
    at = np.linspace(0.0, len(plan), 20 * len(plan) + 1)
    line = np.stack([np.interp(at, np.arange(len(knots)), column) for column in knots.T], axis=1)
    draw.line(seen(line), fill=COLOUR, width=thick)
    for places, colour, size in ((plan[:, XY], COLOUR, 2 * thick), (target[None], COLOUR_OF_TARGET, 3 * thick)):
        for u, v in seen(places):
            draw.ellipse((u - size, v - size, u + size, v + size), outline=(0, 0, 0), fill=colour)
    return np.asarray(image)
