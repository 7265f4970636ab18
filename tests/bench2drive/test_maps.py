"""Map files: lanes by road, copies of points, and nothing that a file names is run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from navsim_agents.bench2drive import maps
from navsim_agents.bench2drive.maps import HdMap, read_map
from navsim_agents.common.poses import HEADING, XY
from navsim_agents.errors import WorldDataError
from tests.bench2drive.made_clips import AHEAD, START, YAW_DEG, road_map, write_map


def test_lanes_are_right_handed_with_their_widths(hd_map: HdMap) -> None:
    lanes = {(lane.road, lane.lane): lane for lane in hd_map.lanes}
    assert set(lanes) == {(5, -1), (5, 1)}
    own, other = lanes[5, -1], lanes[5, 1]
    np.testing.assert_allclose(own.line[:, HEADING], -np.deg2rad(YAW_DEG), atol=1e-6)
    np.testing.assert_allclose(np.abs(other.line[:, HEADING]), np.deg2rad(180.0 - YAW_DEG), atol=1e-6)
    start = START - 30.0 * AHEAD
    np.testing.assert_allclose(own.line[0, XY], (start[0], -start[1]), atol=1e-9)
    np.testing.assert_allclose(own.width_m, 3.5, atol=0.01)
    np.testing.assert_allclose(other.width_m, 3.0, atol=0.01)
    steps = np.hypot(*np.diff(own.line[:, XY], axis=0).T)
    assert len(own.line) == pytest.approx(151, abs=2)
    assert steps.max() < 1.1


def area(ring: Any) -> float:
    x, y = ring.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2.0


def test_outlines_run_counter_clockwise_and_enclose_the_lane(hd_map: HdMap) -> None:
    for lane, width in zip(hd_map.lanes, (3.5, 3.0)):
        assert area(lane.outline()) == pytest.approx(width * 149.95, rel=0.01)
        assert area(lane.outline(0.1)) == pytest.approx((width + 0.2) * 149.95, rel=0.01)


def again(content: dict[int, Any]) -> dict[int, Any]:
    """Every line once more behind itself."""
    lanes = {key: value for key, value in content[5].items() if key != "Trigger_Volumes"}
    return {5: {name: [{**line, "Points": line["Points"] * 2} for line in lines] for name, lines in lanes.items()}}


def entered_twice(content: dict[int, Any]) -> dict[int, Any]:
    lanes = {key: value * 2 for key, value in content[5].items() if key != "Trigger_Volumes"}
    return {5: {**lanes, "TriggerVolumes": []}}


@pytest.mark.parametrize("content", [road_map(copies=2), again(road_map()), entered_twice(road_map())])
def test_points_that_stand_twice_count_once(tmp_path: Path, hd_map: HdMap, content: Any) -> None:
    found = read_map(write_map(tmp_path, content))
    assert [lane.name for lane in found.lanes] == [lane.name for lane in hd_map.lanes]
    for lane, wanted in zip(found.lanes, hd_map.lanes):
        np.testing.assert_allclose(lane.line, wanted.line, atol=1e-9)
        np.testing.assert_allclose(lane.width_m, wanted.width_m, atol=1e-9)


def test_lanes_near_a_place(hd_map: HdMap) -> None:
    here = START * (1, -1)
    assert len(hd_map.near(here, 5.0)) == 2
    assert hd_map.near(here + 300.0, 50.0) == []


def test_what_was_read_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, kept = write_map(tmp_path), tmp_path / "lanes" / "Town03.npz"
    first = maps.shared_map.__wrapped__(path, kept)
    monkeypatch.setattr(maps, "read_map", lambda path: pytest.fail("read again"))
    again = maps.shared_map.__wrapped__(path, kept)
    assert len(again.lanes) == 2
    for lane, wanted in zip(again.lanes, first.lanes):
        assert (lane.road, lane.lane, lane.is_junction, lane.name) == (
            wanted.road,
            wanted.lane,
            wanted.is_junction,
            wanted.name,
        )
        np.testing.assert_array_equal(lane.line, wanted.line)
        np.testing.assert_array_equal(lane.width_m, wanted.width_m)
    assert maps.read_lanes(kept, "another map") is None


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("run-by-a-map",)


def test_nothing_that_a_map_names_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_map(tmp_path, {5: {-1: [Evil()]}})
    with pytest.raises(WorldDataError, match="mkdir, which is not data"):
        read_map(path)
    assert not (tmp_path / "run-by-a-map").exists()


def test_what_is_no_map_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorldDataError, match=r"Town03_HD_map\.npz.*no lane"):
        read_map(write_map(tmp_path / "empty", {5: {}}))
    with pytest.raises(WorldDataError, match="is not what it should be"):
        read_map(write_map(tmp_path / "other", {5: {-1: [{"Type": "Center"}]}}))
    with pytest.raises(WorldDataError, match="cannot be read"):
        read_map(tmp_path / "Town99_HD_map.npz")
    path = tmp_path / "numbers.npz"
    np.savez(path, arr=np.zeros(3))
    with pytest.raises(WorldDataError, match="holds float64"):
        read_map(path)
    path.write_bytes(b"PK")
    with pytest.raises(WorldDataError, match="is not what it should be"):
        read_map(path)
