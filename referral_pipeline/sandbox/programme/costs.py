"""Costs of a programme, made up: what the demonstration divides by its hires.

Belongs here: plausible lines of a costs file, each labelled as synthetic. Does not belong here: reading such files
(connectors.costs). The repository's data/samples/costs.csv is this text for `SAMPLE_YEARS`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

SAMPLE_YEARS = range(2025, 2029)
"""Some that are past and some to come: a programme of the sandboxes ends on the day that it is made."""

_HEADER = ("period", "channel", "kind", "amount", "currency", "allocation_key", "note")
_SEASONS = (0, 1500, -800, 2400)
"""No two quarters cost the same; in whole units."""


def sample_costs(years: Iterable[int]) -> str:
    """A file of costs for these years as CSV: by quarter where money goes by hiring, by year where it is a licence."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    for year in years:
        for period, channel, kind, amount, currency, key, note in _lines(year):
            writer.writerow((period, channel, kind, f"{amount:.2f}", currency, key, f"synthetic: {note}"))
    return text.getvalue()


def write_sample_costs(home: Path, today: date) -> Path:
    """Put a sample beside a sandbox's contract, where none is: the years around `today`. Answers its path."""
    path = home / "data" / "samples" / "costs.csv"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(sample_costs(range(today.year - 2, today.year + 1)), encoding="utf-8", newline="\n")
    return path


def _lines(year: int) -> Iterator[tuple[str, str, str, float, str, str, str]]:
    for quarter, season in enumerate(_SEASONS, start=1):
        period = f"{year}-Q{quarter}"
        yield period, "advocacy", "external", 8_000 + season, "USD", "", "bonuses paid to advocates"
        yield period, "agency", "external", 21_500 + 2 * season, "EUR", "", "agency fees"
        yield period, "job_board", "external", 6_250.5 + season, "USD", "", "postings"
        yield period, "shared", "internal", 48_000 + season, "USD", "hires", "recruiters and interviewers"
    yield str(year), "advocacy", "external", 14_400, "USD", "", "advocacy platform"
    yield str(year), "advocacy", "internal", 9_000, "USD", "", "programme manager, part of the time"
    yield str(year), "shared", "external", 18_999.99, "USD", "applications", "ATS licence"
