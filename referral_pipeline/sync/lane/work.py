"""Pieces of work: events that are done together, and the ways in which work ends without being done.

Belongs here: what planning hands to the engine. Does not belong here: which events go together (handlers), what is done
(doing), when and in which thread (engine).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from referral_pipeline.ledger.records import InboxEvent

UNREADABLE = "unreadable"
"""The outcome of a bulk event whose body cannot be opened: no outcome to be done with, a person must look."""


class WaitUntil(Exception):
    """The work cannot be judged yet; nothing failed. `seconds` is how long to wait before looking again."""

    def __init__(self, seconds: float, why: str) -> None:
        super().__init__(why)
        self.seconds = seconds


class Stopped(WaitUntil):
    """The process is ending: what waited for its turn goes back."""

    def __init__(self) -> None:
        super().__init__(0.0, "the process is ending")


@dataclass
class Work:
    """Events that are done together. `keys` is what no other work may touch meanwhile; `do` answers outcomes by id.

    `parts` is the same work in smaller pieces, None when there are none.
    """

    kind: str
    events: list[InboxEvent]
    keys: frozenset[str]
    do: Callable[[], Mapping[int, str]] = field(repr=False)
    parts: Callable[[], list[Work]] | None = field(default=None, repr=False)


@dataclass
class Plan:
    """What a claim turned out to be."""

    works: list[Work] = field(default_factory=list[Work])
    done: list[tuple[InboxEvent, str]] = field(default_factory=list[tuple[InboxEvent, str]])
    unreadable: list[tuple[InboxEvent, str]] = field(default_factory=list[tuple[InboxEvent, str]])
    broken: list[tuple[InboxEvent, Exception]] = field(default_factory=list[tuple[InboxEvent, Exception]])
    """Events over which we stumbled; the others of the claim must not wait for them."""
