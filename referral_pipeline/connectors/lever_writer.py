"""Writing to Lever: opportunities, our tags, sources, contact details.

Belongs here: the calls, in an order that can end anywhere. Does not belong here: whether to write (`sync`), reading.
The numbers in comments are the invariants of `lever`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from referral_pipeline.connectors.failures import AmbiguousOutcome, Conflict, HttpFailure, Invalid, NotFound
from referral_pipeline.connectors.http import HttpClient
from referral_pipeline.connectors.lever_api import LeverApi, created
from referral_pipeline.connectors.lever_assemble import Assembler, candidates, folded
from referral_pipeline.connectors.lever_mailboxes import Mailboxes
from referral_pipeline.connectors.lever_models import SYSTEM, LeverOptions, OpportunityRow, read_row
from referral_pipeline.connectors.lever_reader import Reader
from referral_pipeline.connectors.lever_tags import change, tag_of, written
from referral_pipeline.connectors.records import AtsApplication, Created, NewApplication, NewCandidate, Row, RowProblem


class Writer:
    """Writes to one account. Safe for threads."""

    def __init__(
        self, client: HttpClient, api: LeverApi, options: LeverOptions, reader: Reader, assembler: Assembler
    ) -> None:
        self._client = client
        self._api = api
        self._options = options
        self._reader = reader
        self._assembler = assembler
        self._labels = options.custom_fields
        self._mailboxes = Mailboxes(max(60.0, 2 * options.visibility_lag_seconds))
        self._acting = {"perform_as": options.perform_as}

    # ---------------------------------------------------------------- creating

    def create_candidate(self, candidate: NewCandidate, application: NewApplication) -> Created:
        """(10, 11) A contact with its opportunity. Where the address is another contact's, it is added afterwards.

        Whoever asks has searched, and found nobody who is this person, whatever the names say.

        Raises:
            AmbiguousOutcome: Nobody knows whether all of it was done; search before trying again.
        """
        body = self._opportunity(application)
        body["name"] = " ".join(part for part in (candidate.first_name, candidate.last_name) if part)
        if candidate.phone:
            body["phones"] = [{"value": candidate.phone, "type": "mobile"}]
        if not candidate.email:
            return self._made(self._post(body), application)
        with self._mailboxes.create(candidate.email) as was_made:
            if was_made or self._reader.found_by(candidate.email):
                return self._apart(body, candidate, application)
            row = self._post({**body, "emails": [candidate.email]})
        self._refuse_foreign_contact(row, body["name"])
        return self._made(row, application)

    def create_application(self, candidate_id: str, application: NewApplication) -> AtsApplication:
        """(10) A further opportunity on a contact that exists.

        Raises:
            AmbiguousOutcome: Nobody knows whether it was opened; look before trying again.
        """
        made = self._made(self._post({**self._opportunity(application), "contact": candidate_id}), application)
        assert made.application is not None
        return made.application

    def _refuse_foreign_contact(self, row: Row, name: str) -> None:
        """(11) Another process may have made a contact under the address meanwhile: then Lever took that one.

        What was opened there cannot be deleted by the API. It loses our tags, and somebody is told; the next attempt
        finds that contact and makes one of its own.
        """
        read = _understood(row)
        if not read.name or folded(read.name) == folded(name):
            return
        self._bring(read.id, "removeTags", "tags", change(read.tags, dict.fromkeys(self._labels), self._labels).remove)
        detail = f"opportunity {read.id} went to the contact of somebody else with the same address: archive it there"
        raise Conflict(SYSTEM, "opportunities.create", detail=detail)

    def _apart(self, body: dict[str, Any], candidate: NewCandidate, application: NewApplication) -> Created:
        """(11) A contact of its own under an address that another one has.

        The two calls can be parted by anything. So the first is looked for by our own tag before it is made, and a
        second that fails leaves the outcome open: the next attempt finds the first and goes on from there.
        """
        row = self._begun(application) or self._post(body)
        made = self._made(row, application)
        try:
            self.add_contact_details(made.candidate.id, email=candidate.email, phone=candidate.phone)
        except HttpFailure as failure:
            detail = "the contact was made and has not got its address yet"
            raise AmbiguousOutcome(SYSTEM, "opportunities.create", detail=detail) from failure
        emails = (*made.candidate.emails, candidate.email) if candidate.email else made.candidate.emails
        return Created(replace(made.candidate, emails=emails), made.application)

    def _begun(self, application: NewApplication) -> Row | None:
        """What an earlier attempt made for the same referral and posting."""
        referral_id = application.tags.get("referral_id")
        if not referral_id:
            return None
        found = self._reader.tagged(tag_of(self._options.custom_fields["referral_id"], referral_id))
        mine = next((row for row in found if row.posting == application.job_id), None)
        return self._api.opportunity(mine.id) if mine is not None else None

    def _opportunity(self, application: NewApplication) -> dict[str, Any]:
        """What every new opportunity says. Lever has no way to name a referrer: the advocate is in our tags."""
        body: dict[str, Any] = {"origin": "referred", "postings": [application.job_id]}
        tags = written(application.tags, self._options.custom_fields)
        if tags:
            body["tags"] = tags
        if self._options.source_name:
            body["sources"] = [self._options.source_name]
        if self._options.initial_stage:
            body["stage"] = self._options.initial_stage
        return body

    def _post(self, body: Mapping[str, Any]) -> Row:
        operation = "opportunities.create"
        answer = self._client.call(operation, "POST", "opportunities", params=self._acting, json=dict(body))
        return created(operation, answer.data)

    def _made(self, row: Row, application: NewApplication) -> Created:
        """What a create answered. It exists by now, so an answer that cannot be read is no refusal."""
        read = _understood(row)
        facts = self._reader.facts([read], with_offers=False)
        opened = self._assembler.application(read, facts, posting=application.job_id)
        return Created(candidates([read])[0], opened)

    # ---------------------------------------------------------------- changing

    def update_application(self, opportunity_id: str, tags: Mapping[str, str | None]) -> bool:
        """(6) Bring our tags to these values (None takes one away); fill the source where there is none.

        What is wrong goes before what is right comes: between the two a field is missing, never double.

        Returns:
            Whether something was written; False when nothing differed.

        Raises:
            NotFound: The opportunity is not there.
        """
        row = self._api.opportunity(opportunity_id)
        if row is None:
            raise NotFound(SYSTEM, "opportunities.read", detail="the record is not there")
        read = _readable(row)
        differs = change(read.tags, tags, self._options.custom_fields)
        self._bring(opportunity_id, "removeTags", "tags", differs.remove)
        self._bring(opportunity_id, "addTags", "tags", differs.add)
        missing = (self._options.source_name,) if self._options.source_name and not read.sources else ()
        self._bring(opportunity_id, "addSources", "sources", missing)
        return bool(differs.remove or differs.add or missing)

    def add_contact_details(self, contact_id: str, *, email: str | None, phone: str | None) -> bool:
        """(12) Add an address or number that is not there yet; all others stay. True when something was written."""
        row = self._api.get("contacts", contact_id)
        if row is None:
            raise NotFound(SYSTEM, "contacts.read", detail="the record is not there")
        body: dict[str, Any] = {}
        emails = [one for one in row.get("emails") or [] if isinstance(one, str)]
        if email and not any(one.strip().casefold() == email.strip().casefold() for one in emails):
            body["emails"] = [*emails, email]
        phones = [dict(one) for one in row.get("phones") or [] if isinstance(one, Mapping) and one.get("value")]
        if phone and not any(_same_number(str(one["value"]), phone) for one in phones):
            kept = [{key: one[key] for key in ("value", "type") if one.get(key)} for one in phones]
            body["phones"] = [*kept, {"value": phone, "type": "mobile"}]
        if not body:
            return False
        self._client.call("contacts.update", "PUT", f"contacts/{contact_id}", params=self._acting, json=body)
        return True

    def _bring(self, opportunity_id: str, verb: str, name: str, values: Sequence[str]) -> None:
        """One of the calls that say what is to be there or not: done twice it is done once."""
        if not values:
            return
        self._client.call(
            f"opportunities.{verb}",
            "POST",
            f"opportunities/{opportunity_id}/{verb}",
            params=self._acting,
            json={name: list(values)},
            repeatable=True,
        )


def _understood(row: Row) -> OpportunityRow:
    read = read_row(OpportunityRow, row)
    if isinstance(read, RowProblem):
        detail = f"the answer cannot be read: {read.field} is {read.reason}"
        raise AmbiguousOutcome(SYSTEM, "opportunities.create", detail=detail)
    return read


def _readable(row: Row) -> OpportunityRow:
    read = read_row(OpportunityRow, row)
    if isinstance(read, RowProblem):
        raise Invalid(SYSTEM, "opportunities.read", detail=f"the row cannot be read: {read.field} is {read.reason}")
    return read


def _same_number(left: str, right: str) -> bool:
    """Numbers as digits; a national form equals an international one that ends in it."""
    one, other = sorted(("".join(filter(str.isdigit, text)).lstrip("0") for text in (left, right)), key=len)
    return one == other or (len(one) >= 7 and other.endswith(one))
