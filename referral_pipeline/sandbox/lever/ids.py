"""Ids as Lever writes them: UUIDs, made from the numbers of the store and readable back.

Belongs here: both directions, and the translation of rows, truth and acts. Does not belong here: what a record is.

The last twelve digits hold the number under a mask of its entity; the others are a digest of both, so that a UUID that
was not made here names nothing.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from referral_pipeline.sandbox.greenhouse.schema import Row

Json = Mapping[str, Any]

APPLIED = "applied"
"""The application inside an opportunity: another record than the opportunity, which is the store's application."""

_ENTITIES = ("applications", "candidates", "jobs", "users", "offers", "rejection_reasons", APPLIED)
_REFERENCES: Mapping[str, str] = {
    "application_id": "applications",
    "candidate_id": "candidates",
    "job_id": "jobs",
    "rejection_reason_id": "rejection_reasons",
}
_TOLD = frozenset({"applications", "candidates", "jobs", "offers", "users", "rejection_reasons"})
"""Entities whose own ids a client gets to see."""
_NAMESPACE = uuid.UUID("7a4a33b3-7f0b-4d54-9a4c-5f6a3e9c2b10")


@lru_cache(100_000)
def encode(entity: str, number: int) -> str:
    """The UUID of a row."""
    head = hashlib.sha256(f"lever {entity} {number}".encode()).digest()[:10]
    raw = bytearray(head + (number ^ _mask(entity)).to_bytes(6, "big"))
    raw[6] = 0x40 | raw[6] & 0x0F
    raw[8] = 0x80 | raw[8] & 0x3F
    return str(uuid.UUID(bytes=bytes(raw)))


@lru_cache(100_000)
def decode(entity: str, text: str) -> int | None:
    """The number behind a UUID; None when it names no row of this entity."""
    try:
        raw = uuid.UUID(text).bytes
    except ValueError:
        return None
    number = int.from_bytes(raw[10:], "big") ^ _mask(entity)
    return number if encode(entity, number) == text else None


def stage_id(name: str) -> str:
    """The id of a stage, which all postings share by its name."""
    return str(uuid.uuid5(_NAMESPACE, name))


@lru_cache(20)
def _mask(entity: str) -> int:
    return int.from_bytes(hashlib.sha256(f"lever mask {entity}".encode()).digest()[:6], "big")


def told_row(entity: str, row: Row) -> Row:
    """A row of the store with the ids that a client sees; those that it never sees stay numbers."""
    told = {
        column: encode(_REFERENCES[column], value) if column in _REFERENCES and isinstance(value, int) else value
        for column, value in row.items()
    }
    if entity in _TOLD:
        told["id"] = encode(entity, row["id"])
    return told


def understood(value: Any) -> Any:
    """The argument of an act: a UUID becomes the number that it stands for, also inside lists and objects."""
    if isinstance(value, str):
        found = (decode(entity, value) for entity in _ENTITIES)
        return next((number for number in found if number is not None), value)
    if isinstance(value, list):
        return [understood(one) for one in value]
    if isinstance(value, dict):
        return {key: understood(one) for key, one in value.items()}
    return value


def told_id(entity: str, number: str | None) -> str | None:
    """An id of the programme, which is a number in a text."""
    return encode(entity, int(number)) if number else None


def told_advocacy_row(row: Row) -> Row:
    """A row of the advocacy platform: its jobs are those of the ATS."""
    return {**row, "job_id": told_id("jobs", row["job_id"])} if row.get("job_id") else row


def one_name(spelling: list[str]) -> list[str]:
    """A name after Lever had it: one text, of which the first word passes for the first name."""
    first, _, last = " ".join(part for part in spelling if part).strip().partition(" ")
    return [first, last.strip()]


def told_stories(truth: Json) -> Json:
    """The truth with names as the store holds them here, and ids as the store knows them."""
    return {
        **truth,
        "stories": [{**s, "spellings": _spellings(s["spellings"])} for s in truth["stories"]],
    }


def _spellings(spellings: list[list[str]]) -> list[list[str]]:
    return sorted(map(list, {tuple(one_name(s)) for s in spellings} | {tuple(s) for s in spellings}))


def told_truth(truth: Json) -> Json:
    """The programme's truth with Lever's ids and names."""

    def ids_in(row: Json) -> dict[str, Any]:
        told = dict(row)
        for column, entity in (
            ("ats_candidate_id", "candidates"),
            ("ats_application_id", "applications"),
            ("job_id", "jobs"),
        ):
            if column in told:
                told[column] = told_id(entity, told[column])
        if "spellings" in told:
            told["spellings"] = _spellings(told["spellings"])
        return told

    def keyed(entity: str, rows: Json) -> dict[str, Any]:
        return {encode(entity, int(number)): row for number, row in rows.items()}

    existing, untouched = truth["existing"], truth["untouched"]
    return {
        **truth,
        "persons": {key: ids_in(person) for key, person in truth["persons"].items()},
        "referrals": {key: ids_in(referral) for key, referral in truth["referrals"].items()},
        "applications": [ids_in(row) for row in truth["applications"]],
        "stories": [ids_in(row) for row in truth["stories"]],
        "untouched": {entity: keyed(entity, untouched[entity]) for entity in ("candidates", "applications")},
        "existing": {
            "candidates": keyed("candidates", existing["candidates"]),
            "applications": [encode("applications", int(number)) for number in existing["applications"]],
        },
        "jobs": keyed("jobs", truth["jobs"]),
    }
