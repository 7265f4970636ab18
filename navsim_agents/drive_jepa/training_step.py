"""One training step of the full planner: labels, teachers, loss, and what is logged beside it.

Labels are made in the step by the batched scorer, on the model's device. Like the released code's process pool, it says
of each proposal the simulator's score, the areas that its simulated states are in, and the two agents that spoil it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

import torch
from torch import Tensor

from navsim_agents.common.boxes import box_corners
from navsim_agents.common.conventions import HORIZON_S, NUM_POSES, POSE_INTERVAL_S, STEPS_PER_POSE
from navsim_agents.distillation.teachers import (
    sample_teachers,
    sample_teachers_per_stage,
    scene_generator,
    scenes_without_teachers,
    teacher_poses,
)
from navsim_agents.drive_jepa.continued import continued
from navsim_agents.drive_jepa.given import GivenDraw, GivenScores, Judge, metric_form
from navsim_agents.drive_jepa.label_source import open_vocabulary
from navsim_agents.drive_jepa.proposal_config import PER_STAGE, ProposalAgentConfig
from navsim_agents.drive_jepa.record import Key, StepRecord
from navsim_agents.drive_jepa.scene_targets import SCORING_SCENE, TEACHERS
from navsim_agents.drive_jepa.targets import TRAJECTORY
from navsim_agents.errors import InputError
from navsim_agents.models.config import NAVSIM_SAMPLING, NO_RANKING, PARTS, PlanSampling, ProposalLossConfig
from navsim_agents.models.losses import (
    RANKING_LOSSES,
    area_loss,
    collision_loss,
    displacement,
    score_loss,
    sub_score_loss,
    trajectory_and_distillation_loss,
    weighted_total,
)
from navsim_agents.models.proposals import ProposalOutput
from navsim_agents.models.score_form import ScoreForm
from navsim_agents.scoring.aggregate import SCORE, SUB_SCORES
from navsim_agents.scoring.axes import POSITION, EgoArea, State
from navsim_agents.scoring.packed import unpack_scenes
from navsim_agents.scoring.packed_text import stack_texts
from navsim_agents.scoring.scene_batch import SceneBatch
from navsim_agents.scoring.score import Scores, score_batch

Terms = dict[str, Tensor]

AREAS = (EgoArea.NON_DRIVABLE, EgoArea.ONCOMING)
"""Order of the area head's two answers (released code)."""


@dataclass(frozen=True)
class ProposalLabels:
    """B scenes of N proposals; S' = 40 steps after now, 0.1 s apart (NAVSIM), or one a pose; A = 2 key agents."""

    sub_scores: dict[str, Tensor]  # [B, N] under the devkit's names
    score: Tensor  # [B, N] the simulator's score, 0 to 1
    areas: Tensor  # [B, N, S', 2] bool: off the drivable area, off the route
    corners: Tensor  # [B, N, A, S', 4, 2] corners of the agent's box [m], ego frame of now
    is_valid: Tensor  # [B, N, A, S'] bool: the agent is there, and its collision is not over

    def stacked(self, form: Optional[ScoreForm]) -> Optional[Tensor]:
        """Sub-scores [B, N, K] in the order of ``form``; None without one."""
        return None if form is None else form.stacked(self.sub_scores).float()


class ProposalLoss:
    """The full planner's loss, and the record of the step that it was computed in."""

    def __init__(self, config: ProposalAgentConfig, sampling: PlanSampling = NAVSIM_SAMPLING) -> None:
        """Take what a step needs of ``config``; plans are sampled as ``sampling`` says."""
        self.sampling = sampling
        self.metric, self.weights, self.seed = config.scored_metric, config.losses, config.seed
        self.teachers = TeacherDraw.of(config, sampling.num_poses) if config.teachers.distils else None
        self.given = GivenDraw.of(config, sampling.num_poses)
        self.form = metric_form(config.scored_metric) if config.planner.foresees == PARTS else None

    def __call__(
        self, output: ProposalOutput, targets: Mapping[str, Any], key: Key, judge: Optional[Judge] = None
    ) -> tuple[Tensor, StepRecord]:
        """The weighted terms of the paper's section 3.4; beside them what the simulator says of the proposals.

        Args:
            output: of the planner.
            targets: of the agent's builders, collated.
            key: names the step, and decides what is drawn in it.
            judge: scores other trajectories of these scenes; without it none are scored beside the proposals.
        """
        human, device = targets[TRAJECTORY], output.final.device
        packed = packed_batch(targets[SCORING_SCENE], device)
        labels = label_proposals(packed, output.final, self.metric, sampling=self.sampling)
        drawn = None if self.teachers is None else self.teachers(targets[TEACHERS], key)
        scored = score_terms(output.score_logits, labels.score, labels.stacked(self.form), self.weights)
        if self.given is not None and judge is not None:
            scored["given"] = self._given_loss(self.given(targets, key), judge)
        total, terms = step_loss(output, human, labels, drawn, self.weights, scored)
        terms = {**terms, **step_metrics(output, human, labels)}
        record = StepRecord(
            terms={name: value.detach() for name, value in terms.items()},
            proposals=output.final.detach(),
            scenes_without_teachers=0 if drawn is None else scenes_without_teachers(targets[TEACHERS]),
        )
        return total, record

    def _given_loss(self, given: GivenScores, judge: Judge) -> Tensor:
        """The proposals' terms of the score, weighted, for trajectories of the vocabulary."""
        parts = None if self.form is None else given.sub_scores
        return weighted_total(score_terms(judge(given.trajectories), given.score, parts, self.weights), self.weights)


