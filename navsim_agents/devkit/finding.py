"""One line of the doctor's report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What was checked, whether it is right, and what to do if not."""

    subject: str
    is_good: bool
    text: str

    def __str__(self) -> str:
        return f"{'ok   ' if self.is_good else 'WRONG'}  {self.subject:<12} {self.text}"
