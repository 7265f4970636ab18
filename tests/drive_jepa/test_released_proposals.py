"""Released perception-based checkpoints: their names and shapes are those of our planners, each copy agreeing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_module
from torch import nn

from navsim_agents.drive_jepa.checkpoints import load_agent_weights, translate
from navsim_agents.drive_jepa.proposal_config import ProposalAgentConfig
from navsim_agents.drive_jepa.released_proposals import require_released_settings
from navsim_agents.errors import CheckpointError
from navsim_agents.models.config import RELEASED_RESNET34, RELEASED_VIT_L, PlanSampling, ProposalConfig
from navsim_agents.models.encoders import build_encoder
from navsim_agents.models.four_cameras import FourCameraBackbone
from navsim_agents.models.picture_backbone import FrontVideoBackbone, PictureBackbone
from navsim_agents.models.pictures import GridMask
from navsim_agents.models.proposals import NAVSIM_SAMPLING, ProposalPlanner
from tests.drive_jepa.released_layout import ROOT, Shapes, Sizes, planner, resnet34, vit

TINY = Sizes(dim=24, ffn=40, heads=2, proposals=5, poses=3)
TINY_CONFIG = ProposalConfig(model_dim=24, num_heads=2, ffn_dim=40, num_proposals=5)
ONE_NORM = "_trajectory_head.2.Bev_refiner.bev_decoder.layers.0.norms.1.weight"


class Agent(nn.Module):
    """What a checkpoint sees of an agent."""

    def __init__(
        self, backbone: PictureBackbone, config: ProposalConfig, sampling: PlanSampling = NAVSIM_SAMPLING
    ) -> None:
        super().__init__()
        self.planner = ProposalPlanner(backbone, config, sampling=sampling)


def own_shapes(agent: Agent) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in agent.state_dict().items()}


def translated(shapes: Shapes) -> Shapes:
    return {
        name: tuple(tensor.shape)
        for name, tensor in translate({n: torch.zeros(()).expand(s) for n, s in shapes.items()}).items()
    }


def test_vit_l_layout() -> None:
    layout = vit(Sizes()) | planner(Sizes())
    assert len(layout) == 495
    assert len(vit(Sizes()) | planner(Sizes(), num_stages=1)) == 369
    with torch.device("meta"):
        backbone = FrontVideoBackbone(build_encoder("vit_l", (256, 512)), (256, 512), 256, GridMask(0.5, 0.7))
        agent = Agent(backbone, RELEASED_VIT_L)
    assert translated(layout) == own_shapes(agent)


@pytest.mark.parametrize("num_proposals", [64, 32])
def test_resnet34_layout(num_proposals: int) -> None:
    """64 proposals for NAVSIM v1; the released model of v2 has 32."""
    sizes = Sizes(proposals=num_proposals)
    layout = resnet34(sizes) | planner(sizes)
    with torch.device("meta"):
        backbone = FourCameraBackbone((432, 768), 256, GridMask(0.5, 0.7), swapped_channels=True)
        agent = Agent(backbone, ProposalConfig(num_proposals=num_proposals))
    assert translated(layout) == own_shapes(agent)
    assert RELEASED_RESNET34.num_proposals == 64


def make_agent() -> Agent:
    size = (32, 96)
    backbone = FrontVideoBackbone(build_encoder("tiny", size), size, TINY.dim, GridMask(0.5, 0.7))
    return Agent(backbone, TINY_CONFIG, PlanSampling(num_poses=TINY.poses))


def make_released() -> dict[str, torch.Tensor]:
    """A released file of a tiny planner: random weights, four copies of the refiner."""
    generator = torch.Generator().manual_seed(0)
    state = make_agent().planner.backbone.encoder.state_dict()
    encoder = {f"{ROOT}_backbone.img_backbone.{name}": tuple(value.shape) for name, value in state.items()}
    others = {name: shape for name, shape in vit(TINY, width=40, depth=0).items() if ".projector." in name}
    weights = {
        name: torch.randn(shape, generator=generator) for name, shape in (encoder | others | planner(TINY, 1)).items()
    }
    copies = {
        name.replace("_trajectory_head.0.", f"_trajectory_head.{stage}."): value.clone()
        for name, value in weights.items()
        for stage in range(4)
    }
    return weights | copies


def save(path: Path, weights: dict[str, torch.Tensor]) -> Path:
    torch.save({"state_dict": weights, "epoch": 3}, path)
    return path


def test_a_file_is_loaded_where_it_belongs(tmp_path: Path) -> None:
    agent, weights = make_agent(), make_released()
    load_agent_weights(agent, save(tmp_path / "planner.ckpt", weights))
    planner_, head = agent.planner, f"{ROOT}_trajectory_head.0."
    layer = f"{head}Bev_refiner.bev_decoder.layers.0."
    pairs = {
        "hist_encoding.weight": planner_.ego_projector.weight,
        "init_feature.weight": planner_.query_embedding,
        "_backbone.projector.bias": planner_.backbone.projector.bias,
        "scorer.pred_score.mlp.6.weight": planner_.heads.score[6].weight,
        "scorer.pred_area.mlp.6.weight": planner_.heads.area[6].weight,
        "scorer.pred_col_agent.mlp.3.bias": planner_.heads.collision[3].bias,
        "_trajectory_head.0.traj_decoder.mlp.4.weight": planner_.refiner.decoder[4].weight,
        "_trajectory_head.0.Bev_refiner.positional_encoding.col_embed.weight": planner_.refiner.column_embedding,
    }
    attention = planner_.refiner.attention
    inner = {
        "attentions.0.output_proj.weight": attention.self_attention.output_proj.weight,
        "attentions.1.output_proj.weight": attention.cross_attention.output_proj.weight,
        "attentions.1.deformable_attention.value_proj.weight": attention.cross_attention.value_proj.weight,
        "ffns.0.layers.0.0.weight": attention.ffn[0].weight,
        "ffns.0.layers.1.weight": attention.ffn[3].weight,
        "norms.2.weight": attention.norms[2].weight,
    }
    wrong = [name for name, value in pairs.items() if not torch.equal(weights[ROOT + name], value)]
    wrong += [name for name, value in inner.items() if not torch.equal(weights[layer + name], value)]
    assert wrong == []


def test_copies_that_differ_are_refused(tmp_path: Path) -> None:
    weights = make_released()
    weights[ROOT + ONE_NORM] = weights[ROOT + ONE_NORM] + 1
    with pytest.raises(CheckpointError, match=r"stage 2 and stage 0 of the file differ in .*norms.1.weight.*share one"):
        load_agent_weights(make_agent(), save(tmp_path / "planner.ckpt", weights))


def test_constants_may_differ(tmp_path: Path) -> None:
    weights = make_released()
    name = f"{ROOT}_trajectory_head.3.Bev_refiner.bev_decoder.ref_2d"
    weights[name] = weights[name] + 1
    load_agent_weights(make_agent(), save(tmp_path / "planner.ckpt", weights))


def test_a_missing_copy_of_a_tensor_is_refused(tmp_path: Path) -> None:
    weights = make_released()
    del weights[ROOT + ONE_NORM]
    with pytest.raises(CheckpointError, match="stage 2 and stage 0 of the file differ"):
        load_agent_weights(make_agent(), save(tmp_path / "planner.ckpt", weights))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop(f"{ROOT}hist_encoding.bias"), "1 missing: planner.ego_projector.bias"),
        (lambda weights: weights.update({f"{ROOT}other.weight": torch.zeros(1)}), "1 unexpected: .*other.weight"),
    ],
)
def test_loading_is_strict(change: object, message: str, tmp_path: Path) -> None:
    weights, agent = make_released(), make_agent()
    before = agent.planner.query_embedding.clone()
    change(weights)
    with pytest.raises(CheckpointError, match=message):
        load_agent_weights(agent, save(tmp_path / "planner.ckpt", weights))
    assert torch.equal(agent.planner.query_embedding, before)


def composed(name: str) -> ProposalAgentConfig:
    with initialize_config_module("navsim_configs", version_base="1.2"):
        return ProposalAgentConfig.from_mapping(compose(f"agent/{name}").agent.config)


@pytest.mark.parametrize(
    ("preset", "missing"),
    [
        ("drive_jepa", "agent.config.quirks.padded_reference_picture=true"),
        ("drive_jepa_resnet34", "agent.config.quirks.swapped_channels=true"),
        ("drive_jepa_small", "agent.config.planner.decodes_steps=false"),
    ],
)
def test_released_weights_are_refused_by_settings_that_they_were_not_trained_with(preset: str, missing: str) -> None:
    with pytest.raises(CheckpointError, match="ends in _released") as caught:
        require_released_settings(composed(preset))
    assert missing in str(caught.value)


@pytest.mark.parametrize("preset", ["drive_jepa_released", "drive_jepa_resnet34_released"])
def test_released_presets_have_the_settings_of_their_weights(preset: str) -> None:
    require_released_settings(composed(preset))


def test_loading_asks_for_the_released_settings(tmp_path: Path) -> None:
    agent = make_agent()
    agent.config = composed("drive_jepa")  # type: ignore[assignment]
    torch.save({"state_dict": make_released()}, tmp_path / "released.ckpt")
    with pytest.raises(CheckpointError, match="padded_reference_picture"):
        load_agent_weights(agent, tmp_path / "released.ckpt")
