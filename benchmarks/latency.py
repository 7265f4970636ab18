"""Time of one plan of the full planner, batch 1, with and without momentum's replanning of the frame before.

    python -m benchmarks.latency                       # ViT-L on the CPU
    python -m benchmarks.latency --device cuda

Times ``agent.compute_trajectory``: crop and resize of the pictures, network, simulation for momentum, selection; not
the reading of JPEG. The variants take turns, so that a busy machine slows all of them; medians count.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_module
from tqdm import tqdm

from navsim_agents.common.conventions import NUM_HISTORY_FRAMES
from navsim_agents.common.settings import changed
from navsim_agents.data.types import AgentInput, Camera, Cameras, EgoStatus
from navsim_agents.drive_jepa import ProposalAgent
from navsim_agents.world.camera.calibration import default_cameras

SPEED_MPS = 8.0
VARIANTS: dict[str, dict[str, Any]] = {
    "without momentum": {"mode": "off"},
    "frame before replanned": {"mode": "on", "remembered_frames": 0},
    "frame before remembered": {"mode": "on"},
}


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", default="drive_jepa", help="file of navsim_configs/agent")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--frames", type=int, default=8, help="of a log, planned in order")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args(arguments)


def drive(num_frames: int) -> list[AgentInput]:
    """Inputs of a log in order, with another picture in every frame; straight on at constant speed."""
    draw, model = np.random.default_rng(0), default_cameras()["cam_f0"]
    calibration = {
        "sensor2lidar_rotation": model.sensor2lidar_rotation,
        "sensor2lidar_translation": model.sensor2lidar_translation,
        "intrinsics": model.intrinsics,
    }
    shown = [
        Cameras(cam_f0=Camera(image=draw.integers(0, 256, (1080, 1920, 3), dtype=np.uint8), **calibration))
        for _ in range(num_frames + NUM_HISTORY_FRAMES - 1)
    ]
    return [
        AgentInput([status(age) for age in range(NUM_HISTORY_FRAMES - 1, -1, -1)], shown[at : at + NUM_HISTORY_FRAMES])
        for at in range(num_frames)
    ]


def status(age: int) -> EgoStatus:
    """The ego ``age`` frames ago."""
    return EgoStatus(
        ego_pose=np.array([-0.5 * age * SPEED_MPS, 0.0, 0.0]),
        ego_velocity=np.array([SPEED_MPS, 0.0], dtype=np.float32),
        ego_acceleration=np.zeros(2, dtype=np.float32),
        driving_command=np.array([0, 1, 0, 0]),
    )


def build(options: argparse.Namespace) -> dict[str, ProposalAgent]:
    """An agent a variant, all of the same weights."""
    with initialize_config_module("navsim_configs", version_base="1.2"):
        settings = compose(f"agent/{options.agent}").agent.config
    agents = {}
    for name, changes in VARIANTS.items():
        torch.manual_seed(0)
        agents[name] = ProposalAgent(changed(settings, {"momentum": changes}), device=options.device)
    first, *others = agents.values()
    for agent in others:
        agent.planner = first.planner
    return agents


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    agents, inputs = build(options), drive(options.frames + 1)
    times: dict[str, list[float]] = {name: [] for name in agents}
    for number, agent_input in enumerate(tqdm(inputs, desc="frames", leave=False)):
        for name, agent in agents.items():
            start = time.perf_counter()
            agent.compute_trajectory(agent_input)
            if number > 0:  # the first plan loads libraries, and has nothing to remember
                times[name].append(time.perf_counter() - start)
    device = torch.cuda.get_device_name() if options.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{device} of {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, torch {torch.__version__}")
    print(f"agent={options.agent}, float32, batch 1, {options.frames} frames:")
    for name, seconds in times.items():
        print(f"  {name:<24} median {1e3 * statistics.median(seconds):8.1f} ms, slowest {1e3 * max(seconds):8.1f} ms")


if __name__ == "__main__":
    main()
