"""The rows of the advocacy platform's contract: read strictly, or set aside with field, reason and shape.

Belongs here: reading rows into records. Does not belong here: calls (`advocacy`), what rows mean together. The numbers
are the invariants of `advocacy`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any, TypeVar, cast

from referral_pipeline.connectors.protocols import RawReader
from referral_pipeline.connectors.records import (
    Advocate,
    Click,
    Consent,
    Content,
    Referral,
    Row,
    RowProblem,
    Share,
    Told,
)
from referral_pipeline.connectors.values import parse_instant, shape
from referral_pipeline.vocabulary import CandidateStatus, ReferralStage

SYSTEM = "advocacy"

_T = TypeVar("_T")
_E = TypeVar("_E", bound=StrEnum)


class Breach(Exception):
    """A row that breaks the contract. The value stays here, to describe its shape."""

    def __init__(self, field: str, reason: str, value: object) -> None:
        super().__init__(f"{field} {reason}")
        self.field = field
        self.reason = reason
        self.value = value


class Fields:
    """Strict readers of the fields of one object; `prefix` names an inner one."""

    def __init__(self, row: Mapping[str, Any], prefix: str = "") -> None:
        self._row = row
        self._prefix = prefix

    def text(self, name: str) -> str:
        """(4) A text that must be there: an id."""
        value = self.maybe_text(name)
        if value is None:
            raise self._breach(name, "is missing")
        return value

    def maybe_text(self, name: str) -> str | None:
        """A text, trimmed; None for null, absent or blank."""
        value = self._row.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self._breach(name, "is no text")
        return value.strip() or None

    def time(self, name: str) -> datetime:
        """(5) A time that must be there."""
        moment = self.maybe_time(name)
        if moment is None:
            raise self._breach(name, "is missing")
        return moment

    def maybe_time(self, name: str) -> datetime | None:
        """A time with its zone, or None."""
        value = self._row.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self._breach(name, "is no time")
        try:
            if datetime.fromisoformat(value).tzinfo is None:
                raise self._breach(name, "is a time without a zone")
            return parse_instant(value)
        except ValueError:
            raise self._breach(name, "is no time") from None

    def maybe_day(self, name: str) -> date | None:
        """A date without a time, or None."""
        value = self.maybe_text(name)
        if value is None:
            return None
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise self._breach(name, "is no date") from None

    def flag(self, name: str) -> bool:
        """A boolean that must be there."""
        value = self._row.get(name)
        if not isinstance(value, bool):
            raise self._breach(name, "is no boolean")
        return value

    def maybe_count(self, name: str) -> int | None:
        """A whole number of 0 or more, or None."""
        value = self._row.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self._breach(name, "is no count")
        return value

    def word(self, name: str, vocabulary: type[_E]) -> _E:
        """(6) A word of a vocabulary."""
        found = self.maybe_word(name, vocabulary)
        if found is None:
            raise self._breach(name, "is missing")
        return found

    def maybe_word(self, name: str, vocabulary: type[_E]) -> _E | None:
        """A word of a vocabulary, or None."""
        value = self.maybe_text(name)
        if value is None:
            return None
        try:
            return vocabulary(value)
        except ValueError:
            raise self._breach(name, f"is none of {', '.join(vocabulary)}") from None

    def inner(self, name: str) -> Fields | None:
        """An object, or None."""
        value = self._row.get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self._breach(name, "is no object")
        return Fields(cast("Mapping[str, Any]", value), f"{name}.")

    def _breach(self, name: str, reason: str) -> Breach:
        return Breach(self._prefix + name, reason, self._row.get(name))


def read_all(entity: str, raw: RawReader, read: Callable[[Fields], _T], problems: list[RowProblem]) -> Iterable[_T]:
    """(11) The rows that keep the contract."""
    for row in raw(entity):
        found = read_one(entity, row, read)
        if isinstance(found, RowProblem):
            problems.append(found)
        else:
            yield found


def read_one(entity: str, row: Row, read: Callable[[Fields], _T]) -> _T | RowProblem:
    """(11) One row as a record, or why it is none."""
    try:
        return read(Fields(row))
    except Breach as breach:
        record_id = row.get("id")
        return RowProblem(
            system=SYSTEM,
            entity=entity,
            record_id=record_id if isinstance(record_id, str) else "",
            field=breach.field,
            reason=breach.reason,
            shape=shape(breach.value),
        )


def read_advocate(row: Fields) -> Advocate:
    """One advocate."""
    return Advocate(
        id=row.text("id"),
        email=row.maybe_text("email"),
        department=row.maybe_text("department"),
        eligible=row.flag("eligible"),
        joined_at=row.maybe_time("joined_at"),
        left_at=row.maybe_time("left_at"),
        updated_at=row.time("updated_at"),
    )


def read_content(row: Fields) -> Content:
    """One piece of content."""
    return Content(
        id=row.text("id"),
        title=row.maybe_text("title"),
        campaign_tag=row.maybe_text("campaign_tag"),
        job_id=row.maybe_text("job_id"),
        published_at=row.maybe_time("published_at"),
        updated_at=row.time("updated_at"),
    )


def read_share(row: Fields) -> Share:
    """One share."""
    return Share(
        id=row.text("id"),
        advocate_id=row.text("advocate_id"),
        content_id=row.maybe_text("content_id"),
        job_id=row.maybe_text("job_id"),
        channel=row.maybe_text("channel"),
        shared_at=row.time("shared_at"),
        reach=row.maybe_count("reach"),
        updated_at=row.time("updated_at"),
    )


def read_click(row: Fields) -> Click:
    """One click."""
    return Click(
        id=row.text("id"),
        share_id=row.text("share_id"),
        visitor_id=row.maybe_text("visitor_id"),
        clicked_at=row.time("clicked_at"),
        updated_at=row.time("updated_at"),
    )


def read_referral(row: Fields) -> Referral:
    """One referral, with what was said of the person and of their consent."""
    nothing = Fields({})
    person = row.inner("candidate") or nothing
    engagement = row.inner("engagement") or nothing
    ats = row.inner("ats") or nothing
    return Referral(
        id=row.text("id"),
        advocate_id=row.text("advocate_id"),
        share_id=row.maybe_text("share_id"),
        job_id=row.text("job_id"),
        campaign_tag=row.maybe_text("campaign_tag"),
        stage=row.word("stage", ReferralStage),
        submitted_at=row.time("submitted_at"),
        applied_at=row.maybe_time("applied_at"),
        first_name=person.maybe_text("first_name"),
        last_name=person.maybe_text("last_name"),
        email=person.maybe_text("email"),
        phone=person.maybe_text("phone"),
        country=person.maybe_text("country"),
        consent=_consent(row.inner("consent")),
        clicks=engagement.maybe_count("clicks"),
        shares=engagement.maybe_count("shares"),
        reach=engagement.maybe_count("reach"),
        status=row.maybe_word("status", CandidateStatus),
        status_at=row.maybe_time("status_at"),
        ats_candidate_id=ats.maybe_text("candidate_id"),
        ats_application_id=ats.maybe_text("application_id"),
        updated_at=row.time("updated_at"),
    )


def read_told(row: Fields) -> Told:
    """What the platform was told of a referral's application."""
    ats = row.inner("ats") or Fields({})
    return Told(
        referral_id=row.text("id"),
        status=row.maybe_word("status", CandidateStatus),
        status_at=row.maybe_time("status_at"),
        ats_system=ats.maybe_text("system"),
        ats_candidate_id=ats.maybe_text("candidate_id"),
        ats_application_id=ats.maybe_text("application_id"),
        hired_at=row.maybe_time("hired_at"),
        starts_on=row.maybe_day("starts_on"),
        updated_at=row.time("updated_at"),
    )


def _consent(row: Fields | None) -> Consent | None:
    """(7) What was said, as it was said; the gate decides what it is worth."""
    if row is None:
        return None
    return Consent(
        granted=row.flag("granted"),
        basis=row.maybe_text("basis"),
        granted_at=row.maybe_time("granted_at"),
        expires_at=row.maybe_time("expires_at"),
    )


READERS: Mapping[str, Callable[[Fields], object]] = {
    "advocates": read_advocate,
    "content": read_content,
    "shares": read_share,
    "clicks": read_click,
    "referrals": read_referral,
}
