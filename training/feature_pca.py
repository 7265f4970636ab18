"""Shows what an encoder sees in a clip, as a picture.

The three directions in which a clip's tokens differ most become red, green and blue: parts of the picture that the
encoder takes for alike have one colour. One row of frames, then one row an encoder; columns are the tokens' time steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import torch
from PIL import Image
from torch import Tensor

from navsim_agents.common.command import command
from navsim_agents.common.files import whole_file
from navsim_agents.common.settings import READS, SEED, at_least, writes_file
from navsim_agents.errors import InputError
from navsim_agents.evaluation.encoder_weights import RANDOM
from navsim_agents.evaluation.feature_colours import feature_sheet
from navsim_agents.models.config import ENTRIES
from navsim_agents.video.clip import read_clip
from navsim_agents.video.config import ClipDataConfig, DataSetConfig
from navsim_agents.video.manifest import Video, read_rows


@dataclass(frozen=True)
class FeaturePcaConfig:
    """Configuration of ``drive-jepa feature-pca``."""

    output: str = field(metadata=writes_file(".png"))
    manifest: str = field(metadata=READS)  # of drive-jepa index-videos
    root: str = field(metadata=READS)  # of the manifest's paths
    encoder: str = "vit_l"  # preset
    encoders: dict[str, str] = field(default_factory=dict)  # name -> checkpoint, or random
    entry: Optional[str] = None  # of the checkpoints; null: the usual one
    video: int = field(default=0, metadata=at_least(0))  # number in the manifest, unreadable ones not counted
    start: int = field(default=0, metadata=at_least(0))  # first frame of the clip
    num_frames: int = field(default=8, metadata=at_least(2))
    fps: float = 2.0
    height: int = 256
    width: int = 512
    cropped_rows: int = 0
    seed: int = field(default=0, metadata=SEED)  # of random weights

    def __post_init__(self) -> None:
        """Raises InputError where no checkpoint has such an entry."""
        if self.entry is not None and self.entry not in ENTRIES:
            raise InputError(f"entry={self.entry!r}, but must be one of {', '.join(ENTRIES)}, or null")


def draw(config: FeaturePcaConfig) -> None:
    """Write the picture, whole or not at all.

    Raises:
        InputError: no encoder is named, or the manifest has no such video.
        VideoError, CheckpointError: the clip or a checkpoint cannot be read.
    """
    if not config.encoders:
        raise InputError(f"encoders is empty; name one: +encoders.<name>=<checkpoint>, or ={RANDOM}")
    weights = [*config.encoders.values()]
    sheet = feature_sheet(load_clip(config), config.encoder, weights, config.seed, config.entry)
    with whole_file(Path(config.output)) as temporary, temporary.open("wb") as file:
        Image.fromarray(sheet).save(file, format="png")


def load_clip(config: FeaturePcaConfig) -> Tensor:
    """The clip uint8 [3, T, H, W].

    Raises:
        InputError: the manifest has no such video.
    """
    videos = [row for row in read_rows(Path(config.manifest)) if isinstance(row, Video)]
    if not 0 <= config.video < len(videos):
        raise InputError(f"video={config.video}, but {config.manifest} has {len(videos)} videos: 0 … {len(videos) - 1}")
    video = videos[config.video]
    data_set = DataSetConfig(config.manifest, config.root, cropped_rows=config.cropped_rows)
    shape = ClipDataConfig(
        {video.data_set: data_set}, config.num_frames, config.fps, height=config.height, width=config.width
    )
    return torch.from_numpy(read_clip(video, config.start, Path(config.root), shape))


@command(FeaturePcaConfig, "training.conf.feature_pca")
def main(config: FeaturePcaConfig) -> None:
    """Draw as configured."""
    draw(config)
    print(f"{config.output}: frames, then {', '.join(config.encoders)}")


if __name__ == "__main__":
    main()
