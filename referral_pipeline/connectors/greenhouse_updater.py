"""Changing what is in Greenhouse: fields of an application, contact details of a candidate, merges.

Belongs here: reading, writing the difference, and looking before trying again. Does not belong here: what fields are to
say (`sync`), creating (`greenhouse_creator`). The numbers in comments are the invariants of `greenhouse`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, cast

from referral_pipeline.connectors.failures import AmbiguousOutcome, HttpFailure, Invalid, NotFound
from referral_pipeline.connectors.greenhouse_api import GreenhouseApi, number
from referral_pipeline.connectors.greenhouse_fields import FieldCatalog, changed_tags, merged
from referral_pipeline.connectors.greenhouse_models import SYSTEM, GreenhouseOptions
from referral_pipeline.connectors.greenhouse_reference import Reference
from referral_pipeline.connectors.http import HttpClient
from referral_pipeline.connectors.records import Row

_LOG = logging.getLogger(__name__)
_WRITES = 5
"""How often a PATCH is tried when nobody knows whether the one before was done; each is preceded by a read."""


class Updater:
    """Changes one account. Safe for threads."""

    def __init__(
        self,
        client: HttpClient,
        api: GreenhouseApi,
        options: GreenhouseOptions,
        reference: Reference,
        catalog: FieldCatalog,
    ) -> None:
        self._client = client
        self._api = api
        self._options = options
        self._reference = reference
        self._catalog = catalog

    def update_application(
        self, application_id: str, tags: Mapping[str, str | None], *, advocate_email: str | None = None
    ) -> bool:
        """(5, 14) Bring our fields to `tags` (None clears); fill source and referrer where they are empty.

        Returns:
            Whether something was written; False when nothing differed.

        Raises:
            NotFound: The application is not there (deleted, or not visible yet).
            AmbiguousOutcome: Every try ended without an answer.
        """

        def change(row: Row, with_archived: bool) -> dict[str, Any]:
            body: dict[str, Any] = {}
            there = row.get("custom_fields")
            changes = changed_tags(there, tags, self._options.custom_fields)
            if changes:
                body["custom_fields"] = merged(there, changes, self._catalog, with_archived=with_archived)
            if row.get("source_id") is None and self._options.source_name:
                body["source_id"] = self._reference.source_id(self._options.source_name)
            if row.get("referrer_id") is None and advocate_email:
                referrer = self._reference.referrer_id(advocate_email)
                if referrer is not None:
                    body["referrer_id"] = referrer
            return body

        return self._bring("applications", application_id, change) is not None

    def add_contact_details(self, candidate_id: str, *, email: str | None, phone: str | None) -> bool:
        """(5) Add an address or number that is not there yet; all others stay. True when something was written."""

        def change(row: Row, _: bool) -> dict[str, Any]:
            body: dict[str, Any] = {}
            for name, value, kind, same in (
                ("email_addresses", email, "personal", _same_address),
                ("phone_numbers", phone, "mobile", _same_number),
            ):
                present = [dict(c) for c in row.get(name) or [] if isinstance(c, Mapping) and c.get("value")]
                if value and not any(same(str(contact["value"]), value) for contact in present):
                    kept = [{key: c[key] for key in ("value", "type") if c.get(key)} for c in present]
                    body[name] = [*kept, {"value": value, "type": kind}]
            return body

        return self._bring("candidates", candidate_id, change) is not None

    def merge_candidates(self, primary_id: str, secondary_id: str) -> None:
        """(16) Merge one candidate into another; read again before every further try.

        Raises:
            NotFound: One of the two is not there, and nothing was sent.
            AmbiguousOutcome: Every try ended without an answer, and the secondary is there still.
        """
        lost: AmbiguousOutcome | None = None
        try:
            for attempt in range(1, _WRITES + 1):
                there = {str(row["id"]) for row in self._api.by_ids("candidates", [primary_id, secondary_id])}
                if lost is not None and secondary_id not in there and primary_id in there:
                    return
                if not {primary_id, secondary_id} <= there:
                    raise lost or NotFound(SYSTEM, "candidates.list", detail="a candidate to merge is not there")
                try:
                    self._merge(primary_id, secondary_id)
                except AmbiguousOutcome as failure:
                    lost = failure
                    self._client.pause(attempt)
                except (NotFound, Invalid):
                    # An earlier try may have been done since it was looked at: then there is nothing left to merge.
                    if lost is None or self._api.by_ids("candidates", [secondary_id]):
                        raise
                    return
                else:
                    return
            if self._api.by_ids("candidates", [secondary_id]):
                raise lost or AssertionError("a try ends in an answer or is lost")
        except HttpFailure as failure:
            if lost is None or failure is lost or isinstance(failure, NotFound | Invalid):
                raise
            raise lost from failure  # this try was certainly not done, of the earlier one nobody knows

    def _merge(self, primary_id: str, secondary_id: str) -> None:
        body = {"secondary_candidate_id": number("candidates", secondary_id)}
        path = f"candidates/{number('candidates', primary_id)}/merge"
        self._client.call("candidates.merge", "POST", path, json=body, repeatable=False)

    def _bring(self, entity: str, record_id: str, change: Callable[[Row, bool], dict[str, Any]]) -> Row | None:
        """(13) Read, and write what `change` asks for; read again before every further try.

        A tenant may refuse values of fields that it has archived itself (not documented either way); then, and only
        then, `change` is asked to leave them out.

        Returns:
            The row afterwards; None when there was nothing to write from the beginning.
        """
        lost: AmbiguousOutcome | None = None
        with_archived = True
        for attempt in range(1, _WRITES + 1):
            row = self._fresh(entity, record_id)
            body = change(row, with_archived)
            if not body:
                return row if lost is not None else None
            try:
                return self.patch(entity, record_id, body) or self._fresh(entity, record_id)
            except Invalid as failure:
                if not with_archived or change(row, False) == body:
                    raise
                _LOG.warning("greenhouse refused archived custom fields, they are left out: %s", failure)
                with_archived = False
            except AmbiguousOutcome as failure:
                lost = failure
                self._client.pause(attempt)
        assert lost is not None
        raise lost

    def _fresh(self, entity: str, record_id: str) -> Row:
        rows = self._api.by_ids(entity, [record_id])
        if not rows:
            raise NotFound(SYSTEM, f"{entity}.list", detail="the record is not there")
        return rows[0]

    def patch(self, entity: str, record_id: str, body: Mapping[str, Any]) -> Row | None:
        """(12) One PATCH; the row it answers, None when it answers nothing usable."""
        path = f"{entity}/{number(entity, record_id)}"
        answer = self._client.call(f"{entity}.update", "PATCH", path, json=body, repeatable=False)
        data: object = answer.data
        if isinstance(data, dict) and str(cast("Row", data).get("id")) == record_id:
            return cast("Row", data)
        return None


def _same_address(left: str, right: str) -> bool:
    return left.strip().casefold() == right.strip().casefold()


def _same_number(left: str, right: str) -> bool:
    """Numbers as digits; a national form equals an international one that ends in it."""
    one, other = sorted(("".join(filter(str.isdigit, text)).lstrip("0") for text in (left, right)), key=len)
    return one == other or (len(one) >= 7 and other.endswith(one))
