"""Scores over routes, efficiency, abilities, and who is missing, crashed or doubled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from navsim_agents.bench2drive.abilities import ABILITIES, abilities, mean_ability
from navsim_agents.bench2drive.metrics import (
    abilities as abilities_again,
)
from navsim_agents.bench2drive.metrics import (
    driving_score,
    efficiency,
    select,
    success,
)
from navsim_agents.bench2drive.records import RouteRecord
from navsim_agents.bench2drive.routes import read_routes, write_routes
from navsim_agents.errors import InputError
from tests.bench2drive.files import result, write_route_file

FIVE = [
    result(1),
    result(2),
    result(3, outside_route_lanes="Agent went outside for about 3 meters (30.0% of the completed route)"),
    result(4, 30.0),
    result(5, 55.0, vehicle_blocked="Agent got blocked"),
]


def slow(number: int, *percents: float) -> RouteRecord:
    messages = tuple(f"Average speed is {percent}% of the surrounding traffic's one" for percent in percents)
    return replace(result(number), infractions={"min_speed_infractions": messages})


def test_merging_divides_by_220() -> None:
    """Case 8: 100, 100, 70, 30, 55, the first two clean; then these two once more."""
    assert driving_score(FIVE) == pytest.approx(355.0 / 220.0, abs=1e-12)
    assert success(FIVE) == pytest.approx(2.0 / 220.0, abs=1e-12)
    assert driving_score([*FIVE, *FIVE[:2]]) == pytest.approx(555.0 / 220.0)
    assert success([*FIVE, *FIVE[:2]]) == pytest.approx(4.0 / 220.0)
    assert driving_score(FIVE, 5) == pytest.approx(71.0)


def test_efficiency_is_a_mean_of_means() -> None:
    """Case 7."""
    routes = [slow(1, 50, 150, 1500), slow(2), slow(3, 80), slow(4, 10), slow(5)]
    assert efficiency(routes) == pytest.approx(63.333, abs=1e-3)
    assert efficiency([slow(1)]) is None
    assert efficiency([slow(1, 1000.1), slow(2, 70)]) == pytest.approx(70.0)
    assert efficiency([slow(1, 1000.0)]) == pytest.approx(1000.0)
    with pytest.raises(InputError, match="%"):
        efficiency([replace(result(1), infractions={"min_speed_infractions": ("slow",)})])


def test_each_route_counts_once(tmp_path: Path) -> None:
    """11 is driven twice, 12 crashed and was driven again, 13 crashed, 14 is missing, 99 is no route."""
    routes = read_routes(write_route_file(tmp_path / "a.xml", ["Accident"] * 4))
    records = [
        *(result(11, 40.0), result(11), result(12, 5.0, "Simulation crashed"), result(12, 90.0)),
        *(result(13, 7.0, "Agent crashed"), result(99)),
    ]
    found = select(records, routes)
    assert {number: record.score_route for number, record in found.chosen.items()} == {"11": 40, "12": 90, "13": 7}
    assert (found.missing, found.crashed, found.strangers) == (["14"], ["13"], ["99"])
    assert found.doubled == {"11": 2, "12": 2}
    assert [record.number for record in found.driven] == ["11", "12"]
    assert select(records).missing == []
    assert list(select(records).chosen) == ["11", "12", "13", "99"]


def test_the_lists_of_types_have_the_benchmarks_sizes() -> None:
    """44 types of five routes make 45, 80, 60, 10 and 95 (closed_loop.md, of the old route file)."""
    assert {name: 5 * len(types) for name, types in ABILITIES.items()} == {
        **{"Overtaking": 45, "Merging": 80, "Emergency_Brake": 60, "Give_Way": 10, "Traffic_Signs": 95}
    }
    assert abilities_again is abilities


def test_abilities_count_by_the_route_file(tmp_path: Path) -> None:
    scenes = ["Accident", "ParkedObstacle", "T_Junction", "T_Junction", "T_Junction", "InvadingTurn"]
    routes = read_routes(write_route_file(tmp_path / "a.xml", scenes))
    records = [
        *(result(11), result(13), result(14, 60.0), result(15, 60.0, red_light="Agent ran a red light")),
        result(16, 50.0),
    ]
    by_number = {record.number: record for record in records}
    junctions = {"13": 0.5, "14": 0.5, "15": 0.5}
    found = abilities(routes, by_number, junctions)
    assert {name: (its.successes, its.routes) for name, its in found.items()} == {
        "Overtaking": (1, 1),  # 12 has no result: the benchmark leaves it out
        "Merging": (0, 0),
        "Emergency_Brake": (0, 0),
        "Give_Way": (0, 1),
        "Traffic_Signs": (2, 3),  # 14 got past its junction
    }
    assert mean_ability(found) is None  # two have no routes
    all_routes = abilities(routes, by_number, junctions, are_missing_counted=True)
    assert (all_routes["Overtaking"].successes, all_routes["Overtaking"].routes) == (1, 2)


@pytest.mark.parametrize(
    ("junctions", "release", "expected"),
    [
        ({"13": 0.5, "14": 0.5, "15": 0.5}, "0.0.4", (2, 3, 0)),
        ({"13": 0.5, "14": 0.6, "15": 0.5}, "0.0.4", (1, 3, 0)),  # exactly at the junction is not past it
        ({}, "0.0.4", (1, 3, 1)),
        ({"13": 0.5, "14": 0.5, "15": 0.5}, "0.0.3", (3, 6, 0)),  # the success twice, the passed one once
        ({"13": 1.2, "14": 0.6, "15": 0.5}, "0.0.3", (1, 6, 0)),  # a junction at the end: no success is past it
        ({}, "0.0.3", (2, 6, 1)),
    ],
)
def test_traffic_signs(
    tmp_path: Path, junctions: dict[str, float], release: str, expected: tuple[int, int, int]
) -> None:
    routes = read_routes(write_route_file(tmp_path / "a.xml", ["T_Junction"] * 3, first=13))
    records = [result(13), result(14, 60.0), result(15, 60.0, stop_infraction="Agent ran a stop")]
    signs = abilities(routes, {record.number: record for record in records}, junctions, release)["Traffic_Signs"]
    assert (signs.successes, signs.routes, signs.unknown) == expected


def test_route_files_come_back(tmp_path: Path) -> None:
    routes = read_routes(write_route_file(tmp_path / "a.xml", ["Accident", "T_Junction"]))
    assert [(route.number, route.town, route.scenario_type) for route in routes] == [
        ("11", "Town01", "Accident"),
        ("12", "Town02", "T_Junction"),
    ]
    assert routes[0].positions == ((0.0, 11.0, 0.5), (30.5, 11.0, 0.5), (60.0, 11.0, 0.5))
    write_routes(tmp_path / "one" / "b.xml", routes[1:])
    assert read_routes(tmp_path / "one" / "b.xml") == routes[1:]


@pytest.mark.parametrize(
    "text",
    [
        *("", "<routes>", "<routes></routes>", "<routes><route id='1'/></routes>"),
        "<routes><route id='1' town='Town01'><scenarios/></route></routes>",
    ],
)
def test_broken_route_files_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(InputError, match=r"a\.xml.*give a route file"):
        read_routes(tmp_path / "a.xml")


@pytest.mark.parametrize(
    ("old", "new"),
    [*(('id="11"', f'id="{word}"') for word in ("../11", "a/b", "..", "", "1_2")), ('x="0.0"', 'x="nan"')],
)
def test_routes_that_could_not_be_driven_are_refused(tmp_path: Path, old: str, new: str) -> None:
    """An id names files, and ends at _ in results; a place is of numbers."""
    path = write_route_file(tmp_path / "a.xml", ["Accident"])
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=r"a\.xml.*give a route file"):
        read_routes(path)


def test_two_routes_of_one_id_are_refused(tmp_path: Path) -> None:
    path = write_route_file(tmp_path / "a.xml", ["Accident", "Accident"])
    path.write_text(path.read_text().replace('id="12"', 'id="11"'))
    with pytest.raises(InputError, match="id 11"):
        read_routes(path)
