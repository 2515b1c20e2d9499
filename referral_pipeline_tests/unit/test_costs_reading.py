"""Files of costs: what is read of them, what is set aside, and how it is told."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_pipeline.connectors.costs import CostsRead, converted, other_channels, read_costs
from referral_pipeline.contract.sections import Costs

HEADER = "period,channel,kind,amount,currency,allocation_key,note"
SPREADSHEET_TIME = datetime(2026, 3, 15)  # noqa: DTZ001 - a workbook knows no time zones
RATES = ({"currency": "EUR", "rate": "1.0837", "as_of": "2026-09-30", "source": "a bank"},)


def read(home: Path, *lines: str, header: str = HEADER, name: str = "costs.csv", **contract: Any) -> CostsRead:
    (home / name).write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return read_costs(section(**{"files": name, **contract}), home)


def section(**values: Any) -> Costs:
    return Costs.model_validate({"files": "costs.csv", "currency": "USD", "rates": RATES, **values})


def workbook(path: Path, *rows: tuple[Any, ...], sheets: int = 1) -> None:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for number in range(1, sheets):
        book.create_sheet(f"more {number}").append(("period", "amount"))
    book.save(path)


def told(found: CostsRead) -> list[tuple[str, str, str]]:
    return [(p.record_id, p.field, p.reason) for p in found.problems]


# ---------------------------------------------------------------- what is read


def test_a_line_is_read_with_its_amount_in_the_smallest_unit_and_its_place(tmp_path: Path):
    found = read(tmp_path, "2026-03,Job Board,EXTERNAL, 1250.5 ,usd,,posting")
    (line,) = found.lines
    assert (line.file, line.line, line.period, line.first_month, line.months) == (
        "costs.csv", 2, "2026-03", date(2026, 3, 1), 1,
    )  # fmt: skip
    assert (line.channel, line.kind, line.amount_cents, line.currency) == ("job_board", "external", 125050, "USD")
    assert (line.reporting_cents, line.reporting_currency, line.rate, line.note) == (125050, "USD", "1", "posting")
    assert (line.allocation_key, line.basis) == (None, None)
    assert (found.problems, found.repeated, found.notes) == ((), (), ())


@pytest.mark.parametrize(
    ("text", "name", "first_month", "months"),
    [
        ("2026-03", "2026-03", date(2026, 3, 1), 1),
        ("2026-Q3", "2026-Q3", date(2026, 7, 1), 3),
        ("2026q4", "2026-Q4", date(2026, 10, 1), 3),
        ("2026", "2026", date(2026, 1, 1), 12),
        ("2026-03-31", "2026-03", date(2026, 3, 1), 1),
    ],
)
def test_a_period_is_a_month_a_quarter_or_a_year_and_a_day_means_its_month(
    tmp_path: Path, text: str, name: str, first_month: date, months: int
):
    (line,) = read(tmp_path, f"{text},advocacy,internal,1,USD,,").lines
    assert (line.period, line.first_month, line.months) == (name, first_month, months)


def test_a_file_as_a_spreadsheet_program_saves_it_is_read(tmp_path: Path):
    header = '\ufeffPeriod ;CHANNEL;"Kind";Amount; Currency;"Allocation  Key"'
    found = read(tmp_path, "", "2026-03;shared;internal;99.99;USD;Advocacy = 12.5 %", ";;;;;", header=header)
    (line,) = found.lines
    assert (line.amount_cents, line.allocation_key, line.basis) == (9999, "advocacy=12.5%", "share")
    assert line.advocacy_millionths == 125_000
    assert found.problems == ()


def test_a_separator_that_the_file_states_is_the_one_that_holds(tmp_path: Path):
    found = read(tmp_path, HEADER.replace(",", "\t"), "2026-03\tadvocacy\tinternal\t5\tUSD\t\t", header="sep=\t")
    assert [line.amount_cents for line in found.lines] == [500]


def test_typed_cells_of_a_workbook_arrive_as_what_they_are(tmp_path: Path):
    workbook(
        tmp_path / "costs.xlsx",
        (None, None),
        ("Period", "channel", "kind", "amount", "currency", "Allocation Key", "note"),
        (SPREADSHEET_TIME, "advocacy", "external", 1250, "USD", None, None),
        (2026, "agency", "external", 0.1 + 0.2, "USD", None, 17),
        ("2026-Q2", "shared", "internal", "2000.00", "USD", "hires", None),
        (None, None, None, None, None, None, None),
    )
    found = read_costs(section(files="costs.xlsx"), tmp_path)
    assert found.problems == ()
    assert [(x.line, x.period, x.amount_cents, x.note) for x in found.lines] == [
        (3, "2026-03", 125000, None),
        (4, "2026", 30, "17"),
        (5, "2026-Q2", 200000, None),
    ]


def test_a_formula_counts_as_the_value_that_was_stored_and_without_one_as_nothing(tmp_path: Path):
    workbook(tmp_path / "costs.xlsx", tuple(HEADER.split(",")), ("2026-03", "advocacy", "internal", "=1+1", "USD"))
    found = read_costs(section(files="costs.xlsx"), tmp_path)
    assert told(found) == [("costs.xlsx:2", "amount", "is empty; fill it in")]


def test_of_a_workbook_with_more_sheets_the_first_is_read_and_the_others_are_told(tmp_path: Path):
    workbook(tmp_path / "c.xlsx", tuple(HEADER.split(",")), ("2026-03", "agency", "external", 1, "USD"), sheets=3)
    found = read_costs(section(files="c.xlsx"), tmp_path)
    assert len(found.lines) == 1
    assert found.notes == ("c.xlsx: its first sheet is read, and 2 more are not: keep each in a file of its own",)


def test_every_file_of_a_folder_is_read_by_name_and_what_is_none_is_told(tmp_path: Path):
    folder = tmp_path / "data" / "costs"
    folder.mkdir(parents=True)
    read(folder, "2026-02,agency,external,2,USD,,", name="b.csv")
    workbook(folder / "A.XLSX", tuple(HEADER.split(",")), ("2026-01", "agency", "external", 1, "USD"))
    for name in ("old.xls", ".hidden.csv", "~$A.xlsx"):
        (folder / name).write_bytes(b"\x00")
    found = read_costs(section(files="data/costs"), tmp_path)
    assert found.files == ("A.XLSX", "b.csv")
    assert [line.amount_cents for line in found.lines] == [100, 200]
    assert found.notes == ("old.xls: is not read; save it as .csv or .xlsx",)
    assert found.problems == ()


def test_a_column_that_is_not_known_is_told_and_takes_nothing_away(tmp_path: Path):
    found = read(tmp_path, "9,2026-03,advocacy,internal,1,USD,", header="cost_centre," + HEADER)
    assert len(found.lines) == 1
    assert found.notes == ("costs.csv: of its columns 1 are not known and not read",)


@pytest.mark.parametrize(
    ("word", "channel"),
    [
        *((word, "advocacy") for word in ("Advocacy Programme", "advocate", "employee-advocacy", "Advocates")),
        *((word, "advocacy") for word in ("Employee Advocacy Platform", "advocacy_bonuses", "our advocates")),
        *((word, "shared") for word in ("shared_cost", "Shared Costs", "shared overhead", "Shared")),
        *(
            (word, word)
            for word in ("job_board", "agency", "reference_checks", "other_referrals", "other_advocacy", "other")
        ),
    ],
)
def test_a_channel_that_can_mean_one_thing_only_is_read_as_it(tmp_path: Path, word: str, channel: str):
    key = "even" if channel == "shared" else ""
    found = read(tmp_path, f"2026-03,{word},internal,1,USD,{key},")
    assert ([line.channel for line in found.lines], found.problems) == ([channel], ())


def test_a_word_that_was_read_as_another_is_told(tmp_path: Path):
    line = "2026-03,Advocacy Programme,internal,1,USD,,"
    found = read(tmp_path, line, "2026-04,Advocacy Programme,internal,1,USD,,", "2026-03,ADVOCACY,internal,2,USD,,")
    assert found.notes == ("advocacy_programme: is read as advocacy",)


def test_the_words_that_count_as_other_channels_are_named(tmp_path: Path):
    words = ("job_board", "agency", "advocacy", "Job Board")
    found = read(tmp_path, *(f"2026-03,{word},internal,{n},USD,," for n, word in enumerate(words, start=1)))
    assert other_channels(found.lines) == "agency, job_board"
    assert other_channels(found.lines, most=1) == "agency and 1 more"


# ---------------------------------------------------------------- what is set aside


@pytest.mark.parametrize(
    ("line", "field", "words"),
    [
        (",advocacy,internal,1,USD,,", "period", "is empty; fill it in"),
        ("Mar-26,advocacy,internal,1,USD,,", "period", "write a month (2026-03), a quarter"),
        ("2026-13,advocacy,internal,1,USD,,", "period", "is no period"),
        ("2026-02-30,advocacy,internal,1,USD,,", "period", "is no day of the calendar"),
        ("2026-03,advocay,internal,1,USD,,", "channel", "is nearly advocacy"),
        ("2026-03,Employee Referral,internal,1,USD,,", "channel", "may mean the advocacy programme, and would count"),
        ("2026-03,referral,internal,1,USD,,", "channel", "write advocacy where its advocates earn from it, or else"),
        ("2026-03,employee/referral,internal,1,USD,,", "channel", "may mean the advocacy programme"),
        ("2026-03,refer a friend,internal,1,USD,,", "channel", "may mean the advocacy programme"),
        ("2026-03,Employee bonus,internal,1,USD,,", "channel", "may mean the advocacy programme"),
        ("2026-03,total costs,internal,1,USD,,", "channel", "may mean a cost of all channels"),
        ("2026-03,advocacy_agency,internal,1,USD,,", "channel", "may mean the advocacy programme"),
        ("2026-03,non-advocacy,internal,1,USD,,", "channel", "may mean the advocacy programme"),
        ("2026-03,shared_services,internal,1,USD,even,", "channel", "write shared and an allocation_key"),
        ("2026-03,All channels,internal,1,USD,,", "channel", "may mean a cost of all channels"),
        ("2026-03,ann@example.com,internal,1,USD,,", "channel", "is no short word"),
        ("2026-03,advocacy,both,1,USD,,", "kind", "is neither internal nor external"),
        ("2026-03,advocacy,internal,,USD,,", "amount", "is empty; fill it in"),
        ('2026-03,advocacy,internal,"1250,50",USD,,', "amount", "can be read in two ways; write digits and a dot"),
        ('2026-03,advocacy,internal,"1,250.50",USD,,', "amount", "can be read in two ways; write digits and a dot"),
        ("2026-03,advocacy,internal,1.250,USD,,", "amount", "that may be thousands"),
        ("2026-03,advocacy,internal,$5,USD,,", "amount", "is no amount; write digits and a dot"),
        ("2026-03,advocacy,internal,--5,USD,,", "amount", "is no amount"),
        ("2026-03,advocacy,internal,99999999999999,USD,,", "amount", "is larger than any cost"),
        ("2026-03,advocacy,internal,1,,,", "currency", "is empty; fill it in"),
        ("2026-03,advocacy,internal,1,Euro,,", "currency", "is no code of three letters"),
        ("2026-03,advocacy,internal,1,CHF,,", "currency", "has no rate in the contract; add one to costs.rates"),
        ("2026-03,shared,internal,1,USD,,", "allocation_key", "is empty, and a shared cost needs it"),
        ("2026-03,shared,internal,1,USD,fairly,", "allocation_key", "is no key; write hires, applications, even"),
        ("2026-03,shared,internal,1,USD,advocacy=101%,", "allocation_key", "is no key"),
        ("2026-03,agency,internal,1,USD,hires,", "allocation_key", "is for shared costs only"),
        ("2026-03,advocacy,internal,1,USD,,a note,and more", "line", "has more cells than the header"),
    ],
)
def test_a_line_that_cannot_be_read_is_set_aside_with_field_and_mend_and_the_others_go_on(
    tmp_path: Path, line: str, field: str, words: str
):
    found = read(tmp_path, "2026-01,agency,external,7,USD,,", line, "2026-02,agency,external,8,USD,,")
    assert [x.amount_cents for x in found.lines] == [700, 800]
    ((record, blamed, reason),) = told(found)
    assert (record, blamed) == ("costs.csv:3", field)
    assert words in reason


def test_no_value_of_a_line_that_is_set_aside_is_shown(tmp_path: Path):
    found = read(tmp_path, "Hunter2,ann@example.com,Hunter2,Hun ter2,Hunter2,Hunter2,Hunter2")
    assert {p.field for p in found.problems} == {"period", "channel", "kind", "amount", "currency", "allocation_key"}
    assert not any(word in repr(found).lower() for word in ("hunter2", "hun ter2", "ann@"))


@pytest.mark.parametrize("value", [True, 1.005, float("inf"), SPREADSHEET_TIME])
def test_a_typed_cell_that_is_no_amount_of_the_currency_is_set_aside(tmp_path: Path, value: Any):
    workbook(tmp_path / "costs.xlsx", tuple(HEADER.split(",")), ("2026-03", "advocacy", "internal", value, "USD"))
    found = read_costs(section(files="costs.xlsx"), tmp_path)
    assert (found.lines, [p.field for p in found.problems]) == ((), ["amount"])


@pytest.mark.parametrize(
    ("name", "content", "field", "words"),
    [
        ("costs.csv", b"", "file", "is empty; write a header line"),
        ("costs.csv", b"period,channel,kind,currency\n", "amount", "is no column of the file; write amount into"),
        ("costs.csv", b"a,b\n1,2\n", "period", "write period, channel, kind, amount, currency into the header"),
        ("costs.csv", HEADER.encode() + b",Amount\n", "amount", "stands in the header twice"),
        ("costs.csv", HEADER.encode("utf-16"), "file", "is not in UTF-8; save it as CSV UTF-8"),
        ("costs.xlsx", b"PK\x03\x04 no workbook", "file", "is no workbook that can be read"),
        ("costs.xlsx", HEADER.encode(), "file", "is no workbook that can be read"),
        ("costs.ods", b"", "file", "is neither .csv nor .xlsx; save it as one of them"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_field_and_mend(
    tmp_path: Path, name: str, content: bytes, field: str, words: str
):
    (tmp_path / name).write_bytes(content)
    ((record, blamed, reason),) = told(read_costs(section(files=name), tmp_path))
    assert (record, blamed) == (name, field)
    assert words in reason


def test_what_stands_where_a_header_should_is_told_to_nobody(tmp_path: Path):
    address = "someone@example.com"
    (tmp_path / "costs.csv").write_text(f"2026-03,advocacy,external,5000,USD,{address},{address}\n", encoding="utf-8")
    ((_, blamed, reason),) = told(found := read_costs(section(files="costs.csv"), tmp_path))
    assert blamed == "period"
    assert "someone" not in f"{reason} {found.notes} {found.problems}"


def test_a_file_that_is_not_there_and_a_folder_without_one_are_told(tmp_path: Path):
    missing = told(read_costs(section(files="data/costs.csv"), tmp_path))
    assert missing == [("costs.csv", "file", "is not there; put it in its place, or mend costs.files")]
    (tmp_path / "empty").mkdir()
    ((record, field, reason),) = told(read_costs(section(files="empty"), tmp_path))
    assert (record, field) == ("empty", "folder")
    assert "put a .csv or .xlsx there" in reason


def test_one_file_that_cannot_be_read_keeps_no_other_back(tmp_path: Path):
    (tmp_path / "in").mkdir()
    read(tmp_path / "in", "2026-02,agency,external,2,USD,,", name="good.csv")
    (tmp_path / "in" / "bad.xlsx").write_bytes(b"nothing")
    found = read_costs(section(files="in"), tmp_path)
    assert [line.amount_cents for line in found.lines] == [200]
    assert [p.record_id for p in found.problems] == ["bad.xlsx"]


# ---------------------------------------------------------------- twice


def test_the_same_line_twice_counts_and_is_told(tmp_path: Path):
    same = "2026-03,agency,external,10,USD,,fee"
    found = read(tmp_path, same, "2026-03,agency,external,10,USD,,another fee", same)
    assert len(found.lines) == 3
    assert found.repeated == ("costs.csv:4 is the same cost as costs.csv:2",)


def test_the_same_file_under_two_names_counts_and_is_told_once(tmp_path: Path):
    (tmp_path / "in").mkdir()
    for name in ("a.csv", "b.csv"):
        read(tmp_path / "in", *(f"2026-0{month},agency,external,10,USD,," for month in range(1, 9)), name=name)
    found = read_costs(section(files="in"), tmp_path)
    assert len(found.lines) == 16
    assert found.repeated == ()
    assert found.notes == ("b.csv: is the same file as a.csv; every line of it counts twice, remove one",)


# ---------------------------------------------------------------- conversion


def test_a_cost_in_another_currency_is_converted_once_at_the_stated_rate(tmp_path: Path):
    (line,) = read(tmp_path, "2026-03,agency,external,1000.01,EUR,,").lines
    # 1000.01 EUR at 1.0837 USD are 1083.710837 USD.
    assert (line.amount_cents, line.reporting_cents, line.rate) == (100001, 108371, "1.0837")


def test_a_currency_without_decimals_keeps_its_amounts(tmp_path: Path):
    rates = ({"currency": "JPY", "rate": 0.0067, "as_of": "2026-09-30", "source": "a bank"},)
    found = read(tmp_path, "2026-03,agency,external,48000,JPY,,", "2026-03,agency,external,480.5,JPY,,", rates=rates)
    (line,) = found.lines
    assert (line.amount_cents, line.reporting_cents) == (48000, 32160)  # 321.60 USD
    assert [p.field for p in found.problems] == ["amount"]
    (line,) = read(tmp_path, "2026-03,agency,external,150,USD,,", currency="JPY", rates=(
        {"currency": "USD", "rate": 149, "as_of": "2026-09-30", "source": "a bank"},
    )).lines  # fmt: skip
    assert (line.amount_cents, line.reporting_cents) == (15000, 22350)


def test_money_that_came_back_is_read_with_its_minus(tmp_path: Path):
    (line,) = read(tmp_path, "2026-03,agency,external,-20.10,EUR,,").lines
    assert (line.amount_cents, line.reporting_cents) == (-2010, -2178)


def test_a_half_is_rounded_to_the_even_cent():
    assert [converted(cents, "EUR", "USD", Decimal("0.5")) for cents in (1, 3, 5, -1, -3)] == [0, 2, 2, 0, -2]


@given(
    st.integers(-(10**15), 10**15),
    st.sampled_from(["USD", "JPY", "KWD"]),
    st.sampled_from(["USD", "JPY", "KWD"]),
    st.decimals("0.000001", "1000000", places=6, allow_nan=False),
)
def test_conversion_is_never_off_by_more_than_half_of_the_smallest_unit(
    cents: int, currency: str, reporting: str, rate: Decimal
):
    units = {"USD": 100, "JPY": 1, "KWD": 1000}
    exact = Fraction(cents, units[currency]) * Fraction(rate) * units[reporting]
    assert abs(converted(cents, currency, reporting, rate) - exact) <= Fraction(1, 2)


@given(st.integers(-(10**12), 10**12))
def test_an_amount_that_is_written_is_the_amount_that_is_read_as_text_and_as_a_number(cents: int):
    from referral_pipeline.connectors.cost_cells import amount
    from referral_pipeline.money import as_decimal

    text = as_decimal(cents, "USD")
    assert amount(text, "USD") == amount(float(text), "USD") == cents


def test_a_workbook_that_was_cut_off_is_no_workbook(tmp_path: Path):
    whole = io.BytesIO()
    book = openpyxl.Workbook()
    book.active.append(HEADER.split(","))
    book.save(whole)
    (tmp_path / "costs.xlsx").write_bytes(whole.getvalue()[:-100])
    ((_, field, reason),) = told(read_costs(section(files="costs.xlsx"), tmp_path))
    assert (field, "no workbook" in reason) == ("file", True)


# ---------------------------------------------------------------- workbooks as people make them

COST = ("2026-03", "agency", "external", 100, "USD")


def of_workbook(home: Path, make: Callable[[Any], object], *rows: tuple[Any, ...], header: bool = True) -> CostsRead:
    """What is read of a workbook with these rows, after `make` has done to it what a person does."""
    book = openpyxl.Workbook()
    for row in (tuple(HEADER.split(",")), *rows) if header else rows:
        book.active.append(row)
    make(book)
    book.save(home / "costs.xlsx")
    return read_costs(section(files="costs.xlsx"), home)


@pytest.mark.parametrize(("cells", "field"), [("A2:A4", "period"), ("D2:D4", "amount"), ("B2:B4", "channel")])
def test_merged_cells_count_once_and_the_rows_that_they_cover_are_set_aside(tmp_path: Path, cells: str, field: str):
    """Whether one amount is for all the rows or the same again for each, nobody but its author can tell."""
    found = of_workbook(tmp_path, lambda book: book.active.merge_cells(cells), COST, COST, COST)
    assert [(line.line, line.amount_cents) for line in found.lines] == [(2, 10_000)]
    assert told(found) == [(f"costs.xlsx:{row}", field, "is empty; fill it in") for row in (3, 4)]


def test_a_title_over_the_header_is_not_taken_for_it(tmp_path: Path):
    title = ("Costs of 2026", *[None] * 6)
    found = of_workbook(
        tmp_path, lambda book: book.active.merge_cells("A1:G1"), title, tuple(HEADER.split(",")), COST, header=False
    )
    ((record, field, reason),) = told(found)
    assert (found.lines, record, field) == ((), "costs.xlsx", "period")
    assert "into the header" in reason
    assert "2026" not in reason


@pytest.mark.parametrize("cell", ["2026-03-15", "2026-03", " 2026-03 ", SPREADSHEET_TIME, SPREADSHEET_TIME.date()])
def test_a_day_that_a_workbook_holds_as_text_or_as_a_date_is_its_month(tmp_path: Path, cell: Any):
    found = of_workbook(tmp_path, lambda book: None, (cell, *COST[1:]))
    assert ([line.period for line in found.lines], found.problems) == (["2026-03"], ())


@pytest.mark.parametrize(
    "cell", ["15.03.2026", "03/04/2026", "Mar-26", "March 2026", "2026-3", 46096, 46096.0, 0, True, time(3, 26)]
)
def test_a_date_that_two_people_would_read_differently_is_set_aside(tmp_path: Path, cell: Any):
    found = of_workbook(tmp_path, lambda book: None, (cell, *COST[1:]), COST)
    assert [line.line for line in found.lines] == [3]
    ((record, field, reason),) = told(found)
    assert (record, field) == ("costs.xlsx:2", "period")
    assert "write a month (2026-03)" in reason


def test_a_formula_whose_value_was_never_stored_is_nothing_wherever_it_stands(tmp_path: Path):
    """A program that wrote the file without calculating leaves no value; what the formula says is not worked out."""
    found = of_workbook(tmp_path, lambda book: None, ("=A3", *COST[1:]), COST, (*COST[:3], "=SUM(D2:D3)", "USD"))
    assert [line.line for line in found.lines] == [3]
    assert told(found) == [
        ("costs.xlsx:2", "period", "is empty; fill it in"),
        ("costs.xlsx:4", "amount", "is empty; fill it in"),
    ]
    ((_, field, reason),) = told(of_workbook(tmp_path, lambda book: book.active.__setitem__("A1", '="period"'), COST))
    assert (field, "write period into the header" in reason) == ("period", True)


@pytest.mark.parametrize("cell", ["#REF!", "#N/A", "#DIV/0!"])
def test_an_error_of_the_spreadsheet_is_no_amount(tmp_path: Path, cell: str):
    found = of_workbook(tmp_path, lambda book: None, (*COST[:3], cell, "USD"), COST)
    assert ([line.line for line in found.lines], [p.field for p in found.problems]) == ([3], ["amount"])


def test_a_workbook_without_a_row_is_empty_and_one_with_a_header_alone_has_no_costs(tmp_path: Path):
    ((record, field, reason),) = told(of_workbook(tmp_path, lambda book: None, header=False))
    assert (record, field, reason) == (
        *("costs.xlsx", "file"),
        "is empty; write a header line, and a line for each cost",
    )
    found = of_workbook(tmp_path, lambda book: None)
    assert (found.lines, found.problems) == ((), ())


def test_costs_on_the_second_sheet_of_a_workbook_whose_first_is_empty_are_not_passed_over_in_silence(tmp_path: Path):
    def move(book: Any) -> None:
        book.move_sheet(book.create_sheet("empty"), offset=-1)

    ((record, field, reason),) = told(of_workbook(tmp_path, move, COST))
    assert (record, field) == ("costs.xlsx", "file")
    assert "its first sheet" in reason


def test_a_table_that_begins_further_down_and_to_the_right_is_read_in_its_place(tmp_path: Path):
    def push(book: Any) -> None:
        book.active.insert_rows(1, 3)
        book.active.insert_cols(1, 2)

    found = of_workbook(tmp_path, push, COST)
    assert ([(line.line, line.amount_cents) for line in found.lines], found.problems) == ([(5, 10_000)], ())
