"""Costs of a programme, made up: what the demonstration divides by its hires.

Belongs here: plausible lines of a costs file, each labelled as synthetic. Does not belong here: reading such files
(connectors.costs). The repository's data/samples/costs.csv is this text for `SAMPLE`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

SAMPLE = (date(2025, 10, 1), date(2028, 12, 31))
"""From the beginning of a programme that was made when this was written, to some time to come."""

_PROGRAMME = timedelta(days=410)
"""How far back a programme of the sandboxes reaches. Costs of earlier months would be divided by nobody's hires."""
_HEADER = ("period", "channel", "kind", "amount", "currency", "allocation_key", "note")
_SEASONS = (0, 1500, -800, 2400)
"""No two quarters cost the same; in whole units."""

_Line = tuple[str, str, str, float, str, str, str]


def sample_costs(first: date, last: date) -> str:
    """A costs file as CSV for the quarters from that of `first` to that of `last`, licences of whole years at once."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    quarters = range(_quarter(first), _quarter(last) + 1)
    for number in quarters:
        year, quarter = divmod(number, 4)
        is_whole = all(4 * year + each in quarters for each in range(4))
        lines = [*_of_quarter(f"{year}-Q{quarter + 1}", _SEASONS[quarter])]
        if not is_whole:
            lines += _licences(f"{year}-Q{quarter + 1}", 1)
        elif quarter == 3:
            lines += _licences(str(year), 4)
        for period, channel, kind, amount, currency, key, note in lines:
            writer.writerow((period, channel, kind, f"{amount:.2f}", currency, key, f"synthetic: {note}"))
    return text.getvalue()


def write_sample_costs(home: Path, today: date) -> Path:
    """Put a sample beside a sandbox's contract, where none is: the time of a programme made today. Answers its path."""
    path = home / "data" / "samples" / "costs.csv"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(sample_costs(today - _PROGRAMME, today), encoding="utf-8", newline="\n")
    return path


def _quarter(day: date) -> int:
    return 4 * day.year + (day.month - 1) // 3


def _of_quarter(period: str, season: int) -> Iterator[_Line]:
    yield period, "advocacy", "external", 58_000 + season, "USD", "", "bonuses paid to advocates"
    yield period, "agency", "external", 52_500 + 2 * season, "EUR", "", "agency fees"
    yield period, "job_board", "external", 16_250.5 + season, "USD", "", "postings"
    yield period, "shared", "internal", 96_000 + season, "USD", "hires", "recruiters and interviewers"


def _licences(period: str, quarters: int) -> Iterator[_Line]:
    yield period, "advocacy", "external", 3_600 * quarters, "USD", "", "advocacy platform"
    yield period, "advocacy", "internal", 6_250 * quarters, "USD", "", "programme manager, part of the time"
    yield period, "shared", "external", 4_749.99 * quarters, "USD", "applications", "ATS licence"
