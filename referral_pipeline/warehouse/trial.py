# ruff: noqa: S608 - every name in these queries is a constant of this module
"""A trial of the identity rules on an export, before go-live: no ledger, no contract, no vendor.

Belongs here: the way from a CSV file to persons and pairs to review. Does not belong here: reading rows (trial_file),
the rules (resolve), scores (probable), arguments and drawing (cli_resolve).

Everything in between is in a temporary folder that only this user can read, and gone at the end.
"""

from __future__ import annotations

import csv
import itertools
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from referral_pipeline.identity.canonical_bulk import Phone, canonical_emails, canonical_phones
from referral_pipeline.identity.population import resolve_population
from referral_pipeline.identity.population_tables import Matching, PopulationTables
from referral_pipeline.identity.probable import ProbableReport, score_probable
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline.warehouse.trial_file import Export, Rejected, TrialError, open_export, open_text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Sink = Callable[[str, int, int], None]

_BATCH = 50_000
_MEMORY = "3GB"
_EVERY_PAIR_UP_TO: Final = 100
"""Record pairs of two persons that are all listed; of larger ones one line says as much, and a person can read it."""

_LINES = 'SELECT * FROM trial_line ORDER BY probability DESC NULLS LAST, "left", "right", evidence'


@dataclass(frozen=True)
class Trial:
    """What came of it. `merged` counts the records that joined another's person; `lines` those of the review file."""

    records: int
    rejected: tuple[Rejected, ...]
    missing: tuple[str, ...]
    persons: int
    merged: int
    rule_pairs: int
    person_pairs: int
    lines: int
    report: ProbableReport


def run_trial(
    file: Path,
    *,
    people: Path,
    review: Path,
    rejected: Path | None = None,
    compare: Sequence[str] = (),
    threshold: float,
    shared_mailbox_limit: int,
    sink: Sink = lambda what, done, total: None,
) -> Trial:
    """Resolve the export at `file`; write `people` (record_id, person_id) and `review`.

    `review` has left, right (record ids), probability (empty where nothing was there to score) and evidence: a line for
    each pair of records of two persons that may be one, the most probable first. One line, with the nearest records,
    stands for two persons with many records; one with their first records for a pair that only the rules doubt, and
    nothing scores. `people` tells whom such a line stands for. `rejected` gets line and reason of
    each row that was set aside. Files appear whole or not at all.

    Raises:
        TrialError: the file or a choice cannot be used.
        OSError: a file cannot be read or written.
    """
    outputs = [path for path in (people, review, rejected) if path is not None]
    if len({path.resolve() for path in (file, *outputs)}) < len(outputs) + 1:
        raise TrialError("one file is named twice: give the input and each output a file of its own")
    with tempfile.TemporaryDirectory(prefix="referral-pipeline-") as folder, open_text(file) as stream:
        export = open_export(stream, compare=compare)
        warehouse = Warehouse("trial.duckdb", home=Path(folder), published_dir=Path(folder), memory_limit=_MEMORY)
        with warehouse.connect() as connection:
            connection.execute("SET enable_progress_bar = false")
            _load(connection, export, sink)
            _canonical(connection, sink)
            sink("matching", 0, 3)
            _resolve(connection, shared_mailbox_limit)
            sink("matching", 1, 3)
            _source(connection, compare)
            report = score_probable(
                connection,
                source="trial_source",
                out="trial_pair",
                compare=compare,
                threshold=threshold,
                also="trial_review",
            )
            sink("matching", 2, 3)
            lines = _review_lines(connection)
            _write(connection, "SELECT record_id, person_id FROM trial_person ORDER BY record_id", people)
            _write(connection, _LINES, review)
            if rejected is not None:
                _write_rejected(export.rejected, rejected)
            sink("matching", 3, 3)
            counts = _row(
                connection,
                "SELECT count(*), count(DISTINCT person_id), (SELECT count(*) FROM trial_review), "
                "(SELECT count(*) FROM trial_found) FROM trial_person",
            )
    records, persons, rule_pairs, person_pairs = counts
    return Trial(
        records=records,
        rejected=tuple(export.rejected),
        missing=export.missing,
        persons=persons,
        merged=records - persons,
        rule_pairs=rule_pairs,
        person_pairs=person_pairs,
        lines=lines,
        report=report,
    )


# ---------------------------------------------------------------- records


def _load(connection: DuckDBPyConnection, export: Export, sink: Sink) -> None:
    import pyarrow as pa

    columns = [f"v{number}" for number in range(len(export.names))]
    connection.execute(f"CREATE TABLE trial_row ({', '.join(f'{name} VARCHAR' for name in columns)})")
    rows, done = export.rows(), 0
    while batch := list(itertools.islice(rows, _BATCH)):
        values = zip(*batch, strict=True)
        table = pa.table({name: pa.array(column, pa.string()) for name, column in zip(columns, values, strict=True)})
        _with(connection, "trial_batch", table, "INSERT INTO trial_row FROM trial_batch")
        done += len(batch)
        sink("reading", done, done + 1)
    sink("reading", done, done)


