"""The advocacy programme as the lane knows it: the newest row of each record, encrypted in the ledger.

Belongs here: keeping rows, and giving canonical records of them. Does not belong here: what a row means (connectors),
decisions.

The lane cannot read the warehouse (one process holds that file), and needs for one referral only its neighbours: the
other referrals of the person, the advocate, their shares, the content. Pulls and webhooks both feed this; the newest
row by `updated_at` stands, whichever way it came. What is missing is pulled once, on demand.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from referral_pipeline.connectors.protocols import AdvocacyConnector, SkipsRows
from referral_pipeline.connectors.records import (
    Advocate,
    Content,
    Entity,
    Finding,
    Referral,
    Row,
    RowProblem,
    Share,
    Window,
)
from referral_pipeline.connectors.values import parse_instant
from referral_pipeline.ledger.store import Ledger, MirrorRow
from referral_pipeline.privacy.crypto import Cipher
from referral_pipeline.sync.facts import Programme

ENTITIES = ("advocates", "content", "shares", "referrals")
"""What is mirrored. Clicks are not: they name no person, and nothing is written for one."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OVERLAP = timedelta(minutes=15)
_REMEMBERED_SECONDS = 20.0
_MOST_REMEMBERED = 20_000

_T = TypeVar("_T", Advocate, Content, Share)


@dataclass(frozen=True)
class Fresh:
    """A referral's row as an event brought it, and read."""

    row: Row = field(repr=False)
    referral: Referral = field(repr=False)


@dataclass(frozen=True)
class Referrals:
    """Referrals by id, the rows that cannot be read, and fresh rows that are still to be kept."""

    read: dict[str, Referral] = field(repr=False)
    problems: dict[str, RowProblem]
    to_keep: list[MirrorRow] = field(repr=False)


