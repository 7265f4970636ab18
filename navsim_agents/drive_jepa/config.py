"""Settings of the agents, checked by name where they are made: a slip costs a second and not a training run."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from navsim_agents.common.conventions import FRAME_INTERVAL_S, NUM_FUTURE_FRAMES
from navsim_agents.common.settings import refuse_old_name
from navsim_agents.errors import InputError
from navsim_agents.models.encoders import TIMM_PREFIX
from navsim_agents.models.losses import TRAJECTORY_LOSSES
from navsim_agents.models.perception_free import PlannerConfig
from navsim_agents.models.presets import ENCODER_PRESETS

Config = TypeVar("Config", bound="CheckedConfig")

SCHEDULES = ("constant", "cosine")


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


def near_match(word: str, known: tuple[str, ...]) -> str:
    """``; did you mean '…'?`` where one of ``known`` is close to ``word``, else nothing."""
    close = difflib.get_close_matches(str(word), known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


@dataclass(frozen=True)
class CheckedConfig:
    """Base of settings that come from YAML."""

    def __post_init__(self) -> None:
        """Bases of a config check their own fields in turn."""

    @classmethod
    def from_mapping(cls: type[Config], settings: Mapping[str, Any]) -> Config:
        """Make a config of YAML's ``settings``; what they leave out keeps its default.

        Raises:
            InputError: a key is no field of this config, or a value has the wrong type or breaks a rule.
            SettingError: a key is the former name of another.
        """
        defaults = {item.name: item.default for item in fields(cls)}
        for key, value in settings.items():
            if key not in defaults:
                refuse_old_name(key, defaults)
                hint = near_match(key, tuple(defaults)) or f"; known keys: {', '.join(defaults)}"
                raise InputError(f"{cls.__name__} has no key {key!r}{hint}")
            is_path = defaults[key] is None  # an optional path; null leaves it out
            wanted = str if is_path else type(defaults[key])
            is_good = type(value) is wanted or (wanted is float and type(value) is int) or (is_path and value is None)
            require(is_good, f"{key}={value!r}", f"must be of type {wanted.__name__}{' or null' if is_path else ''}")
        return cls(**settings)


@dataclass(frozen=True)
class ImageConfig(CheckedConfig):
    """What becomes of a camera picture."""

    image_width: int = 512  # px
    image_height: int = 256  # px

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("image_width", "image_height"):
            require(getattr(self, name) > 0, f"{name}={getattr(self, name)}", "must be a positive number of pixels")


@dataclass(frozen=True)
class EncoderConfig(CheckedConfig):
    """The encoder, by name: a preset of the video encoder, or ``timm:`` and one of timm's vision transformers."""

    encoder: str = "vit_l"
    encoder_pretrained: bool = False  # let timm download its weights; for encoder=timm:… only
    activation_checkpointing: bool = False  # less memory for about a third more time

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.encoder.startswith(TIMM_PREFIX):
            require_choice("encoder", self.encoder, (*ENCODER_PRESETS, f"{TIMM_PREFIX}<name>"))
            require(
                not self.encoder_pretrained,
                f"encoder_pretrained={self.encoder_pretrained} with encoder={self.encoder!r}",
                "must be false: only timm's weights can be downloaded; set encoder_checkpoint_path",
            )


@dataclass(frozen=True)
class OptimiserConfig(CheckedConfig):
    """Adam as the released code has it; AdamW's decoupled decay and a schedule where asked for."""

    lr: float = 1e-4
    encoder_lr_factor: float = 1.0  # the encoder's learning rate is lr times this
    freeze_encoder: bool = False
    weight_decay: float = 0.0  # on matrices; norms, biases and embeddings have none
    schedule: str = "constant"  # or cosine: down to final_lr_factor at the end of training
    warmup_steps: int = 0  # optimiser steps of linear growth from 0
    final_lr_factor: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.lr > 0, f"lr={self.lr}", "must be positive")
        require(
            self.encoder_lr_factor > 0,
            f"encoder_lr_factor={self.encoder_lr_factor}",
            "must be positive; to keep the encoder as it is, set freeze_encoder=true",
        )
        require(self.weight_decay >= 0, f"weight_decay={self.weight_decay}", "must not be negative")
        require_choice("schedule", self.schedule, SCHEDULES)
        require(self.warmup_steps >= 0, f"warmup_steps={self.warmup_steps}", "must not be negative")
        require(
            0 <= self.final_lr_factor <= 1, f"final_lr_factor={self.final_lr_factor}", "must be a fraction in [0, 1]"
        )


@dataclass(frozen=True)
class PerceptionFreeConfig(ImageConfig, EncoderConfig, OptimiserConfig, PlannerConfig):
    """Everything that shapes a perception-free agent and its training; one flat set of keys."""

    loss: str = "length_normalised_l1"  # or mse, as the paper states it

    def __post_init__(self) -> None:
        super().__post_init__()
        PlannerConfig.__post_init__(self)
        require_choice("loss", self.loss, tuple(TRAJECTORY_LOSSES))
        require(
            self.num_poses <= NUM_FUTURE_FRAMES,
            f"num_poses={self.num_poses}",
            f"must not exceed the {NUM_FUTURE_FRAMES} future frames of a scene ({FRAME_INTERVAL_S} s apart)",
        )
