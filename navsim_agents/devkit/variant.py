"""Which NAVSIM devkit is on the path, recognised by its API; the one place that knows how the versions differ.

The devkit's version number cannot tell: releases and forks alike say 1.1.0 or 2.0.0.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import logging
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Optional

from navsim_agents.common.conventions import CAMERA_NAMES
from navsim_agents.errors import DevkitError

logger = logging.getLogger(__name__)

INSTALLATION_PAGE = "https://github.com/autonomousvision/navsim/blob/main/docs/install.md"


class Variant(str, Enum):
    """Devkit versions with an API of their own."""

    NONE = "none"
    V1_1 = "v1.1"
    V2_2 = "v2.2"


@dataclass(frozen=True)
class ApiMarks:
    """What a devkit shows of itself without running it."""

    agent_arguments: frozenset[str]  # of AbstractAgent.__init__
    loader_arguments: frozenset[str]  # of SceneLoader.__init__
    sensor_members: frozenset[str]  # public names of SensorConfig
    scripts: frozenset[str]  # navsim/planning/script/run_*.py


@dataclass(frozen=True)
class Host:
    """The devkit found, or Variant.NONE."""

    variant: Variant
    location: Optional[Path] = None
    differences: tuple[str, ...] = ()  # from the released API of that variant, in words

    @property
    def is_fork(self) -> bool:
        """True where the API differs from the release's."""
        return bool(self.differences)


SENSORS = frozenset({*CAMERA_NAMES, "lidar_pc"})
SENSOR_METHODS = frozenset({"get_sensors_at_iteration", "build_all_sensors", "build_no_sensors"})
COMMON_SCRIPTS = frozenset(
    {
        "run_create_submission_pickle",
        "run_dataset_caching",
        "run_metric_caching",
        "run_pdm_score",
        "run_pdm_score_from_submission",
        "run_training",
    }
)
RELEASES = {
    Variant.V1_1: ApiMarks(
        agent_arguments=frozenset({"requires_scene"}),
        loader_arguments=frozenset({"data_path", "sensor_blobs_path", "scene_filter", "sensor_config"}),
        sensor_members=SENSORS | SENSOR_METHODS,
        scripts=COMMON_SCRIPTS | {"run_merge_submission_pickles"},
    ),
    Variant.V2_2: ApiMarks(
        agent_arguments=frozenset({"trajectory_sampling", "requires_scene"}),
        loader_arguments=frozenset(
            {
                "data_path",
                "original_sensor_path",
                "scene_filter",
                "synthetic_sensor_path",
                "synthetic_scenes_path",
                "sensor_config",
            }
        ),
        sensor_members=SENSORS | SENSOR_METHODS,
        scripts=COMMON_SCRIPTS | {"run_create_submission_pickle_challenge", "run_pdm_score_one_stage"},
    ),
}


@lru_cache(maxsize=1)
def detect_host() -> Host:
    """Find the devkit on the path, and warn once where its API is not that of a release.

    Raises:
        DevkitError: another package has the name ``navsim``, or the devkit cannot be imported.
    """
    location = find_navsim()
    if location is None:
        return Host(Variant.NONE)
    marks = read_marks(location)
    variant = variant_of(marks.agent_arguments)
    host = Host(variant, location, api_differences(marks, RELEASES[variant]))
    if host.is_fork:
        logger.warning(
            "navsim at %s is a fork: served as %s, from which it differs by %s. "
            "Scores of forks are not comparable with the release's.",
            location,
            variant.value,
            "; ".join(host.differences),
        )
    return host


def variant_of(agent_arguments: frozenset[str]) -> Variant:
    """The version whose ``AbstractAgent`` takes these arguments."""
    return Variant.V2_2 if "trajectory_sampling" in agent_arguments else Variant.V1_1


def variant_of_source(location: Path) -> Variant:
    """The version of the package ``navsim`` at ``location``, read from its source without an import; NONE if none."""
    path = location / "agents" / "abstract_agent.py"
    if not path.is_file():
        return Variant.NONE
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return variant_of(frozenset(argument.arg for argument in node.args.args))
    return Variant.NONE


def find_navsim() -> Optional[Path]:
    """Folder of the package ``navsim``; None where there is none, or only a bare folder of that name."""
    spec = importlib.util.find_spec("navsim")
    if spec is None or spec.origin is None:
        return None
    location = Path(spec.origin).parent
    if not (location / "agents" / "abstract_agent.py").is_file():
        raise DevkitError(
            f"the package 'navsim' at {location} is not the NAVSIM devkit: it has no agents/abstract_agent.py. "
            "A package registry has an unrelated project of that name: run 'pip uninstall navsim', "
            f"then install the devkit from its repository ({INSTALLATION_PAGE})"
        )
    return location


def read_marks(location: Path) -> ApiMarks:
    """Import the devkit's interface from ``location`` and list its marks."""
    try:
        agent = importlib.import_module("navsim.agents.abstract_agent").AbstractAgent
        loader = importlib.import_module("navsim.common.dataloader").SceneLoader
        sensors = importlib.import_module("navsim.common.dataclasses").SensorConfig
    except (ImportError, AttributeError) as error:
        raise DevkitError(
            f"the NAVSIM devkit at {location} cannot be imported ({type(error).__name__}: {error}); install its own "
            f"requirements and nuplan-devkit 1.2 first ({INSTALLATION_PAGE}), then check with "
            "'drive-jepa doctor'"
        ) from error
    return ApiMarks(
        agent_arguments=argument_names(agent),
        loader_arguments=argument_names(loader),
        sensor_members=frozenset(public_names(sensors)),
        scripts=frozenset(path.stem for path in (location / "planning" / "script").glob("run_*.py")),
    )


def argument_names(cls: type) -> frozenset[str]:
    """Arguments of the constructor, less ``self``."""
    return frozenset(inspect.signature(cls.__init__).parameters) - {"self"}  # type: ignore[misc]


def public_names(cls: type) -> set[str]:
    """Fields and members whose names do not start with an underscore."""
    names = set(vars(cls)) | set(getattr(cls, "__dataclass_fields__", {}))
    return {name for name in names if not name.startswith("_")}


def api_differences(found: ApiMarks, release: ApiMarks) -> tuple[str, ...]:
    """What ``found`` has more or less than ``release``, one phrase a mark."""
    differences = []
    for mark in ("agent_arguments", "loader_arguments", "sensor_members", "scripts"):
        have, want = getattr(found, mark), getattr(release, mark)
        signs = [f"+{name}" for name in sorted(have - want)] + [f"-{name}" for name in sorted(want - have)]
        if signs:
            differences.append(f"{mark.replace('_', ' ')} {' '.join(signs)}")
    return tuple(differences)
