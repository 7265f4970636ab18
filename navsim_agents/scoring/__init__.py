"""The batched scorer: every PDMS and EPDMS sub-score of NAVSIM, for any number of trajectories and scenes."""

from navsim_agents.scoring.aggregate import epdms, excuse_by_human
from navsim_agents.scoring.packed import pack_scene, packed_size, unpack_scenes
from navsim_agents.scoring.packed_text import PackedText, stack_texts
from navsim_agents.scoring.rules.comfort import extended_comfort, plan_difference
from navsim_agents.scoring.scene import ScoringScene
from navsim_agents.scoring.scene_store import SceneStore, SceneStoreWriter, merge_stores
from navsim_agents.scoring.score import Scores, score_batch, score_scenes, score_trajectories

__all__ = [
    "PackedText",
    "SceneStore",
    "SceneStoreWriter",
    "ScoringScene",
    "Scores",
    "epdms",
    "excuse_by_human",
    "extended_comfort",
    "merge_stores",
    "pack_scene",
    "packed_size",
    "plan_difference",
    "score_batch",
    "score_scenes",
    "score_trajectories",
    "stack_texts",
    "unpack_scenes",
]
