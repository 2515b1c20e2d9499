"""From changed rows to Lever's webhooks.

Belongs here: which change is which event, its data, and its signature, which lies in the body. Does not belong here:
sending (`sandbox.webhooks`).

A hire is told twice, as a hire and as a change of the archive. Merges, postings, offers and tags are not told at all.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import zlib
from collections.abc import Iterator, Sequence

from referral_pipeline.sandbox.greenhouse.journal import Changes
from referral_pipeline.sandbox.greenhouse.schema import Row
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.lever.ids import APPLIED, encode
from referral_pipeline.sandbox.lever.memory import Memory
from referral_pipeline.sandbox.lever.views import HIRED_REASON, Views
from referral_pipeline.sandbox.lever.writes import EVENTS
from referral_pipeline.sandbox.webhooks.emitter import Emitter, Event

Told = tuple[str, Row]
"""(event, data)."""


class LeverSigner:
    """Hex HMAC-SHA256 over token and triggeredAt, beside `data`, which it does not cover.

    Every webhook has a key of its own: where one is registered for an event (`memory`), the newest one's stands for the
    `usual` key, which was set on the screen.
    """

    def __init__(self, memory: Memory | None = None, *, usual: str = "") -> None:
        self._memory = memory
        self._usual = usual

    def delivery_id(self) -> str:
        """The token of a delivery: 48 hexadecimal digits."""
        return secrets.token_hex(24)

    def seal(self, delivery_id: str, body: bytes, keys: Sequence[str], at: float) -> bytes:
        """The body with its token, time and signature. Of two keys the token picks one."""
        triggered_at = round(at * 1000)
        told = json.loads(body)
        key = keys[zlib.crc32(delivery_id.encode()) % len(keys)]
        if key == self._usual and self._memory is not None:
            own = [hook for hook in self._memory.webhooks if hook["event"] == told["event"]]
            key = own[-1]["configuration"]["signatureToken"] if own else key
        mark = hmac.digest(key.encode(), f"{delivery_id}{triggered_at}".encode(), hashlib.sha256).hex()
        content = {**told, "triggeredAt": triggered_at, "signature": mark, "token": delivery_id}
        return json.dumps(content, separators=(",", ":")).encode()

    def headers(self, delivery_id: str, body: bytes, secrets: Sequence[str], at: float) -> bytes:
        """None: all of it is in the body."""
        del delivery_id, body, secrets, at
        return b""


def connect(store: GreenhouseStore, memory: Memory, emitter: Emitter) -> None:
    """Let the memory and the emitter know what changes in the store."""
    events = _Events(store, Views(store, memory))

    def told(changes: Changes) -> None:
        memory.told(changes)
        if emitter.is_on:
            for name, data in events.of(changes):
                emitter.emit(_event(name, data))

    def describe(name: str, record_id: str) -> Event:
        if name not in EVENTS:
            raise LookupError(f"there is no event {name[:40]}")
        with store.lock:
            return _event(name, events.now(name, record_id))

    store.watch(told)
    emitter.describe = describe
    emitter.greeting = lambda: _event("candidateHired", {})


def _event(name: str, data: Row) -> Event:
    subject = None
    if "opportunityId" in data:
        subject = f"application:{data['opportunityId']}"
    elif "contactId" in data:
        subject = f"candidate:{data['contactId']}"
    return Event(name, subject, json.dumps({"event": name, "data": data}, separators=(",", ":")).encode())


class _Events:
    """What is told of changes."""

    def __init__(self, store: GreenhouseStore, views: Views) -> None:
        self._store = store
        self._views = views

    def now(self, name: str, record_id: str) -> Row:
        """The data of an event about a record as it is now."""
        if name.startswith("contact"):
            return {"contactId": record_id}
        row = next((r for r in self._store.rows("applications") if encode("applications", r["id"]) == record_id), None)
        if row is None:
            if name == "candidateDeleted":
                return {"opportunityId": record_id, "candidateId": record_id}
            raise LookupError("no such opportunity")
        stage = self._views.stage_of(row)
        return {**_base(row), **({"fromStageId": stage, "toStageId": stage} if "Stage" in name else {})}

    def of(self, changes: Changes) -> Iterator[Told]:
        """In the order of the changes."""
        for (entity, row_id), old in changes.before.items():
            new = self._store.get(entity, row_id)
            if entity == "applications":
                yield from self._application(old, new)
            elif entity == "candidates" and new is not None:
                if old is None:
                    yield "contactCreated", {"contactId": encode("candidates", row_id)}
                elif _shown(old) != _shown(new):
                    yield "contactUpdated", {"contactId": encode("candidates", row_id)}

    def _application(self, old: Row | None, new: Row | None) -> Iterator[Told]:
        if new is None:
            if old is not None:
                yield "candidateDeleted", _base(old)
            return
        base = _base(new)
        if old is None:
            if not new["prospect"]:
                yield "applicationCreated", {**base, "applicationId": encode(APPLIED, new["id"])}
            return
        if old["job_interview_stage_id"] != new["job_interview_stage_id"]:
            stages = {"fromStageId": self._views.stage_of(old), "toStageId": self._views.stage_of(new)}
            yield "candidateStageChange", {**base, **stages}
        before, after = _reason(old), _reason(new)
        if before == after:
            return
        if new["status"] == "hired":
            yield "candidateHired", base
        archived = {"toArchived": {"reason": after} if after else None}
        yield "candidateArchiveChange", {**base, **archived, "fromArchived": {"reason": before} if before else None}


def _base(row: Row) -> Row:
    opportunity = encode("applications", row["id"])
    return {
        "opportunityId": opportunity,
        "candidateId": opportunity,
        "contactId": encode("candidates", row["candidate_id"]),
    }


def _reason(row: Row) -> str | None:
    if row["status"] == "hired":
        return encode("rejection_reasons", HIRED_REASON)
    return encode("rejection_reasons", row["rejection_reason_id"]) if row["status"] == "rejected" else None


def _shown(row: Row) -> tuple[object, ...]:
    return row["first_name"], row["last_name"], row["email_addresses"], row["phone_numbers"]
