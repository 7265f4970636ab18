"""Sessions over real gRPC: unknown, vanished, eight at once; docs/alpasim.md has the answers."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from navsim_agents.errors import InputError
from navsim_agents.evaluation.baselines import Human
from tests.alpasim.package import needing_package

rollouts: Any = needing_package("tests.alpasim.rollouts")
here, refusal, shades, show = rollouts.here, rollouts.refusal, rollouts.shades, rollouts.show
SECOND = 1_000_000
HALF = SECOND // 2
NAN = float("nan")


def test_unknown_sessions(client: Any) -> None:
    session = client.start(rollouts.declared(), "mine")
    refusal(lambda: client.start(rollouts.declared(), "mine"), "ALREADY_EXISTS", "session mine is open already")
    session.close()
    for call in (
        session.close,
        lambda: session.plan(0),
        lambda: session.send_egomotion(0, here()),
        lambda: show(session, 1, 0),
        lambda: session.send_route(0, np.zeros((1, 2))),
    ):
        refusal(call, "NOT_FOUND", "no session 'mine'")


def test_no_plan_is_ever_empty(session: Any) -> None:
    refusal(lambda: session.plan(0), "FAILED_PRECONDITION", "no pose by time_now_us=0")
    session.send_egomotion(0, here())
    refusal(lambda: session.plan(0), "FAILED_PRECONDITION", "no picture of every camera")
    show(session, 1, 0)
    refusal(lambda: session.plan(0, 4 * SECOND), "INVALID_ARGUMENT", "time_query_us is 4000000")
    assert len(session.plan(0, 4 * SECOND - 1).poses) == 41


def test_a_client_that_vanishes(agent: Any) -> None:
    limits = rollouts.Limits(max_sessions=1, idle_s=0.4)
    with rollouts.served(agent, limits) as (client, service):
        lost = client.start(rollouts.declared())
        refusal(lambda: client.start(rollouts.declared()), "RESOURCE_EXHAUSTED", "max_sessions=1")
        end = time.monotonic() + rollouts.TIMEOUT_S
        while len(service.sessions):  # nobody calls: the server sees to it by itself
            assert time.monotonic() < end
            time.sleep(0.02)
        refusal(lambda: lost.plan(0), "NOT_FOUND", "one without calls ends after 0.4 s")
        client.start(rollouts.declared())


def test_eight_sessions_at_once(agent: Any) -> None:
    """Each has its own way, speed, pictures; their calls come all at once, and none gets another's plan."""
    gate = threading.Barrier(8)
    network, plain = threading.Lock(), agent.compute_trajectory

    def slow(agent_input: Any) -> Any:
        assert network.acquire(blocking=False), "two plans at once on one network"
        time.sleep(0.002)
        found = plain(agent_input)
        network.release()
        return found

    agent.compute_trajectory = slow

    def drive(client: Any, number: int) -> None:
        with client.start(rollouts.declared(), f"rollout {number}") as session:
            for frame in range(5):
                gate.wait(rollouts.TIMEOUT_S)
                stamp, speed = frame * HALF, 2.0 * number
                session.send_egomotion(stamp, here(0.5 * speed * frame, 3.0 * number), np.array([speed, 0.0]))
                show(session, 10 * number + frame, stamp)
                plan = session.plan(stamp)
                expected = [0.5 * speed * frame + 4.0 * speed, 3.0 * number + (10 * number + frame) / 100]
                np.testing.assert_allclose(plan.poses[-1, :2], expected, atol=1e-4)
                assert round(1000 * plan.poses[-1, 2]) == 10 * number + max(frame - 1, 0)

    with rollouts.served(agent) as (client, service), ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(drive, client, number) for number in range(8)]:
            done.result(rollouts.TIMEOUT_S)
        assert len(service.sessions) == 0
    assert len(agent.inputs) == 40


def test_what_the_agent_refuses_is_told(agent: Any, client: Any, session: Any) -> None:
    def refuse(_: Any) -> Any:
        raise InputError("7 is no 8; send 8")

    agent.compute_trajectory = refuse
    session.send_egomotion(0, here())
    show(session, 1, 0)
    refusal(lambda: session.plan(0), "FAILED_PRECONDITION", "7 is no 8; send 8")
    agent.compute_trajectory = lambda _: rollouts.Trajectory(np.full((8, 3), NAN))
    refusal(lambda: session.plan(0), "INTERNAL", "finite poses")


def test_agents_of_logs_alone_are_refused() -> None:
    with pytest.raises(InputError, match="needs the scene of a log"):
        rollouts.Driver(Human(), "human")


def test_a_taken_port_is_refused(agent: Any) -> None:
    driver, limits = rollouts.Driver(agent, "told"), rollouts.Limits()
    with rollouts.serving(driver, limits) as (port, _):
        second = rollouts.serving(driver, limits, port=port)
        with pytest.raises(InputError, match=f"{port} cannot be served at .*; name another"):
            second.__enter__()


def test_version_and_warming_up(agent: Any, client: Any) -> None:
    assert client.version() == "told"
    driver = rollouts.Driver(agent, "told")
    driver.warm_up()
    assert agent.inputs[-1].cameras[-1].cam_f0.image.shape == (1080, 1920, 3)
