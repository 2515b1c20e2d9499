"""Everybody at once: the rules of `resolve` over a whole population in DuckDB, and over what changed in it.

Belongs here: the order of the steps, and keeping the outcome as tables. Does not belong here: what a change touches
(population_changes), finding the neighbourhoods (neighbourhoods), person ids (population_ids), the rules for names and
shared keys (resolve), where records come from (warehouse), scoring of what the rules leave open (probable).

How it works
1. Records that share no key and no link, directly or through others, cannot influence each other: they are different
   neighbourhoods, connected components that SQL finds in time linear in the edges.
2. A neighbourhood whose names are full, few and all alike is one person: every key and link in it joins. Most are so.
3. The others, where names contradict or are missing or a decision speaks, go through `resolve`, as one event of the
   lane does. So batch and event cannot differ, and a property test holds both to it.
4. Person ids are given out over all at once, by the rule of `resolve`.

A change touches its own neighbourhoods only: those that it was in, and those that it shares a key or link with now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
from duckdb import DuckDBPyConnection

from referral_pipeline.identity.neighbourhoods import (
    find_neighbourhoods,
    find_plain,
    find_shared_keys,
    given,
    one_row,
)
from referral_pipeline.identity.population_changes import find_changed, find_touched
from referral_pipeline.identity.population_ids import give_ids
from referral_pipeline.identity.population_tables import COLUMNS, FINGERPRINT, KEYS_OF, Matching, PopulationTables
from referral_pipeline.identity.resolve import EMAIL, PHONE, Record, resolve, still_binds

RULES_VERSION: Final = 3
"""Raised when the rules change: what was resolved under others is then resolved anew."""

Pairs = Iterable[tuple[str, str]]
"""Pairs of record ids."""


@dataclass(frozen=True)
class PopulationReport:
    """How many there are, and what was done.

    `touched` records were resolved now (all of them, or those around a change), `contested` of them one neighbourhood
    at a time.
    """

    records: int
    persons: int
    review_pairs: int
    touched: int
    contested: int


def resolve_population(
    connection: DuckDBPyConnection,
    *,
    source: str,
    tables: PopulationTables,
    matching: Matching,
    previous: Mapping[str, str] | None = None,
    must_link: Pairs = (),
    cannot_link: Pairs = (),
) -> PopulationReport:
    """Resolve every record of a relation to a person. Run it in a transaction: the tables are replaced one by one.

    Args:
        connection: where the relation is, and where the tables are made.
        source: a table or view of record_id VARCHAR ("system:id", each once), first_name, last_name, email_keys and
            phone_keys VARCHAR[] (canonical, see `canonical`), first_seen_at TIMESTAMPTZ. Personal data.
        tables: the tables to make.
        matching: the contract's rules.
        previous: record id -> person id of an earlier resolution.
        must_link: pairs of record ids that are confirmed to be one person.
        cannot_link: pairs that were decided to be two; it outranks `must_link`.

    Raises:
        ValueError: a record id comes twice or is missing, or a kind of key is unknown.
    """
    _require(connection, source, matching)
    _load_links(connection, must_link, cannot_link)
    _load_previous(connection, previous or {})
    connection.execute(f"CREATE OR REPLACE TEMP TABLE population_touched AS SELECT {COLUMNS} FROM {source}")
    connection.execute("CREATE OR REPLACE TEMP TABLE population_taken (person_id VARCHAR)")
    contested = _resolve_touched(connection, matching)
    connection.execute(f"CREATE OR REPLACE TABLE {tables.people} AS FROM population_people ORDER BY record_id")
    connection.execute(
        f"CREATE OR REPLACE TABLE {tables.review} AS FROM population_review ORDER BY left_person_id, right_person_id"
    )
    connection.execute(f"CREATE OR REPLACE TABLE {tables.links} AS FROM population_links ORDER BY ALL")
    return _finish(connection, tables, contested)


def resolve_changes(
    connection: DuckDBPyConnection,
    *,
    source: str,
    tables: PopulationTables,
    matching: Matching,
    previous: Mapping[str, str] | None = None,
    must_link: Pairs = (),
    cannot_link: Pairs = (),
    changed: Sequence[str] | None = None,
) -> PopulationReport:
    """Bring the outcome of an earlier call up to date. Run it in a transaction.

    The outcome is that of `resolve_population` with the earlier persons as `previous`; only what changed and its
    neighbourhoods are resolved.

    Args:
        connection: where the relation and the tables are.
        source: all records as they are now, as for `resolve_population`.
        tables: those that an earlier call made, under the same `matching` and `RULES_VERSION`.
        matching: the contract's rules.
        previous: person ids known from elsewhere, which outrank those in the table.
        must_link: all links as they are now.
        cannot_link: all decisions as they are now.
        changed: ids of the records that were added, changed or removed; None to find them by their fingerprints, one
            pass over all records.

    Raises:
        ValueError: as `resolve_population`.
    """
    if changed is None:
        _require(connection, source, matching)
    _load_links(connection, must_link, cannot_link)
    _load_previous(connection, previous or {})
    find_changed(connection, source, tables, changed)
    find_touched(connection, source, tables, matching)
    contested = _resolve_touched(connection, matching)
    connection.execute(
        f"DELETE FROM {tables.review} WHERE left_person_id IN (SELECT person_id FROM population_before)"
        " OR right_person_id IN (SELECT person_id FROM population_before)"
    )
    connection.execute(f"DELETE FROM {tables.people} WHERE record_id IN (SELECT record_id FROM population_before)")
    connection.execute(f"INSERT INTO {tables.people} BY NAME FROM population_people")
    connection.execute(f"INSERT INTO {tables.review} BY NAME FROM population_review")
    connection.execute(f"CREATE OR REPLACE TABLE {tables.links} AS FROM population_links ORDER BY ALL")
    return _finish(connection, tables, contested)


def binding_links(connection: DuckDBPyConnection, source: str, links: Pairs) -> list[tuple[str, str]]:
    """Those of the confirmed links that still bind (`resolve.still_binds`), in their order.

    Only pairs without a common key have their names compared, which few are.
    """
    pairs = list(links)
    connection.register("population_given", given(("left_id", "right_id"), pairs))
    doubtful = connection.execute(
        f"""
        SELECT given.left_id, l.first_name, l.last_name, given.right_id, r.first_name, r.last_name
        FROM population_given AS given
        JOIN {source} AS l ON l.record_id = given.left_id
        JOIN {source} AS r ON r.record_id = given.right_id
        WHERE NOT list_has_any(l.email_keys, r.email_keys) AND NOT list_has_any(l.phone_keys, r.phone_keys)
        """
    ).fetchall()
    connection.unregister("population_given")
    loose = {
        (a, b)
        for a, first_a, last_a, b, first_b, last_b in doubtful
        if not still_binds(_named(a, first_a, last_a), _named(b, first_b, last_b))
    }
    return [pair for pair in pairs if pair not in loose]


# ---------------------------------------------------------------- parts


def _require(connection: DuckDBPyConnection, source: str, matching: Matching) -> None:
    unknown = set(matching.match_on) - KEYS_OF.keys()
    if unknown:
        raise ValueError(f"match_on has unknown kinds: {', '.join(sorted(unknown))}")
    total, distinct = one_row(connection, f"SELECT count(*), count(DISTINCT record_id) FROM {source}")
    if total != distinct:
        raise ValueError("a record id comes twice, or is missing")


def _load_links(connection: DuckDBPyConnection, must_link: Pairs, cannot_link: Pairs) -> None:
    rows = {(min(pair), max(pair), "must") for pair in must_link}
    rows |= {(min(pair), max(pair), "cannot") for pair in cannot_link}
    connection.register("population_given", given(("left_id", "right_id", "kind"), sorted(rows)))
    connection.execute("CREATE OR REPLACE TEMP TABLE population_links AS FROM population_given")
    connection.unregister("population_given")


def _load_previous(connection: DuckDBPyConnection, previous: Mapping[str, str]) -> None:
    connection.register("population_given", given(("record_id", "person_id"), list(previous.items())))
    connection.execute("CREATE OR REPLACE TEMP TABLE population_previous AS FROM population_given")
    connection.unregister("population_given")


def _resolve_touched(connection: DuckDBPyConnection, matching: Matching) -> int:
    """population_people and population_review from population_touched; how many records were contested."""
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE population_record AS
        SELECT *, row_number() OVER (ORDER BY record_id)::INTEGER - 1 AS n, {FINGERPRINT} AS fingerprint
        FROM population_touched
        """
    )
    find_shared_keys(connection, [KEYS_OF[kind] for kind in matching.match_on])
    find_neighbourhoods(connection)
    find_plain(
        connection,
        limit=matching.shared_mailbox_limit,
        email_rank=matching.match_on.index(EMAIL) if EMAIL in matching.match_on else None,
    )
    contested = _resolve_contested(connection, matching)
    give_ids(connection)
    kinds = "".join(f" WHEN {rank} THEN '{kind}'" for rank, kind in enumerate(matching.match_on))
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE population_people AS
        SELECT
            record.record_id,
            id.person_id,
            CASE
                WHEN found.match_method IS NOT NULL THEN found.match_method
                WHEN home.home IS NULL OR NOT home.has_others THEN 'single'
                ELSE coalesce(CASE own.rank {kinds} END, 'link')
            END AS match_method,
            record.first_seen_at,
            coalesce(head.record_id, record.record_id) AS neighbourhood,
            record.fingerprint
        FROM population_record AS record
        JOIN population_component AS component ON component.n = record.n
        JOIN population_id AS id ON id.component = component.component
        LEFT JOIN population_home AS home ON home.n = record.n
        LEFT JOIN population_record AS head ON head.n = home.home
        LEFT JOIN population_found AS found ON found.record_id = record.record_id
        LEFT JOIN (SELECT n, min(rank) AS rank FROM population_key GROUP BY n) AS own ON own.n = record.n
        """
    )
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE population_review AS
        SELECT
            least(l.person_id, r.person_id) AS left_person_id,
            greatest(l.person_id, r.person_id) AS right_person_id,
            doubt.evidence,
            doubt.is_decided
        FROM population_doubt AS doubt
        JOIN population_label AS l_label ON l_label.label = doubt.left_label
        JOIN population_label AS r_label ON r_label.label = doubt.right_label
        JOIN population_id AS l ON l.component = l_label.component
        JOIN population_id AS r ON r.component = r_label.component
        """
    )
    return contested


