"""Files of timm's weights that were made for another size of picture, against timm's own resampling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed
from timm.models.vision_transformer import checkpoint_filter_fn

from navsim_agents.errors import CheckpointError
from navsim_agents.models.config import TRANSFORMERS, PositionReading
from navsim_agents.models.encoders import build_encoder, load_encoder, load_pretrained
from navsim_agents.models.pictures import PixelNormalize
from navsim_agents.models.timm_positions import resampled
from navsim_agents.models.timm_weights import create_timm_model, load_timm_weights

NAME = "test_vit"  # timm's own tiny transformer: 160 px, patch 16, so 10 x 10 patches behind a class token
SIZE, GRID = (32, 64), (2, 4)
# With a class token; with registers beside it.
TINY = [name for name in ("test_vit", "test_vit3") if timm.is_model(name)]


def native(name: str = NAME, **settings: Any) -> Any:
    """A network with its head at the size it was published at, or another; every table is random."""
    torch.manual_seed(3)
    network = create_timm_model(name, pretrained=False, **settings).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network


def saved(network: Any, path: Path) -> Path:
    torch.save(network.state_dict(), path)
    return path


def loaded(path: Path, size: tuple[int, int] = SIZE, *how: Any, name: str = NAME) -> Any:
    encoder = build_encoder(f"timm:{name}", size).eval()
    load_pretrained(encoder, path, None, PositionReading(*how))
    return encoder


@pytest.mark.parametrize("name", TINY)
def test_tokens_are_those_of_timm_s_own_reading(name: str, tmp_path: Path) -> None:
    whole = native(name)
    encoder = loaded(saved(whole, tmp_path / "vit.pth"), name=name)
    theirs = create_timm_model(name, pretrained=False, img_size=SIZE).eval()
    theirs.load_state_dict(checkpoint_filter_fn(dict(whole.state_dict()), theirs))
    torch.testing.assert_close(encoder.network.pos_embed, theirs.pos_embed)
    clip = torch.randint(0, 256, (2, 3, 2, *SIZE), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    mean, std = (torch.tensor(theirs.pretrained_cfg[key]).view(3, 1, 1) for key in ("mean", "std"))
    with torch.no_grad():
        frames = [theirs.forward_features((clip[:, :, time] / 255 - mean) / std) for time in (0, 1)]
        tokens = encoder(PixelNormalize()(clip))
    patches = torch.cat([frame[:, theirs.num_prefix_tokens :] for frame in frames], dim=-1)
    torch.testing.assert_close(tokens, patches, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("how", "antialias"), [((), True), ((TRANSFORMERS,), False)])
def test_the_two_ways_differ_by_antialiasing(how: Any, antialias: bool, tmp_path: Path) -> None:
    whole = native()
    found = loaded(saved(whole, tmp_path / "vit.pth"), SIZE, *how).network.pos_embed
    ways = [
        resample_abs_pos_embed(whole.pos_embed, list(GRID), num_prefix_tokens=1, antialias=its) for its in (True, False)
    ]
    torch.testing.assert_close(found, ways[not antialias])
    assert (ways[0] - ways[1]).abs().max() > 0.01
    assert torch.equal(found[:, :1], whole.pos_embed[:, :1])  # the class token's


def test_what_was_done_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = saved(native(), tmp_path / "vit.pth")
    encoder = build_encoder(f"timm:{NAME}", SIZE)
    with caplog.at_level("INFO"):
        said = load_pretrained(encoder, path)
    words = "its positions resampled from 10 x 10 to 2 x 4 patches as timm does (bicubic, with antialiasing)"
    assert said == f"the whole file {path}, {words}"
    assert f"{path}: {words}" in caplog.text
    said = load_pretrained(encoder, path, None, PositionReading(TRANSFORMERS))
    assert said.endswith("as transformers does (bicubic, without antialiasing)")
    again = saved(encoder.network, tmp_path / "resampled.pth")
    assert load_pretrained(encoder, again) == f"the whole file {again}"


@pytest.mark.parametrize(("old", "new"), [((2, 8), (4, 4)), ((2, 8), (3, 5)), ((3, 3), (2, 8)), ((3, 2), (2, 3))])
@pytest.mark.parametrize("is_antialiased", [True, False])
def test_any_grid_becomes_any_other_as_timm_makes_it(old: Any, new: Any, is_antialiased: bool) -> None:
    table = torch.randn(1, 5 + old[0] * old[1], 6, generator=torch.Generator().manual_seed(2))
    theirs = resample_abs_pos_embed(table, list(new), list(old), num_prefix_tokens=5, antialias=is_antialiased)
    torch.testing.assert_close(resampled(table, 5, old, new, is_antialiased=is_antialiased), theirs)
    half = resampled(table.half(), 5, old, new, is_antialiased=is_antialiased)
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), theirs, rtol=0, atol=5e-3)


def test_a_grid_that_is_told_is_taken(tmp_path: Path) -> None:
    wide = native(img_size=(32, 128))  # 2 x 8, as many as 4 x 4
    path = saved(wide, tmp_path / "wide.pth")
    theirs = resample_abs_pos_embed(wide.pos_embed[:, 1:], [3, 4], [2, 8], num_prefix_tokens=0)
    torch.testing.assert_close(loaded(path, (48, 64), "timm", (2, 8)).network.pos_embed[:, 1:], theirs)
    assert torch.equal(loaded(path, (32, 128), "timm", (2, 8)).network.pos_embed, wide.pos_embed)
    with pytest.raises(
        CheckpointError, match=r"file_grid=\[3, 3\] are 9 patches, but its table holds positions of 16;"
    ):
        loaded(path, (48, 64), "timm", (3, 3))


def test_a_grid_that_cannot_be_guessed_is_asked_for(tmp_path: Path) -> None:
    oblong = saved(native(img_size=(32, 64)), tmp_path / "oblong.pth")
    with pytest.raises(CheckpointError, match=r"positions of 8 patches, which is of no square; .*file_grid=\["):
        loaded(oblong, (48, 64))
    square = native(img_size=(64, 64))
    path = saved(square, tmp_path / "square.pth")
    with pytest.raises(CheckpointError, match=r"16 patches, which may be of 4 x 4 or of 2 x 8; say the grid"):
        loaded(path, (32, 128))
    theirs = resample_abs_pos_embed(square.pos_embed[:, 1:], [2, 8], [4, 4], num_prefix_tokens=0)
    torch.testing.assert_close(loaded(path, (32, 128), "timm", (4, 4)).network.pos_embed[:, 1:], theirs)
    assert torch.equal(loaded(path, (64, 64)).network.pos_embed, square.pos_embed)


def test_another_network_s_file_is_refused_as_before(tmp_path: Path) -> None:
    path = saved(native("vit_tiny_patch16_224", depth=2), tmp_path / "vit.pth")
    with pytest.raises(CheckpointError, match=r"does not fit the network: .*missing.*of another shape.*this very"):
        loaded(path)


def test_files_as_the_hub_and_as_meta_have_them(tmp_path: Path) -> None:
    whole = native()
    weights = {name: value.detach().clone() for name, value in whole.state_dict().items()}
    hub = tmp_path / "hub"
    hub.mkdir()
    save_file(weights, hub / "model.safetensors")
    torch.save({**weights, "mask_token": torch.zeros(1, 64)}, tmp_path / "meta.pth")
    torch.save({"model": weights}, tmp_path / "nested.pth")
    tables = [loaded(path).network.pos_embed for path in (hub, tmp_path / "meta.pth", tmp_path / "nested.pth")]
    assert torch.equal(tables[0], tables[1])
    assert torch.equal(tables[0], tables[2])
    from_hub: Any = load_encoder(f"timm:{NAME}", hub, image_size=SIZE, positions=PositionReading(TRANSFORMERS))
    assert not torch.equal(from_hub.network.pos_embed, tables[0])


# Made small: what matters of DINOv2, DINOv3 and SigLIP 2 is which tokens, tables and heads they have.
SMALLER = {"depth": 1, "embed_dim": 48, "num_heads": 3}
FIELD = [
    ("vit_small_patch14_dinov2", (28, 56)),
    ("vit_small_patch14_reg4_dinov2", (28, 56)),
    ("vit_small_patch16_dinov3", (32, 64)),
    ("vit_base_patch16_siglip_256.v2_webli", (32, 64)),
]


@pytest.mark.parametrize(("name", "size"), [case for case in FIELD if timm.is_model(case[0])])
def test_encoders_of_the_field_load_at_their_own_size(name: str, size: tuple[int, int], tmp_path: Path) -> None:
    whole = native(name, **SMALLER)
    path = saved(whole, tmp_path / "native.pth")
    network = create_timm_model(name, pretrained=False, num_classes=0, global_pool="", img_size=size, **SMALLER).eval()
    done = load_timm_weights(network, path)
    has_table = getattr(whole, "pos_embed", None) is not None
    assert has_table == ("dinov3" not in name) == bool(done)
    pictures = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(4))
    theirs = create_timm_model(name, pretrained=False, img_size=size, **SMALLER).eval()
    weights = dict(whole.state_dict())
    theirs.load_state_dict(checkpoint_filter_fn(weights, theirs) if has_table else weights)
    with torch.no_grad():
        torch.testing.assert_close(network.forward_features(pictures), theirs.forward_features(pictures))
