"""Pickles of data are read as they are; anything else is refused by name and not run."""

import io
import os
import pickle
import struct
from collections import OrderedDict

import numpy as np
import pytest

from navsim_agents.data.restricted_pickle import load_plain, load_plain_file
from navsim_agents.errors import WorldDataError
from navsim_agents.world.writers.pickles import dump_portable


def content():
    return {
        "array": np.arange(6, dtype=np.float64).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)),
        "big_endian": np.array([1, 256], dtype=">i4"),
        "scalar": np.float64(2.5),
        "integer": np.int64(7),
        "flag": np.bool_(True),
        "names": np.array(["vehicle", "czone_sign"]),
        "empty": np.zeros((0, 7)),
        "objects": np.array([1, "two", None], dtype=object),
        "lights": [(3, True), (4, False)],
        "sets": ({1, 2}, frozenset({3})),
        "order": OrderedDict(a=np.ones(2)),
        "bytes": b"\x00\xff",
        "none": None,
    }


def assert_same(found, expected):
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            assert_same(found[key], expected[key])
    elif isinstance(expected, np.ndarray):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(found, expected)
    else:
        assert found == expected


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
def test_reads_what_either_numpy_writes(protocol, core):
    """NumPy 2 names numpy._core where NumPy 1 names numpy.core; text opcodes of protocol 2 let the test swap them."""
    raw = pickle.dumps(content(), protocol=protocol)
    if protocol < 4:
        raw = raw.replace(b"cnumpy._core.", b"cnumpy.core.").replace(b"cnumpy.core.", f"c{core}.".encode())
    assert_same(load_plain(io.BytesIO(raw), "log"), content())


def test_reads_what_this_package_writes():
    plain = {key: value for key, value in content().items() if key != "objects"}
    raw = dump_portable(plain)
    found = load_plain(io.BytesIO(raw), "log")
    assert_same({**found, "fortran": None}, {**plain, "fortran": None})
    np.testing.assert_array_equal(found["fortran"], plain["fortran"])
    assert found["array"].flags.writeable


def test_portable_arrays_need_no_name_that_one_numpy_lacks():
    raw = dump_portable([np.arange(3), np.array(["a"]), np.eye(2)])
    assert b"multiarray" not in raw
    assert_same(pickle.loads(raw)[2], np.eye(2))  # as the devkit reads it


class Payload:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (Payload(os.system, "touch refused"), rf"{os.system.__module__}\.system"),
        (Payload(eval, "1 + 1"), r"builtins\.eval"),
        (Payload(getattr, "text", "upper"), r"builtins\.getattr"),
        (np.random.default_rng, r"numpy\.random.*\.default_rng"),
        (Payload(np.load, "x.npy"), r"numpy.*\.load"),
    ],
)
def test_refuses_other_names_and_runs_nothing(payload, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    raw = pickle.dumps([{"token": payload}], protocol=4)
    with pytest.raises(WorldDataError, match=rf"bad\.pkl is not a readable log: it asks for {name}, which is not data"):
        load_plain(io.BytesIO(raw), "bad.pkl")
    assert list(tmp_path.iterdir()) == []


def test_refuses_other_encodings():
    raw = pickle.dumps(Payload(__import__("_codecs").encode, "text", "rot13"), protocol=2)
    with pytest.raises(WorldDataError, match="it asks for the encoding 'rot13'; bytes are written in latin1"):
        load_plain(io.BytesIO(raw), "bad.pkl")


def test_refuses_arrays_of_addresses():
    """An object array over given bytes would take them for addresses in memory."""
    forged = Payload(np.ndarray, (1,), "O", bytearray(struct.pack("Q", id(None))))
    with pytest.raises(WorldDataError, match="element type 'O' is not one of numbers and strings"):
        load_plain(io.BytesIO(pickle.dumps(forged)), "bad.pkl")
    fields = np.zeros(2, dtype=[("a", "O")])
    with pytest.raises(WorldDataError, match="has fields; only plain numbers and strings do"):
        load_plain(io.BytesIO(pickle.dumps(fields)), "bad.pkl")


def test_refuses_subclasses_of_arrays():
    with pytest.raises(WorldDataError, match=r"it asks for numpy.ma.*, which is not data"):
        load_plain(io.BytesIO(pickle.dumps(np.ma.array([1.0]))), "bad.pkl")


def test_short_files_are_named(tmp_path):
    raw, path = dump_portable(content()["array"]), tmp_path / "2021.pkl"
    for length in (0, 1, len(raw) // 2, len(raw) - 1):
        path.write_bytes(raw[:length])
        with pytest.raises(WorldDataError, match=r"2021\.pkl is not a readable log"):
            load_plain_file(path)
    path.unlink()
    with pytest.raises(WorldDataError, match=r"2021\.pkl cannot be read \(No such file"):
        load_plain_file(path)
