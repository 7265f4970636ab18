"""Shows what an encoder sees in a clip, as a picture.

The three directions in which a clip's tokens differ most become red, green and blue: parts of the picture that the
encoder takes for alike have one colour. One row of frames, then one row an encoder; columns are the tokens' time steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from navsim_agents.common.command import command
from navsim_agents.common.files import whole_file
from navsim_agents.common.settings import READS, SEED, at_least, writes_file
from navsim_agents.errors import InputError
from navsim_agents.models.checkpoint import load_encoder_weights
from navsim_agents.models.pixels import PixelNormalize
from navsim_agents.models.presets import encoder_preset
from navsim_agents.models.video_encoder import VideoEncoder
from training.probe import RANDOM
from training.video.clip import read_clip
from training.video.config import ClipDataConfig, DataSetConfig
from training.video.manifest import Video, read_rows

NUM_COLOURS = 3
SHOWN_PERCENT = (1.0, 99.0)
"""The range of a component that becomes 0 … 255; what lies beyond is clipped."""
GAP_PX = 4
WHITE = 255


@dataclass(frozen=True)
class FeaturePcaConfig:
    """Configuration of ``drive-jepa feature-pca``."""

    output: str = field(metadata=writes_file(".png"))
    manifest: str = field(metadata=READS)  # of drive-jepa index-videos
    root: str = field(metadata=READS)  # of the manifest's paths
    encoder: str = "vit_l"  # preset
    encoders: dict[str, str] = field(default_factory=dict)  # name -> checkpoint, or random
    video: int = field(default=0, metadata=at_least(0))  # number in the manifest, unreadable ones not counted
    start: int = field(default=0, metadata=at_least(0))  # first frame of the clip
    num_frames: int = field(default=8, metadata=at_least(2))
    fps: float = 2.0
    height: int = 256
    width: int = 512
    cropped_rows: int = 0
    seed: int = field(default=0, metadata=SEED)  # of random weights


@command(FeaturePcaConfig, "training.conf.feature_pca")
def main(config: FeaturePcaConfig) -> None:
    """Draw as configured."""
    draw(config)
    print(f"{config.output}: frames, then {', '.join(config.encoders)}")


def draw(config: FeaturePcaConfig) -> None:
    """Write the picture, whole or not at all.

    Raises:
        InputError: no encoder is named, or the manifest has no such video.
        VideoError, CheckpointError: the clip or a checkpoint cannot be read.
    """
    if not config.encoders:
        raise InputError(f"encoders is empty; name one: +encoders.<name>=<checkpoint>, or ={RANDOM}")
    clip = load_clip(config)
    preset = encoder_preset(config.encoder)
    frames = clip[:, preset.tubelet_size - 1 :: preset.tubelet_size].permute(1, 2, 3, 0).numpy()
    rows = [frames]
    for weights in config.encoders.values():
        colours = principal_colours(encode(config, weights, clip))  # [T, rows, columns, 3]
        rows.append(np.stack([enlarge(step, config.width, config.height) for step in colours]))
    with whole_file(Path(config.output)) as temporary, temporary.open("wb") as file:
        Image.fromarray(montage(rows)).save(file, format="png")


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


def encode(config: FeaturePcaConfig, weights: str, clip: Tensor) -> Float[Tensor, "T rows columns D"]:
    """Tokens of ``clip`` in their places, from the encoder with ``weights``."""
    torch.manual_seed(config.seed)
    encoder = VideoEncoder(encoder_preset(config.encoder)).eval()
    if weights != RANDOM:
        load_encoder_weights(encoder, Path(weights).expanduser())
    grid = encoder.config.grid(*clip.shape[1:])
    with torch.inference_mode():
        tokens = encoder(PixelNormalize()(clip.unsqueeze(0))).squeeze(0)
    return tokens.unflatten(0, (grid.times, grid.rows, grid.columns))


def principal_colours(tokens: Float[Tensor, "*grid D"]) -> npt.NDArray[np.uint8]:
    """First three principal components of ``tokens`` as colours [*grid, 3], one basis and one scale for all of them.

    A component's sign is free; it is chosen so that its largest weight is positive, which makes pictures repeatable.
    """
    flat = tokens.flatten(0, -2).double()
    centred = flat - flat.mean(0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    basis = directions[:NUM_COLOURS]
    largest = basis.gather(1, basis.abs().argmax(1, keepdim=True))
    values = (centred @ (basis * largest.sign()).T).numpy()  # [N, 3]
    low, high = np.percentile(values, SHOWN_PERCENT, axis=0)
    scaled = (values - low) / np.maximum(high - low, np.finfo(np.float64).tiny)
    colours: npt.NDArray[np.uint8] = np.rint(WHITE * np.clip(scaled, 0.0, 1.0)).astype(np.uint8)
    return colours.reshape(*tokens.shape[:-1], NUM_COLOURS)


def enlarge(picture: UInt8[np.ndarray, "rows columns 3"], width: int, height: int) -> npt.NDArray[np.uint8]:
    """``picture`` as blocks that fill [``height``, ``width``, 3]."""
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.NEAREST))


def montage(rows: Sequence[UInt8[np.ndarray, "_ _ _ 3"]]) -> UInt8[np.ndarray, "H W 3"]:
    """Rows of pictures, [n, h, w, 3] each, on white."""
    _, height, width, channels = rows[0].shape
    columns = max(map(len, rows))
    shape = (len(rows) * (height + GAP_PX) - GAP_PX, columns * (width + GAP_PX) - GAP_PX, channels)
    sheet = np.full(shape, WHITE, dtype=np.uint8)
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            top, left = row * (height + GAP_PX), column * (width + GAP_PX)
            sheet[top : top + height, left : left + width] = picture
    return sheet


if __name__ == "__main__":
    main()
