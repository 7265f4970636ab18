"""Settings of the agents, in groups, checked where an agent is made: a slip costs a second and not a training run.

Every default stands here and in ``navsim_agents.models.config`` alone; ``navsim_configs/agent/`` says what its presets
change. Hydra reads these modules at each start of any application, so they import nothing heavy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Optional, TypeVar

from navsim_agents.common.conventions import FRAME_INTERVAL_S, NUM_FUTURE_FRAMES
from navsim_agents.common.former_names import near_match
from navsim_agents.common.settings import at_least, read_group, within
from navsim_agents.errors import InputError
from navsim_agents.models.config import (
    ENTRIES,
    RESAMPLINGS,
    TIMM_PREFIX,
    TIMMS,
    TRAJECTORY_LOSS_NAMES,
    USUAL_READING,
    PlannerConfig,
    PositionReading,
)

Config = TypeVar("Config", bound="AgentConfig")

SCHEDULES = ("constant", "cosine")
NO_AVERAGE, EMA, EQUAL = AVERAGES = ("none", "ema", "equal")
PREFIX = "agent.config."


def require(is_met: bool, value: str, rule: str) -> None:
    """Refuse ``value`` (name=value) that breaks ``rule``.

    Raises:
        InputError: ``is_met`` is False.
    """
    if not is_met:
        raise InputError(f"{value} {rule}")


def require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a ``value`` that is not one of ``choices``.

    Raises:
        InputError: it is not.
    """
    require(value in choices, f"{name}={value!r}", f"must be one of {', '.join(choices)}{near_match(value, choices)}")


@dataclass(frozen=True)
class AgentConfig(ABC):
    """Base of what ``agent.config`` holds."""

    @classmethod
    def from_mapping(cls: type[Config], settings: Mapping[str, Any]) -> Config:
        """Make a config of YAML's ``settings``; what they leave out keeps its default.

        Raises:
            SettingError: a key is no setting, or is called otherwise now, or its value has the wrong type.
            InputError: a value breaks a rule.
        """
        return read_group(cls, settings, PREFIX)

    @property
    @abstractmethod
    def seen_by_weights(self) -> dict[str, Any]:
        """Settings that weights were trained with and that leave no trace in their shapes, by dotted name."""


@dataclass(frozen=True)
class ImageConfig:
    """What becomes of a camera picture."""

    width: int = 512  # px
    height: int = 256  # px

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            require(getattr(self, name) > 0, f"{name}={getattr(self, name)}", "must be a positive number of pixels")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, the order of tensors."""
        return self.height, self.width


@dataclass(frozen=True)
class EncoderConfig:
    """The encoder, by name: a preset of the video encoder, or ``timm:`` and one of timm's networks."""

    ONCE_ALONE: ClassVar[str] = "name"

    name: str = "vit_l"  # tiny, small, vit_s, vit_b, vit_l, vit_h, vit_g, vjepa21_… (docs/encoders.md), or timm:<name>
    levels: int = 1  # of the output: 1, or 4 of vjepa21_…, whose tokens are four times as wide
    entry: Optional[str] = None  # of a V-JEPA checkpoint: encoder, target_encoder, ema_encoder; null: the usual one
    pretrained: bool = False  # let timm download its weights; for name=timm:… only
    activation_checkpointing: bool = False  # less memory for about a third more time
    resampling: str = TIMMS  # of a timm file's table of positions: with antialiasing; transformers: without
    file_grid: list[int] = field(default_factory=list)  # its patches [rows, columns]; []: a square, or as here

    def __post_init__(self) -> None:
        if self.entry is not None:
            require_choice("entry", self.entry, ENTRIES)
        self._check_positions()
        if self.is_timm:
            given = f"levels={self.levels}, entry={self.entry} with name={self.name!r}"
            require(self.levels == 1 and self.entry is None, given, "are for V-JEPA's encoders; leave them out")
            return
        from navsim_agents.models.presets import (
            ENCODER_PRESETS,
            encoder_preset,
        )  # bring torch, which defaults do not need

        require_choice("name", self.name, (*ENCODER_PRESETS, f"{TIMM_PREFIX}<name>"))
        require(
            not self.pretrained,
            f"pretrained={self.pretrained} with name={self.name!r}",
            "must be false: only timm's weights can be downloaded; set agent.encoder_checkpoint_path",
        )
        encoder_preset(self.name, num_levels=self.levels)  # refuses levels that it has not

    def _check_positions(self) -> None:
        require_choice("resampling", self.resampling, RESAMPLINGS)
        require(
            not self.file_grid or (len(self.file_grid) == 2 and min(self.file_grid) > 0),
            f"file_grid={self.file_grid}",
            "must be rows and columns of patches, such as [37,37], or [] for a square",
        )
        require(
            self.positions == USUAL_READING or (self.is_timm and not self.pretrained),
            f"resampling={self.resampling}, file_grid={self.file_grid} with name={self.name!r}, "
            f"pretrained={self.pretrained}",
            "are for files of timm's weights; leave them out, or give one as agent.encoder_checkpoint_path",
        )

    @property
    def positions(self) -> PositionReading:
        """How a file's table of positions is read."""
        return PositionReading(self.resampling, (self.file_grid[0], self.file_grid[1]) if self.file_grid else None)

    @property
    def is_timm(self) -> bool:
        """Whether the network is one of timm's."""
        return self.name.startswith(TIMM_PREFIX)

    @property
    def timm_name(self) -> str:
        """What timm calls it."""
        return self.name[len(TIMM_PREFIX) :]


