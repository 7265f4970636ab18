"""The pool of processes: results, killed workers, and ends of all kinds after which no process is left.

Everything that a command starts holds the command's standard output, which therefore ends when the last of them does.
"""

from __future__ import annotations

import ast
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from navsim_agents.common.processes import WorkerError, run_jobs, run_on_threads, run_program, try_jobs
from tests.common import jobs

ROOT = Path(__file__).resolve().parents[2]
SEARCHED = ("navsim_agents", "cache_tools", "training", "hydra_plugins")
POOLS = ("multiprocessing", "concurrent.futures", "torch.multiprocessing", "joblib")
DEADLINE_S = 120.0
"""Ends what hangs; a job of these tests takes 600 s."""
STAGE = """
from pathlib import Path
from training.stages import Stage, run_stages
folder = Path({folder!r})
run_stages(folder, [Stage("world", "make", "navsim_agents.world", tuple({settings!r}), folder / "world")], "1")
"""
WORLD = (
    "logs=2",
    "splits.train=0",
    "splits.val=0",
    "seed=3",
    "duration_s=10",
    "cameras=[cam_f0]",
    "scoring_scenes=false",
    "workers=2",
)


def test_every_job_is_done_once() -> None:
    assert sorted(run_jobs(jobs.double, [5, 1, 4], 2)) == [2, 8, 10]
    assert list(run_jobs(jobs.double, [5, 1, 4], 0)) == [10, 2, 8]
    assert list(run_jobs(jobs.double, [], 2)) == []


def test_results_come_as_they_are_there_or_in_order() -> None:
    assert list(run_jobs(jobs.first_is_slow, range(4), 2, in_order=True)) == [0, 1, 2, 3]
    assert list(run_jobs(jobs.first_is_slow, range(4), 2))[-1] == 0


@pytest.mark.parametrize("workers", [0, 1])
def test_a_job_that_fails_costs_itself(workers: int) -> None:
    ended = dict(try_jobs(jobs.fail_at_three, [1, 3, 2], workers))
    assert {job: str(future.exception()) for job, future in ended.items()} == {1: "None", 2: "None", 3: "three"}
    assert [ended[job].result() for job in (1, 2)] == [1, 2]
    assert list(try_jobs(jobs.fail_at_three, [], workers)) == []
    with pytest.raises(ValueError, match="three"):
        list(run_jobs(jobs.fail_at_three, [1, 3, 2], workers))


def test_workers_have_the_threads_that_are_asked_for() -> None:
    assert set(run_jobs(jobs.num_threads, range(2), 1, threads=3)) == {3}


@pytest.mark.parametrize("run", [run_jobs, try_jobs])
def test_killed_worker_is_told(run: object) -> None:
    with pytest.raises(WorkerError, match="one of 1 worker processes was killed, but each must live until"):
        list(run(jobs.die_at_three, [1, 2, 3, 4], 1))  # type: ignore[operator]


def test_a_caller_who_wants_no_more_waits_for_nobody(tmp_path: Path) -> None:
    results = run_jobs(jobs.first_is_slow, [1, *[0] * 2000], 1)
    assert next(results) == 1
    results.close()  # type: ignore[attr-defined]


@contextmanager
def started(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A command with processes of its own, in a session of its own, of which nothing is left at the end."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell's background jobs ignore Ctrl-C, and so would what they start.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for(folder: Path, pattern: str, count: int) -> None:
    end = time.monotonic() + DEADLINE_S
    while len(list(folder.glob(pattern))) < count:
        assert time.monotonic() < end, f"{folder} never had {count} of {pattern}"
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (signal.SIGKILL, "hang"),
        (signal.SIGKILL, "deaf"),
        (signal.SIGKILL, "program"),
        (signal.SIGTERM, "hang"),
        (signal.SIGINT, "hang"),
        (signal.SIGINT, "deaf"),
        (signal.SIGINT, "program"),
    ],
)
def test_no_process_outlives_the_command(number: signal.Signals, kind: str, tmp_path: Path) -> None:
    with started("-m", "tests.common.jobs", kind, str(tmp_path)) as process:
        wait_for(tmp_path, "begun_*", jobs.NUM_WORKERS)
        process.send_signal(number)
        _, words = process.communicate(timeout=DEADLINE_S)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert words.splitlines()[-1:] == ["interrupted; run the same command to go on from here"]
        assert "Traceback" not in words
    else:
        assert process.returncode == -number
    if kind != "deaf":
        assert {path.name for path in tmp_path.iterdir()} == {"begun_0", "begun_1"}, "what was unfinished went"