def _resolve_contested(connection: DuckDBPyConnection, matching: Matching) -> int:
    """population_component: the component of each record, as its smallest record. Also population_found and _doubt."""
    rows = connection.execute(
        """
        SELECT
            record.record_id,
            record.first_name,
            record.last_name,
            list(key.rank) FILTER (WHERE key.rank IS NOT NULL),
            list(key.key) FILTER (WHERE key.rank IS NOT NULL),
            -- also those that nobody shares: two people of one name and mailbox are told by their phones
            any_value(record.phone_keys)
        FROM population_home AS home
        JOIN population_record AS record ON record.n = home.n
        LEFT JOIN population_key AS key ON key.n = home.n
        WHERE home.home NOT IN (FROM population_plain)
        GROUP BY record.record_id, record.first_name, record.last_name
        """
    ).fetchall()
    links = connection.execute(
        """
        SELECT links.left_id, links.right_id, links.kind
        FROM population_links AS links
        JOIN population_number AS l ON l.id = links.left_id
        JOIN population_root AS root ON root.n = l.n
        WHERE root.root IN (
            SELECT root FROM population_root WHERE n IN (
                SELECT n FROM population_home WHERE home NOT IN (FROM population_plain)
            )
        )
        """
    ).fetchall()
    records = [_record(row, matching) for row in rows]
    resolution = resolve(
        records,
        must_link=[(a, b) for a, b, kind in links if kind == "must"],
        cannot_link=[(a, b) for a, b, kind in links if kind == "cannot"],
        shared_mailbox_limit=matching.shared_mailbox_limit,
        match_on=matching.match_on,
    )
    found = [(i, label, resolution.method_of[i]) for i, label in resolution.person_of.items()]
    connection.register("population_given", given(("record_id", "label", "match_method"), found))
    connection.execute("CREATE OR REPLACE TEMP TABLE population_found AS FROM population_given")
    doubts = [(p.left_person, p.right_person, p.evidence) for p in resolution.review]
    decided = pa.array([pair.is_decided for pair in resolution.review], pa.bool_())
    connection.register(
        "population_given",
        given(("left_label", "right_label", "evidence"), doubts).append_column("is_decided", decided),
    )
    connection.execute("CREATE OR REPLACE TEMP TABLE population_doubt AS FROM population_given")
    connection.unregister("population_given")
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE population_label AS
        SELECT found.label, min(record.n) AS component
        FROM population_found AS found
        JOIN population_record AS record ON record.record_id = found.record_id
        GROUP BY found.label
        """
    )
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE population_component AS
        SELECT record.n, coalesce(label.component, home.home, record.n) AS component
        FROM population_record AS record
        LEFT JOIN population_home AS home ON home.n = record.n
        LEFT JOIN population_found AS found ON found.record_id = record.record_id
        LEFT JOIN population_label AS label ON label.label = found.label
        """
    )
    return len(records)


