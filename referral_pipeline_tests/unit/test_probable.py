"""Probable duplicates: what is scored, what the score says, and what never shows."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from duckdb import DuckDBPyConnection

from referral_pipeline.identity.canonical_bulk import canonical_emails, canonical_phones
from referral_pipeline.identity.probable import DEFAULT_THRESHOLD, ProbableReport, score_probable
from referral_pipeline.identity.probable_units import BLOCK_LIMIT, COUNTED_OF_ONE
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.benchmarks.identity_data import synthetic_records


@dataclass(frozen=True)
class Row:
    """A record as the rules left it."""

    record_id: str
    person_id: str
    first_name: str | None
    last_name: str | None
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    dob: str | None = None
    city: str | None = None


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[DuckDBPyConnection]:
    with Warehouse("w.duckdb", home=tmp_path, published_dir=tmp_path).connect() as opened:
        yield opened


def put(connection: DuckDBPyConnection, rows: Sequence[Row]) -> None:
    table = pa.table(
        {
            "record_id": [row.record_id for row in rows],
            "person_id": [row.person_id for row in rows],
            "first_name": pa.array([row.first_name for row in rows], pa.string()),
            "last_name": pa.array([row.last_name for row in rows], pa.string()),
            "email_keys": pa.array([list(row.emails) for row in rows], pa.list_(pa.string())),
            "phone_keys": pa.array([list(row.phones) for row in rows], pa.list_(pa.string())),
            "country": pa.array(["US"] * len(rows), pa.string()),
            "dob": pa.array([row.dob for row in rows], pa.string()),
            "city": pa.array([row.city for row in rows], pa.string()),
        }
    )
    connection.register("incoming", table)
    connection.execute("CREATE OR REPLACE TABLE staging.record AS FROM incoming")
    connection.unregister("incoming")


def score(connection: DuckDBPyConnection, rows: Sequence[Row], **choices: Any) -> ProbableReport:
    put(connection, rows)
    return score_probable(connection, source="staging.record", out="staging.pair", **choices)


def pairs(connection: DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return connection.execute("FROM staging.pair").fetchall()


def found(connection: DuckDBPyConnection, one: str, other: str) -> tuple[Any, ...] | None:
    wanted = sorted((one, other))
    return next((row for row in pairs(connection) if sorted(row[2:4]) == wanted), None)


def population(count: int = 600, seed: int = 3) -> list[Row]:
    """Synthetic records, every one a person of its own except those with one address and one name."""
    records = synthetic_records(count, seed=seed)
    records = records.astype(object).where(records.notna(), None)
    emails = canonical_emails([text for text in records["email"] if text])
    phones = canonical_phones([(text, "US") for text in records["phone"] if text])
    seen: dict[tuple[str, str, str], str] = {}
    rows: list[Row] = []
    for record in records.itertuples():
        key = emails.get(record.email) if record.email else None
        phone = phones.get((record.phone, "US")) if record.phone else None
        person = f"p{record.record_id}"
        if key:
            person = seen.setdefault((key, record.first_name, record.last_name), person)
        rows.append(
            Row(
                record.record_id,
                person,
                record.first_name,
                record.last_name,
                (key,) if key else (),
                (phone,) if phone else (),
                record.dob,
                record.city,
            )
        )
    return rows


@pytest.fixture(scope="module")
def many() -> list[Row]:
    return population()


TWINS = [
    Row("a:1", "twin-1", "Rosalinde", "Quastenhuber", ("rosalinde.q1977@post.example.net",), (), "1977-03-04", "Ulm"),
    Row("a:2", "twin-2", "Rosalinda", "Quastenhuber", ("rosalinde.q1977@example.org",), (), "1977-04-03", "Ulm"),
]


STRANGER = Row("a:3", "stranger", "Ottokar", "Zwirnmeister", ("oz@example.com",), (), "1990-01-01", "Bonn")


@dataclass(frozen=True)
class Scored:
    """Records, and what one scoring of them said; for tests that only look."""

    rows: list[Row]
    report: ProbableReport
    pairs: list[tuple[Any, ...]]

    def found(self, one: str, other: str) -> tuple[Any, ...] | None:
        wanted = sorted((one, other))
        return next((row for row in self.pairs if sorted(row[2:4]) == wanted), None)


def scored_once(folder: Path, rows: list[Row], **choices: Any) -> Scored:
    with Warehouse("w.duckdb", home=folder, published_dir=folder).connect() as opened:
        return Scored(rows, score(opened, rows, **choices), pairs(opened))


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, many: list[Row]) -> Scored:
    """The twins and a stranger among many, with their further columns, and every pair that is at all probable."""
    rows = [*many, *TWINS, STRANGER]
    return scored_once(tmp_path_factory.mktemp("compared"), rows, compare=["dob", "city"], threshold=0.0001)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, many: list[Row]) -> Scored:
    """The twins among many, by names, addresses and numbers alone."""
    return scored_once(tmp_path_factory.mktemp("plain"), [*many, *TWINS])


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, many: list[Row]) -> Scored:
    """Nobody but the many."""
    return scored_once(tmp_path_factory.mktemp("alone"), many)


def test_two_records_that_agree_in_much_are_listed_with_a_proposal(compared):
    row = compared.found("twin-1", "twin-2")
    assert row is not None
    assert row[:4] == ("a:1", "a:2", "twin-1", "twin-2")
    assert row[4] >= 0.99
    assert row[6] == "merge"
    assert compared.report.trained
    assert len(compared.report.passes) >= 2


def test_strangers_are_not_listed(compared):
    assert not [row for row in compared.pairs if "stranger" in row[2:4] and row[4] >= DEFAULT_THRESHOLD]


def test_only_pairs_from_the_threshold_on_are_listed(compared, plain):
    assert min(row[4] for row in compared.pairs) < DEFAULT_THRESHOLD
    assert min(row[4] for row in plain.pairs) >= DEFAULT_THRESHOLD


def test_evidence_names_every_field_with_its_likeness_and_weight(compared):
    row = compared.found("twin-1", "twin-2")
    assert row is not None
    told = dict(part.split(": ") for part in row[5].split("; "))
    assert list(told) == ["first name", "last name", "e-mail", "dob", "city"]
    assert told["last name"].startswith("equal (+")
    assert told["e-mail"].startswith("name part equal (+")
    assert told["dob"].startswith("day and month swapped (+")
    assert all(re.fullmatch(r".+ \([+-]\d+\.\d\)", words) for words in told.values())


def test_neither_evidence_nor_report_holds_a_value(compared):
    told = " ".join(row[5] for row in compared.pairs) + repr(compared.report) + repr(compared.report.fields)
    values = {
        str(value).lower()
        for row in compared.rows
        for value in (row.first_name, row.last_name, row.dob, row.city, *row.emails, *row.phones)
        if value and len(str(value)) > 3
    }
    words = set(re.findall(r"[\w@.+-]+", told.lower()))
    # "different" or "first" are words of ours, and no name of the data.
    assert not values & words


def test_the_order_of_rows_changes_nothing(connection, compared):
    shuffled = list(compared.rows)
    random.Random(5).shuffle(shuffled)
    second = score(connection, shuffled, compare=["dob", "city"], threshold=0.0001)
    assert compared.pairs
    assert pairs(connection) == compared.pairs
    assert second == compared.report


def test_two_records_of_one_person_are_never_a_pair(connection, many):
    rows = [*many, *TWINS, replace(TWINS[1], record_id="a:9", city="Aalen")]
    score(connection, rows, compare=["dob", "city"], threshold=0.01)
    assert all(left < right for _, _, left, right, *_ in pairs(connection))
    people = [tuple(row[2:4]) for row in pairs(connection)]
    assert len(set(people)) == len(people)
    assert found(connection, "twin-1", "twin-2") is not None


def test_equal_records_of_one_person_are_scored_once(connection, plain):
    once = plain.report
    repeated = [replace(TWINS[0], record_id=f"b:{number}") for number in range(40)]
    again = score(connection, [*plain.rows, *repeated])
    assert again.records == once.records + 40
    assert again.units == once.units
    assert again.pairs_scored == once.pairs_scored


def test_one_person_with_hundreds_of_numbers_makes_nobody_else_more_probable(connection, alone):
    """All pairs of its records would outweigh everybody else's, and two records taken at random seem one person."""
    before = alone.report
    listed = {(row[2], row[3]) for row in alone.pairs}
    huge = [
        Row(f"z{n}", "pz", "Testo", "Person", ("testo@corp.example",), (f"+4940{n:07}",), "1970-01-01", "Hamburg")
        for n in range(40 * COUNTED_OF_ONE)
    ]
    after = score(connection, [*alone.rows, *huge])
    assert before.prior / 1.5 < after.prior < before.prior * 1.5
    assert len(listed ^ {(row[2], row[3]) for row in pairs(connection)}) <= len(listed) // 50


