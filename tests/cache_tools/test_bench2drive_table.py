"""drive-jepa bench2drive-table: the benchmark's figures and the honest ones, with everything that is wrong named."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cache_tools.bench2drive_table import Bench2DriveTableConfig, bench2drive_table, find_result_files
from navsim_agents.bench2drive.records import RouteRecord, write_records
from navsim_agents.bench2drive.table import Table
from navsim_agents.errors import InputError, SettingError
from tests.bench2drive.files import result, tick, write_route_file, write_ticks
from tests.common.commands import COMMANDS, assert_one_line

SCENES = ("Accident", "ParkingExit", "T_Junction", "InvadingTurn", "ControlLoss")
SLOW = "Average speed is 50.0% of the surrounding traffic's one"


def write(folder: Path, *files: Sequence[RouteRecord]) -> None:
    """A file for each of ``files``: one of one route, as ``bench2drive-routes`` leaves them."""
    for at, records in enumerate(files):
        write_records(folder / f"{at}.json", records)


def table(folder: Path, **changes: Any) -> Table:
    routes = write_route_file(folder / "routes.xml", SCENES)
    given = {"results": [str(folder / "results")], "output": str(folder / "out"), "routes": str(routes), **changes}
    return bench2drive_table(Bench2DriveTableConfig(**given))


def figures(found: Table) -> dict[str, tuple[Any, Any, Any]]:
    return {row.name: (row.official, row.all_routes, row.driven) for row in found.rows}


FOUR = (
    [result(11, min_speed_infractions=SLOW), result(12, 40.0, red_light="Agent ran a red light")],
    [result(13, 75.0), result(14, 20.0, "Simulation crashed", min_speed_infractions=SLOW.replace("50.0", "10"))],
)


def test_each_figure_in_three_ways(tmp_path: Path) -> None:
    """100, 28, 75 and 20 of five routes; the last one crashed, 15 is missing."""
    write(tmp_path / "results", *FOUR)
    found = table(tmp_path)
    whole = figures(found)
    assert whole["driving score"] == pytest.approx((223.0 / 220.0, 223.0 / 5.0, 203.0 / 3.0))
    assert whole["success %"] == pytest.approx((100.0 / 220.0, 20.0, 100.0 / 3.0))
    assert whole["efficiency %"] == pytest.approx((30.0, 30.0, 50.0))
    assert whole["Overtaking % (of 1)"] == (100.0, 100.0, 100.0)
    assert whole["Emergency_Brake % (of 1)"] == (None, 0.0, None)
    assert whole["Traffic_Signs % (of 1)"] == (0.0, 0.0, 0.0)
    assert whole["ability mean %"] == pytest.approx((None, 20.0, None), nan_ok=False)
    notes = "\n".join(found.notes)
    for words in ("4 results of 5 routes", "1 routes missing, 0 in 'all routes': 15", "crashed", "lower bound: 1"):
        assert words in notes


def test_a_whole_set_has_nothing_to_be_said(tmp_path: Path) -> None:
    """220 routes, one file each, and nothing amiss: official and honest figures are one."""
    routes = write_route_file(tmp_path / "all.xml", SCENES * 44, first=1)
    write(tmp_path / "results", *([result(number + 1)] for number in range(220)))
    found = table(tmp_path, routes=str(routes))
    assert found.notes == []
    assert all(row.official == row.all_routes == row.driven for row in found.rows)


def test_where_the_junction_lies_counts(tmp_path: Path) -> None:
    write(tmp_path / "results", *FOUR)
    (tmp_path / "junctions.json").write_text('{"13": 0.7}')
    found = table(tmp_path, junctions=str(tmp_path / "junctions.json"))
    assert figures(found)["Traffic_Signs % (of 1)"] == (100.0, 100.0, 100.0)
    assert not [note for note in found.notes if "lower bound" in note]
    old = table(tmp_path, junctions=str(tmp_path / "junctions.json"), release="0.0.3")
    assert figures(old)["Traffic_Signs % (of 2)"] == (50.0, 50.0, 50.0)


def test_what_counts_twice_is_named(tmp_path: Path) -> None:
    write(tmp_path / "results", *FOUR, [result(11, 50.0)], [result(77)])
    found = table(tmp_path)
    assert figures(found)["driving score"] == pytest.approx((373.0 / 220.0, 223.0 / 5.0, 203.0 / 3.0))
    notes = "\n".join(found.notes)
    assert "1 routes there several times, the first without a crash counts: 11 (2 times)" in notes
    assert "not in the route file, left out but in 'official': 77" in notes


def test_smoothness_of_routes_that_have_it(tmp_path: Path) -> None:
    """11 turns at 2 deg/s, 12's folder has a prefix, 13's file is cut off, 14 has none."""
    write(tmp_path / "results", *FOUR)
    (first, second), (third, _) = FOUR
    write_ticks(tmp_path / "saved", first, [tick(turn=2.0)] * 20)
    write_ticks(tmp_path / "saved", second, [tick(lon=1.0)] * 45, prefix="bench2drive220_")
    write_ticks(tmp_path / "saved", third, [tick()])
    cut = tmp_path / "saved" / third.save_name / "metric_info.json"
    cut.write_text(cut.read_text()[:20])
    found = table(tmp_path, save_path=str(tmp_path / "saved"))
    assert figures(found)["smoothness % as scripted"] == (50.0, 50.0, 50.0)
    assert figures(found)["smoothness % as defined"] == (100.0, 100.0, 100.0)
    notes = "\n".join(found.notes)
    assert "2 routes count in no smoothness" in notes
    assert f"does not find them: {second.save_name}" in notes
    assert "14 (no metric_info.json)" in notes
    assert table(tmp_path, save_path=str(tmp_path / "saved")).details["routes"]["11"]["smoothness as scripted"] == 0.0


def test_files_hold_what_is_printed(tmp_path: Path) -> None:
    write(tmp_path / "results", *FOUR)
    found = table(tmp_path)
    out = tmp_path / "out"
    assert (out / "table.md").read_text() == found.markdown()
    rows = list(csv.reader((out / "table.csv").open()))
    assert rows[0] == ["figure", "official", "all routes", "driven"]
    assert rows[1][0] == "driving score"
    assert float(rows[1][2]) == pytest.approx(44.6)
    content = json.loads((out / "table.json").read_text())
    assert content["figures"]["driving score"]["all_routes"] == pytest.approx(44.6)
    assert content["by_scenario"]["Accident"] == {"successes": 1, "routes": 1}
    assert content["routes"]["14"]["status"] == "Failed - Simulation crashed"


def test_without_a_route_file_results_are_all_there_is(tmp_path: Path) -> None:
    write(tmp_path / "results", *FOUR)
    found = table(tmp_path, routes=None)
    assert figures(found)["driving score"][1] == pytest.approx(223.0 / 4.0)
    assert not [row for row in found.rows if "Overtaking" in row.name]


def test_files_folders_and_patterns(tmp_path: Path) -> None:
    write(tmp_path / "a", [result(1)], [result(2)])
    for name in ("merged.json", "merged_ability.json"):
        (tmp_path / "a" / name).write_text("{}")
    expected = [tmp_path / "a" / "0.json", tmp_path / "a" / "1.json"]
    assert find_result_files([str(tmp_path / "a")]) == expected
    assert find_result_files([str(tmp_path / "*" / "?.json")]) == expected
    assert find_result_files([str(expected[1]), str(tmp_path / "a")]) == expected[::-1]
    with pytest.raises(InputError, match="has no result file"):
        find_result_files([str(tmp_path / "b*")])


def test_a_broken_file_costs_itself(tmp_path: Path) -> None:
    write(tmp_path / "results", *FOUR)
    (tmp_path / "results" / "0.json").write_text("")
    found = table(tmp_path)
    assert "0.json" in found.notes[-1]
    assert figures(found)["driving score"][0] == pytest.approx(95.0 / 220.0)
    (tmp_path / "results" / "1.json").unlink()
    with pytest.raises(InputError, match=r"0\.json"):
        table(tmp_path)


@pytest.mark.parametrize("changes", [{"release": "0.0.2"}, {"results": []}])
def test_settings_that_mean_nothing(changes: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        Bench2DriveTableConfig(**{"results": ["a"], "output": "b", **changes})


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "results", *FOUR)
    command = COMMANDS["cache_tools.bench2drive_table"]
    places = {"results": str(tmp_path / "results"), "out": str(tmp_path / "out")}
    assert command.run(*command.overrides(places)).code == 0
    assert "| driving score | 1.01364 | 55.75 | 67.6667 |" in capsys.readouterr().out
    line = [*command.overrides(places), f"routes={tmp_path / 'none.xml'}"]
    assert_one_line(command.run(*line), capsys, "none.xml", "give a route file")
