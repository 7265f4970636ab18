"""Speed and memory of one pretraining step: targets, context, predictor, backward, optimiser, moving average.

    python -m benchmarks.pretraining                                          # ViT-L, 8 frames of 256x512; wants a GPU
    python -m benchmarks.pretraining --preset small --clip 8 128 256          # for a CPU
    python -m benchmarks.pretraining … --reference VJEPA2                     # beside facebookresearch/vjepa2

Variants take turns on the same clips and masks; the median counts. CPU runs are float32, CUDA runs bfloat16 autocast.
``plain`` spells attention out; ``reference`` is V-JEPA 2's own encoder and predictor, imported from the checkout.
"""

from __future__ import annotations

import argparse
import copy
import json
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from benchmarks.encoder import GIB, RSS_UNIT, device_name, take_turns
from navsim_agents.common.files import write_json
from navsim_agents.models.masks import MaskFamily, Masks, sample_masks
from navsim_agents.models.presets import ENCODER_PRESETS, encoder_preset, predictor_preset
from navsim_agents.models.transformer import RotaryAttention
from navsim_agents.models.video_jepa import TARGET_NORM_EPS, VideoJepa
from tests.models.plain_attention import PlainAttention
from training.pretraining.config import OptimiserConfig
from training.pretraining.health import clip_flops
from training.pretraining.optimiser import build_optimiser

PAPER_FAMILY = MaskFamily("short_range", num_blocks=8, min_scale=0.15, max_scale=0.15)
MOMENTUM, LR = 0.99925, 1e-4
GPUS = 8
RUNS = {
    "50 epochs of 300 steps of 512 clips (stock iterations)": 50 * 300 * 512,
    "50 passes over 208 h in clips of 4 s": 50 * 208 * 3600 // 4,
}
"""Clips that the paper's run may have seen: it states epochs and hours of video, not steps."""

Step = Callable[[], float]  # runs one training step, waits for the device, returns the loss


@dataclass(frozen=True)
class Row:
    """What was measured of a variant."""

    variant: str
    batch: int
    median_s: float
    spread_s: float  # slowest minus fastest repeat
    clips_per_s: float
    tflop_per_s: float  # matrix products without recomputation
    loss: float  # of the first step
    memory_gib: float  # peak of the step, without weights and optimiser


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=list(ENCODER_PRESETS), default="vit_l")
    parser.add_argument("--predictor", default=None, help="preset; by default the encoder's namesake, else stock")
    parser.add_argument("--clip", type=int, nargs=3, default=(8, 256, 512), metavar=("FRAMES", "HEIGHT", "WIDTH"))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--memory-batch", type=int, default=None, help="clips for the memory; by default as many")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--reference", type=Path, help="a checkout of facebookresearch/vjepa2")
    parser.add_argument("--assume-tflops", type=float, help="hours of the paper's run at this speed, not measured")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--probe", help=argparse.SUPPRESS)  # memory of one variant, in its own process
    return parser.parse_args(arguments)


def variants(options: argparse.Namespace) -> list[str]:
    return ["ours", "ours, recompute", "plain"] + ["reference"] * (options.reference is not None)


def batch_of(options: argparse.Namespace, size: int) -> tuple[Tensor, list[Masks]]:
    """Random pixels and the paper's masks, the same for every variant."""
    generator = torch.Generator().manual_seed(0)
    clip = torch.randint(256, (size, 3, *options.clip), generator=generator, dtype=torch.uint8)
    grid = encoder_preset(options.preset).grid(*options.clip)
    masks = sample_masks([PAPER_FAMILY], grid, size, generator)
    return clip.to(options.device), [Masks(*(ids.to(options.device) for ids in mask)) for mask in masks]


def build(options: argparse.Namespace, recompute: bool = False) -> VideoJepa:
    """Reference positions, so that every variant does the same."""
    torch.manual_seed(0)
    name = options.predictor or (options.preset if options.preset in ("tiny", "small") else "stock")
    predictor = replace(predictor_preset(name), square_positions=True, activation_checkpointing=recompute)
    return VideoJepa(encoder_preset(options.preset, activation_checkpointing=recompute), predictor).to(options.device)


