"""Which records may influence each other, and which of those neighbourhoods are plain, in SQL.

Belongs here: shared keys, connected components, folded names over a whole population. Does not belong here: what
follows from them (population), the rules for the others (resolve).

A neighbourhood is a connected component of records over shared keys, confirmed links and decisions, found by random
contraction (Boegeholz, Brand, Todor, "In-database connected component analysis", ICDE 2020): each round maps every
record to a random neighbour or itself, which removes a constant part of the nodes, so the work is linear in the edges.

The tables are temporary and are named population_*. In comes population_record: record_id, first_name, last_name,
email_keys, phone_keys, n (a number from 0, in the order of record_id), and population_links: left_id, right_id, kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
from duckdb import DuckDBPyConnection

from referral_pipeline.identity.names import Name

_MOST_ROUNDS: Final = 200
"""Of contraction; each removes a constant part of the nodes, so that a billion need about a hundred at the worst."""


def find_shared_keys(connection: DuckDBPyConnection, columns: Sequence[str]) -> None:
    """population_key: every key that more than one record carries, by its rank, with its smallest record.

    `columns` hold the keys, strongest kind first; the rank of a key is its column's place.
    """
    keys = " UNION ALL ".join(
        f"SELECT n, {rank} AS rank, unnest(list_distinct({column})) AS key FROM population_record"
        for rank, column in enumerate(columns)
    )
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE population_key AS
        WITH key AS MATERIALIZED ({keys}),
        shared AS (
            SELECT rank, key, min(n) AS head FROM key WHERE key IS NOT NULL GROUP BY rank, key HAVING count(*) > 1
        )
        SELECT key.n, key.rank, key.key, shared.head
        FROM key
        JOIN shared ON shared.key = key.key AND shared.rank = key.rank
        """
    )


def find_neighbourhoods(connection: DuckDBPyConnection) -> None:
    """population_home: each record that has a neighbour, with the smallest record of its neighbourhood."""
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE population_number AS
        WITH named AS (SELECT left_id AS id FROM population_links UNION SELECT right_id FROM population_links)
        SELECT
            named.id,
            coalesce(
                record.n,
                -- What is no record gets a number after them all.
                ((SELECT count(*) FROM population_record) + row_number() OVER (ORDER BY record.n, named.id))::INTEGER
            ) AS n
        FROM named
        LEFT JOIN population_record AS record ON record.record_id = named.id
        """
    )
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE population_edge AS
        SELECT DISTINCT a, b
        FROM (
            SELECT head AS a, n AS b FROM population_key WHERE head <> n
            UNION ALL
            SELECT least(l.n, r.n), greatest(l.n, r.n)
            FROM population_links AS links
            JOIN population_number AS l ON l.id = links.left_id
            JOIN population_number AS r ON r.id = links.right_id
            WHERE l.n <> r.n
        )
        """
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE population_root AS"
        " SELECT n, n AS root FROM (SELECT a AS n FROM population_edge UNION SELECT b FROM population_edge)"
    )
    for number in range(_MOST_ROUNDS):
        if not one_row(connection, "SELECT count(*) FROM population_edge")[0]:
            break
        connection.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE population_step AS
            SELECT v, arg_min(w, hash(w, {number})) AS target
            FROM (
                SELECT a AS v, b AS w FROM population_edge
                UNION ALL
                SELECT b, a FROM population_edge
                UNION ALL
                SELECT a, a FROM population_edge
                UNION ALL
                SELECT b, b FROM population_edge
            )
            GROUP BY v
            """
        )
        connection.execute(
            """
            CREATE OR REPLACE TEMP TABLE population_root AS
            SELECT root.n, coalesce(step.target, root.root) AS root
            FROM population_root AS root
            LEFT JOIN population_step AS step ON step.v = root.root
            """
        )
        connection.execute(
            """
            CREATE OR REPLACE TEMP TABLE population_edge AS
            SELECT DISTINCT least(a.target, b.target) AS a, greatest(a.target, b.target) AS b
            FROM population_edge AS edge
            JOIN population_step AS a ON a.v = edge.a
            JOIN population_step AS b ON b.v = edge.b
            WHERE a.target <> b.target
            """
        )
    else:
        raise RuntimeError("the neighbourhoods do not come to rest")
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE population_home AS
        SELECT record.n, home.home, home.members > 1 AS has_others
        FROM population_root AS record
        JOIN (
            SELECT root, min(n) AS home, count(*) FILTER (WHERE is_record) AS members
            FROM (SELECT *, n < (SELECT count(*) FROM population_record) AS is_record FROM population_root)
            GROUP BY root
        ) AS home ON home.root = record.root
        WHERE record.n < (SELECT count(*) FROM population_record)
        """
    )


def find_plain(connection: DuckDBPyConnection) -> None:
    """population_plain: the neighbourhoods in which everybody carries one full name and no decision speaks."""
    near = "population_record WHERE n IN (SELECT n FROM population_home)"
    firsts = [text for (text,) in connection.execute(f"SELECT DISTINCT first_name FROM {near}").fetchall()]
    lasts = [text for (text,) in connection.execute(f"SELECT DISTINCT last_name FROM {near}").fetchall()]
    connection.register(
        "population_given", given(("name", "folded"), [(i, "".join(Name(i, None).given)) for i in firsts])
    )
    family = [(Name(None, i), i) for i in lasts]
    connection.register(
        "population_family",
        given(("name", "folded", "generation"), [(i, "".join(n.family), n.generation or "") for n, i in family]),
    )
    # What makes the key is what Name.agreement_key makes it of; a test holds the two together.
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE population_plain AS
        SELECT home.home
        FROM population_home AS home
        JOIN population_record AS record ON record.n = home.n
        JOIN population_given AS given ON given.name IS NOT DISTINCT FROM record.first_name
        JOIN population_family AS family ON family.name IS NOT DISTINCT FROM record.last_name
        GROUP BY home.home
        HAVING
            bool_and(given.folded <> '' AND family.folded <> '')
            AND count(
                DISTINCT least(given.folded, family.folded) || '|' || greatest(given.folded, family.folded)
                || '|' || family.generation
            ) = 1
            AND home.home NOT IN (
                SELECT decided.home
                FROM population_links AS links
                JOIN population_number AS number ON number.id IN (links.left_id, links.right_id)
                JOIN population_home AS decided ON decided.n = number.n
                WHERE links.kind = 'cannot'
            )
        """
    )
    connection.unregister("population_given")
    connection.unregister("population_family")


def given(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> Any:
    """Rows of text as a relation of these columns."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    return pa.table({name: pa.array(values, pa.string()) for name, values in zip(names, columns, strict=True)})


def one_row(connection: DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    """The only row of an answer."""
    return connection.execute(sql).fetchall()[0]
