"""The part of an audit of Lever that writes: one contact and its opportunities, in a sandbox only.

Belongs here: what is written, what is read again, what is taken back. Does not belong here: questions that reading
answers (`lever_audit`).

The API deletes nothing. So every audit works on the same contact, known by its name and address, takes away the tags
that it wrote, and archives what it opened; what an audit that died left open is archived by the next. Where what a
write needs is not there (nothing could be created, for instance) it is sent with an empty body, which shows that the
operation is there and permitted, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from referral_pipeline.connectors.capabilities import NO_WRITES, Capability, Question
from referral_pipeline.connectors.failures import AmbiguousOutcome, HttpFailure, Invalid, NotFound
from referral_pipeline.connectors.lever_api import LeverApi, created
from referral_pipeline.connectors.lever_assemble import HIRED
from referral_pipeline.connectors.lever_models import LeverOptions
from referral_pipeline.connectors.lever_questions import (
    ADD_SOURCE,
    APPLY,
    CONTACT,
    CREATE,
    END,
    FOUND,
    HOOKS_BY_API,
    ONLY_WRITING,
    READ_CONTACT,
    REQUIRED,
    SOURCE,
    TAG,
    UNTAG,
)
from referral_pipeline.connectors.lever_tags import tag_of
from referral_pipeline.connectors.records import Row

AUDIT_EMAIL = "api-audit@example.com"
"""The address of the one contact that audits work on (a domain that RFC 2606 keeps for examples)."""
AUDIT_NAME = "API Audit"
_PHONES = ("+12025550143", "+12025550144")
"""Numbers that are kept for fiction."""
_VALUE = "api-audit"
_REFUSED: Mapping[str, Any] = {"emails": 0, "api_audit": True}
"""No opportunity may have a number for its addresses."""
_LOOK_EVERY_SECONDS = 0.5
_CREATES = 4
"""How often a create is tried whose answer was lost."""


class RoundTrip:
    """There and back. `rows` are the lists that could be read, by entity."""

    def __init__(
        self, api: LeverApi, options: LeverOptions, rows: Mapping[str, Sequence[Row]], *, may_write: bool
    ) -> None:
        self._api = api
        self._client = api.client
        self._options = options
        self._rows = rows
        self._may_write = may_write
        self._acting = {"perform_as": options.perform_as}
        self._opened: list[str] = []
        self._contact: str | None = None
        self._is_lost = False  # whether a create may have opened one that we do not know

    def lines(self) -> list[Capability]:
        """Every line that needs a write; where none may be made, each says so."""
        if not self._may_write:
            return [question.not_verified(NO_WRITES) for question in ONLY_WRITING]
        lines: list[Capability] = []
        try:
            self._sweep()
            lines += [self._required(), self._create(), self._found(), self._source(), self._apply()]
            lines += [*self._tags(), self._add_source(), *self._contact_lines()]
            lines += [self._refusal(HOOKS_BY_API, "webhooks.create", "POST", "webhooks")]
        finally:
            lines += [self._end()]
        return lines

    # ------------------------------------------------------------ there

    def _required(self) -> Capability:
        try:
            made = self._post(dict(_REFUSED), repeatable=True)
        except Invalid as refused:
            return REQUIRED.partial(f"a wrong one is refused with {refused.status}", "what is required is documented")
        except HttpFailure as failure:
            return REQUIRED.not_verified(str(failure))
        self._opened.append(str(made["id"]))
        return REQUIRED.partial("one without name and address is taken")

    def _create(self) -> Capability:
        body: dict[str, Any] = {
            "name": AUDIT_NAME,
            "emails": [AUDIT_EMAIL],
            "phones": [{"value": _PHONES[0], "type": "mobile"}],
            **self._opening(0),
        }
        try:
            made = self._posted(body)
        except HttpFailure as failure:
            return CREATE.failed(failure)
        self._opened.append(str(made["id"]))
        contact = made.get("contact")
        self._contact = str(contact) if isinstance(contact, str) else None
        if self._contact is None:
            return CREATE.partial("it answers without the contact's id", "the contact is found by a search only")
        return CREATE.covered("created on a posting" if "postings" in body else "created: no open posting was read")

    def _opening(self, which: int) -> dict[str, Any]:
        """What an opportunity says, on one of the published postings where there is one."""
        postings = [str(row["id"]) for row in self._rows.get("postings", ()) if row.get("state") == "published"]
        body: dict[str, Any] = {"origin": "referred"}
        if postings:
            body["postings"] = [postings[which % len(postings)]]
        if self._options.source_name:
            body["sources"] = [self._options.source_name]
        return body

    def _posted(self, body: Mapping[str, Any]) -> Row:
        """What a create answers. One whose answer was lost is archived, and made again."""
        for attempt in range(1, _CREATES):
            try:
                return self._post(body)
            except AmbiguousOutcome:
                self._is_lost = True
                self._client.pause(attempt)
        return self._post(body)

    def _post(self, body: Mapping[str, Any], *, repeatable: bool = False) -> Row:
        operation = "opportunities.create"
        answer = self._client.call(
            operation, "POST", "opportunities", params=self._acting, json=dict(body), repeatable=repeatable
        )
        return created(operation, answer.data)

    def _found(self) -> Capability:
        if not self._opened:
            return FOUND.not_verified("no opportunity could be created")
        clock = self._client.clock
        began = clock.monotonic()
        try:
            while True:
                rows = list(self._api.opportunities(email=AUDIT_EMAIL))
                took = clock.monotonic() - began
                if any(str(row["id"]) in self._opened for row in rows):
                    return FOUND.covered(f"found by its address after {took:.1f} s")
                if took > self._options.visibility_lag_seconds:
                    return FOUND.missing(f"not found by its address within {took:.0f} s")
                clock.sleep(_LOOK_EVERY_SECONDS)
        except HttpFailure as failure:
            return FOUND.not_verified(f"opportunities cannot be searched: {failure}")

    def _source(self) -> Capability:
        name = self._options.source_name
        row = self._read(self._opened[-1]) if self._opened else None
        if name is None:
            return SOURCE.partial("the contract names none")
        if row is None:
            return SOURCE.not_verified("no opportunity could be created, or it cannot be read")
        if name in (row.get("sources") or ()):
            return SOURCE.covered("given at creation, and read back")
        return SOURCE.missing("given at creation, and not there when read back")

    def _apply(self) -> Capability:
        if self._contact is None:
            return self._refusal(APPLY, "opportunities.create", "POST", "opportunities", _REFUSED)
        try:
            made = self._posted({"contact": self._contact, **self._opening(1)})
        except HttpFailure as failure:
            return APPLY.failed(failure)
        self._opened.append(str(made["id"]))
        if made.get("contact") != self._contact:
            return APPLY.missing("opened, and on another contact")
        return APPLY.covered("opened on the same contact")

    def _tags(self) -> Iterator[Capability]:
        tag = tag_of(self._options.custom_fields["campaign_tag"], _VALUE)
        for question, verb, is_there in ((TAG, "addTags", True), (UNTAG, "removeTags", False)):
            if not self._opened:
                yield self._on_known(question, verb)
                continue
            own = self._opened[0]
            try:
                self._change(own, verb, {"tags": [tag]})
            except HttpFailure as failure:
                yield question.failed(failure)
                continue
            row = self._read(own)
            if row is None:
                yield question.partial("taken, and cannot be read back", "what was written cannot be verified")
            elif (tag in (row.get("tags") or ())) is not is_there:
                yield question.missing("taken, and the opportunity did not change when read back")
            else:
                yield question.covered("a tag written and read back" if is_there else "the tag taken away again")

    def _add_source(self) -> Capability:
        name = self._options.source_name
        if not self._opened or name is None:
            return self._on_known(ADD_SOURCE, "addSources")
        try:
            self._change(self._opened[0], "addSources", {"sources": [name]})
        except HttpFailure as failure:
            return ADD_SOURCE.failed(failure)
        return ADD_SOURCE.covered("the source that is there already was taken, and changed nothing")

    def _contact_lines(self) -> Iterator[Capability]:
        contact = self._contact or next((str(r["contact"]) for r in self._rows.get("opportunities", ())), None)
        if contact is None:
            yield READ_CONTACT.not_verified("there was no record to try it on")
            yield CONTACT.not_verified("there was no record to try it on")
            return
        try:
            self._client.get("contacts.read", f"contacts/{contact}")
            yield READ_CONTACT.covered("read of one that is there")
        except HttpFailure as failure:
            yield READ_CONTACT.failed(failure)
        path = f"contacts/{contact}"
        if self._contact is None:
            yield self._refusal(CONTACT, "contacts.update", "PUT", path)
            return
        try:
            for numbers in (_PHONES[:1], _PHONES):
                body = {"phones": [{"value": number, "type": "mobile"} for number in numbers]}
                self._client.call("contacts.update", "PUT", path, params=self._acting, json=body)
        except HttpFailure as failure:
            yield CONTACT.failed(failure)
            return
        try:
            row = self._api.get("contacts", contact)
        except HttpFailure:
            row = None
        if row is None:
            yield CONTACT.partial("a number was taken, and cannot be read back", "what was written is not verified")
        elif len(row.get("phones") or ()) != len(_PHONES):
            yield CONTACT.missing("a second number was taken, and is not there when read back")
        else:
            yield CONTACT.covered("a second number written, both read back")

    # ------------------------------------------------------------ what is there

    def _on_known(self, question: Question, verb: str) -> Capability:
        """On an opportunity of somebody, with an empty body, as nothing could be created."""
        known = next((str(row["id"]) for row in self._rows.get("opportunities", ())), None)
        path = f"opportunities/{known or self._options.perform_as}/{verb}"
        return self._refusal(question, f"opportunities.{verb}", "POST", path, exists=known is not None)

    def _refusal(
        self,
        question: Question,
        operation: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        exists: bool = True,
    ) -> Capability:
        """Whether an operation is there: an empty body asks for nothing. Nothing is changed."""
        params = None if path == "webhooks" else self._acting
        try:
            self._client.call(operation, method, path, params=params, json=dict(body or {}), repeatable=True)
        except Invalid as refused:
            shown = f"it is there and permitted: a wrong body is refused with {refused.status}"
            return question.partial(shown, "not tried to its end")
        except NotFound as failure:
            return question.failed(failure) if exists else question.not_verified("there was no record to try it on")
        except HttpFailure as failure:
            return question.failed(failure)
        return question.partial("it is there and permitted: an empty body is taken", "not tried to its end")

    def _change(self, opportunity: str, verb: str, body: Mapping[str, Any]) -> None:
        path = f"opportunities/{opportunity}/{verb}"
        self._client.call(f"opportunities.{verb}", "POST", path, params=self._acting, json=dict(body), repeatable=True)

    def _read(self, opportunity: str) -> Row | None:
        try:
            return self._api.opportunity(opportunity)
        except HttpFailure:
            return None

    # ------------------------------------------------------------ and back

    def _sweep(self) -> None:
        """Archive what audits left open; where that cannot be, the line on archiving says so."""
        try:
            for row in list(self._api.opportunities(email=AUDIT_EMAIL, archived="false")):
                if row.get("name") == AUDIT_NAME:
                    self._archive(str(row["id"]))
        except HttpFailure:
            return

    def _archive(self, opportunity: str) -> None:
        reason = next((str(r["id"]) for r in self._rows.get("archive_reasons", ()) if r.get("type") != HIRED), None)
        self._client.call(
            "opportunities.archive",
            "PUT",
            f"opportunities/{opportunity}/archived",
            params=self._acting,
            json={"reason": reason or ""},
        )

    def _end(self) -> Capability:
        if self._is_lost:
            # A create whose answer was lost may have opened one that no search has shown yet.
            self._client.clock.sleep(self._options.visibility_lag_seconds)
        failed: HttpFailure | None = None
        left: list[str] = []
        for opportunity in self._opened:
            try:
                self._archive(opportunity)
            except HttpFailure as failure:
                failed, left = failure, [*left, opportunity]
        if self._is_lost:
            self._sweep()
        if failed is not None:
            return END.missing(f"{failed}; opportunities left open: {', '.join(left)}; archive them by hand")
        if not self._opened:
            return END.not_verified("there was nothing to end")
        return END.covered(f"{len(self._opened)} that were opened are archived")
