"""All routes of all agents: the same whatever the workers, and never driven twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import pytest

from navsim_agents.bench2drive.motion_files import Motions
from navsim_agents.bench2drive.records import RouteRecord, metric_info_path, read_records, write_records
from navsim_agents.closed_loop import runs
from navsim_agents.closed_loop.config import DriveLoopConfig
from navsim_agents.closed_loop.results import figures, main_rows, summarise, write_results
from navsim_agents.closed_loop.runs import LOCK_FILE, DriveTask, choose_routes, drive_all, finished, training_digest
from navsim_agents.common.locks import FileLock
from navsim_agents.errors import InputError, WorldDataError
from tests.closed_loop.given import TOWN, WORLD_SEED


def settings(folder: Path, **given: Any) -> DriveLoopConfig:
    known = {"towns": [TOWN], "world_seed": WORLD_SEED, "routes": 2, "vehicles": 2, "time_limit_s": 1.5}
    return DriveLoopConfig(str(folder), **{"baselines": ["expert", "constant_velocity"], **known, **given})


def contents(folder: Path) -> dict[str, bytes]:
    """Of every file, without the seconds that a route took."""
    found = {}
    for path in sorted(folder.rglob("*.json")):
        lines = path.read_bytes().splitlines()
        kept = [line for line in lines if b"duration_system" not in line]
        found[str(path.relative_to(folder))] = b"\n".join(kept)
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Driven at one go."""
    config = settings(tmp_path_factory.mktemp("whole"))
    drive_all(config, choose_routes(config))
    return Path(config.output)


def test_two_workers_drive_as_one(whole: Path, tmp_path: Path) -> None:
    config = settings(tmp_path, workers=2)
    drive_all(config, choose_routes(config))
    assert contents(tmp_path) == contents(whole)
    assert len(contents(whole)) == 2 * (2 + 2 + 2)


