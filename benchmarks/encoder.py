"""Speed and memory of the video encoder beside the same maths with plain, unfused attention.

    python -m benchmarks.encoder      # ViT-L, 2 frames of 256x512, batches 1 and 4
    python -m benchmarks.encoder --preset small --repeats 9 --output outputs/encoder.json

CPU runs are float32, CUDA runs bfloat16 autocast. The variants take turns, so that a busy machine slows all of them;
the median counts. ``peak`` is the share of a matrix product's speed measured just before, on the same device and dtype.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from navsim_agents.common.files import write_json
from navsim_agents.models.presets import ENCODER_PRESETS, encoder_preset
from navsim_agents.models.transformer import RotaryAttention
from navsim_agents.models.video_encoder import VideoEncoder, VideoEncoderConfig
from tests.models.plain_attention import PlainAttention, attend_with

GIB = 2**30
RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes per unit of ru_maxrss
MATMUL_SIZE = {"cpu": 2048, "cuda": 8192}
ATTENTION = {"fused": RotaryAttention, "plain": PlainAttention, "fused, recompute": RotaryAttention}
BACKWARD_COST = 2  # a backward pass has twice the products of a forward pass


@dataclass(frozen=True)
class Case:
    """One thing to time."""

    variant: str
    batch: int
    with_backward: bool


@dataclass(frozen=True)
class Row:
    """What was measured of a case."""

    variant: str
    batch: int
    step: str
    median_s: float
    spread_s: float  # slowest minus fastest repeat
    tokens_per_s: float
    peak_fraction: float
    memory_gib: float  # of the step alone, without weights and gradients


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=list(ENCODER_PRESETS), default="vit_l")
    parser.add_argument("--clip", type=int, nargs=3, default=(2, 256, 512), metavar=("FRAMES", "HEIGHT", "WIDTH"))
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--probe", type=json.loads, help=argparse.SUPPRESS)  # memory of one case, in its own process
    return parser.parse_args(arguments)


def cases(batches: Sequence[int]) -> list[Case]:
    """Forward with both attentions; forward and backward with recomputation too."""
    forward = [Case(variant, batch, False) for batch in batches for variant in ("fused", "plain")]
    return forward + [Case(variant, batch, True) for batch in batches for variant in ATTENTION]


def build(options: argparse.Namespace) -> VideoEncoder:
    torch.manual_seed(0)
    return encoder_preset(options.preset).build().to(options.device)


def prepare(encoder: VideoEncoder, case: Case, options: argparse.Namespace) -> Callable[[], torch.Tensor]:
    """A function that runs one step of ``case``, waits for the device and returns the tokens."""
    clip = torch.randn(case.batch, 3, *options.clip, generator=torch.Generator().manual_seed(0)).to(options.device)
    config = encoder_preset(options.preset, activation_checkpointing="recompute" in case.variant)

    def step() -> torch.Tensor:
        encoder.config = config
        attend_with(encoder, ATTENTION[case.variant])
        encoder.zero_grad(set_to_none=False)  # they stay allocated, so that memory is that of activations
        with torch.set_grad_enabled(case.with_backward):
            with torch.autocast(options.device, dtype=torch.bfloat16, enabled=options.device == "cuda"):
                tokens = encoder(clip)
            if case.with_backward:
                tokens.float().square().mean().backward()
        if options.device == "cuda":
            torch.cuda.synchronize()
        return tokens.detach()

    return step


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def matmul_flops_per_s(options: argparse.Namespace, repeats: int = 5) -> float:
    """Best speed of a square matrix product in the dtype of the benchmark."""
    size = MATMUL_SIZE[options.device]
    dtype = torch.bfloat16 if options.device == "cuda" else torch.float32
    left, right = torch.randn(2, size, size, device=options.device, dtype=dtype)

    def product() -> None:
        left @ right
        if options.device == "cuda":
            torch.cuda.synchronize()

    return 2 * size**3 / min(seconds(product) for _ in range(repeats))


def clip_flops(config: VideoEncoderConfig, clip: Sequence[int]) -> float:
    """Floating-point operations in the matrix products of one clip's forward pass."""
    tokens = config.grid(*clip).num_tokens
    patch = 3 * config.tubelet_size * config.patch_size**2
    linear = config.width * (patch + config.depth * (4 * config.width + 2 * config.mlp_width))
    attention = config.depth * 2 * tokens * config.width
    return 2.0 * tokens * (linear + attention)


