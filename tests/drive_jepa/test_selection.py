"""Momentum-aware selection: the rule, the devkit's recorded answers, and independence of the order of calls."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable

import numpy as np
import pytest
import torch

from navsim_agents.drive_jepa import ProposalAgent
from navsim_agents.drive_jepa.proposal_config import MomentumConfig
from navsim_agents.drive_jepa.proposal_features import EgoBuilder
from navsim_agents.drive_jepa.selection import Choice, Proposals, choose, continues, simulated_states
from navsim_agents.drive_jepa.sequential import SequentialAgent, SequentialPlanner
from navsim_agents.errors import InputError
from navsim_agents.models.proposals import EGO_MOTION
from navsim_agents.scoring.axes import MOTION, State
from tests.drive_jepa.planner_scenes import Drive
from tests.scoring.tiny import plan

MakePlanner = Callable[..., ProposalAgent]
PAIRS = sorted((Path(__file__).parents[1] / "scoring" / "golden" / "v2.2").glob("ec_*.npz"))
HALF_SECOND_US = 500_000


def ego(speed: float, acceleration: float = 0.0) -> torch.Tensor:
    return torch.tensor([0.0, 0.0, 0.0, speed, 0.0, acceleration, 0.0, 0.0, 1.0, 0.0, 0.0])


def proposals(scores: list[float], *plans: np.ndarray, speed: float = 10.0) -> Proposals:
    return Proposals(torch.from_numpy(np.stack(plans)).float(), torch.tensor(scores), ego(speed))


def test_golden_pairs_are_there() -> None:
    assert len(PAIRS) == 3


@pytest.mark.parametrize("path", PAIRS, ids=lambda path: path.stem)
def test_comfort_of_pairs_is_the_devkits(path: Path) -> None:
    """From what an agent knows (velocity, acceleration) alone; both answers occur."""
    pair = np.load(path, allow_pickle=False)
    gap_s = (int(pair["now_timestamp_us"]) - int(pair["previous_timestamp_us"])) * 1e-6

    def frame(name: str, row: int) -> Proposals:
        motion = torch.zeros(11, dtype=torch.float64)
        motion[3:7] = torch.from_numpy(pair[f"{name}_ego_state"][3:7])
        return Proposals(torch.from_numpy(pair[f"{name}_trajectories"][row : row + 1]), torch.ones(1), motion)

    wanted = pair["two_frame_extended_comfort"].astype(bool)
    rows = [int(np.flatnonzero(wanted)[0]), int(np.flatnonzero(~wanted)[0]), int(np.flatnonzero(~wanted)[-1])]
    for row in rows:
        found = continues(frame("now", row), Choice(0, frame("previous", row), torch.ones(1)), gap_s)
        assert found.tolist() == [wanted[row]]


def test_motion_lies_where_each_layout_has_it() -> None:
    """In the ego feature and in the simulator's states, which are two layouts though the columns are the same today."""
    drive = Drive()
    feature = EgoBuilder().compute_features(drive.agent_input(4))["ego"]
    now = drive.agent_input(4).ego_statuses[-1]
    assert feature[EGO_MOTION].tolist() == [*now.ego_velocity.tolist(), *now.ego_acceleration.tolist()]
    state = torch.arange(len(State))
    assert [State(column).name for column in state[MOTION].tolist()] == [
        "VELOCITY_X",
        "VELOCITY_Y",
        "ACCELERATION_X",
        "ACCELERATION_Y",
    ]


