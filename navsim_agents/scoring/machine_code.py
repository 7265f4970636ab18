"""Machine code of kernels: Numba makes it, once a machine; llvmlite alone loads it, in a fraction of Numba's time.

A kernel is a function of numbers, arrays in one piece and (named) tuples of these, that returns nothing. Its arguments
are handed over as a table of words of eight bytes, which an entry made with the kernel takes apart.
"""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import logging
import os
import struct
import sys
import tempfile
import threading
import warnings
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable, Optional, TypeVar

import numpy as np

from navsim_agents.common.extras import DISTRIBUTION, has_numba
from navsim_agents.scoring.object_code import OPTIONS, Code

Function = TypeVar("Function", bound=Callable[..., object])
LOGGER = logging.getLogger(__name__)
ENTRY = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
"""Where Numba's functions put what they return, and what they raise; then the table. It does not hold Python's lock."""
FINE = (0, -2)
"""What entries return: Numba's codes of a value and of None."""
SETTINGS = "NUMBA_"
"""How environment variables begin that Numba reads, and machine code may depend on."""
LOCK = threading.Lock()
ENGINES: list[Any] = []
"""What holds the code that is loaded."""


class CodeRoom:
    """A folder of kernels, whose machine code is kept for as long as its sources stay the same."""

    def __init__(self, what: str, folder: Path, *others: Path) -> None:
        """``what`` is said to be compiled; ``others`` are sources elsewhere that the kernels are made of."""
        self.what, self.folder = what, folder
        self.sources = (*sorted(folder.glob("*.py")), *others)
        self.kernels: list[Kernel] = []
        self._is_announced = False

    def kernel(self, function: Callable[..., None]) -> Kernel:
        """What Python calls; neither it nor what it calls may make arrays."""
        self.kernels.append(Kernel(function, self))
        return self.kernels[-1]

    @property
    def is_kept(self) -> bool:
        """Whether all of them can do without Numba."""
        return all(kernel.is_kept for kernel in self.kernels)

    @cached_property
    def kept_in(self) -> Optional[Path]:
        """The folder for this machine, these versions and sources; None where nothing can be kept."""
        about = f"{digest_of(self.sources)} {_machine()}".encode()
        return folder_to_keep_in(os.environ.get("NUMBA_CACHE_DIR", ""), self.folder, hashlib.sha256(about).hexdigest())

    def announce(self) -> None:
        """Say once that it takes a while."""
        if not self._is_announced:
            LOGGER.warning("compiling %s, once for this version: some 15 seconds", self.what)
        self._is_announced = True


class Kernel:
    """A function that is compiled at its first call, or loaded where that was done before."""

    def __init__(self, function: Callable[..., None], room: CodeRoom) -> None:
        self.function, self.room = inspect.unwrap(function), room
        self._num_arguments = len(inspect.signature(self.function).parameters)
        self._entries: dict[str, Callable[..., int]] = {}

    @property
    def is_kept(self) -> bool:
        """Whether it can do without Numba."""
        if self._entries or find_spec("llvmlite") is None:
            return bool(self._entries)
        folder = self.room.kept_in
        return folder is not None and any(folder.glob(f"{self.function.__name__}-*"))

    def __call__(self, *arguments: object) -> None:
        """Do its work."""
        self.bound(*arguments)()

    def bound(self, *arguments: object) -> Callable[..., None]:
        """The kernel with these arguments; whole numbers that it takes besides are given at each call.

        Two threads need one each.
        """
        if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
            return lambda *numbers: self.function(*arguments, *numbers)
        num_open = self._num_arguments - len(arguments)
        given = (*arguments, *([0] * num_open))
        kinds: list[str] = []
        words: list[int] = [0, 0]  # for what the entry returns and raises
        lay_out(given, kinds, words)
        entry, table = self._entry("".join(kinds), given), np.array(words, dtype=np.int64)
        begin, end = table.ctypes.data, len(table)

        def call(*numbers: int, kept: object = given) -> None:  # the table holds addresses of its arrays
            table[end - num_open :] = numbers
            status = entry(begin, begin + 8, begin + 16)
            if status not in FINE:
                raise RuntimeError(f"{self.function.__name__} ended with {status}, but must end with one of {FINE}")

        return call

    def _entry(self, kinds: str, arguments: tuple[object, ...]) -> Callable[..., int]:
        """The entry for arguments of these kinds."""
        with LOCK:
            if kinds not in self._entries:
                self._entries[kinds] = load(self._code(kinds, arguments))
            return self._entries[kinds]

    def _code(self, kinds: str, arguments: tuple[object, ...]) -> Code:
        """What was kept, or is made now."""
        name = f"{self.function.__name__}-{hashlib.sha256(kinds.encode()).hexdigest()[:16]}.o"
        path = None if self.room.kept_in is None else self.room.kept_in / name
        code = None if path is None else Code.read(path)
        if code is None:
            from navsim_agents.scoring.compiling import compile_kernel

            self.room.announce()
            code = compile_kernel(self.function, arguments)
            if path is not None:
                code.keep(path)
        return code


