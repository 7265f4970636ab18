"""A served driver plans what its agent plans from the same frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from navsim_agents.common.settings import changed
from navsim_agents.drive_jepa import PerceptionFreeAgent, ProposalAgent
from navsim_agents.drive_jepa.sequential import SequentialPlanner
from navsim_agents.poses import poses_to_local
from tests.alpasim.package import needing_package
from tests.drive_jepa.planner_scenes import TINY_PLANNER, Drive
from tests.drive_jepa.scenes import TINY

rollouts: Any = needing_package("tests.alpasim.rollouts")

TOLERANCE = 1e-5  # m and rad in the rig frame; the wire is float32
FIRST, LAST = 3, 4


def in_rig(plan: Any, drive: Drive, frame: int) -> np.ndarray:
    """The planner's own poses (0.5 s apart) of an answer, in the rig frame of the moment that it was asked at."""
    now = poses_to_local(drive.poses[frame], drive.poses[0])
    np.testing.assert_array_equal(np.diff(plan.stamps_us), 100_000)
    return poses_to_local(plan.poses[5::5], now)


def answers(agent: Any, drive: Drive, **settings: Any) -> dict[int, np.ndarray]:
    found = {}
    with rollouts.served(agent, **settings) as (client, _), client.start(rollouts.declared(*drive.cameras)) as session:
        for frame in range(LAST + 1):
            rollouts.send_frame(session, drive, frame)
            if frame >= FIRST:
                found[frame] = in_rig(session.plan(frame * rollouts.FRAME), drive, frame)
    return found


def proposal_agent(**changes: Any) -> ProposalAgent:
    torch.manual_seed(7)
    return ProposalAgent(changed(TINY_PLANNER, changes), device="cpu")


@pytest.mark.parametrize("mode", ["off", "on"])
def test_of_the_full_planner_replanning(mode: str) -> None:
    agent, drive = proposal_agent(momentum={"mode": mode}), Drive()
    for frame, found in answers(agent, drive, sequential=False).items():
        expected = agent.compute_trajectory(drive.agent_input(frame)).poses
        np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=0.0)


def test_of_the_perception_free_planner() -> None:
    torch.manual_seed(7)
    agent, drive = PerceptionFreeAgent(changed(TINY, {"planner": {"num_poses": 8}}), device="cpu"), Drive()
    for frame, found in answers(agent, drive).items():
        expected = agent.compute_trajectory(drive.agent_input(frame)).poses
        np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=0.0)


def test_of_four_cameras() -> None:
    """Projection and all: the calibration that is declared arrives in the planner."""
    names = ("cam_b0", "cam_f0", "cam_l0", "cam_r0")
    pictures = {"source": "four_cameras", "width": 64, "height": 36}
    agent, drive = proposal_agent(pictures=pictures, encoder={"name": "timm:resnet18"}), Drive(cameras=names)
    for frame, found in answers(agent, drive, sequential=False).items():
        expected = agent.compute_trajectory(drive.agent_input(frame)).poses
        np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=0.0)


def test_momentum_goes_on_from_the_sessions_own_plans() -> None:
    """Two sessions at once, each as if it were alone."""
    momentum = {"mode": "on", "comfort_weight": 0.9}
    agent, drives = proposal_agent(momentum=momentum), [Drive(seed=seed) for seed in (0, 4)]
    planners = [SequentialPlanner(agent) for _ in drives]
    with rollouts.served(agent) as (client, _):
        sessions = [client.start(rollouts.declared()) for _ in drives]
        for frame in range(LAST + 1):
            for session, drive, planner in zip(sessions, drives, planners):
                rollouts.send_frame(session, drive, frame)
                if frame < FIRST:
                    continue
                expected = planner.compute_trajectory(drive.agent_input(frame), "log", frame * rollouts.FRAME).poses
                found = in_rig(session.plan(frame * rollouts.FRAME), drive, frame)
                np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=0.0)