class Mirror:
    """Rows of the advocacy platform by id. Safe for threads.

    Args:
        ledger: where the rows lie.
        cipher: how they are encrypted.
        advocacy: reads rows, and pulls what is missing.
        clock: the time, aware.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        cipher: Cipher,
        advocacy: AdvocacyConnector,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._ledger = ledger
        self._cipher = cipher
        self._advocacy = advocacy
        self._clock = clock
        self._remembered: dict[tuple[str, str], tuple[datetime, Any]] = {}
        self._pulling = {entity: threading.Lock() for entity in ENTITIES}
        self._pulled_at: dict[str, datetime] = {}
        self._primed = False

    # ------------------------------------------------------------ feeding

    def keep(self, entity: str, rows: Iterable[Row]) -> int:
        """Keep these raw rows where they are newer than what is kept; answers how many were. Others are passed over."""
        found = [kept for row in rows if (kept := self._kept(entity, row)) is not None]
        changed = self._ledger.save_mirror(found) if found else 0
        for kept in found:
            self._remembered.pop((entity, kept.record_id), None)
            if kept.owner is not None:
                self._remembered.pop((f"{entity} of", kept.owner), None)
        return changed

    def _kept(self, entity: str, row: Row) -> MirrorRow | None:
        record_id = row.get("id")
        if not isinstance(record_id, str) or not record_id:
            return None
        owner = row.get("advocate_id")
        return MirrorRow(
            system=self._advocacy.system,
            entity=entity,
            record_id=record_id,
            changed_at=changed_at(row),
            owner=owner if isinstance(owner, str) else None,
            body=self._cipher.encrypt(json.dumps(row).encode()),  # escaped: JSON may hold what UTF-8 cannot
        )

    def forget(self, entity: str, record_id: str) -> None:
        """Forget a record that its platform erased."""
        self._ledger.forget_mirror(self._advocacy.system, entity, [record_id])

    def note_pull(self, entity: str, position: datetime) -> None:
        """Note that everything changed up to this time has been kept."""
        self._ledger.save_cursor(
            self._advocacy.system, f"mirror.{entity}", position=position, warehouse_id="", full_pull_at=position
        )

    def is_complete(self, entity: str) -> bool:
        """Whether everything of this kind was kept once."""
        return self._ledger.cursor(self._advocacy.system, f"mirror.{entity}") is not None

    def prime(self) -> None:
        """Pull whatever was never kept as a whole. Without its neighbours a referral cannot be told from a stranger's.

        Raises:
            TransientFailure, PermanentFailure: from the platform.
        """
        if self._primed:
            return
        for entity in ENTITIES:
            if entity in self._advocacy.entities and not self.is_complete(entity):
                self.catch_up(entity)
        self._primed = True

    def catch_up(self, entity: str) -> None:
        """Pull what changed since the last time; of many threads that ask at once the first pulls for all."""
        if entity not in self._advocacy.entities:
            return  # a platform that does not list it has nothing more to say
        asked_at = self._clock()
        with self._pulling[entity]:
            last = self._pulled_at.get(entity)
            if last is not None and last >= asked_at:
                return
            now = self._clock()
            cursor = self._ledger.cursor(self._advocacy.system, f"mirror.{entity}")
            since = cursor.position - _OVERLAP if cursor is not None else None
            for page in self._advocacy.pull(entity, Window(since=since, until=now)):
                self.keep(entity, page)
            self.note_pull(entity, now)
            self._pulled_at[entity] = now

    # ------------------------------------------------------------ reading

    def rows(self, entity: str, ids: Iterable[str]) -> dict[str, Row]:
        """The kept rows of these records."""
        found = self._ledger.mirror(self._advocacy.system, entity, ids)
        return {record_id: self._opened(kept) for record_id, kept in found.items()}

    def referrals(self, ids: Iterable[str], *, fresh: Mapping[str, Fresh] | None = None) -> Referrals:
        """Canonical referrals by id.

        Of `fresh` rows those stand that are no older than what is kept; they are not kept by this, but listed.
        """
        wanted = set(ids)
        found = Referrals({}, {}, [])
        kept = self._ledger.mirror(self._advocacy.system, "referrals", wanted)
        for record_id in sorted(wanted):
            stored, new = kept.get(record_id), (fresh or {}).get(record_id)
            if new is not None and (stored is None or changed_at(new.row) >= stored.changed_at):
                found.read[record_id] = new.referral
                row = self._kept("referrals", new.row)
                found.to_keep.extend([row] if row is not None else [])
            elif stored is not None:
                one = self._advocacy.referral_of(self._opened(stored))
                if isinstance(one, RowProblem):
                    found.problems[record_id] = one
                else:
                    found.read[record_id] = one
        return found

    def advocates(self, referrals: Iterable[Referral]) -> dict[str, Advocate]:
        """The advocates of these referrals, as far as the platform knows them.

        Raises:
            TransientFailure, PermanentFailure: one had to be pulled, and could not.
        """
        return self._known("advocates", {r.advocate_id for r in referrals}, self._advocacy.advocate_of)

    def programme(self, referrals: Sequence[Referral]) -> Programme:
        """The part of the programme that touches these referrals.

        Raises:
            TransientFailure, PermanentFailure: something named here had to be pulled, and could not.
        """
        advocates = self.advocates(referrals)
        shares = self._shares_of({(r.advocate_id, r.job_id) for r in referrals})
        share_ids = {r.share_id for r in referrals if r.share_id} - shares.keys()
        shares |= self._known("shares", share_ids, self._advocacy.share_of)
        content_ids = {s.content_id for s in shares.values() if s.content_id}
        content = self._known("content", content_ids, self._advocacy.content_of)
        return Programme.over(advocates=advocates.values(), shares=shares.values(), content=content.values())

    def _known(self, entity: str, ids: Iterable[str], read: Callable[[Row], _T | RowProblem]) -> dict[str, _T]:
        """Canonical records by id; those that nobody has heard of are pulled for."""
        wanted = set(ids)
        found = self._look_up(entity, wanted, read)
        if found.keys() < wanted:
            self.catch_up(entity)
            found |= self._look_up(entity, wanted - found.keys(), read)
        return found

    def _look_up(self, entity: str, ids: Iterable[str], read: Callable[[Row], _T | RowProblem]) -> dict[str, _T]:
        found: dict[str, _T] = {}
        missing: list[str] = []
        for record_id in ids:
            remembered = self._recall((entity, record_id))
            if remembered is None:
                missing.append(record_id)
            else:
                found[record_id] = remembered
        if missing:
            for record_id, row in self.rows(entity, missing).items():
                one = read(row)
                if not isinstance(one, RowProblem):
                    found[record_id] = one
                    self._remember((entity, record_id), one)
        return found

    def _shares_of(self, wanted: Iterable[tuple[str, str]]) -> dict[str, Share]:
        """What these advocates shared for these jobs (advocate, job), or without naming a job."""
        found: dict[str, Share] = {}
        for advocate_id, job_id in wanted:
            rows: list[Row] | None = self._recall(("shares of", advocate_id))
            if rows is None:
                kept = self._ledger.mirror_of_owner(self._advocacy.system, "shares", [advocate_id])
                rows = [self._opened(one) for one in kept]
                self._remember(("shares of", advocate_id), rows)
            # Reading a row as a share costs more than opening it, and most are for other jobs.
            for row in rows:
                named = row.get("job_id")
                if not isinstance(named, str) or named.strip() in {"", job_id}:
                    share = self._advocacy.share_of(row)
                    if not isinstance(share, RowProblem):
                        found[share.id] = share
        return found

    def _opened(self, kept: MirrorRow) -> Row:
        return json.loads(self._cipher.decrypt(kept.body))

    # ------------------------------------------------------------ remembering for a moment

    def _recall(self, key: tuple[str, str]) -> Any:
        entry = self._remembered.get(key)
        if entry is None or (self._clock() - entry[0]).total_seconds() > _REMEMBERED_SECONDS:
            return None
        return entry[1]

    def _remember(self, key: tuple[str, str], value: object) -> None:
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[key] = (self._clock(), value)


class Tapped:
    """A source whose pulled pages are kept in the mirror too."""

    def __init__(self, source: AdvocacyConnector, mirror: Mirror) -> None:
        self._source = source
        self._mirror = mirror
        self.system: str = source.system
        self.entities: Mapping[str, Entity] = source.entities

    def pull(self, entity: str, window: Window) -> Iterator[list[Row]]:
        """The source's pages, each kept before it is handed on."""
        for page in self._source.pull(entity, window):
            if entity in ENTITIES:
                self._mirror.keep(entity, page)
            yield page
        if entity in ENTITIES and (window.is_full or self._mirror.is_complete(entity)):
            self._mirror.note_pull(entity, window.until)

    @property
    def skipped_rows(self) -> Mapping[str, int]:
        """As the source; none where it counts none."""
        return self._source.skipped_rows if isinstance(self._source, SkipsRows) else {}

    def probe(self) -> list[Finding]:
        """As the source."""
        return self._source.probe()

    def close(self) -> None:
        """As the source."""
        self._source.close()


def changed_at(row: Mapping[str, Any]) -> datetime:
    """When a row was changed, by its platform; long ago for one that does not say."""
    try:
        return parse_instant(row.get("updated_at"))
    except ValueError:
        return _EPOCH
