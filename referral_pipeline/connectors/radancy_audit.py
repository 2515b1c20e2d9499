"""What a Radancy account can do for the integration, asked of the account itself.

Belongs here: the questions and how each is answered. Does not belong here: running them beside those of other systems
(`monitoring`).

Nothing that is written can be taken back, and advocates are told of each status. So a write is one that the platform
must refuse: that shows that the operation is there and permitted, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from referral_pipeline.connectors.capabilities import (
    ALWAYS,
    NO_WRITES,
    REACHED,
    RETURN,
    Area,
    AuditScope,
    Capability,
    Question,
    dates_line,
    one_by_one,
    rate_line,
)
from referral_pipeline.connectors.failures import HttpFailure, Invalid, NotFound
from referral_pipeline.connectors.http import HttpClient
from referral_pipeline.connectors.records import Row, RowProblem
from referral_pipeline.contract.systems import LACKS, lacking

_SAMPLE = 100
_NOBODY = "00000000-0000-4000-8000-000000000000"

_LISTS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "applications": ("no referral is known: there is nothing to integrate", {"expand": "applicant,job"}),
    "users": ("nobody can be credited", {"inactives": "true", "incognitos": "true"}),
    "jobs": ("applications cannot be told which job of the ATS they are for", {}),
}
_ENTITIES = {"applications": "referrals", "users": "advocates"}
_CONSEQUENCES: Mapping[str, str] = {
    "status_at": "a status that comes late is not refused: the integration orders what it tells by itself",
    "hired_at": "advocates see the first day of work, and not when the hire was made",
    "starts_on_shown": "the first day goes with the hire, and whether it is the right one cannot be audited; one that "
    "moves afterwards is not told",
    "ats": "nobody finds the candidate of the ATS from the platform: the ledger holds both ids",
    "content": "applications carry neither content nor campaign: attribution_coverage is 0, whatever is done",
    "shares": "an application is the only touch: who shared and led nobody to apply is not seen, nor credited",
    "clicks": "the funnel begins at the application, and recruiters see neither clicks nor reach",
    "results": "advocates see what the platform itself counts; the marts have the numbers, and nobody is told them",
    "consent": "the gate judges what the owner declares in options.consent_basis; who takes consent back has to be "
    "deleted in the platform",
    "country": "the gate judges the one country that the owner declares in options.residency",
}
_CHANGED = Question(
    Area.ARCHITECTURE,
    "changed_since",
    "Lists can be asked for what changed since a moment",
    "only changes are read",
    "each pull reads all applications and users, 100 a call",
)
_PAGES = Question(
    Area.ARCHITECTURE,
    "pages",
    "Lists come in pages by offset and limit",
    "everything is read, 100 rows a call",
    "only the first page of a list could be read",
    (ALWAYS,),
)
_GET = Question(
    Area.ENDPOINTS,
    "applications.get",
    "Read one application",
    "an event is checked against the platform before it counts",
    "events cannot be handled: only the pull brings referrals",
    (ALWAYS,),
    "GET /applications/{id}",
)
_STATUS = Question(
    Area.ENDPOINTS,
    "applications.status",
    "Return a status, and let a reward be given",
    "advocates see what became of their referrals",
    "no status and no reward reaches the platform",
    (RETURN,),
    "PUT /applications/{id}/status",
)
_SHOWN = Question(
    Area.FIELDS,
    "applications.words",
    "The platform holds each of the statuses",
    "advocates see each step",
    "advocates see in progress, hired or closed; whether closed means rejected or withdrawn, is not shown again",
)
_JOBS = Question(
    Area.ENDPOINTS,
    "jobs.create",
    "Make a job",
    "advocates share jobs that are open",
    "jobs are not published to advocates",
    (ALWAYS,),
    "POST /jobs",
)
_JOB_STATUS = Question(
    Area.ENDPOINTS,
    "jobs.status",
    "Publish and close a job",
    "jobs that are closed are shared no more",
    "jobs stay as they are on the platform",
    (ALWAYS,),
    "PUT /jobs/{id}/status",
)
_REFERENCES = Question(
    Area.TAGGING,
    "jobs.reference",
    "Jobs carry the id that the ATS has for them",
    "an application finds its job in the ATS",
    "applications for jobs without a reference number are set aside: write the ATS's id there",
    (ALWAYS,),
)
Problem = Callable[[str, Row], RowProblem | None]


def audit(client: HttpClient, company: str, scope: AuditScope, *, problem: Problem) -> list[Capability]:
    """Every line about this account, by area. `problem` says why a row cannot be read."""
    try:
        client.check_token()
    except HttpFailure as failure:
        return [REACHED.failed(failure)]
    asked = _Account(client, company, problem)
    lines = [REACHED.covered("a bearer token was given for API key and secret, scope read write"), *asked.lists()]
    lines += [asked.pages(), asked.one(), asked.references(), *asked.fields(), dates_line(asked.times())]
    lines += [_CHANGED.missing("the documentation names no such parameter, and rows carry no time of change")]
    lines += [_SHOWN.partial("IN_PROGRESS, HIRED and CLOSED, as documented")]
    lines += [_lack(client.system, name) for name in LACKS if name in lacking(client.system)]
    if scope.may_write:
        lines += list(asked.writes())
    else:
        lines += [question.not_verified(NO_WRITES) for question in (_STATUS, _JOBS, _JOB_STATUS)]
    return one_by_one([*lines, rate_line(client.rate_window)])


def _lack(system: str, name: str) -> Capability:
    title = f"The platform holds {LACKS[name]}"
    question = Question(Area.FIELDS, f"holds.{name}", title, "it is told and read", _CONSEQUENCES[name])
    return question.missing(f"{system} documents no such field")


class _Account:
    """Asks one account; `_rows` holds the lists that could be read."""

    def __init__(self, client: HttpClient, company: str, problem: Problem) -> None:
        self._client = client
        self._company = company
        self._problem = problem
        self._rows: dict[str, list[Row]] = {}

    def lists(self) -> Iterator[Capability]:
        """Each list."""
        for name, (lacking_it, query) in _LISTS.items():
            question = Question(
                Area.ENDPOINTS, f"{name}.list", f"Read {name}", "all are known", lacking_it, (ALWAYS,), f"GET /{name}"
            )
            try:
                self._rows[name], _ = self._list(name, {**query, "limit": str(_SAMPLE)})
            except HttpFailure as failure:
                yield question.failed(failure)
            else:
                yield question.covered(f"{len(self._rows[name])} rows read")

    def _list(self, name: str, query: Mapping[str, str]) -> tuple[list[Row], int]:
        page: Any = self._client.get(f"{name}.list", f"{self._company}/{name}", query).data
        items = page.get("items") if isinstance(page, dict) else None
        if not isinstance(items, list):
            raise Invalid(self._client.system, f"{name}.list", detail="the answer holds no list")
        rows = [cast("Row", row) for row in cast("list[Any]", items) if isinstance(row, dict)]
        return rows, int(cast("Row", page).get("total") or 0)

    def pages(self) -> Capability:
        """Whether an offset leads to other rows."""
        name = next((name for name, rows in self._rows.items() if len(rows) > 1), None)
        if name is None:
            return _PAGES.not_verified("no list that can be read has two rows")
        try:
            first, total = self._list(name, {"limit": "1"})
            second, _ = self._list(name, {"limit": "1", "offset": "1"})
        except HttpFailure as failure:
            return _PAGES.failed(failure)
        if not first or not second or first[0].get("id") == second[0].get("id"):
            return _PAGES.partial("the second page holds no other row")
        return _PAGES.covered(f"two pages of one row joined; the total is told ({total})")

    def one(self) -> Capability:
        """One application that is there, and one that is not."""
        there = self._first("applications")
        if there is None:
            return _GET.not_verified("there is no application to ask for")
        try:
            row: Any = self._client.get("applications.get", f"{self._company}/applications/{there}").data
        except HttpFailure as failure:
            return _GET.failed(failure)
        if not isinstance(row, dict) or cast("Row", row).get("id") != there:
            return _GET.missing("the answer is another record")
        try:
            self._client.get("applications.get", f"{self._company}/applications/{_NOBODY}")
        except NotFound:
            return _GET.covered("one that is there is answered, one that is not is 404")
        except HttpFailure as failure:
            return _GET.partial(f"one that is there is answered; one that is not: {failure}", "a deletion looks wrong")
        return _GET.partial("one that is not there is answered all the same", "a deletion cannot be seen")

    def references(self) -> Capability:
        """Whether jobs can be found in the ATS."""
        jobs = self._rows.get("jobs", [])
        named = sum(1 for job in jobs if job.get("referenceNumber"))
        if not jobs:
            return _REFERENCES.not_verified("no job was read")
        told = f"{named} of {len(jobs)} jobs carry a reference number"
        return _REFERENCES.covered(told) if named == len(jobs) else _REFERENCES.partial(told)

    def fields(self) -> Iterator[Capability]:
        """Whether rows can be read. An expanded job need not show its reference: the connector looks it up."""
        references = {job.get("id"): job.get("referenceNumber") for job in self._rows.get("jobs", [])}
        for name, entity in _ENTITIES.items():
            question = Question(
                Area.FIELDS,
                f"{name}.fields",
                f"Rows of {name} can be read",
                "every row is understood",
                "rows that cannot be read are set aside: `referral-pipeline quarantine`",
                (ALWAYS,),
            )
            rows = [_with_reference(row, references) for row in self._rows.get(name, [])]
            wrong = [found for row in rows if (found := self._problem(entity, row)) is not None]
            if not rows:
                yield question.not_verified("no row was read")
            elif wrong:
                told = f"{len(wrong)} of {len(rows)}: {wrong[0].field} {wrong[0].reason} ({wrong[0].shape})"
                yield question.missing(told) if len(wrong) == len(rows) else question.partial(told)
            else:
                yield question.covered(f"{len(rows)} rows read")

    def times(self) -> Iterator[str]:
        """Every time of every row that was read."""
        for rows in self._rows.values():
            for row in rows:
                yield from (v for k, v in row.items() if k.endswith("Date") and isinstance(v, str) and "T" in v)

    def writes(self) -> Iterator[Capability]:
        """Whether each write is there: it must refuse what no documentation allows."""
        wrong = {"value": "API_AUDIT"}
        yield self._refusal(_STATUS, "PUT", "applications", wrong)
        yield self._refusal(_JOBS, "POST", None, {})
        yield self._refusal(_JOB_STATUS, "PUT", "jobs", wrong)

    def _refusal(self, question: Question, method: str, of: str | None, body: Row) -> Capability:
        path, there = f"{self._company}/jobs", None
        if of is not None:
            there = self._first(of)
            if there is None:
                return question.not_verified("there was no record to try it on")
            path = f"{self._company}/{of}/{there}/status"
        try:
            self._client.call(question.name, method, path, json=body, repeatable=True)
        except Invalid as refused:
            shown = f"it is there and permitted: what is not allowed is refused with {refused.status}"
            return question.partial(shown, "not tried to its end: nothing takes it back, and advocates would be told")
        except HttpFailure as failure:
            return question.failed(failure)
        return question.partial("it takes what no documentation allows", "wrong bodies are not refused")

    def _first(self, name: str) -> str | None:
        return next((str(row["id"]) for row in self._rows.get(name, []) if row.get("id")), None)


def _with_reference(row: Row, references: Mapping[Any, Any]) -> Row:
    job: Any = row.get("job")
    if not isinstance(job, dict):
        return row
    held = cast("Row", job)
    return {**row, "job": {"referenceNumber": references.get(held.get("id")), **held}}
