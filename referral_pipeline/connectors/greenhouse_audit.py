"""What a Greenhouse tenant can do for the integration, asked of the tenant itself.

Belongs here: the questions that reading answers. Does not belong here: those that need a write (`greenhouse_trip`),
what a tenant must be set up with (`greenhouse_probe`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from referral_pipeline.connectors.audited_rows import fields_line
from referral_pipeline.connectors.capabilities import (
    CREATION,
    ENRICHMENT,
    REACHED,
    Area,
    AuditScope,
    Capability,
    Question,
    dates_line,
    one_by_one,
    rate_line,
)
from referral_pipeline.connectors.failures import Forbidden, HttpFailure, Invalid
from referral_pipeline.connectors.greenhouse_api import LOOKED_UP, PAGE_SIZE, PULLED, GreenhouseApi
from referral_pipeline.connectors.greenhouse_models import (
    ENRICHMENT_NAMES,
    ApplicationRow,
    ApplicationStageRow,
    CandidateRow,
    GreenhouseOptions,
    GreenhouseRow,
    JobRow,
    JobStageRow,
    OfferRow,
    OpeningRow,
    RejectionDetailRow,
    read_row,
)
from referral_pipeline.connectors.greenhouse_questions import (
    PAGES,
    SCOPES,
    SEARCH_EMAIL,
    SEARCH_PHONE,
    SOURCE_EXISTS,
    STATUS,
    list_question,
)
from referral_pipeline.connectors.greenhouse_trip import RoundTrip, find_source
from referral_pipeline.connectors.records import Row
from referral_pipeline.connectors.values import instant_text, shape

NOBODY = "nobody@audit.invalid"
"""An address that no candidate can have (RFC 2606)."""
_NO_NUMBER = "+10000000000"
_SAMPLE = 50
_STATUSES = frozenset({"in_process", "active", "rejected", "hired", "converted"})

_MODELS: Mapping[str, type[GreenhouseRow]] = {
    model.entity: model
    for model in (
        *(CandidateRow, ApplicationRow, ApplicationStageRow, JobRow, JobStageRow),
        *(OfferRow, OpeningRow, RejectionDetailRow),
    )
}


def audit(
    api: GreenhouseApi, options: GreenhouseOptions, scope: AuditScope, *, tags: Iterable[str]
) -> list[Capability]:
    """Every line about this tenant, by area."""
    try:
        api.client.check_token()
    except HttpFailure as failure:
        return [REACHED.failed(failure)]
    reader = _Reader(api)
    lines = [REACHED.covered("a bearer token was given for client credentials"), *reader.lists()]
    lines += [reader.pages(), reader.scopes(), *reader.search(), reader.status()]
    lines += [*reader.fields(), dates_line(reader.times()), *_custom_fields(reader, options, tags)]
    lines += _source(reader, options)
    lines += RoundTrip(api, options, reader.rows, may_write=scope.may_write).lines()
    return one_by_one([*lines, rate_line(api.client.rate_window)])


class _Reader:
    """Reads a page of everything once; `rows` holds the lists that could be read, by entity."""

    def __init__(self, api: GreenhouseApi) -> None:
        self.rows: dict[str, list[Row]] = {}
        self._api = api
        self._failures: dict[str, HttpFailure] = {}

    def lists(self) -> Iterator[Capability]:
        """Each list, with the filter by change where it is pulled."""
        for entity in (*PULLED, *LOOKED_UP):
            question = list_question(entity)
            try:
                yield self._pulled(entity, question) if entity in PULLED else self._looked_up(entity, question)
            except HttpFailure as failure:
                self._failures[entity] = failure
                yield question.failed(failure)

    def _pulled(self, entity: str, question: Question) -> Capability:
        now = self._api.client.clock.now()
        since, tomorrow = instant_text(_moment(0)), instant_text(_moment(now) + timedelta(days=1))
        params = dict(PULLED[entity].params)
        two_sided = True
        try:
            self._keep(entity, {**params, "updated_at": f"gte|{since}|lte|{tomorrow}"})
        except Invalid:
            two_sided = False
            try:
                self._keep(entity, {**params, "updated_at": f"gte|{since}"})
            except Invalid as refused:
                self._keep(entity, params)
                return question.partial(f"the list can be read, and not by updated_at: {refused}")
        if entity == "sources":  # all of them: one is looked for by name
            self.rows[entity] = list(self._api.list_all(entity))
        later, _ = self._api.first_page(entity, {**params, "updated_at": f"gte|{tomorrow}"}, per_page=1)
        if later:
            return question.partial("the filter by updated_at is taken and does not filter")
        sides = "from and to a moment" if two_sided else "from a moment on, not to one"
        return question.covered(f"{self._counted(entity)}; updated_at filters {sides}")

    def _looked_up(self, entity: str, question: Question) -> Capability:
        # Definitions are needed in full; of employees one row is enough to know that they can be read.
        if entity == "custom_fields":
            self.rows[entity] = list(self._api.list_all(entity, {"field_type": "application"}))
        else:
            self._keep(entity, {}, per_page=1 if entity == "users" else _SAMPLE)
        return question.covered(self._counted(entity))

    def _keep(self, entity: str, params: Mapping[str, str], *, per_page: int = _SAMPLE) -> None:
        self.rows[entity], _ = self._api.first_page(entity, params, per_page=per_page)

    def _counted(self, entity: str) -> str:
        return f"{len(self.rows[entity])} rows read"

    def pages(self) -> Capability:
        """Whether a link leads to other rows."""
        for entity in ("applications", "job_interview_stages", "custom_fields"):
            if len(self.rows.get(entity, ())) < 2:
                continue
            try:
                first = self._api.client.get(f"{entity}.list", entity, {"per_page": "1"})
                if not first.next_url:
                    return PAGES.missing("a page of one row has no link to the next")
                second = self._api.client.get(f"{entity}.list", first.next_url)
                if _ids(first.data) & _ids(second.data) or not _ids(second.data):
                    return PAGES.partial("the link to the next page leads to no other row")
                largest = self._api.client.get(f"{entity}.list", entity, {"per_page": str(PAGE_SIZE)})
            except HttpFailure as failure:
                return PAGES.failed(failure)
            return PAGES.covered(f"two pages of one row joined, {len(_ids(largest.data))} rows in one of {PAGE_SIZE}")
        return PAGES.not_verified("no list that can be read has two rows")

    def scopes(self) -> Capability:
        """Which rights are lacking, in the vendor's words for them."""
        lacking = [entity for entity, failure in self._failures.items() if isinstance(failure, Forbidden)]
        if lacking:
            return SCOPES.partial(f"lacks {', '.join(f'harvest:{entity}:list' for entity in lacking)}")
        return SCOPES.covered(f"{len(self.rows)} lists read")

    def search(self) -> Iterator[Capability]:
        """Both ways to find somebody, for somebody whom nobody knows."""
        known = self._failures.get("candidates")
        if known is not None:
            yield SEARCH_EMAIL.failed(known)
            yield SEARCH_PHONE.not_verified("candidates cannot be read")
            return
        try:
            found, _ = self._api.first_page("candidates", {"email": NOBODY}, per_page=1)
            yield (
                SEARCH_EMAIL.missing("the filter is taken and finds candidates for an address that nobody has")
                if found
                else SEARCH_EMAIL.covered("the filter is taken, and finds nobody for an address that nobody has")
            )
        except HttpFailure as failure:
            yield SEARCH_EMAIL.failed(failure)
        try:
            found, _ = self._api.first_page("candidates", {"phone": _NO_NUMBER}, per_page=1)
            yield (
                SEARCH_PHONE.missing("the filter is taken and does not filter")
                if found
                else SEARCH_PHONE.covered("the filter is taken, and finds nobody for a number that nobody has")
            )
        except HttpFailure as failure:
            yield SEARCH_PHONE.failed(failure)

    def status(self) -> Capability:
        """Which words for statuses there are."""
        if "applications" not in self.rows:
            return STATUS.failed(self._failures["applications"])
        words = Counter(str(row.get("status")) for row in self.rows["applications"])
        unknown = sorted(set(words) - _STATUSES)
        if unknown:
            return STATUS.partial(f"words that are not known: {', '.join(unknown[:5])}")
        if not words:
            return STATUS.not_verified("there is no application")
        return STATUS.covered(f"words seen: {', '.join(sorted(words))}")

    def fields(self) -> Iterator[Capability]:
        """Whether rows can be understood: what is required of them is there, and what is optional is named."""
        for entity, model in _MODELS.items():
            yield fields_line(entity, model, read_row, self.rows.get(entity, []))

    def times(self) -> Iterator[str]:
        """Every time of every row that was read."""
        for rows in self.rows.values():
            for row in rows:
                yield from (v for k, v in row.items() if k.endswith("_at") and isinstance(v, str))