@cache
def can_compile(without: str) -> bool:
    """Whether there is a Numba that makes such code; where not, a warning says once what happens ``without`` it."""
    if not has_numba(without):
        return False
    try:
        from navsim_agents.scoring.compiling import compile_kernel

        load(compile_kernel(_nothing, (0,)))
    except Exception as error:  # entries are made of Numba's inner parts, which another release may have changed
        found = f"{type(error).__name__}: {error}".partition("\n")[0]
        warnings.warn(f"numba {version('numba')} makes no machine code here ({found}): {without}", stacklevel=3)
        return False
    return True


def _nothing(number: int) -> None:
    """What is compiled to see whether anything can be."""


def load(code: Code) -> Callable[..., int]:
    """The code's entry; it stays as long as the process does."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)  # opens the process's own symbols, too
    if any(llvm.address_of_symbol(name) is None for name in code.needs):
        from navsim_agents.scoring.compiling import register_helpers

        register_helpers()
    engine.add_object_file(llvm.ObjectFileRef.from_data(code.contents))
    engine.finalize_object()
    ENGINES.append(engine)
    entry: Callable[..., int] = ENTRY(engine.get_function_address(code.symbol))
    return entry


def lay_out(value: object, kinds: list[str], words: list[int]) -> None:
    """Append what ``value`` is made of, and the words that Numba passes for it.

    Raises:
        TypeError: it is nothing that a kernel takes.
    """
    if isinstance(value, tuple):
        kinds.append("(")
        for one in value:
            lay_out(one, kinds, words)
        kinds.append(")")
    elif isinstance(value, np.ndarray) and value.flags.c_contiguous:
        kinds.append(f"{value.dtype.str}{value.ndim}")
        address = value.__array_interface__["data"][0]
        words += (0, 0, value.size, value.itemsize, address, *value.shape, *value.strides)
    elif isinstance(value, (bool, int)):
        kinds.append("b" if isinstance(value, bool) else "i")
        words.append(int(value))
    elif isinstance(value, float):
        kinds.append("f")
        words.append(struct.unpack("q", struct.pack("d", value))[0])
    else:
        raise TypeError(f"{value!r} is a {type(value)}, but kernels take numbers, arrays in one piece and tuples")


def part(function: Function) -> Function:
    """What kernels alone call: it is compiled with them."""
    setattr(function, OPTIONS, {})
    return function


def inlined(function: Function) -> Function:
    """The same, without calls: what is handed over, whole tables of arrays, costs more than most parts do.

    A kernel that is inlined too, into its entry, hands named tuples on by their address; its parts must all be inlined.
    """
    setattr(function, OPTIONS, {"forceinline": True})
    return function


def pasted(function: Function) -> Function:
    """The same, put into each place that calls it, so that a loop around it can serve several lanes at once."""
    setattr(function, OPTIONS, {"inline": "always"})
    return function


def digest_of(sources: tuple[Path, ...]) -> str:
    """A name for what the files say."""
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:16]


def folder_to_keep_in(told: str, folder: Path, digest: str) -> Optional[Path]:
    """Where machine code is kept: where Numba is told to, beside the sources, or with the user's; None: nowhere."""
    folders = [told] if told else [folder / "__pycache__", _users_cache()]
    for kept_in in (Path(one) / digest[:16] for one in folders):
        try:
            kept_in.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=kept_in).close()
        except OSError:
            continue
        return kept_in
    return None


def _users_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / DISTRIBUTION


def _machine() -> str:
    """What machine code depends on beside its sources."""
    import llvmlite.binding as llvm

    versions = []
    for package in ("numba", "llvmlite"):
        try:
            versions.append(version(package))
        except PackageNotFoundError:
            versions.append("none")
    host = (llvm.get_default_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    settings = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith(SETTINGS))
    return " ".join((*versions, *host, sys.implementation.cache_tag, *settings))
