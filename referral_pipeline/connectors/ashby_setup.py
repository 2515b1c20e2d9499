"""Webhooks and custom fields of an Ashby account, by its API.

Belongs here: registering and looking at them, making fields. Does not belong here: which are missing (`setup`),
signatures (`ashby_signature`), values of fields (`ashby_writer`).

Ashby lists no webhooks: one is known by the id that its creation answered. These ids are kept in a file beside the rate
budget. Where it is lost a webhook is registered a second time, which does no harm: both deliver under one
`webhookActionId`, by which the second is known.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from referral_pipeline.connectors.ashby_api import AshbyApi
from referral_pipeline.connectors.ashby_models import SYSTEM, AshbyOptions, title_key
from referral_pipeline.connectors.ashby_reference import Reference
from referral_pipeline.connectors.failures import AmbiguousOutcome, Invalid, NotFound
from referral_pipeline.connectors.records import Row
from referral_pipeline.connectors.setup import Hook, MissingField, Registered

HOOKS_FILE = "ashby_webhooks.json"
EVENTS: Sequence[str] = (
    *("applicationSubmit", "applicationUpdate", "candidateHire", "candidateStageChange"),
    *("candidateDelete", "candidateMerge", "offerCreate", "offerUpdate", "offerDelete"),
    *("jobPostingUpdate", "jobPostingPublish", "jobPostingUnpublish"),
)
"""What the reader of webhooks understands (`ashby_events`) and the API registers; of jobs it registers none."""
_CREATES = 5


class HookIds:
    """The ids of the webhooks that were registered from here. Safe for threads. `path` None: for this process only."""

    def __init__(self, path: Path | None, account: str) -> None:
        self._path = path
        self._account = account
        self._lock = threading.Lock()
        self._ids: list[str] = []

    def all(self) -> list[str]:
        """In the order in which they were registered."""
        with self._lock:
            if self._path is None:
                return list(self._ids)
            found = self._file().get(self._account)
            return [str(one) for one in cast("list[Any]", found)] if isinstance(found, list) else []

    def add(self, hook_id: str) -> None:
        """One more.

        Raises:
            OSError: It cannot be kept.
        """
        self._keep([*self.all(), hook_id])

    def drop(self, gone: Iterable[str]) -> None:
        """These are there no more."""
        without = set(gone)
        if without:
            with suppress(OSError):  # they are found to be gone again
                self._keep([one for one in self.all() if one not in without])

    def _keep(self, ids: Sequence[str]) -> None:
        with self._lock:
            if self._path is None:
                self._ids = list(ids)
                return
            fresh = self._path.with_suffix(f".{os.getpid()}.new")
            fresh.write_text(json.dumps({**self._file(), self._account: list(ids)}), encoding="utf-8")
            fresh.replace(self._path)

    def _file(self) -> Mapping[str, Any]:
        assert self._path is not None
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return cast("dict[str, Any]", content) if isinstance(content, dict) else {}


class SetUp:
    """Sets one account up."""

    def __init__(
        self, api: AshbyApi, options: AshbyOptions, reference: Reference, ids: HookIds, tags: Sequence[str]
    ) -> None:
        self._api = api
        self._options = options
        self._reference = reference
        self._ids = ids
        self._tags = tags

    # ------------------------------------------------------------ webhooks

    def hooks(self) -> list[Hook]:
        """Those that were registered from here and are still there.

        One that is refused is remembered all the same: a refusal may be of another kind, and no list would tell of it.
        """
        found: list[Hook] = []
        for hook_id in self._ids.all():
            with suppress(Invalid, NotFound):
                found.append(_hook(cast("Row", self._api.read("webhook.info", {"webhookId": hook_id}))))
        return found

    def register(self, event: str, url: str, key: str) -> Registered:
        """Register one that is signed with this key.

        Raises:
            AmbiguousOutcome: Nobody knows whether it was registered. A second one does no harm.
        """
        body = {"webhookType": event, "requestUrl": url, "secretToken": key}
        row = self._api.write("webhook.create", body)
        if not isinstance(row, dict) or not isinstance(cast("Row", row).get("id"), str):
            raise AmbiguousOutcome(SYSTEM, "webhook.create", detail="the answer shows no id")
        made = _hook(cast("Row", row))
        self._ids.add(made.id)
        return Registered(made)

    def remove(self, hook: Hook) -> None:
        """End one; one that is gone already is none."""
        with suppress(Invalid, NotFound):
            self._api.write("webhook.delete", {"webhookId": hook.id}, repeatable=True)
        self._ids.drop([hook.id])

    # ------------------------------------------------------------ fields

    def missing_fields(self) -> list[MissingField]:
        """Those that the contract writes and the account has not."""
        existing = self._reference.fields(fresh=True)
        missing: list[MissingField] = []
        for tag in self._tags:
            title = self._options.custom_fields.get(tag)
            found = existing.get(title_key(title)) if title else None
            if title is not None and (found is None or found.is_archived):
                missing.append(MissingField(tag, title, "is archived" if found else "does not exist"))
        return missing

    def create_field(self, missing: MissingField) -> None:
        """Make one, of type String: the API can clear no other. What was made without an answer is looked for.

        Raises:
            AmbiguousOutcome: Every try ended without an answer, and it is not there.
        """
        body = {"objectType": "Application", "fieldType": "String", "title": missing.title}
        for attempt in range(1, _CREATES + 1):
            if missing.tag not in {one.tag for one in self.missing_fields()}:
                return
            try:
                self._api.write("customField.create", body)
                return
            except AmbiguousOutcome:
                if attempt == _CREATES:
                    raise
                self._api.client.pause(attempt)


def _hook(row: Row) -> Hook:
    return Hook(str(row.get("webhookType")), str(row.get("requestUrl")), str(row["id"]), row.get("enabled") is True)