def probe_memory(case: Case, options: argparse.Namespace) -> float:
    """Peak memory [GiB] that a step of ``case`` adds to weights and gradients; right once a process on a CPU."""
    encoder = build(options)
    one_patch = argparse.Namespace(**{**vars(options), "clip": (2, 16, 16)})
    prepare(encoder, case, one_patch)()  # loads libraries, allocates gradients
    step = prepare(encoder, case, options)
    if options.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return (torch.cuda.max_memory_allocated() - before) / GIB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * RSS_UNIT / GIB


def memory_in_own_process(case: Case, options: argparse.Namespace) -> float:
    """``probe_memory`` in a fresh interpreter, whose peak no earlier case has raised."""
    command = [sys.executable, "-m", "benchmarks.encoder", "--preset", options.preset, "--device", options.device]
    command += ["--threads", str(options.threads), "--clip", *map(str, options.clip)]
    command += ["--probe", json.dumps(asdict(case))]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def take_turns(steps: Sequence[Callable[[], object]], repeats: int) -> list[list[float]]:
    """Seconds of every repeat of every step, after one round to warm up."""
    for step in steps:
        step()
    rounds = [[seconds(step) for step in steps] for _ in tqdm(range(repeats), desc="rounds", leave=False)]
    return [list(times) for times in zip(*rounds)]


def measure(options: argparse.Namespace) -> tuple[list[Row], dict[str, float]]:
    """A row for every case, and what holds for all of them."""
    todo = cases(options.batch)
    memory = [memory_in_own_process(case, options) for case in tqdm(todo, desc="memory", leave=False)]
    encoder = build(options)
    steps = [prepare(encoder, case, options) for case in todo]
    difference = (steps[0]() - prepare(encoder, Case("plain", options.batch[0], False), options)()).abs().max().item()
    matmul = matmul_flops_per_s(options)
    timings = take_turns(steps, options.repeats)
    rows = [row(case, times, gib, matmul, options) for case, times, gib in zip(todo, timings, memory)]
    return rows, {"matmul_gflop_per_s": matmul / 1e9, "fused_minus_plain_max_abs": difference}


def row(case: Case, times: Sequence[float], gib: float, matmul: float, options: argparse.Namespace) -> Row:
    config = encoder_preset(options.preset)
    median = statistics.median(times)
    flops = case.batch * clip_flops(config, options.clip) * (1 + BACKWARD_COST * case.with_backward)
    return Row(
        variant=case.variant,
        batch=case.batch,
        step="forward + backward" if case.with_backward else "forward",
        median_s=median,
        spread_s=max(times) - min(times),
        tokens_per_s=case.batch * config.grid(*options.clip).num_tokens / median,
        peak_fraction=flops / median / matmul,
        memory_gib=gib,
    )


def table(rows: Sequence[Row]) -> str:
    heads = f"{'median s':>9}{'spread s':>9}{'tokens/s':>10}{'peak':>6}{'GiB':>7}"
    lines = [f"{'step':<19}{'batch':>5}  {'attention':<17}{heads}"]
    for r in rows:
        speed = f"{r.median_s:>9.3f}{r.spread_s:>9.3f}{r.tokens_per_s:>10.0f}{r.peak_fraction:>6.0%}"
        lines.append(f"{r.step:<19}{r.batch:>5}  {r.variant:<17}{speed}{r.memory_gib:>7.2f}")
    return "\n".join(lines)


def device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    if options.probe:
        print(probe_memory(Case(**options.probe), options))
        return
    rows, common = measure(options)
    about = {"preset": options.preset, "clip": list(options.clip), "repeats": options.repeats}
    about.update(torch=torch.__version__, device=device_name(options.device), **common)
    print(table(rows))
    print(json.dumps(about))
    if options.output:
        write_json(options.output, {**about, "rows": [asdict(r) for r in rows]})


if __name__ == "__main__":
    main()
