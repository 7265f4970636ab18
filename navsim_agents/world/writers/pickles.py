"""Pickles of arrays that every NumPy from 1.23 on can read, with nothing in them but public names.

NumPy 2 writes its arrays with names that NumPy 1 lacks (``numpy._core``). Here an array is a call of ``numpy.ndarray``
with shape, element type and bytes, which both have; the array comes back writable.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np

PROTOCOL = 4


def portable_array(obj: Any) -> Any:
    """A pickler's ``reducer_override``: arrays as calls of ``numpy.ndarray``; everything else as ever."""
    if type(obj) is np.ndarray:
        return np.ndarray, (obj.shape, obj.dtype.str, bytearray(np.ascontiguousarray(obj).tobytes()))
    return NotImplemented


class _PortablePickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        """Arrays as every NumPy reads them."""
        return portable_array(obj)


def dump_portable(content: Any) -> bytes:
    """Pickle ``content``: builtin containers, numbers, strings and arrays of these (no NumPy scalars)."""
    stream = io.BytesIO()
    _PortablePickler(stream, protocol=PROTOCOL).dump(content)
    return stream.getvalue()
