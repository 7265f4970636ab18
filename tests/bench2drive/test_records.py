"""Bench2Drive's result files: composing scores (hand-worked cases), round trips, broken files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

import pytest

from navsim_agents.bench2drive.records import (
    INFRACTIONS,
    RouteRecord,
    TickInfo,
    compose,
    read_metric_info,
    read_records,
    write_metric_info,
    write_records,
)
from navsim_agents.errors import InputError

HIT, SLOW = ("Agent collided",), ("Average speed is 50.0% of the surrounding traffic's one",)
OUTSIDE = ("Agent went outside its route lanes for about 60.0 meters (30.0% of the completed route)",)
RECORD = RouteRecord(
    "RouteScenario_1711_rep0",
    "Accident_1",
    "Town12",
    "7",
    "RouteScenario_1711_rep0_Town12_Accident_1_7_02_03_04",
    "Failed - Agent got blocked",
    {"vehicle_blocked": ("Agent got blocked at (x=1.0, y=2.0, z=3.0)",), "min_speed_infractions": SLOW},
    60.0,
    1.0,
    60.0,
    201.25,
    40.5,
    99.125,
    3,
)
TICK = TickInfo((1.0, 0.0, 0.0), (0.0, 0.0, 0.9), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (5.0, 6.0, 0.5), (0.0, 1.0, 90.0))


@pytest.mark.parametrize(
    ("percent", "infractions", "composed", "status"),
    [
        (80.0, {"collisions_vehicle": HIT, "red_light": HIT * 2}, 23.52, "Failed"),
        (
            100.0,
            {
                "collisions_pedestrian": HIT,
                "collisions_layout": HIT,
                "stop_infraction": HIT,
                "yield_emergency_vehicle_infractions": HIT,
                "scenario_timeouts": HIT,
            },
            12.74,
            "Completed",
        ),
        (100.0, {"outside_route_lanes": OUTSIDE}, 70.0, "Completed"),
        (100.0, {"min_speed_infractions": SLOW}, 100.0, "Completed"),
        (60.0, {"vehicle_blocked": HIT}, 60.0, "Failed - Agent got blocked"),
        (60.0, {"route_timeout": HIT, "route_dev": HIT}, 60.0, "Failed - Agent deviated from the route"),
        (100.0, {}, 100.0, "Perfect"),
    ],
)
def test_scores_are_composed_as_by_hand(
    percent: float, infractions: dict[str, tuple[str, ...]], composed: float, status: str
) -> None:
    """Case 5 of the hand-worked ones, a to e, and two ends at once."""
    penalty, score, its_status = compose(percent, infractions)
    assert (score, its_status) == (pytest.approx(composed, abs=1e-6), status)
    assert penalty == pytest.approx(composed / percent)


def test_what_ended_the_route_is_said() -> None:
    assert compose(10.0, {}, "Agent crashed")[2] == "Failed - Agent crashed"
    assert compose(10.0, {"vehicle_blocked": HIT}, "Agent crashed")[2] == "Failed - Agent got blocked"


def test_slowness_is_no_failure_and_everything_else_is() -> None:
    done = replace(RECORD, status="Completed")
    assert replace(done, infractions={"min_speed_infractions": SLOW}).is_success
    assert replace(done, status="Perfect", infractions={}).is_success
    assert not replace(done, status="Failed", infractions={}).is_success
    for name in set(INFRACTIONS) - {"min_speed_infractions"}:
        assert not replace(done, infractions={name: HIT}).is_success


@pytest.mark.parametrize(
    ("infractions", "words"), [({"red_lights": HIT}, "red_light,"), ({"outside_route_lanes": HIT}, "percent|part")]
)
def test_lists_and_messages_that_are_none_are_refused(infractions: dict[str, tuple[str, ...]], words: str) -> None:
    with pytest.raises(InputError, match=words):
        compose(50.0, infractions)


def test_records_come_back(tmp_path: Path) -> None:
    crashed = RouteRecord("RouteScenario_2_rep0", status="Failed - Agent crashed", weather_id=None, index=1)
    write_records(tmp_path / "a.json", [RECORD, crashed])
    read = read_records(tmp_path / "a.json")
    assert [(record.number, record.is_crashed) for record in read] == [("1711", False), ("2", True)]
    assert list(read[0].infractions) == list(INFRACTIONS)
    full = {name: RECORD.infractions.get(name, ()) for name in INFRACTIONS}
    assert read[0] == replace(RECORD, infractions=full)


def test_merged_files_have_no_index(tmp_path: Path) -> None:
    write_records(tmp_path / "a.json", [RECORD, RECORD])
    content = json.loads((tmp_path / "a.json").read_text())
    for record in content["_checkpoint"]["records"]:
        del record["index"]
    (tmp_path / "merged.json").write_text(json.dumps({"_checkpoint": content["_checkpoint"], "eval num": 2}))
    assert [record.index for record in read_records(tmp_path / "merged.json")] == [0, 1]


NO_RECORDS = ["", "{", "[]", "{}", '{"_checkpoint": {"records": [{"route_id": "a"}]}}', "null"]
NO_TICKS = ["", "{", "[]", '{"0": {"acceleration": [0, 0, 0]}}', "null", '{"0": null}']


@pytest.mark.parametrize(
    ("read", "text"),
    [*((read_records, text) for text in NO_RECORDS), *((read_metric_info, text) for text in NO_TICKS)],
)
def test_broken_files_are_named(tmp_path: Path, read: Callable[[Path], Any], text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=r"a\.json"):
        read(tmp_path / "a.json")


KINDS = [None, [], [1], {}, "a", 1, float("nan")]


def spoiled(content: Any) -> Iterator[Any]:
    """``content`` with each of its parts once as a value of each kind."""
    yield from KINDS
    places = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, part in list(places):
        for other in spoiled(part):
            changed = content.copy()
            changed[key] = other
            yield changed


@pytest.mark.parametrize("read", [read_records, read_metric_info])
def test_parts_of_another_kind_are_read_or_named(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    path = tmp_path / "a.json"
    if read is read_records:
        write_records(path, [RECORD])
    else:
        write_metric_info(path, {0: TICK})
    refused = 0
    for content in spoiled(json.loads(path.read_text())):
        path.write_text(json.dumps(content))
        try:
            read(path)
        except InputError:
            refused += 1
    assert refused > len(KINDS)


def test_ticks_that_are_no_numbers_are_not_read(tmp_path: Path) -> None:
    write_metric_info(tmp_path / "a.json", {0: TICK})
    (tmp_path / "a.json").write_text((tmp_path / "a.json").read_text().replace("0.9", "NaN"))
    with pytest.raises(InputError, match=r"a\.json.*finite"):
        read_metric_info(tmp_path / "a.json")


def test_ticks_come_back(tmp_path: Path) -> None:
    ticks = {0: TICK, 1: replace(TICK, rotation=(0.0, 0.0, 91.0))}
    write_metric_info(tmp_path / "route" / "metric_info.json", ticks)
    assert read_metric_info(tmp_path / "route" / "metric_info.json") == ticks
    assert list(json.loads((tmp_path / "route" / "metric_info.json").read_text())["0"]) == [
        *("acceleration", "angular_velocity", "forward_vector", "right_vector", "location", "rotation")
    ]


def test_a_tick_of_no_numbers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="finite"):
        write_metric_info(tmp_path / "a.json", {0: replace(TICK, acceleration=(float("nan"), 0.0, 0.0))})
