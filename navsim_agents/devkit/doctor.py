"""Checks an installation: which devkit, from where, which versions, whether its linear algebra can be trusted, and
what environment variables, data and metric caches will cause."""

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
from jaxtyping import Float64

from navsim_agents.common.conventions import CAMERA_NAMES, FRONT_CAMERA, NUM_HISTORY_FRAMES, NUM_STEPS, STEP_S
from navsim_agents.data.names import YAML_SUFFIXES
from navsim_agents.data.pictures import PictureCheck
from navsim_agents.data.scene_filter import EVERY_FRAME, SceneFilter, read_scene_filter
from navsim_agents.devkit.data_health import PictureQuery, check_metric_cache, check_splits
from navsim_agents.devkit.environment import DEVKIT_ROOT, check_devkit_root, check_environment
from navsim_agents.devkit.finding import Finding
from navsim_agents.devkit.follow_up_health import check_follow_ups
from navsim_agents.devkit.hydra_check import check_configs
from navsim_agents.devkit.splits import FILTER_FOLDER, SPLIT_FOLDER, find_split
from navsim_agents.devkit.variant import INSTALLATION_PAGE, Host, Variant, detect_host
from navsim_agents.errors import DevkitError, NavsimDriveJepaError
from navsim_agents.scoring.config import TrackerConfig

DISTRIBUTIONS = {  # and the package that each brings
    "torch": "torch",
    "numpy": "numpy",
    "shapely": "shapely",
    "hydra-core": "hydra",
    "pytorch-lightning": "pytorch_lightning",
    "nuplan-devkit": "nuplan",
}

KNOWN_SPEED_MPS = 12.5
PINV_TOLERANCE = 1e-8
DEFAULT_CAMERAS = (FRONT_CAMERA,)


def check_devkit() -> tuple[Finding, Host]:
    """Which NAVSIM devkit our agents derive from; a broken one counts as none."""
    try:
        host = detect_host()
    except DevkitError as error:
        return Finding("devkit", False, str(error)), Host(Variant.NONE)
    if host.variant is Variant.NONE:
        text = f"none; agents run by themselves (to install one: {INSTALLATION_PAGE})"
        return Finding("devkit", True, text), host
    kind = f"fork of {host.variant.value} ({'; '.join(host.differences)})" if host.is_fork else host.variant.value
    return Finding("devkit", True, f"NAVSIM {kind} at {host.location}"), host


def tracker_normal_matrix() -> Float64[np.ndarray, "40 40"]:
    """Normal matrix of the velocity fit of NAVSIM's tracker, condition number about 5e3.

    It is the same for every trajectory of constant speed or not: an initial velocity and 39 accelerations, integrated
    twice, with the tracker's jerk penalty, whose difference matrix the devkit builds with one band cut short.
    """
    integrate = np.tril(np.full((NUM_STEPS, NUM_STEPS), STEP_S))
    integrate[:, 0] = 1.0
    displace = integrate * STEP_S
    penalty = np.zeros((NUM_STEPS - 2, NUM_STEPS))
    penalty[:, 1:-1] = -np.eye(NUM_STEPS - 2)
    penalty[-1, -1] = 1.0
    return displace.T @ displace + TrackerConfig().jerk_penalty * penalty.T @ penalty


