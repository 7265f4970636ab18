"""Settings of the full planner's agent: pictures, network, targets, distillation, losses, selection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Optional

from navsim_agents.common.conventions import (
    CAMERA_HEIGHT_PX,
    CAMERA_WIDTH_PX,
    EPDMS_NAME,
    HORIZON_S,
    METRIC_NAMES,
    NUM_CLIP_FRAMES,
    NUM_HISTORY_FRAMES,
    NUM_POSES,
    NUM_STEPS,
    PDMS_NAME,
    TEACHER_CAP,
    TEACHER_THRESHOLD,
)
from navsim_agents.common.settings import SEED, at_least
from navsim_agents.drive_jepa.config import (
    FORMER_NAMES,
    AgentConfig,
    EncoderConfig,
    ImageConfig,
    OptimiserConfig,
    require,
    require_choice,
)
from navsim_agents.models.config import (
    OF_TRAJECTORIES,
    PARTS,
    QUIRKS_OF_RELEASED_RESNET34,
    QUIRKS_OF_RELEASED_VIT_L,
    TIMM_PREFIX,
    ProposalConfig,
    ProposalLossConfig,
    Quirks,
)

AUTO = "auto"
ON, OFF = "on", "off"
ADDED, MULTIPLIED = "added", "multiplied"
METRIC_CHOICES = (AUTO, *METRIC_NAMES)
FRONT_VIDEO_SOURCE, FOUR_CAMERAS_SOURCE = "front_video", "four_cameras"
FRAMES_OF_SOURCE = {FRONT_VIDEO_SOURCE: NUM_CLIP_FRAMES, FOUR_CAMERAS_SOURCE: 1}
PER_STAGE, PER_STEP = "per_stage", "per_step"
NONE, RELEASED = "none", "released"
RELEASED_QUIRKS = {
    FRONT_VIDEO_SOURCE: QUIRKS_OF_RELEASED_VIT_L,
    FOUR_CAMERAS_SOURCE: QUIRKS_OF_RELEASED_RESNET34,
}


@dataclass(frozen=True)
class PicturesConfig(ImageConfig):
    """Which pictures the planner looks at, at what size, and what is hidden of them in training."""

    source: str = FRONT_VIDEO_SOURCE  # or four_cameras: one frame, through encoder.name=timm:resnet34
    grid_mask_ratio: float = 0.5  # part of the pictures' stripes that is kept in training
    grid_mask_probability: float = 0.7  # of a batch to be masked; released code

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("source", self.source, tuple(FRAMES_OF_SOURCE))
        if self.source == FOUR_CAMERAS_SOURCE:
            require(
                self.height * CAMERA_WIDTH_PX == self.width * CAMERA_HEIGHT_PX,
                f"height={self.height} with width={self.width}",
                f"must be whole pictures scaled alike in x and y, as 432 x 768: height * {CAMERA_WIDTH_PX} = width * "
                f"{CAMERA_HEIGHT_PX}; the backbone itself pads them below to whole strides of the network (448)",
            )


@dataclass(frozen=True)
class QuirksConfig:
    """What exists only because released weights saw it: a preset, and what differs from it."""

    preset: str = NONE  # or released
    tiled_pillar: Optional[bool] = None  # null, here and below: as the preset has it
    padded_reference_picture: Optional[bool] = None
    skip_when_invisible: Optional[bool] = None
    swapped_channels: Optional[bool] = None

    def __post_init__(self) -> None:
        require_choice("preset", self.preset, (NONE, RELEASED))

    @property
    def said(self) -> dict[str, bool]:
        """Those that are not left to the preset."""
        return {name: value for name, value in asdict(self).items() if name != "preset" and value is not None}

    def of(self, source: str) -> Quirks:
        """The quirks with pictures of ``source``."""
        return replace(RELEASED_QUIRKS[source] if self.preset == RELEASED else Quirks(), **self.said)


@dataclass(frozen=True)
class TeachersConfig:
    """Pseudo-teachers: trajectories of a vocabulary that score well in a scene (paper, section 3.4)."""

    label_store: Optional[str] = None  # of drive-jepa score-vocabulary; null: no distillation
    vocabulary: Optional[str] = None  # the .npy that was labelled
    threshold: float = TEACHER_THRESHOLD  # paper and released code: teachers score at least this
    cap: int = field(default=TEACHER_CAP, metadata=at_least(1))  # released code: teachers kept of a scene
    number: int = field(default=4, metadata=at_least(1))  # drawn of them each time; released code: 4 for ViT-L
    draw: str = PER_STAGE  # released code: anew for every stage; or per_step, the same for all stages
    scored: int = field(default=0, metadata=at_least(0))  # of the vocabulary, scored beside the proposals each step

    def __post_init__(self) -> None:
        require(0.0 < self.threshold <= 1.0, f"threshold={self.threshold}", "must be in (0, 1]")
        require_choice("draw", self.draw, (PER_STAGE, PER_STEP))
        require(
            self.label_store is None or self.vocabulary is not None,
            f"vocabulary={self.vocabulary}",
            "must be the vocabulary that label_store was made with; set agent.config.teachers.vocabulary=….npy",
        )
        require(
            self.scored == 0 or self.label_store is not None,
            f"scored={self.scored}",
            "needs labels of the vocabulary; set agent.config.teachers.label_store=… (with losses.teacher_weight=0 "
            "nothing is distilled from them), or scored=0",
        )

    @property
    def distils(self) -> bool:
        """Whether there are teachers."""
        return self.label_store is not None


@dataclass(frozen=True)
class MomentumConfig:
    """Momentum-aware selection (paper, section 3.5)."""

    ONCE_ALONE: ClassVar[str] = "mode"

    mode: str = AUTO  # on, off; auto: off beside devkit v1.1, whose metric has no extended comfort
    comfort_weight: float = 0.125  # paper: S ← (7 S + S_c) / 8
    form: str = ADDED  # or multiplied: S ← S (7 + S_c) / 8, so that comfort counts as far as a plan is worth something
    depth: int = field(default=1, metadata=at_least(1))  # frames that compute_trajectory replans; 2 at most
    remembered_frames: int = field(default=4096, metadata=at_least(0))  # outputs kept by content, some kB each

    def __post_init__(self) -> None:
        require_choice("mode", self.mode, (AUTO, ON, OFF))
        require_choice("form", self.form, (ADDED, MULTIPLIED))
        require(0.0 <= self.comfort_weight < 1.0, f"comfort_weight={self.comfort_weight}", "must be in [0, 1)")

    @property
    def is_on(self) -> bool:
        """Momentum with ``auto`` resolved."""
        return not _is_beside_v1_1() if self.mode == AUTO else self.mode == ON

    @property
    def replanned(self) -> int:
        """Earlier frames that a plan needs."""
        return self.depth if self.is_on else 0


@dataclass(frozen=True)
class SelectionConfig:
    """What a proposal is chosen by, before momentum; of planning alone, so weights do not depend on it."""

    smoothing_m: float = field(default=0.0, metadata=at_least(0))  # scores averaged over near proposals; released: 0


@dataclass(frozen=True)
class ProposalAgentConfig(AgentConfig):
    """Everything that shapes the full planner's agent and its training."""

    FORMER: ClassVar[Mapping[str, str]] = {
        **FORMER_NAMES,
        "backbone": "pictures.source",
        "grid_mask_ratio": "pictures.grid_mask_ratio",
        "grid_mask_probability": "pictures.grid_mask_probability",
        **{name: f"planner.{name}" for name in ProposalConfig.__dataclass_fields__},
        **{name: f"quirks.{name}" for name in Quirks.__dataclass_fields__},
        **{name: f"losses.{name}" for name in ProposalLossConfig.__dataclass_fields__},
        "label_store": "teachers.label_store",
        "vocabulary": "teachers.vocabulary",
        "teacher_threshold": "teachers.threshold",
        "teacher_cap": "teachers.cap",
        "num_teachers": "teachers.number",
        "teacher_draw": "teachers.draw",
        "comfort_weight": "momentum.comfort_weight",
        "momentum_depth": "momentum.depth",
        "remembered_frames": "momentum.remembered_frames",
    }
    GONE: ClassVar[Mapping[str, str]] = {
        "num_poses": f"the scorer judges plans of {HORIZON_S:g} s, so they have {NUM_POSES} poses",
        "steps_per_pose": f"labels are of the {NUM_STEPS} simulated states of {NUM_POSES} poses",
    }

    scenes: Optional[str] = None  # training scores proposals in: a scene store, a folder of them, or a metric cache
    metric: str = AUTO  # pdms or epdms; auto: the host's, epdms without a devkit
    scene_bytes: int = field(default=0, metadata=at_least(0))  # of every cached scene, as before; 0: as long as it is
    pictures: PicturesConfig = field(default_factory=PicturesConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    planner: ProposalConfig = field(default_factory=ProposalConfig)
    quirks: QuirksConfig = field(default_factory=QuirksConfig)
    losses: ProposalLossConfig = field(default_factory=ProposalLossConfig)
    teachers: TeachersConfig = field(default_factory=TeachersConfig)
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    momentum: MomentumConfig = field(default_factory=MomentumConfig)
    optimiser: OptimiserConfig = field(  # encoder_lr_factor is of the whole backbone: released code
        default_factory=lambda: OptimiserConfig(encoder_lr_factor=0.1)
    )
    seed: int = field(default=0, metadata=SEED)  # of the teachers' draws and of the grid mask

    def __post_init__(self) -> None:
        require_choice("metric", self.metric, METRIC_CHOICES)
        if self.scene_bytes:
            self._check_scene_bytes()
        if self.pictures.source == FOUR_CAMERAS_SOURCE:
            self._check_image_network()
        require(
            self.teachers.scored == 0 or self.planner.scorer == OF_TRAJECTORIES,
            f"teachers.scored={self.teachers.scored} with planner.scorer={self.planner.scorer}",
            f"must be 0: queries belong to the planner's own proposals; set planner.scorer={OF_TRAJECTORIES}",
        )
        most = NUM_HISTORY_FRAMES - FRAMES_OF_SOURCE[self.pictures.source]
        require(
            self.momentum.depth <= most,
            f"momentum.depth={self.momentum.depth}",
            f"must not exceed {most}, or NAVSIM's {NUM_HISTORY_FRAMES} history frames do not reach back far enough",
        )

    def _check_scene_bytes(self) -> None:
        from navsim_agents.scoring.packed_layout import ALIGNMENT  # brings torch, which defaults do not need

        require(
            self.scene_bytes % ALIGNMENT == 0,
            f"scene_bytes={self.scene_bytes}",
            f"must be a multiple of {ALIGNMENT}, or 0 for scenes as long as they are",
        )

    def _check_image_network(self) -> None:
        require(
            self.encoder.is_timm,
            f"encoder.name={self.encoder.name!r}",
            f"must be an image network with pictures.source={self.pictures.source}; set "
            f"agent.config.encoder.name={TIMM_PREFIX}resnet34",
        )
        require(
            not self.encoder.activation_checkpointing,
            f"encoder.activation_checkpointing={self.encoder.activation_checkpointing}",
            f"must be false with pictures.source={self.pictures.source}: its network does not recompute activations",
        )

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> ProposalAgentConfig:
        """As the base class; YAML reads an unquoted ``on`` or ``off`` as a truth value, which is meant all the same."""
        momentum = settings.get("momentum")
        if isinstance(momentum, Mapping) and isinstance(momentum.get("mode"), bool):
            settings = {**settings, "momentum": {**momentum, "mode": ON if momentum["mode"] else OFF}}
        return super().from_mapping(settings)

    @property
    def seen_by_weights(self) -> dict[str, Any]:
        """Settings that weights were trained with and that leave no trace in their shapes, by dotted name."""
        quirks = asdict(self.quirks.of(self.pictures.source))
        decoding = ("num_heads", "metres_per_unit", "radians_per_unit", "decodes_steps", "scorer", "foresees")
        metric = {"metric": self.scored_metric} if self.planner.foresees == PARTS else {}
        return {
            "pictures.source": self.pictures.source,
            **metric,
            **{f"planner.{name}": getattr(self.planner, name) for name in decoding},
            **{f"quirks.{name}": value for name, value in quirks.items()},
        }

    @property
    def scored_metric(self) -> str:
        """The metric with ``auto`` resolved."""
        if self.metric != AUTO:
            return self.metric
        return PDMS_NAME if _is_beside_v1_1() else EPDMS_NAME

    @property
    def sensor_frames(self) -> list[int]:
        """History frames whose pictures are needed, as indices into NAVSIM's four."""
        wanted = FRAMES_OF_SOURCE[self.pictures.source] + self.momentum.replanned
        return list(range(NUM_HISTORY_FRAMES - wanted, NUM_HISTORY_FRAMES))


def _is_beside_v1_1() -> bool:
    """Whether the host is devkit v1.1. Importing a devkit takes seconds, so it is done where it is asked for."""
    from navsim_agents.devkit.bases import VARIANT
    from navsim_agents.devkit.variant import Variant

    return VARIANT is Variant.V1_1
