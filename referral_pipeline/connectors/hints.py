"""What one webhook says, in the same few words for every system.

Belongs here: the record, and the careful readers of ids, words and times that every vendor's reader shares. Does not
belong here: a vendor's field names (`greenhouse_events`, `advocacy_events`), the choice of the reader (`events`),
deciding anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from referral_pipeline.connectors.records import Row
from referral_pipeline.connectors.values import parse_instant

UNNAMED = "unnamed"
"""The type of an event whose own type is missing or no word."""

_NOTHING: Mapping[str, Any] = {}
_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,100}", re.ASCII)
_LONGEST_ID = 200


@dataclass(slots=True)  # not frozen: one is made for every webhook, and freezing costs more than reading
class Hint:
    """What an event is about. A hint, never the truth: whoever acts on it reads the record anew.

    `subject` ("referral:R1", "application:31", "candidate:7", "job:4", "share:S1", "click:K1") is what events are kept
    in order by. `known` is False for a type that this project does not act on, and for a body that does not name what
    its type is about. `row` is the whole row of an advocacy event, and `entity` the list it belongs to.
    """

    event_type: str
    subject: str | None = None
    occurred_at: datetime | None = None
    bulk: bool = False
    known: bool = True
    row: Row | None = field(default=None, repr=False)
    entity: str | None = None
    referral_id: str | None = None
    application_ids: tuple[str, ...] = ()
    candidate_ids: tuple[str, ...] = ()
    job_ids: tuple[str, ...] = ()
    merged: tuple[tuple[str, str], ...] = ()  # (old candidate id, the id under which it lives on)
    gone_candidates: tuple[str, ...] = ()  # deleted or anonymized, as the event tells
    gone_applications: tuple[str, ...] = ()
    end: str | None = None  # of a CRM's contact: deleted, erased, or restored, which takes the first back


def unknown(event_type: object) -> Hint:
    """The hint of an event that nobody acts on."""
    return Hint(event_type=word_or_none(event_type) or UNNAMED, known=False)


def part(value: object, key: str) -> Mapping[str, Any]:
    """The object under `key`; an empty one where there is none, so that a missing branch reads like a missing leaf."""
    found = cast("Mapping[str, Any]", value).get(key) if isinstance(value, dict) else None
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else _NOTHING


def objects(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list; none when it is no list."""
    return (
        [cast("Mapping[str, Any]", one) for one in cast("list[Any]", value) if isinstance(one, dict)]
        if isinstance(value, list)
        else []
    )


def id_or_none(value: object) -> str | None:
    """An id as text; None for anything that cannot be one (a database could refuse it, a log be broken by it)."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    if isinstance(value, int):
        return str(value) if 0 <= value < 10**20 else None
    text = value.strip()
    return text if 0 < len(text) <= _LONGEST_ID and text.isprintable() else None


def ids(*values: object) -> tuple[str, ...]:
    """Those of these values that are ids, each once, in order."""
    return tuple(dict.fromkeys(found for value in values if (found := id_or_none(value)) is not None))


def ids_of(values: object) -> tuple[str, ...]:
    """The ids of a list; none when it is no list."""
    return ids(*cast("Iterable[object]", values)) if isinstance(values, list) else ()


def word_or_none(value: object) -> str | None:
    """A short technical word, such as the type of an event; None for anything else."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


def instant_or_none(*values: object) -> datetime | None:
    """The first of these values that is a time."""
    for value in values:
        if value is not None:
            try:
                return parse_instant(value)
            except (ValueError, OverflowError):
                continue
    return None
