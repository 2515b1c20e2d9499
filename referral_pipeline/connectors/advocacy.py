"""The connector for the advocacy platform, by our own contract (DESIGN section 6).

Belongs here: the contract's calls and reading of its rows. Does not belong here: canonical e-mail and phone (identity),
decisions about referrals (sync).

Invariants of the contract, each with a test of the same number
1.  Lists come in the order of (updated_at, id), ascending; `next_cursor` is followed until it is null, with the same
    other parameters.
2.  `updated_since` is inclusive and there is no upper bound: a pull ends with the first page that reaches beyond its
    window, and what changes meanwhile comes again at the end of the list, never lost.
3.  A page holds at most 500 rows.
4.  Ids are texts everywhere; a number is a breach of the contract, not something to convert.
5.  Times carry their zone; one without is a breach.
6.  Vocabularies are closed: an unknown stage or status sets the row aside.
7.  A consent of null, or one not granted, is no consent.
8.  A status is told by PATCH and may be told again (it is idempotent); 409 means that something newer is known.
9.  A referral that is gone is 404, which is an answer and no failure.
10. A job posting is PUT: the same twice is the same.
11. A row that breaks the contract is set aside with field, reason and shape, never its value; the others go on.
12. A recognition carries an Idempotency-Key and may be sent again with it; 409 means that it does not fit what stands.
13. An advocate's results are PUT whole: the same twice is the same, 409 means that later ones are known, 404 that the
    advocate is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import date, datetime
from enum import StrEnum
from typing import Any, TypeVar, cast
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from referral_pipeline.connectors.advocacy_audit import audit
from referral_pipeline.connectors.build import Build
from referral_pipeline.connectors.capabilities import AuditScope, Capability
from referral_pipeline.connectors.failures import (
    Conflict,
    Forbidden,
    HttpFailure,
    Invalid,
    NotFound,
    TransientFailure,
    Unauthorized,
)
from referral_pipeline.connectors.http import HttpClient, RetryPolicy, Timeouts
from referral_pipeline.connectors.protocols import RawReader
from referral_pipeline.connectors.records import (
    AdvocacyStaged,
    Advocate,
    AdvocateResults,
    AtsJob,
    Click,
    Consent,
    Content,
    Entity,
    Finding,
    Referral,
    Row,
    RowProblem,
    Share,
    StatusUpdate,
    Told,
    Window,
)
from referral_pipeline.connectors.values import instant_text, parse_instant, shape
from referral_pipeline.vocabulary import CandidateStatus, ReferralStage

SYSTEM = "advocacy"
PAGE_SIZE = 500
JOB_STATUSES = frozenset({"open", "closed", "draft"})
ENTITIES: Mapping[str, Entity] = {
    name: Entity(name) for name in ("advocates", "content", "shares", "clicks", "referrals")
}

_T = TypeVar("_T")
_E = TypeVar("_E", bound=StrEnum)


class AdvocacyOptions(BaseModel):
    """`advocacy.options` of a contract."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    connect_timeout_seconds: float = Field(default=5.0, gt=0)
    read_timeout_seconds: float = Field(default=30.0, gt=0)
    max_attempts: int = Field(default=6, ge=1, le=20)
    default_rate_limit: int | None = Field(default=None, ge=1)
    """Calls per window until the platform tells; the contract names no limit, only 429 with Retry-After."""


