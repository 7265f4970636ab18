"""Answers kept by content: the least recently used goes, and everything that decides an answer is in its key."""

from __future__ import annotations

import torch
from torch import nn

from navsim_agents.drive_jepa.memory import ContentMemory, content_key


def test_the_least_recently_used_answer_goes() -> None:
    memory, made = ContentMemory[str](2), []

    def ask(key: str) -> str:
        return memory.recall(key, lambda: made.append(key) or key.upper())  # type: ignore[func-returns-value]

    assert [ask(key) for key in "ababcab"] == list("ABABCAB")
    assert made == ["a", "b", "c", "a", "b"]
    memory.forget()
    assert len(memory) == 0


def test_a_memory_of_nothing_makes_every_answer() -> None:
    memory, made = ContentMemory[int](0), []
    for _ in range(3):
        memory.recall("a", lambda: made.append(0) or 1)  # type: ignore[func-returns-value]
    assert len(made) == 3


def test_keys_differ_where_the_answer_may() -> None:
    module, values = nn.Linear(2, 1), torch.arange(6.0).reshape(2, 3)
    keys = [content_key({"a": values}, module)]
    assert content_key({"a": values.clone()}, module) == keys[0]
    keys += [
        content_key({"a": values.reshape(3, 2)}, module),
        content_key({"b": values}, module),
        content_key({"a": values.int()}, module),
        content_key({"a": values + 1e-6}, module),
        content_key({"a": values, "b": values}, module),
    ]
    with torch.no_grad():
        module.weight.add_(1.0)
    keys.append(content_key({"a": values}, module))
    module.weight.data = module.weight.data + 1.0  # other weights, which have been written to as often
    keys.append(content_key({"a": values}, module))
    assert len(set(keys)) == len(keys)
