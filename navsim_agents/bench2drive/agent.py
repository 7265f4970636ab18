"""Drive-JEPA's full planner on Bench2Drive (``agent=drive_jepa_bench2drive``): 6 poses over 3 s."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float64

from navsim_agents.bench2drive.clip_source import ClipScenes
from navsim_agents.bench2drive.features import CAMERAS_OF_SOURCE, InputBuilder
from navsim_agents.bench2drive.inputs import Bench2DriveInput, InputProposals
from navsim_agents.common.conventions import PDMS_NAME
from navsim_agents.drive_jepa.config import require
from navsim_agents.drive_jepa.proposal_agent import ProposalAgent
from navsim_agents.drive_jepa.proposal_config import FRAMES_OF_SOURCE, ProposalAgentConfig
from navsim_agents.errors import InputError
from navsim_agents.models.config import BENCH2DRIVE_SAMPLING, PlanSampling


class Bench2DriveAgent(ProposalAgent):
    """The planner of :class:`ProposalAgent`, shown :class:`Bench2DriveInput` in the place of NAVSIM's ``AgentInput``.

    It plans through :meth:`plan_input`. Momentum over time is the driver's affair, who has :meth:`propose_input`.
    """

    sampling: ClassVar[PlanSampling] = BENCH2DRIVE_SAMPLING

    @classmethod
    def check(cls, config: ProposalAgentConfig) -> None:
        """Refuse what clips do not hold.

        Raises:
            InputError: the settings ask for another metric, or for momentum.
        """
        require(
            config.scored_metric == PDMS_NAME,
            f"agent.config.metric={config.metric}",
            f"must be {PDMS_NAME}: clips hold neither lights nor history in the form that epdms reads",
        )
        require(
            not config.momentum.is_on,
            f"agent.config.momentum.mode={config.momentum.mode}",
            "must be off: one moment of Bench2Drive does not hold the one before; whoever drives keeps it",
        )

    @property
    def input_cameras(self) -> tuple[str, ...]:
        """The cameras that it needs."""
        return CAMERAS_OF_SOURCE[self.config.pictures.source]

    @property
    def num_input_frames(self) -> int:
        """Pictures of each, 0.5 s apart."""
        return FRAMES_OF_SOURCE[self.config.pictures.source]

    def get_sensor_config(self) -> Any:
        """It has none: its cameras are not NAVSIM's.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"{self.name()} sees Bench2Drive's cameras, not NAVSIM's; train it on clips, and drive it through "
            "plan_input"
        )

    def get_feature_builders(self) -> list[Any]:
        """One, of everything."""
        return [InputBuilder(self.config.pictures, self.config.pictures.source)]

    def clips(self, root: str, frame_interval: int) -> ClipScenes:
        """The scenes of the clips at ``root`` that this agent learns from, ``frame_interval`` times 0.5 s apart."""
        return ClipScenes(root, self.input_cameras, self.num_input_frames, frame_interval, self.config.scenes)

    def plan_input(self, seen: Bench2DriveInput) -> Float64[np.ndarray, "T 3"]:
        """The plan: poses (x, y, heading) [m, m, rad] of the rear axle in the ego frame, 0.5 s apart.

        Raises:
            InputError: a camera or a frame is missing.
        """
        return np.asarray(self.choose(seen).plan, dtype=np.float64)

    def propose_input(self, seen: Bench2DriveInput) -> InputProposals:
        """All proposals with their foreseen scores.

        Raises:
            InputError: as :meth:`plan_input`.
        """
        found = self.propose(seen)
        return InputProposals(found.poses.double().numpy(), found.scores.double().numpy())
