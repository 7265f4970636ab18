"""Settings of the clips that pretraining sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from navsim_agents.common.settings import READS, read_settings
from navsim_agents.errors import VideoError


@dataclass(frozen=True)
class DataSetConfig:
    """One data set of the mixture."""

    manifest: str = field(metadata=READS)  # file of `drive-jepa index-videos`
    root: str = field(metadata=READS)  # the manifest's paths are relative to it
    weight: float = 1.0  # share of the clips, relative to the other data sets'
    cropped_rows: int = 0  # px cut at the top and at the bottom; 28 shows NAVSIM's cameras as the planners see them

    def __post_init__(self) -> None:
        if self.weight <= 0 or self.cropped_rows < 0:
            raise VideoError(
                f"weight={self.weight} must be positive and cropped_rows={self.cropped_rows} not negative; "
                "to leave a data set out, take it out of data_sets"
            )


@dataclass(frozen=True)
class ClipDataConfig:
    """Clips of driving videos; the defaults are the paper's (8 frames at 2 Hz, 512 x 256, plain full-frame resize).

    Its mixture is openscene 0.5, covla 0.2, drivingdojo 0.3 (the first author, in the issues of the released code).
    """

    data_sets: dict[str, DataSetConfig] = field(default_factory=dict)  # by the name in the manifest
    num_frames: int = 8
    fps: float = 2.0  # frames of a clip a second
    height: int = 256  # px
    width: int = 512
    clips_per_epoch: int = 0  # of all processes together; 0: as many as the videos hold without overlap
    keep_frames: bool = False  # every reader keeps in memory what it has read, cropped and resized: for small data sets

    def __post_init__(self) -> None:
        for name in ("num_frames", "fps", "height", "width"):
            if getattr(self, name) <= 0:
                raise VideoError(f"{name}={getattr(self, name)} must be positive")
        if self.clips_per_epoch < 0:
            raise VideoError(f"clips_per_epoch={self.clips_per_epoch} must be 0 (all there are) or more")

    @classmethod
    def of(cls, settings: Union[ClipDataConfig, Mapping[str, Any]]) -> ClipDataConfig:
        """Make a config of YAML's ``settings``; what they leave out keeps its default, a misspelt key is refused."""
        return settings if isinstance(settings, ClipDataConfig) else read_settings(cls, settings)

    @property
    def span_s(self) -> float:
        """From a clip's first frame to its last."""
        return (self.num_frames - 1) / self.fps
