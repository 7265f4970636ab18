"""An agent that learnt from clips of Bench2Drive, in a closed loop: shown the moment as such a clip would show it.

Everything is told at the rear axle, where the car really is: that is the ``ego`` frame of clips and of the loop alike,
so plans need no shift (to CARLA's origin of the car, :func:`navsim_agents.bench2drive.frames.plan_of_origin`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from navsim_agents.bench2drive.inputs import Bench2DriveInput, Bench2DrivePlanner
from navsim_agents.closed_loop.moment import WINDOW, Witness
from navsim_agents.closed_loop.planners import Plan, checked_plan
from navsim_agents.closed_loop.stage import Stage, town_map_of
from navsim_agents.common.conventions import NUM_HISTORY_FRAMES, NUM_POSES
from navsim_agents.common.poses import X
from navsim_agents.drive_jepa.continued import continued
from navsim_agents.errors import InputError
from navsim_agents.poses import points_to_local
from navsim_agents.world.config import ClipPictures
from navsim_agents.world.guidance import guidance
from navsim_agents.world.simulation import Decision
from navsim_agents.world.types import Drive
from navsim_agents.world.writers.bench2drive import clip_camera
from navsim_agents.world.writers.logs import STEPS_PER_FRAME

NOW = WINDOW - 1  # step of the window


class ClipPlanner:
    """Whoever plans from :class:`Bench2DriveInput`; its plans of 3 s go on as they end."""

    is_expert = False

    def __init__(self, agent: Bench2DrivePlanner, pictures: ClipPictures) -> None:
        """With an agent that is ready; its pictures are as ``pictures`` says, as those that it learnt from should be.

        Raises:
            InputError: it looks farther back than an agent is shown.
        """
        if not 1 <= agent.num_input_frames <= NUM_HISTORY_FRAMES:
            raise InputError(
                f"agent sees {agent.num_input_frames} frames, but a closed loop shows 1 to {NUM_HISTORY_FRAMES}, 0.5 s "
                "apart; train one that sees fewer"
            )
        self._agent, self._jpeg_quality = agent, pictures.jpeg_quality
        self._models = [clip_camera(name, pictures.width, pictures.height) for name in agent.input_cameras]

    @property
    def cameras(self) -> Mapping[str, tuple[int, ...]]:
        """Bench2Drive's, by name, with the agent's last frames."""
        frames = tuple(range(NUM_HISTORY_FRAMES - self._agent.num_input_frames, NUM_HISTORY_FRAMES))
        return {model.name: frames for model in self._models}

    def plan(self, stage: Stage, witness: Witness, decision: Decision) -> Plan:
        """What the agent answers, carried on to the 4 s that all others plan.

        Raises:
            InputError: that is no plan.
        """
        plan = checked_plan(np.asarray(self._agent.plan_input(self.seen(stage, witness)), dtype=np.float64))
        longer: Plan = continued(torch.from_numpy(plan), NUM_POSES).numpy()
        return longer

    def seen(self, stage: Stage, witness: Witness) -> Bench2DriveInput:
        """The moment that ``stage`` is in."""
        drive = witness.drive()
        ego = drive.ego
        town_map = town_map_of(stage.route.location, stage.route.world_seed)
        told = guidance(town_map, drive.route_roadblock_ids[NOW], ego.poses[NOW])
        return Bench2DriveInput(
            pictures=self._pictures(witness, drive),
            speed_mps=float(ego.velocities[NOW, X]),
            acceleration=ego.accelerations[NOW],
            target_point=points_to_local(told.target, ego.poses[NOW]),
            command=told.command,
        )

    def _pictures(self, witness: Witness, drive: Drive) -> dict[str, np.ndarray]:
        steps = [NOW - STEPS_PER_FRAME * back for back in range(self._agent.num_input_frames - 1, -1, -1)]
        return {
            model.name: np.stack([witness.picture(drive, step, model, self._jpeg_quality) for step in steps])
            for model in self._models
        }
