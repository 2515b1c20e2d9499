"""What an Ashby account can do for the integration, asked of the account itself.

Belongs here: the questions that reading answers. Does not belong here: those that need a write (`ashby_trip`), what an
account must be set up with (`ashby_probe`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from referral_pipeline.connectors.ashby_api import PAGE_SIZE, AshbyApi, code_of
from referral_pipeline.connectors.ashby_models import (
    ApplicationRow,
    AshbyOptions,
    AshbyRow,
    CandidateRow,
    DepartmentRow,
    JobRow,
    OfferRow,
    PostingRow,
    read_row,
    title_key,
)
from referral_pipeline.connectors.ashby_probe import PERMISSIONS
from referral_pipeline.connectors.ashby_questions import (
    FORM,
    LISTS,
    MERGE,
    PAGES,
    READ,
    REFUSALS,
    SCOPES,
    SEARCH_EMAIL,
    SEARCH_PHONE,
    SOURCE_EXISTS,
    STATUS,
    SYNCED,
    USERS,
    field_question,
    list_question,
)
from referral_pipeline.connectors.ashby_trip import RoundTrip
from referral_pipeline.connectors.audited_rows import fields_line
from referral_pipeline.connectors.capabilities import (
    REACHED,
    AuditScope,
    Capability,
    dates_line,
    one_by_one,
    rate_line,
)
from referral_pipeline.connectors.failures import Forbidden, HttpFailure, Invalid, NotFound
from referral_pipeline.connectors.records import Row

NOBODY = "nobody@audit.invalid"
"""An address that nobody can have (RFC 2606)."""
_NO_NUMBER = "+10000000000"
_NO_RECORD = "00000000-0000-4000-8000-000000000000"
_SAMPLE = 50
_UNPAGED = frozenset({"jobPosting.list", "source.list", "archiveReason.list"})
_WHOLE = frozenset({"customField.list"})
_STATUSES = frozenset({"Active", "Hired", "Archived", "Lead"})
_TEXTS = frozenset({"String", "LongText"})
_MODELS: Mapping[str, type[AshbyRow]] = {
    "candidate.list": CandidateRow,
    "application.list": ApplicationRow,
    "job.list": JobRow,
    "jobPosting.list": PostingRow,
    "department.list": DepartmentRow,
    "offer.list": OfferRow,
}


def audit(api: AshbyApi, options: AshbyOptions, scope: AuditScope, *, tags: Iterable[str]) -> list[Capability]:
    """Every line about this account, by area."""
    reader = _Reader(api)
    lists = list(reader.lists())
    if not reader.rows and not any(isinstance(failure, NotFound) for failure in reader.failures.values()):
        return [REACHED.failed(next(iter(reader.failures.values())))]
    taken = REACHED.covered("the key is taken, as the user name of HTTP Basic")
    lines = [taken if reader.rows else REACHED.not_verified("no list could be read"), *lists]
    lines += [reader.pages(), reader.scopes(), reader.refusals(), *reader.search(), reader.status(), reader.one()]
    lines += [*reader.fields(), dates_line(reader.times()), *_custom_fields(reader, options, tags)]
    lines += [*_source(reader, options), MERGE.missing("the vendor documents no call for it")]
    lines += RoundTrip(api, options, reader.rows, may_write=scope.may_write).lines()
    return one_by_one([*lines, rate_line(api.client.rate_window)])


class _Reader:
    """Reads a page of everything once; `rows` holds the lists that could be read, by call."""

    def __init__(self, api: AshbyApi) -> None:
        self.rows: dict[str, list[Row]] = {}
        self.failures: dict[str, HttpFailure] = {}
        self._api = api

    def lists(self) -> Iterator[Capability]:
        """Each list, with what changed since a token where it tells."""
        for call in LISTS:
            question = list_question(call)
            try:
                if call in _UNPAGED or call in _WHOLE:
                    self.rows[call] = self._api.read_all(call, paged=call in _WHOLE)
                else:
                    self.rows[call] = self._page(call, {"limit": _SAMPLE})
                told = f"{len(self.rows[call])} rows read"
                yield self._since(call, told) if call in SYNCED else question.covered(told)
            except HttpFailure as failure:
                self.failures[call] = failure
                yield question.failed(failure)

    def _page(self, call: str, body: Mapping[str, Any]) -> list[Row]:
        found = self._api.read(call, body)
        rows = cast("list[Any]", found) if isinstance(found, list) else []
        return [cast("Row", row) for row in rows if isinstance(row, dict) and cast("Row", row).get("id") is not None]

    def _since(self, call: str, told: str) -> Capability:
        """Whether the last page brings a token that is taken. What is made from now on is a list without a row."""
        question = list_question(call)
        body = {"limit": 1, "createdAfter": round(self._api.client.clock.now() * 1000)}
        try:
            token = self._api.page(call, body).get("syncToken")
            if not isinstance(token, str):
                return question.partial(f"{told}; no syncToken came", "everything is listed at each pull")
            self._api.page(call, {**body, "syncToken": token})
        except Invalid as refused:
            return question.partial(f"{told}; a syncToken is not taken: {refused}", "everything is listed at each pull")
        return question.covered(f"{told}; a syncToken was given and is taken")

    def pages(self) -> Capability:
        """Whether a cursor leads to other rows."""
        for call in ("application.list", "candidate.list", "interviewPlan.list", "customField.list"):
            if len(self.rows.get(call, ())) < 2:
                continue
            try:
                first = self._api.page(call, {"limit": 1})
                cursor = first.get("nextCursor")
                if not cursor or not first.get("moreDataAvailable"):
                    return PAGES.missing("a page of one row has no cursor to the next")
                second = self._api.page(call, {"limit": 1, "cursor": cursor})
                largest = self._page(call, {"limit": PAGE_SIZE})
            except HttpFailure as failure:
                return PAGES.failed(failure)
            if not _ids(second) or _ids(first) & _ids(second):
                return PAGES.partial("the cursor to the next page leads to no other row")
            return PAGES.covered(f"two pages of one row joined, {len(largest)} rows in one of {PAGE_SIZE}")
        return PAGES.not_verified("no list that can be read has two rows")

    def scopes(self) -> Capability:
        """Which permissions are lacking, in the vendor's words for them."""
        lacking = [call for call, failure in self.failures.items() if isinstance(failure, Forbidden)]
        if lacking:
            rights = sorted({PERMISSIONS.get(call, "hiringProcessMetadataRead") for call in lacking})
            return SCOPES.partial(f"may not call {', '.join(lacking)}: lacks {', '.join(rights)}")
        return SCOPES.covered(f"{len(self.rows)} lists read")

    def refusals(self) -> Capability:
        """How a refusal is told."""
        try:
            self._api.read("candidate.info", {"id": _NO_RECORD})
        except (Invalid, NotFound) as refused:
            return REFUSALS.covered(f"status {refused.status}, code {code_of(refused) or 'none'}")
        except HttpFailure as failure:
            return REFUSALS.not_verified(str(failure))
        return REFUSALS.partial("a record that nothing has is answered as a success")

    def search(self) -> Iterator[Capability]:
        """Both ways to find somebody, and a user, for somebody whom nobody knows; and the referral form."""
        for question, call, nothing in (
            (SEARCH_EMAIL, "candidate.search", {"email": NOBODY}),
            (SEARCH_PHONE, "candidate.search", {"phoneNumber": _NO_NUMBER}),
            (USERS, "user.search", {"email": NOBODY}),
        ):
            try:
                found = self._page(call, nothing)
            except HttpFailure as failure:
                yield question.failed(failure)
                continue
            yield (
                question.missing("it is taken and finds somebody for what nobody has")
                if found
                else question.covered("it is taken, and finds nobody for what nobody has")
            )
        try:
            self._api.read("referralForm.info")
        except HttpFailure as failure:
            yield FORM.failed(failure)
        else:
            yield FORM.covered("it can be read")

    def status(self) -> Capability:
        """Which words for statuses there are."""
        if "application.list" not in self.rows:
            return STATUS.not_verified("applications cannot be read")
        words = Counter(str(row.get("status")) for row in self.rows["application.list"])
        unknown = sorted(set(words) - _STATUSES)
        if unknown:
            return STATUS.partial(f"words that are not known: {', '.join(unknown[:5])}")
        if not words:
            return STATUS.not_verified("there is no application")
        return STATUS.covered(f"words seen: {', '.join(sorted(words))}")

    def one(self) -> Capability:
        """One application with its history."""
        known = next((str(row["id"]) for row in self.rows.get("application.list", ())), None)
        try:
            found = self._api.read("application.info", {"applicationId": known or _NO_RECORD})
        except NotFound as failure:
            if known is None and code_of(failure).endswith("_not_found"):
                return READ.partial("it is there and permitted: an id that nothing has is refused", "not tried on one")
            return READ.failed(failure)
        except HttpFailure as failure:
            return READ.failed(failure)
        if not isinstance(found, dict) or not isinstance(cast("Row", found).get("applicationHistory"), list):
            return READ.partial("it shows no history", "stages have no dates")
        return READ.covered("read of one that is there, with its history")

    def fields(self) -> Iterator[Capability]:
        """Whether rows can be understood."""
        for call, model in _MODELS.items():
            yield fields_line(model.entity, model, read_row, self.rows.get(call, []))

    def times(self) -> Iterator[str]:
        """Every time of every row that was read."""
        for rows in self.rows.values():
            for row in rows:
                yield from (v for k, v in row.items() if k.endswith("At") and isinstance(v, str))


