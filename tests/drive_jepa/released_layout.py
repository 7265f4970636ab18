"""Names and shapes in the released perception-based checkpoints, spelt out by their layout."""

from __future__ import annotations

from dataclasses import dataclass

Shapes = dict[str, tuple[int, ...]]

ROOT = "agent._pad_model."
NUM_STAGES = 4


@dataclass(frozen=True)
class Sizes:
    dim: int = 256
    ffn: int = 1024
    heads: int = 8
    proposals: int = 32
    poses: int = 8


def linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def mlp(name: str, sizes: Sizes, outputs: int) -> Shapes:
    """Linear, norm, ReLU, linear, norm, ReLU, linear."""
    return {
        **linear(f"{name}.mlp.0", sizes.dim, sizes.ffn),
        **norm(f"{name}.mlp.1", sizes.ffn),
        **linear(f"{name}.mlp.3", sizes.ffn, sizes.ffn),
        **norm(f"{name}.mlp.4", sizes.ffn),
        **linear(f"{name}.mlp.6", sizes.ffn, outputs),
    }


def stage(sizes: Sizes) -> Shapes:
    """One copy of the refiner: 42 tensors, 4 of which are constants."""
    queries, decoder = sizes.proposals * sizes.poses, "Bev_refiner.bev_decoder"
    layer = f"{decoder}.layers.0"
    own, cross = f"{layer}.attentions.0", f"{layer}.attentions.1"
    return {
        "Bev_refiner.positional_encoding.row_embed.weight": (sizes.proposals, sizes.dim // 2),
        "Bev_refiner.positional_encoding.col_embed.weight": (sizes.poses, sizes.dim // 2),
        f"{decoder}.reference_points": (4, 1, queries, 4),
        f"{decoder}.ref_3d": (1, 4, queries, 3),
        f"{decoder}.hybird_ref_2d": (2, queries, 1, 2),
        f"{decoder}.ref_2d": (1, queries, 1, 2),
        **linear(f"{own}.sampling_offsets", 2 * sizes.dim, sizes.heads * 2 * 4 * 2),
        **linear(f"{own}.attention_weights", 2 * sizes.dim, sizes.heads * 2 * 4),
        **linear(f"{own}.value_proj", sizes.dim, sizes.dim),
        **linear(f"{own}.output_proj", sizes.dim, sizes.dim),
        **linear(f"{cross}.deformable_attention.sampling_offsets", sizes.dim, sizes.heads * 16 * 2),
        **linear(f"{cross}.deformable_attention.attention_weights", sizes.dim, sizes.heads * 16),
        **linear(f"{cross}.deformable_attention.value_proj", sizes.dim, sizes.dim),
        **linear(f"{cross}.output_proj", sizes.dim, sizes.dim),
        **linear(f"{layer}.ffns.0.layers.0.0", sizes.dim, sizes.ffn),
        **linear(f"{layer}.ffns.0.layers.1", sizes.ffn, sizes.dim),
        **{name: shape for i in range(3) for name, shape in norm(f"{layer}.norms.{i}", sizes.dim).items()},
        **mlp("traj_decoder", sizes, 3),
    }


def planner(sizes: Sizes, num_stages: int = NUM_STAGES) -> Shapes:
    """Everything but the backbone."""
    steps = 5 * sizes.poses
    shapes = {
        **linear("hist_encoding", 11, sizes.dim),
        "init_feature.weight": (sizes.proposals * sizes.poses, sizes.dim),
        **mlp("scorer.pred_score", sizes, 6),
        **mlp("scorer.pred_col_agent", sizes, 2 * steps * 9),
        **mlp("scorer.pred_area", sizes, 5 * 2),
    }
    for number in range(num_stages):
        shapes.update({f"_trajectory_head.{number}.{name}": shape for name, shape in stage(sizes).items()})
    return {ROOT + name: shape for name, shape in shapes.items()}


def vit(sizes: Sizes, width: int = 1024, depth: int = 24) -> Shapes:
    """Video encoder and projector."""
    shapes = {"patch_embed.proj.weight": (width, 3, 2, 16, 16), "patch_embed.proj.bias": (width,)}
    for index in range(depth):
        block = f"blocks.{index}"
        shapes.update(norm(f"{block}.norm1", width) | norm(f"{block}.norm2", width))
        shapes.update(linear(f"{block}.attn.qkv", width, 3 * width) | linear(f"{block}.attn.proj", width, width))
        shapes.update(linear(f"{block}.mlp.fc1", width, 4 * width) | linear(f"{block}.mlp.fc2", 4 * width, width))
    shapes.update(norm("norm", width))
    encoder = {f"{ROOT}_backbone.img_backbone.{name}": shape for name, shape in shapes.items()}
    return encoder | linear(f"{ROOT}_backbone.projector", width, sizes.dim)


def batch_norm(name: str, width: int) -> Shapes:
    per_channel = {f"{name}.{leaf}": (width,) for leaf in ("weight", "bias", "running_mean", "running_var")}
    return per_channel | {f"{name}.num_batches_tracked": ()}


def resnet34(sizes: Sizes) -> Shapes:
    """ResNet34 without a classifier, one pyramid level, codes of cameras and levels."""
    shapes: Shapes = {"conv1.weight": (64, 3, 7, 7), **batch_norm("bn1", 64)}
    inputs = 64
    for layer, (num_blocks, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512)), start=1):
        for index in range(num_blocks):
            block = f"layer{layer}.{index}"
            shapes[f"{block}.conv1.weight"] = (width, inputs, 3, 3)
            shapes[f"{block}.conv2.weight"] = (width, width, 3, 3)
            shapes.update(batch_norm(f"{block}.bn1", width) | batch_norm(f"{block}.bn2", width))
            if inputs != width:
                shapes[f"{block}.downsample.0.weight"] = (width, inputs, 1, 1)
                shapes.update(batch_norm(f"{block}.downsample.1", width))
            inputs = width
    backbone = {f"img_backbone.{name}": shape for name, shape in shapes.items()}
    backbone["img_neck.lateral_convs.0.conv.weight"] = (sizes.dim, 512, 1, 1)
    backbone["img_neck.lateral_convs.0.conv.bias"] = (sizes.dim,)
    backbone["img_neck.fpn_convs.0.conv.weight"] = (sizes.dim, sizes.dim, 3, 3)
    backbone["img_neck.fpn_convs.0.conv.bias"] = (sizes.dim,)
    backbone["level_embeds"] = (2, sizes.dim)
    backbone["cams_embeds"] = (4, sizes.dim)
    return {f"{ROOT}_backbone.{name}": shape for name, shape in backbone.items()}
