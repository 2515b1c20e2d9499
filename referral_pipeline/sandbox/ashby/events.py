"""From changed rows to Ashby's webhooks.

Belongs here: which change is which action, and its body. Does not belong here: signing and sending
(`sandbox.webhooks`), noticing changes (`sandbox.greenhouse.journal`).

A hire fires three events. Nothing is told of a deleted application, of a changed or an anonymized candidate: the vendor
has no event for them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from referral_pipeline.sandbox.ashby import ids
from referral_pipeline.sandbox.ashby.ids import uuid_of
from referral_pipeline.sandbox.ashby.payloads import Payloads, is_shown
from referral_pipeline.sandbox.ashby.world import World
from referral_pipeline.sandbox.greenhouse.events import actions
from referral_pipeline.sandbox.greenhouse.journal import Changes
from referral_pipeline.sandbox.greenhouse.schema import Row
from referral_pipeline.sandbox.webhooks.emitter import Emitter, Event

_MOVED = ("candidateStageChange", "applicationUpdate")
_APPLICATION: Mapping[str, tuple[str, ...]] = {
    "new_candidate_application": ("applicationSubmit",),
    "application_updated": ("applicationUpdate",),
    "candidate_stage_change": _MOVED,
    "reject_candidate": _MOVED,
    "unreject_candidate": _MOVED,
    "unhire_candidate": _MOVED,
    "hire_candidate": ("candidateHire", *_MOVED),
}
_OFFER = {"offer_created": "offerCreate", "offer_updated": "offerUpdate", "offer_deleted": "offerDelete"}
_JOB = {"job_created": "jobCreate", "job_updated": "jobUpdate"}
_POST = {
    "job_post_created": "jobPostingPublish",
    "job_post_updated": "jobPostingUpdate",
    "job_post_deleted": "jobPostingUnpublish",
}

Body = dict[str, Any]


def connect(world: World, payloads: Payloads, emitter: Emitter) -> None:
    """Let the emitter tell what changes in the store."""
    store = world.store

    def told(changes: Changes) -> None:
        if not emitter.is_on:
            return
        for action, record_id, gone in actions(store, changes):
            for kind, subject, data in bodies(world, payloads, action, record_id, gone):
                _send(emitter, kind, subject, data)

    def describe(kind: str, record_id: str) -> Event:
        found = ids.read(record_id)
        if found is None:
            raise LookupError("id must be one of this Ashby")
        entity, row_id = found
        with store.lock:
            row = store.get(entity, row_id) if entity in ids.ENTITIES else None
            if entity == "applications" and row is not None:
                return _event(kind, f"application:{record_id}", _about(payloads, kind, row), str(uuid.uuid4()))
            if entity == "candidates" and kind == "candidateDelete":
                data: Body = {"candidate": {"id": record_id}}
                return _event(kind, f"candidate:{record_id}", data, str(uuid.uuid4()))
            if entity == "jobs" and row is not None:
                return _event(kind, f"job:{record_id}", {"job": payloads.job(row)}, str(uuid.uuid4()))
        raise LookupError(f"there is no such record for {kind[:40]}")

    store.journal.told = told
    emitter.describe = describe
    emitter.greeting = lambda: _event("ping", None, {"webhookActionType": "ping"}, None)


def bodies(
    world: World, payloads: Payloads, action: str, record_id: int, gone: Row | None
) -> Iterator[tuple[str, str | None, Body]]:
    """(action, subject, data) of each event that a change fires, by the store's word for the change."""
    store = world.store
    if action in _APPLICATION:
        row = store.tables["applications"].rows[record_id]
        if is_shown(row):
            for kind in _APPLICATION[action]:
                yield kind, f"application:{uuid_of('applications', record_id)}", _about(payloads, kind, row)
    elif action == "delete_candidate":
        shown = uuid_of("candidates", record_id)
        yield "candidateDelete", f"candidate:{shown}", {"candidate": {"id": shown}}
    elif action == "merge_candidate":
        old, new = uuid_of("candidates", record_id), uuid_of("candidates", store.merged[record_id])
        data = {"deletedCandidate": {"id": old}, "mergedCandidate": {"id": new}}
        yield "candidateMerge", f"candidate:{old}", data
    elif action in _OFFER:
        row = gone or store.tables["offers"].rows[record_id]
        application = uuid_of("applications", row["application_id"])
        offer = payloads.offer(row["application_id"])
        if action == "offer_deleted" or offer is None:
            offer = {"id": uuid_of(ids.OFFER_PROCESSES, row["application_id"]), "applicationId": application}
        yield _OFFER[action], f"application:{application}", {"offer": offer}
    elif action in _JOB:
        row = store.tables["jobs"].rows[record_id]
        yield _JOB[action], f"job:{uuid_of('jobs', record_id)}", {"job": payloads.job(row)}
    elif action in _POST:
        row = gone or store.tables["job_posts"].rows[record_id]
        if row["job_id"] is not None:
            yield _POST[action], f"job:{uuid_of('jobs', row['job_id'])}", {"jobPosting": payloads.posting(row)}


def _about(payloads: Payloads, kind: str, row: Row) -> Body:
    data: Body = {"application": payloads.application(row)}
    if kind == "candidateHire":
        offer = payloads.offer(row["id"])
        if offer is not None:
            data["offer"] = offer
    return data


def _send(emitter: Emitter, kind: str, subject: str | None, data: Body) -> None:
    action_id = str(uuid.uuid4())
    emitter.emit(_event(kind, subject, data, action_id), action_id)


def _event(kind: str, subject: str | None, data: Body, action_id: str | None) -> Event:
    """The event; its id lies in the body, where the signature covers it."""
    named = {} if action_id is None else {"webhookActionId": action_id}
    body = {**named, "action": kind, "data": data}
    return Event(kind, subject, json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())
