"""Calendar quarters, in UTC, as leadership speaks of them.

Belongs here: which quarter a day is in, its name and its neighbours. Does not belong here: which of them is mature
(`kpis`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Self


@dataclass(frozen=True, order=True)
class Quarter:
    """A quarter of a year; `number` is 1 to 4."""

    year: int
    number: int

    @classmethod
    def of(cls, moment: date) -> Self:
        """The quarter that a day, or an aware moment, lies in."""
        day = moment.astimezone(UTC) if isinstance(moment, datetime) else moment
        return cls(day.year, (day.month - 1) // 3 + 1)

    @classmethod
    def last_over(cls, moment: datetime) -> Self:
        """The last quarter that is over at an aware moment."""
        return cls.of(moment).before()

    @property
    def start(self) -> date:
        """Its first day."""
        return date(self.year, 3 * self.number - 2, 1)

    @property
    def name(self) -> str:
        """As people write it: Q3 2026, on one line."""
        return f"Q{self.number}\u00a0{self.year}"

    @property
    def code(self) -> str:
        """As files are named: 2026-Q3."""
        return f"{self.year}-Q{self.number}"

    def before(self, count: int = 1) -> Self:
        """The quarter that lies `count` quarters earlier."""
        index = self.year * 4 + self.number - 1 - count
        return type(self)(index // 4, index % 4 + 1)
