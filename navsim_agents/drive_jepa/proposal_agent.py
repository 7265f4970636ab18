"""Drive-JEPA's full planner as an agent of NAVSIM (``agent=drive_jepa``, ``agent=drive_jepa_resnet34``)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional, Union

import torch
from torch import Tensor

from navsim_agents.common.conventions import FRONT_CAMERA, POSE_INTERVAL_S
from navsim_agents.devkit.bases import make_trajectory, sensor_config
from navsim_agents.distillation.teachers import scenes_without_teachers
from navsim_agents.drive_jepa.agent import DriveJepaAgent, OptionalPath, resolve_device
from navsim_agents.drive_jepa.features import FRONT_VIDEO, FrontVideoBuilder
from navsim_agents.drive_jepa.label_source import LabelSource
from navsim_agents.drive_jepa.memory import ContentMemory, content_key
from navsim_agents.drive_jepa.online_scoring import label_proposals
from navsim_agents.drive_jepa.proposal_callbacks import (
    DiversityLogger,
    StepKey,
    TeacherCounter,
    score_checkpoint_callbacks,
)
from navsim_agents.drive_jepa.proposal_config import FOUR_CAMERAS_BACKBONE, ProposalAgentConfig
from navsim_agents.drive_jepa.proposal_features import (
    EGO,
    PROJECTION,
    SURROUND_PICTURES,
    EgoBuilder,
    ProjectionBuilder,
    SurroundPicturesBuilder,
    previous_input,
)
from navsim_agents.drive_jepa.proposal_networks import build_planner
from navsim_agents.drive_jepa.proposal_step import draw_teachers, key_generator, step_loss, step_metrics
from navsim_agents.drive_jepa.scene_targets import (
    SCORING_SCENE,
    TEACHERS,
    ScoringSceneBuilder,
    TeachersBuilder,
    packed_batch,
)
from navsim_agents.drive_jepa.selection import Choice, Proposals, choose
from navsim_agents.drive_jepa.targets import TRAJECTORY, HumanTrajectoryBuilder
from navsim_agents.errors import InputError
from navsim_agents.models.four_cameras import CAMERAS
from navsim_agents.models.proposals import ProposalOutput, ProposalPlanner
from navsim_agents.models.timm_weights import load_timm_weights
from navsim_agents.scenes import KINDS


class ProposalAgent(DriveJepaAgent):
    """Proposes trajectories, foresees the simulator's score of each, and drives the best.

    Training scores every proposal of the last stage with the batched scorer, so its targets hold the scene.
    """

    planner: ProposalPlanner
    encoder_prefixes = ("backbone.",)  # released code: the projector learns at the encoder's rate

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
        planner = build_planner(config)
        super().__init__(planner, config, config.num_poses, checkpoint_path, encoder_checkpoint_path, device)
        self.config = config
        self.step_key: tuple[Any, ...] = ("step", 0)
        self.scenes_without_teachers = 0
        self.last_proposals: Optional[Tensor] = None
        self._name = name
        self._memory: ContentMemory[Proposals] = ContentMemory(config.remembered_frames)

    def name(self) -> str:
        """Name in tables and file names."""
        return self._name

    def get_sensor_config(self) -> Any:
        """Cameras in the frames that the planner sees, and with momentum in those that it saw one frame earlier."""
        frames = self.config.sensor_frames
        return sensor_config(**dict.fromkeys(self._cameras(), frames))

    def get_feature_builders(self) -> list[Any]:
        """Pictures, ego vector, projection."""
        pictures: Any = FrontVideoBuilder(self.config)
        if self.config.backbone == FOUR_CAMERAS_BACKBONE:
            pictures = SurroundPicturesBuilder(self.config, CAMERAS)
        return [pictures, EgoBuilder(), ProjectionBuilder(self._cameras())]

    def get_target_builders(self) -> list[Any]:
        """The human's trajectory, the scoring scene, and with distillation the pseudo-teachers.

        Raises:
            InputError: the config names no source of scoring scenes.
        """
        config = self.config
        if config.scenes is None:
            raise InputError(
                "agent.config.scenes is null, but training scores its proposals in scoring scenes; set "
                f"agent.config.scenes=… to {KINDS}"
            )
        scenes = ScoringSceneBuilder(config.scenes, config.scene_bytes, config.scored_metric)
        builders = [HumanTrajectoryBuilder(config.num_poses), scenes]
        return [*builders, TeachersBuilder(self._label_source())] if config.distils else builders

    def plan(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """``trajectory`` [B, T, 3] of the best foreseen score, and the network's whole output by name."""
        output = self._output(features)
        best = output.final[torch.arange(len(output.final), device=output.final.device), output.best]
        answers = {key: value for key, value in output._asdict().items() if value is not None}
        return {TRAJECTORY: best, **answers}

    def _output(self, features: dict[str, Tensor]) -> ProposalOutput:
        is_front = self.config.backbone != FOUR_CAMERAS_BACKBONE
        pictures = features[FRONT_VIDEO if is_front else SURROUND_PICTURES]
        generator = key_generator("mask", self.step_key, self.config.seed) if self.training else None
        return self.planner(pictures, features[EGO], features[PROJECTION], generator)

    def loss(self, targets: dict[str, Tensor], predictions: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted terms of the paper's section 3.4; beside them what the simulator says of the proposals."""
        output = ProposalOutput(**{name: predictions.get(name) for name in ProposalOutput._fields})  # type: ignore[arg-type]
        human = targets[TRAJECTORY]
        scenes = packed_batch(targets[SCORING_SCENE], output.final.device)
        labels = label_proposals(scenes, output.final, self.config.scored_metric, POSE_INTERVAL_S)
        teachers = None
        if self.config.distils:
            self.scenes_without_teachers = scenes_without_teachers(targets[TEACHERS])
            teachers = draw_teachers(targets[TEACHERS], self.config, self.step_key)
        total, terms = step_loss(output, human, labels, teachers, self.config)
        self.last_proposals = output.final.detach()
        self._advance()
        return total, {**terms, **step_metrics(output, human, labels)}

    def _advance(self) -> None:
        """Without Lightning's callbacks, which set the key, the next step still draws anew."""
        *name, number = self.step_key
        self.step_key = (*name, number + 1)

    def compute_trajectory(self, agent_input: Any) -> Any:
        """Plan one scene on the configured device, whatever was planned before.

        With momentum the frame before is planned again from the history in ``agent_input``.

        Raises:
            InputError: the scene lacks a camera, or its values break a rule.
        """
        choice = self.choose(agent_input, self.config.depth)
        return make_trajectory(choice.plan.numpy(), POSE_INTERVAL_S)

    def choose(self, agent_input: Any, depth: int = 0) -> Choice:
        """The proposal to drive, with the frames before it replanned ``depth`` deep.

        Raises:
            InputError: as :meth:`compute_trajectory`.
        """
        previous = self._replan(agent_input, depth) if depth else None
        return choose(self.propose(agent_input), previous, self.config.comfort_weight)

    def _replan(self, agent_input: Any, depth: int) -> Choice:
        try:
            return self.choose(previous_input(agent_input), depth - 1)
        except InputError as error:
            raise InputError(
                f"the frame 0.5 s ago cannot be planned again, which momentum-aware selection needs: {error}; "
                "or set agent.config.momentum=off"
            ) from error

    def propose(self, agent_input: Any) -> Proposals:
        """Proposals of one frame with their foreseen scores, on the CPU; without momentum.

        The last ones are remembered by the content of all that they depend on: NAVSIM's scripts go through scenes in
        any order, and the frame before may have been planned long ago. One frame is always a batch of its own, so
        remembered and new answers are the same.

        Raises:
            InputError: the scene lacks a camera, or its values break a rule.
        """
        self.initialize()
        device = resolve_device(self._device)
        self.to(device).eval()
        features = self.build_features(agent_input)
        return self._memory.recall(content_key(features, self), lambda: self._propose(features, device))

    def _propose(self, features: dict[str, Tensor], device: torch.device) -> Proposals:
        with torch.inference_mode():
            output = self._output({name: value.unsqueeze(0).to(device) for name, value in features.items()})
            # Copies: a view of the network's output would keep the proposals of all stages alive.
            poses, scores = (value[0].float().cpu().clone() for value in (output.final, output.scores))
            return Proposals(poses, scores, features[EGO])

    def train(self, mode: bool = True) -> ProposalAgent:
        """As of any module; weights may change from here on, so nothing is remembered."""
        if mode:
            self._memory.forget()
        return super().train(mode)

    def get_training_callbacks(self) -> list[Any]:
        """Log terms, diversity and scenes without teachers; keep the weights of the best score and the last ones."""
        measures: list[Any] = [StepKey(), DiversityLogger()]
        if self.config.distils:
            measures.append(TeacherCounter())
        return [*measures, *self.logging_callbacks(), *score_checkpoint_callbacks()]

    def load_encoder(self, path: Path) -> None:
        """As the base class; behind four cameras a file of timm's weights.

        Raises:
            CheckpointError: they are not of this encoder.
        """
        if self.config.backbone == FOUR_CAMERAS_BACKBONE:
            load_timm_weights(self.encoder, path)
        else:
            super().load_encoder(path)

    def _cameras(self) -> tuple[str, ...]:
        return CAMERAS if self.config.backbone == FOUR_CAMERAS_BACKBONE else (FRONT_CAMERA,)

    def _label_source(self) -> LabelSource:
        config = self.config
        return LabelSource(
            label_store=str(config.label_store),
            vocabulary=str(config.vocabulary),
            metric=config.scored_metric,
            threshold=config.teacher_threshold,
            cap=config.teacher_cap,
            seed=config.seed,
        )
