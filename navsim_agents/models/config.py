"""Settings of the planners' networks and losses. Imports nothing heavy: Hydra reads these defaults at each start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Optional

from navsim_agents.common.conventions import NUM_POSES, STEPS_PER_POSE
from navsim_agents.errors import InputError

TIMM_PREFIX = "timm:"
"""Before timm's name of a network, in the name of an encoder."""
ENTRIES = ("ema_encoder", "target_encoder", "encoder")
"""Of a V-JEPA checkpoint, what may hold an encoder; the first that a file has is read unless another is asked for."""
TIMMS, TRANSFORMERS = RESAMPLINGS = ("timm", "transformers")
"""Whose way of resampling a table of positions: with antialiasing, or without."""
TRAJECTORY_LOSS_NAMES = ("length_normalised_l1", "mse")
TEACHER_REDUCTIONS = ("mean", "sum")
OF_QUERIES, OF_TRAJECTORIES = SCORERS = ("queries", "trajectories")
WHOLE, PARTS = FORESEEN = ("score", "sub_scores")
NO_RANKING, LIST_WISE, PAIR_WISE = RANKINGS = ("none", "list_wise", "pair_wise")


Grid = tuple[int, int]
"""Rows and columns of patches."""


class PositionReading(NamedTuple):
    """How a file's table of positions is read for pictures of another size; of timm's encoders alone."""

    resampling: str = TIMMS
    grid: Optional[Grid] = None  # that it was learnt on; None: a square, or the network's own


USUAL_READING = PositionReading()


def require_one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a ``value`` that is not one of ``choices``.

    Raises:
        InputError: it is not.
    """
    if value not in choices:
        raise InputError(f"{name}={value!r} must be one of {', '.join(choices)}")


def require_positive(**sizes: int) -> None:
    """Refuse sizes below 1.

    Raises:
        InputError: one of them is.
    """
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"{name}={size} must be at least 1")


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes that both planners have."""

    model_dim: int = 256
    num_heads: int = 8
    ffn_dim: int = 1024
    dropout: float = 0.0

    def __post_init__(self) -> None:
        require_positive(model_dim=self.model_dim, num_heads=self.num_heads, ffn_dim=self.ffn_dim)
        if self.model_dim % self.num_heads:
            raise InputError(f"model_dim={self.model_dim} must be a multiple of num_heads={self.num_heads}")
        if not 0.0 <= self.dropout < 1.0:
            raise InputError(f"dropout={self.dropout} must be in [0, 1)")


@dataclass(frozen=True)
class PlannerConfig(TransformerConfig):
    """The perception-free planner behind the video encoder."""

    num_layers: int = 3  # of the transformer's encoder and of its decoder
    num_poses: int = NUM_POSES
    sees_motion: bool = True  # false: of the status the command alone, so that pictures must tell how the ego moves

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(num_layers=self.num_layers, num_poses=self.num_poses)


@dataclass(frozen=True)
class ProposalConfig(TransformerConfig):
    """The full planner behind its backbone."""

    num_proposals: int = 32
    num_stages: int = 4  # refinements by one and the same refiner
    related_queries: bool = False  # queries start as code of proposal + code of waypoint; released: independent
    metres_per_unit: float = 1.0  # of the decoder's answer; more lets short trainings reach far poses, released: 1
    radians_per_unit: float = 1.0  # as metres_per_unit, of headings
    decodes_steps: bool = False  # the decoder answers with steps from pose to pose; released: with poses
    scorer: str = OF_QUERIES  # what a score is read of: refined queries (released), or trajectories, whosever they are
    scorer_layers: int = 2  # of scorer=trajectories
    scorer_is_detached: bool = False  # scores teach the scorer alone, neither queries nor the pictures' features
    scorer_has_backbone: bool = False  # scorer=trajectories sees pictures through a backbone that scores alone teach
    foresees: str = WHOLE  # the score (released), or sub_scores, put together as the metric does

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(num_proposals=self.num_proposals, num_stages=self.num_stages, scorer_layers=self.scorer_layers)
        require_one_of("scorer", self.scorer, SCORERS)
        require_one_of("foresees", self.foresees, FORESEEN)
        if self.scorer_has_backbone and (self.scorer != OF_TRAJECTORIES or self.scorer_is_detached):
            raise InputError(
                f"scorer_has_backbone=true with scorer={self.scorer} and scorer_is_detached={self.scorer_is_detached}, "
                f"but a backbone of its own is the scorer of trajectories' and learns from scores; set "
                f"scorer={OF_TRAJECTORIES} and scorer_is_detached=false"
            )
        if self.model_dim % 2:
            raise InputError(f"model_dim={self.model_dim} must be even: one half codes proposals, one waypoints")
        for name in ("metres_per_unit", "radians_per_unit"):
            if not getattr(self, name) > 0.0:
                raise InputError(f"{name}={getattr(self, name)} must be positive")


