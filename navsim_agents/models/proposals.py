"""Perception-based planner: waypoint-anchored proposals, refined in stages, and a score for each."""

from __future__ import annotations

import copy
import math
from typing import NamedTuple, Optional

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from navsim_agents.errors import InputError
from navsim_agents.models.config import NAVSIM_SAMPLING, OF_TRAJECTORIES, PARTS, PlanSampling, ProposalConfig, Quirks
from navsim_agents.models.deformable import NUM_CORNERS
from navsim_agents.models.picture_backbone import PictureBackbone
from navsim_agents.models.refiner import Refiner, normalised_mlp
from navsim_agents.models.score_form import ScoreForm
from navsim_agents.models.trajectory_scorer import EGO_DIM, SceneView, TrajectoryScorer

EGO_MOTION = slice(3, 7)
"""Velocity and acceleration among them."""
NUM_SCORES = 6
"""Released code: logits of sub-scores, of which only the last, the whole score, is trained."""
NUM_AREAS = 2
"""Off the drivable area, off the route."""
NUM_KEY_AGENTS = 2
"""The first at-fault collision's, the first time-to-collision infringement's."""
NO_QUIRKS = Quirks()


class ProposalOutput(NamedTuple):
    """What the planner says of a batch; frame ``ego``, metres and radians. Auxiliary logits in training only."""

    proposals: Float[Tensor, "B L N T 3"]  # of every stage; headings are not wrapped
    score_logits: Float[Tensor, "B N K"]  # the last one is the whole score's
    area_logits: Optional[Float[Tensor, "B N S 2"]]  # S counts the states after the present one
    collision_corners: Optional[Float[Tensor, "B N 2 S 4 2"]]  # of the key agents' boxes
    collision_validity_logits: Optional[Float[Tensor, "B N 2 S"]]  # whether there is a key agent
    scene: Optional[SceneView] = None  # what other trajectories can be scored in; of planner.scorer=trajectories alone

    @property
    def final(self) -> Float[Tensor, "B N T 3"]:
        """Proposals of the last stage, which are the planner's answer."""
        return self.proposals[:, -1]

    @property
    def scores(self) -> Float[Tensor, "B N"]:
        """Predicted score of every proposal, in (0, 1)."""
        return self.score_logits[..., -1].sigmoid()

    @property
    def best(self) -> Int64[Tensor, " B"]:
        """The proposal of the highest score in each scene."""
        return self.scores.argmax(dim=1)


def initial_queries(config: ProposalConfig, num_poses: int) -> Float[Tensor, "NT D"]:
    """Random queries, row-major: waypoints of the first proposal first; each number has unit variance."""
    rows, columns, width = config.num_proposals, num_poses, config.model_dim
    if not config.related_queries:
        return torch.randn(rows * columns, width)
    return ((torch.randn(rows, 1, width) + torch.randn(1, columns, width)) / math.sqrt(2.0)).flatten(0, 1)


class ProposalHeads(nn.Module):
    """Scores, and in training the auxiliary answers, read off the refined queries."""

    def __init__(self, config: ProposalConfig, sampling: PlanSampling, num_logits: int = NUM_SCORES) -> None:
        super().__init__()
        sizes = (config.model_dim, config.ffn_dim)
        self.num_steps = sampling.num_steps
        self.score_is_detached = config.scorer_is_detached
        self.score = None if config.scorer == OF_TRAJECTORIES else normalised_mlp(*sizes, num_logits)
        self.area = normalised_mlp(*sizes, sampling.steps_per_pose * NUM_AREAS)
        self.collision = normalised_mlp(*sizes, NUM_KEY_AGENTS * sampling.num_steps * (2 * NUM_CORNERS + 1))

    def score_logits(self, queries: Float[Tensor, "B N T D"]) -> Float[Tensor, "B N logits"]:
        """What the queries say of their proposals' scores; not where another network scores."""
        if self.score is None:
            raise InputError("planner.scorer=trajectories: queries are not scored; score the trajectories")
        return self.score((queries.detach() if self.score_is_detached else queries).amax(dim=2))

    def forward(
        self,
        proposals: Float[Tensor, "B L N T 3"],
        queries: Float[Tensor, "B N T D"],
        score_logits: Optional[Float[Tensor, "B N K"]] = None,
    ) -> ProposalOutput:
        """Put the answers beside ``proposals`` and their scores, which are those of the queries by default."""
        score_logits = self.score_logits(queries) if score_logits is None else score_logits
        if not self.training:
            return ProposalOutput(proposals, score_logits, None, None, None)
        pooled = queries.amax(dim=2)  # [B, N, D]
        area_logits = self.area(queries).flatten(2).unflatten(2, (self.num_steps, NUM_AREAS))
        # The released layout has the steps first: [B, N, S, agents, 9].
        agents = self.collision(pooled).unflatten(2, (self.num_steps, NUM_KEY_AGENTS, -1)).transpose(2, 3)
        corners = agents[..., :-1].unflatten(-1, (NUM_CORNERS, 2))
        return ProposalOutput(proposals, score_logits, area_logits, corners, agents[..., -1])


