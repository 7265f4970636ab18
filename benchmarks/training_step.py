"""A full planner's training step by its parts, and the share that goes into scoring its proposals online.

    python -m benchmarks.training_step                                           # small preset on the CPU
    python -m benchmarks.training_step --agent drive_jepa --device cuda --batch 32
    … --metric-cache PATH --processes 16      # beside a process pool of the devkit's own scorer, in the same run

CUDA runs bfloat16 autocast, CPU runs float32. Medians of wall time, and of this process's processor time; the device is
waited for around each part.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Callable

import torch
from hydra import compose, initialize_config_module
from torch import Tensor
from tqdm import tqdm

from benchmarks.scoring_tools import scenes_of
from navsim_agents.drive_jepa import ProposalAgent, training_step
from navsim_agents.drive_jepa.features import FRONT_VIDEO
from navsim_agents.drive_jepa.proposal_features import EGO, PROJECTION
from navsim_agents.drive_jepa.scene_targets import SCORING_SCENE
from navsim_agents.drive_jepa.targets import TRAJECTORY
from navsim_agents.models.proposals import EGO_MOTION
from navsim_agents.scenes import open_metric_cache
from navsim_agents.scoring import PackedText, ScoringScene, pack_scene, stack_texts
from navsim_agents.scoring.axes import MOTION, POSE
from navsim_agents.world.camera.calibration import FOCAL_LENGTH_PX, PRINCIPAL_POINT_PX


class Timed:
    """A function whose every call is timed."""

    def __init__(self, function: Callable[..., Any], device: str) -> None:
        self.function, self.device = function, device
        self.seconds: list[float] = []
        self.processor_seconds: list[float] = []

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        synchronize(self.device)
        start, processor = time.perf_counter(), time.process_time()
        answer = self.function(*arguments, **named)
        synchronize(self.device)
        self.seconds.append(time.perf_counter() - start)
        self.processor_seconds.append(time.process_time() - processor)
        return answer

    def forget(self) -> None:
        self.seconds.clear()
        self.processor_seconds.clear()

    def __str__(self) -> str:
        wall, processor = (1e3 * statistics.median(its) for its in (self.seconds, self.processor_seconds))
        return f"{wall:.0f} ms ({processor:.0f} ms of processor)"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", default="drive_jepa_small", help="file of navsim_configs/agent")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--scenes", type=Path, help="SceneStore, or folder of them; recorded scenes of v2.2 by default")
    parser.add_argument("--metric-cache", type=Path, help="of the devkit on the path")
    parser.add_argument("--processes", type=int, default=16)
    return parser.parse_args(arguments)


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def build_agent(options: argparse.Namespace) -> ProposalAgent:
    """The preset with random weights; teachers come with the targets."""
    torch.manual_seed(0)
    with initialize_config_module("navsim_configs", version_base="1.2"):
        settings = compose(f"agent/{options.agent}").agent.config
    return ProposalAgent({**settings, "metric": "epdms"}, device=options.device).to(options.device).train()


def make_batch(agent: ProposalAgent, scenes: list[ScoringScene]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Random pictures beside real motion, routes and tracks."""
    config, generator = agent.config, torch.Generator().manual_seed(0)
    shape = (len(scenes), 2, 3, *config.pictures.size)
    ego = torch.zeros(len(scenes), 11)
    ego[:, EGO_MOTION] = torch.stack([scene.ego_state[MOTION] for scene in scenes]).float()
    ego[:, 8] = 1.0
    u, v = PRINCIPAL_POINT_PX
    ahead = torch.tensor([[u, -FOCAL_LENGTH_PX, 0, 0], [v, 0, -FOCAL_LENGTH_PX, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    features = {
        FRONT_VIDEO: torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8),
        EGO: ego,
        PROJECTION: ahead.expand(len(scenes), 1, 4, 4).clone(),
    }
    targets = {
        TRAJECTORY: torch.stack([scene.human_trajectory for scene in scenes]).float(),
        SCORING_SCENE: stack_texts([PackedText.of(pack_scene(scene)) for scene in scenes]),
    }
    return features, targets


def moved(tensors: dict[str, Tensor], device: str) -> dict[str, Tensor]:
    return {name: value.to(device) for name, value in tensors.items()}


def measure(options: argparse.Namespace, agent: ProposalAgent, batch: Any) -> dict[str, Timed]:
    """A whole step and its parts, each timed; the scoring is a part of the loss."""
    optimiser: Any = agent.get_optimizers()
    timed = {
        "forward": Timed(agent.forward, options.device),
        "loss": Timed(agent.compute_loss, options.device),
        "scoring": Timed(training_step.label_proposals, options.device),
        "backward": Timed(torch.Tensor.backward, options.device),
        "optimiser": Timed(optimiser.step, options.device),
    }

    def step() -> None:
        features, targets = (moved(part, options.device) for part in batch)
        with torch.autocast(options.device, dtype=torch.bfloat16, enabled=options.device == "cuda"):
            loss = timed["loss"](features, targets, timed["forward"](features))
        optimiser.zero_grad()
        timed["backward"](loss)
        timed["optimiser"]()

    training_step.label_proposals = timed["scoring"]  # type: ignore[assignment]
    step()
    for part in timed.values():
        part.forget()
    whole = Timed(step, options.device)
    for _ in tqdm(range(options.repeats), desc="steps", leave=False):
        whole()
    training_step.label_proposals = timed["scoring"].function
    return {"step": whole, **timed}


def score_in_pool(job: tuple[Path, Any]) -> int:
    """One scene's proposals by the devkit's scorer, its metric cache read from disk as the released code does."""
    from navsim_agents.devkit.cache_pickle import read_metric_cache
    from navsim_agents.devkit.scoring import score_with_devkit

    path, trajectories = job
    return len(score_with_devkit(read_metric_cache(path), trajectories))


def pool_seconds(options: argparse.Namespace, num_proposals: int) -> float:
    """Median seconds in which a process pool scores as many proposals of as many scenes."""
    scenes = open_metric_cache(str(options.metric_cache))
    tokens = sorted(scenes.tokens)
    chosen = [tokens[index % len(tokens)] for index in range(options.batch)]
    generator = torch.Generator().manual_seed(0)
    jobs = []
    for token in chosen:
        human = scenes.scene(token).pdm_trajectory[5::5, POSE]
        noise = torch.randn(num_proposals, *human.shape, generator=generator) * torch.tensor([1.0, 0.5, 0.05])
        jobs.append((scenes.entries[token].path, (human + noise.cumsum(1) * 0.2).numpy()))
    with ProcessPoolExecutor(options.processes) as pool:
        list(pool.map(score_in_pool, jobs))  # imports, and the disk's cache
        timed = Timed(lambda: list(pool.map(score_in_pool, jobs)), "cpu")
        for _ in range(max(2, options.repeats // 3)):
            timed()
    return statistics.median(timed.seconds)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    agent = build_agent(options)
    scenes = scenes_of(options.scenes, options.batch)
    timed = measure(options, agent, make_batch(agent, scenes))
    whole, scoring = (statistics.median(timed[name].seconds) for name in ("step", "scoring"))
    name = torch.cuda.get_device_name() if options.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{name} of {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, torch {torch.__version__}")
    count = agent.config.planner.num_proposals
    print(f"agent={options.agent}, batch {options.batch} scenes x {count} proposals: step {whole:.3f} s")
    print(f"online scoring {scoring:.3f} s: {scoring / whole:.1%} of the step, {scoring / options.batch:.4f} s a scene")
    for name, part in timed.items():
        print(f"{name:10}{part}")
    if options.metric_cache is not None:
        pooled = pool_seconds(options, count)
        waiting = whole - scoring + pooled
        print(f"devkit's scorer, {options.processes} processes: {pooled:.3f} s, {pooled / scoring:.1f} times as long")
        print(f"a step that waits for it: {waiting:.3f} s, {pooled / waiting:.1%} of it scoring")


if __name__ == "__main__":
    main()
