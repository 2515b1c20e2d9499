"""Alerts that were fired: one row for each channel, counted until it is resolved.

Belongs here: keeping them. Does not belong here: when one is fired and how it is delivered (monitoring). No message
holds personal data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from referral_pipeline.ledger.records import AlertRecord
from referral_pipeline.ledger.tables import alerts
from referral_pipeline.ledger.transactions import Transactions

_ONE_FIRING = 7_302_114_950_166_035_459
"""PostgreSQL lets firings go one after the other: two at once would both find nothing open."""

_c = alerts.c
_RECORD = sa.select(
    _c.id,
    _c.name,
    _c.fingerprint,
    _c.severity,
    _c.message,
    _c.owner,
    _c.channel,
    _c.fired_at,
    sa.func.coalesce(_c.last_at, _c.fired_at, type_=_c.fired_at.type),
    _c.times,
    _c.delivered_at,
    _c.acknowledged_at,
    _c.acknowledged_by,
    _c.resolved_at,
    _c.details,
)
_OPEN = (
    _RECORD.where(_c.fingerprint == sa.bindparam("of_fingerprint"), _c.resolved_at.is_(None))
    .order_by(_c.id.desc())
    .limit(1)
)


class AlertPart(Transactions):
    """The ledger's methods on alerts."""

    def open_alert(self, fingerprint: str) -> AlertRecord | None:
        """The newest alert of this fingerprint that is not resolved, on whatever channel."""
        with self._reading() as connection:
            row = connection.execute(_OPEN, {"of_fingerprint": fingerprint}).one_or_none()
        return None if row is None else _record(row)

    def fire_alert(
        self,
        name: str,
        fingerprint: str,
        severity: str,
        message: str,
        owner: str,
        channel: str,
        details: Mapping[str, Any] | None = None,
    ) -> tuple[AlertRecord, bool]:
        """Open an alert on a channel, or count the firing in the one that is open there. Answers (record, is new)."""
        now = self._clock()
        with self._writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ONE_FIRING)))
            mine = {"of_fingerprint": fingerprint, "of_channel": channel}
            found = connection.execute(_OPEN.where(_c.channel == sa.bindparam("of_channel")), mine).one_or_none()
            if found is None:
                opening = sa.insert(alerts).values(
                    name=name,
                    fingerprint=fingerprint,
                    severity=severity,
                    message=message,
                    owner=owner,
                    channel=channel,
                    fired_at=now,
                    last_at=now,
                    times=1,
                    details=dict(details or {}),
                )
                number = connection.execute(opening.returning(_c.id)).scalar_one()
            else:
                number = found.id
                values = {"times": _c.times + 1, "last_at": now, "message": message, "details": dict(details or {})}
                connection.execute(sa.update(alerts).where(_c.id == number).values(**values))
            return _record(connection.execute(_RECORD.where(_c.id == number)).one()), found is None

    def mark_alert_delivered(self, alert_id: int) -> None:
        """Note that its channel has taken an alert."""
        with self._writing() as connection:
            connection.execute(sa.update(alerts).where(_c.id == alert_id).values(delivered_at=self._clock()))

    def resolve_alert(self, fingerprint: str) -> list[AlertRecord]:
        """Close every open alert of this fingerprint; answers those that were open, as they are now."""
        now = self._clock()
        with self._writing() as connection:
            closing = (
                sa.update(alerts).where(_c.fingerprint == fingerprint, _c.resolved_at.is_(None)).values(resolved_at=now)
            )
            closed = connection.execute(closing.returning(_c.id)).scalars().all()
            return [_record(row) for row in connection.execute(_RECORD.where(_c.id.in_(closed)).order_by(_c.id))]

    def acknowledge_alert(self, alert_id: int, by: str) -> None:
        """Note that somebody has seen an alert; the first one stands."""
        seen = sa.update(alerts).where(_c.id == alert_id, _c.acknowledged_at.is_(None))
        with self._writing() as connection:
            connection.execute(seen.values(acknowledged_at=self._clock(), acknowledged_by=by))

    def alerts(self, *, open_only: bool = False, undelivered: bool = False, limit: int = 200) -> list[AlertRecord]:
        """Alerts, newest first."""
        query = _RECORD.order_by(_c.id.desc()).limit(limit)
        if open_only:
            query = query.where(_c.resolved_at.is_(None))
        if undelivered:
            query = query.where(_c.delivered_at.is_(None))
        with self._reading() as connection:
            return [_record(row) for row in connection.execute(query)]

    def open_alerts(self, *, over_since: datetime, names: Sequence[str]) -> list[AlertRecord]:
        """Every alert that is open, and those of some names that were over at that time or later; newest first.

        Rows that tell of something once (a recovery, a heartbeat) are never open, and are not among them.
        """
        is_over = sa.and_(_c.name.in_(names), _c.resolved_at >= over_since, _c.severity != "info")
        query = _RECORD.where(sa.or_(_c.resolved_at.is_(None), is_over)).order_by(_c.id.desc())
        with self._reading() as connection:
            return [_record(row) for row in connection.execute(query)]

    def undelivered_alerts(self, channels: Sequence[str], *, limit: int = 300) -> list[AlertRecord]:
        """What these channels have not taken yet, newest first."""
        query = _RECORD.where(_c.delivered_at.is_(None), _c.channel.in_(channels)).order_by(_c.id.desc()).limit(limit)
        with self._reading() as connection:
            return [_record(row) for row in connection.execute(query)]


def _record(row: Sequence[Any]) -> AlertRecord:
    *values, details = row
    return AlertRecord(*values, details=details or {})
