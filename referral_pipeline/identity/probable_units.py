# ruff: noqa: S608 - names in these queries are constants, quoted columns, or relations that the caller names
"""What probable duplicates are compared by: one unit for each distinct way in which a person's records look.

Belongs here: folded names, parts of addresses, blocks, and frequencies, as tables in SQL. Does not belong here: what a
likeness is worth (probable_model), scoring (probable).

A record with several addresses or phones gives as many units, each with one of either; units of one person that are
equal in everything compared are one. Work is linear: Python sees every distinct name once and no record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from duckdb import DuckDBPyConnection

from referral_pipeline.identity.names import Name
from referral_pipeline.identity.short_forms import full_names_of

SCRATCH: Final = "probable_scratch"
"""Schema of the intermediate tables; it holds personal data, and is gone when the call ends."""

BLOCK_LIMIT = 60
"""Units of one block that are compared all with all, at most: a more frequent value makes no pairs by itself."""

COUNTED_OF_ONE = 10
"""Units of one person that the statistics know, at most: one with a thousand addresses is no thousand people."""

_SHARE_OF_DATES = 0.9
_FOLD = (("ae", "a"), ("oe", "o"), ("ue", "u"), ("aa", "a"))


@dataclass(frozen=True)
class Extra:
    """A column that the caller wants compared too: its name, its column in the units, and whether it holds dates."""

    name: str
    column: str
    is_date: bool


@dataclass(frozen=True)
class Units:
    """What was made: counts, extra columns, and the block columns by the words that describe them."""

    records: int
    persons: int
    units: int
    extras: tuple[Extra, ...]
    blocks: dict[str, str]
    frequencies: tuple[str, ...]
    pattern_repeats: float
    """How probable it is that two namesakes have made the name part of their address from their name alike."""


def make_units(connection: DuckDBPyConnection, source: str, compare: Sequence[str], schema: str) -> Units:
    """Make `unit`, `member` (record_id, unit_id) and `tf_COLUMN` in `schema` from the relation `source`.

    `counted` are the units that what is learnt goes by: all, but of one person not more than `COUNTED_OF_ONE`.
    """
    run = connection.execute
    extras = tuple(_extra(connection, source, name, f"c{n}") for n, name in enumerate(compare))
    _fold_names(connection, source, schema)
    picked = "".join(f", {_extra_sql(extra)} AS {extra.column}" for extra in extras)
    columns = ["given", "family", "email", "phone", "country", *(extra.column for extra in extras)]
    listed = ", ".join(columns)
    run(f"""
        CREATE OR REPLACE TABLE {schema}.look AS
        SELECT source.record_id, source.person_id, first.words AS given, first.forms AS forms, last.words AS family,
            mail.email, mail.phone, source.country{picked}
        FROM {source} AS source
        LEFT JOIN {schema}.first_word AS first ON first.name = source.first_name
        LEFT JOIN {schema}.last_word AS last ON last.name = source.last_name,
        LATERAL (
            SELECT unnest(list_transform(
                range(1, greatest(1, coalesce(len(source.email_keys), 0), coalesce(len(source.phone_keys), 0)) + 1),
                lambda i: {{
                    'email': source.email_keys[least(i, len(source.email_keys))],
                    'phone': source.phone_keys[least(i, len(source.phone_keys))]
                }}
            ), max_depth := 2)
        ) AS mail
    """)
    run(f"""
        CREATE OR REPLACE TABLE {schema}.plain AS
        SELECT row_number() OVER (ORDER BY person_id, {listed}) AS unit_id, person_id, min(record_id) AS record_id,
            any_value(forms) AS forms, {listed}
        FROM {schema}.look
        GROUP BY person_id, {listed}
    """)
    same = " AND ".join(f"plain.{name} IS NOT DISTINCT FROM look.{name}" for name in columns)
    run(f"""
        CREATE OR REPLACE TABLE {schema}.member AS
        SELECT DISTINCT look.record_id, plain.unit_id
        FROM {schema}.look AS look JOIN {schema}.plain AS plain ON plain.person_id = look.person_id AND {same}
    """)
    blocks = _make_keys(connection, schema, extras)
    # By a hash: in the order of the units those of one first name would stand together.
    run(f"""
        CREATE OR REPLACE TABLE {schema}.surplus AS
        SELECT unit_id
        FROM {schema}.unit
        WHERE person_no IN (SELECT person_no FROM {schema}.unit GROUP BY person_no HAVING count(*) > {COUNTED_OF_ONE})
        QUALIFY row_number() OVER (PARTITION BY person_no ORDER BY hash(unit_id), unit_id) > {COUNTED_OF_ONE}
    """)
    run(f"""
        CREATE OR REPLACE VIEW {schema}.counted AS
        SELECT * FROM {schema}.unit ANTI JOIN {schema}.surplus USING (unit_id)
    """)
    texts = [extra.column for extra in extras if not extra.is_date]
    frequencies = ("given", "family", "email", "local", "phone", *texts)
    for column in frequencies:
        _make_frequency(connection, schema, column)
    counts = _row(
        connection,
        f"SELECT (SELECT count(DISTINCT record_id) FROM {schema}.member), count(DISTINCT person_id), count(*) "
        f"FROM {schema}.unit",
    )
    repeats = _row(
        connection,
        f"""
        SELECT coalesce(sum(share * share), 1.0) FROM (
            SELECT count(*) / sum(count(*)) OVER () AS share FROM {schema}.counted WHERE pattern IS NOT NULL
            GROUP BY pattern
        )
        """,
    )[0]
    return Units(counts[0], counts[1], counts[2], extras, blocks, frequencies, float(repeats))


# ---------------------------------------------------------------- names


def _fold_names(connection: DuckDBPyConnection, source: str, schema: str) -> None:
    """`first_word` and `last_word`: every distinct name beside its folded words and the names it may stand for."""
    import pyarrow as pa

    firsts = _column(connection, f"SELECT DISTINCT first_name FROM {source} WHERE first_name IS NOT NULL")
    given = [" ".join(Name(name, None).given) for name in firsts]
    forms = [sorted({full for word in words.split() for full in full_names_of(word)}) for words in given]
    lasts = _column(connection, f"SELECT DISTINCT last_name FROM {source} WHERE last_name IS NOT NULL")
    family = [" ".join(Name(None, name).family) for name in lasts]
    tables = {
        "first_word": pa.table(
            {
                "name": pa.array(firsts, pa.string()),
                "words": pa.array([words or None for words in given], pa.string()),
                "forms": pa.array(forms, pa.list_(pa.string())),
            }
        ),
        "last_word": pa.table(
            {
                "name": pa.array(lasts, pa.string()),
                "words": pa.array([words or None for words in family], pa.string()),
            }
        ),
    }
    for name, table in tables.items():
        connection.register("probable_folded", table)
        try:
            connection.execute(f"CREATE OR REPLACE TABLE {schema}.{name} AS FROM probable_folded")
        finally:
            connection.unregister("probable_folded")


# ---------------------------------------------------------------- keys and frequencies


def _make_keys(connection: DuckDBPyConnection, schema: str, extras: Sequence[Extra]) -> dict[str, str]:
    """`unit`: `plain` with the parts of its address, a number for its person, and one column for each block."""
    letters = "regexp_replace(local, '[^\\p{L}]', '', 'g')"
    for long, short in _FOLD:
        letters = f"replace({letters}, '{long}', '{short}')"
    connection.execute(f"""
        CREATE OR REPLACE TABLE {schema}.parts AS
        SELECT *, replace(given, ' ', '') AS g, replace(family, ' ', '') AS f,
            strip_accents({letters}) AS letters, regexp_replace(local, '[\\p{{L}}]', '', 'g') AS others
        FROM (SELECT *, nullif(split_part(email, '@', 1), '') AS local FROM {schema}.plain)
    """)
    pattern = """
        CASE
            WHEN regexp_matches(others, '[0-9]') OR letters = '' THEN NULL
            WHEN letters = g || f OR list_contains(list_transform(forms, lambda x: x || f), letters) THEN 'gf'
            WHEN letters = f || g THEN 'fg'
            WHEN letters = left(g, 1) || f THEN '1f'
            WHEN letters = f || left(g, 1) THEN 'f1'
            WHEN letters = g || left(f, 1) THEN 'g1'
            WHEN letters = g THEN 'g'
            WHEN letters = f THEN 'f'
        END || others
    """
    keys = {
        "e-mail": "email",
        "phone": "phone",
        "name part of the e-mail": "local",
        "letters of the e-mail": "CASE WHEN length(letters) >= 5 THEN letters END",
        "full name": "least(g, f) || '|' || greatest(g, f)",
        "last name, start of the first": "f || '|' || left(g, 2)",
        "first name, start of the last": "g || '|' || left(f, 2)",
        "starts of both names": "least(left(g, 3), left(f, 3)) || '|' || greatest(left(g, 3), left(f, 3))",
        "last name": "f",
        "first name": "g",
        "start of the e-mail": "CASE WHEN length(local) >= 6 THEN left(local, 5) END",
        "name and start of the e-mail": "f || '|' || left(g, 1) || '|' || left(local, 2)",
    }
    for extra in extras:
        value = extra.column
        keys[extra.name] = value
        keys[f"{extra.name}, start of the first name"] = f"{value} || '|' || left(g, 2)"
        keys[f"{extra.name}, start of the last name"] = f"{value} || '|' || left(f, 2)"
        if extra.is_date:
            keys[f"year of {extra.name}, start of the first name"] = f"left({value}, 4) || '|' || left(g, 2)"
            keys[f"month of {extra.name}, start of the last name"] = f"left({value}, 7) || '|' || left(f, 1)"
            for other in extras:
                if other is not extra:
                    keys[f"month of {extra.name}, {other.name}"] = f"left({value}, 7) || '|' || {other.column}"
    columns = {words: f"b{number}" for number, words in enumerate(keys)}
    hashed = ", ".join(f"hash({sql}) AS h{n}, ({sql}) IS NULL AS n{n}" for n, sql in enumerate(keys.values()))
    guarded = ", ".join(
        f"CASE WHEN NOT n{n} AND count(*) OVER (PARTITION BY h{n}) BETWEEN 2 AND {BLOCK_LIMIT} THEN h{n} END AS b{n}"
        for n in range(len(keys))
    )
    wanted = ", ".join(extra.column for extra in extras)
    connection.execute(f"""
        CREATE OR REPLACE TABLE {schema}.unit AS
        SELECT unit_id, dense_rank() OVER (ORDER BY person_id) AS person_no, person_id, record_id,
            given, family, forms, email, local, phone, pattern,
            CASE WHEN length(f) >= 3 AND contains(letters, f) OR length(g) >= 3 AND contains(letters, g)
                THEN regexp_replace(others, '[^0-9]', '', 'g') END AS rest,
            {wanted + "," if wanted else ""} {guarded}
        FROM (SELECT *, {pattern} AS pattern, {hashed} FROM {schema}.parts)
        ORDER BY unit_id
    """)
    return columns


def _make_frequency(connection: DuckDBPyConnection, schema: str, column: str) -> None:
    """`tf_COLUMN`: how probable it is that somebody else has this value.

    Of the persons who have it, the two of the pair in question do not count: without that, a value which two records
    of one person share would look as if it were common. Half a person stands for those we have not met.
    """
    connection.execute(f"""
        CREATE OR REPLACE TABLE {schema}.tf_{column} AS
        SELECT {column}, greatest(count(DISTINCT person_no) - 2, 0) + 0.5 AS others,
            others / (SELECT count(DISTINCT person_no) FROM {schema}.unit WHERE {column} IS NOT NULL) AS tf_{column}
        FROM {schema}.unit WHERE {column} IS NOT NULL
        GROUP BY {column} ORDER BY {column}
    """)
    connection.execute(f"ALTER TABLE {schema}.tf_{column} DROP COLUMN others")


# ---------------------------------------------------------------- extra columns


def _extra(connection: DuckDBPyConnection, source: str, name: str, column: str) -> Extra:
    quoted = quote(name)
    share = _row(
        connection,
        f"SELECT coalesce(avg((try_cast({quoted} AS DATE) IS NOT NULL)::INT), 0) FROM {source} "
        f"WHERE nullif(trim({quoted}::VARCHAR), '') IS NOT NULL",
    )[0]
    return Extra(name, column, float(share) >= _SHARE_OF_DATES)


def _extra_sql(extra: Extra) -> str:
    value = f"source.{quote(extra.name)}"
    if extra.is_date:
        return f"try_cast({value} AS DATE)::VARCHAR"
    return f"nullif(lower(trim(strip_accents({value}::VARCHAR))), '')"


def quote(name: str) -> str:
    """A column name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def _row(connection: DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    return connection.execute(sql).fetchall()[0]


def _column(connection: DuckDBPyConnection, sql: str) -> list[str]:
    return [row[0] for row in connection.execute(sql).fetchall()]
