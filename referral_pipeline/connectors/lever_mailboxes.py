"""Which addresses this process has just made contacts for: lists need not show these yet.

Belongs here: one create at a time for one mailbox, and the memory of it. Does not belong here: what follows from it
(`lever_writer`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

_ONE_MAILBOX = frozenset({"gmail.com", "googlemail.com"})
"""Where dots and what follows a plus are known to mean nothing."""


def mailbox_of(address: str) -> str:
    """An address for comparison: case aside, and spellings of one mailbox where that is known."""
    local, _, domain = address.strip().casefold().rpartition("@")
    if domain in _ONE_MAILBOX:
        local, domain = local.partition("+")[0].replace(".", ""), "gmail.com"
    return f"{local}@{domain}"


class Mailboxes:
    """Safe for threads. What was made longer than `keep_seconds` ago is visible to whoever looks."""

    def __init__(self, keep_seconds: float, *, now: Callable[[], float] = time.monotonic) -> None:
        self._keep = keep_seconds
        self._now = now
        self._lock = threading.Lock()
        self._made: dict[str, float] = {}
        self._held: dict[str, threading.Lock] = {}

    @contextmanager
    def create(self, address: str) -> Generator[bool]:
        """Be the only one who creates under this address; whether somebody here did so just before."""
        box = mailbox_of(address)
        with self._lock:
            own = self._held.setdefault(box, threading.Lock())
        with own:
            with self._lock:
                since = self._now() - self._keep
                self._made = {one: at for one, at in self._made.items() if at >= since}
                was_made = box in self._made
            try:
                yield was_made
            finally:
                # Also after a failure: nobody knows whether it was done.
                with self._lock:
                    self._made[box] = self._now()
