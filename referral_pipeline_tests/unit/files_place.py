"""A folder of exports with a connector, a ledger and a warehouse around it: set-up shared by the tests of files."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from referral_pipeline.connectors.files import FilesConnector
from referral_pipeline.connectors.files_book import Book
from referral_pipeline.connectors.files_options import FilesOptions
from referral_pipeline.connectors.records import AdvocacyStaged, Row, StatusUpdate
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline.warehouse.ingest import ingest
from referral_pipeline.warehouse.store import Warehouse

HASH_KEY = "a long enough key for tests"
REFERRAL = {
    "id": "R1",
    "advocate_id": "A1",
    "job_id": "7",
    "submitted_at": "2026-11-02 09:30",
    "first_name": "Ada",
    "last_name": "Lovelace",
    "email": "ada@example.com",
    "country": "DE",
    "consent_granted": "yes",
    "consent_basis": "form",
}
LONG_AGO = datetime(2026, 11, 3, tzinfo=UTC)


@dataclass
class Place:
    """A folder of drops, the state beside it, and what a pull leaves in a warehouse."""

    home: Path
    ledger: Ledger
    warehouse: Warehouse
    options: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def folder(self) -> Path:
        return self.home / "drops"

    def connector(self) -> FilesConnector:
        """As a process of its own would have it."""
        book = Book(self.home / "state" / "files.sqlite", self.home / "outbox")
        options = FilesOptions(folder="drops", **{"settle_seconds": 0.0, **self.options})
        return FilesConnector(options, folder=self.folder, book=book, hash_key=lambda: HASH_KEY)

    def drop(self, name: str, rows: Sequence[Mapping[str, Any]], *, at: datetime = LONG_AGO) -> Path:
        """A CSV file that was written then."""
        self.folder.mkdir(exist_ok=True)
        path = self.folder / name
        columns = list(dict.fromkeys(key for row in rows for key in row))
        with path.open("w", newline="", encoding="utf-8") as sheet:
            writer = csv.DictWriter(sheet, columns)
            writer.writeheader()
            writer.writerows(rows)
        os.utime(path, (at.timestamp(), at.timestamp()))
        return path

    def pull(self, entity: str = "referrals", *, full: bool = False) -> int:
        """One pull into the warehouse; how many rows came."""
        connector = self.connector()
        try:
            return ingest(
                connector,
                entity,
                warehouse=self.warehouse,
                ledger=self.ledger,
                now=datetime.now(UTC),
                lookback=timedelta(0),
                full_every=timedelta(0) if full else timedelta(days=1),
            ).new_or_changed
        finally:
            connector.close()

    def pull_all(self) -> None:
        """One pull of each entity, as a run makes it."""
        self.folder.mkdir(exist_ok=True)
        for entity in ("advocates", "content", "shares", "clicks", "referrals"):
            self.pull(entity)

    def raw(self, entity: str = "referrals") -> list[Row]:
        return list(self.warehouse.raw_rows("files", entity))

    def staged(self) -> AdvocacyStaged:
        return self.connector().stage(self.raw)


def update(status: CandidateStatus = CandidateStatus.INTERVIEWED, *, hours: float = 0) -> StatusUpdate:
    at = datetime(2026, 11, 10, 12, tzinfo=UTC) + timedelta(hours=hours)
    return StatusUpdate("R1", status, at, "greenhouse", "c1", "a1")


def outbox(place: Place, name: str) -> list[dict[str, str]]:
    with (place.home / "outbox" / f"{name}.csv").open(newline="", encoding="utf-8") as sheet:
        return list(csv.DictReader(sheet))