@pytest.mark.parametrize(("kind", "delay_s"), [("hang", 0.0), ("hang", 0.3), ("hang", None), ("program", None)])
def test_ctrl_c_of_a_terminal_is_one_line_at_any_time(kind: str, delay_s: object, tmp_path: Path) -> None:
    """It reaches every process of the command, those too that are still importing."""
    with started("-m", "tests.common.jobs", kind, str(tmp_path)) as process:
        assert process.stdout is not None
        for _ in range(2 if kind == "program" else 1):
            assert process.stdout.readline() == "here\n"
        if isinstance(delay_s, float):
            time.sleep(delay_s)
        else:
            wait_for(tmp_path, "begun_*", jobs.NUM_WORKERS)
        os.killpg(process.pid, signal.SIGINT)
        _, words = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130, words
    assert set(words.splitlines()) == {"interrupted; run the same command to go on from here"}
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_programs_exit_code_and_environment() -> None:
    code = "import os, sys; sys.exit(int(os.environ['CODE']))"
    assert run_program([sys.executable, "-c", code], {"CODE": "7"}) == 7


@pytest.mark.slow
@pytest.mark.parametrize("of", ["world", "demo"])
def test_no_renderer_outlives_a_command_that_is_killed(of: str, tiny_world: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(Path(tiny_world["world"]) / "maps", tmp_path / "world" / "maps")  # of the same seed; takes seconds
    settings = [f"output={tmp_path / 'world'}", *WORLD]
    stage = ("-c", STAGE.format(folder=str(tmp_path), settings=settings))
    with started(*(stage if of == "demo" else ("-m", "navsim_agents.world", *settings))) as process:
        wait_for(tmp_path / "world" / "sensor_blobs" / "test", "*/CAM_F0", 2)  # two logs at once: both workers render
        assert process.poll() is None
        process.kill()
        process.communicate(timeout=DEADLINE_S)


def imported(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    of = [(node.module or "", node.names) for node in nodes if isinstance(node, ast.ImportFrom)]
    return names | {module for module, _ in of} | {f"{module}.{alias.name}" for module, names in of for alias in names}


def test_nobody_has_a_pool_of_their_own() -> None:
    paths = [path for folder in SEARCHED for path in sorted((ROOT / folder).rglob("*.py"))]
    found = {path.relative_to(ROOT).as_posix() for path in paths if imported(path) & set(POOLS)}
    of_grpc = "navsim_agents/alpasim/server.py"  # whose server takes its threads as an executor
    assert found == {"navsim_agents/common/processes.py", of_grpc}, "run jobs by navsim_agents.common.processes"


@pytest.mark.parametrize("count", [1, 3])
def test_work_is_done_on_as_many_threads(count: int) -> None:
    seen, all_there = set(), threading.Barrier(count)

    def work() -> None:
        seen.add(threading.current_thread().name)
        all_there.wait(60.0)

    run_on_threads(work, count)
    assert len(seen) == count
    assert threading.current_thread().name in seen


@pytest.mark.parametrize("where", ["MainThread", "work-1"])
def test_an_error_on_any_thread_is_raised_when_all_are_done(where: str) -> None:
    done, all_there = [], threading.Barrier(2)

    def work() -> None:
        all_there.wait(60.0)
        if threading.current_thread().name == where:
            raise KeyError(where)
        done.append(True)

    with pytest.raises(KeyError, match=where):
        run_on_threads(work, 2)
    assert done == [True]
