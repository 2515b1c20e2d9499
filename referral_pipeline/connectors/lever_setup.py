"""Webhooks of a Lever account, by its API. Fields need no definition there: they are tags.

Belongs here: listing, registering and ending them. Does not belong here: which are missing (`setup`), signatures
(`lever_signature`).

Lever makes up a key for each webhook and tells it in the answer to its creation only. A webhook whose answer was lost
signs with a key that nobody has: it is ended, and made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from referral_pipeline.connectors.failures import AmbiguousOutcome, HttpFailure, NotFound
from referral_pipeline.connectors.lever_api import LeverApi, created
from referral_pipeline.connectors.lever_models import SYSTEM
from referral_pipeline.connectors.records import Row
from referral_pipeline.connectors.setup import Hook, Registered

EVENTS: Sequence[str] = (
    "applicationCreated",
    "candidateHired",
    "candidateStageChange",
    "candidateArchiveChange",
    "candidateDeleted",
    "contactCreated",
    "contactUpdated",
)
"""What the reader of webhooks understands (`lever_events`)."""
_ORIGINS = ["agency", "applied", "internal", "referred", "sourced", "university"]
_CREATES = 4


def hooks(api: LeverApi) -> list[Hook]:
    """The webhooks of the account."""
    rows = api.list_all("webhooks")
    return [Hook(str(row.get("event")), str(row.get("url")), str(row["id"])) for row in rows]


def register(api: LeverApi, event: str, url: str) -> Registered:
    """Register one, with the key that Lever made up for it.

    Raises:
        AmbiguousOutcome: Every try ended without an answer.
    """
    before = {hook.id for hook in hooks(api)}
    body = {"url": url, "event": event, "configuration": {"conditions": {"origins": _ORIGINS}}}
    lost: AmbiguousOutcome | None = None
    for attempt in range(1, _CREATES + 1):
        try:
            row = created("webhooks.create", api.client.call("webhooks.create", "POST", "webhooks", json=body).data)
            return Registered(Hook(event, url, str(row["id"])), _key_of(row))
        except AmbiguousOutcome as failure:
            lost = failure
        api.client.pause(attempt)
        try:
            for hook in hooks(api):
                if hook.id not in before and (hook.event, hook.url) == (event, url):
                    remove(api, hook)
        except HttpFailure as failure:
            detail = "a webhook may be left whose key nobody has; once Lever answers, run `webhooks register --again`"
            raise AmbiguousOutcome(SYSTEM, "webhooks.create", detail=detail) from failure
    assert lost is not None
    raise lost


def remove(api: LeverApi, hook: Hook) -> None:
    """End one; one that is gone already is none."""
    try:
        api.client.call("webhooks.delete", "DELETE", f"webhooks/{hook.id}")
    except NotFound:
        return


def _key_of(row: Row) -> str:
    configuration: Any = row.get("configuration")
    token = cast("Row", configuration).get("signatureToken") if isinstance(configuration, dict) else None
    if not isinstance(token, str) or not token:
        raise AmbiguousOutcome(SYSTEM, "webhooks.create", detail="the answer tells no signatureToken")
    return token