@dataclass(frozen=True)
class TeacherDraw:
    """Draws the pseudo-teachers of a step."""

    vocabulary: str  # path
    number: int  # of a scene, and with num_stages of each stage
    num_stages: Optional[int]  # None: all stages have the same
    seed: int
    num_poses: int = NUM_POSES

    @classmethod
    def of(cls, config: ProposalAgentConfig, num_poses: int = NUM_POSES) -> TeacherDraw:
        """As ``config`` says."""
        teachers = config.teachers
        num_stages = config.planner.num_stages if teachers.draw == PER_STAGE else None
        return cls(str(teachers.vocabulary), teachers.number, num_stages, config.seed, num_poses)

    def __call__(self, rows: Tensor, key: Key) -> tuple[Tensor, Tensor]:
        """Poses [B, L or none, M, T, 3] of the scenes' teachers, and which places hold one.

        Args:
            rows: of the vocabulary, [B, cap] padded with -1.
            key: names the step.
        """
        generator = key_generator("teachers", key, self.seed)
        if self.num_stages is None:
            drawn = sample_teachers(rows.cpu(), self.number, generator)  # [B, M]
        else:
            drawn = sample_teachers_per_stage(rows.cpu(), self.number, self.num_stages, generator).transpose(0, 1)
        poses, is_real = teacher_poses(open_vocabulary(self.vocabulary).planned(self.num_poses), drawn)
        return poses.to(rows.device), is_real.to(rows.device)


def key_generator(purpose: str, key: Key, seed: int) -> torch.Generator:
    """A generator on the CPU that depends on the purpose, the step and the seed only."""
    return scene_generator("/".join((purpose, *map(str, key))), seed)


def packed_batch(scenes: Union[Sequence[str], Tensor], device: torch.device) -> Tensor:
    """``scoring_scene`` of a batch as collated, listed texts or stacked rows, as uint8 [B, longest] on ``device``."""
    stacked = scenes if isinstance(scenes, Tensor) else stack_texts(scenes)
    return stacked.to(device)


def step_loss(
    output: ProposalOutput,
    human: Tensor,
    labels: ProposalLabels,
    teachers: Optional[tuple[Tensor, Tensor]],
    weights: ProposalLossConfig,
    scored: Optional[Terms] = None,
) -> tuple[Tensor, Terms]:
    """The scalar to minimise, and its terms before their weights.

    Args:
        output: of the planner; without auxiliary answers (in evaluation) their terms are left out.
        human: driven trajectory [B, T, 3].
        labels: of the last stage's proposals.
        teachers: poses and validity of the pseudo-teachers, where there is distillation.
        weights: of the terms.
        scored: terms of the scores; None: the released code's.
    """
    poses, is_real = teachers if teachers is not None else _nobody(human)
    trajectory = trajectory_and_distillation_loss(output.proposals, human, poses, is_real, weights)
    scored = score_terms(output.score_logits, labels.score, None, weights) if scored is None else scored
    weighted = {"trajectory": trajectory.total, **scored}
    if output.area_logits is not None:
        weighted["area"] = area_loss(output.area_logits, labels.areas)
    if output.collision_corners is not None and output.collision_validity_logits is not None:
        weighted["collision_validity"], weighted["collision_corners"] = collision_loss(
            output.collision_corners, output.collision_validity_logits, labels.corners, labels.is_valid
        )
    terms = {f"{name}_loss": value for name, value in weighted.items()}
    stages = {"imitation": trajectory.imitation}
    if teachers is not None:
        stages["distillation"] = trajectory.distillation
    for name, values in stages.items():
        terms.update({f"{name}_loss_stage{stage}": value for stage, value in enumerate(values)})
    return weighted_total(weighted, weights), terms


def score_terms(logits: Tensor, score: Tensor, sub_scores: Optional[Tensor], weights: ProposalLossConfig) -> Terms:
    """The terms that teach scores [B, N], before their weights.

    Args:
        logits: [B, N, K], the whole score's last.
        score: the simulator's.
        sub_scores: [B, N, K - 1] where they are foreseen.
        weights: which order is taught beside, and how.
    """
    terms = {"score": score_loss(logits, score)}
    if sub_scores is not None:
        terms["sub_score"] = sub_score_loss(logits, sub_scores)
    if weights.ranking != NO_RANKING:
        terms["ranking"] = RANKING_LOSSES[weights.ranking](logits[..., -1], score, weights.ranking_temperature)
    return terms