def _canonical(connection: DuckDBPyConnection, sink: Sink) -> None:
    """`trial_email` and `trial_phone`: the canonical form of each distinct value that has one."""
    import pyarrow as pa

    emails = [row[0] for row in connection.execute("SELECT DISTINCT v3 FROM trial_row WHERE v3 IS NOT NULL").fetchall()]
    found = canonical_emails(emails, progress=lambda done, total: sink("e-mail addresses", done, total))
    table = pa.table({"text": pa.array(found.keys(), pa.string()), "key": pa.array(found.values(), pa.string())})
    _with(connection, "trial_batch", table, "CREATE TABLE trial_email AS FROM trial_batch")
    phones: list[Phone] = connection.execute("SELECT DISTINCT v4, v5 FROM trial_row WHERE v4 IS NOT NULL").fetchall()
    known = canonical_phones(phones, progress=lambda done, total: sink("phone numbers", done, total))
    table = pa.table(
        {
            "text": pa.array([number for number, _ in known], pa.string()),
            "country": pa.array([country for _, country in known], pa.string()),
            "key": pa.array(known.values(), pa.string()),
        }
    )
    _with(connection, "trial_batch", table, "CREATE TABLE trial_phone AS FROM trial_batch")
    connection.execute("""
        CREATE TABLE trial_record AS
        SELECT v0 AS record_id, v1 AS first_name, v2 AS last_name, v5 AS country,
            CASE WHEN mail.key IS NULL THEN []::VARCHAR[] ELSE [mail.key] END AS email_keys,
            CASE WHEN phone.key IS NULL THEN []::VARCHAR[] ELSE [phone.key] END AS phone_keys,
            NULL::TIMESTAMPTZ AS first_seen_at,
            trial_row.* EXCLUDE (v0, v1, v2, v3, v4, v5)
        FROM trial_row
        LEFT JOIN trial_email AS mail ON mail.text = v3
        LEFT JOIN trial_phone AS phone ON phone.text = v4 AND phone.country IS NOT DISTINCT FROM v5
    """)


# ---------------------------------------------------------------- persons and pairs


def _resolve(connection: DuckDBPyConnection, shared_mailbox_limit: int) -> None:
    """Run the rules.

    Makes `trial_person` (record_id, person_id, match_method) and `trial_review` (left_person_id, right_person_id,
    evidence).
    """
    resolve_population(
        connection,
        source="trial_record",
        tables=PopulationTables("trial_person", "trial_review", "trial_link"),
        matching=Matching(shared_mailbox_limit=shared_mailbox_limit),
    )


def _source(connection: DuckDBPyConnection, compare: Sequence[str]) -> None:
    extra = "".join(f', v{number} AS "{name.replace(chr(34), chr(34) * 2)}"' for number, name in enumerate(compare, 6))
    connection.execute(f"""
        CREATE VIEW trial_source AS
        SELECT record_id, person_id, first_name, last_name, email_keys, phone_keys, country{extra}
        FROM trial_record JOIN trial_person USING (record_id)
    """)


def _review_lines(connection: DuckDBPyConnection) -> int:
    """`trial_line`: the lines of the review file; answers their number."""
    connection.execute("""
        CREATE TABLE trial_found AS
        SELECT coalesce(left_person, left_person_id) AS left_person,
            coalesce(right_person, right_person_id) AS right_person, left_record, right_record, probability,
            concat_ws('; ', rule.evidence, pair.evidence) AS evidence
        FROM trial_pair AS pair
        FULL JOIN trial_review AS rule ON left_person = left_person_id AND right_person = right_person_id
    """)
    connection.execute(f"""
        CREATE TABLE trial_line AS
        WITH size AS (
            SELECT person_id, count(*) AS records, min(record_id) AS first FROM trial_person GROUP BY person_id
        )
        SELECT least(l.record_id, r.record_id) AS "left", greatest(l.record_id, r.record_id) AS "right", probability,
            evidence
        FROM trial_found AS found
        JOIN size AS many ON many.person_id = left_person JOIN size AS more ON more.person_id = right_person
        JOIN trial_person AS l ON l.person_id = left_person JOIN trial_person AS r ON r.person_id = right_person
        WHERE (probability IS NOT NULL AND many.records * more.records <= {_EVERY_PAIR_UP_TO})
            OR (l.record_id = coalesce(left_record, many.first) AND r.record_id = coalesce(right_record, more.first))
    """)
    return _row(connection, "SELECT count(*) FROM trial_line")[0]


# ---------------------------------------------------------------- files


def _write(connection: DuckDBPyConnection, query: str, path: Path) -> None:
    part = _beside(path)
    try:
        with part.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            answer = connection.execute(query)
            writer.writerow([column[0] for column in answer.description or []])
            while rows := answer.fetchmany(_BATCH):
                writer.writerows(rows)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write_rejected(rejected: Sequence[Rejected], path: Path) -> None:
    part = _beside(path)
    try:
        with part.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["line", "reason"])
            writer.writerows((one.line, one.reason) for one in rejected)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _with(connection: DuckDBPyConnection, name: str, table: Any, sql: str) -> None:
    connection.register(name, table)
    try:
        connection.execute(sql)
    finally:
        connection.unregister(name)


def _row(connection: DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    return connection.execute(sql).fetchall()[0]
