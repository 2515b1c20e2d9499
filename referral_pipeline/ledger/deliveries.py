"""Outbound writes: begun, confirmed, failed, given up.

Belongs here: the states of a delivery and their transitions, on an open connection. Does not belong here: transactions
(store.py), what is written and when (sync).

A delivery is committed as pending before the call is made. Whoever finds it pending later knows that the call may have
happened, and looks before trying again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from referral_pipeline.ledger.engine import enter
from referral_pipeline.ledger.prepared import Prepared, Through
from referral_pipeline.ledger.records import Delivery, DeliveryIntent, DeliveryState
from referral_pipeline.ledger.tables import deliveries

_MOST_KEYS = 500
_MOST_ERROR_CHARACTERS = 2_000


_COLUMNS = sa.select(
    deliveries.c.key,
    deliveries.c.system,
    deliveries.c.operation,
    deliveries.c.target,
    deliveries.c.request_hash,
    deliveries.c.referral_id,
    deliveries.c.state,
    deliveries.c.attempts,
    deliveries.c.first_attempt_at,
    deliveries.c.last_attempt_at,
    deliveries.c.last_error,
    deliveries.c.result,
)
_OF_KEYS = _COLUMNS.where(deliveries.c.key.in_(sa.bindparam("some", expanding=True)))
_BY_KEY = Prepared(_OF_KEYS)
_LOCKED = Prepared(_OF_KEYS.order_by(deliveries.c.key).with_for_update())
_ONE = sa.update(deliveries).where(deliveries.c.key == sa.bindparam("at_key"))
_TRY_AGAIN = _ONE.values(
    {
        name: sa.bindparam(name)
        for name in (
            "target",
            "request_hash",
            "referral_id",
            "state",
            "attempts",
            "first_attempt_at",
            "last_attempt_at",
        )
    }
)
_SETTLE = {
    DeliveryState.SENT: Prepared(
        _ONE.values(state=DeliveryState.SENT.value, result=sa.bindparam("result"), last_error=None)
    ),
    DeliveryState.CONFIRMED: Prepared(
        _ONE.values(
            state=DeliveryState.CONFIRMED.value,
            result=sa.bindparam("result"),
            confirmed_at=sa.bindparam("confirmed_at"),
            last_error=None,
            request_body=None,
            response_body=None,
        )
    ),
}


class UnknownDeliveryError(LookupError):
    """A delivery was confirmed or failed that was never begun."""

    def __init__(self, keys: Iterable[str]) -> None:
        super().__init__(f"never begun: {', '.join(sorted(keys))}")


def begin(
    connection: Connection, intents: Sequence[DeliveryIntent], *, now: datetime, anew: bool = False
) -> list[Delivery]:
    """Begin each intent, or find what became of it earlier; answers in the order asked. A key may come only once.

    New: pending with one attempt. Pending or sent: one attempt more. Dead: counted too, but stays dead unless the
    request changed. Confirmed with the same request: untouched. Confirmed with another: pending again, attempts from
    one, the earlier result kept. With `anew` the write is tried in any case, so dead and confirmed ones are pending
    again too, whatever the request.
    """
    if not intents:
        return []
    rows = [
        {
            "key": intent.key,
            "system": intent.system,
            "operation": intent.operation,
            "target": intent.target,
            "request_hash": intent.request_hash,
            "referral_id": intent.referral_id,
            "state": DeliveryState.PENDING.value,
            "attempts": 1,
            "first_attempt_at": now,
            "last_attempt_at": now,
        }
        for intent in sorted(intents, key=lambda intent: intent.key)
    ]
    fresh = {key for (key,) in enter(connection, deliveries, rows, "key")}
    answers = {
        intent.key: Delivery(
            key=intent.key,
            system=intent.system,
            operation=intent.operation,
            target=intent.target,
            request_hash=intent.request_hash,
            referral_id=intent.referral_id,
            state=DeliveryState.PENDING,
            attempts=1,
            first_attempt_at=now,
            last_attempt_at=now,
            last_error=None,
            result=None,
            is_new=True,
        )
        for intent in intents
        if intent.key in fresh
    }
    by_key = {intent.key: intent for intent in intents if intent.key not in fresh}
    changed: list[dict[str, Any]] = []
    for found in _locked(connection, sorted(by_key)):
        tried = _tried_again(found, by_key[found.key], now, anew=anew)
        answers[found.key] = tried
        if tried is not found:
            changed.append(
                {
                    "at_key": tried.key,
                    "target": tried.target,
                    "request_hash": tried.request_hash,
                    "referral_id": tried.referral_id,
                    "state": tried.state.value,
                    "attempts": tried.attempts,
                    "first_attempt_at": tried.first_attempt_at,
                    "last_attempt_at": now,
                }
            )
    if changed:
        connection.execute(_TRY_AGAIN, changed)
    return [answers[intent.key] for intent in intents]


def withdraw(connection: Connection, keys: Sequence[str]) -> None:
    """Remove those of these deliveries (at most 500) that are pending with their first attempt."""
    columns = deliveries.c
    unsent = (columns.key.in_(keys), columns.state == DeliveryState.PENDING.value, columns.attempts == 1)
    connection.execute(sa.delete(deliveries).where(*unsent))


def settle(
    connection: Connection, results: Sequence[tuple[str, Mapping[str, Any]]], state: DeliveryState, *, now: datetime
) -> None:
    """Note that the system said yes (sent) or was seen to hold it (confirmed), with the ids it answered; all or none.

    Raises:
        UnknownDeliveryError: when one of the deliveries was never begun.
    """
    if not results:
        return
    rows: list[dict[str, Any]] = [{"at_key": key, "result": dict(result)} for key, result in results]
    if state is DeliveryState.CONFIRMED:
        for row in rows:
            row["confirmed_at"] = now
    rows.sort(key=lambda row: row["at_key"])
    if _SETTLE[state].run(connection, rows) == len(rows):
        return
    keys = {key for key, _ in results}
    raise UnknownDeliveryError(keys - {found.key for found in _locked(connection, sorted(keys))})


def fail(
    connection: Connection,
    key: str,
    error: str,
    *,
    dead: bool,
    request: bytes | None = None,
    response: bytes | None = None,
) -> None:
    """Note why an attempt failed. The state stays as it is (it may have happened) unless it is given up.

    `request` and `response` are encrypted bodies, kept as evidence until the delivery is confirmed.

    Raises:
        UnknownDeliveryError: when the delivery was never begun.
    """
    values: dict[str, Any] = {"last_error": error[:_MOST_ERROR_CHARACTERS]}
    if dead:
        values["state"] = DeliveryState.DEAD.value
    if request is not None:
        values["request_body"] = request
    if response is not None:
        values["response_body"] = response
    _update_one(connection, key, values)


def by_keys(through: Through, keys: Sequence[str]) -> list[Delivery]:
    """Deliveries by keys (at most 500), oldest attempt first."""
    found = [_delivery(row) for row in _BY_KEY.all(through, some=list(keys))]
    return sorted(found, key=lambda one: (one.last_attempt_at, one.key))


def bodies(connection: Connection, key: str) -> tuple[bytes | None, bytes | None]:
    """What was sent and answered when the delivery failed, encrypted; None when it was not kept."""
    query = sa.select(deliveries.c.request_body, deliveries.c.response_body).where(deliveries.c.key == key)
    row = connection.execute(query).one_or_none()
    return (None, None) if row is None else (row.request_body, row.response_body)


def confirmed_hashes(connection: Connection, prefix: str) -> dict[str, str]:
    """Request hash of every confirmed delivery whose key begins so: what a system was last told."""
    columns = deliveries.c
    query = sa.select(columns.key, columns.request_hash).where(
        columns.state == DeliveryState.CONFIRMED.value, sa.func.substr(columns.key, 1, len(prefix)) == prefix
    )
    return {row.key: row.request_hash for row in connection.execute(query)}


def select(connection: Connection, *, state: DeliveryState | None = None, system: str | None = None) -> list[Delivery]:
    """Deliveries by state or system, oldest attempt first."""
    query = _COLUMNS.order_by(deliveries.c.last_attempt_at, deliveries.c.key)
    if state is not None:
        query = query.where(deliveries.c.state == state.value)
    if system is not None:
        query = query.where(deliveries.c.system == system)
    return [_delivery(row) for row in connection.execute(query)]


def _tried_again(found: Delivery, intent: DeliveryIntent, now: datetime, *, anew: bool) -> Delivery:
    same_request = found.request_hash == intent.request_hash and not anew
    if found.state is DeliveryState.CONFIRMED and same_request:
        return found
    asked = replace(
        found,
        target=intent.target,
        request_hash=intent.request_hash,
        referral_id=intent.referral_id or found.referral_id,
    )
    if found.state is DeliveryState.CONFIRMED:
        return replace(asked, state=DeliveryState.PENDING, attempts=1, first_attempt_at=now)
    if found.state is DeliveryState.DEAD and not same_request:
        return replace(asked, state=DeliveryState.PENDING, attempts=found.attempts + 1)
    return replace(asked, attempts=found.attempts + 1)


def _locked(connection: Connection, keys: Sequence[str]) -> Iterable[Delivery]:
    for start in range(0, len(keys), _MOST_KEYS):
        some = keys[start : start + _MOST_KEYS]
        yield from (_delivery(row) for row in _LOCKED.all(connection, some=some))


def _update_one(connection: Connection, key: str, values: dict[str, Any]) -> None:
    done = connection.execute(sa.update(deliveries).where(deliveries.c.key == key).values(**values))
    if done.rowcount == 0:
        raise UnknownDeliveryError([key])


def _delivery(row: Sequence[Any]) -> Delivery:
    key, system, operation, target, request_hash, referral_id, state, attempts, first, last, error, result = row
    return Delivery(
        key,
        system,
        operation,
        target,
        request_hash,
        referral_id,
        DeliveryState(state),
        attempts,
        first,
        last,
        error,
        result,
    )