def test_a_value_that_thousands_share_makes_no_pairs_by_itself(connection, alone):
    before = alone.report.pairs_scored
    hot = [
        Row(f"h:{n}", f"hot-{n}", f"Vorname{n}x{n * 7919 % 9973}", f"Nach{n * 31 % 9973}y{n}", ("jobs@example.com",))
        for n in range(4_000)
    ]
    after = score(connection, [*alone.rows, *hot]).pairs_scored
    assert after - before < len(hot) * BLOCK_LIMIT


def test_a_second_address_is_compared_too(connection, many):
    one, two = TWINS
    with_two = replace(one, emails=("other.person.77@example.com", "rosalinde.q1977@example.org"))
    score(connection, [*many, with_two, replace(two, first_name="Xaver")], threshold=0.001)
    row = found(connection, "twin-1", "twin-2")
    assert row is not None
    assert "e-mail: equal" in row[5]


def test_a_short_form_and_swapped_names_count_for_one_person(connection, many):
    rows = [
        Row("c:1", "bob", "Bob", "Quastenhuber", (), ("+12025550143",)),
        Row("c:2", "robert", "Robert", "Quastenhuber", (), ("+12025550143",)),
        Row("c:3", "swap-1", "Zdenka", "Quirinova", (), ("+12025550144",)),
        Row("c:4", "swap-2", "Quirinova", "Zdenka", (), ("+12025550144",)),
    ]
    score(connection, [*many, *rows])
    short, swapped = found(connection, "bob", "robert"), found(connection, "swap-1", "swap-2")
    assert short is not None
    assert "first name: short form or one of several" in short[5]
    assert swapped is not None
    assert "first and last name swapped" in swapped[5]


