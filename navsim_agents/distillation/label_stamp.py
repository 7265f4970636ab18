"""What the labels of a store are: whose rules, which vocabulary, which numbers; written once, compared at every run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Optional

from navsim_agents.distillation.label_codec import LabelLayout
from navsim_agents.distillation.vocabulary import Vocabulary
from navsim_agents.errors import LabelError, TrajectoryError
from navsim_agents.scoring.config import LOG_REPLAY, METRICS, refuse_traffic

STORE_VERSION = 1
UNSAID = {"traffic": LOG_REPLAY}
"""Values that the text leaves out, so that stores of earlier releases are read, and continued with the same bytes."""


@dataclass(frozen=True)
class LabelStamp:
    """Everything that decides the bytes of a label store."""

    devkit: str  # v1.1 or v2.2: whose rules the scenes were built with
    metric: str  # pdms, or epdms without extended comfort
    backend: str  # batched, or devkit
    dtype: str  # of the scorer
    vocabulary_digest: str
    num_trajectories: int  # V
    interval_s: float  # of the scored plans
    threshold: float
    package_version: str
    scenes_digest: str  # of scenes_digest(): which scenes, and where it is known what is in them
    num_scenes: int
    shard_size: int  # scenes a shard
    verified: int = 0  # trajectories of each scene that were compared with the devkit's own scorer
    seed: int = 0  # of their choice
    traffic: str = LOG_REPLAY  # or reactive: each trajectory was scored in the traffic that it meets
    store_version: int = STORE_VERSION

    def __post_init__(self) -> None:
        """Raises LabelError where a size is not positive, or metric, threshold or traffic is not valid."""
        for name in ("num_trajectories", "num_scenes", "shard_size"):
            if getattr(self, name) < 1:
                raise LabelError(f"{name} is {getattr(self, name)}, but a label store needs 1 or more; raise it")
        LabelLayout(self.metric, self.num_trajectories, self.threshold)
        try:
            refuse_traffic(self.traffic, METRICS[self.metric])
        except TrajectoryError as error:
            raise LabelError(str(error)) from error

    @property
    def layout(self) -> LabelLayout:
        """How a scene's labels are stored."""
        return LabelLayout(self.metric, self.num_trajectories, self.threshold)

    @property
    def num_shards(self) -> int:
        """Shards of the complete store."""
        return -(-self.num_scenes // self.shard_size)

    def to_json(self) -> str:
        """The same text for the same stamp; as before there was reactive traffic, log replay goes without saying."""
        values = {name: value for name, value in asdict(self).items() if UNSAID.get(name) != value}
        return json.dumps(values, indent=2, sort_keys=True) + "\n"

    @staticmethod
    def from_json(text: str) -> LabelStamp:
        """Raises LabelError where the text is not a stamp, or is of another version."""
        try:
            found = json.loads(text)
        except ValueError as error:
            raise LabelError(f"the stamp is not JSON ({error}); delete the store and make it again") from error
        version = found.get("store_version") if isinstance(found, dict) else None
        names = {field.name for field in fields(LabelStamp)}
        if version != STORE_VERSION or set(found) | set(UNSAID) != names:
            raise LabelError(
                f"the store has version {version}, but {STORE_VERSION} is read; make it again with "
                "drive-jepa score-vocabulary"
            )
        return LabelStamp(**found)

    def differences(self, other: LabelStamp) -> list[str]:
        """A phrase for each field in which ``other`` differs."""
        mine, theirs = asdict(self), asdict(other)
        return [f"{name}: {mine[name]} there, {theirs[name]} now" for name in mine if mine[name] != theirs[name]]

    def check(self, vocabulary: Optional[Vocabulary], metric: Optional[str], where: Any) -> None:
        """Raises LabelError unless the labels are those of ``vocabulary`` and ``metric`` (None: any)."""
        if metric is not None and metric != self.metric:
            raise LabelError(
                f"{where} holds labels of {self.metric}, but metric={metric} is wanted; give metric={self.metric}, "
                f"or a store made with drive-jepa score-vocabulary metric={metric}"
            )
        if vocabulary is not None and vocabulary.digest != self.vocabulary_digest:
            raise LabelError(
                f"{where} holds labels of the vocabulary {self.vocabulary_digest[:12]} ({self.num_trajectories} "
                f"trajectories), but {vocabulary.digest[:12]} ({len(vocabulary)}) is given; labels fit no other "
                "vocabulary than their own: give that one, or make labels for this one"
            )


def scenes_digest(tokens: Iterable[str], checksums: Optional[Mapping[str, int]] = None) -> str:
    """SHA-256 of the tokens in sorted order, each with the CRC-32 of its scene where ``checksums`` are given."""
    lines = [token if checksums is None else f"{token} {checksums[token]:08x}" for token in sorted(tokens)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
