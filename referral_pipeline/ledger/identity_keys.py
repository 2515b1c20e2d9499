"""Identity keys: which records carry which keyed hash of an address or a number, and whose they are.

Belongs here: keeping, finding and forgetting keys, on an open connection. Does not belong here: transactions
(store.py), a refresh of all of them (identity_refresh.py), who is who (identity).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from referral_pipeline.ledger import tables
from referral_pipeline.ledger.engine import upsert
from referral_pipeline.ledger.prepared import Prepared, Through
from referral_pipeline.ledger.records import IdentityKey
from referral_pipeline.ledger.transactions import parts

_some = sa.bindparam("some", expanding=True)
_KEY = sa.select(*(tables.identity_keys.c[one.name] for one in fields(IdentityKey)))
_KEYS_OF = Prepared(_KEY.where(tables.identity_keys.c.record_id.in_(_some)))
_KEYS = Prepared(_KEY.where(tables.identity_keys.c.key_hash.in_(_some)))
_KEYS_AROUND = Prepared(
    _KEY.where(
        tables.identity_keys.c.record_id.in_(sa.bindparam("records", expanding=True))
        | tables.identity_keys.c.key_hash.in_(sa.bindparam("hashes", expanding=True))
    )
)
_RECORDS_OF_PERSONS = Prepared(
    sa.select(tables.identity_keys.c.record_id, tables.identity_keys.c.person_id)
    .distinct()
    .where(tables.identity_keys.c.person_id.in_(_some))
)
_FORGET_RECORDS = sa.delete(tables.identity_keys).where(tables.identity_keys.c.record_id.in_(_some))


def save(connection: Connection, keys: Sequence[IdentityKey], *, all_keys_of: Iterable[str]) -> None:
    """Add keys, or move them to another person; records in `all_keys_of` lose the keys not given."""
    rows = {(key.key_hash, key.kind, key.record_id): dict(vars(key)) for key in keys}
    forget(connection, all_keys_of)
    upsert(connection, tables.identity_keys, list(rows.values()))


def forget(connection: Connection, record_ids: Iterable[str]) -> int:
    """Remove every key of these records; answers how many keys went."""
    return sum(connection.execute(_FORGET_RECORDS, {"some": some}).rowcount for some in parts(record_ids))


def persons(connection: Connection) -> dict[str, str]:
    """Person id by record id, for every record with a key."""
    columns = tables.identity_keys.c
    query = sa.select(columns.record_id, columns.person_id).distinct().order_by(columns.record_id, columns.person_id)
    return {row.record_id: row.person_id for row in connection.execute(query)}


def carried(through: Through, key_hashes: Iterable[str]) -> list[IdentityKey]:
    """These keys, with each record that carries one of them."""
    found = [IdentityKey(*row) for some in parts(key_hashes) for row in _KEYS.all(through, some=some)]
    return sorted(found, key=lambda key: (key.key_hash, key.kind, key.record_id))


def of_records(through: Through, record_ids: Iterable[str]) -> list[IdentityKey]:
    """Every key of these records."""
    found = [IdentityKey(*row) for some in parts(record_ids) for row in _KEYS_OF.all(through, some=some)]
    return sorted(found, key=lambda key: (key.key_hash, key.kind, key.record_id))


def around(through: Through, records: Sequence[str], hashes: Sequence[str]) -> list[IdentityKey]:
    """Every key of these records, and every record that carries one of these keys; not too many for one statement."""
    found = [IdentityKey(*row) for row in _KEYS_AROUND.all(through, records=records, hashes=hashes)]
    return sorted(found, key=lambda key: (key.key_hash, key.kind, key.record_id))


def records_of(through: Through, person_ids: Iterable[str]) -> dict[str, str]:
    """Person id by record id, for the records of these persons that have a key."""
    return {
        record: person for some in parts(person_ids) for record, person in _RECORDS_OF_PERSONS.all(through, some=some)
    }
