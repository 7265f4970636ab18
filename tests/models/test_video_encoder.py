"""The video encoder: token order, masks, rectangles, recomputation, gradients, contract."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest
import torch
from torch import Tensor

from navsim_agents.errors import InputError
from navsim_agents.models.presets import ENCODER_PRESETS, encoder_preset
from navsim_agents.models.transformer import rotary_table, run_blocks
from navsim_agents.models.video_encoder import VideoEncoder, VideoEncoderConfig
from tests.models.plain_attention import with_plain_attention

BATCH, FRAMES, HEIGHT, WIDTH = 3, 4, 32, 64  # 2 x 2 x 4 = 16 tokens
NUM_TOKENS, TOKEN_WIDTH = 16, 40


def vivid(encoder: VideoEncoder) -> VideoEncoder:
    """Weights far from their start, so that attention is not uniform and biases count."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.15)
    return encoder


@pytest.fixture(scope="module")
def encoder() -> VideoEncoder:
    return vivid(VideoEncoder(encoder_preset("tiny"))).requires_grad_(False)


def random_clip(seed: int = 0, size: tuple[int, ...] = (BATCH, 3, FRAMES, HEIGHT, WIDTH)) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def random_ids(count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randperm(NUM_TOKENS, generator=generator)[:count] for _ in range(BATCH)])


def rows_of(tokens: Tensor, ids: Tensor) -> Tensor:
    return torch.stack([clip[kept] for clip, kept in zip(tokens, ids)])


def assert_close(actual: Tensor, expected: Tensor, atol: float = 2e-5) -> None:
    torch.testing.assert_close(actual, expected, atol=atol, rtol=0)


def test_one_normalised_token_per_tubelet(encoder: VideoEncoder) -> None:
    tokens = encoder(random_clip())
    assert tokens.shape == (BATCH, NUM_TOKENS, TOKEN_WIDTH)
    assert tokens.std() > 0.5


