"""Answers of a network kept by the content of all that they depend on, so that keeping them changes nothing."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Callable, Generic, TypeVar

from torch import Tensor, nn

Answer = TypeVar("Answer")


class ContentMemory(Generic[Answer]):
    """The answers to the last few contents."""

    def __init__(self, size: int) -> None:
        """Keep ``size`` answers; 0 keeps none."""
        self._size = size
        self._answers: OrderedDict[str, Answer] = OrderedDict()

    def recall(self, key: str, make: Callable[[], Answer]) -> Answer:
        """The answer to ``key``, made where it is not remembered."""
        if key in self._answers:
            self._answers.move_to_end(key)
            return self._answers[key]
        answer = make()
        self._answers[key] = answer
        while len(self._answers) > self._size:
            self._answers.popitem(last=False)
        return answer

    def forget(self) -> None:
        """Drop all answers."""
        self._answers.clear()

    def __len__(self) -> int:
        return len(self._answers)


def content_key(features: Mapping[str, Tensor], module: nn.Module) -> str:
    """Hash of CPU features, and of how often the weights of ``module`` have been written to, and where they are."""
    digest = hashlib.blake2b(digest_size=16)
    for name, value in sorted(features.items()):
        digest.update(f"{name}{value.dtype}{list(value.shape)}".encode())
        digest.update(value.contiguous().numpy().tobytes())
    for parameter in module.parameters():
        place = f"{parameter.data_ptr()} {parameter._version} {parameter.device} {parameter.dtype} "
        digest.update(place.encode())
    return digest.hexdigest()
