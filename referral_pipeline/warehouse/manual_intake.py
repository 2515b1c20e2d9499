"""Manual intake: what the files say into staging, with canonical e-mail, phone and country.

Belongs here: `staging.manual_intake` and its part of the quarantine. Does not belong here: reading files
(connectors.manual_intake), comparing (quality.parallel_run). The rows are personal data: they never leave staging.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from referral_pipeline.connectors.manual_intake import ENTITY, SYSTEM, ManualRead, ManualRow, read_manual_intake
from referral_pipeline.connectors.records import RowProblem
from referral_pipeline.contract.models import Contract
from referral_pipeline.identity.canonical import (
    canonical_country,
    canonical_email,
    canonical_phone,
    email_problem,
    phone_problem,
    shape_of,
)
from referral_pipeline.warehouse.frames import columns, frame_of_rows
from referral_pipeline.warehouse.quarantine import Level, Quarantined, StagingReport, judged, save_quarantine
from referral_pipeline.warehouse.store import Warehouse

__all__ = ["TABLE", "ManualStaged", "stage_manual_intake"]

TABLE = "staging.manual_intake"
MANUAL = columns(
    text="place file record_id first_name last_name email email_key phone phone_key country job_id advocate_id"
    " campaign_tag status",
    whole="line",
    time="entered_at",
    date="entered_on",
    flag="has_time",
)
"""Columns of staging.manual_intake."""


@dataclass(frozen=True)
class ManualStaged:
    """What was read, and what staging made of it. `problems` are all of them, of whole files too."""

    read: ManualRead
    report: StagingReport

    @property
    def problems(self) -> list[RowProblem]:
        """Everything that was set aside, whole rows and single fields."""
        return [one.problem for one in self.report.quarantine]


def stage_manual_intake(warehouse: Warehouse, contract: Contract, home: Path) -> ManualStaged:
    """Read the contract's files whole and replace staging.manual_intake and its part of the quarantine, both or none.

    Without `verification.parallel_run`, or without a file, the table is empty.

    Raises:
        ModelFailed: the table could not be built; both stay as they were.
    """
    section = contract.verification.parallel_run
    read = ManualRead() if section is None else read_manual_intake(section, home)
    only = contract.privacy.allowed_countries[0] if len(contract.privacy.allowed_countries) == 1 else None
    rows, found = _canonical(read.rows, only)
    kept = {ENTITY: {row["place"] for row in rows}}
    found = [*judged([p for p in read.problems if p.record_id not in _places(found)], kept), *found]
    with warehouse.transaction():
        count = warehouse.replace(TABLE, frame_of_rows(rows, MANUAL))
        save_quarantine(warehouse, found, side="manual_intake")
    return ManualStaged(read, StagingReport({TABLE: count}, tuple(found)))


def _places(found: Iterable[Quarantined]) -> set[str]:
    return {one.problem.record_id for one in found if one.level is Level.RECORD}


def _canonical(rows: Iterable[ManualRow], only: str | None) -> tuple[list[dict[str, Any]], list[Quarantined]]:
    """Rows with their keys; one of which neither address nor number can be read is set aside."""
    made: list[dict[str, Any]] = []
    found: list[Quarantined] = []
    for row in rows:
        country = canonical_country(row.country)
        email = canonical_email(row.email)
        phone = canonical_phone(row.phone, country or only)
        level = Level.FIELD if email is not None or phone is not None else Level.RECORD
        if row.country and country is None:
            found.append(
                _aside(row, "country", "is no country code; write two letters, such as DE", row.country, level)
            )
        if row.email and email is None:
            reason = f"{email_problem(row.email) or 'is not a well-formed address'}; mend the address"
            found.append(_aside(row, "email", reason, row.email, level))
        if row.phone and phone is None:
            why = phone_problem(row.phone, country or only) or "is not a phone number"
            found.append(_aside(row, "phone", f"{why}; write it with + and the country's code", row.phone, level))
        if level is Level.FIELD:
            made.append(
                {
                    **{name: getattr(row, name, None) for name in MANUAL},
                    "entered_at": row.entered.at,
                    "entered_on": row.entered.on,
                    "has_time": row.entered.has_time,
                    "email_key": email.key if email is not None else None,
                    "phone_key": phone,
                    "country": country,
                }
            )
    return made, found


def _aside(row: ManualRow, name: str, reason: str, value: str, level: Level) -> Quarantined:
    return Quarantined(RowProblem(SYSTEM, ENTITY, row.place, name, reason, shape_of(value)), level)
