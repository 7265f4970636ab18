"""Options of ``drive-jepa pretrain``; ``training/conf/pretrain.yaml`` gives the source of each default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Optional

from navsim_agents.common.settings import READS, SEED, WRITES_FOLDER, at_least
from navsim_agents.errors import InputError
from navsim_agents.models.config import ENTRIES
from navsim_agents.models.masks import CUTS, MaskFamily
from navsim_agents.models.predictor_21 import Predictor21Config
from navsim_agents.models.presets import encoder_preset, predictor_preset
from navsim_agents.models.video_encoder_21 import NUM_LEVELS, VideoEncoder21Config
from navsim_agents.models.video_jepa import VideoJepa
from navsim_agents.models.video_jepa_21 import VideoJepa21
from training.pretraining.schedules import ScheduleConfig

PRECISIONS = ("bf16", "float32")
ALARMS = ("warn", "stop")
CUT_OVER = ("process", "all")
VJEPA2, VJEPA21 = OBJECTIVES = ("vjepa2", "vjepa21")


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the networks, and where their weights come from."""

    encoder: str = "vit_l"  # preset
    predictor: str = "stock"  # preset
    num_mask_tokens: int = field(default=10, metadata=at_least(1))
    square_positions: bool = False
    activation_checkpointing: bool = True
    compile: bool = False
    init_from: Optional[str] = field(default=None, metadata=READS)  # a V-JEPA checkpoint
    init_entry: Optional[str] = None  # of it, for both encoders
    init_predictor: bool = True  # from the same file
    objective: str = VJEPA2  # or vjepa21: four levels, of the visible tokens too

    def __post_init__(self) -> None:
        if self.init_entry is not None and self.init_entry not in ENTRIES:
            raise InputError(f"model.init_entry={self.init_entry!r}, but must be one of {', '.join(ENTRIES)}, or null")
        if self.objective not in OBJECTIVES:
            raise InputError(f"model.objective={self.objective!r}, but must be one of {', '.join(OBJECTIVES)}")

    def build(self) -> VideoJepa:
        """The networks with fresh weights from torch's global generator."""
        recompute = self.activation_checkpointing
        predictor = replace(
            predictor_preset(self.predictor),
            num_mask_tokens=self.num_mask_tokens,
            square_positions=self.square_positions,
            activation_checkpointing=recompute,
        )
        if self.objective == VJEPA2:
            return VideoJepa(encoder_preset(self.encoder, activation_checkpointing=recompute), predictor)
        encoder = encoder_preset(self.encoder, activation_checkpointing=recompute)
        if isinstance(encoder, VideoEncoder21Config):
            encoder = replace(encoder, num_levels=NUM_LEVELS)
        return VideoJepa21(encoder, Predictor21Config(**vars(predictor)))


@dataclass(frozen=True)
class ContextLossConfig:
    """Weight of the visible tokens' loss, of ``model.objective=vjepa21``; steps are counted from 0."""

    weight: float = field(default=0.5, metadata=at_least(0))
    start: int = field(default=15_000, metadata=at_least(0))  # step up to which it is 0
    end: int = field(default=30_000, metadata=at_least(0))  # step from which on it is ``weight``; linear in between
    by_distance: bool = True  # divided by the root of the distance to the nearest masked token

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise InputError(f"context_loss.end={self.end} lies before context_loss.start={self.start}; exchange them")

    def weight_at(self, step: int) -> float:
        """Weight in optimiser step ``step``, counted from 1 as everywhere in a run."""
        done = step - 1
        if done >= self.end:
            return self.weight
        return self.weight * max(0, done - self.start) / (self.end - self.start)


@dataclass(frozen=True)
class MasksConfig:
    """Mask families of every step, and how a batch is cut to one length."""

    families: list[MaskFamily]
    cut: str = "random"
    cut_over: str = "process"

    def __post_init__(self) -> None:
        names = [family.name for family in self.families]
        if not names or len(set(names)) < len(names):
            raise InputError(f"mask families are called {names}; name one at least, and each differently")
        if self.cut not in CUTS:
            raise InputError(f"masks.cut={self.cut!r}, but must be one of {', '.join(CUTS)}")
        if self.cut_over not in CUT_OVER:
            raise InputError(f"masks.cut_over={self.cut_over!r}, but must be one of {', '.join(CUT_OVER)}")


