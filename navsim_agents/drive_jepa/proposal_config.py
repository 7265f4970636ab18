"""Settings of the full planner's agent: pictures, network, targets, distillation, losses, selection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Optional, TypeVar

from navsim_agents.common.conventions import (
    CAMERA_HEIGHT_PX,
    CAMERA_WIDTH_PX,
    EPDMS_NAME,
    HORIZON_S,
    METRIC_NAMES,
    NUM_CLIP_FRAMES,
    NUM_HISTORY_FRAMES,
    NUM_STEPS,
    PDMS_NAME,
    POSE_INTERVAL_S,
    STEPS_PER_POSE,
)
from navsim_agents.devkit.bases import VARIANT
from navsim_agents.devkit.variant import Variant
from navsim_agents.drive_jepa.config import (
    CheckedConfig,
    EncoderConfig,
    ImageConfig,
    OptimiserConfig,
    require,
    require_choice,
)
from navsim_agents.models.encoders import TIMM_PREFIX
from navsim_agents.models.losses import ProposalLossConfig
from navsim_agents.models.proposals import ProposalConfig
from navsim_agents.scoring.packed_layout import ALIGNMENT

AUTO = "auto"
ON, OFF = "on", "off"
METRIC_CHOICES = (AUTO, *METRIC_NAMES)
FRONT_VIDEO_BACKBONE, FOUR_CAMERAS_BACKBONE = "front_video", "four_cameras"
FRAMES_OF_BACKBONE = {FRONT_VIDEO_BACKBONE: NUM_CLIP_FRAMES, FOUR_CAMERAS_BACKBONE: 1}
PER_STAGE, PER_STEP = "per_stage", "per_step"


Part = TypeVar("Part")


def subset(config: Any, kind: type[Part]) -> Part:
    """The fields of ``config`` that a ``kind`` has, checked by it."""
    return kind(**{item.name: getattr(config, item.name) for item in fields(kind)})  # type: ignore[arg-type]


@dataclass(frozen=True)
class ScoringConfig(CheckedConfig):
    """Where the scenes come from that training scores proposals in, and by which metric."""

    scenes: Optional[str] = None  # a scene store, a folder of them, or NAVSIM's metric cache
    scene_bytes: int = 0  # of every cached scene, as earlier releases had it; 0: each as long as it is
    metric: str = AUTO  # pdms or epdms; auto: the host's, epdms without a devkit

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.scene_bytes >= 0 and self.scene_bytes % ALIGNMENT == 0,
            f"scene_bytes={self.scene_bytes}",
            f"must be a multiple of {ALIGNMENT}, or 0 for scenes as long as they are",
        )
        require_choice("metric", self.metric, METRIC_CHOICES)

    @property
    def scored_metric(self) -> str:
        """The metric with ``auto`` resolved."""
        if self.metric != AUTO:
            return self.metric
        return PDMS_NAME if VARIANT is Variant.V1_1 else EPDMS_NAME


@dataclass(frozen=True)
class DistillationConfig(CheckedConfig):
    """Pseudo-teachers: trajectories of a vocabulary that score well in a scene (paper, section 3.4)."""

    label_store: Optional[str] = None  # null: no distillation
    vocabulary: Optional[str] = None  # the one that was labelled
    teacher_threshold: float = 0.95  # paper and released code: teachers score at least this
    teacher_cap: int = 256  # released code: teachers kept of a scene
    num_teachers: int = 4  # drawn of them each time; released code: 4 for ViT-L
    teacher_draw: str = PER_STAGE  # released code: anew for every stage; or per_step, the same for all stages
    seed: int = 0  # of the draws

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0.0 < self.teacher_threshold <= 1.0, f"teacher_threshold={self.teacher_threshold}", "must be in (0, 1]")
        for name in ("teacher_cap", "num_teachers"):
            require(getattr(self, name) > 0, f"{name}={getattr(self, name)}", "must be positive")
        require_choice("teacher_draw", self.teacher_draw, (PER_STAGE, PER_STEP))
        require(
            self.label_store is None or self.vocabulary is not None,
            f"vocabulary={self.vocabulary}",
            "must be the vocabulary that label_store was made with; set agent.config.vocabulary=….npy",
        )

    @property
    def distils(self) -> bool:
        """Whether there are teachers."""
        return self.label_store is not None


@dataclass(frozen=True)
class SelectionConfig(CheckedConfig):
    """Momentum-aware selection (paper, section 3.5)."""

    momentum: str = AUTO  # on, off; auto: off beside devkit v1.1, whose metric has no extended comfort
    comfort_weight: float = 0.125  # paper: S ← (7 S + S_c) / 8
    momentum_depth: int = 1  # frames that compute_trajectory replans; the history allows 2 at most
    remembered_frames: int = 4096  # network outputs kept by content, some kB each: no frame is planned twice

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("momentum", self.momentum, (AUTO, ON, OFF))
        require(0.0 <= self.comfort_weight < 1.0, f"comfort_weight={self.comfort_weight}", "must be in [0, 1)")
        require(self.momentum_depth > 0, f"momentum_depth={self.momentum_depth}", "must be positive")
        require(self.remembered_frames >= 0, f"remembered_frames={self.remembered_frames}", "must not be negative")

    @property
    def uses_momentum(self) -> bool:
        """Momentum with ``auto`` resolved."""
        return VARIANT is not Variant.V1_1 if self.momentum == AUTO else self.momentum == ON

    @property
    def depth(self) -> int:
        """Earlier frames that a plan needs."""
        return self.momentum_depth if self.uses_momentum else 0


@dataclass(frozen=True)
class ProposalAgentConfig(
    ImageConfig,
    EncoderConfig,
    OptimiserConfig,
    ScoringConfig,
    DistillationConfig,
    SelectionConfig,
    ProposalLossConfig,
    ProposalConfig,
):
    """Everything that shapes the full planner's agent and its training; one flat set of keys."""

    backbone: str = FRONT_VIDEO_BACKBONE  # or four_cameras: one frame, through encoder=timm:resnet34
    swapped_channels: bool = False  # four_cameras: red and blue swapped, as released weights saw them
    grid_mask_ratio: float = 0.5  # part of the pictures' stripes that is kept in training
    grid_mask_probability: float = 0.7  # of a batch to be masked; released code
    encoder_lr_factor: float = 0.1  # of the whole backbone: released code

    def __post_init__(self) -> None:
        super().__post_init__()
        ProposalConfig.__post_init__(self)
        subset(self, ProposalLossConfig)
        require_choice("backbone", self.backbone, tuple(FRAMES_OF_BACKBONE))
        require(
            self.num_poses * POSE_INTERVAL_S == HORIZON_S,
            f"num_poses={self.num_poses}",
            f"must be {HORIZON_S / POSE_INTERVAL_S:g}: the scorer judges plans of {HORIZON_S:g} s",
        )
        require(
            self.steps_per_pose == STEPS_PER_POSE,
            f"steps_per_pose={self.steps_per_pose}",
            f"must be {STEPS_PER_POSE}: labels are of the {NUM_STEPS} simulated states of {self.num_poses} poses",
        )
        if self.backbone == FOUR_CAMERAS_BACKBONE:
            self._check_four_cameras()
        most = NUM_HISTORY_FRAMES - FRAMES_OF_BACKBONE[self.backbone]
        require(
            self.momentum_depth <= most,
            f"momentum_depth={self.momentum_depth}",
            f"must not exceed {most}, or NAVSIM's {NUM_HISTORY_FRAMES} history frames do not reach back far enough",
        )

    def _check_four_cameras(self) -> None:
        require(
            self.encoder.startswith(TIMM_PREFIX),
            f"encoder={self.encoder!r}",
            f"must be an image network with backbone={self.backbone}; set encoder={TIMM_PREFIX}resnet34",
        )
        require(
            not self.activation_checkpointing,
            f"activation_checkpointing={self.activation_checkpointing}",
            f"must be false with backbone={self.backbone}: its network does not recompute activations",
        )
        require(
            self.image_height * CAMERA_WIDTH_PX == self.image_width * CAMERA_HEIGHT_PX,
            f"image_height={self.image_height} with image_width={self.image_width}",
            f"must be whole pictures scaled alike in x and y, as 432 x 768: height * {CAMERA_WIDTH_PX} = width * "
            f"{CAMERA_HEIGHT_PX}; the backbone itself pads them below to whole strides of the network (448)",
        )

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> ProposalAgentConfig:
        """As the base class; YAML reads an unquoted ``on`` or ``off`` as a truth value, which is meant all the same."""
        momentum = settings.get("momentum")
        if isinstance(momentum, bool):
            settings = {**settings, "momentum": ON if momentum else OFF}
        return super().from_mapping(settings)

    @property
    def losses(self) -> ProposalLossConfig:
        """Weights of the loss alone."""
        return subset(self, ProposalLossConfig)

    @property
    def sensor_frames(self) -> list[int]:
        """History frames whose pictures are needed, as indices into NAVSIM's four."""
        wanted = FRAMES_OF_BACKBONE[self.backbone] + self.depth
        return list(range(NUM_HISTORY_FRAMES - wanted, NUM_HISTORY_FRAMES))
