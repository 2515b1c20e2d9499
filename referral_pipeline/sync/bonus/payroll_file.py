"""Payroll's files: the CSV that is handed over, and the one that comes back.

Belongs here: columns, writing and reading. Does not belong here: which bonuses are in it (export.py), what a difference
means (reconcile.py). A file holds ids and amounts, no names.

The file of an export is made from the ledger's rows alone, so it is the same to the byte whenever it is written again.
"""

from __future__ import annotations

import csv
import io
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Final

from referral_pipeline.escapes import bare_cell, safe_cell
from referral_pipeline.ledger.bonuses import bonus_id
from referral_pipeline.ledger.records import PayrollEntry, PayrollExport
from referral_pipeline.money import as_decimal, from_decimal

COLUMNS: Final = (
    "export_id",
    "bonus_id",
    "advocate_id",
    "referral_id",
    "application",
    "amount",
    "currency",
    "eligible_on",
    "pay_on",
)
_NEEDED: Final = ("export_id", "bonus_id", "amount", "currency")
_STATUSES: Final = {"": "paid", "paid": "paid", "rejected": "rejected", "returned": "rejected"}
_DELIMITERS: Final = (",", ";", "\t")
_MOST_SHOWN: Final = 10


class PayrollFileError(Exception):
    """The file cannot be read without guessing. The message names lines and columns, and shows no value."""


@dataclass(frozen=True)
class PayrollLine:
    """One line as payroll kept or answered it. Amounts in the currency's smallest unit; `status` paid or rejected.

    `paid_cents` is what payroll says it paid: `paid_amount` where the file has it, else the amount; 0 when rejected.
    """

    number: int
    export_id: int
    bonus_id: str
    amount_cents: int
    currency: str
    paid_cents: int
    status: str


# ---------------------------------------------------------------- writing


def as_csv(export: PayrollExport, entries: Iterable[PayrollEntry]) -> bytes:
    """The file of an export: a header, and one line for each bonus that was handed over, in a fixed order."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for entry in sorted(entries, key=lambda entry: (entry.advocate_id, entry.key)):
        cells = (
            str(export.id),
            bonus_id(entry.key),
            entry.advocate_id,
            entry.referral_id,
            f"{entry.system}:{entry.application_id}",
            as_decimal(entry.amount_cents, entry.currency),
            entry.currency,
            entry.eligible_at.astimezone(UTC).date().isoformat(),
            export.pay_on.isoformat(),
        )
        writer.writerow([safe_cell(cell) for cell in cells])
    return text.getvalue().encode("utf-8")


def write_file(path: Path, content: bytes) -> None:
    """Put a file in its place whole, or not at all, also when the power goes. Only its owner may read it."""
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


# ---------------------------------------------------------------- reading


def read_file(path: Path) -> list[PayrollLine]:
    """The lines of a file that came back. Columns may stand in any order, and there may be more.

    Raises:
        PayrollFileError: a column is missing, or a cell could mean two things.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PayrollFileError("the file is not in UTF-8: save it as CSV UTF-8") from None
    header, rows = _table(text)
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise PayrollFileError(
            f"the file has no column {', '.join(missing)}: it must keep {', '.join(_NEEDED)} of the export, under a "
            "header line"
        )
    lines: list[PayrollLine] = []
    problems: list[str] = []
    for number, cells in rows:
        try:
            lines.append(_line(number, {name: cell for name, cell in zip(header, cells, strict=False) if name}))
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    if problems:
        more = len(problems) - _MOST_SHOWN
        shown = "; ".join(problems[:_MOST_SHOWN])
        raise PayrollFileError(shown + (f"; and {more} more" if more > 0 else ""))
    if not lines:
        raise PayrollFileError("the file has no line below its header: there is nothing to compare")
    return lines


def _table(text: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and the rows that are not empty with the line each ends on."""
    first = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error:
        raise PayrollFileError(f"line {reader.line_num} is no CSV: save the file as CSV anew") from None
    repeated = sorted({name for name in header if name and header.count(name) > 1})
    if repeated:
        raise PayrollFileError(f"the file has two columns {', '.join(repeated)}: keep one")
    return header, rows


def _line(number: int, cells: Mapping[str, str]) -> PayrollLine:
    value = {name: bare_cell(cell.strip()) for name, cell in cells.items()}
    for name in _NEEDED:
        if not value.get(name):
            raise ValueError(f"{name} is empty")
    if not value["export_id"].isascii() or not value["export_id"].isdigit():
        raise ValueError("export_id is no whole number")
    currency = value["currency"].upper()
    if not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
        raise ValueError("currency is no code of three letters")
    status = _STATUSES.get(value.get("status", "").lower())
    if status is None:
        raise ValueError(f"status is none of {_words(_STATUSES)}")
    amount = _amount("amount", value["amount"], currency)
    told = value.get("paid_amount", "")
    paid = _amount("paid_amount", told, currency) if told else amount
    if status == "rejected" and told and paid:
        raise ValueError("status says that nothing was paid, and paid_amount that something was")
    return PayrollLine(
        number=number,
        export_id=int(value["export_id"]),
        bonus_id=value["bonus_id"],
        amount_cents=amount,
        currency=currency,
        paid_cents=0 if status == "rejected" else paid,
        status=status,
    )


def _amount(name: str, text: str, currency: str) -> int:
    try:
        return from_decimal(text, currency)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def _words(statuses: Mapping[str, str]) -> str:
    known: Sequence[str] = [name for name in statuses if name]
    return f"{', '.join(known)} (or empty)"