def test_two_people_of_one_household_are_less_probable_than_one_person(connection):
    many = population(1_500, seed=11)
    shared = {"last_name": "Quastenhuber", "phones": ("+12025550143",), "city": "Ulm"}
    rows = [
        replace(Row("d:1", "anna", "Annabell", None), **shared),
        replace(Row("d:2", "konrad", "Wolfgang", None), **shared),
    ]
    score(connection, [*many, *rows], threshold=0.0001)
    row = found(connection, "anna", "konrad")
    assert row is None or row[4] < DEFAULT_THRESHOLD


def test_too_few_records_are_scored_by_the_start_values_and_the_report_says_so(connection):
    strangers = [Row(f"e:{n}", f"e{n}", f"Vorname{n}", f"Nachname{n}", (f"x{n}@example.com",)) for n in range(20)]
    report = score(connection, [*strangers, *TWINS], compare=["dob", "city"])
    assert not report.trained
    assert report.passes == ()
    assert found(connection, "twin-1", "twin-2") is not None


@pytest.mark.parametrize("rows", [[], TWINS[:1]])
def test_nothing_to_compare_gives_an_empty_table(connection, rows):
    report = score(connection, rows, compare=["dob"])
    assert pairs(connection) == []
    assert report.pairs_listed == 0


def test_records_without_any_name_or_address_are_no_failure(connection, many):
    nameless = [Row(f"n:{n}", f"n{n}", None, None) for n in range(300)]
    score(connection, [*many, *nameless])
    assert not [row for row in pairs(connection) if row[2].startswith("n") or row[3].startswith("n")]


