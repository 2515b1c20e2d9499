"""Staging: canonical records of both sides and of the ledger, one table a kind, canonical keys added, dirt set aside.

Belongs here: which table gets which columns, and the rules of the quarantine that need canonical forms. Does not belong
here: reading a vendor's rows (connectors), canonical forms (identity.canonical), conclusions (core, mart).

Rules of the quarantine
1. A referral without a readable e-mail address, or without first or last name, is left out. So is a referral or share
   of an advocate whom the platform never sent: nobody could be credited. It comes in once the advocate has come.
2. A phone number or country that cannot be read, or a share that was never sent, costs only that field.
3. A contact detail of an ATS candidate that cannot be read stays as it is, without a key.
4. Of several records with one id the newest stands.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar

import pandas as pd

from referral_pipeline.connectors.records import (
    AdvocacyStaged,
    AtsApplication,
    AtsCandidate,
    AtsStaged,
    Referral,
    RowProblem,
    Share,
)
from referral_pipeline.contract.models import Contract
from referral_pipeline.identity.admission import unfit_fields
from referral_pipeline.identity.canonical import (
    canonical_country,
    canonical_email,
    canonical_phone,
    email_flag,
    email_problem,
    phone_problem,
    shape_of,
)
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.warehouse.events import stage_events
from referral_pipeline.warehouse.frames import columns, frame_of, frame_of_rows
from referral_pipeline.warehouse.quarantine import Level, Quarantined, StagingReport, judged, save_quarantine
from referral_pipeline.warehouse.store import Warehouse

__all__ = ["StagingReport", "stage_advocacy", "stage_ats", "stage_ledger"]

TAGS = ("referral_id", "advocate_id", "share_id", "content_id", "campaign_tag")
"""Advocacy fields of an application that staging keeps, each as `tag_<name>`."""

_ADVOCATE = columns(text="id email department", flag="eligible", time="joined_at left_at updated_at")
_CONTENT = columns(text="id title campaign_tag job_id", time="published_at updated_at")
_SHARE = columns(text="id advocate_id content_id job_id channel", whole="reach", time="shared_at updated_at")
_CLICK = columns(text="id share_id visitor_id", time="clicked_at updated_at")
_REFERRAL = columns(
    text="id advocate_id share_id job_id campaign_tag stage first_name last_name email email_key email_flag"
    " phone phone_key country consent_basis status ats_candidate_id ats_application_id",
    time="submitted_at applied_at touched_at consent_granted_at consent_expires_at status_at updated_at",
    flag="consent_granted is_ended",
    whole="clicks shares reach",
)
_JOB = columns(text="id title status department location url", time="opened_at closed_at updated_at")
_CANDIDATE = columns(text="id first_name last_name", time="created_at updated_at")
_CONTACT = columns(text="candidate_id kind value key")
_APPLICATION = columns(
    text="system id candidate_id job_id status stage_name unmapped_stage source_name "
    + " ".join(f"tag_{name}" for name in TAGS),
    time="status_at applied_at interviewed_at offered_at hired_at rejected_at updated_at",
    date="starts_on",
)
_STAGE_ENTRY = columns(text="application_id status stage_name", time="entered_at exited_at")
_OFFER = columns(text="id application_id status", date="sent_on starts_on", time="resolved_at updated_at")
_LINK = columns(
    text="referral_id person_id job_id system candidate_id application_id block match_method status",
    flag="created_candidate created_application",
    time="status_at",
)
_LEDGER_STATUS = columns(text="system application_id status source_event", time="at")
_ALIAS = columns(text="system old_id new_id")
_OVERRIDE = columns(text="application_key referral_id", whole="id", time="decided_at")
_BONUS = columns(
    text="bonus_id key system application_id referral_id advocate_id state reason currency",
    whole="cycle amount_cents export_id",
    time="recognised_at eligible_at reversed_at",
    date="paid_on",
)
_PAYROLL = columns(
    text="key referral_id advocate_id system application_id currency state export_state",
    whole="export_id amount_cents",
    time="eligible_at settled_at",
    date="pay_on",
)


def stage_advocacy(warehouse: Warehouse, staged: AdvocacyStaged, contract: Contract) -> StagingReport:
    """Rebuild the staging tables of the advocacy platform, all or none.

    Raises:
        ModelFailed: when a table could not be built; all of them stay as they were.
    """
    system = contract.advocacy.connector
    advocates = {a.id for a in staged.advocates} | _ever_sent(warehouse, system, "advocates")
    shares, strangers = _shares(_newest(staged.shares), advocates, system)
    share_ids = {s.id for s in staged.shares} | _ever_sent(warehouse, system, "shares")
    referrals, found = _referrals(_newest(staged.referrals), advocates, share_ids, system)
    known = {
        "advocates": staged.advocates,
        "content": staged.content,
        "shares": staged.shares,
        "clicks": staged.clicks,
        "referrals": staged.referrals,
    }
    quarantine = [*judged(staged.problems, _ids(known)), *strangers, *found]
    frames = {
        "staging.advocate": frame_of(_newest(staged.advocates), _ADVOCATE),
        "staging.content": frame_of(_newest(staged.content), _CONTENT),
        "staging.share": frame_of(shares, _SHARE),
        "staging.click": frame_of(_newest(staged.clicks), _CLICK),
        # After the shares: a referral takes its content from its share.
        "staging.referral": frame_of_rows(referrals, _REFERRAL),
    }
    return _save(warehouse, frames, quarantine, side="advocacy")


def stage_ats(
    warehouse: Warehouse, system: str, staged: AtsStaged, *, default_country: str | None = None
) -> StagingReport:
    """Rebuild the staging tables of the ATS, all or none.

    Args:
        warehouse: where the tables are.
        system: name of the ATS.
        staged: what its connector read.
        default_country: how to read phone numbers in national form; without it they have no key.

    Raises:
        ModelFailed: when a table could not be built; all of them stay as they were.
    """
    candidates = _newest(staged.candidates)
    applications = _newest(staged.applications)
    contacts, found = _contacts(candidates, system, default_country)
    known = {
        "jobs": staged.jobs,
        "candidates": staged.candidates,
        "applications": staged.applications,
        "offers": staged.offers,
    }
    quarantine = [*judged(staged.problems, _ids(known)), *found]
    frames = {
        "staging.ats_job": frame_of(_newest(staged.jobs), _JOB),
        "staging.ats_candidate": frame_of(candidates, _CANDIDATE),
        "staging.ats_candidate_contact": frame_of_rows(contacts, _CONTACT),
        "staging.ats_application": frame_of_rows((_application(a, system) for a in applications), _APPLICATION),
        "staging.ats_stage_entry": frame_of_rows(_stage_entries(applications), _STAGE_ENTRY),
        "staging.ats_offer": frame_of(_newest(staged.offers), _OFFER),
    }
    return _save(warehouse, frames, quarantine, side="ats")


def stage_ledger(warehouse: Warehouse, ledger: Ledger) -> StagingReport:
    """Copy what analytics needs of the ledger: links, statuses, aliases, overrides, bonuses, payroll, events."""
    aliases = [
        {"system": system, "old_id": old, "new_id": new}
        for system in ledger.alias_systems()
        for old, new in ledger.aliases(system).items()
    ]
    frames = {
        "staging.link": frame_of(ledger.links(), _LINK),
        "staging.ledger_status": frame_of(ledger.status_facts(), _LEDGER_STATUS),
        "staging.candidate_alias": frame_of_rows(aliases, _ALIAS),
        "staging.ledger_override": frame_of(ledger.overrides(in_force=True), _OVERRIDE),
        "staging.ledger_bonus": frame_of(ledger.bonuses(), _BONUS),
        "staging.ledger_payroll": frame_of_rows(_payroll(ledger), _PAYROLL),
    }
    with warehouse.transaction():
        rows = {table: warehouse.replace(table, frame) for table, frame in frames.items()}
        return StagingReport({**rows, "staging.ledger_event": stage_events(warehouse, ledger)})


def _payroll(ledger: Ledger) -> list[dict[str, Any]]:
    exports = {export.id: export for export in ledger.payroll_exports()}
    return [
        {**vars(entry), "export_state": exports[entry.export_id].state, "pay_on": exports[entry.export_id].pay_on}
        for entry in ledger.payroll_entries()
    ]


def _save(
    warehouse: Warehouse,
    frames: dict[str, pd.DataFrame],
    quarantine: list[Quarantined],
    *,
    side: Literal["advocacy", "ats"],
) -> StagingReport:
    with warehouse.transaction():
        rows = {table: warehouse.replace(table, frame) for table, frame in frames.items()}
        save_quarantine(warehouse, quarantine, side=side)
    return StagingReport(rows, tuple(quarantine))


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


class _Dated(_Identified, Protocol):
    @property
    def updated_at(self) -> datetime | None: ...


_Record = TypeVar("_Record", bound=_Dated)


def _newest(records: Iterable[_Record]) -> list[_Record]:
    by_id: dict[str, _Record] = {}
    for record in records:
        held = by_id.get(record.id)
        if held is None or held.updated_at is None or (record.updated_at or held.updated_at) >= held.updated_at:
            by_id[record.id] = record
    return list(by_id.values())


def _ids(known: dict[str, Any]) -> dict[str, set[str]]:
    return {entity: {record.id for record in records} for entity, records in known.items()}


# ---------------------------------------------------------------- shares and referrals


def _ever_sent(warehouse: Warehouse, system: str, entity: str) -> set[str]:
    """Ids of records that are gone by now, or cannot be read: what refers to them is no error."""
    table = f"raw.{system}_{entity}"
    return set(warehouse.frame(f"SELECT id FROM {table}")["id"]) if warehouse.has_table(table) else set()  # noqa: S608 - constants


def _shares(records: Sequence[Share], advocates: Collection[str], system: str) -> tuple[list[Share], list[Quarantined]]:
    found = [
        _set_aside(system, "shares", s.id, "advocate_id", "is nobody's", s.advocate_id, Level.RECORD)
        for s in records
        if s.advocate_id not in advocates
    ]
    return [s for s in records if s.advocate_id in advocates], found


def _referrals(
    records: Sequence[Referral], advocates: Collection[str], shares: Collection[str], system: str
) -> tuple[list[dict[str, Any]], list[Quarantined]]:
    rows: list[dict[str, Any]] = []
    found: list[Quarantined] = []
    for referral in records:
        missing = [
            _set_aside(system, "referrals", referral.id, unfit.field, unfit.reason, unfit.value, Level.RECORD)
            for unfit in unfit_fields(referral, has_advocate=referral.advocate_id in advocates)
        ]
        if missing:
            found.extend(missing)
            continue
        row, ignored = _referral(referral, system)
        if referral.share_id is not None and referral.share_id not in shares:
            row["share_id"] = None
            ignored.append(
                _set_aside(system, "referrals", referral.id, "share_id", "is no share", referral.share_id, Level.FIELD)
            )
        rows.append(row)
        found.extend(ignored)
    return rows, found


def _referral(referral: Referral, system: str) -> tuple[dict[str, Any], list[Quarantined]]:
    ignored: list[Quarantined] = []
    country = canonical_country(referral.country)
    if country is None and (referral.country or "").strip():
        ignored.append(
            _set_aside(system, "referrals", referral.id, "country", "is no country code", referral.country, Level.FIELD)
        )
    phone_key = canonical_phone(referral.phone, country)
    if phone_key is None and (referral.phone or "").strip():
        reason = phone_problem(referral.phone, country) or "is not a phone number"
        ignored.append(_set_aside(system, "referrals", referral.id, "phone", reason, referral.phone, Level.FIELD))
    email = canonical_email(referral.email)
    consent = referral.consent
    row = {name: getattr(referral, name, None) for name in _REFERRAL}
    row.update(
        touched_at=referral.touched_at,
        email_key=email.key if email is not None else None,
        email_flag=email_flag(email),
        phone_key=phone_key,
        country=country,
        consent_granted=consent.granted if consent is not None else None,
        consent_basis=consent.basis if consent is not None else None,
        consent_granted_at=consent.granted_at if consent is not None else None,
        consent_expires_at=consent.expires_at if consent is not None else None,
    )
    return row, ignored


def _set_aside(
    system: str, entity: str, record_id: str, field: str, reason: str, value: object, level: Level
) -> Quarantined:
    return Quarantined(RowProblem(system, entity, record_id, field, reason, shape_of(value)), level)


# ---------------------------------------------------------------- ATS


def _contacts(
    candidates: Sequence[AtsCandidate], system: str, default_country: str | None
) -> tuple[list[dict[str, Any]], list[Quarantined]]:
    rows: list[dict[str, Any]] = []
    found: list[Quarantined] = []
    for candidate in candidates:
        for value in dict.fromkeys(candidate.emails):
            email = canonical_email(value)
            rows.append(_contact(candidate, "email", value, email.key if email is not None else None))
            if email is None:
                reason = email_problem(value) or "is not a well-formed address"
                found.append(_set_aside(system, "candidates", candidate.id, "email", reason, value, Level.FIELD))
        for value in dict.fromkeys(candidate.phones):
            phone = canonical_phone(value, default_country)
            rows.append(_contact(candidate, "phone", value, phone))
            if phone is None:
                reason = phone_problem(value, default_country) or "is not a phone number"
                found.append(_set_aside(system, "candidates", candidate.id, "phone", reason, value, Level.FIELD))
    return rows, found


def _contact(candidate: AtsCandidate, kind: str, value: str, key: str | None) -> dict[str, Any]:
    return {"candidate_id": candidate.id, "kind": kind, "value": value, "key": key}


def _application(application: AtsApplication, system: str) -> dict[str, Any]:
    row = {name: getattr(application, name, None) for name in _APPLICATION}
    row["system"] = system
    row.update({f"tag_{name}": application.tags.get(name) for name in TAGS})
    return row


def _stage_entries(applications: Sequence[AtsApplication]) -> list[dict[str, Any]]:
    return [
        {
            "application_id": application.id,
            "status": entry.status,
            "stage_name": entry.stage_name,
            "entered_at": entry.entered_at,
            "exited_at": entry.exited_at,
        }
        for application in applications
        for entry in application.history
    ]
