"""A film of a route: as long as the drive, with the plan in it, and written with or without PyAV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jaxtyping import UInt8
from PIL import Image

from navsim_agents.closed_loop import film
from navsim_agents.closed_loop.drive import drive_route
from navsim_agents.closed_loop.film import BIRD_PX, FRONT_PX, PLAN, WORDS_PX, Film
from navsim_agents.closed_loop.moment import Witness
from navsim_agents.closed_loop.planners import ExpertPlanner
from tests.closed_loop.given import stage_of

SECONDS = 2.0
NUM_PICTURES = 10  # of its 20 steps, 0.2 s apart


class Grey:
    """Paints every picture grey."""

    def render(self, drive: Any, step: int, camera: Any) -> UInt8[np.ndarray, "H W 3"]:
        return np.full((camera.height, camera.width, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def gif(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "route.gif"
    stage = stage_of("light_straight", time_limit_s=SECONDS)
    with Film(path, "expert") as made:
        drive_route(stage, ExpertPlanner(), Witness(stage, {}, Grey(), 0), 5, SECONDS, made.add)
    return path


def test_it_lasts_as_long_as_the_drive(gif: Path) -> None:
    with Image.open(gif) as shown:
        assert shown.size == (FRONT_PX[0] + BIRD_PX, FRONT_PX[1] + WORDS_PX)
        frames = getattr(shown, "n_frames", 1)
        assert frames * shown.info["duration"] == pytest.approx(1000 * SECONDS)
        assert frames == NUM_PICTURES


def test_a_picture_is_kept_by_itself_and_shows_the_plan(gif: Path) -> None:
    pictures = sorted(gif.parent.glob("*.png"))
    assert [path.name for path in pictures] == ["route-000.0s.png"]
    with Image.open(pictures[0]) as shown:
        seen = np.asarray(shown)
    colour = [int(PLAN[place : place + 2], 16) for place in (1, 3, 5)]
    is_plan = (seen == colour).all(axis=-1)
    assert is_plan[:, : FRONT_PX[0]].any()
    assert is_plan[:, FRONT_PX[0] :].any()
    assert (seen[-1, 0] == 128).all()


def test_a_route_that_fails_leaves_none(tmp_path: Path) -> None:
    made = Film(tmp_path / "route.gif", "expert")
    made._frames.append(np.zeros((2, 2, 3), np.uint8))
    made.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("is_there", "ending"), [(None, ".gif"), (object(), ".mp4")])
def test_without_pyav_it_is_a_gif(is_there: Any, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film, "find_spec", lambda name: is_there)
    assert film.film_ending() == ending


def test_with_pyav_it_is_an_mp4(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    frames = [np.full((32, 48, 3), 25 * number, np.uint8) for number in range(10)]
    film.write_film(tmp_path / "route.mp4", frames)
    assert (tmp_path / "route.mp4").read_bytes()[4:8] == b"ftyp"
