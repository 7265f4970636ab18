"""What came over the wire, in order of its own time stamps and not of its arrival."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Generic, Optional, TypeVar

Item = TypeVar("Item")


class Timeline(Generic[Item]):
    """Items by time stamp [us], sorted however they come.

    A stamp that is there already keeps its first item: what was planned from it stays true. Of more than ``capacity``
    items the oldest go.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._stamps: list[int] = []
        self._items: list[Item] = []

    def __len__(self) -> int:
        return len(self._stamps)

    def has(self, stamp_us: int) -> bool:
        """Whether there is an item of exactly this time."""
        at = bisect_left(self._stamps, stamp_us)
        return at < len(self) and self._stamps[at] == stamp_us

    def add(self, stamp_us: int, item: Item) -> None:
        """Put ``item`` where its time belongs."""
        if self.has(stamp_us):
            return
        at = bisect_left(self._stamps, stamp_us)
        self._stamps.insert(at, stamp_us)
        self._items.insert(at, item)
        self._drop(len(self) - self._capacity)

    def up_to(self, at_us: int) -> Optional[tuple[int, Item]]:
        """The newest item that is not younger than ``at_us``, with its stamp."""
        at = bisect_right(self._stamps, at_us) - 1
        return (self._stamps[at], self._items[at]) if at >= 0 else None

    def after(self, at_us: int) -> Optional[tuple[int, Item]]:
        """The oldest item that is younger than ``at_us``."""
        at = bisect_right(self._stamps, at_us)
        return (self._stamps[at], self._items[at]) if at < len(self) else None

    def between(self, start_us: int, end_us: int) -> list[tuple[int, Item]]:
        """Items from ``start_us`` to ``end_us``, both included, oldest first."""
        part = slice(bisect_left(self._stamps, start_us), bisect_right(self._stamps, end_us))
        return list(zip(self._stamps[part], self._items[part]))

    def nearest(self, at_us: int, within_us: int) -> Optional[tuple[int, Item]]:
        """The item closest to ``at_us`` and less than ``within_us`` from it; of two that are as close the younger."""
        near = [found for found in (self.after(at_us), self.up_to(at_us)) if found is not None]
        best = min(near, key=lambda found: abs(found[0] - at_us), default=None)
        return best if best is not None and abs(best[0] - at_us) < within_us else None

    def forget_before(self, at_us: int) -> None:
        """Drop what is older than ``at_us``, but for the newest of it."""
        self._drop(bisect_right(self._stamps, at_us) - 1)

    def _drop(self, number: int) -> None:
        if number > 0:
            del self._stamps[:number], self._items[:number]
