"""What Radancy's rows mean: an application is a referral, a user an advocate.

Belongs here: from rows to canonical records, or why a row is none. Does not belong here: calls (`radancy`), the rows'
fields (`radancy_models`). The numbers are the invariants of `radancy`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from referral_pipeline.connectors.radancy_models import SYSTEM, ApplicationRow, Status, UserRow
from referral_pipeline.connectors.records import Advocate, Consent, Referral, Row, RowProblem, Told
from referral_pipeline.connectors.values import shape
from referral_pipeline.vocabulary import CandidateStatus, ReferralStage

UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""(6) When a row was changed: the platform does not say."""

SHOWN = {
    Status.IN_PROGRESS: CandidateStatus.IN_REVIEW,
    Status.HIRED: CandidateStatus.HIRED,
    Status.CLOSED: CandidateStatus.REJECTED,
}
"""(8) The platform's three words in ours."""

_SCOUT = "ROLE_TALENT_SCOUT"
_R = TypeVar("_R", bound=BaseModel)


@dataclass(frozen=True)
class Declared:
    """(12) What the platform has no field for and the owner says in the contract."""

    consent_basis: str
    country: str


def read_row(entity: str, model: type[_R], row: Row) -> _R | RowProblem:
    """(5) A row as its model, or why it is none: the first field at fault, and the shape of its value."""
    try:
        return model.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = tuple(str(part) for part in first["loc"])
        found = _at(row, where)
        reason = "is missing" if found is None else "cannot be read"
        named = row.get("id")
        return RowProblem(
            SYSTEM, entity, named if isinstance(named, str) else "", ".".join(where), reason, shape(found)
        )


def _at(row: Row, where: tuple[str, ...]) -> object:
    found: Any = row
    for part in where:
        if not isinstance(found, dict):
            return found
        found = cast("Row", found).get(part)
    return found


def read_all(entity: str, model: type[_R], rows: Iterable[Row], problems: list[RowProblem]) -> Iterator[_R]:
    """The rows that can be read; the others are added to `problems`."""
    for row in rows:
        read = read_row(entity, model, row)
        if isinstance(read, RowProblem):
            problems.append(read)
        else:
            yield read


def referral(row: ApplicationRow, declared: Declared) -> Referral:
    """(6, 7, 8, 12) An application as a referral."""
    consent = Consent(True, declared.consent_basis, row.applied_at, None) if declared.consent_basis else None
    return Referral(
        id=row.id,
        advocate_id=row.referrer.id,
        share_id=None,
        job_id=row.job.reference,
        campaign_tag=None,
        stage=ReferralStage.APPLIED,
        submitted_at=row.applied_at,
        applied_at=row.applied_at,
        first_name=_text(row.applicant.first_name),
        last_name=_text(row.applicant.last_name),
        email=_text(row.applicant.email),
        phone=_text(row.applicant.phone),
        country=declared.country,
        consent=consent,
        clicks=None,
        shares=None,
        reach=None,
        status=SHOWN[row.status],
        status_at=None,
        ats_candidate_id=None,
        ats_application_id=None,
        updated_at=row.applied_at,
        is_ended=row.status is Status.CLOSED,
    )


def told(row: ApplicationRow) -> Told:
    """(8) What the platform shows of what it was told: one of three words."""
    return Told(
        referral_id=row.id,
        status=SHOWN[row.status],
        status_at=None,
        ats_system=None,
        ats_candidate_id=None,
        ats_application_id=None,
        hired_at=None,
        starts_on=None,
        updated_at=row.applied_at,
    )


def advocate(row: UserRow) -> Advocate:
    """(6) A user as an advocate. When somebody joined or left is not told; who left is INACTIVE."""
    return Advocate(
        id=row.id,
        email=_text(row.email),
        department=row.department.name if row.department is not None else None,
        eligible=row.status == "ACTIVE" and _SCOUT in row.roles,
        joined_at=None,
        left_at=None,
        updated_at=UNKNOWN_TIME,
    )


def _text(value: str | None) -> str | None:
    return (value or "").strip() or None
