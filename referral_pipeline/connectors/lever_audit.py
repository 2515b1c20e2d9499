"""What a Lever account can do for the integration, asked of the account itself.

Belongs here: the questions that reading answers. Does not belong here: those that need a write (`lever_trip`), what an
account must be set up with (`lever_probe`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

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
from referral_pipeline.connectors.lever_api import EXPAND, PAGE_SIZE, STATES, LeverApi, millis_text, record
from referral_pipeline.connectors.lever_assemble import HIRED
from referral_pipeline.connectors.lever_models import (
    LeverOptions,
    LeverRow,
    OpportunityRow,
    PostingRow,
    ReasonRow,
    StageRow,
    read_row,
)
from referral_pipeline.connectors.lever_questions import (
    ACTING,
    DELETE,
    FIELDS_BY_API,
    HOOKS,
    LISTS,
    MERGE,
    OFFERS,
    PAGES,
    READ,
    REFERRER,
    SCOPES,
    SEARCH_EMAIL,
    SEARCH_PHONE,
    STATUS,
    field_question,
    list_question,
)
from referral_pipeline.connectors.lever_tags import tag_of
from referral_pipeline.connectors.lever_trip import RoundTrip
from referral_pipeline.connectors.records import Row

NOBODY = "nobody@audit.invalid"
"""An address that no contact can have (RFC 2606)."""
_NO_NUMBER = "+10000000000"
_SAMPLE = 50
_CHANGING = frozenset({"opportunities", "postings"})
_MODELS: Mapping[str, type[LeverRow]] = {
    model.entity: model for model in (OpportunityRow, PostingRow, StageRow, ReasonRow)
}


def audit(api: LeverApi, options: LeverOptions, scope: AuditScope, *, tags: Iterable[str]) -> list[Capability]:
    """Every line about this account, by area."""
    reader = _Reader(api, options)
    lists = list(reader.lists())
    if not reader.rows:
        first = next(iter(reader.failures.values()))
        if not any(isinstance(failure, NotFound) for failure in reader.failures.values()):
            return [REACHED.failed(first)]
    taken = REACHED.covered("the key is taken, as the user name of HTTP Basic")
    lines = [taken if reader.rows else REACHED.not_verified("no list could be read"), *lists]
    lines += [reader.pages(), reader.scopes(), reader.acting(), *reader.search(), reader.status()]
    lines += [*reader.one(), *reader.fields(), dates_line(reader.times()), reader.hooks()]
    lines += [*_fields(options, tags), FIELDS_BY_API.covered("an opportunity has no custom fields: tags carry ours")]
    lines += [
        REFERRER.missing("the vendor documents no call that names one"),
        MERGE.missing("the vendor documents no call for it"),
        DELETE.missing("the vendor documents no call for it"),
    ]
    lines += RoundTrip(api, options, reader.rows, may_write=scope.may_write).lines()
    return one_by_one([*lines, rate_line(api.client.rate_window)])


class _Reader:
    """Reads a page of everything once; `rows` holds the lists that could be read, by entity."""

    def __init__(self, api: LeverApi, options: LeverOptions) -> None:
        self.rows: dict[str, list[Row]] = {}
        self.failures: dict[str, HttpFailure] = {}
        self._api = api
        self._options = options

    def lists(self) -> Iterator[Capability]:
        """Each list, with the filter by change where it is pulled by it."""
        for entity in LISTS:
            question = list_question(entity)
            try:
                if entity in _CHANGING:
                    yield self._changing(entity)
                else:
                    self.rows[entity] = list(self._api.list_all(entity))
                    yield question.covered(self._counted(entity))
            except HttpFailure as failure:
                self.failures[entity] = failure
                yield question.failed(failure)

    def _changing(self, entity: str) -> Capability:
        question = list_question(entity)
        now = datetime.fromtimestamp(self._api.client.clock.now(), UTC)
        since, tomorrow = (millis_text(one) for one in (datetime.fromtimestamp(0, UTC), now + timedelta(days=1)))
        asked = [{"state": state} for state in STATES] if entity == "postings" else [EXPAND]
        rows: list[Row] = []
        try:
            for params in asked:
                rows += self._first(entity, {**params, "updated_at_start": since}, _SAMPLE)
        except Invalid as refused:
            rows = [row for params in asked for row in self._first(entity, params, _SAMPLE)]
            self.rows[entity] = rows
            return question.partial(f"the list can be read, and not by updated_at_start: {refused}")
        self.rows[entity] = rows
        if self._first(entity, {**asked[0], "updated_at_start": tomorrow}, 1):
            return question.partial("the filter by updated_at_start is taken and does not filter")
        return question.covered(f"{self._counted(entity)}; updated_at_start filters")

    def _first(self, entity: str, params: Mapping[str, str], limit: int) -> list[Row]:
        """The first page of a list."""
        return next(self._api.pages(entity, entity, {**params, "limit": str(limit)}))

    def _counted(self, entity: str) -> str:
        return f"{len(self.rows[entity])} rows read"

    def pages(self) -> Capability:
        """Whether a token leads to other rows."""
        for entity in ("opportunities", "stages", "archive_reasons"):
            if len(self.rows.get(entity, ())) < 2:
                continue
            try:
                pages = self._api.pages(entity, entity, {"limit": "1"})
                first, second = next(pages), next(pages, [])
                largest = self._first(entity, {}, PAGE_SIZE)
            except HttpFailure as failure:
                return PAGES.failed(failure)
            if not _ids(second) or _ids(first) & _ids(second):
                return PAGES.partial("the token of a page of one row leads to no other row")
            return PAGES.covered(f"two pages of one row joined, {len(largest)} rows in one of {PAGE_SIZE}")
        return PAGES.not_verified("no list that can be read has two rows")

    def scopes(self) -> Capability:
        """Which rights are lacking, in the vendor's words for them."""
        lacking = [entity for entity, failure in self.failures.items() if isinstance(failure, Forbidden)]
        if lacking:
            return SCOPES.partial(f"lacks {', '.join(f'{entity}:read:admin' for entity in lacking)}")
        return SCOPES.covered(f"{len(self.rows)} lists read")

    def acting(self) -> Capability:
        """Whether the user exists in whose name the integration writes."""
        try:
            user = record("users.read", self._api.client.get("users.read", f"users/{self._options.perform_as}").data)
        except HttpFailure as failure:
            return ACTING.failed(failure)
        if user.get("deactivatedAt") is not None:
            return ACTING.missing("the user is deactivated")
        return ACTING.covered("the user exists")

    def search(self) -> Iterator[Capability]:
        """Both ways to find somebody, for somebody whom nobody knows."""
        for question, name, nothing in (
            (SEARCH_EMAIL, "email", NOBODY),
            (SEARCH_PHONE, "phone", _NO_NUMBER),
        ):
            try:
                found = self._first("opportunities", {name: nothing}, 1)
            except HttpFailure as failure:
                yield question.failed(failure)
                continue
            if found:
                yield question.missing("the filter is taken and does not filter")
            elif name == "phone" and not self.rows.get("opportunities"):
                yield question.not_verified("there is no opportunity that a wrong filter would show")
            else:
                yield question.covered("the filter is taken, and finds nobody for what nobody has")

    def status(self) -> Capability:
        """Whether a hire can be told."""
        rows = self.rows.get("archive_reasons")
        if rows is None:
            return STATUS.not_verified("archive reasons cannot be read")
        hired = sum(row.get("type") == HIRED for row in rows)
        return STATUS.covered(f"{hired} of {len(rows)} are of it") if hired else STATUS.missing("none is of it")

    def one(self) -> Iterator[Capability]:
        """One opportunity, and what hangs on it."""
        known = next((str(row["id"]) for row in self.rows.get("opportunities", ())), None)
        for question, path in ((READ, ""), (OFFERS, "/offers")):
            if known is None:
                # Nothing has this id, so that an account without any tells only by a refusal whether it is there.
                yield self._refused(question, f"opportunities/{self._options.perform_as}{path}")
                continue
            try:
                self._api.client.get(question.name, f"opportunities/{known}{path}")
            except HttpFailure as failure:
                yield question.failed(failure)
            else:
                yield question.covered("read of one that is there")

    def _refused(self, question: Any, path: str) -> Capability:
        try:
            self._api.client.get(question.name, path)
        except Forbidden as failure:
            return question.failed(failure)
        except HttpFailure:
            pass
        return question.not_verified("there was no record to try it on")

    def fields(self) -> Iterator[Capability]:
        """Whether rows can be understood."""
        for entity, model in _MODELS.items():
            yield fields_line(entity, model, read_row, self.rows.get(entity, []))

    def times(self) -> Iterator[str]:
        """Every time of every row that was read."""
        for rows in self.rows.values():
            for row in rows:
                yield from (str(v) for k, v in row.items() if k.endswith("At") and isinstance(v, str | int))

    def hooks(self) -> Capability:
        """Whether webhooks can be listed."""
        try:
            rows = self._first("webhooks", {}, PAGE_SIZE)
        except HttpFailure as failure:
            return HOOKS.failed(failure)
        return HOOKS.covered(f"{len(rows)} are registered")


def _fields(options: LeverOptions, tags: Iterable[str]) -> Iterator[Capability]:
    for tag in tags:
        label = options.custom_fields.get(tag)
        if label is None:
            yield field_question(tag).missing("the connector knows no such field")
        else:
            yield field_question(tag).covered(f"written as the tag {tag_of(label, '...')}")


def _ids(rows: Iterable[Any]) -> set[str]:
    return {str(cast("Row", row)["id"]) for row in rows}
