"""Rehearsing a write: what would be sent is shown, and nothing is.

Belongs here: the guard that holds every write back, reading what it held back, masking personal data in it. Does not
belong here: deciding what is written (sync).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from referral_pipeline.connectors.failures import CircuitOpen, Evidence

_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_LONG_NUMBER = re.compile(r"\+?\(?\d[\d\s().-]{7,}\d")
_SHORTEST_WORD = 3
"""A shorter one (a country, a name of two letters) is masked where it stands alone only."""
_SHORTEST_NUMBER = 6
_LAST_DIGITS = 7
"""By these a number is known: before them stands the country, or a zero instead of it, or nothing."""
_NAMES_OF_PEOPLE = frozenset(
    {"name", "first_name", "last_name", "firstname", "lastname", "email", "phone", "phone_number", "phonenumber"}
)


class HeldBack(CircuitOpen):
    """A write that was not sent, because this is a rehearsal; `evidence` is what would have been."""

    def __init__(self, system: str, operation: str) -> None:
        super().__init__(system, operation, detail="held back: this is a rehearsal")


@dataclass(frozen=True)
class Payload:
    """One call that would be made, with personal data masked."""

    system: str
    operation: str
    method: str
    path: str
    body: Any


def hold_back(system: str, operation: str) -> None:
    """The guard of a rehearsal.

    Raises:
        HeldBack: always.
    """
    raise HeldBack(system, operation)


def rehearse(write: Callable[[], object], personal: Collection[str]) -> Payload | None:
    """The call that a write begins with; None when it finds that there is nothing to write.

    Args:
        write: a method of a connector whose session has `hold_back` for a guard.
        personal: names, addresses and numbers that must not be shown.

    Raises:
        TransientFailure, PermanentFailure: what it reads on the way could not be read, or it refused.
    """
    try:
        write()
    except HeldBack as held:
        evidence = held.evidence or Evidence("", "")
        return Payload(held.system, held.operation, evidence.method, evidence.path, masked(evidence.body, personal))
    return None


def masked(value: Any, personal: Collection[str]) -> Any:
    """A JSON value without personal data: each text that holds some is replaced by its shape."""
    words = {word.casefold() for word in personal if len(word) >= _SHORTEST_WORD}
    numbers = {digits[-_LAST_DIGITS:] for word in personal if len(digits := _digits(word)) >= _SHORTEST_NUMBER}
    short = {word.casefold() for word in personal if word} - words
    return _masked(value, words | short, words, numbers, "")


def _masked(value: Any, whole: Collection[str], words: Collection[str], numbers: Collection[str], key: str) -> Any:
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {name: _masked(item, whole, words, numbers, str(name)) for name, item in items}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_masked(item, whole, words, numbers, key) for item in cast("Sequence[Any]", value)]
    if isinstance(value, str) and value and _is_personal(value, whole, words, numbers, key):
        return shape_of(value)
    return value


def _is_personal(text: str, whole: Collection[str], words: Collection[str], numbers: Collection[str], key: str) -> bool:
    folded = text.casefold()
    if folded in whole or key.casefold() in _NAMES_OF_PEOPLE:
        return True
    digits = _digits(text)
    return (
        any(word in folded for word in words)
        or any(number in digits for number in numbers)
        or _ADDRESS.search(text) is not None
    )


def shape_of(text: str) -> str:
    """What a text looks like: "(e-mail address, 23 characters)"."""
    if _ADDRESS.fullmatch(text):
        kind = "e-mail address"
    elif _LONG_NUMBER.fullmatch(text):
        kind = "number"
    else:
        kind = "text"
    return f"({kind}, {len(text)} characters)"


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())
