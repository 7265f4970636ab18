"""The human's future from the logs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from navsim_agents.devkit.logged_future import LoggedFutures
from navsim_agents.errors import WorldDataError
from tests.devkit_alone.logs import write_log


def test_eight_frames_ahead_in_the_ego_frame(tmp_path: Path) -> None:
    write_log(tmp_path, "a", 12)
    poses, map_name = LoggedFutures(tmp_path).of("a", "a3")
    assert map_name == "a-map"
    np.testing.assert_allclose(poses, [[2.0 * step, 0.0, 0.0] for step in range(1, 9)], atol=1e-12)


def test_few_logs_stay_open(tmp_path: Path) -> None:
    for name in "abc":
        write_log(tmp_path, name, 9)
    futures = LoggedFutures(tmp_path)
    for name in "abc":
        futures.of(name, f"{name}0")
    (tmp_path / "a.pkl").unlink()
    futures.of("c", "c0")
    with pytest.raises(WorldDataError, match="cannot be read"):
        futures.of("a", "a0")


def test_refusals(tmp_path: Path) -> None:
    write_log(tmp_path, "a", 9)
    futures = LoggedFutures(tmp_path)
    with pytest.raises(WorldDataError, match="has no such frame for scene nowhere"):
        futures.of("a", "nowhere")
    with pytest.raises(WorldDataError, match="has only 7 frames after it for scene a1, but the human's future takes 8"):
        futures.of("a", "a1")
