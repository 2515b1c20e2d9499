"""Manual intake of a programme, made up: what recruiters of the demonstration typed beside the integration on one day.

Belongs here: plausible rows of an intake file. Does not belong here: reading such files (connectors.manual_intake). The
repository's data/samples/manual_intake.csv is this text for the programme of `SAMPLE`.

The day is the last one before the programme was made. Every referral of it stands in the file, so that nothing is
missing, but those that nobody could have typed in, because the platform's own record cannot be read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

from referral_pipeline.contract.scaffold import MANUAL_COLUMNS
from referral_pipeline.sandbox.advocacy.clock import stamp

SAMPLE: Final = datetime(2026, 11, 28, tzinfo=UTC)
"""When the programme of the repository's sample was made."""
_FIRST_NUMBER = 1001

Row = Mapping[str, Any]


def sample_manual_intake(referrals: Iterable[Row], truth: Mapping[str, Any]) -> str:
    """The intake of the last day of a programme, as CSV.

    Args:
        referrals: rows of the advocacy platform.
        truth: of the same programme (`sandbox.programme.truth`).
    """
    made_at = datetime.fromisoformat(truth["as_of"])
    last_day = made_at - timedelta(days=1)
    outcomes: Mapping[str, Row] = truth["referrals"]
    typed = [
        row
        for row in referrals
        if last_day <= _touched_at(row) < made_at and outcomes[row["id"]]["outcome"] != "quarantined"
    ]
    typed.sort(key=lambda row: (_touched_at(row), row["id"]))
    numbers: dict[str, int] = {}
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(MANUAL_COLUMNS.values())
    for place, row in enumerate(typed):
        outcome = outcomes[row["id"]]
        # One number a person, as a recruiter who knows them would give.
        number = numbers.setdefault(outcome["person"], _FIRST_NUMBER + len(numbers))
        writer.writerow(_typed(row, outcome, number, place, made_at))
    return text.getvalue()


def write_sample_manual_intake(
    home: Path, referrals: Callable[[], Iterable[Row]], truth: Callable[[], Mapping[str, Any]]
) -> Path:
    """Put a sample beside a sandbox's contract, where none is; only then is the sandbox asked. Answers its path."""
    path = home / "data" / "samples" / "manual_intake.csv"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(sample_manual_intake(referrals(), truth()), encoding="utf-8", newline="\n")
    return path


def _touched_at(row: Row) -> datetime:
    return datetime.fromisoformat(row["applied_at"] or row["submitted_at"])


def _typed(row: Row, outcome: Row, number: int, place: int, made_at: datetime) -> tuple[str, ...]:
    """A row as somebody typed it: a while later on the same day, in a hand of their own."""
    midnight = datetime.combine(made_at.date(), time(), UTC)
    entered_at = min(_touched_at(row) + timedelta(minutes=17 + 7 * (place % 13)), midnight - timedelta(minutes=1))
    candidate = row["candidate"]
    email = candidate["email"] or ""
    values = {
        "record_id": str(number),
        "entered_at": stamp(entered_at)[:16].replace("T", " "),
        "first_name": candidate["first_name"] or "",
        "last_name": (candidate["last_name"] or "").upper() if place % 5 == 2 else candidate["last_name"] or "",
        "email": email.capitalize() if place % 4 == 1 else email,
        "phone": candidate["phone"] or "",
        "country": candidate["country"] or "",
        "job_id": row["job_id"],
        "advocate_id": row["advocate_id"],
        "status": (outcome["expected_status"] or "").replace("_", " ").capitalize(),
    }
    return tuple(values[name] for name in MANUAL_COLUMNS)