def test_simulation_starts_from_the_ego_feature() -> None:
    states = simulated_states(torch.from_numpy(plan(speed=7.0)[None]), ego(7.0, acceleration=-0.5))
    assert states.shape == (1, 41, 11)
    assert states[0, 0].tolist() == [0.0, 0.0, 0.0, 7.0, 0.0, -0.5, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert states[0, -1, 0].item() == pytest.approx(28.0, abs=0.5)


def test_comfort_outweighs_a_small_difference_of_scores() -> None:
    """S = (0.80, 0.72), S_c = (0, 1): (7 S + S_c) / 8 = (0.70, 0.755)."""
    before = choose(proposals([0.9], plan(10.0)), None, MomentumConfig())
    now = proposals([0.80, 0.72], plan(2.0), plan(10.0))
    assert choose(now, None, MomentumConfig()).best == 0
    chosen = choose(now, before, MomentumConfig())
    assert chosen.best == 1
    torch.testing.assert_close(chosen.scores, torch.tensor([0.70, 0.755]))
    torch.testing.assert_close(chosen.plan, torch.from_numpy(plan(10.0)).float())
    assert choose(proposals([0.80, 0.60], plan(2.0), plan(10.0)), before, MomentumConfig()).best == 0


def test_multiplied_comfort_does_not_rescue_a_bad_plan() -> None:
    """S = (0.20, 0.15), S_c = (0, 1): added (0.175, 0.256), multiplied (0.175, 0.15)."""
    before = choose(proposals([0.9], plan(10.0)), None, MomentumConfig())
    now = proposals([0.20, 0.15], plan(2.0), plan(10.0))
    assert choose(now, before, MomentumConfig()).best == 1
    chosen = choose(now, before, MomentumConfig(form="multiplied"))
    assert chosen.best == 0
    torch.testing.assert_close(chosen.scores, torch.tensor([0.175, 0.15]))


@pytest.mark.parametrize(("gap_s", "best"), [(0.5, 1), (0.1, 1), (0.549, 1), (0.55, 0), (1.0, 0), (0.0, 0), (-0.5, 0)])
def test_frames_too_far_apart_are_not_compared(gap_s: float, best: int) -> None:
    before = choose(proposals([0.9], plan(10.0)), None, MomentumConfig())
    assert choose(proposals([0.80, 0.72], plan(2.0), plan(10.0)), before, MomentumConfig(), gap_s).best == best


def momentum_agent(make_planner: MakePlanner, **momentum: Any) -> ProposalAgent:
    """Untrained proposals are far from steady; spread scores so that comfort decides now and then."""
    return make_planner(momentum={"mode": "on", "comfort_weight": 0.4, **momentum})


def plans_of(agent: ProposalAgent, drive: Drive, order: list[int]) -> dict[int, np.ndarray]:
    return {now: agent.compute_trajectory(drive.agent_input(now)).poses for now in order}


@pytest.mark.parametrize("depth", [1, 2])
def test_plans_do_not_depend_on_the_order_of_calls(make_planner: MakePlanner, depth: int) -> None:
    drive, order = Drive(), list(range(3, 7))
    forward = plans_of(momentum_agent(make_planner, depth=depth), drive, order)
    agent = momentum_agent(make_planner, depth=depth)
    backward = plans_of(agent, drive, order[::-1])
    forgetful = plans_of(momentum_agent(make_planner, depth=depth, remembered_frames=0), drive, order)
    for now in order:
        np.testing.assert_array_equal(forward[now], backward[now])
        np.testing.assert_array_equal(forward[now], forgetful[now])
    np.testing.assert_array_equal(agent.compute_trajectory(drive.agent_input(5)).poses, forward[5])


def test_replanning_chooses_with_the_plan_of_the_frame_before(make_planner: MakePlanner) -> None:
    drive, agent = Drive(), momentum_agent(make_planner)
    for now in range(4, 7):
        before = choose(agent.propose(drive.agent_input(now - 1)), None, MomentumConfig(comfort_weight=0.4))
        wanted = choose(agent.propose(drive.agent_input(now)), before, MomentumConfig(comfort_weight=0.4))
        np.testing.assert_array_equal(agent.compute_trajectory(drive.agent_input(now)).poses, wanted.plan)


def test_only_the_frames_that_are_needed_are_loaded(make_planner: MakePlanner) -> None:
    def frames(**momentum: Any) -> Any:
        return make_planner(momentum=momentum).get_sensor_config().cam_f0

    assert frames() == [2, 3]
    assert frames(mode="on") == [1, 2, 3]
    assert frames(mode="on", depth=2) == [0, 1, 2, 3]
    agent, drive = momentum_agent(make_planner), Drive()
    whole = agent.compute_trajectory(drive.agent_input(5)).poses
    np.testing.assert_array_equal(agent.compute_trajectory(drive.agent_input(5, frames=(1, 2, 3))).poses, whole)
    with pytest.raises(InputError, match=r"the frame 0.5 s ago cannot be planned again.*momentum.mode=off"):
        agent.compute_trajectory(drive.agent_input(5, frames=(2, 3)))


def test_a_log_in_order_is_computed_once_a_frame(make_planner: MakePlanner, monkeypatch: pytest.MonkeyPatch) -> None:
    agent, drive, calls = momentum_agent(make_planner), Drive(), []
    monkeypatch.setattr(agent.planner, "forward", counted(agent.planner.forward, calls))
    plans_of(agent, drive, [4, 5, 6])
    assert len(calls) == 4  # frame 3 is replanned, the others are remembered
    agent.train()
    plans_of(agent, drive, [6])
    assert len(calls) == 6


def test_frames_in_any_order_are_planned_once(make_planner: MakePlanner, monkeypatch: pytest.MonkeyPatch) -> None:
    """NAVSIM's scripts hand the scenes of a worker over in no order."""
    agent, drive, calls = momentum_agent(make_planner), Drive(num_frames=20), []
    monkeypatch.setattr(agent.planner, "forward", counted(agent.planner.forward, calls))
    order = np.random.default_rng(0).permutation(np.arange(4, 20)).tolist()
    plans_of(agent, drive, order)
    assert len(calls) == 17  # and frame 3


def test_what_is_remembered_keeps_nothing_else_alive(make_planner: MakePlanner) -> None:
    """The network's output holds the proposals of every stage."""
    remembered = make_planner().propose(Drive().agent_input(4))
    for value in vars(remembered).values():
        assert value.untyped_storage().nbytes() == value.numel() * value.element_size()


def counted(function: Callable[..., Any], calls: list[Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        calls.append(arguments)
        return function(*arguments)

    return call


def test_changed_weights_are_not_answered_from_memory(make_planner: MakePlanner) -> None:
    agent, other, drive = make_planner(), make_planner(seed=7), Drive()
    first = agent.compute_trajectory(drive.agent_input(5)).poses
    agent.load_state_dict(other.state_dict())
    second = agent.compute_trajectory(drive.agent_input(5)).poses
    np.testing.assert_array_equal(second, other.compute_trajectory(drive.agent_input(5)).poses)
    assert np.abs(first - second).max() > 1e-3


def test_sequential_planning_goes_on_from_what_was_driven(make_planner: MakePlanner) -> None:
    agent, drive = momentum_agent(make_planner), Drive()
    planner, previous = SequentialPlanner(agent), None
    for now in range(3, 7):
        wanted = choose(agent.propose(drive.agent_input(now)), previous, MomentumConfig(comfort_weight=0.4))
        found = planner.compute_trajectory(drive.agent_input(now), "log-7", now * HALF_SECOND_US).poses
        np.testing.assert_array_equal(found, wanted.plan)
        previous = wanted


@pytest.mark.parametrize(
    ("log_name", "step_us", "goes_on"),
    [("log-7", 500_000, True), ("log-7", 600_000, False), ("log-7", -500_000, False), ("log-8", 500_000, False)],
)
def test_gaps_and_other_logs_start_afresh(
    make_planner: MakePlanner, log_name: str, step_us: int, goes_on: bool
) -> None:
    """With comfort for all, S_c is what tells a frame that goes on from one that starts."""
    agent, drive = momentum_agent(make_planner), Drive()
    planner = SequentialPlanner(agent)
    planner.compute_trajectory(drive.agent_input(4), "log-7", 10 * HALF_SECOND_US)
    choice = planner.choose(drive.agent_input(5), log_name, 10 * HALF_SECOND_US + step_us)
    plain = agent.propose(drive.agent_input(5)).scores
    assert torch.equal(choice.scores, plain) != goes_on
    planner.forget(log_name)
    again = planner.choose(drive.agent_input(5), log_name, 10 * HALF_SECOND_US + step_us + 500_000)
    assert torch.equal(again.scores, plain)


def test_a_frame_that_is_asked_for_again_is_planned_again_with_what_came_before_it(make_planner: MakePlanner) -> None:
    agent, drive = momentum_agent(make_planner), Drive()
    planner = SequentialPlanner(agent)
    planner.choose(drive.agent_input(4), "log-7", 4 * HALF_SECOND_US)
    first, again = (planner.choose(drive.agent_input(5), "log-7", 5 * HALF_SECOND_US) for _ in range(2))
    assert torch.equal(first.scores, again.scores)
    assert not torch.equal(first.scores, first.proposals.scores)


def test_without_momentum_nothing_is_carried_on(make_planner: MakePlanner) -> None:
    agent, drive = make_planner(momentum={"mode": "off"}), Drive()
    planner = SequentialPlanner(agent)
    for now in (4, 5):
        choice = planner.choose(drive.agent_input(now), "log-7", now * HALF_SECOND_US)
        assert torch.equal(choice.scores, choice.proposals.scores)


def test_an_evaluation_may_plan_in_sequence(make_planner: MakePlanner) -> None:
    agent, drive = momentum_agent(make_planner), Drive()
    planner, evaluated = SequentialPlanner(agent), SequentialAgent(agent)
    for now in range(3, 7):
        metadata = SimpleNamespace(log_name="log-7", num_history_frames=4)
        frames = [SimpleNamespace(timestamp=(now - 3 + index) * HALF_SECOND_US) for index in range(4)]
        scene = SimpleNamespace(scene_metadata=metadata, frames=frames)
        wanted = planner.compute_trajectory(drive.agent_input(now), "log-7", now * HALF_SECOND_US)
        np.testing.assert_array_equal(evaluated.compute_trajectory(drive.agent_input(now), scene).poses, wanted.poses)
