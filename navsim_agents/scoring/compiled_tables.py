"""Named tuples of kernels by their address, for Numba: handed on, they are one word instead of hundreds.

By itself Numba takes a tuple apart at each call, array by array, and all of that has to be compiled. Where parts are
put into their callers, nothing is left of the address either: LLVM finds out what stands there.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, lower_getattr_generic, models, register_model


class Table(types.Type):  # type: ignore[misc, unused-ignore]  # Numba has no types
    """The address of a named tuple, whose fields are read as the tuple's."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        super().__init__(f"Table({kind})")

    @staticmethod
    def of(kind: Any) -> Any:
        """A type as it is handed on: named tuples by their address, anything else as it is."""
        return Table(kind) if isinstance(kind, types.BaseNamedTuple) else kind


@register_model(Table)
class _TableModel(models.PrimitiveModel):  # type: ignore[misc, unused-ignore]
    """One pointer."""

    def __init__(self, manager: Any, table: Table) -> None:
        super().__init__(manager, table, manager.lookup(table.kind).get_data_type().as_pointer())


@infer_getattr
class _TableAttributes(AttributeTemplate):  # type: ignore[misc, unused-ignore]
    """Which types fields have."""

    key = Table

    def generic_resolve(self, table: Table, name: str) -> Any:  # type: ignore[override, unused-ignore]
        """See Numba; None: there is no such field."""
        return Table.of(table.kind[table.kind.fields.index(name)]) if name in table.kind.fields else None


@lower_getattr_generic(Table)
def _field(context: Any, builder: Any, table: Table, address: Any, name: str) -> Any:
    """Load a field, or give the address of one that is a named tuple itself."""
    index = table.kind.fields.index(name)
    place = cgutils.gep_inbounds(builder, address, 0, index)
    kind = table.kind[index]
    return place if isinstance(Table.of(kind), Table) else context.unpack_value(builder, kind, place)


def put_down(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """A value of that type as a value of ``Table.of(kind)``."""
    if not isinstance(Table.of(kind), Table):
        return value
    place = cgutils.alloca_once(builder, context.get_data_type(kind))
    context.pack_value(builder, kind, value, place)
    return place
