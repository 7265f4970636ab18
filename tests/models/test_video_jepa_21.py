"""V-JEPA 2.1's objective: distances and losses by hand, the whole of it spelt out, gradients where they belong."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from navsim_agents.errors import InputError
from navsim_agents.models.masks import Masks
from navsim_agents.models.predictor_21 import Predictor21Config
from navsim_agents.models.presets import encoder_preset
from navsim_agents.models.transformer import TokenGrid
from navsim_agents.models.video_jepa_21 import VideoJepa21, nearest_masked, seen_l1

GRID = TokenGrid(times=2, rows=3, columns=5)
SIZES = Predictor21Config(width=24, depth=2, num_heads=2, mlp_width=40, num_mask_tokens=2)
WIDTH, LEVELS = 40, 4
CLIP = (2, 3, 4, 48, 80)
CONTEXT_IDS = torch.tensor([[0, 7, 13, 29], [3, 4, 20, 22]])
TARGET_IDS = torch.tensor([[1, 2, 28], [0, 5, 21]])


def new_jepa(seed: int = 1) -> VideoJepa21:
    torch.manual_seed(seed)
    jepa = VideoJepa21(encoder_preset("vjepa21_tiny", num_levels=LEVELS), SIZES)
    with torch.no_grad():
        for parameter in jepa.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.1)
    return jepa


def random_clip() -> Tensor:
    return torch.randint(256, CLIP, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_distances_by_hand() -> None:
    """First clip: (0, 0, 0) and (0, 0, 1), (0, 1, 2) and (0, 0, 2), (0, 2, 3) and (1, 2, 3), (1, 2, 4) and (1, 2, 3).

    Second clip: from (0, 0, 3) and from (0, 0, 4) it is 3 and 4 to (0, 0, 0), but less to (1, 1, 1): √(1 + 1 + 2²) and
    √(1 + 1 + 3²); (1, 1, 0) and (1, 1, 2) lie beside (1, 1, 1).
    """
    found = nearest_masked(GRID, CONTEXT_IDS, TARGET_IDS)
    torch.testing.assert_close(found, torch.tensor([[1.0, 1.0, 1.0, 1.0], [6.0**0.5, 11.0**0.5, 1.0, 1.0]]))


def test_distances_equal_an_obvious_loop() -> None:
    grid = TokenGrid(times=4, rows=16, columns=32)  # for so many points torch multiplies matrices
    order = torch.randperm(grid.num_tokens, generator=torch.Generator().manual_seed(0))
    context, target = order[None, :40], order[None, 40:100]
    expected = []
    for token in context[0].tolist():
        at = (token // 512, token % 512 // 32, token % 32)
        others = [(other // 512, other % 512 // 32, other % 32) for other in target[0].tolist()]
        expected.append(min(math.dist(at, other) for other in others))
    torch.testing.assert_close(nearest_masked(grid, context, target), torch.tensor([expected]), atol=1e-6, rtol=1e-6)


def test_loss_of_visible_tokens_by_hand() -> None:
    """Token 2: (|1 - 3| + 0) / 2 = 1 at distance 4; token 0: (|5 - 1| + |-1 - 0|) / 2 = 2.5 at distance 1."""
    targets = torch.tensor([[[1.0, 0.0], [9.0, 9.0], [3.0, 0.0]]])
    features, ids = torch.tensor([[[1.0, 0.0], [5.0, -1.0]]]), torch.tensor([[2, 0]])
    assert seen_l1(features, targets, ids, None).item() == pytest.approx((1 + 2.5) / 2)
    assert seen_l1(features, targets, ids, torch.tensor([[4.0, 1.0]])).item() == pytest.approx((1 / 2 + 2.5) / 2)


def test_each_level_of_a_target_has_mean_0_and_variance_1() -> None:
    targets = new_jepa().targets(torch.randn(CLIP)).unflatten(-1, (LEVELS, WIDTH))
    assert targets.shape == (2, GRID.num_tokens, LEVELS, WIDTH)
    torch.testing.assert_close(targets.mean(-1), torch.zeros(2, 30, LEVELS), atol=1e-6, rtol=0)
    torch.testing.assert_close(targets.std(-1, unbiased=False), torch.ones(2, 30, LEVELS), atol=1e-3, rtol=0)
    assert not targets.requires_grad


@pytest.mark.parametrize("weighs_distance", [True, False])
def test_forward_spelt_out(weighs_distance: bool) -> None:
    jepa, clip = new_jepa(), random_clip()
    jepa.context_weight, jepa.weighs_distance = 0.3, weighs_distance
    families = [Masks(CONTEXT_IDS, TARGET_IDS), Masks(TARGET_IDS, CONTEXT_IDS)]
    losses, targets = jepa(clip, families)
    pixels = jepa.normalize(clip)
    for loss, (context, target) in zip(losses, families):
        answer = jepa.predictor(jepa.encoder(pixels, keep=context), context, target, GRID)
        distances = nearest_masked(GRID, context, target)
        seen, guessed = 0.0, 0.0
        for number in range(2):
            for place, token in enumerate([*context[number].tolist(), *target[number].tolist()]):
                gap = (answer[number, place] - targets[number, token]).abs().mean()
                if place < context.shape[1]:
                    seen += gap / (distances[number, place].sqrt() if weighs_distance else 1.0) / context.numel()
                else:
                    guessed += gap / target.numel()
        torch.testing.assert_close(loss, guessed + 0.3 * seen)


def test_context_is_answered_in_its_own_order() -> None:
    jepa, context = new_jepa().requires_grad_(False), torch.randn(2, 4, LEVELS * WIDTH)
    answer = jepa.predictor(context, CONTEXT_IDS, TARGET_IDS, GRID)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = jepa.predictor(context[:, order], CONTEXT_IDS[:, order], TARGET_IDS.flip(1), GRID)
    assert answer.shape == (2, 4 + 3, LEVELS * WIDTH)
    torch.testing.assert_close(shuffled[:, :4], answer[:, order], atol=1e-5, rtol=0)
    torch.testing.assert_close(shuffled[:, 4:], answer[:, 4:].flip(1), atol=1e-5, rtol=0)


def test_every_trained_parameter_gets_a_gradient_though_the_weight_is_zero() -> None:
    """At first nothing is learnt of visible tokens, but several processes wait for the same parameters at each step."""
    jepa = new_jepa()
    losses, _ = jepa(random_clip(), [Masks(CONTEXT_IDS, TARGET_IDS)])
    losses.mean().backward()
    without = {name for name, parameter in jepa.named_parameters() if parameter.grad is None}
    idle = {f"encoder.{name}" for name in ("patch_embed_img.proj.weight", "patch_embed_img.proj.bias", "img_mod_embed")}
    averages = {f"target_encoder.{name}" for name, _ in jepa.encoder.named_parameters()}
    assert without == averages | idle | {"predictor.mask_tokens.1", "predictor.img_mod_embed"}
    assert jepa.predictor.predictor_proj_context.weight.grad.abs().max() == 0
    assert jepa.predictor.predictor_proj.weight.grad.abs().max() > 0


def test_predictor_names_are_vjepa_2_1s_in_its_order() -> None:
    predictor = replace(SIZES, width=384, depth=24, num_heads=12, mlp_width=1536, num_mask_tokens=8).build(64)
    names = list(dict.fromkeys(name.split(".")[0] for name, _ in predictor.named_parameters()))
    assert names == [
        *("video_mod_embed", "img_mod_embed", "predictor_embed", "mask_tokens", "predictor_blocks", "predictor_norm"),
        *("predictor_proj", "predictor_proj_context"),
    ]
    shapes = {name: tuple(tensor.shape) for name, tensor in predictor.state_dict().items()}
    assert (shapes["predictor_embed.0.weight"], shapes["predictor_embed.2.weight"]) == ((64, 256), (384, 64))
    assert (shapes["predictor_proj.weight"], shapes["predictor_proj_context.weight"]) == ((256, 384), (256, 384))
    assert shapes["mask_tokens.7"] == (1, 1, 384)


def test_multiplications_in_and_out_by_hand() -> None:
    """4 tokens in: 4·40·40 + 40·24 each; 7 tokens out: 24·160 each."""
    assert SIZES.joint_products(40, 4, 3) == 4 * (6400 + 960) + 7 * 3840


@pytest.mark.parametrize(("preset", "levels"), [("tiny", 1), ("vjepa21_tiny", 1)])
def test_encoders_without_four_levels_are_refused(preset: str, levels: int) -> None:
    with pytest.raises(
        InputError, match=r"learns 4 levels, which an encoder of V-JEPA 2.* with 1 has not; set model\.enc"
    ):
        VideoJepa21(encoder_preset(preset, num_levels=levels), SIZES)
