"""Canonical forms of many values at once: each distinct value once, spread over processes where that pays.

Belongs here: the spreading. Does not belong here: the rules (canonical), reading and keeping records.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Final, TypeVar

from referral_pipeline.identity.canonical import canonical_country, canonical_email, canonical_phone

Phone = tuple[str, str | None]
"""A number as typed, and the country by which its national form is read."""

WORTH_PROCESSES: Final = 40_000
"""Distinct values from which on other processes pay: starting one costs a second, a value some 50 microseconds."""

_CHUNK = 10_000
_Value = TypeVar("_Value")
Progress = Callable[[int, int], None]


def canonical_emails(
    values: Sequence[str], *, processes: int | None = None, progress: Progress | None = None
) -> dict[str, str]:
    """The mailbox of each address that has one; addresses are compared by it. Order and repeats make no difference."""
    return _each(_emails, sorted(set(values)), processes, progress)


def canonical_phones(
    values: Sequence[Phone], *, processes: int | None = None, progress: Progress | None = None
) -> dict[Phone, str]:
    """The E.164 form of each number that has one, read with its country."""
    distinct = sorted(set(values), key=lambda value: (value[0], value[1] or ""))
    return _each(_phones, distinct, processes, progress)


def _emails(values: Sequence[str]) -> list[str | None]:
    return [found.key if (found := canonical_email(value)) is not None else None for value in values]


def _phones(values: Sequence[Phone]) -> list[str | None]:
    return [canonical_phone(number, canonical_country(country)) for number, country in values]


def _each(
    work: Callable[[Sequence[_Value]], list[str | None]],
    values: Sequence[_Value],
    processes: int | None,
    progress: Progress | None,
) -> dict[_Value, str]:
    chunks = [values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK)]
    found: dict[_Value, str] = {}
    done = 0
    for chunk, forms in zip(chunks, _worked(work, chunks, len(values), processes), strict=True):
        found.update((value, form) for value, form in zip(chunk, forms, strict=True) if form is not None)
        done += len(chunk)
        if progress is not None:
            progress(done, len(values))
    return found


def _worked(
    work: Callable[[Sequence[_Value]], list[str | None]],
    chunks: Sequence[Sequence[_Value]],
    count: int,
    processes: int | None,
) -> Iterator[list[str | None]]:
    workers = min(processes or os.cpu_count() or 1, len(chunks))
    if workers < 2 or count < WORTH_PROCESSES:
        yield from map(work, chunks)
        return
    # Spawned, not forked: this process has threads (DuckDB's, Arrow's), whose locks a fork would copy held.
    done = 0
    try:
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            for forms in pool.map(work, chunks):
                yield forms
                done += 1
    except BrokenProcessPool:
        # A program read from standard input cannot be started again in a child: the work is done here.
        yield from map(work, chunks[done:])
