"""Every column that others read has a sentence, and every sentence is about a column that is there."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from referral_pipeline.kpis.advocates import build_advocates
from referral_pipeline.kpis.compute import compute_kpis
from referral_pipeline.orchestration.bridge import PUBLISHED_TABLES
from referral_pipeline.orchestration.catalog import CATALOG
from referral_pipeline.orchestration.lineage import LINEAGE
from referral_pipeline.warehouse.api_capability import build_api_capability
from referral_pipeline.warehouse.attribution_validation import build_attribution_validation
from referral_pipeline.warehouse.descriptions import describe, described_tables
from referral_pipeline.warehouse.field_accuracy import build_field_accuracy
from referral_pipeline.warehouse.schema_drift import build_schema_drift
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.unit.core_world import AS_OF, World

SHOWN_LAYERS = ("core", "mart", "ops")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Every table that the pipeline builds, of nobody."""
    world = World(tmp_path_factory.mktemp("described")).build()
    compute_kpis(world.warehouse, world.contract, as_of=AS_OF)
    build_advocates(world.warehouse, world.contract, as_of=AS_OF, horizon_days=90)
    build_attribution_validation(world.warehouse, world.contract, changes=[], at=AS_OF)
    build_field_accuracy(world.warehouse, [])
    build_api_capability(world.warehouse, [])
    build_schema_drift(world.warehouse, [])
    return world.warehouse


@pytest.fixture(scope="module")
def built(warehouse: Warehouse) -> dict[str, list[str]]:
    """The columns of every table, by table."""
    found: dict[str, list[str]] = {}
    with warehouse.connect() as connection:
        for layer, table, column in connection.execute(
            "SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE NOT internal"
            " ORDER BY 1, 2, column_index"
        ).fetchall():
            found.setdefault(f"{layer}.{table}", []).append(column)
    return found


def test_every_column_of_every_table_that_is_published_has_a_sentence(built: dict[str, list[str]]):
    missing = [
        f"{table}.{column}"
        for table, columns in built.items()
        if table.partition(".")[0] in SHOWN_LAYERS
        for column in columns
        if (known := describe(table)) is None or column not in known.columns
    ]
    assert missing == []


def test_every_column_of_an_asset_that_is_shown_has_a_sentence(built: dict[str, list[str]]):
    missing = [
        f"{entry.table}.{column}"
        for entry in CATALOG
        if entry.table in built
        for column in entry.preview or built[entry.table]
        if (known := describe(entry.table)) is None or column not in known.columns
    ]
    assert missing == []


def test_no_sentence_is_about_a_column_that_is_not_there(built: dict[str, list[str]]):
    """A table that is not built here has its sentences ready; one that is built has no others."""
    stale = [
        f"{table}.{column}"
        for table in described_tables()
        if table in built and (known := describe(table)) is not None
        for column in known.columns
        if column not in built[table]
    ]
    assert stale == []


def test_what_is_said_is_a_sentence():
    for table in described_tables():
        known = describe(table)
        assert known is not None
        for sentence in (known.about, *known.columns.values()):
            assert sentence.endswith("."), (table, sentence)
            assert len(sentence) > len("The ATS"), (table, sentence)


def test_every_column_that_lineage_names_is_there(built: dict[str, list[str]]):
    tables = {entry.name: entry.table for entry in CATALOG}
    unknown = [
        f"{asset}.{column} from {source}"
        for asset, columns in LINEAGE.items()
        for column, sources in columns.items()
        for source in (f"{asset}.{column}", *sources)
        for upstream, _, name in [source.partition(".")]
        if name not in built.get(tables.get(upstream) or "", [])
    ]
    assert unknown == []


def test_the_published_copies_carry_the_sentences_with_them(warehouse: Warehouse, tmp_path: Path):
    built = [table for table in PUBLISHED_TABLES if warehouse.has_table(table)]
    paths = {path.stem: path for path in warehouse.publish(built) if path.suffix == ".parquet"}
    known = describe("mart.advocate")
    assert known is not None
    metadata = pq.read_schema(paths["advocate"]).metadata
    assert metadata[b"about"].decode() == known.about
    with warehouse.published() as connection:
        comments = dict(
            connection.execute(
                "SELECT column_name, comment FROM duckdb_columns()"
                " WHERE schema_name = 'mart' AND table_name = 'advocate'"
            ).fetchall()
        )
    assert comments == known.columns
