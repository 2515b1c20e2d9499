"""One measured piece of work of the benchmark `identity`, in a process of its own.

`python -m referral_pipeline_tests.benchmarks.identity_task TASK FOLDER [RECORDS]` prints one JSON object: seconds of
the work, without reading its input, and the peak resident memory of this process (of the largest one, with children).
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from referral_pipeline.identity import probable_model as model
from referral_pipeline.identity.canonical_bulk import canonical_emails, canonical_phones
from referral_pipeline.identity.population import resolve_changes, resolve_population
from referral_pipeline.identity.population_tables import Matching, PopulationTables
from referral_pipeline.identity.probable import score_probable
from referral_pipeline.identity.probable_splink import (
    LOWEST_WEIGHT,
    SAMPLED_PAIRS,
    SEED,
    TRAINING_PAIRS,
    quiet,
)
from referral_pipeline.identity.probable_units import SCRATCH, make_units
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.benchmarks.identity_data import synthetic_records

_MEMORY = "4GB"
_TABLES = PopulationTables("people", "review", "links")


def _measured(work: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
    started = time.perf_counter()
    more = work() or {}
    seconds = time.perf_counter() - started
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {"seconds": round(seconds, 1), "peak_gib": round(peak / 2**20, 2), **more}


def make(home: Path, records: int) -> dict[str, Any]:
    """Write so many synthetic records."""
    frame = synthetic_records(records, seed=7)
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), home / "records.parquet")
    return {}


def canonical(home: Path) -> dict[str, Any]:
    """Canonical addresses and numbers of all records."""
    table = pq.read_table(home / "records.parquet")
    emails, phones = table["email"].to_pylist(), table["phone"].to_pylist()
    keys: list[list[list[str]]] = []

    def work() -> None:
        mails = canonical_emails([text for text in emails if text])
        numbers = canonical_phones([(text, "US") for text in phones if text])
        keys.append([[mails[text]] if text in mails else [] for text in emails])
        keys.append([[numbers[(text, "US")]] if (text, "US") in numbers else [] for text in phones])

    measured = _measured(work)
    for name, values in zip(("email_keys", "phone_keys"), keys, strict=True):
        table = table.append_column(name, pa.array(values, pa.list_(pa.string())))
    pq.write_table(table, home / "canonical.parquet")
    return measured


def rules(home: Path) -> dict[str, Any]:
    """The deterministic rules over all records, then over 1,000 new records on top of them."""
    with _warehouse(home).connect() as connection:
        names = "record_id, first_name, last_name, email_keys, phone_keys, NULL::TIMESTAMPTZ AS first_seen_at"
        connection.execute(f"CREATE TABLE everybody AS SELECT {names} FROM '{home / 'canonical.parquet'}'")

        def work() -> dict[str, Any]:
            report = resolve_population(connection, source="everybody", tables=_TABLES, matching=Matching())
            return {"persons": report.persons, "looked_at_one_by_one": report.contested}

        measured = _measured(work)
        connection.execute(
            f"COPY (SELECT record.*, person.person_id FROM '{home / 'canonical.parquet'}' AS record"
            f" JOIN {_TABLES.people} AS person USING (record_id)) TO '{home / 'persons.parquet'}'"
        )
        # As they come: half of them somebody who is known, half of them nobody yet.
        connection.execute(
            """
            INSERT INTO everybody
            SELECT 'new:' || row_number() OVER (), first_name, last_name,
                CASE WHEN random() < 0.5 THEN email_keys ELSE ['new' || record_id || '@example.org'] END, [], NULL
            FROM (FROM everybody USING SAMPLE reservoir(1000 ROWS) REPEATABLE (7))
            """
        )
        added = connection.execute("SELECT record_id FROM everybody WHERE starts_with(record_id, 'new:')").fetchall()

        def more() -> dict[str, Any]:
            report = resolve_changes(
                connection, source="everybody", tables=_TABLES, matching=Matching(), changed=[i for (i,) in added]
            )
            return {"touched": report.touched}

        on_top = _measured(more)
        found = _measured(
            lambda: {
                "touched": resolve_changes(connection, source="everybody", tables=_TABLES, matching=Matching()).touched
            }
        )
        return {
            **measured,
            "on_top_seconds": on_top["seconds"],
            "on_top_touched": on_top["touched"],
            "nothing_changed_seconds": found["seconds"],
        }


def review(home: Path) -> dict[str, Any]:
    """Probable duplicates over the residue: from records to the listed pairs."""
    with _warehouse(home).connect() as connection:
        _load(connection, home, "person_id")

        def work() -> dict[str, Any]:
            report = score_probable(connection, source="record", out="pair")
            return {"scored_pairs": report.pairs_scored, "listed_pairs": report.pairs_listed}

        return _measured(work)


def splink(home: Path) -> dict[str, Any]:
    """Splink alone: all records, its own linker, frequencies and training; the same comparisons and blocking.

    The columns that it compares (folded names, parts of addresses, blocks) are made by the same code; how long that
    took is told apart, for nobody could compare in this way without them.
    """
    from splink import DuckDBAPI, Linker

    with _warehouse(home).connect() as connection:
        _load(connection, home, "record_id")
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"CREATE SCHEMA {SCRATCH}")
        started = time.perf_counter()
        units = make_units(connection, "record", (), SCRATCH)
        prepared = time.perf_counter() - started
        connection.execute(f"SET schema = '{SCRATCH}'")

        def work() -> dict[str, Any]:
            blocking = [f"l.{block} = r.{block}" for block in units.blocks.values()]
            settings = model.settings(model.comparisons(units), 1e-6, blocking)
            linker = Linker(DuckDBAPI(connection=connection).register("unit"), settings, log_level=None)
            training = linker.training
            training.estimate_probability_two_random_records_match([blocking[0]], recall=0.7)
            training.estimate_u_using_random_sampling(
                max_pairs=SAMPLED_PAIRS, seed=SEED, min_count_per_level=None, num_chunks=1
            )
            for rule in model.training_rules(units).values():
                training.estimate_parameters_using_expectation_maximisation(
                    rule, estimate_without_term_frequencies=True, max_pairs=TRAINING_PAIRS
                )
            found = linker.inference.predict(threshold_match_weight=LOWEST_WEIGHT, warning_mode="never")
            count = connection.execute(f"SELECT count(*) FROM {found.physical_name}").fetchall()
            return {"scored_pairs": count[0][0], "preparation_seconds": round(prepared, 1)}

        with quiet():
            return _measured(work)


def _warehouse(home: Path) -> Warehouse:
    path = home / f"{time.time_ns()}.duckdb"
    return Warehouse(path, home=home, published_dir=home, memory_limit=_MEMORY)


def _load(connection: Any, home: Path, person: str) -> None:
    connection.execute(f"""
        CREATE TABLE record AS
        SELECT record_id, {person} AS person_id, first_name, last_name, email_keys, phone_keys, country
        FROM '{home / "persons.parquet"}'
    """)


if __name__ == "__main__":
    task, folder, *rest = sys.argv[1:]
    chosen = {"make": make, "canonical": canonical, "rules": rules, "review": review, "splink": splink}[task]
    print(json.dumps(chosen(Path(folder), *map(int, rest))))