def check_pseudo_inverse(pinv: Callable[..., npt.NDArray[np.float64]]) -> Finding:
    """Whether ``pinv`` solves the tracker's own least squares for a known answer."""
    normal = tracker_normal_matrix()
    known = np.concatenate(([KNOWN_SPEED_MPS], np.sin(np.arange(1.0, NUM_STEPS))))
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
    """Versions of Python and of the distributions that matter, or where a package without any lies."""
    yield f"python {platform.python_version()}"
    for name, package in DISTRIBUTIONS.items():
        try:
            yield f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            spec = util.find_spec(package)
            places = list(spec.submodule_search_locations or []) if spec is not None else []
            yield f"{name} found at {places[0]}, no version known" if places else f"{name} not installed"


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Options of the command; without any, only the installation is examined."""
    parser = argparse.ArgumentParser(prog="drive-jepa doctor", description=__doc__)
    parser.add_argument("--data-root", type=Path, help="folder of navsim_logs and sensor_blobs: look at every picture")
    parser.add_argument(
        "--follow-ups",
        type=Path,
        help="folder of v2.2's second stage, such as …/navhard_two_stage: look at every picture of its scenes",
    )
    parser.add_argument("--split", action="append", default=[], help="of the data; may be repeated; default: all")
    parser.add_argument(
        "--scene-filter",
        help="which scenes: a devkit's split such as navtrain, or a scene filter in YAML; default: one at every frame",
    )
    parser.add_argument(
        "--camera", action="append", choices=CAMERA_NAMES, help=f"may be repeated; default: {FRONT_CAMERA}"
    )
    parser.add_argument(
        "--frames",
        type=int,
        choices=range(1, NUM_HISTORY_FRAMES + 1),
        help="newest history frames whose pictures the agent reads; default: all of them",
    )
    parser.add_argument(
        "--pictures",
        choices=[check.value for check in PictureCheck],
        default=PictureCheck.ENDS.value,
        help="names: each file is listed; ends: and is no empty or cut-off JPEG (default); decode: and can be decoded",
    )
    parser.add_argument("--metric-cache", type=Path, action="append", default=[], help="look for every listed file")
    return parser.parse_args(arguments)


def examine(options: argparse.Namespace, environ: Mapping[str, str]) -> list[Finding]:
    """Everything that was asked for."""
    devkit, host = check_devkit()
    findings = [devkit, check_configs(host.location), check_pseudo_inverse(np.linalg.pinv)]
    findings += check_environment(environ, needs_data=not devkit.is_good or host.variant is not Variant.NONE)
    findings.append(check_devkit_root(environ, host))
    if options.data_root is not None or options.follow_ups is not None:
        findings += examine_data(options, find_filter_folder(environ, host))
    return findings + [check_metric_cache(path) for path in options.metric_cache]


def find_filter_folder(environ: Mapping[str, str], host: Host) -> Optional[Path]:
    """The package navsim whose splits have names: the imported one, or that of NAVSIM_DEVKIT_ROOT."""
    if host.location is not None:
        return host.location
    return Path(environ[DEVKIT_ROOT]) / "navsim" if DEVKIT_ROOT in environ else None


def examine_data(options: argparse.Namespace, devkit: Optional[Path]) -> list[Finding]:
    """Findings about the splits of ``options.data_root``, and about the second stage in ``options.follow_ups``."""
    try:
        chosen, data_split = choose_scenes(options.scene_filter, devkit)
    except NavsimDriveJepaError as error:
        return [Finding("data", False, str(error))]
    splits = options.split or ([data_split] if data_split else [])
    query = PictureQuery(options.camera or DEFAULT_CAMERAS, PictureCheck(options.pictures), options.frames, chosen)
    first = [] if options.data_root is None else check_splits(options.data_root, splits, query)
    return first + ([] if options.follow_ups is None else check_follow_ups(options.follow_ups, query))


def choose_scenes(name: Optional[str], devkit: Optional[Path]) -> tuple[SceneFilter, Optional[str]]:
    """The filter of ``--scene-filter`` and, where a split of the devkit is named, the folder of its logs.

    Raises:
        InputError: the file is not there, or no filter.
        DevkitError: a name, but there is no devkit or it has no such split.
    """
    if name is None:
        return EVERY_FRAME, None
    if name.endswith(YAML_SUFFIXES):
        return read_scene_filter(Path(name)), None
    if devkit is None:
        raise DevkitError(
            f"--scene-filter {name} is a name of the devkit's, but no devkit is on the path and {DEVKIT_ROOT} is "
            "unset; set it, or give the path of the filter's YAML file"
        )
    alone = devkit / FILTER_FOLDER / f"{name}.yaml"
    if alone.is_file() and not (devkit / SPLIT_FOLDER / f"{name}.yaml").is_file():
        return read_scene_filter(alone), None
    split = find_split(devkit, name)
    return read_scene_filter(split.filter_path, split.overrides), split.data_split


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Print the findings; 1 if anything is wrong."""
    options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    print("  ".join(versions()))
    findings = examine(options, os.environ)
    print(*findings, sep="\n")
    return int(not all(finding.is_good for finding in findings))
