"""The steps of identity: all records are resolved to persons, and the pairs that people decide are written down.

Belongs here: the order inside these steps, over an open bridge. Does not belong here: dagster (the assets call the
bridge), who is who (identity, warehouse), reading decisions back (the review).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from referral_pipeline.identity.decisions import record_aliases
from referral_pipeline.identity.review_file import write_review_file
from referral_pipeline.orchestration.catalog import BY_NAME
from referral_pipeline.warehouse.people import PeopleReport, build_people

if TYPE_CHECKING:
    from referral_pipeline.orchestration.bridge import Bridge


def resolve_people(bridge: Bridge) -> PeopleReport:
    """Resolve all records to persons, write core.person, and remember ids and keys in the ledger.

    What the lane or a reviewer wrote of a record meanwhile stays; the next time takes it up.
    """
    as_read = bridge.ledger.identity_keys_as_read()  # before all else of the ledger: see there
    must_link = [
        (f"{bridge.advocacy.system}:{link.referral_id}", f"{bridge.ats.system}:{link.candidate_id}")
        for link in bridge.ledger.links()
        if link.candidate_id
    ]
    aliases = bridge.ledger.aliases(bridge.ats.system)
    must_link = [
        (a, f"{bridge.ats.system}:{aliases.get(b.partition(':')[2], b.partition(':')[2])}") for a, b in must_link
    ]
    with bridge.warehouse.connect():
        report = build_people(
            bridge.warehouse,
            as_read.persons,
            must_link,
            bridge.contract,
            decisions=bridge.ledger.identity_decisions(),
            aliases=record_aliases(bridge.ats.system, aliases),
        )
        gone = [
            f"{system}:{record_id}"
            for system, entity in ((bridge.advocacy.system, "referrals"), (bridge.ats.system, "candidates"))
            for record_id in bridge.warehouse.gone_ids(system, entity)
        ]
    keys = report.identity_keys(bridge.settings.secret("REFERRAL_PIPELINE_HASH_KEY"))
    # A record that no pull has shown yet is in neither: the lane may have made it a moment ago.
    bridge.ledger.refresh_identity_keys(as_read, keys, without=[*report.without_keys, *gone])
    return report


def write_review(bridge: Bridge) -> Path:
    """Write every pair of the review as a CSV to decide in, the open ones first, the likeliest first; its path.

    Decided ones are in it too, with their state. It is written with the published tables, whose persons it names.
    """
    rows = bridge.warehouse.frame(f"SELECT * FROM core.duplicate_review ORDER BY {BY_NAME['duplicate_review'].first}")  # noqa: S608
    return write_review_file(
        bridge.review_path,
        ({str(k): None if pd.isna(v) else v for k, v in row.items()} for row in rows.to_dict("records")),
    )
