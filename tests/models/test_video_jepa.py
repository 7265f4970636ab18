"""V-JEPA's objective: worked by hand, compared with a slow spelling, and its gradients where they belong."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from navsim_agents.errors import InputError
from navsim_agents.models.collapse import effective_rank, feature_std
from navsim_agents.models.masks import Masks
from navsim_agents.models.predictor import Predictor, PredictorConfig
from navsim_agents.models.presets import encoder_preset, predictor_preset
from navsim_agents.models.transformer import TokenGrid
from navsim_agents.models.video_jepa import VideoJepa, masked_l1
from tests.models.plain_attention import PlainAttention

GRID = TokenGrid(times=2, rows=3, columns=5)
SIZES = PredictorConfig(width=24, depth=2, num_heads=2, mlp_width=40, num_mask_tokens=3)
ENCODER_WIDTH = 14


def new_predictor(config: PredictorConfig = SIZES) -> Predictor:
    torch.manual_seed(0)
    predictor = Predictor(config, ENCODER_WIDTH)
    for parameter in predictor.parameters():
        torch.nn.init.normal_(parameter, std=0.5)  # far from the start, where attention is all but uniform
    return predictor.requires_grad_(False)


def ids(*rows: list[int]) -> Tensor:
    return torch.tensor(rows)


CONTEXT_IDS = ids([0, 7, 13, 29], [3, 4, 20, 22])
TARGET_IDS = ids([1, 2, 28], [0, 5, 21])


def test_loss_worked_by_hand() -> None:
    """Tokens 2 and 0 of the clip: |1 - 3|, |0 - 0|, |5 - 1|, |-1 - 0| over four numbers."""
    targets = torch.tensor([[[1.0, 0.0], [9.0, 9.0], [3.0, 0.0]]])
    predicted = torch.tensor([[[1.0, 0.0], [5.0, -1.0]]])
    assert masked_l1(predicted, targets, ids([2, 0])).item() == pytest.approx((2 + 0 + 4 + 1) / 4)


def test_targets_have_mean_0_and_variance_1_and_no_gradient() -> None:
    jepa = VideoJepa(encoder_preset("tiny"), predictor_preset("tiny"))
    targets = jepa.targets(torch.randn(2, 3, 4, 32, 48))
    assert targets.shape == (2, 2 * 2 * 3, 40)
    torch.testing.assert_close(targets.mean(-1), torch.zeros(2, 12), atol=1e-6, rtol=0)
    torch.testing.assert_close(targets.std(-1, unbiased=False), torch.ones(2, 12), atol=1e-3, rtol=0)
    assert not targets.requires_grad


def test_forward_is_encoder_then_predictor_then_l1_for_every_family() -> None:
    torch.manual_seed(1)
    jepa = VideoJepa(encoder_preset("tiny"), predictor_preset("tiny"))
    clip = torch.randint(256, (2, 3, 4, 48, 80), dtype=torch.uint8)
    families = [Masks(CONTEXT_IDS, TARGET_IDS), Masks(TARGET_IDS, CONTEXT_IDS)]
    losses, targets = jepa(clip, families)
    pixels = jepa.normalize(clip)
    for loss, (context, target) in zip(losses, families):
        predicted = jepa.predictor(jepa.encoder(pixels, keep=context), context, target, GRID)
        wanted = torch.stack([clip_targets[row] for clip_targets, row in zip(targets, target)])
        torch.testing.assert_close(loss, (predicted - wanted).abs().mean())


def test_every_trained_parameter_but_spare_mask_tokens_gets_a_gradient() -> None:
    jepa = VideoJepa(encoder_preset("tiny"), replace(predictor_preset("tiny"), num_mask_tokens=2))
    losses, _ = jepa(torch.randint(256, (2, 3, 4, 48, 80), dtype=torch.uint8), [Masks(CONTEXT_IDS, TARGET_IDS)])
    losses.mean().backward()
    without = {name for name, parameter in jepa.named_parameters() if parameter.grad is None}
    averages = {f"target_encoder.{name}" for name, _ in jepa.encoder.named_parameters()}
    assert without == averages | {"predictor.mask_tokens.1"}


def test_moving_average_worked_by_hand() -> None:
    jepa = VideoJepa(encoder_preset("tiny"), predictor_preset("tiny"))
    for parameter in jepa.encoder.parameters():
        parameter.data.fill_(3.0)
    for parameter in jepa.target_encoder.parameters():
        parameter.data.fill_(1.0)
    jepa.update_target(0.75)
    for parameter in jepa.target_encoder.parameters():
        torch.testing.assert_close(parameter, torch.full_like(parameter, 1.5))
    assert float(next(jepa.encoder.parameters()).detach().max()) == 3.0


def test_predictor_answers_in_the_order_of_the_targets_whatever_the_order_of_the_context() -> None:
    predictor, context = new_predictor(), torch.randn(2, 4, ENCODER_WIDTH)
    answer = predictor(context, CONTEXT_IDS, TARGET_IDS, GRID)
    assert answer.shape == (2, 3, ENCODER_WIDTH)
    turned = predictor(context, CONTEXT_IDS, TARGET_IDS.flip(1), GRID)
    torch.testing.assert_close(turned, answer.flip(1), atol=1e-5, rtol=0)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = predictor(context[:, order], CONTEXT_IDS[:, order], TARGET_IDS, GRID)
    torch.testing.assert_close(shuffled, answer, atol=1e-5, rtol=0)


def test_predictor_equals_plain_attention() -> None:
    predictor, context = new_predictor(), torch.randn(2, 4, ENCODER_WIDTH)
    plain = copy.deepcopy(predictor)
    for block in plain.predictor_blocks:
        block.attn.__class__ = PlainAttention
    torch.testing.assert_close(
        plain(context, CONTEXT_IDS, TARGET_IDS, GRID), predictor(context, CONTEXT_IDS, TARGET_IDS, GRID)
    )


def test_square_positions_read_an_id_on_a_square_grid() -> None:
    """Id 7 lies in row 1, column 2 of 3 x 5 patches, but in row 2, column 1 of 3 x 3."""
    true, square = new_predictor(), new_predictor(replace(SIZES, square_positions=True))
    assert true._position_grid(GRID).positions(torch.tensor([7])).tolist() == [[0, 1, 2]]
    assert square._position_grid(GRID).positions(torch.tensor([7])).tolist() == [[0, 2, 1]]
    context = torch.randn(2, 4, ENCODER_WIDTH)
    answers = [predictor(context, CONTEXT_IDS, TARGET_IDS, GRID) for predictor in (true, square)]
    assert float((answers[0] - answers[1]).abs().max()) > 1e-3
    on_square = TokenGrid(times=4, rows=3, columns=3)
    answers = [predictor(context, CONTEXT_IDS, TARGET_IDS, on_square) for predictor in (true, square)]
    torch.testing.assert_close(answers[0], answers[1])


def test_the_clip_length_chooses_the_mask_token() -> None:
    predictor, context = new_predictor(), torch.randn(2, 4, ENCODER_WIDTH)
    answers = [predictor(context, CONTEXT_IDS, TARGET_IDS, GRID, clip_length_group=group) for group in (0, 1, 3)]
    assert float((answers[0] - answers[1]).abs().max()) > 1e-3
    torch.testing.assert_close(answers[0], answers[2])


def test_recomputed_activations_change_no_gradient() -> None:
    gradients = []
    for recompute in (False, True):
        predictor = new_predictor(replace(SIZES, activation_checkpointing=recompute)).requires_grad_(True)
        torch.manual_seed(3)
        predictor(torch.randn(2, 4, ENCODER_WIDTH), CONTEXT_IDS, TARGET_IDS, GRID).square().sum().backward()
        gradients.append([parameter.grad for parameter in predictor.predictor_blocks.parameters()])
    for first, second in zip(*gradients):
        torch.testing.assert_close(first, second)


def test_predictor_names_are_vjepas_in_its_order() -> None:
    names = list(dict.fromkeys(name.split(".")[0] for name in new_predictor().state_dict()))
    assert names == ["predictor_embed", "mask_tokens", "predictor_blocks", "predictor_norm", "predictor_proj"]
    stock = Predictor(predictor_preset("stock"), 1024).state_dict()
    assert len(stock) == 2 + 10 + 12 * 12 + 2 + 2
    assert stock["mask_tokens.9"].shape == (1, 1, 384)


def test_impossible_predictors_are_refused() -> None:
    with pytest.raises(InputError, match=r"width=24 over num_heads=5 gives heads of 4 channels and 4 left over"):
        replace(SIZES, num_heads=5)
    with pytest.raises(InputError, match=r"num_mask_tokens=0"):
        replace(SIZES, num_mask_tokens=0)
    with pytest.raises(InputError, match=r"'huge'; choose one of tiny, small, stock"):
        predictor_preset("huge")


def test_spread_and_rank_worked_by_hand() -> None:
    """Channels 0, 2 and 1, 1 spread by 1 and 0; two equal orthogonal directions have rank 2."""
    assert feature_std(torch.tensor([[0.0, 1.0], [2.0, 1.0]])) == pytest.approx(0.5)
    assert effective_rank(torch.tensor([[0.0, 1.0], [2.0, 1.0]])) == pytest.approx(1.0)
    cross = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert effective_rank(cross + 5.0) == pytest.approx(2.0, abs=1e-5)
    assert effective_rank(torch.full((4, 3), 2.0)) == 0.0


def test_rank_follows_the_entropy_of_singular_values() -> None:
    """Singular values 3 : 1 have the entropy of the shares 3/4 and 1/4."""
    stretched = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert effective_rank(stretched) == pytest.approx(math.exp(entropy), abs=1e-5)
