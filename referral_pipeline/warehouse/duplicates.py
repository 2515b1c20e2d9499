"""Duplicates: pairs of persons that the rules keep apart and that may still be one, scored for a person to decide.

Belongs here: when scoring is due, what is scored, and the table of pairs. Does not belong here: how a pair is scored
(identity.probable), decisions (ledger, identity.decisions), merging: no probability ever merges anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from duckdb import DuckDBPyConnection

from referral_pipeline import __version__
from referral_pipeline.contract.models import Contract
from referral_pipeline.identity.decisions import Decision
from referral_pipeline.warehouse.store import Warehouse

PAIRS = "staging.probable_pair"
"""left_record, right_record, probability, evidence, proposed_action, as the last scoring left them."""

_SCORED_FOR = "duplicates_scored_for"
"""The key in ops.meta that tells for which records, persons and labels the pairs were scored."""


@dataclass(frozen=True)
class DuplicatesReport:
    """What scoring did: counts and parameters, no personal data.

    `is_scored` is False when nothing changed since the last time, and the pairs of then stand. `prior` is the
    probability that two records taken at random are of one person; None when nothing was scored.
    """

    is_scored: bool
    pairs: int
    open_pairs: int
    records: int = 0
    pairs_scored: int = 0
    prior: float | None = None
    trained: bool = False
    calibration: str = ""


def require_pairs(connection: DuckDBPyConnection) -> None:
    """Make the table of scored pairs when there is none yet: core.duplicate_review reads it."""
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {PAIRS} (left_record VARCHAR, right_record VARCHAR, probability DOUBLE,"
        " evidence VARCHAR, proposed_action VARCHAR)"
    )


def score_duplicates(warehouse: Warehouse, contract: Contract, decisions: Sequence[Decision] = ()) -> DuplicatesReport:
    """Score what the rules left apart, if anything changed since the last time, and rebuild core.duplicate_review.

    Args:
        warehouse: with people built.
        contract: for the probability from which a pair is listed.
        decisions: what people decided; it calibrates the probabilities when there is enough of either kind.

    Raises:
        ModelFailed: core.duplicate_review could not be built.
    """
    threshold = contract.rules.dedupe.review_threshold
    with warehouse.connect() as connection:
        require_pairs(connection)
        # One pair a decision: a person of many records must not outvote others.
        labels = sorted({(min(one.left), min(one.right), one.verdict == "merge") for one in decisions})
        state = _state(connection, threshold, labels)
        if _scored_for(connection) == state:
            return DuplicatesReport(False, warehouse.build("core.duplicate_review"), _open_pairs(connection))
        from referral_pipeline.identity.probable import score_probable

        _make_residue(connection, decisions)
        try:
            report = score_probable(
                connection,
                source="staging.residue",
                out=PAIRS,
                threshold=threshold,
                also="staging.person_review",
                labels=labels,
            )
        finally:
            connection.execute("DROP TABLE IF EXISTS staging.residue")
        pairs = warehouse.build("core.duplicate_review")
        connection.execute("INSERT OR REPLACE INTO ops.meta VALUES (?, ?)", [_SCORED_FOR, state])
        return DuplicatesReport(
            is_scored=True,
            pairs=pairs,
            open_pairs=_open_pairs(connection),
            records=report.records,
            pairs_scored=report.pairs_scored,
            prior=report.prior,
            trained=report.trained,
            calibration=report.calibration,
        )


def _make_residue(connection: DuckDBPyConnection, decisions: Sequence[Decision]) -> None:
    """staging.residue: every record with its person, but the sides of a decided merge apart.

    A pair of one person is not scored, and what people said to be one person is what tells whether scores are right.
    """
    sides = {i: number for number, one in enumerate(decisions) if one.verdict == "merge" for i in one.right}
    given = pa.table(
        {"record_id": pa.array(list(sides), pa.string()), "side": pa.array(list(sides.values()), pa.int64())}
    )
    connection.register("decided_side", given)
    connection.execute(
        "CREATE OR REPLACE TABLE staging.residue AS"
        " SELECT record.*, person.person_id || coalesce('#' || decided.side, '') AS person_id"
        " FROM staging.identity_record AS record"
        " JOIN core.person_record AS person ON person.record_id = record.record_id"
        " LEFT JOIN decided_side AS decided ON decided.record_id = record.record_id"
    )
    connection.unregister("decided_side")


def _state(connection: DuckDBPyConnection, threshold: float, labels: Sequence[tuple[str, str, bool]]) -> str:
    """What the scores depend on, in a short text; the same for the same records in any order."""
    # bit_xor would forget a pair of equal rows; a sum does not, and does not depend on the order either.
    found = connection.execute(
        "SELECT count(*), sum(hash(record_id, person_id, fingerprint)::HUGEINT) FROM staging.person_state"
    ).fetchall()
    rules = connection.execute(
        "SELECT count(*), sum(hash(left_person_id, right_person_id)::HUGEINT) FROM staging.person_review"
    ).fetchall()
    told = connection.execute("SELECT hash(?)", [repr(labels)]).fetchall()
    return "/".join(str(part) for part in (__version__, threshold, *found[0], *rules[0], *told[0]))


def _scored_for(connection: DuckDBPyConnection) -> str | None:
    found = connection.execute("SELECT value FROM ops.meta WHERE key = ?", [_SCORED_FOR]).fetchall()
    return found[0][0] if found else None


def _open_pairs(connection: DuckDBPyConnection) -> int:
    return connection.execute("SELECT count(*) FROM core.duplicate_review WHERE state = 'open'").fetchall()[0][0]