class AdvocacyApiConnector:
    """Implements `protocols.AdvocacyConnector`. Safe for threads."""

    system: str = SYSTEM
    entities: Mapping[str, Entity] = ENTITIES

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    def pull(self, entity: str, window: Window) -> Iterator[list[Row]]:
        """(1, 2, 3) Pages of raw rows from `window.since` on."""
        params = {"limit": str(PAGE_SIZE)}
        if window.since is not None:
            params["updated_since"] = instant_text(window.since)
        while True:
            page = _object(self._client.get(f"{entity}.list", f"v1/{ENTITIES[entity].name}", params).data, entity)
            rows = page.get("data")
            if not isinstance(rows, list):
                raise Invalid(SYSTEM, f"{entity}.list", detail="the answer holds no list")
            found = [cast("Row", row) for row in cast("list[Any]", rows) if isinstance(row, dict)]
            yield found
            cursor = page.get("next_cursor")
            if not isinstance(cursor, str) or not cursor or _is_beyond(found, window.until):
                return
            params = {**params, "cursor": cursor}

    def stage(self, raw: RawReader) -> AdvocacyStaged:
        """Read raw rows into canonical records. Pure."""
        problems: list[RowProblem] = []
        return AdvocacyStaged(
            advocates=list(_read_all("advocates", raw, _advocate, problems)),
            content=list(_read_all("content", raw, _content, problems)),
            shares=list(_read_all("shares", raw, _share, problems)),
            clicks=list(_read_all("clicks", raw, _click, problems)),
            referrals=list(_read_all("referrals", raw, _referral, problems)),
            problems=problems,
        )

    def get_referral(self, referral_id: str) -> Referral | None:
        """(9) One referral, fresh. None when it is gone."""
        try:
            answer = self._client.get("referrals.get", f"v1/referrals/{quote(referral_id, safe='')}")
        except NotFound:
            return None
        try:
            return _referral(_Fields(_object(answer.data, "referrals")))
        except _Breach as breach:
            detail = f"the row breaks the contract: {breach.field} {breach.reason} ({shape(breach.value)})"
            raise Invalid(SYSTEM, "referrals.get", detail=detail) from None

    def referral_row(self, referral_id: str) -> Row | None:
        """(9) One referral's raw row, fresh. None when it is gone."""
        try:
            answer = self._client.get("referrals.get", f"v1/referrals/{quote(referral_id, safe='')}")
        except NotFound:
            return None
        return _object(answer.data, "referrals")

    def return_status(self, update: StatusUpdate) -> bool:
        """(8) Tell the platform a status. False when it already knows something newer."""
        body: dict[str, Any] = {
            "status": update.status.value,
            "status_at": instant_text(update.status_at),
            "ats": {
                "system": update.ats_system,
                "candidate_id": update.ats_candidate_id,
                "application_id": update.ats_application_id,
            },
        }
        # Null says that a date told before does not hold any more: a hire can be undone.
        body["hired_at"] = instant_text(update.hired_at) if update.hired_at else None
        body["starts_on"] = update.starts_on.isoformat() if update.starts_on else None
        try:
            self._client.call(
                "referrals.update", "PATCH", f"v1/referrals/{quote(update.referral_id, safe='')}", json=body
            )
        except Conflict:
            return False
        return True

    def put_job(self, job: AtsJob) -> None:
        """(10) Publish or update a job posting."""
        if job.status not in JOB_STATUSES:
            raise Invalid(SYSTEM, "jobs.put", detail="the status of a job is open, closed or draft")
        body = {"title": job.title, "status": job.status, "location": job.location or None, "url": job.url or None}
        self._client.call("jobs.put", "PUT", f"v1/jobs/{quote(job.id, safe='')}", json=body)

    def put_results(self, results: AdvocateResults) -> bool:
        """(13) Tell the platform what came of an advocate's sharing. False when it already knows a later one.

        Raises:
            NotFound: the platform has no such advocate.
        """
        body = asdict(results)
        del body["advocate_id"]
        day = results.next_eligible_on
        body |= {
            "as_of": instant_text(results.as_of),
            "credit": float(results.credit),
            "next_eligible_on": day.isoformat() if day else None,
        }
        path = f"v1/advocates/{quote(results.advocate_id, safe='')}/results"
        try:
            self._client.call("results.put", "PUT", path, json=body)
        except Conflict:
            return False
        return True

    def recognise(self, referral_id: str, kind: str, amount_cents: int, currency: str, key: str) -> None:
        """(12) Recognise the advocate of a referral.

        Raises:
            Conflict: It stands already under another key, or there is nothing to reverse.
        """
        body = {"referral_id": referral_id, "kind": kind, "amount_cents": amount_cents, "currency": currency}
        headers = {"Idempotency-Key": key}
        self._client.call("recognitions.create", "POST", "v1/recognitions", json=body, headers=headers, repeatable=True)

    def referral_of(self, row: Row) -> Referral | RowProblem:
        """(11) One raw row as a record, or why it is none. Pure."""
        return _read_one("referrals", row, _referral)

    def told_of(self, row: Row) -> Told | RowProblem:
        """(11) What the platform was told of a referral's application, from its row. Pure."""
        return _read_one("referrals", row, _told)

    def share_of(self, row: Row) -> Share | RowProblem:
        """(11) One share. Pure."""
        return _read_one("shares", row, _share)

    def content_of(self, row: Row) -> Content | RowProblem:
        """(11) One piece of content. Pure."""
        return _read_one("content", row, _content)

    def advocate_of(self, row: Row) -> Advocate | RowProblem:
        """(11) One advocate. Pure."""
        return _read_one("advocates", row, _advocate)

    def probe(self) -> list[Finding]:
        """Look, without writing, whether the platform is reachable and lets us read."""
        try:
            self._client.check_token()
            for entity in ENTITIES:
                self._client.get(f"{entity}.list", f"v1/{entity}", {"limit": "1"})
        except Unauthorized as failure:
            mend = "Set the platform's client id and secret in the environment variables the contract names"
            return [Finding("advocacy.client_id_env", False, str(failure), mend)]
        except Forbidden as failure:
            return [Finding("advocacy.client_id_env", False, str(failure), "Let the credential read all five lists")]
        except TransientFailure as failure:
            mend = "Check advocacy.base_url and the network, then try again"
            return [Finding("advocacy.base_url", False, str(failure), mend)]
        except HttpFailure as failure:
            return [Finding("advocacy.base_url", False, str(failure), "Check advocacy.base_url: paths start with /v1")]
        return [
            Finding("advocacy.base_url", True, f"{self._client.base_url} answers"),
            Finding("advocacy.client_id_env", True, "every list can be read"),
        ]

    def audit(self, scope: AuditScope) -> list[Capability]:
        """Ask the platform for each capability; writes only what `scope` allows, and nothing that changes anything."""
        return audit(self._client, scope, read=self.row_problem)

    def row_problem(self, entity: str, row: Row) -> RowProblem | None:
        """(11) Why a raw row breaks the contract; None when it keeps it. Pure."""
        found = _read_one(entity, row, _READERS[entity])
        return found if isinstance(found, RowProblem) else None

    def close(self) -> None:
        """Close the session."""
        self._client.close()


