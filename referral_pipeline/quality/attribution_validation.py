"""Attribution validation: whether the ATS carries the right advocate, content and campaign, and only tags of referrals.

Belongs here: gathering what the ledger knows, reading what is found once more, and what was found in numbers and words.
Does not belong here: the rule (warehouse/sql/ops/attribution_validation.sql), mending (sync.tag_repair).

What is told
1. What stands wrong now is open until it is right. What somebody had changed and the bridge brought back by itself is
   told once, as mended: it would come back, and nobody would know. A linked application that was deleted is told once,
   as settled.
2. Applications whose fields were written after the pull that staging shows are judged by the next validation: their
   credit may rest on a referral that no pull has shown yet.
3. Nothing is judged of tables that stand at a moment which somebody chose: consent, and so credit, was another then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from referral_pipeline.connectors.failures import HttpFailure
from referral_pipeline.connectors.protocols import AdvocacyConnector, AtsConnector
from referral_pipeline.connectors.records import AtsApplication
from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.store import DeliveryState, Ledger
from referral_pipeline.sync.tags import MEND, UPDATE, Finding, findings_of
from referral_pipeline.vocabulary import Block
from referral_pipeline.warehouse.attribution_validation import (
    TABLE,
    Compared,
    TagChange,
    build_attribution_validation,
    compared,
    ensure_attribution_validation,
)
from referral_pipeline.warehouse.moments import chosen_moment
from referral_pipeline.warehouse.store import Warehouse

_KEPT = timedelta(days=30)
"""How long a change that is over stands in the table."""

_MOST_IDS = 200
_AT_ONCE = 50


@dataclass(frozen=True)
class Found:
    """One thing that is wrong, or was: a row of ops.attribution_validation, whose columns these are."""

    application_key: str
    ats_application_id: str
    finding: Finding
    field: str
    state: str
    is_hire: bool
    referral_id: str | None
    stands: str | None
    should: str | None
    mends: str
    changed_at: datetime | None
    is_new: bool


@dataclass(frozen=True)
class Validation:
    """What one validation found. `written_since` are the ids of applications that were written after the pull."""

    at: datetime
    found: tuple[Found, ...]
    compared: Compared
    written_since: frozenset[str]
    is_live: bool
    is_judged: bool = True
    """False where the tables stand at a moment that somebody chose: what was open before is open still."""

    applications: Mapping[str, AtsApplication] = field(default_factory=dict[str, AtsApplication])
    """Those that were read live, by id."""

    @property
    def not_judged(self) -> int:
        """How many applications the next validation judges."""
        return len(self.written_since)

    @property
    def open(self) -> tuple[Found, ...]:
        """What stands wrong now."""
        return tuple(one for one in self.found if one.state == "open")

    @property
    def news(self) -> tuple[Found, ...]:
        """What is to be told: open, or over since the validation before."""
        return tuple(one for one in self.found if one.is_new)

    def facts(self) -> dict[str, Any]:
        """What is kept of it: counts and ids."""
        return {
            "applications_compared": self.compared.applications,
            "hires_compared": self.compared.hires,
            "not_judged": self.not_judged,
            "live": self.is_live,
            "open": by_finding(self.open),
            "over": by_finding(one for one in self.news if one.state != "open"),
            "found": [
                {"application": key, "findings": sorted(kinds)}
                for key, kinds in list(_kinds(self.news).items())[:_MOST_IDS]
            ],
        }


@dataclass(frozen=True)
class Validator:
    """What a validation needs. `known_until` is up to when both systems were pulled; None: they never were."""

    contract: Contract
    ledger: Ledger
    warehouse: Warehouse
    ats: AtsConnector
    known_until: datetime | None

    def validate(self, *, at: datetime, live: bool = False, named: Collection[str] = ()) -> Validation:
        """Judge every application of the last pull, and rebuild ops.attribution_validation.

        Args:
            at: the present moment, aware.
            live: read what is found once more before it is told.
            named: with `live`, ids of applications that are read and judged whether or not anything was found there.

        Raises:
            ModelFailed: the table could not be built.
            TransientFailure, PermanentFailure: with `live`, from the ATS.
        """
        if chosen_moment(self.warehouse, ["core.attribution"]) is not None:
            ensure_attribution_validation(self.warehouse, self.contract, at=at)
            stood = [one for one in self._rows() if one.state == "open"]
            return Validation(at, tuple(stood), Compared(0, 0), frozenset(), is_live=False, is_judged=False)
        changes = [*self._mended(at), *self._gone(at), *self._fresh()]
        found = self._built(changes, (), at)
        applications: dict[str, AtsApplication] = {}
        if live:
            doubtful = {one.ats_application_id for one in found if _can_be_read(one)}
            read = sorted(doubtful.union(named))
            for start in range(0, len(read), _AT_ONCE):
                applications |= self.ats.get_applications(read[start : start + _AT_ONCE])
            if read:
                # That one which no referral leads to is gone is nobody's loss.
                missing = [i for i in read if i not in applications]
                linked = {link.application_id for link in self.ledger.links_of_applications(self.ats.system, missing)}
                deleted = [self._change(i, "gone", Finding.GONE) for i in missing if i in doubtful | linked]
                found = self._built([*changes, *deleted], applications.values(), at)
        return Validation(
            at=at,
            found=tuple(found),
            compared=compared(self.warehouse),
            written_since=frozenset(one.application_id for one in changes if one.kind == "fresh"),
            is_live=live,
            applications=applications,
        )

    def _built(self, changes: Sequence[TagChange], live: Iterable[AtsApplication], at: datetime) -> list[Found]:
        build_attribution_validation(self.warehouse, self.contract, changes=changes, live=live, at=at)
        return self._rows()

    def _rows(self) -> list[Found]:
        names = list(Found.__dataclass_fields__)
        rows = self.warehouse.frame(f"SELECT {', '.join(names)} FROM {TABLE}").to_dict("records")  # noqa: S608
        return [_found({str(k): None if pd.isna(v) else v for k, v in row.items()}) for row in rows]

    # ------------------------------------------------------------ what the ledger knows

    def _mended(self, at: datetime) -> list[TagChange]:
        """What others had changed and was brought back; also where the process ended before it knew of the outcome."""
        changes: list[TagChange] = []
        for one in self.ledger.deliveries(system=self.ats.system, operation=MEND, since=at - _KEPT):
            is_done = one.state is DeliveryState.CONFIRMED and bool(one.result) and bool((one.result or {})["written"])
            if is_done or one.state is DeliveryState.PENDING:
                changes += [
                    TagChange(self.ats.system, one.target, "mended", finding, one.referral_id, one.last_attempt_at)
                    for finding in findings_of(one)
                ]
        return changes

    def _gone(self, at: datetime) -> list[TagChange]:
        """Linked applications that are gone: those that the write-back knows of, and those that it may not know yet."""
        settled: dict[str, TagChange] = {}
        missing: dict[str, TagChange] = {}
        shown = set(self.warehouse.frame("SELECT id FROM staging.ats_application")["id"])
        lag = timedelta(seconds=self.ats.visibility_lag_seconds)
        for link in self.ledger.links():
            application_id, since = link.application_id, link.updated_at
            if link.system != self.ats.system or application_id is None or since is None:
                continue
            if link.block == Block.ERASED and since >= at - _KEPT:
                settled[application_id] = self._change(application_id, "settled", Finding.GONE, link.referral_id, since)
            elif link.block is None and application_id not in shown and since < at - lag:
                missing[application_id] = self._change(application_id, "gone", Finding.GONE, link.referral_id)
        for application_id in settled.keys() & missing.keys():
            del settled[application_id]
        return [*settled.values(), *(missing[i] for i in self._certainly_gone(sorted(missing)))]

    def _certainly_gone(self, ids: Sequence[str]) -> list[str]:
        """Those that a look at the ATS does not find either; one that cannot be read is there."""
        if not ids:
            return []
        try:
            there = self.ats.get_applications(ids)
        except HttpFailure:
            return []  # not known; the next validation looks again
        return [i for i in ids if i not in there]

    def _fresh(self) -> list[TagChange]:
        if self.known_until is None:
            return []
        written = self.ledger.deliveries(system=self.ats.system, operation=UPDATE, since=self.known_until)
        return [self._change(one.target, "fresh") for one in written if one.state is DeliveryState.CONFIRMED]

    def _change(
        self,
        application_id: str,
        kind: str,
        finding: Finding | None = None,
        referral_id: str | None = None,
        changed_at: datetime | None = None,
    ) -> TagChange:
        return TagChange(self.ats.system, application_id, kind, finding, referral_id, changed_at)


def pulled_until(ledger: Ledger, *sources: AtsConnector | AdvocacyConnector) -> datetime | None:
    """Up to when all of these systems were pulled; None when one never was."""
    cursors = [ledger.cursor(source.system, entity) for source in sources for entity in source.entities]
    positions = [cursor.position for cursor in cursors if cursor is not None]
    return min(positions) if positions and len(positions) == len(cursors) else None


# ---------------------------------------------------------------- in numbers and words


def by_finding(found: Iterable[Found]) -> dict[str, int]:
    """How many applications each finding is of."""
    of: dict[str, set[str]] = defaultdict(set)
    for one in found:
        of[one.finding.value].add(one.application_key)
    return {finding: len(keys) for finding, keys in sorted(of.items())}


def counted(found: Iterable[Found]) -> str:
    """The same as a phrase: "wrong_advocate 1, wrong_share 1"."""
    return ", ".join(f"{finding} {count}" for finding, count in by_finding(found).items())


def _kinds(found: Iterable[Found]) -> dict[str, set[str]]:
    of: dict[str, set[str]] = defaultdict(set)
    for one in found:
        of[one.application_key].add(one.finding.value)
    return dict(sorted(of.items()))


def _can_be_read(one: Found) -> bool:
    return one.state == "open" and one.finding is not Finding.GONE


def _found(row: Mapping[str, Any]) -> Found:
    changed_at = row["changed_at"]
    typed: dict[str, Any] = {
        **row,
        "finding": Finding(row["finding"]),
        "is_hire": bool(row["is_hire"]),
        "is_new": bool(row["is_new"]),
        "changed_at": changed_at.to_pydatetime() if changed_at is not None else None,
    }
    return Found(**typed)
