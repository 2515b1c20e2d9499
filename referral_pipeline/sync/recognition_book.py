"""What one referral was told in its open cycle, and what stands of it.

Belongs here: reading the recognitions that the ledger keeps, as pure functions. Does not belong here: what should stand
(recognition_decision), keeping them (ledger), telling (recognitions).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from referral_pipeline.ledger.bonuses import cycle_of
from referral_pipeline.ledger.records import Recognition

HIRED: Final = "hired"
ELIGIBLE: Final = "bonus_eligible"
REVERSED: Final = "reversed"

_ORDER: Final = {REVERSED: 0, HIRED: 1, ELIGIBLE: 2}
"""In which order one decision is told: taken back first, so that never more than the bonus stands."""


@dataclass(frozen=True)
class Want:
    """What a referral should stand with: recognised, and with how many cents (0 = none yet)."""

    advocate_id: str
    cents: int
    currency: str


@dataclass(frozen=True)
class Book:
    """What one referral was told in its open cycle, the one after its last reversal, seen from one application."""

    referral_id: str
    cycle: int
    standing: tuple[Recognition, ...]
    here: tuple[Recognition, ...] = field(repr=False)
    _application: tuple[str, str]

    @classmethod
    def of(cls, referral_id: str, history: Sequence[Recognition], system: str, application_id: str) -> Book:
        """The book of one referral, from all that it was ever told."""
        cycle = cycle_of(history)
        in_cycle = [row for row in history if row.cycle == cycle]
        return cls(
            referral_id,
            cycle,
            tuple(row for row in in_cycle if row.state == "sent"),
            tuple(row for row in in_cycle if (row.system, row.application_id) == (system, application_id)),
            (system, application_id),
        )

    @property
    def stands_elsewhere(self) -> bool:
        """Whether it stands recognised for another application."""
        return any((row.system, row.application_id) != self._application for row in self.standing)

    @property
    def kinds_here(self) -> frozenset[str]:
        """What needs no telling again, also where the platform refused it."""
        return frozenset(row.kind for row in self.here)

    @property
    def bonus(self) -> Recognition | None:
        """The bonus that was begun for this application, whatever became of it."""
        return next((row for row in self.here if row.kind == ELIGIBLE), None)

    @property
    def has_bonus(self) -> bool:
        """Whether a bonus stands, for whichever application."""
        return any(row.kind == ELIGIBLE for row in self.standing)

    def is_paid(self, paid: Collection[str]) -> bool:
        """Whether what stands was paid; these are the keys of what was."""
        return any(row.key in paid for row in self.standing)

    def contradicts(self, want: Want | None) -> bool:
        """Whether something stands that should not, or not like this."""
        if not self.standing:
            return False
        if want is None:
            # What stands for another application is that application's affair.
            return not self.stands_elsewhere
        bonus = next((row for row in self.standing if row.kind == ELIGIBLE), None)
        return (
            self.stands_elsewhere
            or any(row.advocate_id != want.advocate_id for row in self.standing)
            or (bonus is not None and (bonus.amount_cents, bonus.currency) != (want.cents, want.currency))
        )


def in_order(rows: Iterable[Recognition]) -> list[Recognition]:
    """Decision after decision, and in each what is taken back before what is given."""
    return sorted(rows, key=lambda row: (row.created_at, _ORDER[row.kind], row.referral_id))


def promised_with(fixed: Mapping[str, Recognition], known: Iterable[Recognition], currency: str) -> int:
    """The largest bonus that stood at once, while any of these stood, in this currency; `known` are all rows."""
    keys = {row.key for row in fixed.values()}
    stands: dict[str, Recognition] = {}
    most = 0
    for row in in_order(known):
        if row.kind == REVERSED:
            stands.pop(row.referral_id, None)
        elif row.kind == ELIGIBLE and row.state == "sent" and row.currency == currency:
            stands[row.referral_id] = row
        if any(one.key in keys for one in stands.values()):
            most = max(most, sum(one.amount_cents for one in stands.values()))
    return most
