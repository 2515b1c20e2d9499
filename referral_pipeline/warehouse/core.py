"""Core: persons, touches, attribution, credit and status history, built from staging in order.

Belongs here: which core model runs when, with which of the contract's values, and the one core table that is not SQL
(persons come from `identity.resolve`). Does not belong here: the models (sql/core), the rules of identity, KPIs (kpis).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from referral_pipeline.contract.models import Contract
from referral_pipeline.identity.resolve import Record, Resolution, resolve, still_binds
from referral_pipeline.ledger.store import IdentityKey
from referral_pipeline.privacy.crypto import keyed_hash
from referral_pipeline.warehouse.frames import columns, frame_of_rows
from referral_pipeline.warehouse.store import Warehouse

__all__ = ["PeopleReport", "build_bonus_ledger", "build_core", "build_people"]

_PERSON_RECORD = columns(text="record_id system person_id match_method", time="first_seen_at")
_DUPLICATE_REVIEW = columns(text="left_person_id right_person_id score evidence state")

_CORE_TABLES = (
    "core.application_person",
    "core.touchpoint",
    "core.attribution_credit",
    "core.attribution",
    "core.status_event",
    "core.status_history",
)
"""In the order in which they read each other."""


@dataclass(frozen=True)
class PeopleReport:
    """What resolution answered. `rows` counts by table; `records` hold personal data and are not shown.

    `merged` is how many records were found to be somebody already known by another record.
    """

    rows: Mapping[str, int]
    persons: int
    merged: int
    person_of: Mapping[str, str] = field(repr=False)
    method_of: Mapping[str, str] = field(repr=False)
    records: Sequence[Record] = field(repr=False)

    def identity_keys(self, hash_key: bytes | str) -> list[IdentityKey]:
        """Every record's mailboxes and phones as keyed hashes, for the ledger.

        Raises:
            CryptoError: the key is empty.
        """
        return [
            IdentityKey(
                key_hash=keyed_hash(key, hash_key),
                kind=kind,
                system=record.record_id.partition(":")[0],
                record_id=record.record_id,
                person_id=self.person_of[record.record_id],
            )
            for record in self.records
            for kind in ("email", "phone")
            for key in record.keys(kind)
        ]


def build_people(
    warehouse: Warehouse,
    ledger_persons: Mapping[str, str],
    must_link: Iterable[tuple[str, str]],
    contract: Contract,
) -> PeopleReport:
    """Resolve all staged records to persons and replace core.person_record, core.person and core.duplicate_review.

    Args:
        warehouse: with the staging tables of both sides.
        ledger_persons: record id ("system:id") -> person id, as known from earlier runs.
        must_link: pairs of record ids that are confirmed to be one person. A pair whose names contradict by now, with
            no address or phone in common any more, does not bind: the referral was made over to somebody else.
        contract: for the matching rules and the systems' names.

    Raises:
        ModelFailed: a table could not be built; all of them stay as they were.
    """
    records = [*_referral_records(warehouse, contract), *_candidate_records(warehouse, contract)]
    resolution = resolve(
        records,
        previous=ledger_persons,
        must_link=_still_binding(must_link, records),
        shared_mailbox_limit=contract.rules.dedupe.shared_mailbox_limit,
        match_on=contract.rules.dedupe.match_on,
    )
    frames = {
        "core.person_record": frame_of_rows(_person_rows(records, resolution), _PERSON_RECORD),
        "core.duplicate_review": frame_of_rows(_review_rows(resolution), _DUPLICATE_REVIEW),
    }
    with warehouse.transaction():
        rows = {table: warehouse.replace(table, frame) for table, frame in frames.items()}
        rows["core.person"] = warehouse.build("core.person")
    return PeopleReport(
        rows=rows,
        persons=rows["core.person"],
        merged=len(records) - rows["core.person"],
        person_of=resolution.person_of,
        method_of=resolution.method_of,
        records=records,
    )


def _still_binding(pairs: Iterable[tuple[str, str]], records: Iterable[Record]) -> list[tuple[str, str]]:
    by_id = {record.record_id: record for record in records}
    return [(a, b) for a, b in pairs if still_binds(by_id.get(a), by_id.get(b))]


def build_core(warehouse: Warehouse, contract: Contract, as_of: datetime) -> dict[str, int]:
    """Rebuild touches, attribution, credit and status history from staging and core.person; rows by table.

    Args:
        warehouse: with the staging tables of both sides and of the ledger, and with persons built.
        contract: for the rules of attribution and bonus.
        as_of: the moment at which consent is judged, aware.

    Raises:
        ModelFailed: a table could not be built; all of them stay as they were.
    """
    rules = contract.rules
    variables: dict[str, Any] = {
        "advocacy_system": contract.advocacy.connector,
        "require_consent": contract.privacy.require_consent,
        "as_of": as_of.astimezone(UTC),
        "attribution_model": rules.attribution.model,
        "lookback_days": rules.attribution.lookback_days,
        "bonus_cents": rules.bonus.amount_cents,
        "bonus_split": rules.bonus.split,
        "pay_rehires": rules.bonus.pay_rehires,
    }
    with warehouse.transaction():
        return {table: warehouse.build(table, **variables) for table in _CORE_TABLES}


def build_bonus_ledger(warehouse: Warehouse, contract: Contract) -> int:
    """Rebuild mart.bonus from staging and core; its rows.

    Args:
        warehouse: with the ledger staged and core built.
        contract: for the bonus.

    Raises:
        ModelFailed: the table could not be built; it stays as it was.
    """
    bonus = contract.rules.bonus
    with warehouse.transaction():
        return warehouse.build(
            "mart.bonus",
            bonus_cents=bonus.amount_cents,
            waiting_days=bonus.waiting_days,
            pay_rehires=bonus.pay_rehires,
        )


# ---------------------------------------------------------------- records


def _referral_records(warehouse: Warehouse, contract: Contract) -> list[Record]:
    system = contract.advocacy.connector
    rows = _rows(
        warehouse,
        "SELECT id, email_key, phone_key, first_name, last_name, epoch_us(submitted_at) FROM staging.referral",
    )
    return [
        Record(f"{system}:{i}", (email,) if email else (), (phone,) if phone else (), first, last, _time(seen_at))
        for i, email, phone, first, last, seen_at in rows
    ]


def _candidate_records(warehouse: Warehouse, contract: Contract) -> list[Record]:
    """Candidates of the ATS, with those that only an application names: somebody applied, whoever it was."""
    system = contract.ats.connector
    keys: dict[tuple[str, str], list[str]] = {}
    for candidate_id, kind, key in _rows(
        warehouse,
        "SELECT candidate_id, kind, key FROM staging.ats_candidate_contact WHERE key IS NOT NULL ORDER BY ALL",
    ):
        keys.setdefault((candidate_id, kind), []).append(key)
    rows = _rows(
        warehouse,
        "SELECT id, first_name, last_name, epoch_us(created_at) FROM staging.ats_candidate"
        " UNION ALL"
        " SELECT candidate_id, NULL, NULL, epoch_us(min(applied_at)) FROM staging.ats_application"
        " WHERE candidate_id IS NOT NULL AND candidate_id NOT IN (SELECT id FROM staging.ats_candidate)"
        " GROUP BY candidate_id",
    )
    return [
        Record(
            f"{system}:{i}",
            tuple(keys.get((i, "email"), ())),
            tuple(keys.get((i, "phone"), ())),
            first,
            last,
            _time(seen_at),
        )
        for i, first, last, seen_at in rows
    ]


def _rows(warehouse: Warehouse, sql: str) -> list[tuple[Any, ...]]:
    # Plain tuples: a frame would make NaN of a missing text.
    with warehouse.connect() as connection:
        return connection.execute(sql).fetchall()


def _time(microseconds: int | None) -> datetime:
    """The time of this many microseconds since 1970, or the far future: what is undated was not seen first."""
    if microseconds is None:
        return datetime.max.replace(tzinfo=UTC)
    seconds, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


def _person_rows(records: Iterable[Record], resolution: Resolution) -> Iterable[dict[str, Any]]:
    undated = datetime.max.replace(tzinfo=UTC)
    for record in records:
        yield {
            "record_id": record.record_id,
            "system": record.record_id.partition(":")[0],
            "person_id": resolution.person_of[record.record_id],
            "match_method": resolution.method_of[record.record_id],
            "first_seen_at": record.first_seen_at if record.first_seen_at != undated else None,
        }


def _review_rows(resolution: Resolution) -> Iterable[dict[str, Any]]:
    for pair in resolution.review:
        yield {
            "left_person_id": pair.left_person,
            "right_person_id": pair.right_person,
            "evidence": pair.evidence,
            "state": "open",
        }
