"""The connector for Radancy Employee Referrals (formerly Firstbird), as docs.1brd.com describes it.

Belongs here: calls, what is written. Does not belong here: pages of lists (`radancy_pages`), what rows mean
(`radancy_rows`), webhooks (`radancy_events`), decisions about referrals (sync).

Invariants, each with a test of the same number
1.  A token is had for API key and secret with the scope `read write`, sent as HTTP Basic.
2.  Lists go by `offset` and `limit` of at most 100, oldest application first. Pages overlap by one row. A list that
    shrank, or whose row at the edge is not on the next page, is read again: what moved up over the edge was skipped.
    One that never stands still is a failure, and no whole list.
3.  No list can be asked for what changed: each pull reads all of it. 10,000 applications are 101 calls.
4.  Ids are texts, and the id that is known as a job's is the ATS's: the job's `referenceNumber`.
5.  A row that cannot be read is set aside with field, reason and shape, never its value. An application without
    `referrer` (a deleted user) or whose job has no reference is one.
6.  No row says when it was changed.
7.  An application is a person who applied: there is no stage before it. CLOSED does not say by whom: what was not
    written to the ATS before is not written any more, what was goes on.
8.  The platform knows IN_PROGRESS, HIRED and CLOSED. It is read before it is told, and what it shows already is not
    sent again; so a repeat sends nothing, and a rejection that becomes a withdrawal, or a first day that moves after
    the hire, is not told.
9.  A hire is told with `firstDayOfWork` and without a reward. `payReward` is told when the bonus is eligible.
10. A reward that is taken back is told with `payReward: false`; one that the platform shows as paid is refused here,
    and waits for a person. A hire without a bonus has no recognition of its own: the status says it. How much is given
    is a matter of the job's reward plan; it is given whole, so a bonus that is divided by credit is refused.
11. A job is looked for by its reference before it is made; what people set for it stays, but title, address and
    status. A closed job that the platform never had is not made.
12. Consent and the country of applicants have no field: the contract declares them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, cast
from urllib.parse import quote

from referral_pipeline.connectors.build import Build, ConnectorError
from referral_pipeline.connectors.capabilities import AuditScope, Capability
from referral_pipeline.connectors.failures import Conflict, Invalid, NotFound
from referral_pipeline.connectors.http import HttpClient, RetryPolicy, Timeouts
from referral_pipeline.connectors.protocols import RawReader
from referral_pipeline.connectors.radancy_jobs import ALL_JOBS, Jobs
from referral_pipeline.connectors.radancy_models import (
    SYSTEM,
    ApplicationRow,
    JobDefaults,
    JobRow,
    RadancyOptions,
    Status,
    UserRow,
)
from referral_pipeline.connectors.radancy_pages import answered_object, read_pages
from referral_pipeline.connectors.radancy_rows import Declared, advocate, read_all, read_row, referral, told
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
from referral_pipeline.vocabulary import CandidateStatus

_REFERENCE_SECONDS = 300.0
"""How long a job's reference is believed: people can change it, and nothing tells that they did."""
ENTITIES: Mapping[str, Entity] = {name: Entity(name, changed_field=None) for name in ("advocates", "referrals")}
_CLOSE_REASONS = {
    CandidateStatus.REJECTED: "CANDIDATE_REJECTED",
    CandidateStatus.WITHDRAWN: "CANDIDATE_WITHDRAWN",
}


