"""Pictures of an encoder's features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from navsim_agents.errors import CheckpointError, InputError, VideoError
from navsim_agents.evaluation.feature_colours import montage, principal_colours
from navsim_agents.models.presets import encoder_preset
from navsim_agents.models.video_encoder import VideoEncoder
from tests.video.videos import picture_data
from training.feature_pca import FeaturePcaConfig, draw


def test_colours_by_hand() -> None:
    """Tokens spread most along the first axis, then along the second: red and green, and no blue."""
    tokens = torch.zeros(1, 2, 3, 5)
    tokens[..., 1] = torch.tensor([[-9.0, 0.0, 9.0], [-9.0, 0.0, 9.0]])
    tokens[..., 4] = torch.tensor([[-2.0, -2.0, -2.0], [2.0, 2.0, 2.0]])
    colours = principal_colours(tokens)
    assert colours.shape == (1, 2, 3, 3)
    assert colours[0, 0, :, 0].tolist() == [0, 128, 255]
    assert colours[0, :, 1, 1].tolist() == [0, 255]


def test_colours_follow_neither_a_turn_nor_a_shift_of_the_features() -> None:
    tokens = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(1))
    turn, _ = torch.linalg.qr(torch.randn(7, 7, generator=torch.Generator().manual_seed(2)))
    plain, turned = (principal_colours(each).reshape(-1, 3).astype(int) for each in (tokens, tokens @ turn + 3.0))
    for component in range(3):
        same = np.abs(plain[:, component] - turned[:, component]).max()
        flipped = np.abs(plain[:, component] - 255 + turned[:, component]).max()
        assert min(same, flipped) <= 1


def test_montage_puts_pictures_in_rows() -> None:
    red, blue = np.full((2, 3, 5, 3), (255, 0, 0), np.uint8), np.full((1, 3, 5, 3), (0, 0, 255), np.uint8)
    sheet = montage([red, blue])
    assert sheet.shape == (10, 14, 3)
    assert sheet[1, 10].tolist() == [255, 0, 0]
    assert sheet[8, 2].tolist() == [0, 0, 255]
    assert sheet[8, 12].tolist() == sheet[4, 2].tolist() == [255, 255, 255]


def test_picture_shows_frames_and_one_row_an_encoder(tmp_path: Path) -> None:
    data = picture_data(tmp_path / "dojo", {"a": 4, "b": 12})
    torch.manual_seed(3)
    weights = VideoEncoder(encoder_preset("tiny")).state_dict()
    torch.save({"target_encoder": weights}, tmp_path / "tiny.pt")
    config = FeaturePcaConfig(
        output=str(tmp_path / "out" / "pca.png"),
        manifest=data.manifest,
        root=data.root,
        encoder="tiny",
        encoders={"saved": str(tmp_path / "tiny.pt"), "drawn": "random"},
        video=1,
        num_frames=4,
        height=32,
        width=48,
        seed=3,
    )
    draw(config)
    sheet = np.asarray(Image.open(config.output))
    assert sheet.shape == (3 * 36 - 4, 2 * 52 - 4, 3)
    assert np.array_equal(sheet[36:68], sheet[72:104]), "the same weights, saved and drawn, give the same picture"
    blocks = sheet[36:68, :48].reshape(2, 16, 3, 16, 3).transpose(0, 2, 1, 3, 4).reshape(6, 256, 3)
    assert (blocks == blocks[:, :1]).all(), "one colour a token"
    assert len(np.unique(blocks[:, 0], axis=0)) > 1
    with pytest.raises(InputError, match="encoders is empty"):
        draw(FeaturePcaConfig(config.output, data.manifest, data.root))
    with pytest.raises(InputError, match=r"video=2, but .* has 2 videos: 0 … 1"):
        draw(FeaturePcaConfig(config.output, data.manifest, data.root, encoders={"a": "random"}, video=2))


def test_which_entry_of_a_file_is_seen(tmp_path: Path) -> None:
    """By default the moving average, as everywhere; random weights have no entries."""
    data = picture_data(tmp_path / "dojo", {"a": 8})
    weights = {}
    for seed, name in enumerate(("encoder", "target_encoder")):
        torch.manual_seed(seed)
        weights[name] = VideoEncoder(encoder_preset("tiny")).state_dict()
        torch.save(weights[name], tmp_path / f"{name}.pt")
    torch.save(weights, tmp_path / "both.pt")

    def drawn(file: str, **settings: Any) -> bytes:
        shape: dict[str, Any] = {"num_frames": 4, "height": 32, "width": 48, **settings}
        output, encoders = str(tmp_path / "pca.png"), {"a": str(tmp_path / file), "drawn": "random"}
        draw(FeaturePcaConfig(output, data.manifest, data.root, "tiny", encoders, **shape))
        return Path(output).read_bytes()

    early, average = drawn("encoder.pt"), drawn("target_encoder.pt")
    assert early != average
    assert drawn("both.pt") == drawn("both.pt", entry="target_encoder") == average
    assert drawn("both.pt", entry="encoder") == early
    with pytest.raises(CheckpointError, match="has no entry ema_encoder; it holds encoder, target_encoder"):
        drawn("both.pt", entry="ema_encoder")
    with pytest.raises(CheckpointError, match="one table of tensors and has no entries"):
        drawn("encoder.pt", entry="encoder")
    with pytest.raises(
        InputError, match="entry='teacher', but must be one of ema_encoder, target_encoder, encoder, or"
    ):
        drawn("both.pt", entry="teacher")


@pytest.mark.parametrize("settings", [{"num_frames": 8}, {"num_frames": 4, "start": 9}, {"num_frames": 2, "start": 99}])
def test_a_clip_that_reaches_beyond_its_video_is_refused_in_words(settings: dict[str, int], tmp_path: Path) -> None:
    data = picture_data(tmp_path / "dojo", {"a": 12})
    shape: dict[str, Any] = {"height": 32, "width": 48, **settings}
    config = FeaturePcaConfig(str(tmp_path / "pca.png"), data.manifest, data.root, "tiny", {"a": "random"}, **shape)
    with pytest.raises(VideoError, match=r"a has 12 pictures, but one at .*; take a shorter clip, let it begin"):
        draw(config)
    assert not Path(config.output).exists()