def test_decisions_of_reviewers_calibrate_the_probabilities(connection, compared):
    before = compared.pairs
    middle = [row for row in before if row[4] < 0.999]
    labels = [(row[0], row[1], True) for row in before[:40]] + [(row[0], row[1], False) for row in middle[-40:]]
    report = score(connection, compared.rows, compare=["dob", "city"], threshold=0.0001, labels=labels)
    assert report.calibration == "reviewers' decisions"
    after = {row[2:4]: row[4] for row in pairs(connection)}
    assert [row[4] for row in before] != [after.get(row[2:4]) for row in before]
    assert all(after[row[2:4]] > 0.5 for row in before[:40])


def test_few_decisions_leave_the_probabilities_as_they_are(connection, plain):
    report = score(connection, plain.rows, labels=[("a:1", "a:2", False)] * 100)
    assert report.calibration == "as modelled"
    assert pairs(connection) == plain.pairs


def test_pairs_that_the_rules_doubt_are_listed_however_improbable(connection, many):
    rows = [
        *many,
        Row("f:1", "f1", "Annabell", "Quastenhuber", ("office.mail@example.com",), (), "1970-01-01"),
        Row("f:2", "f2", "Zdenka", "Quirinova", ("office.mail@example.com",), (), "1999-12-31"),
    ]
    connection.execute("CREATE TABLE staging.doubt AS SELECT 'f1' AS left_person_id, 'f2' AS right_person_id")
    score(connection, rows, compare=["dob"], threshold=1.0, also="staging.doubt")
    row = found(connection, "f1", "f2")
    assert row is not None
    assert row[6] == "look"


def test_nothing_of_the_work_stays_behind_not_even_after_a_failure(connection, many):
    def left() -> list[tuple[Any, ...]]:
        return connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() UNION ALL "
            "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal ORDER BY ALL"
        ).fetchall()

    put(connection, many)
    connection.execute("CREATE TABLE staging.pair (x INT)")
    before = left()
    score_probable(connection, source="staging.record", out="staging.pair")
    assert left() == before
    with pytest.raises(Exception, match="nowhere"):
        score_probable(connection, source="staging.record", out="nowhere.pair")
    assert left() == before
    assert connection.execute("SELECT current_schema()").fetchall() == [("main",)]


def test_splink_says_nothing_by_itself(connection, many, caplog, capfd):
    ((before,),) = connection.execute("SELECT current_setting('enable_progress_bar')").fetchall()
    with caplog.at_level(logging.DEBUG):
        score(connection, [*many, *TWINS])
    assert [record.name for record in caplog.records if record.name.startswith("splink")] == []
    # Nor does DuckDB draw its bar, which it does for a query of some seconds.
    assert capfd.readouterr() == ("", "")
    assert connection.execute("SELECT current_setting('enable_progress_bar')").fetchall() == [(before,)]


NONSENSE = [({"threshold": 0}, "threshold"), ({"compare": ["dob", "dob"]}, "twice")]


@pytest.mark.parametrize(("choices", "words"), NONSENSE)
def test_a_choice_that_makes_no_sense_is_refused(connection, choices, words):
    with pytest.raises(ValueError, match=words):
        score(connection, TWINS, **choices)
