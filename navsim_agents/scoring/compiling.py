"""Makes the machine code of kernels by Numba; see ``machine_code``, which loads it without."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any, Callable

import numba
from numba import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from navsim_agents.scoring.compiled_tables import Table, put_down
from navsim_agents.scoring.object_code import OPTIONS, Code

WORD_BITS = 64
MADE: dict[Callable[..., Any], Any] = {}
"""Functions for Numba by what they are made of: what several kernels call is compiled once."""


def compile_kernel(function: Callable[..., None], arguments: tuple[object, ...]) -> Code:
    """Machine code of a function for arguments of these kinds, and of all that it calls."""
    entry = _entry_of(with_parts(function), tuple(numba.typeof(one) for one in arguments))
    with _without_collector():
        entry.compile((types.CPointer(types.int64),))
    (made,) = entry.overloads.values()
    needs = [one.name for one in made.library._final_module.functions if one.is_declaration]
    return Code(
        made.fndesc.llvm_func_name,
        sorted(name for name in needs if not name.startswith("llvm.")),
        made.library.serialize_using_object_code()[2][0],
    )


def register_helpers() -> None:
    """Let LLVM find the functions that come with Numba."""
    cpu_target.target_context  # noqa: B018  made at first use, which registers them


def with_parts(function: Callable[..., Any]) -> Any:
    """The function for Numba, and in it its parts."""
    plain: Any = inspect.unwrap(function)
    if plain not in MADE:
        names = {name: plain.__globals__[name] for name in plain.__code__.co_names if name in plain.__globals__}
        parts = {name: with_parts(value) for name, value in names.items() if hasattr(value, OPTIONS)}
        own = FunctionType(plain.__code__, {**plain.__globals__, **parts}, plain.__name__, plain.__defaults__)
        own.__module__, own.__qualname__ = plain.__module__, plain.__qualname__
        options = getattr(function, OPTIONS, {})
        MADE[plain] = _jit(own, pipeline_class=_PartCompiler, **options)
        if options.get("forceinline"):
            _take_constants_as_others(MADE[plain])
    return MADE[plain]


class _PartCompiler(Compiler):  # type: ignore[misc, unused-ignore]  # Numba has no types
    """Compiles what is made machine code of with its callers alone."""

    def compile_extra(self, func: Callable[..., Any]) -> Any:
        """Numba's way, into a library of ours."""
        state = self.state
        make = _Inlined if state.flags.forceinline else _Part
        state.library = make(state.targetctx.codegen(), func.__qualname__)
        return super().compile_extra(func)


class _Part(JITCodeLibrary):  # type: ignore[misc, unused-ignore]
    """A function as it is linked into its callers.

    By itself Numba makes machine code of each, so that Python can call it: a quarter of all the time.
    """

    def _finalize_final_module(self) -> None:
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """Where Python would call it: nowhere."""
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> Any:
        """Who is told the environment that Python calls it in."""
        return self

    def set_env(self, name: str, environment: object) -> None:
        """There is nothing to tell."""


class _Inlined(_Part):
    """The same of a function without calls: once it is in its callers, and they in theirs, all is optimised."""

    def _optimize_final_module(self) -> None:
        """Not yet."""


@contextmanager
def _without_collector() -> Iterator[None]:
    """Without Python's search for objects that hold each other: an eighth of the time of compiling."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _take_constants_as_others(part: Any) -> None:
    """Compile a part once for all its callers: by itself Numba does so for each constant that it is called with.

    What a constant makes shorter is found where the part is put into its caller.
    """
    template_of = part.get_call_template

    def get_call_template(args: Any, kws: Any) -> Any:
        plain = {name: types.unliteral(kind) for name, kind in kws.items()}
        return template_of(tuple(map(types.unliteral, args)), plain)

    part.get_call_template = get_call_template


def _jit(function: Callable[..., Any], **options: Any) -> Any:
    """Without Numba's counting of references, which costs more than the work, and without what calls it from Python.

    Nor with what checks annotations in tests.
    """
    njit: Any = numba.njit
    return njit(
        inspect.unwrap(function),
        nogil=True,
        error_model="numpy",
        _nrt=False,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        **options,
    )


def _entry_of(kernel: Any, kinds: tuple[Any, ...]) -> Any:
    """A function of a table of words that calls the kernel with arguments of these types."""
    are_tables = kernel.targetoptions.get("forceinline", False)
    given = types.BaseTuple.from_types([Table.of(kind) if are_tables else kind for kind in kinds])

    def arguments(typing_context: Any, table: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            packer = context.get_arg_packer(kinds)
            flat = [_word(builder, values[0], row, kind) for row, kind in enumerate(packer.argument_types)]
            made = packer.from_arguments(builder, flat)
            if are_tables:
                made = [put_down(context, builder, *one) for one in zip(kinds, made)]
            return context.make_tuple(builder, given, made)

        return given(table), generate

    unpacked: Any = intrinsic(arguments)

    def enter(table: Any) -> None:
        kernel(*unpacked(table))

    return _jit(enter)


def _word(builder: Any, table: Any, row: int, kind: Any) -> Any:
    """A word of the table as a value of LLVM's type ``kind``."""
    from llvmlite import ir

    word = builder.load(builder.gep(table, [ir.Constant(ir.IntType(32), row)]))
    if isinstance(kind, ir.PointerType):
        return builder.inttoptr(word, kind)
    if isinstance(kind, ir.DoubleType):
        return builder.bitcast(word, kind)
    return word if kind.width == WORD_BITS else builder.trunc(word, kind)
