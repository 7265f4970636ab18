"""Multimodal trajectory distillation: the vocabulary, its labels, and the pseudo-teachers drawn from them."""

from navsim_agents.distillation.label_codec import LabelLayout
from navsim_agents.distillation.label_stamp import LabelStamp, scenes_digest
from navsim_agents.distillation.label_store import LabelStore
from navsim_agents.distillation.label_writer import LabelStoreWriter, ShardContent, ShardPlan
from navsim_agents.distillation.teachers import (
    pad_rows,
    sample_teachers,
    sample_teachers_per_stage,
    scene_generator,
    scenes_without_teachers,
    teacher_poses,
    teacher_rows,
)
from navsim_agents.distillation.vocabulary import Vocabulary, load_vocabulary, resample, save_vocabulary

__all__ = [
    "LabelLayout",
    "LabelStamp",
    "LabelStore",
    "LabelStoreWriter",
    "ShardContent",
    "ShardPlan",
    "Vocabulary",
    "load_vocabulary",
    "pad_rows",
    "resample",
    "sample_teachers",
    "sample_teachers_per_stage",
    "save_vocabulary",
    "scene_generator",
    "scenes_digest",
    "scenes_without_teachers",
    "teacher_poses",
    "teacher_rows",
]