def test_a_run_that_was_killed_goes_on(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its third route, whose record is left damaged."""
    config, driven, killed_at = settings(tmp_path), [], 3
    drive_one = runs.drive_one

    def counted(task: DriveTask) -> RouteRecord:
        driven.append(task.record_path)
        if len(driven) == killed_at:
            task.record_path.parent.mkdir(parents=True, exist_ok=True)
            task.record_path.write_text('{"_checkpoint": {"rec')  # as a disk that was full leaves it
            raise KeyboardInterrupt
        return drive_one(task)

    monkeypatch.setattr(runs, "drive_one", counted)
    with pytest.raises(KeyboardInterrupt):
        drive_all(config, choose_routes(config))
    first = len(driven)
    drive_all(config, choose_routes(config))
    assert len(driven) - first == 4 - (killed_at - 1)
    assert contents(tmp_path) == contents(whole)


def test_a_second_run_drives_nothing(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "drive_one", lambda task: pytest.fail(f"{task.route.name} was there"))
    config = settings(whole)
    driven = drive_all(config, choose_routes(config))
    assert {agent: len(its) for agent, its in driven.items()} == {"expert": 2, "constant_velocity": 2}


def test_a_route_that_fails_costs_one_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drive_one = runs.drive_one

    def broken(task: DriveTask) -> RouteRecord:
        if task.route.number == 1:
            raise ZeroDivisionError("the world broke")
        return drive_one(task)

    monkeypatch.setattr(runs, "drive_one", broken)
    config = settings(tmp_path, baselines=["expert"])
    routes = choose_routes(config)
    with pytest.raises(WorldDataError, match=rf"1 of 2 routes failed \({routes[1].name} of expert\).*the world broke"):
        drive_all(config, routes)
    assert [record.index for record in read_records(tmp_path / "expert" / "results.json")] == [0]


def test_a_crashed_agent_drives_again(whole: Path) -> None:
    config = settings(whole)
    task = DriveTask("expert", choose_routes(config)[0], config)
    record = finished(task)
    assert record is not None
    kept = task.record_path.read_bytes()
    write_records(task.record_path, [replace(record, status="Failed - Agent crashed")])
    try:
        assert finished(task) is None
    finally:
        task.record_path.write_bytes(kept)


@pytest.mark.parametrize("text", [None, "", '{"0": {"acce', "null"])
def test_a_route_whose_motion_is_damaged_drives_again(whole: Path, text: Optional[str]) -> None:
    config = settings(whole)
    task = DriveTask("expert", choose_routes(config)[0], config)
    record = finished(task)
    assert record is not None
    path = metric_info_path(task.folder, record)
    kept = path.read_bytes()
    try:
        path.unlink() if text is None else path.write_text(text)
        assert finished(task) is None
    finally:
        path.write_bytes(kept)


@pytest.mark.parametrize("text", ["", "[1]", "null", '{"towns"'])
def test_damaged_settings_are_named(tmp_path: Path, text: str) -> None:
    config = settings(tmp_path)
    (tmp_path / "expert").mkdir()
    (tmp_path / "expert" / "settings.json").write_text(text)
    with pytest.raises(InputError, match=r"expert/settings\.json"):
        drive_all(config, [])


def test_two_commands_do_not_drive_into_one_folder(tmp_path: Path) -> None:
    config = settings(tmp_path)
    lock = FileLock(tmp_path / LOCK_FILE)
    with pytest.raises(InputError, match=f"{tmp_path.name} is being driven by another process"):
        drive_all(config, [])
    lock.release()
    assert drive_all(config, []) == {"expert": [], "constant_velocity": []}
    FileLock(tmp_path / LOCK_FILE).release()


@pytest.mark.parametrize(("content", "is_kept"), [(None, False), (b"", False), (b"film", True)])
def test_a_route_whose_film_is_missing_drives_again(whole: Path, content: Optional[bytes], is_kept: bool) -> None:
    route = choose_routes(settings(whole))[0]
    task = DriveTask("expert", route, settings(whole, films=[route.name]))
    path = task.film_path
    assert path is not None
    path.parent.mkdir(exist_ok=True)
    try:
        if content is not None:
            path.write_bytes(content)
        assert (finished(task) is not None) is is_kept
    finally:
        path.unlink(missing_ok=True)


def test_other_settings_do_not_mix(whole: Path) -> None:
    config = settings(whole, replan_s=0.3)
    with pytest.raises(InputError, match=r"replan_s=0.5, but replan_s=0.3 is asked for"):
        drive_all(config, choose_routes(config))


def test_another_training_in_a_runs_place_is_told_from_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "result.json").write_text('{"epochs": 3}')
    (run / "history.csv").write_text("1")
    first = training_digest(run)
    (run / "history.csv").write_text("2")
    assert training_digest(run) == first
    (run / "result.json").write_text('{"epochs": 4}')
    assert training_digest(run) != first
    assert training_digest(run / "result.json") == training_digest(run)


def test_the_tables_say_what_the_records_say(whole: Path) -> None:
    config = settings(whole)
    routes = choose_routes(config)
    summary = summarise(config, routes, drive_all(config, routes))
    text = write_results(config, summary)
    assert "constant_velocity" in text
    assert "light_straight" in text
    records = read_records(whole / "expert" / "results.json")
    mean = sum(record.score_composed for record in records) / 2
    assert summary["agents"]["expert"]["driving_score"] == pytest.approx(mean)
    assert summary["situations"]["expert"]["light_left"]["routes"] == 1.0
    lines = (whole / "table.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * (1 + 2)
    assert lines[1].startswith(f"expert,all,{mean:.6g}")
    assert (whole / "table.md").read_text().startswith("## All routes\n\n| agent | driving_score |")


def test_runs_of_several_seeds_are_averaged() -> None:
    def record(score: float) -> RouteRecord:
        return RouteRecord("RouteScenario_0_rep0", status="Failed", score_route=score, score_composed=score)

    agents = {
        f"full-seed{seed}": figures([record(score), record(0.0)], Motions({}, {}))
        for seed, score in enumerate((60.0, 80.0, 100.0))
    }
    assert agents["full-seed0"] == {"driving_score": 30.0, "success": 0.0, "route": 30.0, "routes": 2.0}
    from navsim_agents.evaluation.seeds import spreads

    rows = main_rows({"agents": agents, "seeds": spreads(agents)})
    assert rows[-1][:3] == ["full (3 seeds)", "40.00 ± 10.00", "0.00 ± 0.00"]
