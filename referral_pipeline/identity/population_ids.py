"""Person ids for all persons of a population at once, by the rule of `resolve`.

Belongs here: which person keeps an earlier id, and new ones. Does not belong here: who is one person (population,
resolve).
"""

from __future__ import annotations

from duckdb import DuckDBPyConnection

from referral_pipeline.identity.neighbourhoods import given
from referral_pipeline.identity.resolve import new_person_id


def give_ids(connection: DuckDBPyConnection) -> None:
    """population_id: the person id of each component, as `resolve` gives them."""
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE population_claim AS
        WITH claim AS (
            SELECT
                component.component,
                arg_min(
                    {
                        seen_at: coalesce(record.first_seen_at, 'infinity'::TIMESTAMPTZ),
                        record_id: record.record_id,
                        person_id: previous.person_id
                    },
                    (coalesce(record.first_seen_at, 'infinity'::TIMESTAMPTZ), record.record_id)
                ) AS earliest
            FROM population_previous AS previous
            JOIN population_record AS record ON record.record_id = previous.record_id
            JOIN population_component AS component ON component.n = record.n
            GROUP BY component.component
        )
        SELECT component, earliest.person_id
        FROM claim
        WHERE earliest.person_id NOT IN (FROM population_taken)
        QUALIFY row_number() OVER (PARTITION BY earliest.person_id ORDER BY earliest.seen_at, earliest.record_id) = 1
        """
    )
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE population_id AS
        SELECT
            component.component,
            coalesce(claim.person_id, 'per_' || left(sha256(record.record_id), 16)) AS person_id,
            claim.person_id IS NULL AS is_new,
            record.record_id
        FROM (SELECT DISTINCT component FROM population_component) AS component
        JOIN population_record AS record ON record.n = component.component
        LEFT JOIN population_claim AS claim ON claim.component = component.component
        """
    )
    # A new id that is taken, by a person who was split off or by chance, is made again with a number.
    collided = connection.execute(
        """
        SELECT record_id
        FROM population_id
        WHERE
            is_new
            AND (
                person_id IN (FROM population_taken)
                OR person_id IN (SELECT person_id FROM population_id GROUP BY person_id HAVING count(*) > 1)
            )
        ORDER BY record_id
        """
    ).fetchall()
    if not collided:
        return
    taken = {
        person_id
        for (person_id,) in connection.execute(
            "SELECT person_id FROM population_id WHERE NOT is_new UNION ALL FROM population_taken"
        ).fetchall()
    }
    again: list[tuple[str, str]] = []
    for (record_id,) in collided:
        person_id = new_person_id(record_id, taken)
        taken.add(person_id)
        again.append((record_id, person_id))
    connection.register("population_given", given(("record_id", "person_id"), again))
    connection.execute(
        "UPDATE population_id SET person_id = given.person_id"
        " FROM population_given AS given WHERE population_id.record_id = given.record_id"
    )
    connection.unregister("population_given")
