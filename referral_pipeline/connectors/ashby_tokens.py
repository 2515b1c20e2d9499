"""The syncTokens of earlier pulls: kept beside the rate budget, each with the end of the window that it came with.

Belongs here: keeping and choosing them. Does not belong here: when a pull was kept (`warehouse.ingest`), pages
(`ashby_api`).

A token may only be used where everything before it was kept. The ledger knows that, as a time: so the newest token is
taken that is no younger than that time. A lost file costs one full list and nothing else.
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

_KEPT = 8
"""Tokens of one list. Only the last two or three can be asked for."""

_Known = dict[str, list[tuple[str, str]]]


class SyncTokens:
    """Tokens by list. Safe for threads. `path` None keeps them for this process only.

    Args:
        path: the file, which other accounts may share.
        account: whose tokens; a hash, never a key.
    """

    def __init__(self, path: Path | None, account: str) -> None:
        self._path = path
        self._account = account
        self._lock = threading.Lock()
        self._known: _Known = {}

    def at(self, name: str, position: datetime) -> str | None:
        """The newest token of a list that came with a window ending at `position` or before."""
        with self._lock:
            limit = _text(position)
            usable = [entry for entry in self._read().get(name, []) if entry[0] <= limit]
            return max(usable)[1] if usable else None

    def keep(self, name: str, until: datetime, token: str) -> None:
        """Keep the token that a list gave at the end of a pull of the window up to `until`."""
        with self._lock:
            known = self._read()
            entries = [entry for entry in known.get(name, []) if entry[0] != _text(until)]
            known[name] = sorted([*entries, (_text(until), token)])[-_KEPT:]
            self._write(known)

    def forget(self, name: str) -> None:
        """Forget the tokens of a list: the vendor took one of them no more."""
        with self._lock:
            known = self._read()
            known.pop(name, None)
            self._write(known)

    def _read(self) -> _Known:
        if self._path is None:
            return self._known
        entries = self._file().get(self._account)
        if not isinstance(entries, dict):
            return {}
        return {
            name: [(str(pair[0]), str(pair[1])) for pair in cast("list[Any]", pairs) if len(pair) == 2]
            for name, pairs in cast("dict[str, Any]", entries).items()
            if isinstance(pairs, list)
        }

    def _file(self) -> dict[str, Any]:
        assert self._path is not None
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return cast("dict[str, Any]", content) if isinstance(content, dict) else {}

    def _write(self, known: _Known) -> None:
        if self._path is None:
            self._known = known
            return
        fresh = self._path.with_suffix(f".{os.getpid()}.new")
        # Without the file the next pull is a full list: no reason to fail this one.
        with suppress(OSError):
            fresh.write_text(json.dumps({**self._file(), self._account: known}), encoding="utf-8")
            fresh.replace(self._path)


def _text(moment: datetime) -> str:
    """A time as a text that sorts as the time does."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
