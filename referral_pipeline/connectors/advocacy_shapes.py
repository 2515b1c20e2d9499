"""What the connector reads of the advocacy platform's answers, told by its own readers.

Belongs here: running the readers of rows over fields that only note what they are asked for. Does not belong here: the
readers (`advocacy_rows`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import TypeVar

from referral_pipeline.connectors import advocacy_rows
from referral_pipeline.connectors.expected import FLAG, LIST, NUMBER, OBJECT, TEXT, Field, Shapes

_E = TypeVar("_E", bound=StrEnum)
_Readers = tuple[Callable[[advocacy_rows.Fields], object], ...]


class _Asked(advocacy_rows.Fields):
    """Notes what a reader asks for, by path, and answers something of the right kind."""

    def __init__(self, found: dict[str, Field], at: str) -> None:
        super().__init__({})
        self._found = found
        self._at = at

    def _note(self, name: str, kind: str, *, required: bool = False, words: type[StrEnum] | None = None) -> None:
        path = f"{self._at}.{name}" if self._at else name
        vocabulary = frozenset(one.value for one in words) if words is not None else None
        known = self._found.get(path)
        must = required or (known is not None and known.required)
        self._found[path] = Field(frozenset({kind}), must, not must, words is not None, vocabulary)

    def text(self, name: str) -> str:
        self._note(name, TEXT, required=True)
        return name

    def maybe_text(self, name: str) -> str | None:
        self._note(name, TEXT)
        return None

    def time(self, name: str) -> datetime:
        self._note(name, TEXT, required=True)
        return datetime.fromtimestamp(0, UTC)

    def maybe_time(self, name: str) -> datetime | None:
        self._note(name, TEXT)
        return None

    def maybe_day(self, name: str) -> date | None:
        self._note(name, TEXT)
        return None

    def flag(self, name: str) -> bool:
        self._note(name, FLAG, required=True)
        return False

    def maybe_count(self, name: str) -> int | None:
        self._note(name, NUMBER)
        return None

    def word(self, name: str, vocabulary: type[_E]) -> _E:
        self._note(name, TEXT, required=True, words=vocabulary)
        return next(iter(vocabulary))

    def maybe_word(self, name: str, vocabulary: type[_E]) -> _E | None:
        self._note(name, TEXT, words=vocabulary)
        return None

    def inner(self, name: str) -> advocacy_rows.Fields | None:
        self._note(name, OBJECT)
        return _Asked(self._found, f"{self._at}.{name}" if self._at else name)


def _read_by(readers: _Readers, at: str) -> dict[str, Field]:
    found = {at: Field(frozenset({OBJECT}), nullable=False)}
    for read in readers:
        read(_Asked(found, at))
    return found


def _shapes() -> Shapes:
    page = {
        "": Field(frozenset({OBJECT}), nullable=False),
        "data": Field(frozenset({LIST}), required=True, nullable=False),
        "next_cursor": Field(frozenset({TEXT})),
    }
    readers: dict[str, _Readers] = {entity: (read,) for entity, read in advocacy_rows.READERS.items()}
    readers["referrals"] = (advocacy_rows.read_referral, advocacy_rows.read_told)
    lists = {f"{entity}.list": {**page, **_read_by(own, "data[]")} for entity, own in readers.items()}
    return Shapes({**lists, "referrals.get": _read_by(readers["referrals"], "")})


SHAPES = _shapes()
