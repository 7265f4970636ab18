"""V-JEPA 2.1's encoder: positions and angles by hand, the whole of it by another, slow writing, its files."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from navsim_agents.errors import CheckpointError, InputError
from navsim_agents.models.checkpoint import load_encoder_weights
from navsim_agents.models.encoders import load_encoder
from navsim_agents.models.perception_free import PerceptionFreePlanner, PlannerConfig
from navsim_agents.models.picture_backbone import FrontVideoBackbone
from navsim_agents.models.pictures import GridMask
from navsim_agents.models.presets import encoder_preset
from navsim_agents.models.transformer import TokenGrid, rotary_table, rotate
from navsim_agents.models.video_encoder import VideoEncoder
from navsim_agents.models.video_encoder_21 import VideoEncoder21, VideoEncoder21Config, spread_positions

BATCH, WIDTH, HEADS, HEAD_WIDTH, PART = 2, 40, 2, 20, 6


def new_encoder(seed: int = 0, num_levels: int = 1, preset: str = "vjepa21_tiny") -> VideoEncoder:
    """Weights far from their start, so that everything counts."""
    torch.manual_seed(seed)
    encoder = encoder_preset(preset, num_levels=num_levels).build()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.15)
    return encoder


def random_clip(num_frames: int, height: int = 48, width: int = 64) -> Tensor:
    generator = torch.Generator().manual_seed(num_frames)
    return torch.randn(BATCH, 3, num_frames, height, width, generator=generator)


def slow_encoder(weights: dict[str, Tensor], clip: Tensor, num_levels: int) -> Tensor:
    """The encoder once more: one head and one clip at a time, pairs of channels as complex numbers."""
    kind = "image" if clip.shape[2] == 1 else "video"
    patches, mark = {"image": ("patch_embed_img", "img"), "video": ("patch_embed", "video")}[kind]
    frames = 1 if kind == "image" else 2
    kernel, bias = weights[f"{patches}.proj.weight"], weights[f"{patches}.proj.bias"]
    times, rows, columns = clip.shape[2] // frames, clip.shape[3] // 16, clip.shape[4] // 16
    answers = []
    for film in clip:
        tokens, places = [], []
        for time in range(times):
            for row in range(rows):
                for column in range(columns):
                    part = film[:, time * frames :, row * 16 :, column * 16 :][:, :frames, :16, :16]
                    tokens.append(kernel.flatten(1) @ part.flatten() + bias + weights[f"{mark}_mod_embed"].flatten())
                    places.append((time, row * 15 / (rows - 1), column * 15 / (columns - 1)))
        answers.append(slow_blocks(weights, torch.stack(tokens), places, num_levels))
    return torch.stack(answers)


def slow_blocks(weights: dict[str, Tensor], x: Tensor, places: list[tuple[float, ...]], num_levels: int) -> Tensor:
    turns = torch.ones(len(places), HEAD_WIDTH // 2, dtype=torch.complex64)
    for token, place in enumerate(places):
        for axis in range(3):
            for pair in range(PART // 2):
                angle = place[axis] * 10000 ** (-2 * pair / PART)
                turns[token, axis * PART // 2 + pair] = complex(math.cos(angle), math.sin(angle))
    outputs = []

    def layer(name: str, value: Tensor) -> Tensor:
        return functional.linear(value, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name: str, value: Tensor) -> Tensor:
        return functional.layer_norm(value, (WIDTH,), weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-6)

    def turned(head: Tensor) -> Tensor:
        return torch.view_as_real(torch.view_as_complex(head.reshape(len(head), -1, 2)) * turns).flatten(1)

    for number in range(4):
        at = f"blocks.{number}"
        thirds = layer(f"{at}.attn.qkv", norm(f"{at}.norm1", x)).split(WIDTH, dim=1)
        heads = []
        for head in range(HEADS):
            query, key, value = (third[:, head * HEAD_WIDTH : (head + 1) * HEAD_WIDTH] for third in thirds)
            scores = turned(query) @ turned(key).T / math.sqrt(HEAD_WIDTH)
            heads.append(scores.softmax(1) @ value)
        x = x + layer(f"{at}.attn.proj", torch.cat(heads, dim=1))
        hidden = layer(f"{at}.mlp.fc1", norm(f"{at}.norm2", x))
        x = x + layer(f"{at}.mlp.fc2", 0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2))))
        outputs.append(norm(f"norms_block.{number}", x))
    return torch.cat(outputs, dim=1) if num_levels == 4 else outputs[-1]


@pytest.mark.parametrize("num_levels", [1, 4])
@pytest.mark.parametrize("num_frames", [1, 2, 6])
def test_it_equals_a_slow_writing(num_frames: int, num_levels: int) -> None:
    encoder, clip = new_encoder(1, num_levels).eval(), random_clip(num_frames)
    with torch.inference_mode():
        tokens = encoder(clip)
        expected = slow_encoder(dict(encoder.state_dict()), clip, num_levels)
    assert tokens.shape == (BATCH, max(1, num_frames // 2) * 12, WIDTH * num_levels)
    torch.testing.assert_close(tokens, expected, atol=2e-5, rtol=0)


def test_the_last_quarter_of_four_levels_is_the_output_of_one() -> None:
    one, four = new_encoder(1), new_encoder(2, num_levels=4)
    four.load_state_dict(one.state_dict())
    clip = random_clip(2)
    assert torch.equal(four(clip)[..., -WIDTH:], one(clip))


def test_kept_tokens_have_the_places_that_they_have_among_all() -> None:
    encoder, clip = new_encoder(1), random_clip(2)
    ids = torch.tensor([[11, 3, 4], [0, 7, 5]])
    everyone = torch.arange(12).expand(BATCH, -1)
    torch.testing.assert_close(encoder(clip, everyone.flip(1)), encoder(clip).flip(1), atol=2e-5, rtol=0)
    wide = encoder(torch.cat((clip, clip), dim=-1), ids)
    assert (wide - encoder(clip, ids)).abs().max() > 0.1  # the same ids lie elsewhere in a wider grid


def test_positions_are_spread_over_fifteen_by_hand() -> None:
    """3 rows: 0, 7.5, 15; 5 columns: 3.75 apart; 256 x 512 px have columns 15/31 apart, 384 px have 15/23."""
    grid = TokenGrid(times=2, rows=3, columns=5)
    found = spread_positions(grid, torch.tensor([[0, 4, 7, 14, 16, 29]]))
    expected = [[0, 0, 0], [0, 0, 15], [0, 7.5, 7.5], [0, 15, 15], [1, 0, 3.75], [1, 15, 15]]
    torch.testing.assert_close(found, torch.tensor([expected]))
    for side, step in ((16, 1.0), (24, 0.6521739), (32, 0.4838710)):
        columns = spread_positions(TokenGrid(1, 16, side), torch.arange(side)[None])[0, :, 2]
        torch.testing.assert_close(columns, torch.arange(side) * step, atol=1e-5, rtol=0)


def test_a_single_row_lies_at_zero() -> None:
    """Scores depend on offsets alone, so any place would do; 0/0, which the formula says, would not."""
    assert spread_positions(TokenGrid(1, 1, 2), torch.tensor([[0, 1]])).tolist() == [[[0, 0, 0], [0, 0, 15]]]
    assert new_encoder(1)(random_clip(2, height=16)).isfinite().all()


def turn(vector: Tensor, place: tuple[float, float, float]) -> Tensor:
    table = rotary_table(torch.tensor([[place]]), vector.shape[-1], turns_pairs=True)
    return rotate(vector.view(1, 1, 1, -1), *table).flatten()


def test_worked_example_of_angles() -> None:
    """Time 2, row 7.5, column 0.5; parts of 4, so the angles in a part are p, p, p/100, p/100; two are left over.

    First pair: 1 cos 2 - 2 sin 2 = -0.41615 - 1.81859 and 2 cos 2 + 1 sin 2 = -0.83229 + 0.90930.
    """
    expected = [-2.23474, 0.07700, 2.91941, 4.05920]
    expected += [-3.89482, 6.76981, 6.38088, 8.50202]
    expected += [3.10399, 13.09066, 10.93986, 12.05485]
    expected += [13.0, 14.0]
    found = turn(torch.arange(1.0, 15.0), (2.0, 7.5, 0.5))
    torch.testing.assert_close(found, torch.tensor(expected), atol=2e-5, rtol=0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_scores_depend_on_offsets_alone(axis: int) -> None:
    query, key = torch.randn(2, 64, generator=torch.Generator().manual_seed(axis))
    here, there = [1.0, 4.5, 2.25], [3.0, 0.0, 7.5]
    before = turn(query, (*here,)) @ turn(key, (*there,))
    here[axis] += 9.0
    other = turn(query, (*here,)) @ turn(key, (*there,))
    there[axis] += 9.0
    assert float(turn(query, (*here,)) @ turn(key, (*there,))) == pytest.approx(float(before), abs=1e-4)
    assert float(other) != pytest.approx(float(before), abs=1e-2)


def test_names_are_those_of_vjepa_2_1() -> None:
    layers = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    expected = {f"blocks.{number}.{layer}.{kind}" for number in range(4) for layer in layers for kind in KINDS}
    expected |= {f"{layer}.{kind}" for layer in ("patch_embed.proj", "patch_embed_img.proj") for kind in KINDS}
    expected |= {f"norms_block.{number}.{kind}" for number in range(4) for kind in KINDS}
    weights = encoder_preset("vjepa21_tiny").build().state_dict()
    assert set(weights) == {*expected, "img_mod_embed", "video_mod_embed"}
    assert weights["patch_embed_img.proj.weight"].shape == (WIDTH, 3, 1, 16, 16)
    assert weights["img_mod_embed"].shape == (1, 1, WIDTH)


KINDS = ("weight", "bias")
PUBLISHED = {
    "vjepa21_b": (158, 86_833_152),
    "vjepa21_l": (302, 304_680_960),
    "vjepa21_g": (494, 1_013_267_968),
    "vjepa21_G": (590, 1_845_216_768),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name: str) -> None:
    with torch.device("meta"):
        tensors = encoder_preset(name).build().state_dict().values()
    assert (len(tensors), sum(tensor.numel() for tensor in tensors)) == PUBLISHED[name]


def test_levels_of_the_public_depths() -> None:
    names = ("vjepa21_b", "vjepa21_l", "vjepa21_g", "vjepa21_G")
    presets = [encoder_preset(name) for name in names]
    assert [preset.levels for preset in presets if isinstance(preset, VideoEncoder21Config)] == [
        (2, 5, 8, 11),
        (5, 11, 17, 23),
        (9, 19, 29, 39),
        (11, 23, 37, 47),
    ]


@pytest.mark.parametrize("num_levels", [1, 4])
def test_what_a_clip_passes_through_learns_and_nothing_else(num_levels: int) -> None:
    """A parameter that asks for a gradient and gets none stops a training of several processes."""
    encoder = new_encoder(1, num_levels)
    encoder.requires_grad_(False).requires_grad_(True)  # as an agent does
    (encoder(random_clip(2)) * torch.randn(num_levels * WIDTH)).sum().backward()
    learns = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert learns == {name for name, p in encoder.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    idle = {name.split(".")[0] for name, parameter in encoder.named_parameters() if name not in learns}
    assert idle == {"patch_embed_img", "img_mod_embed", *(["norms_block"] if num_levels == 1 else [])}
    assert "norms_block.3.weight" in learns


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 2}, r"depth=2, but V-JEPA 2\.1 has levels for 4, 12, 24, 40, 48 blocks"),
        ({"num_levels": 3}, r"num_levels=3, but the output is of 1 level or of all 4"),
        ({"num_heads": 3}, r"width=40 is not a multiple"),
    ],
)
def test_sizes_that_it_has_not_are_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        VideoEncoder21Config(**{"width": 40, "depth": 4, "num_heads": 2, "mlp_width": 96, **change})


def test_levels_of_vjepa_2_are_refused() -> None:
    with pytest.raises(InputError, match=r"levels=4 of 'vit_l': only V-JEPA 2\.1's encoders \(vjepa21_…\) have more"):
        encoder_preset("vit_l", num_levels=4)


def test_sizes_of_the_other_generation_are_refused() -> None:
    with pytest.raises(InputError, match=r"sizes are of V-JEPA 2\.1, the encoder is of V-JEPA 2; make it by conf"):
        VideoEncoder(encoder_preset("vjepa21_tiny"))


def test_clips_that_patches_do_not_tile_are_refused() -> None:
    with pytest.raises(InputError, match=r"frames 3 is not a multiple of 2"):
        new_encoder()(random_clip(3))


def saved(path: Path, **entries: VideoEncoder) -> Path:
    wrapped = {
        entry: {f"module.backbone.{name}": tensor for name, tensor in encoder.state_dict().items()}
        for entry, encoder in entries.items()
    }
    torch.save({**wrapped, "epoch": 3}, path)
    return path


def same(first: VideoEncoder, second: VideoEncoder) -> bool:
    weights = second.state_dict()
    return all(torch.equal(tensor, weights[name]) for name, tensor in first.state_dict().items())


def test_a_distilled_file_gives_its_moving_average(tmp_path: Path) -> None:
    """Its target may be the teacher, of another size; the teachers' own files have no moving average beside it."""
    teacher, average, student = new_encoder(1, preset="vjepa21_small"), new_encoder(2), new_encoder(3)
    path = saved(tmp_path / "l.pt", target_encoder=teacher, encoder=student, ema_encoder=average)
    encoder = new_encoder(4, num_levels=4)
    assert load_encoder_weights(encoder, path) == "ema_encoder"
    assert same(encoder, average)
    assert load_encoder_weights(encoder, path, entry="encoder") == "encoder"
    assert same(encoder, student)
    assert load_encoder_weights(encoder, saved(tmp_path / "g.pt", target_encoder=average)) == "target_encoder"


