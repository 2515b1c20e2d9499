"""Payroll's files: the same bytes whenever written, safe in a spreadsheet, and never read by guessing."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from referral_pipeline.ledger.bonuses import bonus_id
from referral_pipeline.ledger.records import PayrollEntry, PayrollExport
from referral_pipeline.money import as_decimal, decimals_of, from_decimal, totals
from referral_pipeline.sync.bonus.payroll_file import COLUMNS, PayrollFileError, as_csv, read_file, write_file

AT = datetime(2026, 4, 30, 23, 30, tzinfo=UTC)
EXPORT = PayrollExport(7, AT, "payroll@example.com", date(2026, 5, 31), "open", None, None)
ENTRY = PayrollEntry(7, "k1", "R1", "A1", "greenhouse", "31", 200_000, "USD", AT, "paid", None, None)
B1 = bonus_id("k1")


def back(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "back.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# ---------------------------------------------------------------- amounts


@pytest.mark.parametrize(
    ("cents", "currency", "text"),
    [
        (200_000, "USD", "2000.00"),
        (5, "EUR", "0.05"),
        (0, "EUR", "0.00"),
        (200_000, "JPY", "200000"),
        (200_000, "KWD", "200.000"),
        (7, "KWD", "0.007"),
        (12_345, "CLF", "1.2345"),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(cents: int, currency: str, text: str):
    assert as_decimal(cents, currency) == text
    assert from_decimal(text, currency) == cents


@given(st.integers(0, 10**10), st.sampled_from(["USD", "EUR", "JPY", "KWD", "CLF"]))
def test_every_amount_comes_back_as_it_was_written(cents: int, currency: str):
    text = as_decimal(cents, currency)
    assert from_decimal(text, currency) == cents
    assert from_decimal(f" {text} ", currency) == cents
    assert len(text.partition(".")[2]) == decimals_of(currency)


@pytest.mark.parametrize(("text", "cents"), [("2000", 200_000), ("2000.0", 200_000), ("2000.", 200_000), ("0.5", 50)])
def test_fewer_decimals_say_the_same(text: str, cents: int):
    assert from_decimal(text, "USD") == cents


@pytest.mark.parametrize(
    "text", ["2.000,00", "2,000.00", "2,000", "2000,00", "2 000", "2'000.00", "2.000", "2000.000", "1.234"]
)
def test_an_amount_that_can_be_read_in_two_ways_is_refused_with_the_mend(text: str):
    with pytest.raises(ValueError, match=r"2000\.00") as refused:
        from_decimal(text, "USD")
    assert text not in str(refused.value)


@pytest.mark.parametrize("text", ["", "abc", "-5", "+5", "1e3", "٣", "²", ".5", "0x10", "9" * 16])
def test_what_is_no_plain_amount_is_refused(text: str):
    with pytest.raises(ValueError, match="is no amount"):
        from_decimal(text, "USD")


def test_currencies_are_never_added_up():
    assert totals([("USD", 5), ("EUR", 7), ("USD", 1)]) == {"EUR": 7, "USD": 6}


# ---------------------------------------------------------------- writing


def test_an_export_is_one_line_a_bonus_with_the_columns_that_payroll_gets():
    entries = [replace(ENTRY, key="k2", advocate_id="A2", referral_id="R2", application_id="32"), ENTRY]
    rows = list(csv.reader(io.StringIO(as_csv(EXPORT, entries).decode())))
    assert tuple(rows[0]) == COLUMNS
    assert rows[1] == ["7", B1, "A1", "R1", "greenhouse:31", "2000.00", "USD", "2026-04-30", "2026-05-31"]
    assert [row[2] for row in rows[1:]] == ["A1", "A2"]


@given(st.permutations([replace(ENTRY, key=f"k{n}", advocate_id=f"A{n % 2}") for n in range(5)]))
def test_the_same_export_is_the_same_file_to_the_byte(entries: list[PayrollEntry]):
    assert as_csv(EXPORT, entries) == as_csv(EXPORT, sorted(entries, key=lambda e: e.key))


@pytest.mark.parametrize("hostile", ["=1+1", "+1", "-1", "@SUM(A1)", "\ta", "\t=1", "\r=1", "'=1", '=HYPERLINK("x")'])
def test_no_cell_is_taken_for_a_formula_and_each_comes_back(tmp_path: Path, hostile: str):
    content = as_csv(EXPORT, [replace(ENTRY, advocate_id=hostile)])
    (row,) = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    assert row["advocate_id"].startswith("'")
    assert row["advocate_id"].replace("'", "") == hostile.replace("'", "")
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row.values())
    assert read_file(back(tmp_path, content))[0].bonus_id == B1


@given(st.text(alphabet="a=+-@;,\t\r\n\"' ", max_size=8))
@example("a;=1+1")
@example("a\t=1+1")
@example('a;"=1+1')
@example("a\n=1+1")
def test_no_cell_begins_a_formula_wherever_a_spreadsheet_parts_cells(hostile: str):
    content = as_csv(EXPORT, [replace(ENTRY, advocate_id=hostile, referral_id=hostile)]).decode()
    cells = [cell for row in csv.reader(io.StringIO(content, newline="")) for cell in row]
    for delimiter in ";\t":
        cells += [cell for row in csv.reader(io.StringIO(content, newline=""), delimiter=delimiter) for cell in row]
        # A spreadsheet that reads quotes otherwise than the module does.
        cells += [cell.lstrip(' "') for line in content.splitlines() for cell in line.split(delimiter)]
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))] == []


def test_a_file_is_put_in_place_whole_and_for_its_owner_only(tmp_path: Path):
    path = tmp_path / "may.csv"
    write_file(path, b"one")
    write_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError):
        write_file(tmp_path / "taken", b"three")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["may.csv", "taken"]


# ---------------------------------------------------------------- reading

HEADER = "export_id,bonus_id,amount,currency"


def test_what_was_written_is_read_back(tmp_path: Path):
    (line,) = read_file(back(tmp_path, as_csv(EXPORT, [ENTRY])))
    assert (line.export_id, line.bonus_id, line.amount_cents, line.currency) == (7, B1, 200_000, "USD")
    assert (line.status, line.paid_cents, line.number) == ("paid", 200_000, 2)


def test_order_further_columns_marks_and_delimiters_do_not_matter(tmp_path: Path):
    text = f'\ufeffCurrency;note;Amount;BONUS_ID;export_id\r\nusd;"a; b";2000.0;{B1};7\r\n;;;;\r\n'
    (line,) = read_file(back(tmp_path, text))
    assert (line.export_id, line.bonus_id, line.amount_cents, line.currency) == (7, B1, 200_000, "USD")


@pytest.mark.parametrize(
    ("status", "paid_amount", "found"),
    [
        ("", "", ("paid", 200_000)),
        ("Paid", "1500", ("paid", 150_000)),
        ("rejected", "", ("rejected", 0)),
        ("returned", "0", ("rejected", 0)),
    ],
)
def test_payroll_may_answer_with_status_and_amount(tmp_path: Path, status: str, paid_amount: str, found: tuple):
    text = f"{HEADER},status,paid_amount\n7,{B1},2000,USD,{status},{paid_amount}\n"
    (line,) = read_file(back(tmp_path, text))
    assert (line.status, line.paid_cents) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column export_id, bonus_id, amount, currency"),
        ("bonus_id,amount\nb,1\n", "no column export_id, currency"),
        (f"{HEADER}\n", "no line below its header"),
        (f"{HEADER},amount\n7,b,1,USD,2\n", "two columns amount"),
        (f"{HEADER}\n7,b,,USD\n", "line 2: amount is empty"),
        (f"{HEADER}\n7,b,1\n", "line 2: currency is empty"),
        (f"{HEADER}\nseven,b,1,USD\n", "line 2: export_id is no whole number"),
        (f"{HEADER}\n7,b,1,dollars\n", "line 2: currency is no code"),
        (f"{HEADER}\n7,b,2.000,USD\n", "line 2: amount has 3 digits behind the dot where USD has 2"),
        (f"{HEADER},status\n7,b,1,USD,perhaps\n", "line 2: status is none of paid, rejected, returned"),
        (f"{HEADER},status,paid_amount\n7,b,1,USD,rejected,1\n", "line 2: status says that nothing was paid"),
        (b"\xff\xfe\x00", "not in UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_without_guessing_is_refused(tmp_path: Path, text: str | bytes, words: str):
    with pytest.raises(PayrollFileError, match=words):
        read_file(back(tmp_path, text))


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path):
    text = HEADER + "\n" + "7,b,x,USD\n" * 12
    with pytest.raises(PayrollFileError, match=r"line 2.*line 11.*and 2 more"):
        read_file(back(tmp_path, text))
