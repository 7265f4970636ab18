"""What NAVSIM fixes is defined once: a search for second definitions, and what the numbers must agree with."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from navsim_agents.common import conventions
from navsim_agents.data.types import Cameras
from navsim_agents.scoring.axes import Vehicle
from navsim_agents.scoring.config import METRICS
from navsim_agents.world.camera.calibration import default_cameras
from navsim_agents.world.fleet import EGO_BODY

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("navsim_agents", "cache_tools", "training", "hydra_plugins")
HERE = "navsim_agents/common/conventions.py"

# What a definition looks like in code, and the files that may hold one.
DEFINITIONS = {
    "half a second": (r"(?i)\b\w*(interval|frame|step|pose|plan)\w*(: float)? = 0?\.50*\b", {HERE}),
    "a tenth of a second": (r"(?i)\b\w*(interval|frame|step|pose|plan)\w*(: float)? = (0?\.10*|1e-1)\b", {HERE}),
    "seconds in a tuple": (r"^[A-Z_0-9, ]*(_S, |, \w*_S )[A-Z_0-9, ]*= .*\b0\.[15]\b", set()),
    "a step in microseconds": (r"\b100_?000\b", {HERE}),
    "the horizon": (r"(?i)\w*horizon\w*(: float)? = 4(\.0*)?\b", {HERE}),
    "planned poses": (r"(?i)\b\w*num_(poses|planned)\w*(: int)? = 8\b|^[A-Z_]*POSES[A-Z_, ]* = 8\b", {HERE}),
    "simulated states and steps": (r"(?i)\b\w*(states|columns|steps|samples)\w*(: int)? = 4[01]\b", {HERE}),
    "columns of a state": (r"(?i)\b\w*columns\w*(: int)? = 11\b", set()),
    "steps a pose": (r"(?i)\b\w*(steps|states|stride)\w*(: int)? = 5\b", {HERE}),
    "frames of a scene": (r"(?i)\bnum_(history|future)_frames\w*(: int)? = \d", {HERE}),
    "frames of a clip": (r"\bNUM_(CLIP_)?FRAMES\w* = 2\b|HISTORY_FRAMES = \(", {HERE}),
    "the vehicle": (r"\b(5\.176|2\.588|2\.297|1\.1485|1\.777|1\.461|3\.089|4\.049|1\.127)\b", {HERE}),
    "driving commands": (r"[\"']left[\"'], [\"']straight[\"']|\bNUM_COMMANDS = 4", {HERE}),
    "the size of a picture": (r"\b(1920|1080)\b", {HERE}),
    "a cosine schedule": (r"cos\(math\.pi \*", {"navsim_agents/common/annealing.py"}),
    # Beside the definition: where the world's cameras sit, and which of them are looked at.
    "camera names": (
        r"[\"']cam_[flrb]\d[\"']",
        {
            HERE,
            "navsim_agents/models/four_cameras.py",
            "navsim_agents/world/camera/calibration.py",
            "navsim_agents/world/config.py",
        },
    ),
    # Beside the definition: the name of a public function.
    "metric names": (r"[\"']e?pdms[\"']", {HERE, "navsim_agents/scoring/__init__.py"}),
}


@cache
def code_of(path: Path) -> list[str]:
    """Lines of a module without comments and docstrings."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)
    return lines


def files_with(pattern: str) -> dict[str, list[str]]:
    """Matching lines of every file of ours."""
    found: dict[str, list[str]] = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            lines = [line.strip() for line in code_of(path) if re.search(pattern, line)]
            if lines:
                found[path.relative_to(ROOT).as_posix()] = lines
    return found


@pytest.mark.parametrize("what", DEFINITIONS)
def test_there_is_no_second_definition_of(what: str) -> None:
    pattern, allowed = DEFINITIONS[what]
    found = files_with(pattern)
    strangers = {path: lines for path, lines in found.items() if path not in allowed}
    assert strangers == {}, f"import it from {HERE}"
    assert set(found) == allowed, "the pattern no longer finds what it looks for"


def imported_names(path: Path) -> set[tuple[str, str]]:
    """(module, name) of every ``from … import …`` of ours."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    return {(node.module or "", alias.name) for node in imports for alias in node.names}


def test_conventions_are_imported_from_their_home() -> None:
    """Nobody hands them on: whoever reads an import sees where the number stands."""
    home, ours = conventions.__name__, ("navsim_agents", "cache_tools", "training", "tests", "benchmarks", "examples")
    strangers = [
        f"{path.relative_to(ROOT)}: {name} from {module}"
        for folder in ours
        for path in sorted((ROOT / folder).rglob("*.py"))
        for module, name in sorted(imported_names(path))
        if name.isupper() and hasattr(conventions, name) and module != home and module.startswith(ours)
    ]
    assert strangers == []


def test_conventions_import_nothing() -> None:
    imports = [node for node in ast.walk(ast.parse(Path(conventions.__file__).read_text())) if is_import(node)]
    assert imports == []


def is_import(node: ast.AST) -> bool:
    is_future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
    return isinstance(node, (ast.Import, ast.ImportFrom)) and not is_future


def test_numbers_that_follow_from_others_do() -> None:
    c = conventions
    assert c.NUM_POSES * c.POSE_INTERVAL_S == c.HORIZON_S == round(c.NUM_STEPS * c.STEP_S, 9)
    assert round(c.POSE_INTERVAL_S / c.STEP_S, 9) == c.STEPS_PER_POSE
    assert c.STEP_S * 1e6 == c.STEP_US
    assert round(c.FRAME_INTERVAL_S / c.WORLD_STEP_S, 9) == 5  # so a drive has a frame at every fifth step


def test_the_vehicle_is_nuplans() -> None:
    """nuplan.common.actor_state.vehicle_parameters.get_pacifica_parameters, written down again."""
    width, front, rear, wheel_base, height = 1.1485 * 2.0, 4.049, 1.127, 3.089, 1.777
    wanted = ((front + rear) / 2, width / 2, (front + rear) / 2 - rear, wheel_base)
    assert pytest.approx(wanted, abs=1e-12) == conventions.EGO_MEASURES_M
    assert (EGO_BODY.front_m, EGO_BODY.rear_m) == pytest.approx((front, rear), abs=1e-12)
    assert (EGO_BODY.height_m, len(Vehicle)) == (height, len(conventions.EGO_MEASURES_M))


def test_names_are_those_of_their_tables() -> None:
    assert tuple(field.name for field in fields(Cameras)) == conventions.CAMERA_NAMES == tuple(default_cameras())
    assert tuple(METRICS) == conventions.METRIC_NAMES
    assert conventions.FRONT_CAMERA in conventions.CAMERA_NAMES
