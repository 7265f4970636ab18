"""Any of timm's vision transformers in the place of the video encoder, for the encoder-swap comparison of the paper.

The paper's table of encoders does not say how an image encoder gets two frames. Here it encodes each by
itself, and a token is the previous frame's vector followed by the current frame's: as many tokens as V-JEPA 2 makes of
the two frames, twice as wide, so that the planner behind can see motion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

import torch
from jaxtyping import Float
from torch import Tensor, nn

from navsim_agents.common.conventions import NUM_CLIP_FRAMES
from navsim_agents.errors import InputError
from navsim_agents.models.pictures import IMAGENET_MEAN, IMAGENET_STD
from navsim_agents.models.timm_weights import create_timm_model
from navsim_agents.models.transformer import TokenGrid
from navsim_agents.models.video_encoder import NUM_CHANNELS


@dataclass(frozen=True)
class TimmEncoderConfig:
    """Sizes that the planner asks of an encoder."""

    width: int  # channels of a token, both frames together
    patch_size: int  # px

    @property
    def token_width(self) -> int:
        """Channels of a token that the encoder gives."""
        return self.width

    def grid(self, num_frames: int, height: int, width: int) -> TokenGrid:
        """Token grid of ``num_frames`` frames of ``height`` x ``width`` [px].

        Raises:
            InputError: not two frames, or they cannot be cut into whole patches.
        """
        if num_frames != NUM_CLIP_FRAMES or height % self.patch_size or width % self.patch_size:
            raise InputError(
                f"a clip of {num_frames} frames of {height}x{width} px: this encoder takes {NUM_CLIP_FRAMES} frames "
                f"whose sides are multiples of {self.patch_size} px; set agent.config.pictures.height="
                f"{self._nearest(height)} agent.config.pictures.width={self._nearest(width)}, the nearest that both "
                "planners take"
            )
        return TokenGrid(1, height // self.patch_size, width // self.patch_size)

    def _nearest(self, side: int) -> int:
        """The nearest side [px] of an even number of patches, as the perception-free planner pools 2 x 2 of them."""
        pair = 2 * self.patch_size
        return max(1, round(side / pair)) * pair


class TimmVideoEncoder(nn.Module):
    """An image transformer with the tokens of ``VideoEncoder``: row-major, one time step, after the final norm."""

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        name: str,
        image_size: tuple[int, int],
        *,
        pretrained: bool = False,
        activation_checkpointing: bool = False,
    ) -> None:
        """Build the transformer.

        Args:
            name: timm's name of it.
            image_size: height and width [px] of a frame; its table of positions is made (or resampled) for them.
            pretrained: let timm download its weights.
            activation_checkpointing: recompute activations in the backward pass.

        Raises:
            InputError: timm has no such network, or it is no vision transformer, or the frames do not fit its patches.
        """
        super().__init__()
        network = _outline(name)  # the patches have to fit before positions can be made for the frame
        if not hasattr(network, "patch_embed") or not hasattr(network, "num_prefix_tokens"):
            raise InputError(f"encoder=timm:{name} is no vision transformer; choose one of timm.list_models('vit_*')")
        side, _ = network.patch_embed.patch_size
        self.config = TimmEncoderConfig(NUM_CLIP_FRAMES * network.num_features, side)
        self.config.grid(NUM_CLIP_FRAMES, *image_size)
        # Without pooling, so that no weight is left without a gradient (SigLIP pools by attention).
        self.network: Any = create_timm_model(
            name, pretrained=pretrained, num_classes=0, global_pool="", img_size=image_size
        )
        if activation_checkpointing:
            self.network.set_grad_checkpointing(True)
        wanted = self.network.pretrained_cfg
        statistics = zip(IMAGENET_MEAN, IMAGENET_STD, wanted["mean"], wanted["std"])
        # pixel = own_std x + own_mean, and the network's input is (pixel - mean) / std.
        affine = [(own_std / std, (own_mean - mean) / std) for own_mean, own_std, mean, std in statistics]
        for name, values in zip(("scale", "shift"), torch.tensor(affine).T):
            self.register_buffer(name, values.reshape(NUM_CHANNELS, 1, 1, 1), persistent=False)
        self._has_own_mean = any(shift != 0.0 for _, shift in affine)

    @property
    def mean_colour(self) -> Optional[Float[Tensor, "3 1 1 1"]]:
        """What is 0 by the network's own statistics, by those of ``PixelNormalize``; None where that is 0, too."""
        return -self.shift / self.scale if self._has_own_mean else None

    def forward(self, clip: Float[Tensor, "B 3 2 H W"]) -> Float[Tensor, "B N D"]:
        """Tokens of clips that ``PixelNormalize`` normalised; the network gets them by its own statistics."""
        frames = (clip * self.scale + self.shift).to(clip.dtype).transpose(1, 2)  # [B, 2, 3, H, W]
        tokens = self.network.forward_features(frames.flatten(0, 1))
        patches = tokens[:, self.network.num_prefix_tokens :]
        return patches.unflatten(0, (-1, NUM_CLIP_FRAMES)).transpose(1, 2).flatten(2)


def _outline(name: str) -> Any:
    """The network without memory or weights, where timm can make it so: 0.9 reads tensors' values as it builds."""
    try:
        with torch.device("meta"):
            return create_timm_model(name, pretrained=False, num_classes=0)
    except RuntimeError:
        return create_timm_model(name, pretrained=False, num_classes=0)
