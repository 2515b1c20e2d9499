"""The shape of answers, learned from the calls that are made anyway, and the buffer that carries it to the ledger.

Belongs here: paths and types of JSON, words of business, notices of withdrawal, sampling. Does not belong here: what a
connector reads (`expected`), what a change means (monitoring.drift), where facts are kept (a callable is handed in).

Rules
1. No value is kept, but for those of fields that the connector declares to be words (a status, a stage), and even of
   these nothing that looks like an address or a number, nothing long, and not more than some hundred different ones.
2. The name of a field is kept, and a key that is data is not: the keys of objects that the connector declares to be
   maps, those of objects with many keys that each few have, and every key that does not look like the name of a field
   are `*`.
3. Looking costs little: of each operation the first answers of a process and then one in some, and of a long list some
   entries. Words and notices are looked for in every answer, in all of it: a new one may stand in a single row.
4. Nothing here ever fails a call.
"""

from __future__ import annotations

import atexit
import logging
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from referral_pipeline.connectors.expected import (
    ABSENT,
    FLAG,
    LIST,
    NULL,
    NUMBER,
    OBJECT,
    TEXT,
    Field,
    Shapes,
)
from referral_pipeline.connectors.wire import notices

_LOG = logging.getLogger(__name__)

TYPE, WORD = "type", "word"
"""Kinds of facts, beside `deprecation` and `sunset` (`wire.notices`)."""
STRANGER = "other_object"
"""An object that has none of the fields that the connector reads of it, such as the notice of an error among rows."""

