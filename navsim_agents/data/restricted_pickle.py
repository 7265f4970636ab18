"""Pickles that hold nothing but plain data.

NAVSIM's logs are pickles, and a pickle may call any function it names. This reader makes no such calls: the few
names that NumPy writes for its arrays lead to stand-ins of this module, and every other name is refused. NumPy's own
reconstruction is not used either, since a crafted state can make it read memory that is not the file's.
"""

from __future__ import annotations

import builtins
import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, ClassVar, Optional

import numpy as np
import numpy.typing as npt

from navsim_agents.errors import WorldDataError

PLAIN_KINDS = "biufcSU"  # booleans, numbers and fixed-length strings
BUILTIN_NAMES = ("set", "frozenset", "bytes", "bytearray", "complex")


class _Dtype:
    """What a pickle says of an element type; ``resolve`` makes the real one of plain kinds only."""

    def __init__(self, spec: str, align: bool = False, copy: bool = False) -> None:
        self.spec = spec
        self.order = "|"  # as ``spec`` says

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, subarray, names, fields = state[:5]
        if subarray is not None or names or fields:
            raise pickle.UnpicklingError(f"element type {self.spec!r} has fields; only plain numbers and strings do")
        self.order = order

    def resolve(self) -> np.dtype[Any]:
        dtype = np.dtype(self.spec)
        if dtype.kind not in PLAIN_KINDS:
            raise pickle.UnpicklingError(f"element type {self.spec!r} is not one of numbers and strings")
        return dtype if self.order == "|" else dtype.newbyteorder(self.order)  # type: ignore[arg-type]


class _Array:
    """An array whose state is still to come; replaced by the array itself after loading."""

    def __init__(self) -> None:
        self.value: Optional[npt.NDArray[Any]] = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, is_fortran, raw = state
        if isinstance(raw, list):  # NumPy's form of object arrays
            self.value = np.empty(len(raw), dtype=object)
            self.value[:] = [plain_value(item) for item in raw]
            self.value = self.value.reshape(shape, order="F" if is_fortran else "C")
        else:
            self.value = _from_buffer(raw, dtype, shape, "F" if is_fortran else "C")


def _as_dtype(dtype: Any) -> np.dtype[Any]:
    return dtype.resolve() if isinstance(dtype, _Dtype) else _Dtype(dtype).resolve()


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: str = "C") -> npt.NDArray[Any]:
    """Writable array from bytes; latin-1 text is what Python 2 and protocol 2 made of bytes."""
    data = raw.encode("latin1") if isinstance(raw, str) else raw
    return np.frombuffer(data, dtype=_as_dtype(dtype)).reshape(shape, order=order).copy(order=order)  # type: ignore[call-overload,no-any-return]


def _ndarray(shape: Any, dtype: Any = "float64", buffer: Any = b"") -> npt.NDArray[Any]:
    """``numpy.ndarray(shape, dtype, buffer)``, the form in which this package writes arrays."""
    return _from_buffer(buffer, dtype, shape)


def _reconstruct(subtype: Any, shape: Any, typecode: Any) -> _Array:
    if subtype is not _ndarray:
        raise pickle.UnpicklingError("only plain numpy.ndarray is read, no subclass of it")
    return _Array()


def _scalar(dtype: Any, raw: Any) -> Any:
    return _from_buffer(raw, dtype, ())[()]


def _latin1(text: str, encoding: str) -> bytes:
    """``_codecs.encode`` as protocol 2 uses it for bytes; other encodings import modules by name."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding!r}; bytes are written in latin1")
    return text.encode("latin1")


def _allowed_names() -> dict[tuple[str, str], Any]:
    """Every (module, name) that a log may ask for; NumPy 2 moved numpy.core to numpy._core."""
    allowed: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): _ndarray,
        ("numpy", "dtype"): _Dtype,
        ("_codecs", "encode"): _latin1,
        ("collections", "OrderedDict"): OrderedDict,
    }
    for core in ("numpy.core", "numpy._core"):
        allowed[f"{core}.multiarray", "_reconstruct"] = _reconstruct
        allowed[f"{core}.multiarray", "scalar"] = _scalar
        allowed[f"{core}.numeric", "_frombuffer"] = _from_buffer
    for module in ("builtins", "__builtin__"):
        allowed.update({(module, name): getattr(builtins, name) for name in BUILTIN_NAMES})
    return allowed


class RestrictedUnpickler(pickle.Unpickler):
    """Unpickler that knows the names of plain data; ``pickle.UnpicklingError`` names any other."""

    _allowed: ClassVar[dict[tuple[str, str], Any]] = _allowed_names()
    holds: ClassVar[str] = "numbers, strings, numpy arrays and builtin containers"

    def find_class(self, module_name: str, global_name: str) -> Any:
        """The stand-in for a permitted name."""
        try:
            return self._allowed[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}, which is not data") from None


def plain_value(value: Any) -> Any:
    """``value`` with arrays in the place of their stand-ins, through all builtin containers."""
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, _Dtype):
        return value.resolve()
    if isinstance(value, dict):
        return type(value)((key, plain_value(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return type(value)(plain_value(item) for item in value)
    return value


def load_plain(
    stream: io.BufferedIOBase, name: str, unpickler: type[RestrictedUnpickler] = RestrictedUnpickler, what: str = "log"
) -> Any:
    """Read one pickle of numbers, strings, NumPy arrays and builtin containers from ``stream``.

    :param name: what the file is called in messages.
    :param unpickler: knows further names, where ``what`` is in it needs some.
    :raises WorldDataError: ``name`` holds anything else, or ends early.
    """
    try:
        return plain_value(unpickler(stream).load())
    except Exception as error:  # a damaged or crafted pickle may raise anything; all of it means the same
        reason = "it ends early" if isinstance(error, EOFError) else str(error)
        raise WorldDataError(
            f"{name} is not a readable {what}: {reason}. A {what} holds {unpickler.holds}, and nothing that it names "
            "is run; fetch or write the file again from a source that you trust."
        ) from error


def load_plain_file(path: Path, unpickler: type[RestrictedUnpickler] = RestrictedUnpickler, what: str = "log") -> Any:
    """:func:`load_plain` of a file.

    :raises WorldDataError: also if there is no such file.
    """
    try:
        with path.open("rb") as stream:
            return load_plain(stream, str(path), unpickler, what)
    except OSError as error:
        raise WorldDataError(f"{path} cannot be read ({error.strerror}); check the data root and the split") from error
