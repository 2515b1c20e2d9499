"""A whole population resolved in DuckDB: the same as record by record, and the same after changes as from the start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from duckdb import DuckDBPyConnection
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.identity.names import Likeness, Name, likeness
from referral_pipeline.identity.population import (
    PopulationReport,
    binding_links,
    resolve_changes,
    resolve_population,
)
from referral_pipeline.identity.population_tables import Matching, PopulationTables
from referral_pipeline.identity.resolve import Record, resolve
from referral_pipeline.warehouse.store import Warehouse

START = datetime(2026, 1, 1, tzinfo=UTC)
TABLES = PopulationTables("staging.person_state", "staging.person_review", "staging.person_link")
Pairs = Sequence[tuple[str, str]]


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBPyConnection]:
    folder: Path = tmp_path_factory.mktemp("population")
    with Warehouse(str(folder / "w.duckdb"), home=folder, published_dir=folder / "published").connect() as opened:
        yield opened


def record(
    record_id: str, name: str = "", *, email: str | None = None, phone: str | None = None, day: int = 0
) -> Record:
    first, _, last = name.partition(" ")
    return Record(
        record_id,
        (email,) if email else (),
        (phone,) if phone else (),
        first or None,
        last or None,
        START + timedelta(days=day),
    )


def load(connection: DuckDBPyConnection, records: Sequence[Record]) -> None:
    rows = pa.table(
        {
            "record_id": pa.array([r.record_id for r in records], pa.string()),
            "first_name": pa.array([r.first_name for r in records], pa.string()),
            "last_name": pa.array([r.last_name for r in records], pa.string()),
            "email_keys": pa.array([list(r.email_keys) for r in records], pa.list_(pa.string())),
            "phone_keys": pa.array([list(r.phone_keys) for r in records], pa.list_(pa.string())),
            "first_seen_at": pa.array([r.first_seen_at for r in records], pa.timestamp("us", "UTC")),
        }
    )
    connection.register("given_rows", rows)
    connection.execute("CREATE OR REPLACE TABLE staging.everybody AS FROM given_rows")
    connection.unregister("given_rows")


def whole(connection: DuckDBPyConnection, records: Sequence[Record], **options: Any) -> PopulationReport:
    load(connection, records)
    options = {"matching": Matching(), **options}
    return resolve_population(connection, source="staging.everybody", tables=TABLES, **options)


def changed(connection: DuckDBPyConnection, records: Sequence[Record], **options: Any) -> PopulationReport:
    load(connection, records)
    options = {"matching": Matching(), **options}
    return resolve_changes(connection, source="staging.everybody", tables=TABLES, **options)


def person_of(connection: DuckDBPyConnection) -> dict[str, str]:
    return dict(connection.execute(f"SELECT record_id, person_id FROM {TABLES.people}").fetchall())


def outcome(connection: DuckDBPyConnection) -> tuple[dict[str, tuple[str, str]], list[tuple[Any, ...]]]:
    people = connection.execute(f"SELECT record_id, person_id, match_method FROM {TABLES.people}").fetchall()
    review = connection.execute(f"FROM {TABLES.review} ORDER BY ALL").fetchall()
    return {i: (person, method) for i, person, method in people}, review


def by_the_rules(records: Sequence[Record], previous: Mapping[str, str], must: Pairs, cannot: Pairs):
    expected = resolve(
        records, previous=previous, must_link=must, cannot_link=cannot, shared_mailbox_limit=3
    )  # fmt: skip
    people = {i: (person, expected.method_of[i]) for i, person in expected.person_of.items()}
    return people, sorted((p.left_person, p.right_person, p.evidence, p.is_decided) for p in expected.review)


def test_a_population_of_nobody_is_nobody(connection: DuckDBPyConnection) -> None:
    report = whole(connection, [])
    assert (report.records, report.persons, report.review_pairs) == (0, 0, 0)


def test_records_of_one_name_and_mailbox_are_one_person_without_a_closer_look(connection: DuckDBPyConnection) -> None:
    report = whole(
        connection,
        [
            record("a:1", "Jane Müller", email="jm@example.com"),
            record("g:1", "Mueller Jane", email="jm@example.com"),
            record("a:2", "Bob Roe", email="bob@example.com"),
        ],
    )
    assert (report.persons, report.contested) == (2, 0)
    assert person_of(connection)["a:1"] == person_of(connection)["g:1"]


def test_a_new_record_touches_its_own_neighbourhood_only(connection: DuckDBPyConnection) -> None:
    known = [record(f"a:{n}", "Jane Doe", email=f"m{n // 2}@example.com") for n in range(40)]
    whole(connection, known)
    report = changed(connection, [*known, record("g:1", "Jane Doe", email="m3@example.com")])
    assert report.touched == 3
    assert person_of(connection)["g:1"] == person_of(connection)["a:6"] == person_of(connection)["a:7"]


def test_nothing_is_resolved_anew_when_nothing_changed(connection: DuckDBPyConnection) -> None:
    known = [record("a:1", "Jane Doe", email="m@example.com"), record("g:1", "Jane Doe", email="m@example.com")]
    whole(connection, known, must_link=[("a:1", "g:1")])
    before = outcome(connection)
    assert changed(connection, known, must_link=[("g:1", "a:1")]).touched == 0
    assert outcome(connection) == before


def test_a_record_that_bridged_two_people_leaves_two_when_it_goes(connection: DuckDBPyConnection) -> None:
    bridge = Record("b:1", ("one@example.com", "two@example.com"), (), "Jane", "Doe", START + timedelta(days=3))
    one = record("a:1", "Jane Doe", email="one@example.com", day=1)
    two = record("a:2", "Jane Doe", email="two@example.com", day=2)
    whole(connection, [one, two, bridge])
    first = person_of(connection)
    changed(connection, [one, two])
    assert set(first.values()) == {person_of(connection)["a:1"]}
    assert person_of(connection)["a:2"] != first["a:2"]
    assert "b:1" not in person_of(connection)
    changed(connection, [one, two, bridge])
    assert person_of(connection) == first


def test_an_id_of_a_person_elsewhere_is_never_given_out_again(connection: DuckDBPyConnection) -> None:
    # a:1 founds the person; when it leaves, the person stays with the record that was seen first.
    founder = record("a:1", "Jane Doe", email="one@example.com", day=9)
    earliest = record("z:1", "Jane Doe", email="one@example.com", day=1)
    whole(connection, [founder, earliest])
    held = person_of(connection)["z:1"]
    changed(connection, [record("a:1", "Jane Doe", email="other@example.com", day=9), earliest])
    assert person_of(connection)["z:1"] == held
    again = record("a:2", "Bob Roe", email="bob@example.com")
    changed(connection, [record("a:1", "Joan Doe", email="third@example.com", day=9), earliest, again])
    assert len(set(person_of(connection).values())) == 3


def test_a_person_known_elsewhere_by_another_id_takes_it(connection: DuckDBPyConnection) -> None:
    rows = [record("a:1", "Jane Doe", email="m@example.com"), record("a:2", "Bob Roe", email="b@example.com")]
    whole(connection, rows)
    report = changed(connection, rows, previous={"a:1": "per_known"})
    assert person_of(connection)["a:1"] == "per_known"
    assert report.touched == 1


def test_a_record_that_comes_back_as_somebody_else_does_not_bring_its_old_person_along(
    connection: DuckDBPyConnection,
) -> None:
    jane = record("g:1", "Jane Doe", email="jane@example.com", day=1)
    whole(connection, [record("a:1", "Jane Doe", email="jane@example.com"), jane])
    remembered = person_of(connection)
    changed(connection, [jane], previous=remembered)  # unreadable for a while
    changed(connection, [record("a:1", "Kim Poe", email="kim@example.com"), jane], previous=remembered)
    assert len(set(person_of(connection).values())) == 2


def test_a_link_that_leads_over_what_has_no_record_counts_when_it_comes_later(connection: DuckDBPyConnection) -> None:
    rows = [record("a:1", "Jane Doe"), record("a:2", "Jane Doe")]
    whole(connection, rows, must_link=[("a:1", "x:9")])
    changed(connection, rows, must_link=[("a:1", "x:9"), ("a:2", "x:9")])
    assert len(set(person_of(connection).values())) == 1
    changed(connection, rows, must_link=[("a:2", "x:9")])
    assert len(set(person_of(connection).values())) == 2


def test_a_link_binds_unless_names_contradict_and_nothing_is_in_common(connection: DuckDBPyConnection) -> None:
    load(
        connection,
        [
            record("a:1", "Jane Doe", email="m@example.com"),
            record("g:1", "Bob Roe", email="m@example.com"),
            record("a:2", "Jane Doe", email="j@example.com"),
            record("g:2", "Bob Roe", email="b@example.com"),
            record("g:3", "J. Doe", phone="+14155552671"),
        ],
    )
    links = [("a:1", "g:1"), ("a:2", "g:2"), ("a:2", "g:3"), ("a:2", "g:9")]
    assert binding_links(connection, "staging.everybody", links) == [links[0], links[2], links[3]]


def test_no_personal_data_is_left_behind_in_temporary_tables(connection: DuckDBPyConnection) -> None:
    whole(connection, [record("a:1", "Jane Doe", email="m@example.com")])
    left = connection.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall()
    assert left == []


@pytest.mark.parametrize("rows", [[record("a:1"), record("a:1")]])
def test_a_record_id_that_comes_twice_is_refused(connection: DuckDBPyConnection, rows: list[Record]) -> None:
    with pytest.raises(ValueError, match="comes twice"):
        whole(connection, rows)


FIRSTS = ["Jane", "J.", "Janet", "Bob", "Robert", "Dr. Jane", "Æsa", "", "Jean-Paul", "李"]
LASTS = ["Doe", "Roe", "van der Doe", "Doe Jr.", "Doe Sr.", "", "Müller", "Mueller"]


@given(st.sampled_from(FIRSTS), st.sampled_from(LASTS), st.sampled_from(FIRSTS), st.sampled_from(LASTS))
@settings(max_examples=15, deadline=None)
def test_names_are_compared_in_sql_as_they_are_one_by_one(
    connection: DuckDBPyConnection, first: str, last: str, other_first: str, other_last: str
) -> None:
    rows = [
        Record("a:1", ("m@example.com",), (), first, last, START),
        Record("a:2", ("m@example.com",), (), other_first, other_last, START),
    ]
    names = [Name(first, last), Name(other_first, other_last)]
    alike = names[0].agreement_key == names[1].agreement_key or likeness(*names) >= Likeness.COMPATIBLE
    assert (whole(connection, rows).contested == 0) == (alike and all(name.is_full for name in names))


def test_two_people_of_one_name_in_a_shared_mailbox_are_told_by_phones_that_nobody_shares(
    connection: DuckDBPyConnection,
) -> None:
    rows = [
        record("x:0", "John Doe", email="family@example.com"),
        record("x:1", "Janet Doe", email="family@example.com", phone="+14155552671"),
        record("x:2", "Janet Doe", email="family@example.com", phone="+14155552672", day=1),
    ]
    whole(connection, rows)
    assert outcome(connection) == by_the_rules(rows, {}, [], [])
    assert len(set(person_of(connection).values())) == 3


NAMES = st.sampled_from(
    ["Jane Doe", "J. Doe", "Janet Doe", "John Doe", "Bob Roe", "Robert Roe", "Robert Row", "Jane", ""]
)
RECORDS = st.lists(
    st.tuples(
        NAMES,
        st.lists(st.sampled_from([f"m{n}@example.com" for n in range(5)] + ["jobs@example.com"]), max_size=2),
        st.lists(st.sampled_from(["+14155552671", "+14155552672", "+14155552673"]), max_size=1),
        st.integers(0, 3),
    ),
    max_size=12,
).map(
    lambda rows: [
        Record(f"x:{n}", tuple(e), tuple(p), (name.partition(" ")[0] or None), name.partition(" ")[2] or None,
               START + timedelta(days=day))
        for n, (name, e, p, day) in enumerate(rows)
    ]
)  # fmt: skip
LINKS = st.lists(st.tuples(st.integers(0, 13), st.integers(0, 13)), max_size=3).map(
    lambda pairs: [(f"x:{a}", f"x:{b}") for a, b in pairs if a != b]
)
PREVIOUS = st.dictionaries(
    st.integers(0, 12).map(lambda n: f"x:{n}"), st.sampled_from(["per_1", "per_2", "per_3", "per_4"]), max_size=8
)


@given(RECORDS, LINKS, LINKS, PREVIOUS, st.randoms())
@settings(max_examples=15, deadline=None)
def test_everybody_at_once_is_as_the_rules_say(
    connection: DuckDBPyConnection,
    rows: list[Record],
    must: Pairs,
    cannot: Pairs,
    previous: dict[str, str],
    random: Any,
) -> None:
    expected = by_the_rules(rows, previous, must, cannot)
    random.shuffle(rows)
    whole(connection, rows, must_link=must, cannot_link=cannot, previous=previous)
    people, review = outcome(connection)
    assert people == expected[0]
    assert review == expected[1]


@given(RECORDS, RECORDS, LINKS, LINKS, LINKS, LINKS, st.data())
@settings(max_examples=15, deadline=None)
def test_what_changed_gives_what_a_rebuild_gives(
    connection: DuckDBPyConnection,
    before: list[Record],
    after: list[Record],
    must: Pairs,
    must_after: Pairs,
    cannot: Pairs,
    cannot_after: Pairs,
    data: st.DataObject,
) -> None:
    # Some records stay as they were, some change, some go and some come.
    kept = data.draw(st.sets(st.integers(0, 12)))
    now = [b if n in kept and (b := dict(enumerate(before)).get(n)) else a for n, a in enumerate(after)]
    whole(connection, before, must_link=must, cannot_link=cannot)
    earlier = person_of(connection)
    changed(connection, now, must_link=must_after, cannot_link=cannot_after)
    in_steps = outcome(connection)
    whole(connection, now, must_link=must_after, cannot_link=cannot_after, previous=earlier)
    assert outcome(connection) == in_steps
    assert changed(connection, now, must_link=must_after, cannot_link=cannot_after).touched == 0