_FIRST, _THEN_ONE_IN = 4, 16
_ENTRIES = 16
_DEEPEST = 12
_MOST_FIELDS = 200
_MANY_KEYS, _RARE = 12, 0.3
_MOST_WORDS = 300
_LONGEST_WORD = 80
_MOST_WAITING = 20_000
_FIELD = re.compile(r"[a-z_][A-Za-z_-]*(\d{1,3}[A-Za-z_-]*){0,2}", re.ASCII)
_LONGEST_FIELD = 60
_NUMBERLIKE = re.compile(r"\d{5}")
_TYPES: Mapping[type, str] = {
    str: TEXT,
    int: NUMBER,
    float: NUMBER,
    bool: FLAG,
    dict: OBJECT,
    list: LIST,
    type(None): NULL,
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that answers of an operation showed, `seen` so many times.

    `value` is of kind `type` a type, of `word` the word, of `deprecation` and `sunset` the day ("" without one).
    """

    system: str
    operation: str
    path: str
    kind: str
    value: str
    seen: int


class _Node:
    """One path of one operation: how often each type was seen there, and what stands below it."""

    __slots__ = ("below", "counts", "entries", "expected", "is_map", "read", "strangers")

    def __init__(self, expected: Field | None) -> None:
        self.expected = expected
        self.is_map = expected is not None and expected.is_map
        self.counts: dict[type, int] = {}
        self.strangers = 0
        self.below: dict[str, _Node] = {}
        self.entries: _Node | None = None
        self.read: frozenset[str] = frozenset()


class _Operation:
    """What is known of one operation in this process."""

    def __init__(self, shapes: Shapes, operation: str) -> None:
        fields = shapes.operations.get(operation, {})
        self.maps = shapes.maps
        self.calls = 0
        self.root = _Node(fields.get(""))
        self.notices: dict[tuple[str, str], int] = {}
        self.words: dict[str, dict[str, int]] = {}
        self.word_paths: dict[tuple[str, ...], dict[str, str]] = {}  # what they are in -> name -> path
        for path, field in fields.items():
            if field.is_word:
                *outer, name = _steps(path)
                self.word_paths.setdefault(tuple(outer), {})[name] = path
        for path, field in fields.items():
            self._plant(_steps(path), field)
        _note_what_is_read(self.root)

    def _plant(self, steps: Sequence[str], field: Field) -> None:
        node = self.root
        for step in steps:
            if step == "[]":
                node.entries = node.entries or _Node(None)
                node = node.entries
            else:
                node = node.below.setdefault(step, _Node(None))
        node.expected, node.is_map = field, field.is_map

    def look(self, value: Any) -> None:
        """Take the shape of one answer."""
        self._walk(self.root, value, 0)

    def _walk(self, node: _Node, value: Any, depth: int) -> None:
        kind: type = type(value)
        if kind is dict:
            row: dict[str, Any] = value
            if node.read and not any(name in row for name in node.read):
                node.strangers += 1
                return
            node.counts[kind] = node.counts.get(kind, 0) + 1
            if depth < _DEEPEST:
                below, is_map = node.below, node.is_map
                for key, inner in row.items():
                    child = (None if is_map else below.get(key)) or self._below(node, key)
                    inner_kind: type = type(inner)
                    if inner_kind is dict or inner_kind is list:
                        self._walk(child, inner, depth + 1)
                    else:  # most of an answer; a call for each would cost as much again
                        child.counts[inner_kind] = child.counts.get(inner_kind, 0) + 1
            return
        node.counts[kind] = node.counts.get(kind, 0) + 1
        if kind is list and depth < _DEEPEST:
            rows: list[Any] = value
            if node.entries is None:
                node.entries = _Node(None)
            for inner in rows if len(rows) <= _ENTRIES else _some(rows):
                self._walk(node.entries, inner, depth + 1)

    def _below(self, node: _Node, key: str) -> _Node:
        """Where a key that was not met before is counted."""
        is_field = len(key) <= _LONGEST_FIELD and _FIELD.fullmatch(key) is not None
        name = key if is_field and not node.is_map and len(node.below) < _MOST_FIELDS else "*"
        child = node.below.get(name)
        if child is None:
            child = node.below[name] = _Node(None)
            child.is_map = name in self.maps
        return child

    def look_for_words(self, value: Any) -> None:
        """Take the words of one answer, from all of its rows."""
        for outer, paths in self.word_paths.items():
            for name, word, seen in _texts(value, outer, tuple(paths)):
                known = self.words.setdefault(paths[name], {})
                if word in known:
                    known[word] += seen
                elif len(known) < _MOST_WORDS and _is_word(word):
                    known[word] = seen

    def take(self, system: str, name: str) -> list[Fact]:
        """What was seen since the last time."""
        found = [Fact(system, name, "", kind, day, seen) for (kind, day), seen in self.notices.items()]
        self.notices = {}
        for path, words in self.words.items():
            found += [Fact(system, name, path, WORD, word, seen) for word, seen in words.items() if seen]
            self.words[path] = dict.fromkeys(words, 0)
        _gather(
            self.root, "", None, lambda path, value, seen: found.append(Fact(system, name, path, TYPE, value, seen))
        )
        return found


class ShapeRecorder:
    """Learns the shape of answers and hands it on in batches. Safe for threads.

    Writes some seconds after something was seen, and on `flush()`, `close()` and at exit, in a thread of its own. When
    writing fails it is logged and tried again.

    Args:
        write: takes what was seen.
        expected: what connectors read, by system.
        flush_seconds: how long after the first sight.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Fact]], None],
        expected: Callable[[str], Shapes],
        *,
        flush_seconds: float = 60.0,
    ) -> None:
        self._write = write
        self._expected = expected
        self._flush_seconds = flush_seconds
        self._operations: dict[tuple[str, str], _Operation] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: list[Fact] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        atexit.register(self.close)

    def expect(self, system: str) -> None:
        """Load what the connector of a system reads, so that its first call need not. Never raises."""
        try:
            for operation in self._expected(system).operations:
                with self._lock:
                    self._known(system, operation)
        except Exception:  # noqa: BLE001 - as below
            _LOG.warning("what the connector of %s reads could not be loaded", system, exc_info=True)

    def answered(self, system: str, operation: str, data: Any) -> None:
        """Look at one decoded answer. Never raises."""
        try:
            with self._lock:
                known = self._known(system, operation)
                number, known.calls = known.calls, known.calls + 1
                if known.word_paths:
                    known.look_for_words(data)
                if number < _FIRST or number % _THEN_ONE_IN == 0:
                    known.look(data)
        except Exception:  # noqa: BLE001 - a measurement must not stop the work
            _LOG.warning("the shape of an answer of %s %s could not be taken", system, operation, exc_info=True)
        self._start()

    def noticed(self, system: str, operation: str, headers: Mapping[str, str]) -> None:
        """Look for a notice of withdrawal in the headers of one answer. Never raises."""
        if "Deprecation" not in headers and "Sunset" not in headers:
            return
        try:
            with self._lock:
                known = self._known(system, operation).notices
                for notice in notices(headers):
                    known[notice] = known.get(notice, 0) + 1
        except Exception:  # noqa: BLE001 - as above
            _LOG.warning("a notice of %s %s could not be taken", system, operation, exc_info=True)
        self._start()

    def flush(self) -> bool:
        """Write what was seen now. False when the store refused; it is kept."""
        with self._writing:
            with self._lock:
                for (system, operation), known in self._operations.items():
                    self._waiting += known.take(system, operation)
                batch, self._waiting = self._waiting, []
            if not batch:
                return True
            try:
                self._write(batch)
            except Exception:  # noqa: BLE001 - whatever the store raises, a measurement must not stop the work
                _LOG.warning("the shapes of answers could not be kept yet", exc_info=True)
                with self._lock:
                    self._waiting = [*batch, *self._waiting][:_MOST_WAITING]
                return False
        return True

    def close(self) -> None:
        """Write what was seen, and stop. Idempotent."""
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=30)
        self.flush()
        atexit.unregister(self.close)

    def _known(self, system: str, operation: str) -> _Operation:
        known = self._operations.get((system, operation))
        if known is None:
            known = self._operations[system, operation] = _Operation(self._expected(system), operation)
        return known

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            # Not alive: after a fork, where the thread of the parent does not exist.
            with self._lock:
                if (self._thread is None or not self._thread.is_alive()) and not self._stop.is_set():
                    self._thread = threading.Thread(target=self._run, name="shape-recorder", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._flush_seconds):
            self.flush()


