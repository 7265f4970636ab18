"""Deformable attention against the obvious loop, by hand, and its gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from navsim_agents.models.deformable import Anchors, GridSelfAttention, PictureCrossAttention, sample_and_mix
from tests.models.planners import shake
from tests.models.slow_attention import slow_cross_attention, slow_self_attention

B, Q, WIDTH, HEADS, CAMERAS = 2, 15, 12, 3, 2
GRID = (5, 3)


def make_self_attention() -> GridSelfAttention:
    layer = GridSelfAttention(WIDTH, HEADS)
    shake(layer)
    return layer.double()


def self_inputs() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    queries, code = (torch.randn(*shape, WIDTH, generator=generator).double() for shape in ((B, Q), (Q,)))
    return queries, code, torch.rand(B, Q, 2, generator=generator).double() * 1.4 - 0.2


def make_cross_attention(*, skip: bool = True) -> PictureCrossAttention:
    layer = PictureCrossAttention(WIDTH, HEADS, skip_when_invisible=skip)
    shake(layer)
    return layer.double()


def cross_inputs() -> tuple[Tensor, Tensor, Anchors]:
    generator = torch.Generator().manual_seed(3)
    queries = torch.randn(B, Q, WIDTH, generator=generator).double()
    features = torch.randn(B, CAMERAS, 4, 7, WIDTH, generator=generator).double()
    references = torch.rand(B, CAMERAS, Q, 16, 2, generator=generator).double() * 1.4 - 0.2
    is_visible = torch.rand(B, CAMERAS, Q, generator=generator) < 0.6
    return queries, features, Anchors(references, is_visible)


def test_sampling_by_hand() -> None:
    values = torch.tensor([[10.0, 20.0], [30.0, 50.0]]).view(1, 2, 2, 1, 1)  # two rows, two columns
    centres = torch.tensor([[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.5, 0.75], [0.5, 0.5], [-0.5, 0.5]])
    each = [sample_and_mix(values, point.view(1, 1, 1, 1, 2), torch.ones(1, 1, 1, 1)).item() for point in centres]
    assert each == pytest.approx([10.0, 20.0, 30.0, 40.0, 27.5, 0.0])
    mixed = sample_and_mix(values, centres[:2].view(1, 1, 1, 2, 2), torch.tensor([0.25, 0.75]).view(1, 1, 1, 2))
    assert mixed.item() == pytest.approx(17.5)


def test_self_attention_equals_the_loop() -> None:
    layer, (queries, code, references) = make_self_attention(), self_inputs()
    slow = torch.stack([slow_self_attention(layer, queries[i], code, references[i], GRID) for i in range(B)])
    torch.testing.assert_close(layer(queries, code, references, GRID), slow, rtol=0, atol=1e-10)
    single = layer.float()(queries.float(), code.float(), references.float(), GRID)
    torch.testing.assert_close(single.double(), slow, rtol=0, atol=1e-5)


@pytest.mark.parametrize("skip", [True, False])
def test_cross_attention_equals_the_loop(skip: bool) -> None:
    layer, (queries, features, anchors) = make_cross_attention(skip=skip), cross_inputs()
    is_visible = anchors.is_visible.clone()
    is_visible[1] = False  # nothing is seen in the second scene
    anchors = Anchors(anchors.references, is_visible)
    slow = torch.stack(
        [slow_cross_attention(layer, queries[i], features[i], anchors.references[i], is_visible[i]) for i in range(B)]
    )
    torch.testing.assert_close(layer(queries, features, anchors), slow, rtol=0, atol=1e-10)
    assert bool((slow[1] == 0).all()) is skip
    single = layer.float()(queries.float(), features.float(), Anchors(anchors.references.float(), is_visible))
    torch.testing.assert_close(single.double(), slow, rtol=0, atol=1e-5)


def test_an_unseen_query_of_a_seen_scene_gets_the_bias() -> None:
    layer, (queries, features, anchors) = make_cross_attention(), cross_inputs()
    is_visible = torch.ones_like(anchors.is_visible)
    is_visible[:, :, 4] = False
    added = layer(queries, features, Anchors(anchors.references, is_visible))
    torch.testing.assert_close(added[:, 4], layer.output_proj.bias.expand(B, -1))
    assert (added[:, 5] - layer.output_proj.bias).abs().max() > 1e-3


def test_gradients_of_self_attention() -> None:
    layer, (queries, code, references) = make_self_attention(), self_inputs()
    inputs = (queries[:1].requires_grad_(), code.requires_grad_(), references[:1])
    assert torch.autograd.gradcheck(lambda *three: layer(*three, GRID), inputs, fast_mode=True)


def test_gradients_of_cross_attention() -> None:
    layer, (queries, features, anchors) = make_cross_attention(), cross_inputs()
    inputs = (queries.requires_grad_(), features.requires_grad_())
    assert torch.autograd.gradcheck(lambda *both: layer(*both, anchors), inputs, fast_mode=True)


def test_gradients_of_weights() -> None:
    layer, (queries, features, anchors) = make_cross_attention(), cross_inputs()
    names = [name for name, _ in layer.named_parameters()]

    def answer(*weights: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(zip(names, weights)), (queries, features, anchors))

    assert torch.autograd.gradcheck(answer, tuple(layer.parameters()), fast_mode=True)


def test_a_head_starts_in_its_own_direction() -> None:
    layer = PictureCrossAttention(16, 4, skip_when_invisible=True)
    ring = layer.sampling_offsets.bias.view(4, 16, 2)
    expected = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    torch.testing.assert_close(ring[:, 0], expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(ring[:, 15], 16 * expected, rtol=0, atol=1e-5)
    diagonal = PictureCrossAttention(16, 8, skip_when_invisible=True).sampling_offsets.bias.view(8, 16, 2)[1, 0]
    torch.testing.assert_close(diagonal, torch.ones(2))  # on the square, not on the circle
    assert layer.sampling_offsets.weight.abs().max() == 0
    assert math.isclose(layer.value_proj.bias.abs().max().item(), 0)
