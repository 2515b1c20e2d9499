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

from referral_pipeline.identity.canonical import role_names
from referral_pipeline.identity.names import Likeness, Name, likeness, name_of

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


def find_plain(connection: DuckDBPyConnection, *, limit: int, email_rank: int | None) -> None:
    """population_plain: the neighbourhoods that are one person by any order of the rules, so that nobody need look.

    All names in one are full, at most `limit` of them are different, no two contradict or cannot be compared, no
    decision speaks, and no address of a function is among the keys.
    """
    _fold(connection)
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE population_alike AS
        SELECT home, count(DISTINCT name_key) AS names
        FROM population_name
        WHERE
            home NOT IN (
                SELECT decided.home
                FROM population_links AS links
                JOIN population_number AS number ON number.id IN (links.left_id, links.right_id)
                JOIN population_home AS decided ON decided.n = number.n
                WHERE links.kind = 'cannot'
            )
        GROUP BY home
        HAVING bool_and(is_full) AND count(DISTINCT name_key) <= $limit
        """,
        {"limit": limit},
    )
    connection.execute(
        """
        DELETE FROM population_alike
        WHERE home IN (
            SELECT home.home
            FROM population_key AS key
            JOIN population_home AS home ON home.n = key.n
            WHERE
                key.rank = $email_rank
                AND list_contains($roles, split_part(split_part(key.key, '@', 1), '+', 1))
        )
        """,
        {"email_rank": email_rank, "roles": role_names()},
    )
    _compare_names(connection)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE population_plain AS"
        " SELECT home FROM population_alike WHERE home NOT IN (SELECT home FROM population_unlike)"
    )


def _fold(connection: DuckDBPyConnection) -> None:
    """population_name: the names in each neighbourhood as they are written, with what makes two equal after folding."""
    # Folded over what is different, not over every record. The key is made as Name.agreement_key makes it.
    near = "population_record WHERE n IN (SELECT n FROM population_home)"
    firsts = [text for (text,) in connection.execute(f"SELECT DISTINCT first_name FROM {near}").fetchall()]
    lasts = [text for (text,) in connection.execute(f"SELECT DISTINCT last_name FROM {near}").fetchall()]
    connection.register(
        "population_first", given(("name", "folded"), [(i, "".join(Name(i, None).given)) for i in firsts])
    )
    families = [(i, Name(None, i)) for i in lasts]
    connection.register(
        "population_last",
        given(("name", "folded", "generation"), [(i, "".join(n.family), n.generation or "") for i, n in families]),
    )
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE population_name AS
        SELECT DISTINCT
            home.home,
            record.first_name,
            record.last_name,
            least(first.folded, last.folded) || '|' || greatest(first.folded, last.folded) || '|' || last.generation
                AS name_key,
            first.folded <> '' AND last.folded <> '' AS is_full
        FROM population_home AS home
        JOIN population_record AS record ON record.n = home.n
        JOIN population_first AS first ON first.name IS NOT DISTINCT FROM record.first_name
        JOIN population_last AS last ON last.name IS NOT DISTINCT FROM record.last_name
        """
    )
    connection.unregister("population_first")
    connection.unregister("population_last")


def _compare_names(connection: DuckDBPyConnection) -> None:
    """population_unlike: those of population_alike in which two names contradict, or cannot be compared."""
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE population_pair AS
        SELECT
            alike.home,
            l.first_name AS left_first, l.last_name AS left_last, r.first_name AS right_first, r.last_name AS right_last
        FROM population_alike AS alike
        JOIN population_name AS l ON l.home = alike.home
        JOIN population_name AS r ON r.home = alike.home AND r.name_key > l.name_key
        WHERE alike.names > 1
        """
    )
    columns = "left_first, left_last, right_first, right_last"
    pairs = connection.execute(f"SELECT DISTINCT {columns} FROM population_pair").fetchall()
    unlike = [(a, b, c, d) for a, b, c, d in pairs if likeness(name_of(a, b), name_of(c, d)) < Likeness.COMPATIBLE]
    connection.register("population_given", given(columns.split(", "), unlike))
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE population_unlike AS"
        f" SELECT DISTINCT home FROM population_pair SEMI JOIN population_given USING ({columns})"
    )
    connection.unregister("population_given")


def given(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> Any:
    """Rows of text as a relation of these columns."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    return pa.table({name: pa.array(values, pa.string()) for name, values in zip(names, columns, strict=True)})


def one_row(connection: DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    """The only row of an answer."""
    return connection.execute(sql).fetchall()[0]