def _note_what_is_read(node: _Node) -> None:
    """By which fields an object is known to be what the connector reads, before anything is met."""
    node.read = frozenset() if node.is_map else frozenset(node.below)
    for inner in [*node.below.values(), *([node.entries] if node.entries else [])]:
        _note_what_is_read(inner)


def _gather(node: _Node, path: str, missing: int | None, tell: Callable[[str, str, int], None]) -> int:
    """Tell the counts of a node and of all below it, and begin anew; how often anything stood there.

    `missing`: how often the object that has it was met; None for what an object need not have.
    """
    by_type: dict[str, int] = {}
    for kind, seen in node.counts.items():
        name = _TYPES.get(kind, TEXT)
        by_type[name] = by_type.get(name, 0) + seen
    if node.strangers:
        by_type[STRANGER] = node.strangers
    met = sum(by_type.values())
    if missing is not None and missing > met:
        by_type[ABSENT] = missing - met
    for name, seen in by_type.items():
        tell(path, name, seen)
    objects = node.counts.get(dict, 0)
    if _is_keyed_by_data(node, objects):
        node.is_map, node.below = True, {}
    node.counts, node.strangers = {}, 0
    for name, inner in node.below.items():
        _gather(inner, f"{path}.{name}" if path else name, objects if name != "*" else None, tell)
    if node.entries is not None:
        _gather(node.entries, f"{path}[]", None, tell)
    return met


def _is_keyed_by_data(node: _Node, objects: int) -> bool:
    """Whether the keys of an undeclared object are so many and each so rare that they are no names of fields."""
    if node.read or node.is_map or len(node.below) < _MANY_KEYS:
        return False
    met = sum(sum(inner.counts.values()) for inner in node.below.values())
    return met < _RARE * objects * len(node.below)


def _steps(path: str) -> tuple[str, ...]:
    """The steps of a path: of data[].stage they are data, [] and stage."""
    return tuple(step for step in path.replace("[]", ".[]").split(".") if step)


def _some(rows: list[Any]) -> list[Any]:
    """The first entries of a long list, and some from all over the rest, the last one among them."""
    half = _ENTRIES // 2
    rest = len(rows) - half
    return [*rows[:half], *(rows[half - 1 + number * rest // half] for number in range(1, half + 1))]


def _texts(value: Any, outer: Sequence[str], names: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    """The texts of these fields of the objects at a path, wherever it leads through lists: (name, text, how often)."""
    here: Any = [value]  # of any type, so that no step is slowed by telling the type checker one
    for step in outer:
        if step == "[]":
            lists = [one for one in here if type(one) is list]
            here = lists[0] if len(lists) == 1 else [inner for one in lists for inner in one]
        else:
            here = [one.get(step) for one in here if type(one) is dict]
    try:  # the usual case in one pass: every row has all of them, and none is a list or an object
        found: Any = Counter(map(itemgetter(*names), here))
        is_many = len(names) > 1
    except (KeyError, TypeError, IndexError):
        for name in names:
            texts: Any = [one.get(name) for one in here if type(one) is dict]
            for text, seen in Counter([text for text in texts if type(text) is str]).items():
                yield name, text, seen
        return
    for values, seen in found.items():
        for name, text in zip(names, values if is_many else (values,), strict=True):
            if type(text) is str:
                yield name, text, seen


def _is_word(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_WORD and "@" not in text and not _NUMBERLIKE.search(text) and text.isprintable()
