"""What FakeLoop never sends, over real gRPC: each fault of a client has the answer that docs/alpasim.md gives it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from navsim_agents.alpasim.faults import DriverFault
from navsim_agents.errors import InputError
from navsim_agents.evaluation.baselines import ConstantVelocity, Human

rollouts: Any = pytest.importorskip(
    "tests.alpasim.rollouts", reason="carla-driver-interface is not installed; it needs Python 3.10 or newer"
)
SECOND, CAMERA = 1_000_000, "CAM_F0"
HALF, TENTH = SECOND // 2, SECOND // 10
SPEED = np.array([10.0, 0.0])
NAN = float("nan")


@pytest.fixture
def agent() -> Any:
    return rollouts.Told()


@pytest.fixture
def client(agent: Any) -> Any:
    with rollouts.served(agent) as (found, _):
        yield found


@pytest.fixture
def session(client: Any) -> Any:
    with client.start(rollouts.declared()) as found:
        yield found


def here(x: float = 0.0, y: float = 0.0, heading: float = 0.0) -> np.ndarray:
    return np.array([x, y, heading])


def shades(plan: Any) -> tuple[int, int]:
    """Of the pictures before and now that a plan was made from, when the ego is at the origin."""
    return round(1000 * plan.poses[-1, 2]), round(100 * plan.poses[-1, 1])


def refusal(call: Callable[[], object], code: str, words: str) -> None:
    with pytest.raises(DriverFault, match=words) as caught:
        call()
    assert caught.value.code == code


def show(session: Any, shade: int, stamp: int, camera: str = CAMERA) -> None:
    session.send_picture(camera, stamp, rollouts.plain(shade))


# -- pictures ------------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (2, 1, 0)])
def test_late_pictures_are_sorted(session: Any, order: tuple[int, ...]) -> None:
    session.send_egomotion(SECOND, here())
    for index in order:
        show(session, 10 * (index + 1), index * HALF)
    assert shades(session.plan(SECOND)) == (20, 30)


def test_a_late_picture_is_not_now(session: Any) -> None:
    """It comes after the picture of now, as in the package's own service it would be the latest."""
    session.send_egomotion(HALF, here())
    show(session, 30, HALF)
    show(session, 20, HALF - TENTH)
    show(session, 10, 0)
    assert shades(session.plan(HALF)) == (10, 30)


def test_a_doubled_picture_changes_nothing(session: Any) -> None:
    session.send_egomotion(HALF, here())
    for shade, stamp in ((10, 0), (30, HALF), (99, HALF), (77, 0)):
        show(session, shade, stamp)
    assert shades(session.plan(HALF)) == (10, 30)


def test_the_clip_spans_half_a_second_whatever_the_rate(session: Any) -> None:
    session.send_egomotion(SECOND, here())
    for tick in range(11):
        show(session, 10 + tick, tick * TENTH)
    assert shades(session.plan(SECOND)) == (15, 20)


@pytest.mark.parametrize(
    ("stamps", "found"),
    [
        ((0,), (1, 1)),  # the first picture of all stands for the one before it
        ((-HALF * 2, 0), (2, 2)),  # a missing one too: a second ago is another moment
        ((-HALF - 2 * TENTH, 0), (1, 2)),  # 0.2 s beside it will do
        ((-HALF + 2 * TENTH, 0), (1, 2)),
        ((-2 * TENTH, 0), (2, 2)),  # 0.3 s beside it will not
    ],
)
def test_a_missing_picture(session: Any, stamps: tuple[int, ...], found: tuple[int, int]) -> None:
    session.send_egomotion(2 * SECOND, here())
    for shade, stamp in enumerate(stamps, 1):
        show(session, shade, 2 * SECOND + stamp)
    assert shades(session.plan(2 * SECOND)) == found


def test_a_picture_of_the_future_waits(session: Any) -> None:
    session.send_egomotion(0, here(), SPEED * 0)
    show(session, 10, 0)
    show(session, 50, HALF)
    assert shades(session.plan(0)) == (10, 10)
    assert shades(session.plan(HALF - 1)) == (10, 10)
    assert shades(session.plan(HALF)) == (10, 50)


