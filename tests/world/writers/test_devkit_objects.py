"""Objects written by name, read by Python's own pickle."""

import fractions
import pickle
import pickletools

import numpy as np

from navsim_agents.world.writers.devkit_objects import Call, dump_calls


def test_a_call_is_read_as_the_object():
    third = Call("fractions", "Fraction", (1, 3))
    content = {"a": [third, third], "b": Call("fractions", "Fraction", (third,)), "c": np.arange(6.0).reshape(2, 3)}
    found = pickle.loads(dump_calls(content))
    assert found["a"] == [fractions.Fraction(1, 3)] * 2
    assert found["a"][0] is found["a"][1]
    assert found["b"] == fractions.Fraction(1, 3)
    np.testing.assert_array_equal(found["c"], content["c"])
    found["c"][0, 0] = 1.0  # arrays can be written to


def test_no_name_of_a_numpy_release_is_in_it():
    names = {value for _, value, _ in pickletools.genops(dump_calls([np.zeros(3)])) if isinstance(value, str)}
    assert "numpy" in names
    assert not any("_core" in name or "multiarray" in name for name in names)


def test_unknown_modules_can_be_written():
    assert b"no.such.module" in dump_calls(Call("no.such.module", "Thing", (1.5,)))
