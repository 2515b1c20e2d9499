"""ops.attribution_validation: what is wrong between the applications in the ATS and their attribution.

Belongs here: the table from staging, core and what the ledger knows of changes, and reading it. Does not belong here:
the rule (sql/ops), what the ledger knows and what was read live (quality.attribution_validation).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from referral_pipeline.connectors.records import AtsApplication
from referral_pipeline.contract.models import Contract
from referral_pipeline.vocabulary import ATTRIBUTION_FIELDS
from referral_pipeline.warehouse.frames import columns, frame_of, frame_of_rows
from referral_pipeline.warehouse.store import Warehouse

__all__ = [
    "TABLE",
    "Compared",
    "TagChange",
    "build_attribution_validation",
    "compared",
    "ensure_attribution_validation",
    "note_validated",
    "validated_at",
]

TABLE = "ops.attribution_validation"
_KEY = "attribution_validated_at"
_FIRST_LOOK_BACK = timedelta(days=1)
"""How old a change may be to be news where nothing was validated before."""

_LIVE = columns(text=f"system id candidate_id source_name {' '.join(f'tag_{name}' for name in ATTRIBUTION_FIELDS)}")
_CHANGE = columns(text="system application_id kind finding referral_id", time="changed_at")
_USUAL_SOURCES = {
    "referral_id": {"referral.id"},
    "advocate_id": {"advocate.id", "referral.advocate_id"},
    "share_id": {"share.id", "referral.share_id"},
    "content_id": {"content.id"},
    "campaign_tag": {"referral.campaign_tag", "content.campaign_tag"},
}
"""Whence each field is mapped when it carries what its name says. One that carries another thing is not compared."""


@dataclass(frozen=True)
class TagChange:
    """What the ledger knows of an application: see staging.ledger_tag_change."""

    system: str
    application_id: str
    kind: str
    finding: str | None = None
    referral_id: str | None = None
    changed_at: datetime | None = None


@dataclass(frozen=True)
class Compared:
    """How many applications that a referral leads to and somebody has the credit for were compared; of them hires."""

    applications: int
    hires: int


def build_attribution_validation(
    warehouse: Warehouse,
    contract: Contract,
    *,
    changes: Sequence[TagChange],
    live: Iterable[AtsApplication] = (),
    at: datetime,
) -> int:
    """Replace the table; its row count.

    Args:
        warehouse: with staging and core built at the present moment.
        contract: for the mappings and the source.
        changes: what the ledger knows.
        live: applications that were read just now; they count instead of what the last pull showed.
        at: the moment of the validation, aware.

    Raises:
        ModelFailed: a table could not be built; it stays as it was.
    """
    ats = contract.ats
    sources = contract.tag_sources()
    with warehouse.transaction():
        since = validated_at(warehouse) or at - _FIRST_LOOK_BACK
        rows = [_live(application, ats.connector) for application in live]
        warehouse.replace("staging.ats_application_live", frame_of_rows(rows, _LIVE))
        warehouse.replace("staging.ledger_tag_change", frame_of(changes, _CHANGE))
        return warehouse.build(
            TABLE,
            advocacy_system=contract.advocacy.connector,
            fields=[name for name in ATTRIBUTION_FIELDS if sources.get(name) in _USUAL_SOURCES[name]],
            source_name=str(ats.options.get("source_name") or "") if sources else "",
            new_since=since.astimezone(UTC),
            checked_at=at.astimezone(UTC),
        )


def ensure_attribution_validation(warehouse: Warehouse, contract: Contract, *, at: datetime) -> None:
    """Make the table, empty, where there is none yet: it is published whether or not anything was judged.

    Raises:
        ModelFailed: a table could not be built.
    """
    if warehouse.has_table(TABLE):
        return
    with warehouse.transaction() as connection:
        build_attribution_validation(warehouse, contract, changes=[], at=at)
        connection.execute(f"DELETE FROM {TABLE}")  # noqa: S608 - a constant


def compared(warehouse: Warehouse) -> Compared:
    """How much was compared: without what was written after the pull, and what is gone, of which nothing is judged."""
    row = warehouse.frame(
        """
        SELECT count(*) AS applications, count(*) FILTER (WHERE attribution.status = 'hired') AS hires
        FROM core.attribution AS attribution
        SEMI JOIN staging.link AS link
            ON link.system = attribution.ats AND link.application_id = attribution.ats_application_id
            AND link.block IS NULL
        ANTI JOIN staging.ledger_tag_change AS change
            ON change.kind IN ('fresh', 'gone') AND change.system = attribution.ats
            AND change.application_id = attribution.ats_application_id
        WHERE attribution.channel = 'advocacy'
        """
    ).to_dict("records")[0]
    return Compared(applications=int(row["applications"]), hires=int(row["hires"]))


def validated_at(warehouse: Warehouse) -> datetime | None:
    """When attribution was last validated and told; None when never."""
    with warehouse.connect() as connection:
        found = connection.execute("SELECT value FROM ops.meta WHERE key = ?", [_KEY]).fetchall()
    return next((datetime.fromisoformat(str(value)) for (value,) in found), None)


def note_validated(warehouse: Warehouse, at: datetime) -> None:
    """Note that what was found up to then has been told."""
    with warehouse.transaction() as connection:
        connection.execute("INSERT OR REPLACE INTO ops.meta VALUES (?, ?)", [_KEY, at.astimezone(UTC).isoformat()])


def _live(application: AtsApplication, system: str) -> dict[str, Any]:
    return {
        "system": system,
        "id": application.id,
        "candidate_id": application.candidate_id,
        "source_name": application.source_name,
        **{f"tag_{name}": application.tags.get(name) for name in ATTRIBUTION_FIELDS},
    }
