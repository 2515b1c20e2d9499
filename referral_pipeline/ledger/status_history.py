"""Status history: every status that an application reached, with its time and source.

Belongs here: appending and reading it, on an open connection. Does not belong here: transactions (store.py), what a
status is (connectors), intervals (warehouse).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from referral_pipeline.ledger import tables
from referral_pipeline.ledger.engine import enter
from referral_pipeline.ledger.records import StatusFact
from referral_pipeline.vocabulary import CandidateStatus


def append(connection: Connection, facts: Sequence[StatusFact], *, now: datetime) -> int:
    """Append these; answers how many were new. At least one."""
    rows = [{**vars(fact), "recorded_at": now} for fact in sorted(facts, key=_by_application)]
    return len(enter(connection, tables.status_history, rows, "id"))


def every(connection: Connection) -> list[StatusFact]:
    """Every status of every application, in the order in which the ATS recorded them."""
    table = tables.status_history
    query = sa.select(table).order_by(table.c.system, table.c.application_id, table.c.at, table.c.id)
    return [
        StatusFact(row.system, row.application_id, CandidateStatus(row.status), row.at, row.source_event)
        for row in connection.execute(query)
    ]


def _by_application(fact: StatusFact) -> tuple[str, str, datetime]:
    return fact.system, fact.application_id, fact.at