def test_pictures_that_stop(session: Any) -> None:
    """The plan of the last ones is driven on for a second, from where it was made."""
    show(session, 10, 0)
    session.send_egomotion(0, here(), SPEED)
    session.send_egomotion(HALF, here(3.0), SPEED)  # slower than the plan
    plan = session.plan(HALF)
    assert plan.stamps_us[0] == HALF
    assert plan.stamps_us[-1] == 4 * SECOND
    np.testing.assert_allclose(plan.poses[:3, 0], [3.0, 6.0, 7.0], atol=1e-5)
    session.send_egomotion(SECOND + 1, here(9.0), SPEED)
    refusal(lambda: session.plan(SECOND + 1), "FAILED_PRECONDITION", "newest pictures .* at most 1 s old")


@pytest.mark.parametrize("data", [b"", b"no picture", b"\xff\xd8\xff\xe0 cut off"])
def test_a_damaged_picture(session: Any, data: bytes) -> None:
    refusal(lambda: session.send_picture(CAMERA, 0, data), "INVALID_ARGUMENT", "no complete JPEG or PNG")
    refusal(lambda: session.send_picture(CAMERA, 0, rollouts.plain(9)[:-900]), "INVALID_ARGUMENT", "complete")


def test_pictures_of_other_sizes(session: Any, agent: Any) -> None:
    session.send_egomotion(0, here())
    session.send_picture(CAMERA, 0, rollouts.plain(40, 640))
    session.plan(0)
    assert agent.inputs[-1].cameras[-1].cam_f0.image.shape == (1080, 1920, 3)
    square = rollouts.encoded(np.zeros((64, 64, 3), np.uint8))
    refusal(lambda: session.send_picture(CAMERA, 1, square), "INVALID_ARGUMENT", "64 x 64, but .* 1920 x 1080")


def test_a_picture_over_4_mib_arrives(session: Any) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), dtype=np.uint8)
    data = rollouts.encoded(noise)
    assert len(data) > 4 * 2**20
    session.send_picture(CAMERA, 0, data)


def test_cameras_by_their_names(agent: Any) -> None:
    cameras = {"front": rollouts.declared()[CAMERA], "rear": rollouts.declared()[CAMERA]}
    with rollouts.served(agent) as (client, _):
        refusal(lambda: client.start(cameras), "INVALID_ARGUMENT", r"looks through cam_f0; .* \+cameras.cam_f0=")
    named = rollouts.Limits(cameras={"cam_f0": "front"})
    with rollouts.served(agent, named) as (client, _), client.start(cameras) as session:
        session.send_egomotion(0, here())
        show(session, 70, 0, "front")
        session.send_picture("rear", 0, b"nobody looks")
        assert shades(session.plan(0)) == (70, 70)
        refusal(lambda: show(session, 1, 0, "top"), "INVALID_ARGUMENT", "'top' was not declared")


def test_cameras_are_waited_for_together() -> None:
    """The newest moment that all cameras show, within a millisecond."""
    agent = rollouts.Told()
    agent.get_sensor_config = lambda: rollouts.SimpleNamespace(
        **{**dict.fromkeys(rollouts.CAMERA_NAMES, False), "cam_f0": [2, 3], "cam_b0": [3]}
    )
    with rollouts.served(agent) as (client, _), client.start(rollouts.declared("cam_f0", "cam_b0")) as session:
        session.send_egomotion(0, here())
        show(session, 10, 0)
        refusal(lambda: session.plan(0), "FAILED_PRECONDITION", r"every camera \(cam_f0, cam_b0\)")
        show(session, 90, 900, "CAM_B0")
        show(session, 20, HALF)
        show(session, 91, HALF + 1100, "CAM_B0")
        session.send_egomotion(HALF, here())
        assert shades(session.plan(HALF + 2000)) == (10, 10)
        assert agent.inputs[-1].cameras[-1].cam_b0.image[0, 0, 0] == 90


# -- egomotion -----------------------------------------------------------------


