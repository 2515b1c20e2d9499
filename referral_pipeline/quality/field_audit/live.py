"""What both systems hold at this moment, read through their connectors.

Belongs here: reading records of the sample and what is around them, and telling those that cannot be read from those
that are not there. Does not belong here: what a record must hold (expect), the warehouse and the mirror of the
platform: both are copies that the audit is to find out about.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import sleep as _sleep
from typing import TypeVar

from referral_pipeline.connectors.failures import Invalid
from referral_pipeline.connectors.protocols import AdvocacyConnector, AtsConnector
from referral_pipeline.connectors.records import (
    Advocate,
    AtsApplication,
    AtsCandidate,
    Content,
    Referral,
    RowProblem,
    Share,
    Told,
    Window,
)
from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.sync.facts import Programme

_AT_ONCE = 50
_OVERLAP = timedelta(minutes=15)

_T = TypeVar("_T")


@dataclass(frozen=True)
class Systems:
    """What an audit reads from. `progress` is called with (what, done, total)."""

    contract: Contract
    ledger: Ledger
    ats: AtsConnector
    advocacy: AdvocacyConnector
    progress: Callable[[str, int, int], None] = lambda what, done, total: None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = _sleep


@dataclass(frozen=True)
class LiveReferral:
    """A referral as the platform holds it now, with what it was told of the application. Personal data inside."""

    referral: Referral = field(repr=False)
    told: Told


@dataclass(frozen=True)
class Read:
    """What was asked for by id, and the ids of what is there and cannot be read. What is in neither is not there."""

    found: Mapping[str, LiveReferral] = field(repr=False)
    unreadable: frozenset[str]


def read_many(ids: Iterable[str], read: Callable[[Sequence[str]], Mapping[str, _T]]) -> tuple[dict[str, _T], set[str]]:
    """Records by id, in batches; one that cannot be understood does not stop the others, and is named apart.

    Raises:
        TransientFailure, PermanentFailure: from the connector, but for a record that cannot be understood.
    """
    wanted = sorted(set(ids))
    found: dict[str, _T] = {}
    unreadable: set[str] = set()
    batches = [wanted[start : start + _AT_ONCE] for start in range(0, len(wanted), _AT_ONCE)]
    while batches:
        batch = batches.pop()
        try:
            found |= read(batch)
        except Invalid:
            if len(batch) == 1:
                unreadable.update(batch)
            else:
                middle = len(batch) // 2
                batches += [batch[:middle], batch[middle:]]
    return found, unreadable


def read_applications(systems: Systems, ids: Iterable[str]) -> tuple[dict[str, AtsApplication], set[str]]:
    """Applications as the ATS holds them now, and the ids of those that cannot be read."""
    return read_many(ids, systems.ats.get_applications)


def read_candidates(systems: Systems, ids: Iterable[str]) -> tuple[dict[str, AtsCandidate], set[str]]:
    """Candidates as the ATS holds them now, and the ids of those that cannot be read."""
    return read_many(ids, systems.ats.get_candidates)


def read_referrals(systems: Systems, ids: Collection[str], what: str) -> Read:
    """Referrals as the platform holds them now; progress is told as `what`."""
    found: dict[str, LiveReferral] = {}
    unreadable: set[str] = set()
    for done, referral_id in enumerate(sorted(ids)):
        systems.progress(what, done, len(ids))
        try:
            row = systems.advocacy.referral_row(referral_id)
        except Invalid:
            unreadable.add(referral_id)
            continue
        if row is None:
            continue
        referral, told = systems.advocacy.referral_of(row), systems.advocacy.told_of(row)
        if isinstance(referral, RowProblem) or isinstance(told, RowProblem):
            unreadable.add(referral_id)
        else:
            found[referral_id] = LiveReferral(referral, told)
    systems.progress(what, len(ids), len(ids))
    return Read(found, frozenset(unreadable))


class LiveProgramme:
    """Advocates, shares and content around referrals, pulled from the platform once and then what changed since.

    The platform lists shares whole or by time, not by advocate, so all are read; kept are those of these advocates.
    """

    def __init__(self, systems: Systems) -> None:
        self._s = systems
        self._advocates: dict[str, Advocate] = {}
        self._shares: dict[str, Share] = {}
        self._content: dict[str, Content] = {}
        self._around: tuple[set[str], set[str]] = (set(), set())
        self._pulled_at: datetime | None = None

    def around(self, referrals: Collection[Referral]) -> Programme:
        """The part of the programme that touches these referrals, as it is now.

        Raises:
            TransientFailure, PermanentFailure: from the platform.
        """
        advocates = {r.advocate_id for r in referrals}
        shares = {r.share_id for r in referrals if r.share_id}
        known = advocates <= self._around[0] and shares <= self._around[1]
        since = self._pulled_at - _OVERLAP if known and self._pulled_at is not None else None
        self._around = (self._around[0] | advocates, self._around[1] | shares)
        now = self._s.clock()
        advocacy = self._s.advocacy
        window = Window(since=since, until=now)
        for advocate in self._pulled("advocates", window, advocacy.advocate_of):
            if advocate.id in self._around[0]:
                self._advocates[advocate.id] = advocate
        for share in self._pulled("shares", window, advocacy.share_of):
            if share.advocate_id in self._around[0] or share.id in self._around[1]:
                self._shares[share.id] = share
        for content in self._pulled("content", window, advocacy.content_of):
            self._content[content.id] = content
        self._pulled_at = now
        return Programme.over(
            advocates=self._advocates.values(), shares=self._shares.values(), content=self._content.values()
        )

    def _pulled(self, entity: str, window: Window, read: Callable[..., _T | RowProblem]) -> Iterable[_T]:
        if entity not in self._s.advocacy.entities:
            return
        self._s.progress(f"read {entity}", 0, 1)
        for page in self._s.advocacy.pull(entity, window):
            for row in page:
                one = read(row)
                if not isinstance(one, RowProblem):
                    yield one
        self._s.progress(f"read {entity}", 1, 1)
