"""Two figures that fall when an encoder stops telling its inputs apart."""

from __future__ import annotations

import torch
from jaxtyping import Float32
from torch import Tensor


def feature_std(features: Float32[Tensor, "M D"]) -> float:
    """Standard deviation of a channel over ``M`` tokens, mean over channels.

    On layer-normed features it lies in 0…1: near 0 where all tokens are alike, 1 where channels vary as much as tokens.
    """
    return float(features.std(dim=0, unbiased=False).mean())


def effective_rank(features: Float32[Tensor, "M D"]) -> float:
    """exp of the entropy of the normalised singular values of the centred features (Roy & Vetterli 2007).

    From 1, all tokens on one line, to min(M - 1, D); 0 where there is no variation at all.
    """
    singular = torch.linalg.svdvals(features - features.mean(dim=0))
    if not singular.sum() > 0:
        return 0.0
    shares = singular / singular.sum()
    return float(torch.special.entr(shares).sum().exp())