class RadancyConnector:
    """Implements `protocols.AdvocacyConnector`. Safe for threads."""

    system: str = SYSTEM
    entities: Mapping[str, Entity] = ENTITIES

    def __init__(self, client: HttpClient, *, company_id: str, declared: Declared, job_defaults: JobDefaults) -> None:
        self._client = client
        self._company = f"companies/{company_id}"
        self._declared = declared
        self._defaults = job_defaults
        self._references: dict[str, tuple[str, float]] = {}  # by job; with the moment until which it is believed

    # ------------------------------------------------------------ reading

    def pull(self, entity: str, window: Window) -> Iterator[list[Row]]:
        """(2, 3) Pages of all rows, whatever the window."""
        del window
        if entity == "advocates":
            departments = self._departments()
            for page in read_pages(self._client, self._company, "users", {"inactives": "true", "incognitos": "true"}):
                yield [_with_department(row, departments) for row in page]
        elif entity == "referrals":
            # Of this pull alone, so what is not known is asked for once; a job that is not in it is looked up.
            until = self._client.clock.monotonic() + _REFERENCE_SECONDS
            listed = {job.id: job.reference for job in self._jobs({"status": ALL_JOBS})}
            self._references = {job: (found, until) for job, found in listed.items() if found is not None}
            query = {"expand": "applicant,job", "sort": "applicationDate,asc"}
            for page in read_pages(self._client, self._company, "applications", query):
                yield [self._with_reference(row, listed) for row in page]

    def _departments(self) -> dict[str, str]:
        """Names by id; a list without pages."""
        answer = self._client.get("departments.list", f"{self._company}/departments").data
        rows = cast("list[Any]", answer) if isinstance(answer, list) else []
        return {row["id"]: row["name"] for row in rows if isinstance(row, dict) and {"id", "name"} <= row.keys()}

    def _jobs(self, query: Mapping[str, str]) -> Iterator[JobRow]:
        for page in read_pages(self._client, self._company, "jobs", query):
            for row in page:
                job = read_row("jobs", JobRow, row)
                if not isinstance(job, RowProblem):
                    yield job

    def _with_reference(self, row: Row, known: dict[str, str | None] | None = None) -> Row:
        """(4) An application with the reference of its job, which an expanded job need not show.

        `known` are references by job; what is looked up is added.
        """
        job: Any = row.get("job")
        job_id: Any = cast("Row", job).get("id") if isinstance(job, dict) else None
        if not isinstance(job_id, str):
            return row
        known = {} if known is None else known
        if job_id not in known:
            known[job_id] = self._reference(job_id)
        reference = known[job_id] or cast("Row", job).get("referenceNumber")
        return {**row, "job": {**cast("Row", job), "referenceNumber": reference}}

    def _reference(self, job_id: str) -> str | None:
        """(4) The reference of a job. One that is there is believed for a while; none may be given at any time."""
        now = self._client.clock.monotonic()
        believed = self._references.get(job_id)
        if believed is not None and now < believed[1]:
            return believed[0]
        found = (self._get("jobs", job_id) or {}).get("referenceNumber")
        if not isinstance(found, str):
            self._references.pop(job_id, None)
            return None
        self._references[job_id] = found, now + _REFERENCE_SECONDS
        return found

    def _get(self, resource: str, record_id: str, query: Mapping[str, str] | None = None) -> Row | None:
        """One record; None for one that is not there, or whose id cannot be one."""
        path = f"{self._company}/{resource}/{quote(record_id, safe='')}"
        try:
            return answered_object(self._client.get(f"{resource}.get", path, query).data, f"{resource}.get")
        except NotFound:
            return None
        except Invalid:
            if _is_id(record_id):
                raise
            return None

    def referral_row(self, referral_id: str) -> Row | None:
        """One application's row, fresh. None when it is gone."""
        row = self._get("applications", referral_id, {"expand": "applicant,job"})
        return self._with_reference(row) if row is not None else None

    def get_referral(self, referral_id: str) -> Referral | None:
        """One referral, fresh. None when it is gone."""
        row = self.referral_row(referral_id)
        found = self.referral_of(row) if row is not None else None
        if isinstance(found, RowProblem):
            detail = f"the row cannot be read: {found.field} {found.reason} ({found.shape})"
            raise Invalid(SYSTEM, "applications.get", detail=detail)
        return found

    # ------------------------------------------------------------ rows as records

    def stage(self, raw: RawReader) -> AdvocacyStaged:
        """(5) Read raw rows into canonical records. Pure."""
        problems: list[RowProblem] = []
        users = read_all("advocates", UserRow, raw("advocates"), problems)
        applications = read_all("referrals", ApplicationRow, raw("referrals"), problems)
        return AdvocacyStaged(
            advocates=[advocate(row) for row in users],
            content=[],
            shares=[],
            clicks=[],
            referrals=[referral(row, self._declared) for row in applications],
            problems=problems,
        )

    def referral_of(self, row: Row) -> Referral | RowProblem:
        """(5) One row as a referral. Pure."""
        read = read_row("referrals", ApplicationRow, row)
        return read if isinstance(read, RowProblem) else referral(read, self._declared)

    def told_of(self, row: Row) -> Told | RowProblem:
        """(5) What the platform shows of what it was told. Pure."""
        read = read_row("referrals", ApplicationRow, row)
        return read if isinstance(read, RowProblem) else told(read)

    def advocate_of(self, row: Row) -> Advocate | RowProblem:
        """(5) One user as an advocate. Pure."""
        read = read_row("advocates", UserRow, row)
        return read if isinstance(read, RowProblem) else advocate(read)

    def share_of(self, row: Row) -> Share | RowProblem:
        """No row is a share: the platform lists none."""
        return _no_record("shares", row)

    def content_of(self, row: Row) -> Content | RowProblem:
        """No row is content: the platform has none."""
        return _no_record("content", row)

    # ------------------------------------------------------------ writing

    def return_status(self, update: StatusUpdate) -> bool:
        """(8, 9) Tell the platform a status, unless it shows it already. True: it never knows anything newer.

        Raises:
            NotFound: the application is not there any more.
        """
        held = self._held(update.referral_id)
        if update.status is CandidateStatus.HIRED:
            body: Row = {"value": Status.HIRED.value, "payReward": False}
            if update.starts_on is not None:
                body["firstDayOfWork"] = update.starts_on.isoformat()
        elif update.status in _CLOSE_REASONS:
            body = {"value": Status.CLOSED.value, "closeReason": _CLOSE_REASONS[update.status]}
        else:
            body = {"value": Status.IN_PROGRESS.value}
        if held.status.value != body["value"]:
            self._put_status(update.referral_id, body)
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
        """(9, 10) Let the reward of an application be given, or not. Its amount is that of the job's reward plan.

        Raises:
            NotFound: the application is not there any more.
            Conflict: a bonus for one that is not hired there, or taken back after it was paid.
        """
        del amount_cents, currency, key
        if kind == "hired":
            return
        held = self._held(referral_id)
        if held.reward_paid:
            if kind == "reversed":
                why = "the platform shows the reward as paid: settle it with the advocate by hand"
                raise Conflict(SYSTEM, "applications.reward", detail=why)
            return
        if held.status is not Status.HIRED:
            if kind == "reversed":
                return  # with the hire the reward is off too
            raise Conflict(SYSTEM, "applications.reward", detail="the platform does not hold the application as hired")
        body: Row = {"value": Status.HIRED.value, "payReward": kind == "bonus_eligible"}
        if starts_on is not None:
            body["firstDayOfWork"] = starts_on.isoformat()
        self._put_status(referral_id, body)

    def _held(self, referral_id: str) -> ApplicationRow:
        row = self.referral_row(referral_id)
        if row is None:
            raise NotFound(SYSTEM, "applications.get", status=404, detail="there is no such application")
        read = read_row("referrals", ApplicationRow, row)
        if isinstance(read, RowProblem):
            detail = f"the row cannot be read: {read.field} {read.reason} ({read.shape})"
            raise Invalid(SYSTEM, "applications.get", detail=detail)
        return read

    def _put_status(self, referral_id: str, body: Row) -> None:
        path = f"{self._company}/applications/{quote(referral_id, safe='')}/status"
        self._client.call("applications.status", "PUT", path, json=body)

    def put_job(self, job: AtsJob) -> None:
        """(11) Bring a job to title, address and status of the ATS's."""
        Jobs(self._client, self._company, self._defaults, self._jobs).put(job)

    def put_results(self, results: AdvocateResults) -> bool:
        """The platform has no place for results of an advocate: `contract.systems` says so, and nobody calls this.

        Raises:
            Invalid: always.
        """
        del results
        raise Invalid(SYSTEM, "results.put", detail="the platform has no place for results of an advocate")

    # ------------------------------------------------------------ looking

    def probe(self) -> list[Finding]:
        """Look, without writing, whether the platform is reachable, lets us read, and has the ids of the contract."""
        from referral_pipeline.connectors.radancy_probe import probe

        return probe(self._client, self._company, self._defaults, self._declared)

    def audit(self, scope: AuditScope) -> list[Capability]:
        """Ask the platform for each capability. Writes what changes nothing, and only where `scope` allows it."""
        from referral_pipeline.connectors.radancy_audit import audit

        return audit(self._client, self._company, scope, problem=self.row_problem)

    def row_problem(self, entity: str, row: Row) -> RowProblem | None:
        """(5) Why a row cannot be read; None when it can. Pure."""
        found = read_row(entity, UserRow if entity == "advocates" else ApplicationRow, row)
        return found if isinstance(found, RowProblem) else None

    def close(self) -> None:
        """Close the session."""
        self._client.close()