@dataclass(frozen=True)
class OptimiserConfig:
    """Adam as the released code has it; AdamW's decoupled decay and a schedule where asked for."""

    lr: float = 1e-4
    encoder_lr_factor: float = 1.0  # the encoder's learning rate is lr times this
    freeze_encoder: bool = False
    weight_decay: float = field(default=0.0, metadata=at_least(0))  # on matrices; not norms, biases, embeddings
    schedule: str = "constant"  # or cosine: down to final_lr_factor at the end of training
    warmup_steps: int = field(default=0, metadata=at_least(0))  # optimiser steps of linear growth from 0
    final_lr_factor: float = 0.0
    ema_decay: float = field(default=0.0, metadata=within(0, 0.99999))  # of a moving average of the weights; 0: none
    averaging: Optional[str] = None  # none, ema, or equal: the mean of epochs' ends; null: ema where ema_decay is given
    average_from_epoch: int = field(default=0, metadata=at_least(0))  # counted from 0, as in names of checkpoints

    def __post_init__(self) -> None:
        require(self.lr > 0, f"lr={self.lr}", "must be positive")
        require(
            self.encoder_lr_factor > 0,
            f"encoder_lr_factor={self.encoder_lr_factor}",
            "must be positive; to keep the encoder as it is, set freeze_encoder=true",
        )
        require_choice("schedule", self.schedule, SCHEDULES)
        require(
            0 <= self.final_lr_factor <= 1, f"final_lr_factor={self.final_lr_factor}", "must be a fraction in [0, 1]"
        )
        require_choice("averaging", self.averaging_in_use, AVERAGES)
        given = f"averaging={self.averaging} with ema_decay={self.ema_decay:g}"
        if self.averaging is not None:
            rule = "ema needs an ema_decay above 0, and only ema has one; set both or leave one out"
            require((self.averaging == EMA) == (self.ema_decay > 0), given, f"does not go together: {rule}")
        require(
            self.averaging_in_use != NO_AVERAGE or not self.average_from_epoch,
            f"average_from_epoch={self.average_from_epoch}",
            "needs an average; set agent.config.optimiser.averaging=equal, or ema_decay",
        )

    @property
    def averaging_in_use(self) -> str:
        """Which average of the weights there is."""
        return self.averaging or (EMA if self.ema_decay else NO_AVERAGE)


FORMER_NAMES: Mapping[str, str] = {
    "image_width": "pictures.width",
    "image_height": "pictures.height",
    "encoder_pretrained": "encoder.pretrained",
    "activation_checkpointing": "encoder.activation_checkpointing",
    **{name: f"planner.{name}" for name in ("model_dim", "num_heads", "ffn_dim", "dropout")},
    **{name: f"optimiser.{name}" for name in OptimiserConfig.__dataclass_fields__},
}
"""Settings of both agents as earlier releases called them → as they are called now."""


@dataclass(frozen=True)
class PerceptionFreeConfig(AgentConfig):
    """Everything that shapes a perception-free agent and its training."""

    FORMER: ClassVar[Mapping[str, str]] = {
        **FORMER_NAMES,
        **{name: f"planner.{name}" for name in ("num_layers", "num_poses", "sees_motion")},
    }

    pictures: ImageConfig = field(default_factory=ImageConfig)  # sides are multiples of 32 px
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    planner: PlannerConfig = field(default_factory=PlannerConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    loss: str = "length_normalised_l1"  # or mse, as the paper states it

    @property
    def seen_by_weights(self) -> dict[str, Any]:
        """As the base class."""
        return {f"planner.{name}": getattr(self.planner, name) for name in ("num_heads", "sees_motion")}

    def __post_init__(self) -> None:
        require_choice("loss", self.loss, TRAJECTORY_LOSS_NAMES)
        require(
            self.planner.num_poses <= NUM_FUTURE_FRAMES,
            f"planner.num_poses={self.planner.num_poses}",
            f"must not exceed the {NUM_FUTURE_FRAMES} future frames of a scene ({FRAME_INTERVAL_S} s apart)",
        )
