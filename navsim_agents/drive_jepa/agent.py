"""What every agent of this package does alike: weights, device, inference, optimiser, callbacks."""

from __future__ import annotations

import logging
from abc import abstractmethod
from pathlib import Path
from typing import Any, Optional, TypeVar, Union, cast

import torch
from torch import Tensor, nn

from navsim_agents.common.conventions import POSE_INTERVAL_S
from navsim_agents.devkit.bases import AgentBase, make_trajectory
from navsim_agents.drive_jepa.averaging import average_callbacks
from navsim_agents.drive_jepa.callbacks import LossTermLogger, TrainingLength, TrainingRecorder, checkpoint_callbacks
from navsim_agents.drive_jepa.checkpoints import load_agent_weights
from navsim_agents.drive_jepa.config import OptimiserConfig
from navsim_agents.drive_jepa.optimiser import ENCODER_PREFIXES, build_optimiser
from navsim_agents.drive_jepa.record import Progress, StepRecord
from navsim_agents.drive_jepa.targets import TRAJECTORY
from navsim_agents.models.config import USUAL_READING, PositionReading
from navsim_agents.models.encoders import AnyEncoder, load_pretrained

logger = logging.getLogger(__name__)

Agent = TypeVar("Agent", bound="DriveJepaAgent")
OptionalPath = Optional[Union[str, Path]]


