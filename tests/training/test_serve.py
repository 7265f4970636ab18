"""The command that serves an agent."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import threading
from typing import Any

import numpy as np
import pytest

from navsim_agents.errors import InputError
from tests.common.commands import COMMANDS, assert_one_line
from training.serve import ServeConfig, load_driver

SERVE = COMMANDS["training.serve"]
is_served = pytest.mark.skipif(
    importlib.util.find_spec("carla_driver_interface") is None,
    reason="carla-driver-interface is not installed; it needs Python 3.10 or newer",
)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "run, agent or baseline: not given, but needed; add run="),
        ({"run": "a", "baseline": "human"}, "run and baseline are given, but one of them drives"),
        ({"baseline": "human", "run_settings": {"a": 1}}, "run_settings=.* without a run"),
        ({"baseline": "human", "cameras": {"CAM_F0": "front"}}, r"cameras has \['CAM_F0'\]; cameras are cam_f0, "),
    ],
)
def test_who_drives(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        ServeConfig(**settings)


def test_a_baseline_that_needs_a_log() -> None:
    with pytest.raises(InputError, match="human needs the scene of a log"):
        load_driver(ServeConfig(baseline="human"))


def a_free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@is_served
def test_it_answers_until_terminated(capsys: pytest.CaptureFixture[str]) -> None:
    from navsim_agents.alpasim.client import DriverClient

    port, ends = a_free_port(), []

    def use() -> None:
        try:
            with DriverClient(f"127.0.0.1:{port}", 20.0) as client:
                grpc.channel_ready_future(client.channel).result(20.0)
                with client.start({}) as session:
                    session.send_egomotion(0, np.zeros(3), np.array([4.0, 0.0]))
                    ends.append(session.plan(0).poses[-1, 0])
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    grpc = pytest.importorskip("grpc")
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # if the command fails before it handles it
    user = threading.Thread(target=use)
    user.start()
    try:
        ended = SERVE.run("baseline=constant_velocity", f"port={port}", "seconds=60")
    finally:
        user.join(30.0)
        signal.signal(signal.SIGTERM, before)
    assert ended.code == 0
    assert f"constant_velocity drives at 127.0.0.1:{port}" in capsys.readouterr().out
    assert ends == [pytest.approx(16.0)]


@is_served
def test_it_ends_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    ended = SERVE.run("baseline=constant_velocity", "port=0", "seconds=0.1")
    assert ended.code == 0
    assert "constant_velocity drives at 127.0.0.1:" in capsys.readouterr().out


@is_served
def test_a_host_that_is_not_here(capsys: pytest.CaptureFixture[str]) -> None:
    ended = SERVE.run("baseline=constant_velocity", "host=192.0.2.1", "seconds=0.1")
    assert_one_line(ended, capsys, "192.0.2.1:50051 cannot be served at", "name another host or port")
