"""Drive-JEPA's full planner as an agent of NAVSIM (``agent=drive_jepa``, ``agent=drive_jepa_resnet34``)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Optional, Union

import torch
from torch import Tensor, nn

from navsim_agents.common.conventions import POSE_INTERVAL_S
from navsim_agents.devkit.bases import make_trajectory, sensor_config
from navsim_agents.drive_jepa.agent import DriveJepaAgent, OptionalPath, resolve_device
from navsim_agents.drive_jepa.given import Judge, metric_form
from navsim_agents.drive_jepa.memory import ContentMemory, content_key
from navsim_agents.drive_jepa.picture_inputs import picture_input
from navsim_agents.drive_jepa.proposal_callbacks import training_callbacks
from navsim_agents.drive_jepa.proposal_config import ProposalAgentConfig
from navsim_agents.drive_jepa.proposal_features import EGO, PROJECTION, EgoBuilder, ProjectionBuilder, previous_input
from navsim_agents.drive_jepa.record import StepRecord
from navsim_agents.drive_jepa.scene_targets import target_builders
from navsim_agents.drive_jepa.selection import Choice, Proposals, choose, smoothed
from navsim_agents.drive_jepa.targets import TRAJECTORY
from navsim_agents.drive_jepa.training_step import ProposalLoss, key_generator
from navsim_agents.errors import InputError
from navsim_agents.models.config import NAVSIM_SAMPLING, OF_TRAJECTORIES, PlanSampling
from navsim_agents.models.proposals import ProposalOutput, ProposalPlanner


class ProposalAgent(DriveJepaAgent):
    """Proposes trajectories, foresees the simulator's score of each, and drives the best.

    Training scores every proposal of the last stage with the batched scorer, so its targets hold the scene.
    """

    planner: ProposalPlanner
    encoder_prefixes = ("backbone.", "scorer_backbone.")  # released code: the projector learns at the encoder's rate
    sampling: ClassVar[PlanSampling] = NAVSIM_SAMPLING
    """Poses of a plan, and what is foreseen of each."""

    def __init__(
        self,
        config: Optional[Union[ProposalAgentConfig, Mapping[str, Any]]] = None,
        checkpoint_path: OptionalPath = None,
        encoder_checkpoint_path: OptionalPath = None,
        device: str = "auto",
        name: str = "drive_jepa",
    ) -> None:
        """Build the network; weights are loaded by :meth:`initialize`.

        Args:
            config: settings, or a mapping of some of them as in YAML; defaults are the paper's ViT-L.
            checkpoint_path: weights of the whole agent: a Lightning checkpoint of ours or a released one.
            encoder_checkpoint_path: pretrained encoder to start training from; not read beside a checkpoint_path.
            device: where ``compute_trajectory`` runs; ``auto`` is cuda where there is one.
            name: in tables and file names.

        Raises:
            InputError: an unknown key, or a value that breaks a rule.
        """
        if config is None or isinstance(config, Mapping):
            config = ProposalAgentConfig.from_mapping(config or {})
        self.check(config)
        pictures = picture_input(config)
        quirks, form = config.quirks.of(config.pictures.source), metric_form(config.scored_metric)
        planner = ProposalPlanner(pictures.backbone(), config.planner, quirks, self.sampling, form)
        num_poses = self.sampling.num_poses
        super().__init__(planner, config.optimiser, num_poses, checkpoint_path, encoder_checkpoint_path, device)
        self.config = config
        self.pictures = pictures
        self.proposal_loss = ProposalLoss(config, self.sampling)
        self._name = name
        self._memory: ContentMemory[Proposals] = ContentMemory(config.momentum.remembered_frames)

    @classmethod
    def check(cls, config: ProposalAgentConfig) -> None:
        """Refuse settings that this kind of agent cannot follow; this one follows all.

        Raises:
            InputError: there is such a setting.
        """

    @property
    def encoders(self) -> list[nn.Module]:
        """The planner's, and the scorer's where it has a backbone of its own."""
        return self.planner.encoders

    def name(self) -> str:
        """Name in tables and file names."""
        return self._name

    def get_sensor_config(self) -> Any:
        """Cameras in the frames that the planner sees, and with momentum in those that it saw one frame earlier."""
        return sensor_config(**dict.fromkeys(self.pictures.cameras, self.config.sensor_frames))

    def get_feature_builders(self) -> list[Any]:
        """Pictures, ego vector, projection."""
        return [self.pictures.builder(), EgoBuilder(), ProjectionBuilder(self.pictures.cameras)]

    def get_target_builders(self) -> list[Any]:
        """The human's trajectory, the scoring scene, and with distillation the pseudo-teachers.

        Raises:
            InputError: the config names no source of scoring scenes.
        """
        return target_builders(self.config, self.sampling.num_poses)

    def plan(self, features: dict[str, Tensor]) -> dict[str, Any]:
        """``trajectory`` [B, T, 3] of the best foreseen score, and the network's whole output by name."""
        output = self._output(features)
        scale_m, chosen = self.config.selection.smoothing_m, output.best
        if scale_m > 0.0:
            chosen = smoothed(output.scores, output.final, scale_m).argmax(dim=1)
        best = output.final[torch.arange(len(output.final), device=output.final.device), chosen]
        answers = {key: value for key, value in output._asdict().items() if value is not None}
        return {TRAJECTORY: best, **answers}

    def _output(self, features: dict[str, Tensor]) -> ProposalOutput:
        generator = key_generator("mask", self.progress.key, self.config.seed) if self.training else None
        return self.planner(features[self.pictures.feature], features[EGO], features[PROJECTION], generator)

    def loss(self, targets: dict[str, Any], predictions: dict[str, Any]) -> tuple[Tensor, StepRecord]:
        """The weighted terms of the paper's section 3.4; beside them what the simulator says of the proposals."""
        output = ProposalOutput(**{name: predictions.get(name) for name in ProposalOutput._fields})  # type: ignore[arg-type]
        return self.proposal_loss(output, targets, self.progress.key, self._judge(output))

    def _judge(self, output: ProposalOutput) -> Optional[Judge]:
        """Scores other trajectories in the scenes of a step, where the planner can."""
        return None if output.scene is None else partial(self.planner.score_given, scene=output.scene)

    def foresee(self, agent_input: Any, trajectories: Tensor) -> Tensor:
        """Foreseen scores [G] of any trajectories [G, 8, 3] (m, m, rad; ego frame of now) in one scene, on the CPU.

        Raises:
            InputError: the planner scores its own proposals alone, or as :meth:`compute_trajectory`.
        """
        features, device = self._ready(agent_input)
        with torch.inference_mode():
            scene = self._output({name: value.unsqueeze(0).to(device) for name, value in features.items()}).scene
            if scene is None:
                raise InputError(
                    f"agent.config.planner.scorer={self.config.planner.scorer} scores the planner's own proposals "
                    f"alone; train with agent.config.planner.scorer={OF_TRAJECTORIES}"
                )
            logits = self.planner.score_given(trajectories[None].to(scene.ego), scene)
            foreseen: Tensor = logits[0, :, -1].sigmoid().float().cpu()
            return foreseen

    def compute_trajectory(self, agent_input: Any) -> Any:
        """Plan one scene on the configured device, whatever was planned before.

        With momentum the frame before is planned again from the history in ``agent_input``.

        Raises:
            InputError: the scene lacks a camera, or its values break a rule.
        """
        choice = self.choose(agent_input, self.config.momentum.replanned)
        return make_trajectory(choice.plan.numpy(), POSE_INTERVAL_S)

    def choose(self, agent_input: Any, depth: int = 0) -> Choice:
        """The proposal to drive, with the frames before it replanned ``depth`` deep.

        Raises:
            InputError: as :meth:`compute_trajectory`.
        """
        previous = self._replan(agent_input, depth) if depth else None
        return choose(self.propose(agent_input), previous, self.config.momentum)

    def _replan(self, agent_input: Any, depth: int) -> Choice:
        try:
            return self.choose(previous_input(agent_input), depth - 1)
        except InputError as error:
            raise InputError(
                f"the frame 0.5 s ago cannot be planned again, which momentum-aware selection needs: {error}; "
                "or set agent.config.momentum.mode=off"
            ) from error

    def propose(self, agent_input: Any) -> Proposals:
        """Proposals of one frame with their foreseen scores, on the CPU; without momentum.

        The last ones are remembered by the content of all that they depend on: NAVSIM's scripts go through scenes in
        any order, and the frame before may have been planned long ago. One frame is always a batch of its own, so
        remembered and new answers are the same.

        Raises:
            InputError: the scene lacks a camera, or its values break a rule.
        """
        features, device = self._ready(agent_input)
        return self._memory.recall(content_key(features, self), lambda: self._propose(features, device))

    def _ready(self, agent_input: Any) -> tuple[dict[str, Tensor], torch.device]:
        """Features of a scene without batch axis, and the device on which the agent now stands ready to plan."""
        self.initialize()
        device = resolve_device(self._device)
        self.to(device).eval()
        return self.build_features(agent_input), device

    def _propose(self, features: dict[str, Tensor], device: torch.device) -> Proposals:
        with torch.inference_mode():
            output = self._output({name: value.unsqueeze(0).to(device) for name, value in features.items()})
            # Copies: a view of the network's output would keep the proposals of all stages alive.
            poses, scores = (value[0].float().cpu().clone() for value in (output.final, output.scores))
            return Proposals(poses, smoothed(scores, poses, self.config.selection.smoothing_m), features[EGO])

    def train(self, mode: bool = True) -> ProposalAgent:
        """As of any module; weights may change from here on, so nothing is remembered."""
        if mode:
            self._memory.forget()
        return super().train(mode)

    def get_training_callbacks(self) -> list[Any]:
        """Log terms, diversity and scenes without teachers; keep the weights of the best score and the last ones."""
        return training_callbacks(self.logging_callbacks(), distils=self.config.teachers.distils)

    def load_encoder(self, path: Path) -> str:
        """Read pretrained weights of the encoder alone, in the form that its kind of network has; says what was read.

        Raises:
            CheckpointError: they are not of this encoder.
        """
        first, *others = self.encoders
        read = self.pictures.load_encoder(first, path)
        for encoder in others:
            encoder.load_state_dict(first.state_dict())
        return read
