"""Links: which referral is which person, candidate and application.

Belongs here: keeping, changing and finding links, on an open connection. Does not belong here: transactions (store.py),
what a link says (sync).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from referral_pipeline.ledger import tables
from referral_pipeline.ledger.engine import upsert
from referral_pipeline.ledger.prepared import Prepared, Through
from referral_pipeline.ledger.records import Link
from referral_pipeline.ledger.transactions import parts
from referral_pipeline.vocabulary import Block, CandidateStatus

_some = sa.bindparam("some", expanding=True)
_links = tables.links.c
_LINK = sa.select(*(_links[one.name] for one in fields(Link)))
OF_REFERRALS = Prepared(_LINK.where(_links.referral_id.in_(_some)))
HELD_BY_JOBS = Prepared(_LINK.where(_links.job_id.in_(_some), _links.block == Block.JOB.value))
OF_PERSONS = Prepared(_LINK.where(_links.person_id.in_(_some)))
OF_APPLICATIONS = Prepared(_LINK.where(_links.system == sa.bindparam("of_system"), _links.application_id.in_(_some)))
OF_CANDIDATES = Prepared(_LINK.where(_links.system == sa.bindparam("of_system"), _links.candidate_id.in_(_some)))


def every(connection: Connection) -> list[Link]:
    """Every link, by referral id."""
    return [_link(row) for row in connection.execute(_LINK.order_by(_links.referral_id))]


def where(through: Through, query: Prepared, ids: Iterable[str], **values: str) -> list[Link]:
    """The links that one of the queries above finds for these ids, by referral id."""
    found = [_link(row) for some in parts(ids) for row in query.all(through, some=some, **values)]
    return sorted(found, key=lambda link: link.referral_id)


def save(connection: Connection, links: Sequence[Link], *, keep: tuple[str, ...], now: datetime) -> None:
    """Insert or overwrite links; of two for one referral the last stands. `keep` are fields to leave as they are."""
    rows: dict[str, dict[str, Any]] = {}
    for link in links:
        rows[link.referral_id] = dict(vars(link))
        rows[link.referral_id]["updated_at"] = link.updated_at or now
    upsert(connection, tables.links, list(rows.values()), keep=keep)


def change(connection: Connection, links: Sequence[Link], names: tuple[str, ...], *, unless_blocked: bool) -> None:
    """Overwrite only these fields of links that are there."""
    rows = [
        {"of_referral": link.referral_id, **{f"new_{name}": getattr(link, name) for name in names}}
        for link in sorted(links, key=lambda link: link.referral_id)
    ]
    _changing_links(names, unless_blocked).run(connection, rows)


@cache
def _changing_links(names: tuple[str, ...], unless_blocked: bool) -> Prepared:
    changing = sa.update(tables.links).where(_links.referral_id == sa.bindparam("of_referral"))
    if unless_blocked:
        changing = changing.where(_links.block.is_(None))
    return Prepared(changing.values({name: sa.bindparam(f"new_{name}") for name in names}))


def _link(row: Sequence[Any]) -> Link:
    link = Link(*row)
    return link if link.status is None else replace(link, status=CandidateStatus(link.status))
