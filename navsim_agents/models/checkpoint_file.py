"""Reading a checkpoint file without running code that it may hold.

``torch.load(weights_only=True)`` builds tensors and plain containers only. Training codes also leave harmless NumPy
and OmegaConf objects beside their weights; ``SAFE_GLOBALS`` are let through, anything else is refused by name.
"""

from __future__ import annotations

import importlib
import pickle
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Optional, Union

import torch

from navsim_agents.errors import CheckpointError

# Constructors of plain data, by the names that pickle knows them under (NumPy 1 says core, NumPy 2 _core).
SAFE_GLOBALS = frozenset(
    {
        "_codecs.encode",
        "builtins.dict",
        "builtins.float",
        "builtins.int",
        "builtins.list",
        "builtins.str",
        "collections.defaultdict",
        "numpy.core.multiarray._reconstruct",
        "numpy._core.multiarray._reconstruct",
        "numpy.core.multiarray.scalar",
        "numpy._core.multiarray.scalar",
        "numpy.dtype",
        "numpy.ndarray",
        "omegaconf.base.ContainerMetadata",
        "omegaconf.base.Metadata",
        "omegaconf.dictconfig.DictConfig",
        "omegaconf.listconfig.ListConfig",
        "omegaconf.nodes.AnyNode",
        "omegaconf.nodes.BooleanNode",
        "omegaconf.nodes.FloatNode",
        "omegaconf.nodes.IntegerNode",
        "omegaconf.nodes.StringNode",
        "pathlib.Path",
        "pathlib.PosixPath",
        "typing.Any",
    }
)
# Unpickling a numpy.dtype also sets the state of its own class, which files do not name.
NUMPY_DTYPES = tuple(f"numpy.dtypes.{kind}DType" for kind in ("Bool", "Int32", "Int64", "Float32", "Float64"))

RE_SAVE = (
    "If you trust its source, load it once with weights_only=False and save the wanted entry alone, which is "
    "key='state_dict' of a planner and key='target_encoder' (or 'encoder') of a pretraining: "
    "torch.save({key: torch.load(path, weights_only=False)[key]}, new_path)"
)

_open: ContextVar[Optional[tuple[Path, Mapping[str, Any]]]] = ContextVar("open_checkpoint", default=None)


@contextmanager
def open_checkpoint(path: Union[str, Path]) -> Iterator[Mapping[str, Any]]:
    """Contents of a file that is read once: :func:`read_checkpoint` of the same path gives them too, until the end.

    Raises:
        CheckpointError: as :func:`read_checkpoint`.
    """
    contents = read_checkpoint(path)
    token = _open.set((Path(path), contents))
    try:
        yield contents
    finally:
        _open.reset(token)


def read_checkpoint(path: Union[str, Path]) -> Mapping[str, Any]:
    """Contents of a ``.pt`` or ``.ckpt`` file, tensors on the CPU, read from disk only when used (torch >= 2.1).

    Raises:
        CheckpointError: no such file, not a checkpoint, or it needs objects that are not known to be plain data.
    """
    path, known = Path(path), _open.get()
    if known is not None and known[0] == path:
        return known[1]
    if not path.is_file():
        raise CheckpointError(f"{path} is not a file; give the path of a .pt or .ckpt checkpoint")
    with _safe_globals(path):
        contents = _load(path)
    if not isinstance(contents, Mapping):
        raise CheckpointError(f"{path} holds a {type(contents).__name__}, but a checkpoint is a dictionary of weights")
    odd = next((name for name in contents if not isinstance(name, str)), None)
    if odd is not None:
        raise CheckpointError(f"{path} holds something called {odd!r}, but a checkpoint's entries are called by texts")
    return contents


def _load(path: Path) -> Any:
    # Old-format files cannot be mapped, nor can any file before torch 2.1.
    mapped = {"mmap": True} if zipfile.is_zipfile(path) and _torch_version() >= (2, 1) else {}
    try:
        return torch.load(path, map_location="cpu", weights_only=True, **mapped)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than weights and plain data, or is no checkpoint ({_reason(error)}). "
            f"NumPy's and OmegaConf's objects pass from torch 2.6 on (this is {torch.__version__}). {RE_SAVE}"
        ) from error
    except Exception as error:  # a damaged pickle can raise anything: KeyError, AssertionError, struct.error, …
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint ({_reason(error)}); is the file whole?"
        ) from error


def _safe_globals(path: Path) -> AbstractContextManager[Any]:
    """Context in which torch lets through what this file needs of ``SAFE_GLOBALS``; torch before 2.6 cannot be told."""
    if _torch_version() < (2, 6) or not zipfile.is_zipfile(path):
        return nullcontext()
    try:
        needed = set(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception as error:  # as above
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint ({_reason(error)}); is the file whole?"
        ) from error
    if needed - SAFE_GLOBALS:
        raise CheckpointError(
            f"{path} asks for {', '.join(sorted(needed - SAFE_GLOBALS))}, which could run code. {RE_SAVE}"
        )
    if "numpy.dtype" in needed:
        needed.update(NUMPY_DTYPES)
    return torch.serialization.safe_globals(_resolved(needed))


def _resolved(names: Iterable[str]) -> list[Any]:
    """(object, name) of every global; NumPy 2 still serves NumPy 1's module names, with a warning."""
    pairs = []
    for name in names:
        module, _, attribute = name.rpartition(".")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pairs.append((getattr(importlib.import_module(module), attribute), name))
    return pairs


def _torch_version() -> tuple[int, int]:
    major, minor = torch.__version__.split(".")[:2]
    return int(major), int(minor)


def _reason(error: BaseException) -> str:
    """What torch objects to, without its advice to switch the check off."""
    text = str(error).rpartition("WeightsUnpickler error:")[2].strip() or type(error).__name__
    return text.splitlines()[0]
