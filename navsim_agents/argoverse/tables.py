"""Feather files of a log as arrays by column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from navsim_agents.common.extras import require_extras
from navsim_agents.common.files import reading
from navsim_agents.errors import InputError

WAY_OUT = "download this log again"
Columns = dict[str, npt.NDArray]


def read_columns(path: Path, numbers: Sequence[str], others: Sequence[str]) -> Columns:
    """Columns of a feather file, as long as each other.

    Args:
        path: the file.
        numbers: columns of finite numbers, as float64.
        others: further columns, as they are.

    Raises:
        MissingPackageError: pyarrow is not installed.
        InputError: there is no such file, it is broken, it has no rows, or one of ``numbers`` is not finite.
    """
    require_extras("argoverse")
    from pyarrow import ArrowException, ipc

    with reading(path, InputError, WAY_OUT):
        try:
            table = ipc.open_file(path.read_bytes()).read_all()
            found = {name: table.column(name).to_numpy() for name in (*numbers, *others)}
        except ArrowException as error:
            raise InputError(f"{path} is no feather file ({error}); {WAY_OUT}") from error
    if not table.num_rows:
        raise InputError(f"{path} has no rows, but a log needs some; {WAY_OUT}")
    found.update({name: found[name].astype(np.float64) for name in numbers})
    for name in numbers:
        broken = np.flatnonzero(~np.isfinite(found[name]))
        if len(broken):
            raise InputError(
                f"{path} has {name}={found[name][broken[0]]} in row {broken[0]}, but must be finite; {WAY_OUT}"
            )
    return found
