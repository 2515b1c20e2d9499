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

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Any, cast
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from referral_pipeline.connectors.advocacy_audit import audit
from referral_pipeline.connectors.advocacy_rows import (
    READERS,
    SYSTEM,
    Breach,
    Fields,
    read_advocate,
    read_all,
    read_click,
    read_content,
    read_one,
    read_referral,
    read_share,
    read_told,
)
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

PAGE_SIZE = 500
JOB_STATUSES = frozenset({"open", "closed", "draft"})
ENTITIES: Mapping[str, Entity] = {
    name: Entity(name) for name in ("advocates", "content", "shares", "clicks", "referrals")
}


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
            advocates=list(read_all("advocates", raw, read_advocate, problems)),
            content=list(read_all("content", raw, read_content, problems)),
            shares=list(read_all("shares", raw, read_share, problems)),
            clicks=list(read_all("clicks", raw, read_click, problems)),
            referrals=list(read_all("referrals", raw, read_referral, problems)),
            problems=problems,
        )

    def get_referral(self, referral_id: str) -> Referral | None:
        """(9) One referral, fresh. None when it is gone."""
        try:
            answer = self._client.get("referrals.get", f"v1/referrals/{quote(referral_id, safe='')}")
        except NotFound:
            return None
        try:
            return read_referral(Fields(_object(answer.data, "referrals")))
        except Breach as breach:
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

    def recognise(
        self,
        referral_id: str,
        kind: str,
        amount_cents: int,
        currency: str,
        key: str,
        *,
        starts_on: date | None = None,
    ) -> None:
        """(12) Recognise the advocate of a referral. The first day of work goes with its status.

        Raises:
            Conflict: It stands already under another key, or there is nothing to reverse.
        """
        del starts_on
        body = {"referral_id": referral_id, "kind": kind, "amount_cents": amount_cents, "currency": currency}
        headers = {"Idempotency-Key": key}
        self._client.call("recognitions.create", "POST", "v1/recognitions", json=body, headers=headers, repeatable=True)

    def referral_of(self, row: Row) -> Referral | RowProblem:
        """(11) One raw row as a record, or why it is none. Pure."""
        return read_one("referrals", row, read_referral)

    def told_of(self, row: Row) -> Told | RowProblem:
        """(11) What the platform was told of a referral's application, from its row. Pure."""
        return read_one("referrals", row, read_told)

    def share_of(self, row: Row) -> Share | RowProblem:
        """(11) One share. Pure."""
        return read_one("shares", row, read_share)

    def content_of(self, row: Row) -> Content | RowProblem:
        """(11) One piece of content. Pure."""
        return read_one("content", row, read_content)

    def advocate_of(self, row: Row) -> Advocate | RowProblem:
        """(11) One advocate. Pure."""
        return read_one("advocates", row, read_advocate)

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
        found = read_one(entity, row, READERS[entity])
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