@dataclass(frozen=True)
class PlanSampling:
    """Poses of a plan, and simulated states that the full planner's auxiliary heads foresee for each.

    NAVSIM's planners have the default; Bench2Drive's foresee 1 state of each of 6 poses, and are scored as they go on.
    """

    num_poses: int = NUM_POSES
    steps_per_pose: int = STEPS_PER_POSE

    def __post_init__(self) -> None:
        require_positive(num_poses=self.num_poses, steps_per_pose=self.steps_per_pose)

    @property
    def num_steps(self) -> int:
        """Simulated states that the auxiliary heads foresee."""
        return self.num_poses * self.steps_per_pose


NAVSIM_SAMPLING = PlanSampling()
BENCH2DRIVE_SAMPLING = PlanSampling(num_poses=6, steps_per_pose=1)


@dataclass(frozen=True)
class Quirks:
    """What exists only because released weights saw it in training; none of it is in the paper."""

    tiled_pillar: bool = False  # corner i at height i only; else every corner at every height, as the paper means it
    padded_reference_picture: bool = False  # points are looked up in the uncropped picture, padded below
    skip_when_invisible: bool = False  # a scene with no query in any picture gets nothing, not even the bias
    swapped_channels: bool = False  # four cameras: red and blue change places


QUIRKS_OF_RELEASED_VIT_L = Quirks(tiled_pillar=True, padded_reference_picture=True, skip_when_invisible=True)
QUIRKS_OF_RELEASED_RESNET34 = Quirks(tiled_pillar=True, padded_reference_picture=True, swapped_channels=True)
RELEASED_VIT_L = ProposalConfig()
RELEASED_RESNET34 = ProposalConfig(num_proposals=64)
"""Sizes of the released checkpoints of NAVSIM v1; of v2, ResNet34 has 32 proposals."""


@dataclass(frozen=True)
class ProposalLossConfig:
    """Weights of the full planner's loss terms, and the form of the first."""

    trajectory_weight: float = 1.0
    score_weight: float = 1.0
    area_weight: float = 2.0
    collision_validity_weight: float = 1.0
    collision_corners_weight: float = 0.1
    stage_decay: float = 0.1  # the weight of a stage beside that of the next one
    teacher_weight: float = 0.5  # of a scene's pseudo-teachers beside its human
    teacher_reduction: str = "mean"  # over a scene's drawn teachers; the paper has their sum
    sub_score_weight: float = 1.0  # of planner.foresees=sub_scores: each sub-score's own cross-entropy
    given_weight: float = 1.0  # of the same terms for teachers.scored, beside those of the proposals
    ranking: str = NO_RANKING  # the order of a scene's scores too: list_wise or pair_wise
    ranking_weight: float = 1.0
    ranking_temperature: float = 0.1  # in units of the score

    def __post_init__(self) -> None:
        weights = [name for name in self.__dataclass_fields__ if name.endswith("_weight")]
        for name in (*weights, "stage_decay"):
            if not getattr(self, name) >= 0.0:
                raise InputError(f"{name}={getattr(self, name)} must not be negative; 0 switches its term off")
        require_one_of("teacher_reduction", self.teacher_reduction, TEACHER_REDUCTIONS)
        require_one_of("ranking", self.ranking, RANKINGS)
        if not self.ranking_temperature > 0.0:
            raise InputError(f"ranking_temperature={self.ranking_temperature} must be positive")


PAPER_LOSSES = ProposalLossConfig(
    collision_validity_weight=0.1, collision_corners_weight=1.0, teacher_weight=1.0, teacher_reduction="sum"
)
"""As the paper writes them."""
