"""What changed in a population, and which records it touches.

Belongs here: finding both with SQL, from the tables of an earlier resolution. Does not belong here: resolving what is
touched (population).
"""

from __future__ import annotations

from collections.abc import Sequence

from duckdb import DuckDBPyConnection

from referral_pipeline.identity.neighbourhoods import given
from referral_pipeline.identity.population_tables import COLUMNS, FINGERPRINT, KEYS_OF, Matching, PopulationTables


def find_changed(
    connection: DuckDBPyConnection, source: str, tables: PopulationTables, changed: Sequence[str] | None
) -> None:
    """population_changed: ids of records, or of what links name, that may be somebody else now."""
    if changed is None:
        found = f"""
            SELECT coalesce(now.record_id, before.record_id) AS record_id
            FROM (SELECT record_id, {FINGERPRINT} AS fingerprint FROM {source}) AS now
            FULL JOIN {tables.people} AS before ON before.record_id = now.record_id
            WHERE now.fingerprint IS DISTINCT FROM before.fingerprint
        """
    else:
        connection.register("population_given", given(("record_id",), [(i,) for i in changed]))
        found = "SELECT record_id FROM population_given"
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE population_changed AS
        WITH moved AS (
            -- Also what comes, or comes back, with an id that it had: somebody else may hold it by now.
            SELECT previous.record_id, previous.person_id
            FROM population_previous AS previous
            JOIN {source} AS now ON now.record_id = previous.record_id
            LEFT JOIN {tables.people} AS before ON before.record_id = previous.record_id
            WHERE before.person_id IS DISTINCT FROM previous.person_id
        ),
        relinked AS (
            (FROM population_links EXCEPT FROM {tables.links})
            UNION ALL
            (FROM {tables.links} EXCEPT FROM population_links)
        )
        SELECT record_id FROM ({found})
        UNION
        SELECT record_id FROM moved
        UNION -- whoever holds the id now that another record claims
        SELECT record_id FROM {tables.people} WHERE person_id IN (SELECT person_id FROM moved)
        UNION
        SELECT left_id FROM relinked
        UNION
        SELECT right_id FROM relinked
        """
    )
    if changed is not None:
        connection.unregister("population_given")


def find_touched(connection: DuckDBPyConnection, source: str, tables: PopulationTables, matching: Matching) -> None:
    """population_touched and population_before: the records around the changes, as they are and as they were."""
    near = " UNION ALL ".join(
        f"SELECT record_id FROM (SELECT record_id, unnest({column}) AS key FROM {source}) WHERE key IN ("
        f"SELECT unnest({column}) FROM {source} WHERE record_id IN (FROM population_changed))"
        for column in (KEYS_OF[kind] for kind in matching.match_on)
    )
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE population_near AS
        WITH RECURSIVE linked AS ( -- a link may name what has no record, and goes on from there
            SELECT record_id FROM population_changed
            UNION
            SELECT CASE WHEN links.left_id = linked.record_id THEN links.right_id ELSE links.left_id END
            FROM linked
            JOIN (FROM population_links UNION FROM {tables.links}) AS links
                ON links.left_id = linked.record_id OR links.right_id = linked.record_id
        )
        SELECT record_id FROM linked
        UNION
        SELECT record_id FROM ({near})
        """
    )
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE population_before AS
        SELECT record_id, person_id
        FROM {tables.people}
        WHERE
            neighbourhood IN (
                SELECT neighbourhood FROM {tables.people} WHERE record_id IN (FROM population_near)
            )
        """
    )
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE population_touched AS
        SELECT {COLUMNS}
        FROM {source}
        WHERE record_id IN (FROM population_changed UNION SELECT record_id FROM population_before)
        """
    )
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE population_taken AS
        SELECT DISTINCT person_id
        FROM {tables.people}
        WHERE record_id NOT IN (SELECT record_id FROM population_before)
        """
    )
    connection.execute(
        """
        INSERT INTO population_previous
        SELECT record_id, person_id
        FROM population_before
        WHERE record_id NOT IN (SELECT record_id FROM population_previous)
        """
    )
