"""Both sides of the comparison, gathered from the warehouse and the ledger as the last refresh left them.

Belongs here: which rows, records, referrals and applications are looked at. Does not belong here: comparing them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from referral_pipeline.contract.models import Contract
from referral_pipeline.contract.verification import ParallelRun
from referral_pipeline.ledger.records import DeliveryState
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.quality.parallel_run.records import Application, Facts, Known, Manual, Ours, Window
from referral_pipeline.warehouse.store import Warehouse

_GRACE = timedelta(minutes=10)
"""A webhook is on its way for so long: its sender may try again."""
_MOST_DEAD = 10_000
_NEAR = timedelta(days=30)
"""How long before the window a referral of an equal name may have been made that a row is thought to mean."""

_MANUAL = """
SELECT place, entered_on, entered_at, job_id, record_id, first_name, last_name, email_key, phone_key, country,
    advocate_id, campaign_tag, status
FROM staging.manual_intake
ORDER BY file, line
"""
_KNOWN = """
WITH wanted AS (
    SELECT email_key AS key FROM staging.manual_intake WHERE email_key IS NOT NULL
    UNION
    SELECT phone_key FROM staging.manual_intake WHERE phone_key IS NOT NULL
)
SELECT record.record_id, person.person_id, record.first_name, record.last_name, record.email_keys, record.phone_keys
FROM staging.identity_record AS record
JOIN core.person_record AS person ON person.record_id = record.record_id
WHERE record.record_id IN (
    SELECT record_id
    FROM (SELECT record_id, unnest(list_concat(email_keys, phone_keys)) AS key FROM staging.identity_record)
    WHERE key IN (SELECT key FROM wanted)
)
ORDER BY record.record_id
"""
_OURS = """
WITH contact AS (
    SELECT
        candidate_id,
        list(DISTINCT key) FILTER (WHERE kind = 'email' AND key IS NOT NULL) AS email_keys,
        list(DISTINCT key) FILTER (WHERE kind = 'phone' AND key IS NOT NULL) AS phone_keys
    FROM staging.ats_candidate_contact
    GROUP BY candidate_id
),
passed AS (
    SELECT application_key, list(DISTINCT status) AS statuses FROM core.status_history GROUP BY application_key
)
SELECT
    referral.id, referral.job_id, referral.advocate_id, referral.campaign_tag, referral.touched_at, referral.country,
    referral.first_name, referral.last_name, referral.email_key, referral.phone_key,
    coalesce(record.person_id, link.person_id) AS person_id,
    link.block, link.application_id,
    coalesce(link.created_candidate, false) AS created_candidate,
    coalesce(link.created_application, false) AS created_application,
    owner.application_key, owner.candidate_id, owner.job_ids,
    application.status, application.stage_name, application.applied_at,
    application.tag_advocate_id, application.tag_campaign_tag,
    attribution.advocate_id AS credited_advocate_id, attribution.campaign_tag AS credited_campaign_tag,
    passed.statuses,
    candidate.id IS NOT NULL AS has_candidate,
    candidate.first_name AS candidate_first_name, candidate.last_name AS candidate_last_name,
    contact.email_keys, contact.phone_keys
FROM staging.referral AS referral
LEFT JOIN core.person_record AS record ON record.record_id = $advocacy || ':' || referral.id
LEFT JOIN staging.link AS link ON link.referral_id = referral.id
LEFT JOIN core.application_person AS owner
    ON owner.system = link.system AND owner.application_id = link.application_id
LEFT JOIN staging.ats_application AS application
    ON application.system = link.system AND application.id = link.application_id
LEFT JOIN core.attribution AS attribution ON attribution.application_key = owner.application_key
LEFT JOIN passed ON passed.application_key = owner.application_key
LEFT JOIN staging.ats_candidate AS candidate ON candidate.id = owner.candidate_id
LEFT JOIN contact ON contact.candidate_id = owner.candidate_id
WHERE
    coalesce(record.person_id, link.person_id) IN (SELECT unnest($persons::VARCHAR[]))
    OR referral.touched_at BETWEEN $since AND $until
    OR (referral.touched_at >= $near AND referral.job_id IN (SELECT job_id FROM staging.manual_intake))
