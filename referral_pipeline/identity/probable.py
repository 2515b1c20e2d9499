# ruff: noqa: S608 - names in these queries are constants, quoted columns, or relations that the caller names
"""Probable duplicates: which persons that the rules keep apart may still be one, how probably, and why.

Belongs here: scoring with Splink, calibration, the table of pairs. Does not belong here: the rules themselves
(resolve), what is compared and how (probable_units, probable_model), decisions of reviewers.

Nothing is merged here: a pair is listed for a person to look at. Evidence names fields, likenesses and weights (in
bits: +1 doubles the odds), never a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import duckdb
from duckdb import DuckDBPyConnection

from referral_pipeline.identity import probable_model as model
from referral_pipeline.identity.probable_odds import (
    Refined,
    bits_of,
    calibrated_by,
    first_name_shift,
    frequency_of,
    refined_by,
)
from referral_pipeline.identity.probable_splink import quiet, train_and_score
from referral_pipeline.identity.probable_units import SCRATCH, make_units
from referral_pipeline.warehouse.failures import without_values

DEFAULT_THRESHOLD: Final = 0.7
"""Pairs at least as probable are listed."""

PROPOSE_MERGE_FROM: Final = 0.99
"""Pairs at least as probable are proposed to be merged; those below to be looked at."""


class ScoringFailed(Exception):
    """Splink or DuckDB failed while scoring. The message is without values; the table of pairs stays as it was."""


@dataclass(frozen=True)
class Field:
    """What training made of one field: for each level its words, m and u."""

    name: str
    levels: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class ProbableReport:
    """How pairs were scored: counts and parameters, no personal data.

    `prior` is the probability that two records taken at random are of one person. `trained` is False when the data were
    too few and the start values stood; `passes` names the blockings that taught the model. `calibration` says where
    the probabilities come from.
    """

    records: int
    persons: int
    units: int
    blocks: int
    pairs_scored: int
    pairs_listed: int
    prior: float
    household_prior: float
    trained: bool
    passes: tuple[str, ...]
    calibration: str
    fields: tuple[Field, ...] = field(repr=False)


def score_probable(
    connection: DuckDBPyConnection,
    *,
    source: str,
    out: str,
    compare: Sequence[str] = (),
    threshold: float = DEFAULT_THRESHOLD,
    also: str | None = None,
    labels: Sequence[tuple[str, str, bool]] = (),
) -> ProbableReport:
    """Make the table `out` of pairs of persons that may be one; the same for the same records in any order.

    Args:
        connection: an open connection of the warehouse.
        source: a relation, as SQL names it, of record_id, person_id, first_name, last_name, email_keys VARCHAR[],
            phone_keys VARCHAR[], country and the columns in `compare`; every record once.
        out: the table to make, one row for each pair of persons: left_record, right_record (the records that are most
            alike), left_person < right_person, probability DOUBLE, evidence VARCHAR, proposed_action ('merge', 'look').
        compare: more columns to compare; those that hold dates are compared as dates.
        threshold: the lowest probability that is listed.
        also: a relation of left_person_id, right_person_id: pairs that are listed however improbable, if scored at all.
        labels: reviewers' decisions: two record ids and whether they are one person. From 30 of either kind on they
            calibrate the probabilities.

    Raises:
        ValueError: `threshold` is no probability, or a column of `compare` is named twice.
        ScoringFailed: Splink failed; the message holds no value of a record.
    """
    from splink.internals.exceptions import SplinkException

    if not 0 < threshold <= 1:
        raise ValueError("threshold is no probability: give a number above 0, at most 1")
    if len(set(compare)) < len(compare):
        raise ValueError("a column to compare is named twice")
    before = _one(connection, "SELECT current_schema()")
    # DuckDB draws a progress bar on standard output, where a command may owe one JSON object.
    bar = _one(connection, "SELECT current_setting('enable_progress_bar')")
    connection.execute("SET enable_progress_bar = false")
    connection.execute(f"DROP SCHEMA IF EXISTS {SCRATCH} CASCADE")
    connection.execute(f"CREATE SCHEMA {SCRATCH}")
    try:
        units = make_units(connection, source, compare, SCRATCH)
        connection.execute(f"SET schema = '{SCRATCH}'")
        try:
            with quiet():
                trained, scored = train_and_score(connection, units)
        except SplinkException as error:
            # Without its cause: Splink quotes its SQL, DuckDB the value that it stumbled on.
            cause = error.__cause__ if isinstance(error.__cause__, Exception) else RuntimeError()
            raise ScoringFailed(f"probable duplicates could not be scored: {without_values(cause)}") from None
        finally:
            with suppress(duckdb.TransactionException):
                connection.execute(f"SET schema = '{before}'")
        refined = refined_by(connection, scored, trained)
        bits = bits_of(trained.comparisons, refined)
        calibration = calibrated_by(connection, bits, scored, labels)
        if calibration is not None:
            bits = f"({calibration.offset!r} + {calibration.slope!r} * {bits})"
        listed = _list(connection, scored, trained.comparisons, refined, bits, out, threshold, also)
        return ProbableReport(
            records=units.records,
            persons=units.persons,
            units=units.units,
            blocks=len(units.blocks),
            pairs_scored=_one(connection, f"SELECT count(*) FROM {scored}"),
            pairs_listed=listed,
            prior=refined.match,
            household_prior=refined.household,
            trained=bool(trained.passes),
            passes=trained.passes,
            calibration="as modelled" if calibration is None else "reviewers' decisions",
            fields=tuple(
                Field(
                    one.words,
                    tuple(
                        (level.words, level.m if place else refined.first_name[rank], level.u)
                        for rank, level in enumerate(one.levels)
                    ),
                )
                for place, one in enumerate(trained.comparisons)
            ),
        )
    finally:
        # In a transaction that failed DuckDB refuses even this; its rollback takes the schema away.
        with suppress(duckdb.TransactionException):
            connection.execute(f"DROP SCHEMA IF EXISTS {SCRATCH} CASCADE")
            connection.execute(f"SET enable_progress_bar = {bar}")


# ---------------------------------------------------------------- the table of pairs


def _list(
    connection: DuckDBPyConnection,
    scored: str,
    comparisons: Sequence[model.Comparison],
    refined: Refined,
    bits: str,
    out: str,
    threshold: float,
    also: str | None,
) -> int:
    """Make `out`: for each pair of persons the most probable pair of their records."""
    # The model's prior is part of match_weight; the sum of the fields is taken anew, with the refined one.
    first = comparisons[0]
    shift = first_name_shift(first, refined)
    evidence = ", ".join(_evidence(one, shift if one is first else "0") for one in comparisons)
    wanted = f"probability >= {threshold!r}"
    if also is not None:
        wanted += f" OR (left_person, right_person) IN (SELECT (left_person_id, right_person_id) FROM {also})"
    sides = ", ".join(f"{side}.{name} AS {name}_{side}" for side in ("l", "r") for name in model.columns(comparisons))
    connection.execute(
        f"""
        CREATE OR REPLACE TABLE {out} AS
        WITH pair AS (
            SELECT pair.*, round(1 / (1 + pow(2.0::DOUBLE, -greatest(least({bits}, 500), -500))), 6) AS probability,
                l.person_id < r.person_id AS in_order, l.record_id AS record_l, r.record_id AS record_r,
                least(l.person_id, r.person_id) AS left_person, greatest(l.person_id, r.person_id) AS right_person
            FROM {scored} AS pair
            JOIN {SCRATCH}.unit AS l ON l.unit_id = unit_id_l
            JOIN {SCRATCH}.unit AS r ON r.unit_id = unit_id_r
        ), best AS (
            SELECT * FROM pair WHERE {wanted}
            QUALIFY row_number() OVER (
                PARTITION BY left_person, right_person ORDER BY probability DESC, unit_id_l, unit_id_r
            ) = 1
        ), shown AS (
            SELECT best.*, {sides}
            FROM best
            JOIN {SCRATCH}.unit AS l ON l.unit_id = unit_id_l
            JOIN {SCRATCH}.unit AS r ON r.unit_id = unit_id_r
        )
        SELECT
            CASE WHEN in_order THEN record_l ELSE record_r END AS left_record,
            CASE WHEN in_order THEN record_r ELSE record_l END AS right_record,
            left_person, right_person, probability,
            concat_ws('; ', {evidence}) AS evidence,
            CASE WHEN probability >= {PROPOSE_MERGE_FROM} THEN 'merge' ELSE 'look' END AS proposed_action
        FROM shown
        ORDER BY probability DESC, left_person, right_person
        """
    )
    return _one(connection, f"SELECT count(*) FROM {out}")


def _evidence(one: model.Comparison, shift: str) -> str:
    """SQL for the words about one field; NULL when there was nothing to compare."""
    cases = "".join(
        f" WHEN {level.sql} THEN {_text(level.words)}" if level.sql else f" ELSE {_text(level.words)}"
        for level in one.levels
    )
    words = f"CASE WHEN {one.missing} THEN NULL{cases} END"
    return f"{_text(one.words + ': ')} || {words} || printf(' (%+.1f)', mw_{one.column}{frequency_of(one)} + {shift})"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _one(connection: DuckDBPyConnection, sql: str) -> Any:
    return connection.execute(sql).fetchall()[0][0]