def own_step(options: argparse.Namespace, variant: str, size: int) -> Step:
    jepa = build(options, "recompute" in variant)
    if variant == "plain":
        for module in jepa.modules():
            if isinstance(module, RotaryAttention):
                module.__class__ = PlainAttention
    optimiser, (clip, masks) = build_optimiser(jepa, OptimiserConfig()), batch_of(options, size)

    def step() -> float:
        with autocast(options):
            losses, _ = jepa(clip, masks)
        losses.mean().backward()
        update(optimiser)
        jepa.update_target(MOMENTUM)
        return float(losses.detach().mean())

    return step


def reference_step(options: argparse.Namespace, size: int) -> Step:
    """The same step with the reference's modules, holding the weights of ``build``."""
    jepa, (clip, masks) = build(options), batch_of(options, size)
    encoder, predictor, gather = reference_networks(options, jepa)
    average = copy.deepcopy(encoder).requires_grad_(False)
    optimiser = torch.optim.AdamW([*encoder.parameters(), *predictor.parameters()])
    normalize, pairs = jepa.normalize, [(mask.context, mask.target) for mask in masks]

    def step() -> float:
        pixels = normalize(clip)
        with autocast(options):
            with torch.no_grad():
                targets = functional.layer_norm(average(pixels).float(), (average.embed_dim,), eps=TARGET_NORM_EPS)
            losses = []
            for context_ids, target_ids in pairs:
                context = encoder(pixels, masks=context_ids)
                predicted = predictor(context, context_ids, target_ids, mask_index=0)
                losses.append((predicted.float() - gather(targets, [target_ids])).abs().mean())
            loss = torch.stack(losses).mean()
        loss.backward()
        update(optimiser)
        with torch.no_grad():
            torch._foreach_mul_(list(average.parameters()), MOMENTUM)
            torch._foreach_add_(list(average.parameters()), list(encoder.parameters()), alpha=1 - MOMENTUM)
        return float(loss.detach())

    return step


def reference_networks(options: argparse.Namespace, jepa: VideoJepa) -> tuple[Any, Any, Callable[..., Tensor]]:
    """Encoder, predictor and gather function of the checkout, with the weights of ``jepa``."""
    sizes, small = jepa.encoder.config, jepa.predictor.config
    frames, height, width = options.clip
    common = {"img_size": (height, width), "num_frames": frames, "use_rope": True, "mlp_ratio": 4.0, "qkv_bias": True}
    with importable(options.reference):
        from src.masks.utils import apply_masks  # type: ignore[import-not-found]
        from src.models.predictor import VisionTransformerPredictor  # type: ignore[import-not-found]
        from src.models.vision_transformer import VisionTransformer  # type: ignore[import-not-found]

        encoder = VisionTransformer(
            embed_dim=sizes.width, depth=sizes.depth, num_heads=sizes.num_heads, tubelet_size=2, use_sdpa=True, **common
        )
        predictor = VisionTransformerPredictor(
            embed_dim=sizes.width,
            predictor_embed_dim=small.width,
            depth=small.depth,
            num_heads=small.num_heads,
            use_mask_tokens=True,
            num_mask_tokens=small.num_mask_tokens,
            **common,
        )
    encoder.load_state_dict(jepa.encoder.state_dict())
    predictor.load_state_dict(jepa.predictor.state_dict())
    for module in (*encoder.modules(), *predictor.modules()):
        if isinstance(module, nn.LayerNorm):
            module.eps = sizes.norm_eps
    return encoder.to(options.device), predictor.to(options.device), apply_masks


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def autocast(options: argparse.Namespace) -> torch.autocast:
    return torch.autocast(options.device, dtype=torch.bfloat16, enabled=options.device == "cuda")


def update(optimiser: torch.optim.Optimizer) -> None:
    for group in optimiser.param_groups:
        group["lr"] = LR
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)


def prepare(variant: str, options: argparse.Namespace, size: int) -> Step:
    return reference_step(options, size) if variant == "reference" else own_step(options, variant, size)