def _custom_fields(reader: _Reader, options: AshbyOptions, tags: Iterable[str]) -> Iterator[Capability]:
    rows = [row for row in reader.rows.get("customField.list", ()) if row.get("objectType") == "Application"]
    in_use = {title_key(row.get("title")): row for row in sorted(rows, key=lambda row: not row.get("isArchived"))}
    for tag in tags:
        question = field_question(tag)
        title = options.custom_fields.get(tag)
        row = in_use.get(title_key(title)) if title else None
        if "customField.list" not in reader.rows:
            yield question.not_verified("custom fields cannot be read")
        elif row is None:
            yield question.missing(f"no application custom field {title or tag}")
        elif row.get("isArchived"):
            yield question.missing(f"{title} is archived")
        elif row.get("fieldType") not in _TEXTS:
            yield question.partial(f"{title} is {row.get('fieldType')}", f"{tag} cannot be cleared by the API")
        else:
            yield question.covered(f"{title} is {row.get('fieldType')}")


def _source(reader: _Reader, options: AshbyOptions) -> Iterator[Capability]:
    if options.source_name is None:
        return
    if "source.list" not in reader.rows:
        yield SOURCE_EXISTS.not_verified("sources cannot be read")
    elif any(title_key(row.get("title")) == title_key(options.source_name) for row in reader.rows["source.list"]):
        yield SOURCE_EXISTS.covered(f"{options.source_name} exists")
    else:
        yield SOURCE_EXISTS.missing(f"no source {options.source_name}")


def _ids(page: Mapping[str, Any]) -> set[str]:
    rows = page.get("results")
    return {str(cast("Row", row)["id"]) for row in cast("list[Any]", rows)} if isinstance(rows, list) else set()
