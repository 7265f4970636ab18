"""Rules that a scene's fields of reactive traffic keep, where it has them."""

from __future__ import annotations

import torch

from navsim_agents.errors import SceneError
from navsim_agents.scoring.scene_fields import FIELDS, SceneFields
from navsim_agents.scoring.traffic.roles import Role

NEEDED = tuple(name for name, row in FIELDS.items() if name.startswith(("traffic_", "ignored_track_")))
TENSORS = tuple(name for name in NEEDED if FIELDS[name].default is None)
MIN_POINTS = 2
NUM_SHOWN = 3
WAY_OUT = "export the scene again"


def require_traffic(scene: SceneFields) -> None:
    """Raises SceneError unless the scene has all that reactive traffic needs."""
    missing = [name for name in TENSORS if getattr(scene, name) is None]
    if missing:
        names = ", ".join(missing[:NUM_SHOWN]) + (f", … ({len(missing)} fields)" if len(missing) > NUM_SHOWN else "")
        raise SceneError(
            f"scene {scene.token} lacks {names}, but reactive traffic needs them; export its v2.2 metric cache again "
            "with traffic=true, where the devkit's map is, write those of a world again, or take traffic=log_replay"
        )


def check_traffic(scene: SceneFields) -> None:
    """Raises SceneError at the first rule that the traffic breaks."""
    role, size, offsets = scene.traffic_role, scene.traffic_size, scene.traffic_path_offsets
    if role is not None and len(strange := torch.nonzero((role < min(Role)) | (role > max(Role)))):
        row, rule = int(strange[0][0]), f"must be of {', '.join(map(repr, Role))}"
        raise SceneError(f"traffic_role of vehicle {row} is {int(role[row])}, but {rule}; {WAY_OUT}")
    if size is not None and len(strange := torch.nonzero(~(size > 0).all(-1))):
        row, rule = int(strange[0][0]), "vehicles must be larger than 0 by 0"
        raise SceneError(f"traffic_size of vehicle {row} is {size[row].tolist()} m, but {rule}; {WAY_OUT}")
    if offsets is not None and scene.traffic_path_poses is not None:
        _check_offsets(offsets, len(scene.traffic_path_poses))
        _check_paths(scene, offsets)


def _check_offsets(offsets: torch.Tensor, num_points: int) -> None:
    if int(offsets[0]) != 0 or int(offsets[-1]) != num_points or not bool((torch.diff(offsets) >= 0).all()):
        raise SceneError(
            f"traffic_path_offsets go from {int(offsets[0])} to {int(offsets[-1])}, but must rise from 0 to the number "
            f"of points, {num_points}, with no step back; {WAY_OUT}"
        )


def _check_paths(scene: SceneFields, offsets: torch.Tensor) -> None:
    """Who reacts has a path that leads on, and a speed to drive at."""
    role, progress, wanted = scene.traffic_role, scene.traffic_path_progress, scene.traffic_wanted_speed
    if role is None or progress is None or wanted is None:
        return
    for row in torch.nonzero(role == Role.REACTS)[:, 0].tolist():
        along = progress[int(offsets[row]) : int(offsets[row + 1])]
        stops = torch.nonzero(torch.diff(along) <= 0)[:, 0].tolist()
        if len(along) < MIN_POINTS or stops:
            where = f", {float(along[stops[0]])} m and then {float(along[stops[0] + 1])} m" if stops else ""
            raise SceneError(
                f"the path of vehicle {row} of traffic has {len(along)} points{where}, but who reacts needs "
                f"{MIN_POINTS} points of rising progress; {WAY_OUT}"
            )
        if float(wanted[row]) <= 0:
            raise SceneError(
                f"traffic_wanted_speed of vehicle {row} is {float(wanted[row])} m/s, but who reacts must want to move; "
                f"{WAY_OUT}"
            )
