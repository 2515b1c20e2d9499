"""Where long work reports how far it is: a bar on a terminal, plain lines in a log.

Belongs here: the sink that the command line sets before it runs a job in its own process. Does not belong here: drawing
(cli), measuring.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

_LOG = logging.getLogger("referral_pipeline.progress")

Sink = Callable[[str, int, int], None]

_sink: ContextVar[Sink | None] = ContextVar("referral_pipeline_progress", default=None)


@dataclass
class PlainLines:
    """Writes a line when another tenth of a piece of work is done; for runs that nobody watches."""

    write: Callable[[str], None] = _LOG.info
    _last: dict[str, int] = field(default_factory=dict[str, int])

    def __call__(self, what: str, done: int, total: int) -> None:
        """Report `done` of `total`."""
        tenth = 10 if total == 0 else done * 10 // total
        if self._last.get(what) != tenth:
            self._last[what] = tenth
            self.write(f"{what}: {done} of {total}")


def current_sink() -> Sink:
    """The sink that is set, else plain lines to the log."""
    return _sink.get() or PlainLines()


@contextmanager
def reporting_to(sink: Sink) -> Generator[None]:
    """Report to this sink within the block."""
    token = _sink.set(sink)
    try:
        yield
    finally:
        _sink.reset(token)