def _object(data: object, entity: str) -> Row:
    if not isinstance(data, dict):
        raise Invalid(SYSTEM, f"{entity}.list", detail="the answer is no object")
    return cast("Row", data)


def _is_beyond(rows: list[Row], until: datetime) -> bool:
    """Whether the last row changed after the window; a stamp that cannot be read decides nothing."""
    try:
        return parse_instant(rows[-1].get("updated_at")) > until
    except (IndexError, ValueError):
        return False


# ---------------------------------------------------------------- rows


class _Breach(Exception):
    """A row that breaks the contract. The value stays here, to describe its shape."""

    def __init__(self, field: str, reason: str, value: object) -> None:
        super().__init__(f"{field} {reason}")
        self.field = field
        self.reason = reason
        self.value = value


class _Fields:
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

    def inner(self, name: str) -> _Fields | None:
        """An object, or None."""
        value = self._row.get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self._breach(name, "is no object")
        return _Fields(cast("Mapping[str, Any]", value), f"{name}.")

    def _breach(self, name: str, reason: str) -> _Breach:
        return _Breach(self._prefix + name, reason, self._row.get(name))


def _read_all(entity: str, raw: RawReader, read: Callable[[_Fields], _T], problems: list[RowProblem]) -> Iterable[_T]:
    """(11) The rows that keep the contract."""
    for row in raw(entity):
        found = _read_one(entity, row, read)
        if isinstance(found, RowProblem):
            problems.append(found)
        else:
            yield found


def _read_one(entity: str, row: Row, read: Callable[[_Fields], _T]) -> _T | RowProblem:
    try:
        return read(_Fields(row))
    except _Breach as breach:
        record_id = row.get("id")
        return RowProblem(
            system=SYSTEM,
            entity=entity,
            record_id=record_id if isinstance(record_id, str) else "",
            field=breach.field,
            reason=breach.reason,
            shape=shape(breach.value),
        )


def _advocate(row: _Fields) -> Advocate:
    return Advocate(
        id=row.text("id"),
        email=row.maybe_text("email"),
        department=row.maybe_text("department"),
        eligible=row.flag("eligible"),
        joined_at=row.maybe_time("joined_at"),
        left_at=row.maybe_time("left_at"),
        updated_at=row.time("updated_at"),
    )


def _content(row: _Fields) -> Content:
    return Content(
        id=row.text("id"),
        title=row.maybe_text("title"),
        campaign_tag=row.maybe_text("campaign_tag"),
        job_id=row.maybe_text("job_id"),
        published_at=row.maybe_time("published_at"),
        updated_at=row.time("updated_at"),
    )


def _share(row: _Fields) -> Share:
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


def _click(row: _Fields) -> Click:
    return Click(
        id=row.text("id"),
        share_id=row.text("share_id"),
        visitor_id=row.maybe_text("visitor_id"),
        clicked_at=row.time("clicked_at"),
        updated_at=row.time("updated_at"),
    )


def _referral(row: _Fields) -> Referral:
    nothing = _Fields({})
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


def _told(row: _Fields) -> Told:
    ats = row.inner("ats") or _Fields({})
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


def _consent(row: _Fields | None) -> Consent | None:
    """(7) What was said, as it was said; the gate decides what it is worth."""
    if row is None:
        return None
    return Consent(
        granted=row.flag("granted"),
        basis=row.maybe_text("basis"),
        granted_at=row.maybe_time("granted_at"),
        expires_at=row.maybe_time("expires_at"),
    )


_READERS: Mapping[str, Callable[[_Fields], object]] = {
    "advocates": _advocate,
    "content": _content,
    "shares": _share,
    "clicks": _click,
    "referrals": _referral,
}


def build(of: Build) -> AdvocacyApiConnector:
    """The connector that a contract asks for."""
    options = of.options(AdvocacyOptions)
    client = of.client(
        token_url=of.system.auth_url or f"{of.system.base_url.rstrip('/')}/oauth/token",
        timeouts=Timeouts(options.connect_timeout_seconds, options.read_timeout_seconds),
        retry=RetryPolicy(max_attempts=options.max_attempts),
        default_limit=options.default_rate_limit,
    )
    return AdvocacyApiConnector(client)