def _with_department(row: Row, departments: Mapping[str, str]) -> Row:
    department: Any = row.get("department")
    if not isinstance(department, dict):
        return row
    held = cast("Row", department)
    return {**row, "department": {**held, "name": departments.get(str(held.get("id")))}}


def _no_record(entity: str, row: Row) -> RowProblem:
    named = row.get("id")
    record_id = named if isinstance(named, str) else ""
    return RowProblem(SYSTEM, entity, record_id, "id", "is of a kind that this platform does not have", "object")


def _is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def build(of: Build) -> RadancyConnector:
    """The connector that a contract asks for.

    Raises:
        ConnectorError: an option is wrong, or what the platform cannot say is not declared.
    """
    options = of.options(RadancyOptions)
    privacy, key = of.contract.privacy, f"{of.side}.options"
    if privacy.require_consent and not options.consent_basis.strip():
        raise ConnectorError(
            f"{key}.consent_basis",
            "found nothing while privacy.require_consent is on; the platform's API has no field of consent",
            "Say in your words on what ground applicants' data may be passed on to the ATS",
        )
    if options.residency.country not in privacy.allowed_countries:
        raise ConnectorError(
            f"{key}.residency.country",
            f"found {options.residency.country}, which privacy.allowed_countries does not list: all would be blocked",
            "List it there, or correct it",
        )
    bonus = of.contract.rules.bonus
    if bonus.amount_cents and bonus.split != "payee":
        raise ConnectorError(
            "rules.bonus.split",
            f"found {bonus.split}; the platform gives the whole reward of a job for each application that earns any",
            "Write payee, or set amount_cents to 0 and pay by other means",
        )
    client = of.client(
        token_url=of.system.auth_url or "https://auth.1brd.com/oauth/token",
        scope="read write",
        timeouts=Timeouts(options.connect_timeout_seconds, options.read_timeout_seconds),
        retry=RetryPolicy(max_attempts=options.max_attempts),
        default_limit=options.default_rate_limit,
    )
    return RadancyConnector(
        client,
        company_id=options.company_id,
        declared=Declared(options.consent_basis.strip(), options.residency.country),
        job_defaults=options.job_defaults,
    )