@torch.no_grad()
def step_metrics(output: ProposalOutput, human: Tensor, labels: ProposalLabels) -> Terms:
    """What the proposals are worth: means over the batch.

    ``score`` and ``selected_<sub-score>`` are the simulator's of the proposal that would be driven, ``best_score`` the
    best one's of N, ``score_error`` the difference between foreseen and true score of the former.
    """
    best = output.best[:, None]
    chosen = output.final[torch.arange(len(human), device=human.device), output.best]
    distance = displacement(chosen, human)  # [B, T]
    selected = labels.score.gather(1, best)
    metrics = {
        "score": selected.mean(),
        "best_score": labels.score.amax(1).mean(),
        "mean_score": labels.score.mean(),
        "score_error": (output.scores.gather(1, best) - selected).abs().mean(),
        "ade_m": distance.mean(),
        "fde_m": distance[:, -1].mean(),
    }
    parts = {f"selected_{name}": value.gather(1, best).float().mean() for name, value in labels.sub_scores.items()}
    return {**metrics, **parts}


def _nobody(human: Tensor) -> tuple[Tensor, Tensor]:
    """No pseudo-teacher for any scene."""
    return human.new_zeros(len(human), 0, *human.shape[1:]), human.new_zeros(len(human), 0, dtype=torch.bool)


@torch.no_grad()
def label_proposals(
    packed: Tensor,
    proposals: Tensor,
    metric: str,
    interval_s: float = POSE_INTERVAL_S,
    sampling: PlanSampling = NAVSIM_SAMPLING,
) -> ProposalLabels:
    """Score proposals [B, N, T, 3] (m, rad, ego frame of now) in packed scenes, uint8 [B, bytes].

    Plans shorter than the scorer's horizon go on as they end. Areas and agents are of the states of ``sampling``.

    Raises:
        TrajectoryError: a proposal is not finite, or T · ``interval_s`` is not the scorer's horizon.
        SceneError: the records are not scenes of this release.
    """
    whole, num_poses = proposals.detach().double(), round(HORIZON_S / interval_s)
    if whole.shape[2] < num_poses:
        whole = continued(whole, num_poses)
    batch = unpack_scenes(packed, metric, num_poses=whole.shape[2], interval_s=interval_s)
    scores = score_batch(batch, whole)
    corners, is_valid = key_agents(scores, batch)
    foreseen = foreseen_steps(sampling)
    return ProposalLabels(
        sub_scores={name: scores.columns[name] for name in SUB_SCORES[metric]},
        score=scores.columns[SCORE[metric]].float(),
        areas=scores.ego_areas[:, :, 1:][:, :, foreseen][..., list(AREAS)],
        corners=corners[:, :, :, foreseen].float(),
        is_valid=is_valid[..., foreseen],
    )


def key_agents(scores: Scores, batch: SceneBatch) -> tuple[Tensor, Tensor]:
    """Boxes of the agents of the first at-fault collision and of the first time-to-collision infringement.

    An agent counts from the first step to that of the infringement, where it is observed.

    Returns:
        corners [B, N, 2, S', 4, 2] [m], 0 where not valid: front left, rear left, rear right, front right; validity
        [B, N, 2, S'].
    """
    track = torch.stack((scores.collision_track, scores.ttc_track), dim=-1)  # [B, N, 2]
    last_step = torch.stack((scores.collision_step, scores.ttc_step), dim=-1)
    steps = torch.arange(1, scores.ego_areas.shape[2], device=track.device)  # [S']
    scene = torch.arange(len(track), device=track.device)[:, None, None]
    if batch.track_valid.shape[1] == 0:
        shape = (*track.shape, len(steps))
        return batch.track_poses.new_zeros(*shape, 4, 2), torch.zeros(shape, dtype=torch.bool, device=track.device)
    chosen = track.clamp(min=0)
    in_time = (track >= 0)[..., None] & (steps <= last_step[..., None])
    is_valid = in_time & batch.track_valid[scene, chosen][..., steps]
    poses = batch.track_poses[scene, chosen][..., steps, :]  # [B, N, 2, S', 3]
    heading = poses[..., State.HEADING]
    half_size = 0.5 * batch.track_size[scene, chosen][..., None, :].expand(*heading.shape, 2)
    corners = box_corners(poses[..., POSITION], torch.stack((heading.cos(), heading.sin()), dim=-1), half_size)
    return corners * is_valid[..., None, None], is_valid


def foreseen_steps(sampling: PlanSampling) -> slice:
    """Of the simulated states after now, counted from 0, those that the auxiliary heads foresee: a view takes them.

    Raises:
        InputError: the states between two poses are not a whole number of simulated ones.
    """
    if STEPS_PER_POSE % sampling.steps_per_pose:
        raise InputError(
            f"steps_per_pose={sampling.steps_per_pose}, but {STEPS_PER_POSE} states are simulated from pose to pose; "
            "foresee every one of them or the last"
        )
    stride = STEPS_PER_POSE // sampling.steps_per_pose
    return slice(stride - 1, sampling.num_poses * STEPS_PER_POSE, stride)