def test_a_plan_hangs_on_the_pose_of_now() -> None:
    """Case 14: 10 m/s, egomotion half a second old: the plan begins 5 m further; at last it is too old."""
    with rollouts.served(ConstantVelocity()) as (client, _), client.start({}) as session:
        session.send_egomotion(0, here(100.0, 50.0, np.pi / 2), SPEED)
        plan = session.plan(HALF)
        np.testing.assert_array_equal(plan.stamps_us, HALF + TENTH * np.arange(41))
        np.testing.assert_allclose(plan.poses[0], [100.0, 55.0, np.pi / 2], atol=1e-5)
        np.testing.assert_allclose(plan.poses[10], [100.0, 65.0, np.pi / 2], atol=1e-5)
        session.plan(SECOND)
        refusal(lambda: session.plan(SECOND + 1), "FAILED_PRECONDITION", "newest egomotion .* at most 1 s old")
        session.send_egomotion(2 * SECOND, here(100.0, 70.0, np.pi / 2), SPEED)
        np.testing.assert_allclose(session.plan(2 * SECOND).poses[0, 1], 70.0, atol=1e-5)


def test_late_doubled_and_future_egomotion() -> None:
    with rollouts.served(ConstantVelocity()) as (client, _), client.start({}) as session:
        session.send_egomotion(SECOND, here(10.0), SPEED)
        refusal(lambda: session.plan(HALF), "FAILED_PRECONDITION", "no pose by time_now_us=500000")
        session.send_egomotion(0, here(0.0), SPEED)
        session.send_egomotion(0, here(77.0), SPEED)
        np.testing.assert_allclose(session.plan(HALF).poses[:2, 0], [5.0, 6.0], atol=1e-5)


def test_egomotion_that_is_no_number() -> None:
    with rollouts.served(ConstantVelocity()) as (client, _), client.start({}) as session:
        refusal(lambda: session.send_egomotion(0, here(NAN)), "INVALID_ARGUMENT", "must be finite")
        refusal(lambda: session.plan(0), "FAILED_PRECONDITION", "no pose by")
        for tick in range(4):  # 4 m/s, the reported velocity no number: it follows from the poses
            session.send_egomotion(tick * TENTH, here(0.4 * tick), np.array([NAN, 0.0]))
        np.testing.assert_allclose(session.plan(3 * TENTH).poses[10, 0], 1.2 + 4.0, atol=1e-4)


def test_states_that_do_not_fit_their_poses(client: Any, session: Any) -> None:
    from carla_driver_interface import protocol

    request = protocol.RolloutEgoTrajectory(session_uuid=session.name, dynamic_states=[protocol.DynamicState()] * 2)
    request.trajectory.poses.add(timestamp_us=3)
    refusal(
        lambda: session._call("submit_egomotion_observation", request),
        "INVALID_ARGUMENT",
        "2 dynamic states for 1 poses",
    )


# -- route ---------------------------------------------------------------------


def command(session: Any, agent: Any, now: int) -> int:
    session.plan(now)
    return int(np.argmax(agent.inputs[-1].ego_statuses[-1].driving_command))


def test_routes(session: Any, agent: Any) -> None:
    """None, of NaN alone, late, doubled, of a moment that is past."""
    for stamp in (0, HALF):
        session.send_egomotion(stamp, here(20.0 * stamp / SECOND), SPEED * 2)
        show(session, 9, stamp)
    assert command(session, agent, HALF) == 3
    session.send_route(HALF, np.full((20, 2), NAN))
    assert command(session, agent, HALF) == 3
    session.send_route(0, np.array([[NAN, NAN], [8.0, 5.0], [17.0, -5.0]]))
    assert command(session, agent, HALF) == 3  # it is older than the one of NaN
    session.send_egomotion(HALF + TENTH, here(12.0), SPEED * 2)
    session.send_route(HALF + TENTH, np.array([[6.0, 3.0]]))
    session.send_route(HALF + TENTH, np.array([[6.0, -3.0]]))
    show(session, 9, HALF + TENTH)
    assert command(session, agent, HALF + TENTH) == 0


def test_an_old_route_is_seen_from_now(session: Any, agent: Any) -> None:
    """To the left at 8 m, to the right at 17 m; after 10 m the second is what lies ahead."""
    session.send_route(0, np.array([[8.0, 5.0], [17.0, -5.0]]))
    for stamp, now in ((0, 0), (HALF, 2)):
        session.send_egomotion(stamp, here(20.0 * stamp / SECOND), SPEED * 2)
        show(session, 9, stamp)
        assert command(session, agent, stamp) == now


# -- sessions ------------------------------------------------------------------


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
    plain = agent.compute_trajectory

    def slow(agent_input: Any) -> Any:
        found = plain(agent_input)
        time.sleep(0.002)
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
