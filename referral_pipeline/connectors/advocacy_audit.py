"""What an advocacy platform can do for the integration, asked of the platform itself.

Belongs here: the questions of our own contract (DESIGN section 6) and how each is answered. Does not belong here:
running them beside those of other systems (`monitoring.api_audit`).

The contract has no call that deletes. So a write is either one that changes nothing (what the platform holds is sent
again), or has a body that the contract refuses: that shows that the operation is there and permitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import quote

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
from referral_pipeline.connectors.failures import Conflict, Forbidden, HttpFailure, Invalid, NotFound
from referral_pipeline.connectors.http import HttpClient
from referral_pipeline.connectors.records import Row, RowProblem
from referral_pipeline.connectors.values import instant_text, parse_instant

_SAMPLE = 100
_NO_ID = "api-audit"
_LONG_AGO = "1970-01-01T00:00:00Z"

_WHAT_FOR: Mapping[str, str] = {
    "advocates": "nobody can be credited",
    "content": "campaigns have no content",
    "shares": "touches and reach are not known",
    "clicks": "the funnel begins at the application",
    "referrals": "no referral is known: there is nothing to integrate",
}
_GET = Question(
    Area.ENDPOINTS,
    "referrals.get",
    "Read one referral",
    "an event is checked against the platform before it counts",
    "events cannot be handled: only the pull brings referrals",
    (ALWAYS,),
    "GET /v1/referrals/{id}",
)
_RETURN = Question(
    Area.ENDPOINTS,
    "referrals.update",
    "Return a status",
    "advocates see what became of their referrals",
    "no status reaches the platform",
    (RETURN,),
    "PATCH /v1/referrals/{id}",
)
_OLDER = Question(
    Area.ARCHITECTURE,
    "referrals.order",
    "A status that is older than the stored one is refused",
    "late and repeated deliveries do no harm",
    "a late delivery could put a status back",
)
_JOBS = Question(
    Area.ENDPOINTS,
    "jobs.put",
    "Publish a job",
    "advocates share jobs that are open",
    "jobs are not published to advocates",
    (ALWAYS,),
    "PUT /v1/jobs/{id}",
)
_RESULTS = Question(
    Area.ENDPOINTS,
    "results.put",
    "Tell an advocate's results",
    "advocates see what came of their sharing",
    "advocates see no results",
    (RETURN,),
    "PUT /v1/advocates/{id}/results",
)
_RECOGNISE = Question(
    Area.ENDPOINTS,
    "recognitions.create",
    "Recognise an advocate",
    "hires and bonuses reach the advocate",
    "advocates are not told of hires and bonuses",
    (ALWAYS,),
    "POST /v1/recognitions",
)
_ONCE = Question(
    Area.ARCHITECTURE,
    "recognitions.idempotency",
    "A recognition needs a key that makes it happen once",
    "a recognition whose answer was lost is sent again, and counts once",
    "a recognition whose answer was lost may count twice",
)
_PAGES = Question(
    Area.ARCHITECTURE,
    "pages",
    "Lists come in pages that a cursor joins",
    "everything is read, 500 rows a call",
    "only the first page of a list could be read",
    (ALWAYS,),
)
_SCOPES = Question(
    Area.AUTHENTICATION,
    "scopes",
    "The credential may read every list",
    "all is read under one credential",
    "let the credential read all five lists",
)

Problem = Callable[[str, Row], RowProblem | None]


def audit(client: HttpClient, scope: AuditScope, *, read: Problem) -> list[Capability]:
    """Every line about this platform, by area. `read` says why a row cannot be read."""
    try:
        client.check_token()
    except HttpFailure as failure:
        return [REACHED.failed(failure)]
    asked = _Platform(client, read)
    lines = [REACHED.covered("a bearer token was given for client credentials"), *asked.lists()]
    lines += [asked.scopes(), asked.pages(), asked.one(), *asked.fields(), dates_line(asked.times())]
    if scope.may_write:
        lines += [*asked.status(), asked.job(scope), asked.results(), *asked.recognition()]
    else:
        lines += [q.not_verified(NO_WRITES) for q in (_RETURN, _OLDER, _JOBS, _RESULTS, _RECOGNISE, _ONCE)]
    return one_by_one([*lines, rate_line(client.rate_window)])


class _Platform:
    """Asks one platform; `_rows` holds the lists that could be read, by entity."""

    def __init__(self, client: HttpClient, read: Problem) -> None:
        self._client = client
        self._problem = read
        self._rows: dict[str, list[Row]] = {}
        self._refused: list[str] = []

    # ------------------------------------------------------------ reading

    def lists(self) -> Iterator[Capability]:
        """Each list, with its filter by change."""
        tomorrow = datetime.fromtimestamp(self._client.clock.now(), UTC) + timedelta(days=1)
        for entity, lacking in _WHAT_FOR.items():
            question = Question(
                Area.ENDPOINTS,
                f"{entity}.list",
                f"Read {entity}, changed since a moment",
                "what changed is read from a cursor on",
                lacking,
                (ALWAYS,),
                f"GET /v1/{entity}",
            )
            try:
                self._rows[entity] = self._list(entity, limit=_SAMPLE, updated_since=_LONG_AGO)[0]
                later, _ = self._list(entity, limit=1, updated_since=instant_text(tomorrow))
            except HttpFailure as failure:
                if isinstance(failure, Forbidden):
                    self._refused.append(entity)
                yield question.failed(failure)
                continue
            if later:
                yield question.partial("the filter by updated_since is taken and does not filter")
            else:
                yield question.covered(f"{len(self._rows[entity])} rows read; updated_since filters")

    def _list(self, entity: str, **params: object) -> tuple[list[Row], str | None]:
        operation = f"{entity}.list"
        sent = {name: str(value) for name, value in params.items()}
        page: object = self._client.get(operation, f"v1/{entity}", sent).data
        rows = cast("Row", page).get("data") if isinstance(page, dict) else None
        if not isinstance(rows, list):
            raise Invalid(self._client.system, operation, detail="the answer holds no list")
        cursor = cast("Row", page).get("next_cursor")
        return [row for row in cast("list[Any]", rows) if isinstance(row, dict)], cursor

    def scopes(self) -> Capability:
        """Which lists the credential may not read."""
        if self._refused:
            return _SCOPES.partial(f"may not read {', '.join(self._refused)}")
        return _SCOPES.covered(f"{len(self._rows)} lists read")

    def pages(self) -> Capability:
        """Whether a cursor leads to other rows."""
        entity = next((entity for entity, rows in self._rows.items() if len(rows) > 1), None)
        if entity is None:
            return _PAGES.not_verified("no list that can be read has two rows")
        try:
            first, cursor = self._list(entity, limit=1)
            if not cursor:
                return _PAGES.missing("a page of one row has no cursor to the next")
            second, _ = self._list(entity, limit=1, cursor=cursor)
            self._list(entity, limit=500)
        except HttpFailure as failure:
            return _PAGES.failed(failure)
        if not second or first[0].get("id") == second[0].get("id"):
            return _PAGES.partial("the cursor leads to no other row")
        return _PAGES.covered("two pages of one row joined, and one of 500 taken")

    def one(self) -> Capability:
        """One referral that is there, and one that is not."""
        there = self._referral()
        if there is None:
            return _GET.not_verified("there is no referral to ask for")
        try:
            row: object = self._client.get("referrals.get", _path(there)).data
        except HttpFailure as failure:
            return _GET.failed(failure)
        if not isinstance(row, dict) or cast("Row", row).get("id") != there:
            return _GET.missing("the answer is another record")
        try:
            self._client.get("referrals.get", _path(_NO_ID))
        except NotFound:
            return _GET.covered("one that is there is answered, one that is not is 404")
        except HttpFailure as failure:
            return _GET.partial(f"one that is there is answered; one that is not: {failure}", "a deletion looks wrong")
        return _GET.partial("one that is not there is answered all the same", "a deletion cannot be seen")

    def fields(self) -> Iterator[Capability]:
        """Whether rows keep the contract."""
        for entity in _WHAT_FOR:
            question = Question(
                Area.FIELDS,
                f"{entity}.fields",
                f"Rows of {entity} keep the contract",
                "every row is understood",
                "rows that break the contract are set aside: `referral-pipeline quarantine`",
                (ALWAYS,),
            )
            rows = self._rows.get(entity, [])
            wrong = [found for row in rows if (found := self._problem(entity, row)) is not None]
            if not rows:
                yield question.not_verified("no row was read")
            elif wrong:
                told = f"{len(wrong)} of {len(rows)} break it: {wrong[0].field} {wrong[0].reason} ({wrong[0].shape})"
                yield question.missing(told) if len(wrong) == len(rows) else question.partial(told)
            else:
                yield question.covered(f"{len(rows)} rows read")

    def times(self) -> Iterator[str]:
        """Every time of every row that was read."""
        for rows in self._rows.values():
            for row in rows:
                yield from (v for k, v in row.items() if k.endswith("_at") and isinstance(v, str))

    # ------------------------------------------------------------ writing what changes nothing

    def status(self) -> Iterator[Capability]:
        """The status that a referral has, sent again; and the same as of a day before."""
        known = next((row for row in self._rows.get("referrals", []) if _has_status(row)), None)
        if known is None:
            there = self._referral()
            yield self._refusal(_RETURN, "PATCH", _path(there or _NO_ID), exists=there is not None)
            yield _OLDER.not_verified("no referral has a status yet: refresh once, then audit again")
            return
        body = {name: known.get(name) for name in ("status", "status_at", "ats", "hired_at", "starts_on")}
        try:
            self._send(_RETURN, "PATCH", _path(str(known["id"])), body)
            yield _RETURN.covered("a status that is stored is taken again")
        except Conflict:
            yield _RETURN.covered("a newer status came meanwhile, and ours was refused with 409")
            yield _OLDER.covered("a status older than the stored one was refused with 409")
            return
        except HttpFailure as failure:
            yield _RETURN.failed(failure)
            yield _OLDER.not_verified("statuses cannot be returned")
            return
        before = parse_instant(known["status_at"]) - timedelta(days=1)
        try:
            # The same status again, should it be taken: the later time is sent once more, and stands.
            self._send(_RETURN, "PATCH", _path(str(known["id"])), {**body, "status_at": instant_text(before)})
            self._send(_RETURN, "PATCH", _path(str(known["id"])), body)
        except Conflict:
            yield _OLDER.covered("the stored status as of a day before is refused with 409")
        except HttpFailure as failure:
            yield _OLDER.failed(failure)
        else:
            yield _OLDER.missing("the stored status as of a day before is taken")

    def job(self, scope: AuditScope) -> Capability:
        """A job that a referral names, published as the ATS has it."""
        job_id = next((str(row["job_id"]) for row in self._rows.get("referrals", []) if row.get("job_id")), None)
        try:
            posting = scope.posting(job_id) if job_id else None
        except HttpFailure:
            posting = None  # of the ATS, which has lines of its own
        if posting is None or posting.status == "draft":
            return self._refusal(_JOBS, "PUT", f"v1/jobs/{quote(job_id or _NO_ID, safe='')}")
        body = {
            "title": posting.title,
            "status": posting.status,
            "location": posting.location or None,
            "url": posting.url or None,
        }
        try:
            self._send(_JOBS, "PUT", f"v1/jobs/{quote(posting.id, safe='')}", body)
        except HttpFailure as failure:
            return _JOBS.failed(failure)
        return _JOBS.covered("a job is published as the ATS has it")

    def results(self) -> Capability:
        """Whether results would be taken."""
        there = self._advocate()
        path = f"v1/advocates/{quote(there or _NO_ID, safe='')}/results"
        return self._refusal(_RESULTS, "PUT", path, exists=there is not None)

    def recognition(self) -> Iterator[Capability]:
        """Whether a recognition would be taken, and only with a key."""
        first = self._refusal(_RECOGNISE, "POST", "v1/recognitions", headers={"Idempotency-Key": _NO_ID})
        yield first
        if "refused with" not in first.evidence:
            yield _ONCE.not_verified("recognitions cannot be sent")
            return
        try:
            self._send(_RECOGNISE, "POST", "v1/recognitions", {})
        except Invalid as refused:
            yield (
                _ONCE.covered("without an Idempotency-Key it is refused with 400")
                if refused.status == 400
                else _ONCE.partial(f"without an Idempotency-Key it is judged by its body ({refused.status})")
            )
        except HttpFailure as failure:
            yield _ONCE.failed(failure)
        else:
            yield _ONCE.missing("an empty one without an Idempotency-Key is taken")

    def _refusal(
        self,
        question: Question,
        method: str,
        path: str,
        *,
        exists: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Capability:
        """Whether an operation is there: it must refuse an empty body. Nothing is changed."""
        try:
            self._send(question, method, path, {}, headers)
        except Invalid as refused:
            shown = f"it is there and permitted: an empty body is refused with {refused.status}"
            return question.partial(shown, "not tried to its end: the contract has no call that takes it back")
        except NotFound as failure:
            return question.failed(failure) if exists else question.not_verified("there was no record to try it on")
        except HttpFailure as failure:
            return question.failed(failure)
        return question.partial("it takes an empty body", "wrong bodies are not refused")

    def _send(
        self, question: Question, method: str, path: str, body: object, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send what may be sent again: it changes nothing, or is refused."""
        self._client.call(question.name, method, path, json=body, headers=headers, repeatable=True)

    def _advocate(self) -> str | None:
        """An advocate, as the lists that can be read name one."""
        for entity, key in (("advocates", "id"), ("shares", "advocate_id"), ("referrals", "advocate_id")):
            for row in self._rows.get(entity, []):
                if row.get(key):
                    return str(row[key])
        return None

    def _referral(self) -> str | None:
        return next((str(row["id"]) for row in self._rows.get("referrals", []) if row.get("id")), None)


def _has_status(row: Row) -> bool:
    try:
        parse_instant(row.get("status_at"))
    except ValueError:
        return False
    return bool(row.get("status") and row.get("ats"))


def _path(referral_id: str) -> str:
    return f"v1/referrals/{quote(referral_id, safe='')}"
