"""One refinement stage: order of its layers, its gradients, and where its queries look."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from navsim_agents.models.config import Quirks
from navsim_agents.models.deformable import PADDED_PICTURE, Anchors, PictureRegion, find_anchors, pillar_points
from navsim_agents.models.refiner import Refiner, WaypointAttention, normalised_mlp
from tests.models.planners import CONFIG, QUIRKS, camera_from_ego, shake

REGION = PictureRegion(0.0, 28.0, 1920.0, 1024.0)


def make_attention(**changes: object) -> WaypointAttention:
    layer = WaypointAttention(replace(CONFIG, **changes), QUIRKS)
    shake(layer)
    return layer.double()


def attention_inputs() -> tuple[Tensor, Tensor, Tensor, Tensor, Anchors]:
    generator = torch.Generator().manual_seed(4)
    queries = torch.randn(2, 5, 3, 24, generator=generator).double()
    code = torch.randn(5, 3, 24, generator=generator).double()
    references = torch.rand(2, 5, 3, 2, generator=generator).double()
    features = torch.randn(2, 1, 4, 7, 24, generator=generator).double()
    anchors = Anchors(
        torch.rand(2, 1, 15, 16, 2, generator=generator).double(), torch.rand(2, 1, 15, generator=generator) < 0.7
    )
    return queries, code, references, features, anchors


def test_layers_follow_one_another_and_are_normed_after() -> None:
    layer, (queries, code, references, features, anchors) = make_attention(), attention_inputs()
    rows = queries.flatten(1, 2)
    rows = layer.norms[0](rows + layer.self_attention(rows, code.flatten(0, 1), references.flatten(1, 2), (5, 3)))
    rows = layer.norms[1](rows + layer.cross_attention(rows, features, anchors))
    hidden = (rows @ layer.ffn[0].weight.T + layer.ffn[0].bias).clamp(min=0)
    rows = layer.norms[2](rows + hidden @ layer.ffn[3].weight.T + layer.ffn[3].bias)
    answer = layer(queries, code, references, features, anchors)
    torch.testing.assert_close(answer, rows.unflatten(1, (5, 3)))


def test_gradients() -> None:
    layer, (queries, code, references, features, anchors) = make_attention(), attention_inputs()
    inputs = (queries.requires_grad_(), code.requires_grad_(), features.requires_grad_())
    assert torch.autograd.gradcheck(
        lambda q, c, f: layer(q, c, references, f, anchors), inputs, fast_mode=True, atol=1e-6
    )


def test_dropout_is_active_in_training_alone() -> None:
    layer, inputs = make_attention(dropout=0.5), attention_inputs()
    assert not torch.equal(layer(*inputs), layer(*inputs))
    layer.eval()
    assert torch.equal(layer(*inputs), layer(*inputs))


def test_queries_look_where_their_proposals_are() -> None:
    """The refiner hands its attention the anchors and the places on the grid of its own, unwrapped, proposals."""
    torch.manual_seed(0)
    refiner = Refiner(CONFIG, REGION, QUIRKS, 3)
    seen: list[tuple] = []

    class Spy(nn.Module):
        def forward(self, *inputs: object) -> object:
            seen.append(inputs)
            return inputs[0]

    refiner.attention = Spy()
    queries, features = torch.randn(2, 5, 3, 24), torch.randn(2, 1, 4, 7, 24)
    projections = torch.stack((camera_from_ego(0.0), camera_from_ego(0.5))).unsqueeze(1)
    proposals, _ = refiner(queries, features, projections)
    ((_, _, references, _, anchors),) = seen
    torch.testing.assert_close(references, (proposals[..., :2] + 32) / 64)
    expected = find_anchors(pillar_points(proposals.flatten(1, 2), tiled=True), projections, PADDED_PICTURE)
    torch.testing.assert_close(anchors.references, expected.references)
    assert not references.requires_grad


def test_reference_picture_is_padded_where_asked_for() -> None:
    assert Refiner(CONFIG, REGION, Quirks(padded_reference_picture=True), 3).region == PADDED_PICTURE
    assert Refiner(CONFIG, REGION, Quirks(), 3).region == REGION


def test_heads_are_three_linear_layers_with_norms() -> None:
    kinds = [type(layer) for layer in normalised_mlp(4, 6, 3)]
    assert kinds == [nn.Linear, nn.LayerNorm, nn.ReLU, nn.Linear, nn.LayerNorm, nn.ReLU, nn.Linear]