def test_patch_embedding_is_a_linear_map_of_each_tubelet_row_major(encoder: VideoEncoder) -> None:
    clip = random_clip()
    weight, bias = encoder.patch_embed.proj.weight, encoder.patch_embed.proj.bias
    tokens = encoder.patch_embed(clip)
    for token, (time, row, column) in {0: (0, 0, 0), 3: (0, 0, 3), 4: (0, 1, 0), 13: (1, 1, 1)}.items():
        tubelet = clip[:, :, 2 * time : 2 * time + 2, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
        assert_close(tokens[:, token], tubelet.flatten(1) @ weight.flatten(1).T + bias, atol=1e-4)


def test_clips_of_a_batch_do_not_meet(encoder: VideoEncoder) -> None:
    clip = random_clip()
    assert_close(encoder(clip)[1], encoder(clip[1:2])[0])


def test_fused_attention_equals_plain_attention(encoder: VideoEncoder) -> None:
    assert_close(encoder(random_clip()), with_plain_attention(encoder)(random_clip()))


def test_kept_tokens_attend_to_one_another_only() -> None:
    """Dropping tokens equals keeping them all with a score of -inf for those dropped."""
    encoder = vivid(VideoEncoder(encoder_preset("tiny"))).requires_grad_(False)
    clip, ids = random_clip()[:1], random_ids(6)[:1]
    blocked = torch.ones(NUM_TOKENS, dtype=torch.bool).index_fill(0, ids[0], False)
    slow = rows_of(with_plain_attention(encoder, blocked)(clip), ids)
    assert_close(encoder(clip, ids), slow)
    assert (slow - rows_of(encoder(clip), ids)).abs().max() > 0.1  # the others did matter


def test_keeping_every_token_in_another_order_only_reorders(encoder: VideoEncoder) -> None:
    clip, ids = random_clip(), random_ids(NUM_TOKENS)
    assert_close(encoder(clip, ids), rows_of(encoder(clip), ids))


def test_masks_in_a_list_are_encoded_one_after_another(encoder: VideoEncoder) -> None:
    clip, masks = random_clip(), [random_ids(5, seed) for seed in (1, 2)]
    together = encoder(clip, masks)
    assert together.shape == (2 * BATCH, 5, TOKEN_WIDTH)
    assert_close(together, torch.cat([encoder(clip, mask) for mask in masks]))


def test_kept_square_of_a_wide_clip_equals_the_square_clip(encoder: VideoEncoder) -> None:
    """Positions are true rows and columns: the width of the picture around a token does not enter."""
    clip = random_clip()
    left = torch.tensor([0, 1, 4, 5, 8, 9, 12, 13]).expand(BATCH, -1)  # two of four columns
    assert_close(encoder(clip, left), encoder(clip[..., :32]))


def test_positions_tell_equal_pictures_apart(encoder: VideoEncoder) -> None:
    """All patches are black but the first: what the others say of it depends on where they are."""
    clip = torch.zeros(1, 3, FRAMES, HEIGHT, WIDTH)
    clip[..., :2, :16, :16] = random_clip(size=(1, 3, 2, 16, 16))
    assert encoder.patch_embed(clip)[0, 1:].std(0).max() < 1e-5
    black = encoder(clip)[0, 1:]
    assert (torch.cdist(black, black) + torch.eye(NUM_TOKENS - 1)).min() > 1e-3


def test_recomputation_changes_neither_tokens_nor_gradients() -> None:
    stored = vivid(VideoEncoder(encoder_preset("tiny")))
    recomputed = VideoEncoder(encoder_preset("tiny", activation_checkpointing=True))
    recomputed.load_state_dict(stored.state_dict())
    outputs = [model(random_clip(), random_ids(6)) for model in (stored, recomputed)]
    assert torch.equal(*outputs)
    for output in outputs:
        output.square().mean().backward()
    for (name, first), second in zip(stored.named_parameters(), recomputed.parameters()):
        assert torch.equal(first.grad, second.grad), name


def test_recomputation_stores_less() -> None:
    encoder = VideoEncoder(encoder_preset("tiny"))
    tokens = random_clip(size=(2, 5, TOKEN_WIDTH)).requires_grad_()
    rotary = rotary_table(torch.zeros(1, 5, 3, dtype=torch.int64), encoder.config.head_width)

    def num_stored(recompute: bool) -> int:
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            run_blocks(encoder.blocks, tokens, rotary, recompute=recompute)
        return sum(sizes)

    assert num_stored(recompute=True) < num_stored(recompute=False) / 3


def test_gradients_equal_those_of_plain_attention() -> None:
    encoder = vivid(VideoEncoder(encoder_preset("tiny")))
    plain = with_plain_attention(encoder)
    for model in (encoder, plain):
        model(random_clip()).square().mean().backward()
    for (name, first), second in zip(encoder.named_parameters(), plain.parameters()):
        torch.testing.assert_close(first.grad, second.grad, atol=2e-5, rtol=1e-3, msg=name)


def test_every_parameter_gets_a_gradient() -> None:
    encoder = VideoEncoder(encoder_preset("tiny"))
    encoder(random_clip(), random_ids(7))[..., 0].sum().backward()
    silent = [name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


def test_autocast_stays_near_float32(encoder: VideoEncoder) -> None:
    expected = encoder(random_clip())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        tokens = encoder(random_clip())
    assert (tokens.float() - expected).abs().mean() < 0.05 * expected.abs().mean()


def test_start_is_a_truncated_normal_rescaled_by_depth() -> None:
    torch.manual_seed(0)
    config = VideoEncoderConfig(width=96, depth=3, num_heads=2, mlp_width=384)
    encoder = VideoEncoder(config)
    for number, block in enumerate(encoder.blocks, start=1):
        rescaled = 0.02 / (2 * number) ** 0.5
        assert block.attn.proj.weight.std().item() == pytest.approx(rescaled, rel=0.05)
        assert block.mlp.fc2.weight.std().item() == pytest.approx(rescaled, rel=0.05)
        assert block.attn.qkv.weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert block.mlp.fc1.bias.abs().max() == 0
    assert encoder.patch_embed.proj.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert torch.equal(encoder.norm.weight, torch.ones(96))


def test_names_are_those_of_vjepa_2() -> None:
    layers = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    block = [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    expected = ["patch_embed.proj.weight", "patch_embed.proj.bias"]
    expected += [f"blocks.{number}.{name}" for number in range(2) for name in block]
    assert list(VideoEncoder(encoder_preset("tiny")).state_dict()) == [*expected, "norm.weight", "norm.bias"]


# Tensors and numbers of V-JEPA 2's encoders; ViT-L's are those of the released checkpoint.
PUBLISHED = {"vit_l": (292, 303_885_312), "vit_h": (388, 631_648_000), "vit_g": (484, 1_012_173_952)}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name: str) -> None:
    with torch.device("meta"):
        tensors = VideoEncoder(encoder_preset(name)).state_dict().values()
    assert (len(tensors), sum(tensor.numel() for tensor in tensors)) == PUBLISHED[name]


def test_small_preset_is_small() -> None:
    with torch.device("meta"):
        encoder = VideoEncoder(encoder_preset("small"))
    assert 0.9e6 < sum(parameter.numel() for parameter in encoder.parameters()) < 1.1e6


def test_presets_refuse_an_unknown_name() -> None:
    with pytest.raises(InputError, match=r"no encoder preset is called 'vit_xl'; choose one of tiny, small, vit_s"):
        encoder_preset("vit_xl")


def test_presets_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        ENCODER_PRESETS["tiny"].depth = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_heads": 3}, r"width=40 is not a multiple of num_heads=3"),
        (
            {"num_heads": 8},
            r"heads of 5 channels; rotary positions .*: use an even number, 6 at least",
        ),
        ({"num_heads": 10}, r"heads of 4 channels"),
    ],
)
def test_heads_that_rotary_positions_cannot_turn_are_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(encoder_preset("tiny"), **change)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((1, 3, 3, 32, 64), r"3 frames of 32x64 px: frames 3 is not a multiple of 2; resize or sample"),
        ((1, 3, 2, 40, 64), r"height 40 is not a multiple of 16"),
        ((1, 3, 2, 32, 0), r"width 0 is not a multiple of 16"),
    ],
)
def test_clips_that_patches_do_not_tile_are_refused(encoder: VideoEncoder, size: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        encoder(torch.zeros(size))


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ([random_ids(5)[:2]], r"keep has shapes \[\(2, 5\)\] for 3 clips; each mask is \[3, K\]"),
        ([random_ids(5), random_ids(4)], r"masks of different lengths, shapes \[\(3, 5\), \(3, 4\)\]"),
        ([], r"keep has shapes \[\] for 3 clips"),
    ],
)
def test_masks_that_do_not_fit_are_refused(encoder: VideoEncoder, masks: list[Tensor], message: str) -> None:
    with pytest.raises(InputError, match=message):
        encoder(random_clip(), masks)
