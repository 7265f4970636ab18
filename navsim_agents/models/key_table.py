"""A declarative bridge from the names in a foreign checkpoint to the names of one of our modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from navsim_agents.errors import CheckpointError

NUM_NAMES_SHOWN = 3
COMPILED = "_orig_mod."
"""What ``torch.compile`` puts in front of the names of a module, wherever in a network that stands."""


@dataclass(frozen=True)
class KeyTable:
    """Where a checkpoint keeps a module's tensors, and what it calls them."""

    entries: tuple[str, ...]  # keys of the file; the first one that it has is read
    prefixes: tuple[str, ...] = ()  # wrappers in front of a name, taken off in any order as often as they occur
    ignored: tuple[str, ...] = ()  # names, after that, which the module has no use for

    def own_name(self, foreign: str) -> str:
        """What our module calls the tensor."""
        bare = foreign.replace(COMPILED, "")
        found = next((prefix for prefix in self.prefixes if bare.startswith(prefix)), None)
        return bare if found is None else self.own_name(bare[len(found) :])

    def translate(self, foreign: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors under our module's names, without the ignored ones.

        Raises:
            CheckpointError: two foreign names mean the same tensor.
        """
        own: dict[str, Tensor] = {}
        for name, tensor in foreign.items():
            if self.own_name(name) in own:
                raise CheckpointError(f"two tensors of the file would be {self.own_name(name)!r}, one is {name!r}")
            own[self.own_name(name)] = tensor
        return {name: tensor for name, tensor in own.items() if name not in self.ignored}

    def choose_entry(self, contents: Mapping[str, Any]) -> str:
        """The first of ``entries`` that the file has.

        Raises:
            CheckpointError: it has none of them.
        """
        for entry in self.entries:
            if isinstance(contents.get(entry), Mapping):
                return entry
        held = shown(list(map(str, contents))) or "nothing"
        raise CheckpointError(f"the file has no entry {' or '.join(self.entries)}; it holds {held}")


def are_tensors(value: Any) -> bool:
    """Whether it is a table of tensors by their names."""
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and isinstance(one, Tensor) for name, one in value.items()
    )


def load_strictly(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy ``tensors`` into ``module``, every one into the place of its name.

    Raises:
        CheckpointError: a tensor is missing, unexpected or of another shape; then the module is unchanged.
    """
    problems = mismatches(module.state_dict(), tensors)
    if problems:
        raise CheckpointError("; ".join(problems))
    module.load_state_dict(dict(tensors), strict=True)


def mismatches(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """One phrase for each way in which names or shapes differ: how many, and the first of them."""
    reshaped = [
        f"{name} {list(given[name].shape)} instead of {list(wanted[name].shape)}"
        for name in wanted
        if name in given and given[name].shape != wanted[name].shape
    ]
    lists = {
        "missing": [name for name in wanted if name not in given],
        "unexpected": [name for name in given if name not in wanted],
        "of another shape": reshaped,
    }
    return [f"{len(names)} {problem}: {shown(names)}" for problem, names in lists.items() if names]


def shown(names: Sequence[str]) -> str:
    """The first of ``names`` in a sentence."""
    rest = ", …" if len(names) > NUM_NAMES_SHOWN else ""
    return ", ".join(names[:NUM_NAMES_SHOWN]) + rest
