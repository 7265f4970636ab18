"""Writes a pretrained video encoder in another layout, bit for bit: ours, V-JEPA's, the hub's.

    drive-jepa convert-encoder input=vitl.pt output=VITL/model.safetensors layout=hub
    drive-jepa convert-encoder input=VITL output=vitl.pt layout=vjepa2

The hub layout is what transformers writes. The input's layout is told by its names. Tables of sine positions, heads of
classifiers and the state of a training are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from navsim_agents.common.command import command
from navsim_agents.common.settings import READS, at_least, writes_file
from navsim_agents.errors import InputError
from navsim_agents.models.checkpoint import describe
from navsim_agents.models.config import ENTRIES
from navsim_agents.models.encoder_export import (
    HUB,
    LAYOUTS,
    OURS,
    Heads,
    check_place,
    read_source,
    write_hub,
    write_own,
    write_vjepa,
)
from navsim_agents.models.weight_file import weights_file


@dataclass(frozen=True)
class ConvertEncoderConfig:
    """Options of the command, explained in ``conf/convert_encoder.yaml``."""

    input: str = field(metadata=READS)
    output: str = field(metadata=writes_file(".pt"))
    layout: str = OURS
    entry: Optional[str] = None
    num_heads: Optional[int] = field(default=None, metadata=at_least(1))
    predictor_heads: Optional[int] = field(default=None, metadata=at_least(1))
    crop_size: int = field(default=256, metadata=at_least(1))
    num_frames: int = field(default=64, metadata=at_least(1))

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise InputError(f"layout={self.layout!r}, but must be one of {', '.join(LAYOUTS)}")
        if self.entry is not None and self.entry not in ENTRIES:
            raise InputError(f"entry={self.entry!r}, but must be one of {', '.join(ENTRIES)}, or null")


def convert_encoder(config: ConvertEncoderConfig) -> str:
    """Convert as configured; says what was read and written.

    Raises:
        CheckpointError: the input is no video encoder's, or the layout has no place for it.
        InputError: the output's name does not suit the layout, or the heads are not known.
    """
    output, given = Path(config.output).expanduser(), Path(config.input).expanduser()
    check_place(output, config.layout)
    if output.resolve() == weights_file(given).resolve():
        raise InputError(f"output={output} is what input={given} is read from; name another output")
    source = read_source(given, config.entry)
    if config.layout == HUB:
        heads = Heads(config.num_heads, config.predictor_heads)
        write_hub(output, source, heads, config.crop_size, config.num_frames)
    else:
        (write_own if config.layout == OURS else write_vjepa)(output, source)
    beside = "" if config.layout == OURS else f", {'with its' if source.parts.predictor else 'without a'} predictor"
    return f"{output}: {source.entry} of {config.input}, {describe(source.parts.encoder)}{beside}"


@command(ConvertEncoderConfig, "cache_tools.conf.convert_encoder")
def main(config: ConvertEncoderConfig) -> None:
    """Convert and say what was written."""
    print(convert_encoder(config))


if __name__ == "__main__":
    main()