ORDER BY referral.id
"""
_BEGAN = """
SELECT min(application.applied_at) AS at
FROM staging.link AS link
JOIN staging.ats_application AS application
    ON application.system = link.system AND application.id = link.application_id
WHERE link.created_application
"""
_NEEDED = (
    *("staging.identity_record", "core.person_record", "staging.referral", "staging.link"),
    *("core.application_person", "core.attribution", "core.status_history"),
)


def is_refreshed(warehouse: Warehouse) -> bool:
    """Whether there is anything to compare with yet."""
    return all(warehouse.has_table(table) for table in _NEEDED)


def window_of(section: ParallelRun, days: Sequence[date]) -> Window | None:
    """The window that the contract states, with the first and the last day of an entry where it leaves them out.

    None when it leaves one out and there is no entry.
    """
    starts_on = section.starts_on or min(days, default=None)
    ends_on = section.ends_on or max(days, default=None)
    if starts_on is None or ends_on is None:
        return None
    # The day after the last one begins when the window is over, at midnight by the clock of its zone.
    ends_at = datetime.combine(ends_on + timedelta(days=1), time(), ZoneInfo(section.time_zone)).astimezone(UTC)
    return Window(starts_on, max(starts_on, ends_on), section.time_zone, ends_at)


def manual_rows(warehouse: Warehouse) -> list[Manual]:
    """Every row of manual intake, in file order."""
    return [
        Manual(
            place=row["place"],
            day=row["entered_on"].date() if isinstance(row["entered_on"], datetime) else row["entered_on"],
            entered_at=row["entered_at"],
            **{name: row[name] for name in _PLAIN},
        )
        for row in _rows(warehouse, _MANUAL)
    ]


_PLAIN = (
    *("job_id", "record_id", "first_name", "last_name", "email_key", "phone_key", "country"),
    *("advocate_id", "campaign_tag", "status"),
)


def gather(
    warehouse: Warehouse,
    ledger: Ledger,
    contract: Contract,
    window: Window,
    rows: Sequence[Manual],
    *,
    quarantined: Mapping[str, tuple[str, str]],
    now: datetime,
) -> Facts:
    """Both sides.

    Args:
        warehouse: refreshed.
        ledger: for webhooks and what was refused.
        contract: for the systems' names.
        window: which days count.
        rows: every row of manual intake.
        quarantined: (referral id, field) of referrals that staging set aside, by canonical address and number.
        now: the time, aware.
    """
    known = [
        Known(
            row["record_id"], row["person_id"], row["first_name"], row["last_name"],
            tuple(row["email_keys"]), tuple(row["phone_keys"]),
        )
        for row in _rows(warehouse, _KNOWN)
    ]  # fmt: skip
    starts_at = datetime.combine(window.starts_on, time(), ZoneInfo(window.time_zone)).astimezone(UTC)
    referrals = _rows(
        warehouse,
        _OURS,
        advocacy=contract.advocacy.connector,
        persons=sorted({one.person_id for one in known}),
        since=starts_at,
        until=window.ends_at,
        near=starts_at - _NEAR,
    )
    inside, beside = window.divided(rows)
    began = _rows(warehouse, _BEGAN)
    return Facts(
        manual=tuple(inside),
        beside=tuple(beside),
        known=tuple(known),
        ours=tuple(_with_ledger([_ours(row) for row in referrals], ledger, contract, now)),
        began_at=began[0]["at"] if began else None,
        quarantined=quarantined,
        advocates=_ids(warehouse, "SELECT id FROM staging.advocate"),
        campaigns=_ids(
            warehouse, "SELECT campaign_tag FROM staging.content UNION SELECT campaign_tag FROM staging.referral"
        ),
        jobs=_ids(warehouse, "SELECT id FROM staging.ats_job"),
    )


def _ours(row: Mapping[str, Any]) -> Ours:
    person_id = row["person_id"]
    return Ours(
        referral_id=row["id"],
        person_id=person_id,
        job_id=row["job_id"],
        advocate_id=row["advocate_id"],
        campaign_tag=row["campaign_tag"],
        touched_at=row["touched_at"],
        record=Known(
            row["id"], person_id or "", row["first_name"], row["last_name"],
            _one(row["email_key"]), _one(row["phone_key"]),
        ),
        country=row["country"],
        block=row["block"],
        application_id=row["application_id"],
        application=_application(row),
        created_candidate=row["created_candidate"],
        created_application=row["created_application"],
    )  # fmt: skip


def _application(row: Mapping[str, Any]) -> Application | None:
    if row["application_key"] is None:
        return None
    candidate = None
    if row["has_candidate"]:
        candidate = Known(
            row["candidate_id"], row["person_id"] or "", row["candidate_first_name"], row["candidate_last_name"],
            tuple(row["email_keys"] or ()), tuple(row["phone_keys"] or ()),
        )  # fmt: skip
    return Application(
        key=row["application_key"],
        candidate_id=row["candidate_id"],
        job_ids=frozenset(job for job in row["job_ids"] or () if job is not None),
        status=row["status"],
        stage_name=row["stage_name"],
        applied_at=row["applied_at"],
        passed=frozenset(row["statuses"] or ()),
        advocate_id=row["tag_advocate_id"],
        campaign_tag=row["tag_campaign_tag"],
        credited_advocate_id=row["credited_advocate_id"],
        credited_campaign_tag=row["credited_campaign_tag"],
        candidate=candidate,
    )


def _one(key: str | None) -> tuple[str, ...]:
    return () if key is None else (key,)


def _with_ledger(ours: Sequence[Ours], ledger: Ledger, contract: Contract, now: datetime) -> list[Ours]:
    """With what only the ledger knows: webhooks, events that failed or wait, writes that were refused."""
    system = contract.advocacy.connector
    subjects = {one.referral_id: f"referral:{one.referral_id}" for one in ours}
    kept_since = ledger.webhooks_kept_since(system)
    heard = ledger.webhooks_of(system, subjects.values())
    waiting = ledger.unfinished_subjects(subjects.values())
    dead = {event.subject for event in ledger.inbox_events(state="dead", system=system, limit=_MOST_DEAD)}
    refused = {one.referral_id for one in ledger.deliveries(state=DeliveryState.DEAD, system=contract.ats.connector)}
    made: list[Ours] = []
    for one in ours:
        subject = subjects[one.referral_id]
        is_told = kept_since is not None and kept_since <= one.touched_at <= now - _GRACE
        state = "dead" if subject in dead else "open" if subject in waiting else None
        made.append(
            replace(
                one,
                had_webhook=True if subject in heard else False if is_told else None,
                event_state=state,
                is_refused=one.referral_id in refused,
            )
        )
    return made


def _ids(warehouse: Warehouse, sql: str) -> frozenset[str]:
    return frozenset(value for row in _rows(warehouse, sql) for value in row.values() if value is not None)


def _rows(warehouse: Warehouse, sql: str, **params: Any) -> list[dict[str, Any]]:
    """Rows with plain values: null is None, times are aware."""
    with warehouse.connect() as connection:
        answer = connection.execute(sql, params or None)
        names = [str(column[0]) for column in answer.description or ()]
        return [dict(zip(names, map(_plain, row), strict=True)) for row in answer.fetchall()]


def _plain(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def quarantined_keys(set_aside: Iterable[tuple[str, str]], referrals: Iterable[Any]) -> dict[str, tuple[str, str]]:
    """(referral id, field) by every canonical address and number of referrals that were set aside.

    Args:
        set_aside: referral id and field of each.
        referrals: `connectors.records.Referral`s, these and others.
    """
    from referral_pipeline.identity.canonical import canonical_country, canonical_email, canonical_phone

    field_of = dict(set_aside)
    found: dict[str, tuple[str, str]] = {}
    for referral in referrals:
        if referral.id not in field_of:
            continue
        email = canonical_email(referral.email)
        phone = canonical_phone(referral.phone, canonical_country(referral.country))
        for key in (email.key if email is not None else None, phone):
            if key is not None:
                found.setdefault(key, (referral.id, field_of[referral.id]))
    return found
