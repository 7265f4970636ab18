"""The command that serves an agent."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from navsim_agents.errors import InputError
from tests.common.commands import COMMANDS as ALL
from tests.common.commands import ROOT, assert_one_line
from training.serve import ServeConfig, load_driver

SERVE = ALL["training.serve"]
is_served = pytest.mark.skipif(
    importlib.util.find_spec("carla_driver_interface") is None,
    reason="carla-driver-interface is not installed; it needs Python 3.10 or newer",
)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "one of agent, run and baseline says who drives, but none is given"),
        ({"run": "a", "baseline": "human"}, "but run and baseline is given"),
        ({"baseline": "human", "run_settings": {"a": 1}}, "run_settings=.* without a run"),
    ],
)
def test_who_drives(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        ServeConfig(**settings)


def test_a_baseline_that_needs_a_log() -> None:
    with pytest.raises(InputError, match="human needs the scene of a log"):
        load_driver(ServeConfig(baseline="human"))


@is_served
def test_it_says_where_and_answers_until_terminated() -> None:
    from navsim_agents.alpasim.client import DriverClient

    command = [sys.executable, "-m", "navsim_agents", "serve", "baseline=constant_velocity", "port=0", "seconds=60"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            assert said.startswith("constant_velocity drives at 127.0.0.1:")
            with DriverClient(said.split()[-1], 20.0) as client, client.start({}) as session:
                session.send_egomotion(0, np.zeros(3), np.array([4.0, 0.0]))
                assert session.plan(0).poses[-1, 0] == pytest.approx(16.0)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20.0) == 0
        finally:
            process.kill()


@is_served
def test_it_ends_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    ended = SERVE.run("baseline=constant_velocity", "port=0", "seconds=0.1")
    assert ended.code == 0
    assert "constant_velocity drives at 127.0.0.1:" in capsys.readouterr().out


@is_served
def test_a_host_that_is_not_here(capsys: pytest.CaptureFixture[str]) -> None:
    ended = SERVE.run("baseline=constant_velocity", "host=192.0.2.1", "seconds=0.1")
    assert_one_line(ended, capsys, "192.0.2.1:50051 cannot be served at", "name another host or port")