@dataclass(frozen=True)
class OptimiserConfig:
    """AdamW's settings that are not scheduled."""

    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    eps: float = 1e-8
    clip_grad_norm: Optional[float] = None

    def __post_init__(self) -> None:
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas) or self.eps < 0:
            raise InputError(
                f"optimiser.betas={list(self.betas)} must be two numbers from 0 to below 1, and "
                f"optimiser.eps={self.eps} not negative; correct them"
            )
        if self.clip_grad_norm is not None and not self.clip_grad_norm > 0:
            raise InputError(f"optimiser.clip_grad_norm={self.clip_grad_norm}, but must be positive, or null")


@dataclass(frozen=True)
class HealthConfig:
    """What is monitored, and when an alarm is raised."""

    every: int = field(default=50, metadata=at_least(1))  # steps between two measurements of the features
    max_tokens: int = field(default=2048, metadata=at_least(2))  # of this process that are measured
    min_feature_std: float = 0.05
    min_effective_rank: float = 3.0
    on_collapse: str = "warn"
    max_skipped_steps: int = field(default=3, metadata=at_least(0))  # in a row, whose loss or gradient is not finite

    def __post_init__(self) -> None:
        if self.on_collapse not in ALARMS:
            raise InputError(f"health.on_collapse={self.on_collapse!r}, but must be one of {', '.join(ALARMS)}")


@dataclass(frozen=True)
class SavingConfig:
    """Checkpoints: one every so many steps, at the end, and on Ctrl-C."""

    every: int = field(default=300, metadata=at_least(1))  # steps
    keep: int = field(default=3, metadata=at_least(1))  # newest checkpoints that stay


@dataclass(frozen=True)
class ProcessConfig:
    """This process among all processes; ``torchrun`` sets the numbers."""

    rank: int = 0
    local_rank: int = 0  # on its machine
    world_size: int = 1
    backend: str = "auto"  # nccl for CUDA, else gloo
    init_method: str = "env://"
    device: str = "auto"  # cuda where there is one
    threads: int = field(default=0, metadata=at_least(0))  # of torch; 0 leaves its own choice
    peak_tflops: Optional[float] = None  # of one process's device in this precision, for the column utilisation

    def __post_init__(self) -> None:
        if self.peak_tflops is not None and not self.peak_tflops > 0:
            raise InputError(f"processes.peak_tflops={self.peak_tflops}, but must be positive, or null")


@dataclass(frozen=True)
class PretrainConfig:
    """Configuration of ``drive-jepa pretrain``."""

    output: str = field(metadata=WRITES_FOLDER)
    data: Any  # for navsim_agents.video.loader
    masks: MasksConfig
    batch_size: int = field(default=64, metadata=at_least(1))  # clips a process and step
    workers: int = field(default=8, metadata=at_least(0))  # processes that read clips, for each training process
    seed: int = field(default=0, metadata=SEED)
    precision: str = "bf16"
    resume: bool = True  # go on from <output>/checkpoints where there are any
    model: ModelConfig = field(default_factory=ModelConfig)
    context_loss: ContextLossConfig = field(default_factory=ContextLossConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    health: HealthConfig = field(default_factory=HealthConfig)
    saving: SavingConfig = field(default_factory=SavingConfig)
    processes: ProcessConfig = field(default_factory=ProcessConfig)

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise InputError(f"precision={self.precision!r}, but must be one of {', '.join(PRECISIONS)}")

    def identity(self) -> dict[str, Any]:
        """Settings that a resumed run must share, besides those that its weights and the loader's state fix."""
        found = {"masks": asdict(self.masks)}
        if isinstance(self.data, Mapping):
            found["data"] = {key: self.data[key] for key in ("height", "width") if key in self.data}
            sets = self.data.get("data_sets", {})
            found["cropped_rows"] = {name: part.get("cropped_rows", 0) for name, part in sets.items()}
        return found
