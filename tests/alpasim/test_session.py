"""What FakeLoop never sends of pictures, egomotion and routes, over real gRPC: docs/alpasim.md has the answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from navsim_agents.evaluation.baselines import ConstantVelocity
from tests.alpasim.package import needing_package

rollouts: Any = needing_package("tests.alpasim.rollouts")
here, refusal, shades, show = rollouts.here, rollouts.refusal, rollouts.shades, rollouts.show
SECOND, CAMERA = 1_000_000, "CAM_F0"
HALF, TENTH = SECOND // 2, SECOND // 10
SPEED = np.array([10.0, 0.0])
NAN = float("nan")


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
    square = rollouts.lossless(np.zeros((64, 64, 3), np.uint8))
    refusal(lambda: session.send_picture(CAMERA, 1, square), "INVALID_ARGUMENT", "64 x 64, but .* 1920 x 1080")


def test_a_picture_over_4_mib_arrives(session: Any) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), dtype=np.uint8)
    data = rollouts.lossless(noise)
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