def probe_memory(variant: str, options: argparse.Namespace) -> float:
    """Peak memory [GiB] that a step of ``memory_batch`` clips adds; right once a process on a CPU."""
    size = options.memory_batch or options.batch
    one_patch = argparse.Namespace(**{**vars(options), "clip": (2, 32, 32)})
    prepare(variant, one_patch, 1)()  # loads libraries
    step = prepare(variant, options, size)
    if options.device == "cuda":
        step()  # allocates gradients and moments
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return (torch.cuda.max_memory_allocated() - before) / GIB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * RSS_UNIT / GIB


def memory_in_own_process(variant: str, arguments: Sequence[str]) -> float:
    """``probe_memory`` in a fresh interpreter, whose peak no earlier variant has raised."""
    command = [sys.executable, "-m", "benchmarks.pretraining", *arguments, "--probe", variant]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def measure(options: argparse.Namespace, arguments: Sequence[str]) -> list[Row]:
    names = variants(options)
    memory = [memory_in_own_process(name, arguments) for name in tqdm(names, desc="memory", leave=False)]
    steps = [prepare(name, options, options.batch) for name in names]
    losses = [step() for step in steps]
    timings = take_turns(steps, options.repeats)
    jepa, masks = build(options), batch_of(options, options.batch)[1]
    flops = clip_flops(jepa.encoder.config, jepa.predictor.config, jepa.encoder.config.grid(*options.clip), masks)
    rows = []
    for name, times, loss, gib in zip(names, timings, losses, memory):
        median = statistics.median(times)
        speed = options.batch / median
        rows.append(Row(name, options.batch, median, max(times) - min(times), speed, speed * flops / 1e12, loss, gib))
    return rows


def hours_of_paper(clips_per_s: float) -> dict[str, float]:
    """Hours that ``GPUS`` devices of this speed need, by what the run may have consisted of."""
    return {name: round(clips / (GPUS * clips_per_s) / 3600, 2) for name, clips in RUNS.items()}


def assumed_hours(tflops: float) -> dict[str, float]:
    """The same for a ViT-L on the paper's clips, 64 a device, at an assumed speed."""
    encoder = encoder_preset("vit_l")
    grid = encoder.grid(8, 256, 512)
    masks = sample_masks([PAPER_FAMILY], grid, 64, torch.Generator().manual_seed(0), rows=slice(0, 1))
    flops = clip_flops(encoder, predictor_preset("stock"), grid, masks)
    return {"tflop_per_clip": round(flops / 1e12, 3), **hours_of_paper(tflops * 1e12 / flops)}


def table(rows: Sequence[Row]) -> str:
    lines = [
        f"{'variant':<17}{'batch':>5}{'median s':>10}{'spread s':>10}{'clips/s':>9}{'TFLOP/s':>9}{'GiB':>8}{'loss':>9}"
    ]
    for r in rows:
        timing = f"{r.median_s:>10.3f}{r.spread_s:>10.3f}{r.clips_per_s:>9.2f}{r.tflop_per_s:>9.3f}"
        lines.append(f"{r.variant:<17}{r.batch:>5}{timing}{r.memory_gib:>8.2f}{r.loss:>9.4f}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    if options.probe:
        print(probe_memory(options.probe, options))
        return
    rows = measure(options, arguments)
    print(table(rows))
    about: dict[str, Any] = {"preset": options.preset, "clip": list(options.clip), "repeats": options.repeats}
    about.update(torch=torch.__version__, device=device_name(options.device))
    about["memory_batch"] = options.memory_batch or options.batch
    if options.preset == "vit_l" and tuple(options.clip) == (8, 256, 512):
        about["paper_hours_measured"] = hours_of_paper(rows[0].clips_per_s)
    if options.assume_tflops:
        about["paper_hours_assumed"] = assumed_hours(options.assume_tflops)
    print(json.dumps(about))
    if options.output:
        write_json(options.output, {**about, "rows": [asdict(r) for r in rows]})


if __name__ == "__main__":
    main()
