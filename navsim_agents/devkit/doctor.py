"""Checks an installation: which devkit, from where, which versions, whether its linear algebra can be trusted, and
what environment variables, data and metric caches hold in store."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata, util
from pathlib import Path
from typing import Optional

import numpy as np
import numpy.typing as npt

from navsim_agents.data.types import CAMERA_NAMES
from navsim_agents.devkit.data_health import check_metric_cache, check_splits
from navsim_agents.devkit.environment import check_environment
from navsim_agents.devkit.finding import Finding
from navsim_agents.devkit.variant import INSTALLATION_PAGE, Variant, detect_host
from navsim_agents.errors import DevkitError
from navsim_agents.scoring.config import STEP_S, TrackerConfig

DISTRIBUTIONS = ("torch", "numpy", "shapely", "hydra-core", "pytorch-lightning", "nuplan-devkit")
PLUGIN = "hydra_plugins.navsim_drive_jepa.search_path"
CONFIG_PACKAGE = "navsim_configs.agent"

NUM_SAMPLES = 40
KNOWN_SPEED_MPS = 12.5
PINV_TOLERANCE = 1e-8
DEFAULT_CAMERAS = ("cam_f0",)


def check_devkit() -> Finding:
    """Which NAVSIM devkit our agents derive from."""
    try:
        host = detect_host()
    except DevkitError as error:
        return Finding("devkit", False, str(error))
    if host.variant is Variant.NONE:
        return Finding("devkit", True, f"none; agents run by themselves (to install one: {INSTALLATION_PAGE})")
    kind = f"fork of {host.variant.value} ({'; '.join(host.differences)})" if host.is_fork else host.variant.value
    return Finding("devkit", True, f"NAVSIM {kind} at {host.location}")


def check_configs() -> Finding:
    """Whether NAVSIM's scripts will find ``agent=drive_jepa…``."""
    absent = [name for name in (PLUGIN, CONFIG_PACKAGE) if not is_importable(name)]
    if absent:
        return Finding(
            "configs", False, f"{' and '.join(absent)} cannot be imported; install navsim-drive-jepa with pip"
        )
    return Finding("configs", True, "agent=drive_jepa_perception_free is on Hydra's search path")


def is_importable(name: str) -> bool:
    """Whether a module of that name can be found."""
    try:
        return util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def tracker_normal_matrix() -> npt.NDArray[np.float64]:
    """Normal matrix [40, 40] of the velocity fit of NAVSIM's tracker, condition number about 5e3.

    It is the same for every trajectory of constant speed or not: an initial velocity and 39 accelerations, integrated
    twice, with the tracker's jerk penalty, whose difference matrix the devkit builds with one band cut short.
    """
    integrate = np.tril(np.full((NUM_SAMPLES, NUM_SAMPLES), STEP_S))
    integrate[:, 0] = 1.0
    displace = integrate * STEP_S
    penalty = np.zeros((NUM_SAMPLES - 2, NUM_SAMPLES))
    penalty[:, 1:-1] = -np.eye(NUM_SAMPLES - 2)
    penalty[-1, -1] = 1.0
    return displace.T @ displace + TrackerConfig().jerk_penalty * penalty.T @ penalty


def check_pseudo_inverse(pinv: Callable[..., npt.NDArray[np.float64]]) -> Finding:
    """Whether ``pinv`` solves the tracker's own least squares for a known answer."""
    normal = tracker_normal_matrix()
    known = np.concatenate(([KNOWN_SPEED_MPS], np.sin(np.arange(1.0, NUM_SAMPLES))))
    error = float(np.abs(pinv(normal) @ (normal @ known) - known).max())
    if error < PINV_TOLERANCE:
        return Finding("pinv", True, f"the tracker's least squares are solved to {error:.1e}")
    return Finding(
        "pinv",
        False,
        f"the tracker's least squares are wrong by {error:.1e}, more than {PINV_TOLERANCE:.0e}: this NumPy's linear "
        "algebra is wrong on this processor, and so would be every score; install numpy>=1.26 and compute metric "
        "caches again",
    )


def versions() -> Iterator[str]:
    """Versions of Python and of the distributions that matter."""
    yield f"python {platform.python_version()}"
    for name in DISTRIBUTIONS:
        try:
            yield f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            yield f"{name} not installed"


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Options of the command; without any, only the installation is examined."""
    parser = argparse.ArgumentParser(prog="python -m navsim_agents.devkit", description=__doc__)
    parser.add_argument("--data-root", type=Path, help="folder of navsim_logs and sensor_blobs: look for every picture")
    parser.add_argument("--split", action="append", default=[], help="of the data; may be repeated; default: all")
    parser.add_argument("--camera", action="append", choices=CAMERA_NAMES, help="may be repeated; default: cam_f0")
    parser.add_argument("--metric-cache", type=Path, action="append", default=[], help="look for every listed file")
    return parser.parse_args(arguments)


def examine(options: argparse.Namespace, environ: Mapping[str, str]) -> list[Finding]:
    """Everything that was asked for."""
    devkit = check_devkit()
    findings = [devkit, check_configs(), check_pseudo_inverse(np.linalg.pinv)]
    findings += check_environment(environ, needs_data=not devkit.is_good or detect_host().variant is not Variant.NONE)
    if options.data_root is not None:
        findings += check_splits(options.data_root, options.split, options.camera or DEFAULT_CAMERAS)
    return findings + [check_metric_cache(path) for path in options.metric_cache]


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Print the findings; 1 if anything is wrong."""
    options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    print("  ".join(versions()))
    findings = examine(options, os.environ)
    print(*findings, sep="\n")
    return int(not all(finding.is_good for finding in findings))