def resolve_device(name: str) -> torch.device:
    """``auto`` is cuda where there is one, else the CPU; other names are torch's."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def mark_initialized(agent: Any, _: Any) -> None:
    """Weights that a state dict brought must not be overwritten by those that the agent was to load by itself."""
    agent._is_initialized = True


class DriveJepaAgent(AgentBase):
    """Base of the agents; a subclass brings ``planner``, builders and the loss.

    Weights are loaded by :meth:`initialize`, which NAVSIM calls before evaluation; what NAVSIM calls before training
    (:meth:`get_training_callbacks`, :meth:`get_optimizers`) and :meth:`forward` see to it too.
    """

    planner: nn.Module
    encoder_prefixes: tuple[str, ...] = ENCODER_PREFIXES
    """Parameters of the planner whose learning rate is the encoder's."""
    encoder_entry: Optional[str] = None
    """Of the pretrained encoder's file: ``target_encoder`` and the like; None: the usual one."""
    positions: PositionReading = USUAL_READING
    """Of that file of timm's, how a table of positions is read."""

    def __init__(
        self,
        planner: nn.Module,
        optimiser: OptimiserConfig,
        num_poses: int,
        checkpoint_path: OptionalPath,
        encoder_checkpoint_path: OptionalPath,
        device: str,
    ) -> None:
        super().__init__(num_poses=num_poses, interval_s=POSE_INTERVAL_S)
        self.planner = planner
        for encoder in self.encoders:
            encoder.requires_grad_(not optimiser.freeze_encoder)
            if optimiser.freeze_encoder:
                encoder.eval()  # Lightning keeps the mode that it finds
        self.progress = Progress()
        self._optimiser = optimiser
        self._checkpoint_path = checkpoint_path
        self._encoder_checkpoint_path = encoder_checkpoint_path
        self._device = device
        self._is_initialized = False
        self.register_load_state_dict_post_hook(mark_initialized)

    @property
    def encoder(self) -> nn.Module:
        """The planner's encoder."""
        return cast(nn.Module, self.planner.encoder)

    @property
    def encoders(self) -> list[nn.Module]:
        """All that start from pretrained weights and may be frozen; the planner's comes first."""
        return [self.encoder]

    def train(self: Agent, mode: bool = True) -> Agent:
        """As of any module, but a frozen encoder stays as it is: the statistics of its batch norms do not move."""
        super().train(mode)
        for encoder in self.encoders if self._optimiser.freeze_encoder else ():
            encoder.eval()
        return self

    @abstractmethod
    def plan(self, features: dict[str, Tensor]) -> dict[str, Any]:
        """Predictions of a batch, ``trajectory`` [B, T, 3] among them."""

    @abstractmethod
    def loss(self, targets: dict[str, Any], predictions: dict[str, Any]) -> tuple[Tensor, StepRecord]:
        """The scalar to minimise, and the record of the step."""

    def initialize(self) -> None:
        """Load the weights once: the whole agent's, else the encoder's, else none.

        Raises:
            CheckpointError: a file is not of the kind or size that the config asks for.
        """
        if self._is_initialized:
            return
        if self._checkpoint_path is not None:
            load_agent_weights(self, Path(self._checkpoint_path).expanduser())
        else:
            self._start_afresh()
        self._is_initialized = True

    def _start_afresh(self) -> None:
        """Begin a training; a plan made with such weights is worth nothing, so say what they are."""
        kind = "random"
        if self._encoder_checkpoint_path is not None:
            read = self.load_encoder(Path(self._encoder_checkpoint_path).expanduser())
            kind = f"random behind a pretrained encoder ({read})"
        logger.warning("%s has no checkpoint_path: its weights are %s until it is trained", self.name(), kind)

    def load_encoder(self, path: Path) -> str:
        """Read pretrained weights of the encoder alone; says what was read.

        Raises:
            CheckpointError: they are not of this encoder.
        """
        return load_pretrained(cast(AnyEncoder, self.encoder), path, self.encoder_entry, self.positions)

    def forward(self, features: dict[str, Tensor]) -> dict[str, Any]:
        """Predictions of a batch, ``trajectory`` [B, T, 3] in the ego frame of now among them."""
        self.initialize()
        return self.plan(features)

    def compute_trajectory(self, agent_input: Any) -> Any:
        """Plan one scene on the configured device, whichever the worker's default is.

        Raises:
            InputError: the scene lacks a camera, or its values break a rule.
        """
        self.initialize()
        device = resolve_device(self._device)
        self.to(device).eval()
        batch = {name: value.unsqueeze(0).to(device) for name, value in self.build_features(agent_input).items()}
        with torch.inference_mode():
            poses = self.forward(batch)[TRAJECTORY].squeeze(0)
        return make_trajectory(poses.float().cpu().numpy(), POSE_INTERVAL_S)

    def build_features(self, agent_input: Any) -> dict[str, Tensor]:
        """What :meth:`get_feature_builders` make of one scene, without batch axis.

        Raises:
            InputError: the scene lacks a camera, or its values break a rule.
        """
        features: dict[str, Tensor] = {}
        for builder in self.get_feature_builders():
            features.update(builder.compute_features(agent_input))
        return features

    def compute_loss(self, features: dict[str, Tensor], targets: dict[str, Any], predictions: dict[str, Any]) -> Tensor:
        """One scalar to minimise; what there is to log of it stays in ``progress.step`` for the callbacks."""
        total, self.progress.step = self.loss(targets, predictions)
        *name, number = self.progress.key
        self.progress.key = (*name, number + 1)  # without callbacks, which set it, the next step still draws anew
        return total

    def get_optimizers(self) -> Union[torch.optim.Optimizer, dict[str, Any]]:
        """Optimiser, with its schedule where there is one."""
        self.initialize()
        return build_optimiser(self.planner, self._optimiser, self.progress.total_steps, self.encoder_prefixes)

    def get_training_callbacks(self) -> list[Any]:
        """Log every loss term, keep best and last weights, and measure the training where the schedule ends with it."""
        return [*self.logging_callbacks(), *checkpoint_callbacks()]

    def logging_callbacks(self) -> list[Any]:
        """Log every loss term, record the settings, and what the optimiser's settings ask for.

        That is to measure the training where the schedule ends with it, and to average the weights.
        """
        self.initialize()
        asked: list[Any] = [TrainingLength()] if self._optimiser.schedule == "cosine" else []
        return [*asked, *average_callbacks(self._optimiser), LossTermLogger(), TrainingRecorder()]
