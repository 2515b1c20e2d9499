"""People: every staged record resolved to a person, kept so that a change costs what it touches.

Belongs here: which records there are to resolve, when everything is resolved anew, and the tables that come of it. Does
not belong here: the rules (identity), the models (sql/), what a person's touches earn (core).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from duckdb import DuckDBPyConnection

from referral_pipeline import __version__
from referral_pipeline.contract.models import Contract
from referral_pipeline.identity.decisions import Constraints, Decision, constraints_of
from referral_pipeline.identity.population import (
    RULES_VERSION,
    PopulationReport,
    binding_links,
    resolve_changes,
    resolve_population,
)
from referral_pipeline.identity.population_tables import Matching, PopulationTables
from referral_pipeline.ledger.store import IdentityKey
from referral_pipeline.privacy.crypto import keyed_hash
from referral_pipeline.warehouse.duplicates import require_pairs
from referral_pipeline.warehouse.store import Warehouse

_RECORDS = "staging.identity_record"
_TABLES = PopulationTables("staging.person_state", "staging.person_review", "staging.person_link")
_KEPT_UNDER = "identity_rules"
"""The key in ops.meta that tells by which rules the tables were made."""


@dataclass(frozen=True)
class PeopleReport:
    """What resolution answered. `rows` counts by table; `keys` hold personal data and are not shown.

    `merged` is how many records were found to be somebody already known by another record; `touched` how many were
    resolved now, because they or a neighbour changed, and `contested` of them were looked at one by one.
    """

    rows: Mapping[str, int]
    persons: int
    merged: int
    touched: int
    contested: int
    person_of: Mapping[str, str] = field(repr=False)
    method_of: Mapping[str, str] = field(repr=False)
    keys: Sequence[tuple[str, str, str]] = field(repr=False)
    """Record id, kind of key, canonical key."""
    without_keys: Sequence[str]
    """Records of both systems that were read whole and have no address or phone (any more)."""

    def identity_keys(self, hash_key: bytes | str) -> list[IdentityKey]:
        """Every record's mailboxes and phones as keyed hashes, for the ledger.

        Raises:
            CryptoError: the key is empty.
        """
        return [
            IdentityKey(
                key_hash=keyed_hash(key, hash_key),
                kind=kind,
                system=record_id.partition(":")[0],
                record_id=record_id,
                person_id=self.person_of[record_id],
            )
            for record_id, kind, key in self.keys
        ]


def build_people(
    warehouse: Warehouse,
    ledger_persons: Mapping[str, str],
    must_link: Iterable[tuple[str, str]],
    contract: Contract,
    cannot_link: Iterable[tuple[str, str]] = (),
    *,
    decisions: Sequence[Decision] = (),
    aliases: Mapping[str, str] | None = None,
) -> PeopleReport:
    """Resolve all staged records to persons and replace core.person_record, core.person and core.duplicate_review.

    Only what changed since the last time is resolved, unless the rules are others.

    Args:
        warehouse: with the staging tables of both sides.
        ledger_persons: record id ("system:id") -> person id, as known from earlier runs.
        must_link: pairs of record ids that are confirmed to be one person. A pair whose names contradict by now, with
            no address or phone in common any more, does not bind: the referral was made over to somebody else.
        contract: for the matching rules and the systems' names.
        cannot_link: pairs of record ids that were decided to be two people.
        decisions: what people decided and nobody revoked. A merge binds whatever the names say.
        aliases: record ids of candidates that the ATS merged away -> the record id that each lives on under. The old
            record may be staged until the next full pull; it is the same person.

    Raises:
        ModelFailed: a table could not be built; all of them stay as they were.
    """
    dedupe = contract.rules.dedupe
    matching = Matching(tuple(dedupe.match_on), dedupe.shared_mailbox_limit)
    rules = f"{__version__}/{RULES_VERSION}/{','.join(matching.match_on)}/{matching.shared_mailbox_limit}"
    systems: dict[str, Any] = {"advocacy_system": contract.advocacy.connector, "ats_system": contract.ats.connector}
    with warehouse.transaction() as connection:
        warehouse.build(_RECORDS, **systems)
        decided = _decided(connection, decisions, aliases or {})
        resolve = resolve_changes if _kept_under(connection) == rules else resolve_population
        report = resolve(
            connection,
            source=_RECORDS,
            tables=_TABLES,
            matching=matching,
            previous=ledger_persons,
            must_link=[*binding_links(connection, _RECORDS, must_link), *decided.must_link],
            cannot_link=[*cannot_link, *decided.cannot_link],
        )
        connection.execute("INSERT OR REPLACE INTO ops.meta VALUES (?, ?)", [_KEPT_UNDER, rules])
        require_pairs(connection)
        rows = {
            table: warehouse.build(table) for table in ("core.person_record", "core.person", "core.duplicate_review")
        }
        return _report(connection, report, rows, systems)


def _decided(connection: DuckDBPyConnection, decisions: Sequence[Decision], aliases: Mapping[str, str]) -> Constraints:
    """What decisions and merges in the ATS say about the staged records."""
    if not decisions and not aliases:
        return Constraints()
    named = {i for one in decisions for i in (*one.left, *one.right)} | aliases.keys() | set(aliases.values())
    rows = connection.execute(
        f"SELECT record_id FROM {_RECORDS} WHERE record_id IN (SELECT unnest(?::VARCHAR[]))",  # noqa: S608 - our own name
        [sorted(named)],
    ).fetchall()
    existing = {str(record_id) for (record_id,) in rows}
    found = constraints_of(decisions, existing=existing, aliases=aliases)
    same = {(old, new) for old, new in aliases.items() if old in existing and new in existing}
    return Constraints(tuple(sorted({*found.must_link, *same})), found.cannot_link)


def _kept_under(connection: DuckDBPyConnection) -> str | None:
    """By which rules the kept tables were made; None when they are not all there."""
    names = [name.partition(".")[2] for name in (_TABLES.people, _TABLES.review, _TABLES.links)]
    there = connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'staging' AND list_contains(?, table_name)", [names]
    ).fetchall()
    found = connection.execute("SELECT value FROM ops.meta WHERE key = ?", [_KEPT_UNDER]).fetchall()
    return found[0][0] if found and there[0][0] == len(names) else None


def _report(
    connection: DuckDBPyConnection, report: PopulationReport, rows: Mapping[str, int], systems: Mapping[str, str]
) -> PeopleReport:
    people = connection.execute(
        "SELECT record_id, person_id, match_method FROM core.person_record ORDER BY record_id"
    ).fetchall()
    keys = connection.execute(
        "SELECT record_id, 'email' AS kind, unnest(email_keys) AS key FROM staging.identity_record"
        " UNION ALL SELECT record_id, 'phone', unnest(phone_keys) FROM staging.identity_record ORDER BY ALL"
    ).fetchall()
    # A candidate that only an application names may have addresses all the same: it was not read yet.
    without = connection.execute(
        "SELECT record_id FROM staging.identity_record WHERE len(email_keys) = 0 AND len(phone_keys) = 0 AND ("
        "starts_with(record_id, $advocacy || ':')"
        " OR record_id IN (SELECT $ats || ':' || id FROM staging.ats_candidate)) ORDER BY record_id",
        {"advocacy": systems["advocacy_system"], "ats": systems["ats_system"]},
    ).fetchall()
    return PeopleReport(
        rows=rows,
        persons=report.persons,
        merged=report.records - report.persons,
        touched=report.touched,
        contested=report.contested,
        person_of={record_id: person_id for record_id, person_id, _ in people},
        method_of={record_id: method for record_id, _, method in people},
        keys=keys,
        without_keys=[record_id for (record_id,) in without],
    )
