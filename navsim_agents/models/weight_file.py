"""Files of weights as people have them: torch's, safetensors', and folders as transformers' ``save_pretrained`` writes.

A folder holds ``model.safetensors`` and ``config.json``, which says what the shapes of the weights do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional, Union

from torch import Tensor

from navsim_agents.common.files import read_json
from navsim_agents.errors import CheckpointError
from navsim_agents.models.checkpoint_file import read_checkpoint

SAFETENSORS = ".safetensors"
WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
INDEX_FILE = "model.safetensors.index.json"
"""Beside weights that lie in several files."""


def weights_file(path: Union[str, Path]) -> Path:
    """The file that ``path`` means: itself, or of a folder the weights in it.

    Raises:
        CheckpointError: the folder holds none, or several.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    if (path / INDEX_FILE).is_file():
        raise CheckpointError(
            f"{path} holds its weights in several files, but one is read; save them anew with "
            "save_pretrained(…, max_shard_size='100GB')"
        )
    if not (path / WEIGHTS_FILE).is_file():
        raise CheckpointError(
            f"{path} is a folder without {WEIGHTS_FILE}, so not one of save_pretrained; give the path of the file"
        )
    return path / WEIGHTS_FILE


def read_weights(path: Union[str, Path]) -> Mapping[str, Any]:
    """Contents of a ``.pt``, ``.ckpt`` or ``.safetensors`` file, or of a folder with one of the last.

    Raises:
        CheckpointError: as :func:`weights_file`, or the file cannot be read.
    """
    file = weights_file(path)
    return read_safetensors(file) if file.suffix == SAFETENSORS else read_checkpoint(file)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a ``.safetensors`` file, on the CPU.

    Raises:
        CheckpointError: no such file, or it is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file  # both come with timm

    if not path.is_file():
        raise CheckpointError(f"{path} is not a file; give the path of a {SAFETENSORS} file")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as safetensors ({error}); is the file whole?") from error


def config_beside(path: Union[str, Path]) -> Optional[Mapping[str, Any]]:
    """What ``config.json`` beside a ``.safetensors`` file says; None where there is none.

    Raises:
        CheckpointError: it is no JSON, or no table.
    """
    file = weights_file(path)
    config_file = file.with_name(CONFIG_FILE)
    if file.suffix != SAFETENSORS or not config_file.is_file():
        return None
    config = read_json(config_file, CheckpointError)
    if not isinstance(config, Mapping):
        raise CheckpointError(f"{config_file} holds a {type(config).__name__}, but must be a table; download it again")
    return config