def _custom_fields(reader: _Reader, options: GreenhouseOptions, tags: Iterable[str]) -> Iterator[Capability]:
    definitions = {str(row.get("name_key")): row for row in reader.rows.get("custom_fields", [])}
    for tag in tags:
        question = Question(
            Area.CUSTOM_FIELDS,
            f"custom_fields.{tag}",
            f"An application custom field for {tag}",
            f"{tag} stands on the application",
            f"{tag} is written nowhere: create the field in Configure > Custom Options",
            (ENRICHMENT,) if tag in ENRICHMENT_NAMES else (CREATION,),
        )
        key = options.custom_fields.get(tag)
        if "custom_fields" not in reader.rows:
            yield question.not_verified("custom fields cannot be read")
        elif key is None or key not in definitions:
            yield question.missing(f"no application custom field {key or tag}")
        elif definitions[key].get("active") is False:
            yield question.missing(f"{key} is archived")
        else:
            row = definitions[key]
            private = ", private" if row.get("private") else ""
            yield question.covered(f"{key} is {row.get('value_type') or shape(row.get('value_type'))}{private}")


def _source(reader: _Reader, options: GreenhouseOptions) -> Iterator[Capability]:
    if options.source_name is None:
        return
    if "sources" not in reader.rows:
        yield SOURCE_EXISTS.not_verified("sources cannot be read")
        return
    if find_source(reader.rows["sources"], options.source_name) is not None:
        yield SOURCE_EXISTS.covered(f"{options.source_name} exists")
    else:
        yield SOURCE_EXISTS.missing(f"no source {options.source_name}")


def _moment(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def _ids(data: object) -> set[str]:
    rows = cast("list[Any]", data) if isinstance(data, list) else []
    return {str(cast("Row", row)["id"]) for row in rows if isinstance(row, dict) and "id" in row}
