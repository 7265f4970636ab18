"""The benchmark of two builds: its neighbours always end, and its tables say what was measured."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.scoring_processes import Worker, label_rates, neighbours
from benchmarks.scoring_tables import Figures, report_labels, report_memory, report_takes, report_threads
from navsim_agents.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
KILLED = """
import os, signal
from benchmarks.scoring_processes import neighbours
with neighbours(1) as (process,):
    print(process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""

LABELS = """
import sys
if len(sys.argv) < 2:
    sys.exit("no scenes")
print("9 trajectories, 3 scenes (3 different), epdms in float64, 2 processes: 120.0 scenes a minute")
print("processor time: 0.750 s a scene, so 160.0 scenes a minute without other load")
"""


def figures(wall_s, busy_s):
    return Figures([wall_s, 9.0, 0.0], [busy_s, 0.0, 9.0])  # the medians are what is handed in


def test_neighbours_end_with_the_block():
    with neighbours(2) as running:
        assert [process.poll() for process in running] == [None, None]
    assert all(process.returncode is not None for process in running)


def test_neighbours_end_when_the_measurement_fails():
    kept = []
    with pytest.raises(ZeroDivisionError):
        fail_among_neighbours(kept)
    assert kept[0].returncode is not None


def fail_among_neighbours(kept):
    with neighbours(1) as running:
        kept += running
        raise ZeroDivisionError


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks a process up in /proc")
def test_neighbours_end_when_the_benchmark_is_killed():
    done = subprocess.run([sys.executable, "-c", KILLED], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    state = Path(f"/proc/{int(done.stdout)}/stat")
    until = time.monotonic() + 20.0
    while is_running(state) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_running(state)


def is_running(state: Path) -> bool:
    try:
        return state.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_worker_that_fails_ends_the_benchmark():
    settings = {"scenes": {"epdms": ["nowhere.npz"]}, "plans": "nowhere.npy", "device": "cpu", "threads": 1}
    with pytest.raises(InputError, match=f"the scorer of {ROOT} ended"):
        Worker(ROOT, settings)


def test_times_are_medians_and_shares_of_the_other_build(capsys):
    takes = {
        ("epdms", "other", 1): figures(0.8, 0.7),
        ("epdms", "this", 1): figures(0.1, 0.07),
        ("epdms", "this", 2): figures(0.24, 0.091),
    }
    report_takes(takes)
    report_threads(takes, 2)
    one, two, threads = capsys.readouterr().out.splitlines()[2:]
    assert one.split()[5:] == ["800.00", "100.00", "0.125", "700.00", "70.00", "0.100", "<=", "0.25"]
    assert two.split()[5:] == ["800.00", "240.00", "0.300", "700.00", "91.00", "0.130", ">", "0.25"]
    assert "two threads take 2.400 of one (>  1.2), and 0.300 of the other build's one (>  0.25)" in threads


def test_two_idle_cores_are_asked_for_more_than_two_busy_ones(capsys):
    takes = {
        ("epdms", build, threads): figures(1.0 / threads, 1.0) for build in ("other", "this") for threads in (1, 2)
    }
    report_threads(takes, 0)
    assert "two threads take 0.500 of one (<= 0.588)" in capsys.readouterr().out


def test_memory_is_what_comes_on_top(capsys):
    other = {"begun_mb": 190.0, "imported_mb": 200.0, "inputs_mb": 220.0, "loaded_mb": 240.0, "peak_mb": 600.0}
    this = {"begun_mb": 150.0, "imported_mb": 210.0, "inputs_mb": 240.0, "loaded_mb": 330.0, "peak_mb": 400.0}
    report_memory("epdms", {"other": other, "this": this})
    title, importing, begun, inputs, loaded = capsys.readouterr().out.strip().splitlines()
    assert "EPDMS" in title
    assert "other 400, this 190, ratio 0.475 (<= 0.5)" in importing
    assert begun.endswith("other 410, this 250, ratio 0.610")
    assert inputs.endswith("other 380, this 160, ratio 0.421")
    assert loaded.endswith("other 360, this 70, ratio 0.194")


def test_rates_of_labels_are_read_from_each_builds_own_benchmark(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "labels.py").write_text(LABELS)
    assert label_rates(tmp_path, ["--count", "3"]) == {"wall_s": 0.5, "busy_s": 0.75}
    with pytest.raises(InputError, match="gave no figures: no scenes"):
        label_rates(tmp_path, [])
    printed = (ROOT / "benchmarks" / "labels.py").read_text()
    assert ':.1f} scenes a minute"' in printed
    assert "processor time: {busy_s:.3f} s a scene" in printed


def test_labels_are_counted_a_minute(capsys):
    report_labels({"other": figures(2.0, 4.0), "this": figures(0.5, 0.8)}, 2)
    printed = capsys.readouterr().out
    assert "labels, this: 120.0 scenes a minute with 2 processes; 0.800 s of a processor a scene" in printed
    assert "4.00 times as many scenes a minute, 5.00 times by processor time (asked: 3.5)" in printed
