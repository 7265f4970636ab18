"""The package's own closed loop drives: a straight road over real gRPC."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from navsim_agents.drive_jepa import ProposalAgent
from navsim_agents.evaluation.baselines import ConstantVelocity
from tests.alpasim.package import needing_package
from tests.drive_jepa.planner_scenes import TINY_PLANNER

rollouts: Any = needing_package("tests.alpasim.rollouts")
testing: Any = needing_package("carla_driver_interface.testing")


def loop(client: Any, **start: Any) -> Any:
    camera = testing.FakeCamera("CAM_F0", 320, 180)
    return testing.FakeLoop(client.channel, [camera], timeout_s=rollouts.TIMEOUT_S, **start)


def test_straight_on_at_constant_speed() -> None:
    with rollouts.served(ConstantVelocity()) as (client, _):
        found = loop(client, initial_speed_mps=8.0, initial_heading_rad=0.1).run(12)
    assert found.steps == 12
    way = 0.8 * np.arange(12)[:, None]
    np.testing.assert_allclose(found.ego.positions[:, :2], way * [np.cos(0.1), np.sin(0.1)], atol=1e-5)


@pytest.mark.parametrize("mode", ["off", "on"])
def test_of_the_full_planner(mode: str) -> None:
    """The loop follows the answers exactly: every pose is the one that the agent planned for then."""
    torch.manual_seed(3)
    agent = ProposalAgent({**TINY_PLANNER, "momentum": {"mode": mode}}, device="cpu")
    plans: list[Any] = []
    with rollouts.served(agent) as (client, service):
        driver, plan = service._driver, service._driver.plan
        driver.plan = lambda *asked: plans.append(plan(*asked)) or plans[-1]
        found = loop(client, initial_speed_mps=5.0).run(4)
    assert len(plans) == found.steps == 4
    assert [answer.stamps_us[0] for answer in plans] == [100_000 * step for step in range(4)]
    followed = [answer.poses[1].planar for answer in plans[:-1]]
    driven = [[*pose.position[:2], pose.yaw] for pose in found.ego.poses[1:]]
    np.testing.assert_allclose(driven, followed, atol=1e-5)
    assert np.ptp(found.ego.positions[:, 0]) > 0.01
