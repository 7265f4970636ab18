"""Drive-JEPA for NAVSIM: agents, their video encoder, the scorer, labels, a built-in world.

What Python code may build on is listed in ``__all__`` and explained in docs/api.md; it is imported when it is first
asked for. Everything else may change.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from navsim_agents.data.logs import SceneLoader, sensors_of
    from navsim_agents.distillation import LabelStore, Vocabulary, load_vocabulary
    from navsim_agents.drive_jepa.runs import load_agent, plan
    from navsim_agents.drive_jepa.selection import Choice
    from navsim_agents.errors import NavsimDriveJepaError
    from navsim_agents.models.encoders import load_encoder
    from navsim_agents.models.pictures import PixelNormalize
    from navsim_agents.models.video_encoder import VideoEncoder
    from navsim_agents.reward import RewardPool
    from navsim_agents.scenes import open_scenes
    from navsim_agents.scoring import SceneStore, ScoringScene, score_scenes, score_trajectories
    from navsim_agents.scoring.diversity import diversity

__all__ = [
    "Choice",
    "LabelStore",
    "NavsimDriveJepaError",
    "PixelNormalize",
    "RewardPool",
    "SceneLoader",
    "SceneStore",
    "ScoringScene",
    "VideoEncoder",
    "Vocabulary",
    "diversity",
    "load_agent",
    "load_encoder",
    "load_vocabulary",
    "open_scenes",
    "plan",
    "score_scenes",
    "score_trajectories",
    "sensors_of",
]

_PLACES = {
    "data.logs": ("SceneLoader", "sensors_of"),
    "distillation": ("LabelStore", "Vocabulary", "load_vocabulary"),
    "drive_jepa.runs": ("load_agent", "plan"),
    "drive_jepa.selection": ("Choice",),
    "errors": ("NavsimDriveJepaError",),
    "models.encoders": ("load_encoder",),
    "models.pictures": ("PixelNormalize",),
    "models.video_encoder": ("VideoEncoder",),
    "reward": ("RewardPool",),
    "scenes": ("open_scenes",),
    "scoring": ("SceneStore", "ScoringScene", "score_scenes", "score_trajectories"),
    "scoring.diversity": ("diversity",),
}


def __getattr__(name: str) -> Any:
    for place, names in _PLACES.items():
        if name in names:
            value = getattr(import_module(f"{__name__}.{place}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; docs/api.md lists what it offers")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