def _finish(connection: DuckDBPyConnection, tables: PopulationTables, contested: int) -> PopulationReport:
    records, persons = one_row(connection, f"SELECT count(*), count(DISTINCT person_id) FROM {tables.people}")
    pairs = one_row(connection, f"SELECT count(*) FROM {tables.review}")[0]
    touched = one_row(connection, "SELECT count(*) FROM population_touched")[0]
    names = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE temporary AND starts_with(table_name, 'population_')"
    ).fetchall()
    for (name,) in names:  # they hold personal data, and memory
        connection.execute(f"DROP TABLE temp.{name}")
    return PopulationReport(records, persons, pairs, touched, contested)


_UNDATED: Final = datetime.max.replace(tzinfo=UTC)


def _record(row: tuple[Any, ...], matching: Matching) -> Record:
    record_id, first, last, ranks, keys, phones = row
    of: dict[str, list[str]] = {EMAIL: [], PHONE: list(phones or ())}
    for rank, key in sorted(zip(ranks or (), keys or (), strict=True)):
        if matching.match_on[rank] != PHONE:
            of[matching.match_on[rank]].append(key)
    # The time is left out: only the person ids depend on it, and those are given out over all at once.
    return Record(record_id, tuple(of[EMAIL]), tuple(of[PHONE]), first, last, _UNDATED)


def _named(record_id: str, first: str | None, last: str | None) -> Record:
    return Record(record_id, (), (), first, last, _UNDATED)