class ProposalPlanner(nn.Module):
    """Backbone, learned queries, one refiner for all stages, heads."""

    def __init__(
        self,
        backbone: PictureBackbone,
        config: ProposalConfig,
        quirks: Quirks = NO_QUIRKS,
        sampling: PlanSampling = NAVSIM_SAMPLING,
        score_form: Optional[ScoreForm] = None,
    ) -> None:
        """Put a planner behind ``backbone``, whose features have ``config.model_dim`` channels.

        Args:
            backbone: becomes part of the planner.
            config: sizes and options.
            quirks: of released weights; none by default.
            sampling: poses of a proposal, and what is foreseen of each.
            score_form: what the metric's score consists of; needed where ``config`` foresees sub-scores.

        Raises:
            InputError: sub-scores are to be foreseen, but nobody says which.
        """
        super().__init__()
        if config.foresees == PARTS and score_form is None:
            raise InputError(f"planner.foresees={PARTS} needs the metric's score_form; give it, as the agents do")
        self.config = config
        self.sampling = sampling
        self.backbone = backbone
        self.ego_projector = nn.Linear(EGO_DIM, config.model_dim)
        self.query_embedding = nn.Parameter(initial_queries(config, sampling.num_poses))
        self.refiner = Refiner(config, backbone.region, quirks, sampling.num_poses)
        self.score_form = score_form if config.foresees == PARTS else None
        num_logits = NUM_SCORES if self.score_form is None else len(self.score_form.names)
        self.heads = ProposalHeads(config, sampling, num_logits)
        self.scorer = (
            TrajectoryScorer(config, backbone.region, quirks, sampling.num_poses, num_logits)
            if config.scorer == OF_TRAJECTORIES
            else None
        )
        self.scorer_backbone = copy.deepcopy(backbone) if config.scorer_has_backbone else None

    @property
    def encoder(self) -> nn.Module:
        """The pretrained part of the backbone."""
        return self.backbone.encoder

    @property
    def encoders(self) -> list[nn.Module]:
        """All that start from the same pretrained weights: that of the backbone, and of the scorer's if it has one."""
        own = [] if self.scorer_backbone is None else [self.scorer_backbone.encoder]
        return [self.encoder, *own]

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return self.query_embedding.dtype

    def forward(
        self,
        pictures: UInt8[Tensor, "B F 3 H W"],
        ego: Float[Tensor, "B 11"],
        camera_from_ego: Float[Tensor, "B C 4 4"],
        generator: Optional[torch.Generator] = None,
    ) -> ProposalOutput:
        """Propose and score.

        Args:
            pictures: RGB, in the order that the backbone says.
            ego: pose 3, velocity 2 [m/s], acceleration 2 [m/s^2], one-hot command 4, of the current frame.
            camera_from_ego: projection of ``ego`` [m] into each camera's *original* picture [px of 1920 x 1080];
                row 2 is the depth. How the planner's own pictures lie in it is the backbone's affair.
            generator: of the CPU, for the grid mask in training; torch's own by default.

        Raises:
            InputError: pictures or projections are not as many as the backbone takes.
        """
        self._check(pictures.shape[1], camera_from_ego.shape[1])
        features = self.backbone(pictures, generator).to(self.dtype)
        seen = None if self.scorer_backbone is None else self.scorer_backbone(pictures, generator).to(self.dtype)
        with torch.autocast(features.device.type, enabled=False):
            return self.propose(features, ego.to(self.dtype), camera_from_ego.to(self.dtype), seen)

    def propose(
        self,
        features: Float[Tensor, "B C h w D"],
        ego: Float[Tensor, "B 11"],
        camera_from_ego: Float[Tensor, "B C 4 4"],
        seen_by_scorer: Optional[Float[Tensor, "B C h w D"]] = None,
    ) -> ProposalOutput:
        """Propose from the pictures' features; kept out of autocast, as sampling amplifies every rounding.

        The scorer of trajectories looks at ``seen_by_scorer``, by default at the same features.
        """
        start = self.query_embedding + self.ego_projector(ego).unsqueeze(1)  # [B, N T, D]
        queries = start.unflatten(1, (self.config.num_proposals, self.sampling.num_poses))
        stages = []
        for _ in range(self.config.num_stages):
            proposals, queries = self.refiner(queries, features, camera_from_ego)
            stages.append(proposals)
        scene = SceneView(features if seen_by_scorer is None else seen_by_scorer, ego, camera_from_ego)
        if self.scorer is None:
            return self.heads(torch.stack(stages, dim=1), queries, self._with_whole(self.heads.score_logits(queries)))
        output: ProposalOutput = self.heads(torch.stack(stages, dim=1), queries, self.score_given(proposals, scene))
        return output._replace(scene=scene)

    def score_given(self, trajectories: Float[Tensor, "B G T 3"], scene: SceneView) -> Float[Tensor, "B G K"]:
        """Score logits of any trajectories [m, m, rad; ``ego``], the whole score's last; each is judged by itself.

        Raises:
            InputError: this planner reads scores off its queries.
        """
        if self.scorer is None:
            raise InputError(
                f"planner.scorer={self.config.scorer} scores its own proposals alone; train with "
                f"agent.config.planner.scorer={OF_TRAJECTORIES}"
            )
        seen = scene.detached() if self.config.scorer_is_detached else scene
        with torch.autocast(scene.features.device.type, enabled=False):
            return self._with_whole(self.scorer(trajectories, seen))

    def _with_whole(self, logits: Float[Tensor, "B N logits"]) -> Float[Tensor, "B N K"]:
        """The last logit is the whole score's: of sub-scores it is put together as the metric does."""
        if self.score_form is None:
            return logits
        return torch.cat((logits, self.score_form.whole_logit(logits).unsqueeze(-1)), dim=-1)

    def _check(self, num_pictures: int, num_projections: int) -> None:
        wanted = self.backbone.num_pictures, self.backbone.num_cameras
        if (num_pictures, num_projections) != wanted:
            raise InputError(
                f"a scene comes with {num_pictures} pictures and {num_projections} projections, but this backbone "
                f"takes {wanted[0]} and {wanted[1]}; build its features with the agent's own builders"
            )
