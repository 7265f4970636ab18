"""Checks an installation: which devkit, from where, which versions, and whether its linear algebra can be trusted."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata, util

import numpy as np
import numpy.typing as npt

from navsim_agents.devkit.variant import INSTALLATION_PAGE, Variant, detect_host
from navsim_agents.errors import DevkitError

DISTRIBUTIONS = ("torch", "numpy", "shapely", "hydra-core", "pytorch-lightning", "nuplan-devkit")
PLUGIN = "hydra_plugins.navsim_drive_jepa.search_path"
CONFIG_PACKAGE = "navsim_configs.agent"

NUM_SAMPLES = 40
PINV_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    subject: str
    is_good: bool
    text: str

    def __str__(self) -> str:
        return f"{'ok   ' if self.is_good else 'WRONG'}  {self.subject:<12} {self.text}"


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


def difference_matrix(num_samples: int) -> npt.NDArray[np.float64]:
    """Ill-conditioned matrix of the kind that the devkit's tracker inverts: double sums over their penalties."""
    integrate = np.tril(np.ones((num_samples, num_samples)))
    return np.vstack((integrate @ integrate * 0.01, 0.01 * np.diff(np.eye(num_samples), axis=0)))


def check_pseudo_inverse(pinv: Callable[..., npt.NDArray[np.float64]]) -> Finding:
    """Whether ``pinv`` inverts a known matrix: A · pinv(A) · A = A."""
    matrix = difference_matrix(NUM_SAMPLES)
    residual = float(np.abs(matrix @ pinv(matrix) @ matrix - matrix).max() / np.abs(matrix).max())
    if residual < PINV_TOLERANCE:
        return Finding("pinv", True, f"residual {residual:.1e}")
    return Finding(
        "pinv",
        False,
        f"residual {residual:.1e} exceeds {PINV_TOLERANCE:.0e}: this NumPy's linear algebra is wrong on this "
        "processor, and so would be every score; install numpy>=1.26 and compute metric caches again",
    )


def versions() -> Iterator[str]:
    """Versions of Python and of the distributions that matter."""
    yield f"python {platform.python_version()}"
    for name in DISTRIBUTIONS:
        try:
            yield f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            yield f"{name} not installed"


def main() -> int:
    """Print the findings; 1 if anything is wrong."""
    print("  ".join(versions()))
    findings = [check_devkit(), check_configs(), check_pseudo_inverse(np.linalg.pinv)]
    print(*findings, sep="\n")
    return int(not all(finding.is_good for finding in findings))