def test_the_other_generation_is_called_by_its_name(tmp_path: Path) -> None:
    old, new = encoder_preset("tiny").build(), new_encoder(1)
    message = (
        r"a file of V-JEPA 2\.1, but the encoder asked for is of V-JEPA 2\. Hint: the file holds vjepa21_tiny .*name"
    )
    with pytest.raises(CheckpointError, match=message):
        load_encoder_weights(old, saved(tmp_path / "new.pt", target_encoder=new))
    with pytest.raises(CheckpointError, match=r"file of V-JEPA 2, but the encoder asked for is of V-JEPA 2\.1\. Hint"):
        load_encoder_weights(new, saved(tmp_path / "old.pt", target_encoder=old))


def test_public_loader_takes_entry_and_levels(tmp_path: Path) -> None:
    source = new_encoder(1)
    path = saved(tmp_path / "b.pt", ema_encoder=new_encoder(2), encoder=source)
    encoder = load_encoder("vjepa21_tiny", path, entry="encoder", num_levels=4)
    assert isinstance(encoder, VideoEncoder21)
    assert same(encoder, source)
    assert encoder(random_clip(1)).shape == (BATCH, 12, 4 * WIDTH)


@pytest.mark.parametrize("num_levels", [1, 4])
def test_both_planners_stand_behind_it(num_levels: int) -> None:
    frames = torch.randint(0, 256, (BATCH, 2, 3, 64, 96), dtype=torch.uint8)
    sizes = PlannerConfig(model_dim=16, num_heads=2, ffn_dim=24, num_layers=1)
    planner = PerceptionFreePlanner(new_encoder(1, num_levels), (64, 96), sizes)
    assert planner(frames, torch.zeros(BATCH, 8)).shape == (BATCH, 8, 3)
    backbone = FrontVideoBackbone(new_encoder(1, num_levels), (64, 96), 24, GridMask(0.5, 0.0))
    assert backbone(frames).shape == (BATCH, 1, 4, 6, 24)
