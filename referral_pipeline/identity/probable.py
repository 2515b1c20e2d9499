# ruff: noqa: S608 - names in these queries are constants, quoted columns, or relations that the caller names
"""Probable duplicates: which persons that the rules keep apart may still be one, how probably, and why.

Belongs here: scoring with Splink, calibration, the table of pairs. Does not belong here: the rules themselves
(resolve), what is compared and how (probable_units, probable_model), decisions of reviewers.

Nothing is merged here: a pair is listed for a person to look at. Evidence names fields, likenesses and weights (in
bits: +1 doubles the odds), never a value.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from duckdb import DuckDBPyConnection

from referral_pipeline.identity import probable_model as model
from referral_pipeline.identity.probable_units import Units, make_units

DEFAULT_THRESHOLD: Final = 0.5
"""Pairs at least as probable are listed."""

PROPOSE_MERGE_FROM: Final = 0.99
"""Pairs at least as probable are proposed to be merged; those below to be looked at."""

MINIMUM_LABELS: Final = 30
"""Reviewers' decisions of either kind from which on they calibrate the probabilities."""

SCRATCH: Final = "probable_scratch"
"""Schema of the intermediate tables; it holds personal data, and is gone when the call ends."""

_SEED = 20_240_229
_SAMPLED_PAIRS = 2e6
_MOST_ROUNDS = 5
_SETTLED_BITS = 0.1
_REFINEMENTS = 60
_STRENGTH_OF_START = 20
_TRAINING_PAIRS = 1e6
_LEAST_TRAINING_PAIRS = 50
_DUPLICATES_PER_RECORD = 0.2
_KEEP_ALL_UP_TO = 100_000
_LOWEST_WEIGHT = -7.0
"""In large data pairs below (a probability of 0.8 %) are not even written down."""


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
    """
    if not 0 < threshold <= 1:
        raise ValueError("threshold is no probability: give a number above 0, at most 1")
    if len(set(compare)) < len(compare):
        raise ValueError("a column to compare is named twice")
    before = _one(connection, "SELECT current_schema()")
    connection.execute(f"DROP SCHEMA IF EXISTS {SCRATCH} CASCADE")
    connection.execute(f"CREATE SCHEMA {SCRATCH}")
    try:
        units = make_units(connection, source, compare, SCRATCH)
        connection.execute(f"SET schema = '{SCRATCH}'")
        try:
            with _quiet():
                trained, scored = _score(connection, units)
        finally:
            connection.execute(f"SET schema = '{before}'")
        refined = _refined(connection, scored, trained, units)
        bits = _bits(trained.comparisons, refined)
        calibration = _calibration(connection, bits, scored, labels)
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
        connection.execute(f"DROP SCHEMA IF EXISTS {SCRATCH} CASCADE")


# ---------------------------------------------------------------- Splink


@contextmanager
def _quiet() -> Generator[None]:
    """Nothing of Splink's own reporting: its warnings quote SQL, and what it has to say is in the report."""
    logger = logging.getLogger("splink")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _linker(connection: DuckDBPyConnection, units: Units, settings: Any) -> Any:
    from splink import DuckDBAPI, Linker

    api = DuckDBAPI(connection=connection)
    linker = Linker(api.register("unit"), settings, log_level=None, validate_settings=False)
    for column in units.frequencies:
        linker.table_management.register_term_frequency_lookup(api.register(f"tf_{column}"), column)
    return linker


def _score(connection: DuckDBPyConnection, units: Units) -> tuple[model.Trained, str]:
    """Train and score; answers the model and the table of scored pairs of different persons."""
    start = model.comparisons(units)
    if units.units < model.MINIMUM_UNITS:
        trained = model.Trained(start, min(0.5, _DUPLICATES_PER_RECORD / max(units.units - 1, 1)), (), {})
    else:
        trained = _train(connection, units, start)
    rules = [f"l.{block} = r.{block} AND l.person_no <> r.person_no" for block in units.blocks.values()]
    scored = ""
    for _ in range(_MOST_ROUNDS):
        linker = _linker(connection, units, model.settings(trained.comparisons, trained.prior, rules))
        lowest = None if units.units <= _KEEP_ALL_UP_TO else _LOWEST_WEIGHT
        scored = (
            f"{SCRATCH}.{linker.inference.predict(threshold_match_weight=lowest, warning_mode='never').physical_name}"
        )
        if not trained.passes:
            break
        refined = _refined(connection, scored, trained, units).match
        better = replace(trained, comparisons=model.corrected(start, trained.learnt, refined), prior=refined)
        if _is_settled(trained, better):
            break
        trained = better
    return trained, scored


def _is_settled(trained: model.Trained, better: model.Trained) -> bool:
    """Whether no weight would change by a tenth of a bit: in large data the random sample holds next to no duplicates."""
    return all(
        abs(math.log2(new.u / old.u)) < _SETTLED_BITS
        for one, two in zip(trained.comparisons, better.comparisons, strict=True)
        for old, new in zip(one.levels, two.levels, strict=True)
    )


def _train(connection: DuckDBPyConnection, units: Units, start: Sequence[model.Comparison]) -> model.Trained:
    prior = _first_prior(connection, units)
    rules = [f"l.{block} = r.{block}" for block in units.blocks.values()]
    passes = {
        words: rule
        for words, rule in model.training_rules(units).items()
        if _one(connection, f"SELECT count(*) FROM unit l JOIN unit r ON {rule} AND l.unit_id < r.unit_id")
        >= _LEAST_TRAINING_PAIRS
    }
    linker = _linker(connection, units, model.settings(start, prior, rules))
    linker.training.estimate_u_using_random_sampling(
        max_pairs=_SAMPLED_PAIRS, seed=_SEED, min_count_per_level=None, num_chunks=1
    )
    for rule in passes.values():
        linker.training.estimate_parameters_using_expectation_maximisation(
            rule, estimate_without_term_frequencies=True, max_pairs=_TRAINING_PAIRS
        )
    learnt = _learnt(linker.misc.save_model_to_json())
    return model.Trained(model.corrected(start, learnt, prior), prior, tuple(passes), learnt)


def _learnt(saved: dict[str, Any]) -> dict[str, list[tuple[float | None, float | None]]]:
    return {
        comparison["output_column_name"]: [
            (level.get("m_probability"), level.get("u_probability"))
            for level in comparison["comparison_levels"]
            if not level.get("is_null_level")
        ]
        for comparison in saved["comparisons"]
    }


def _first_prior(connection: DuckDBPyConnection, units: Units) -> float:
    """Pairs that the rules joined or that agree in name and one thing more, as a share of all pairs."""
    name = units.blocks["full name"]
    same = " OR ".join(
        f"l.{column} = r.{column}" for column in ("local", "phone", *(extra.column for extra in units.extras))
    )
    pairs = _one(
        connection,
        f"""
        SELECT count(*) FROM unit l JOIN unit r ON l.unit_id < r.unit_id AND l.{name} = r.{name}
            AND l.person_no <> r.person_no AND ({same})
        """,
    )
    return min(0.5, (pairs + _joined(connection) + 1) / _all_pairs(units) / 0.7)


def _joined(connection: DuckDBPyConnection) -> int:
    """Pairs of units that the rules made one person."""
    return _one(
        connection,
        f"SELECT coalesce(sum(n * (n - 1) // 2), 0)::BIGINT "
        f"FROM (SELECT count(*) AS n FROM {SCRATCH}.unit GROUP BY person_no)",
    )


def _all_pairs(units: Units) -> float:
    return max(units.units * (units.units - 1) / 2, 1.0)


# ---------------------------------------------------------------- probability


@dataclass(frozen=True)
class _Refined:
    """What the scores of all pairs together teach.

    `match` and `household` are how probable it is that two records taken at random are of one person, or of two people
    of one household; `first_name` is m of each of its levels.
    """

    match: float
    household: float
    first_name: tuple[float, ...]

    @property
    def match_bits(self) -> float:
        return math.log2(self.match / (1 - self.match))

    @property
    def household_bits(self) -> float:
        return math.log2(self.household)


def _refined(connection: DuckDBPyConnection, scored: str, trained: model.Trained, units: Units) -> _Refined:
    """Priors, and m of first names, with which the expected numbers of pairs agree with the scores.

    Members of a household share last name, phone, town, sometimes a mailbox: fields that then are no independent
    evidence. Held against chance alone, such a pair would look like one person; it is held against this too.
    What tells them apart are first names, and how these differ within one person is learnt here once more: Splink's
    training, which knows no households, takes some of them for one person.
    """
    joined, total = _joined(connection), _all_pairs(units)
    first = trained.comparisons[0]
    known = tuple(level.m for level in first.levels)
    refined = _Refined(trained.prior, trained.prior / 2, known)
    if not trained.passes:
        return refined
    bins = connection.execute(
        f"SELECT {_level(first)} AS first_name, round({_weight(trained.comparisons)}, 1) AS weight, "
        f"round({_household_weight(trained.comparisons)}, 1) AS household, count(*) "
        f"FROM {scored} GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    seen = _seen_in_persons(connection, first)
    for _ in range(_REFINEMENTS):
        shifts = [math.log2(new / old) for new, old in zip(refined.first_name, known, strict=True)]
        matches: dict[int, list[float]] = {}
        households: list[float] = []
        for level, weight, household, count in bins:
            shift = refined.match_bits + (shifts[level] if level >= 0 else 0.0)
            match, together = 2.0 ** min(weight + shift, 500), 2.0 ** min(household + refined.household_bits, 500)
            matches.setdefault(level, []).append(count * match / (1 + match + together))
            households.append(count * together / (1 + match + together))
        expected = {level: math.fsum(found) for level, found in matches.items()}
        counts = [
            seen.get(level, 0) + expected.get(level, 0.0) + _STRENGTH_OF_START * start
            for level, start in enumerate(known)
        ]
        refined = _Refined(
            min(0.5, (joined + 0.5 + math.fsum(expected.values())) / total),
            min(0.5, (0.5 + math.fsum(households)) / total),
            tuple(count / math.fsum(counts) for count in counts),
        )
    return _Refined(
        float(f"{refined.match:.5g}"),
        float(f"{refined.household:.5g}"),
        tuple(float(f"{m:.5g}") for m in refined.first_name),
    )


def _seen_in_persons(connection: DuckDBPyConnection, one: model.Comparison) -> dict[int, int]:
    """How often each level of a field holds between two units that the rules made one person."""
    cases = " ".join(
        f"WHEN {level.sql} THEN {place}" if level.sql else f"ELSE {place}" for place, level in enumerate(one.levels)
    )
    sides = ", ".join(f"{side}.{name} AS {name}_{side}" for side in ("l", "r") for name in model.columns([one]))
    found = connection.execute(f"""
        SELECT CASE WHEN {one.missing} THEN -1 {cases} END AS level, count(*)
        FROM (
            SELECT {sides} FROM {SCRATCH}.unit AS l
            JOIN {SCRATCH}.unit AS r ON l.person_no = r.person_no AND l.unit_id < r.unit_id
        )
        GROUP BY level
    """).fetchall()
    return dict(found)


def _level(one: model.Comparison) -> str:
    """SQL for the place of the level that a scored pair has in this field, -1 when there was nothing to compare.

    The level is told by its weight, which no two levels of a field share.
    """
    return _by_level(one, [str(place) for place in range(len(one.levels))], "-1")


def _by_level(one: model.Comparison, values: Sequence[str], otherwise: str) -> str:
    cases = " ".join(
        f"WHEN mw_{one.column} BETWEEN {level.bits - 1e-6!r} AND {level.bits + 1e-6!r} THEN {value}"
        for level, value in zip(one.levels, values, strict=True)
    )
    return f"CASE {cases} ELSE {otherwise} END"


def _weight(comparisons: Sequence[model.Comparison]) -> str:
    """SQL for the sum of the fields' weights, without a prior."""
    return " + ".join(f"mw_{one.column}{_frequency(one)}" for one in comparisons)


def _household_weight(comparisons: Sequence[model.Comparison]) -> str:
    """SQL for what the fields say for one household and against chance."""
    fields: list[str] = []
    for one in comparisons:
        shifts = [repr(math.log2(level.household / level.m)) for level in one.levels if level.household is not None]
        if shifts:
            fields.append(f"{_by_level(one, shifts, '0')} + mw_{one.column}{_frequency(one)}")
    return " + ".join(fields)


def _first_name_shift(first: model.Comparison, refined: _Refined) -> str:
    """SQL for what the refined m adds to the weight of the first name."""
    shifts = [repr(math.log2(m / level.m)) for m, level in zip(refined.first_name, first.levels, strict=True)]
    return _by_level(first, shifts, "0")


def _bits(comparisons: Sequence[model.Comparison], refined: _Refined) -> str:
    """SQL for the log odds, in bits, that a scored pair is one person rather than two of one household, or strangers."""
    shift = _first_name_shift(comparisons[0], refined)
    match = f"({_weight(comparisons)} + {shift} + {refined.match_bits!r})"
    household = f"({_household_weight(comparisons)} + {refined.household_bits!r})"
    return f"({match} - log2(1 + pow(2.0::DOUBLE, least({household}, 500))))"


@dataclass(frozen=True)
class _Calibration:
    """Log odds (in bits) as reviewers found them: `offset + slope * bits` of the model."""

    offset: float
    slope: float


def _calibration(
    connection: DuckDBPyConnection, bits: str, scored: str, labels: Sequence[tuple[str, str, bool]]
) -> _Calibration | None:
    """Platt's calibration on the labelled pairs that were scored; None when there are too few of either kind."""
    import pyarrow as pa

    if not labels:
        return None
    table = pa.table(
        {
            "a": pa.array([min(left, right) for left, right, _ in labels], pa.string()),
            "b": pa.array([max(left, right) for left, right, _ in labels], pa.string()),
            "is_match": pa.array([bool(same) for _, _, same in labels], pa.bool_()),
        }
    )
    connection.register("probable_labels", table)
    try:
        rows = connection.execute(f"""
            WITH label AS (SELECT a, b, any_value(is_match) AS is_match FROM probable_labels
                GROUP BY a, b HAVING count(DISTINCT is_match) = 1),
            weighed AS (
                SELECT least(l.record_id, r.record_id) AS a, greatest(l.record_id, r.record_id) AS b,
                    max(greatest(least({bits}, 100), -100)) AS bits
                FROM {scored} AS pair
                JOIN {SCRATCH}.member AS l ON l.unit_id = pair.unit_id_l
                JOIN {SCRATCH}.member AS r ON r.unit_id = pair.unit_id_r
                WHERE l.record_id IN (SELECT a FROM label UNION ALL SELECT b FROM label)
                GROUP BY ALL
            )
            SELECT bits, is_match FROM label JOIN weighed USING (a, b) ORDER BY ALL
        """).fetchall()
    finally:
        connection.unregister("probable_labels")
    matches = sum(same for _, same in rows)
    if min(matches, len(rows) - matches) < MINIMUM_LABELS:
        return None
    return _platt([bits for bits, _ in rows], [same for _, same in rows])


def _platt(bits: Sequence[float], same: Sequence[bool]) -> _Calibration:
    """Fit log odds = offset + slope * bits by Newton's method. Targets are Platt's, so that no fit runs to infinity."""
    import numpy as np

    positive = sum(same)
    high, low = (positive + 1) / (positive + 2), 1 / (len(same) - positive + 2)
    target = np.array([high if one else low for one in same])
    design = np.column_stack([np.ones(len(bits)), np.array(bits) * math.log(2)])
    fitted = np.array([0.0, 0.5])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(design @ fitted, -50, 50)))
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + 1e-6 * np.eye(2)
        step = np.linalg.solve(curvature, design.T @ (target - chance))
        fitted = fitted + np.clip(step, -1, 1)
    # A slope that is not positive would put the worst pair first: the labels then say nothing about the order.
    return _Calibration(float(f"{fitted[0] / math.log(2):.5g}"), float(f"{max(fitted[1], 0.01):.5g}"))


# ---------------------------------------------------------------- the table of pairs


def _list(
    connection: DuckDBPyConnection,
    scored: str,
    comparisons: Sequence[model.Comparison],
    refined: _Refined,
    bits: str,
    out: str,
    threshold: float,
    also: str | None,
) -> int:
    """Make `out`: for each pair of persons the most probable pair of their records."""
    # The model's prior is part of match_weight; the sum of the fields is taken anew, with the refined one.
    first = comparisons[0]
    shift = _first_name_shift(first, refined)
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
            JOIN {SCRATCH}.unit AS l ON l.unit_id = pair.unit_id_l JOIN {SCRATCH}.unit AS r ON r.unit_id = pair.unit_id_r
        ), best AS (
            SELECT * FROM pair WHERE {wanted}
            QUALIFY row_number() OVER (
                PARTITION BY left_person, right_person ORDER BY probability DESC, unit_id_l, unit_id_r
            ) = 1
        ), shown AS (
            SELECT best.*, {sides}
            FROM best
            JOIN {SCRATCH}.unit AS l ON l.unit_id = best.unit_id_l JOIN {SCRATCH}.unit AS r ON r.unit_id = best.unit_id_r
        )
        SELECT
            CASE WHEN in_order THEN record_l ELSE record_r END AS left_record,
            CASE WHEN in_order THEN record_r ELSE record_l END AS right_record,
            left_person, right_person, probability,
            concat_ws('; ', {", ".join(_evidence(one, shift if one is first else "0") for one in comparisons)}) AS evidence,
            CASE WHEN probability >= {PROPOSE_MERGE_FROM} THEN 'merge' ELSE 'look' END AS proposed_action
        FROM shown
        ORDER BY probability DESC, left_person, right_person
        """
    )
    return _one(connection, f"SELECT count(*) FROM {out}")


def _frequency(one: model.Comparison) -> str:
    return f" + mw_tf_adj_{one.column}" if any(level.frequency for level in one.levels) else ""


def _evidence(one: model.Comparison, shift: str) -> str:
    """SQL for the words about one field; NULL when there was nothing to compare."""
    cases = "".join(
        f" WHEN {level.sql} THEN {_text(level.words)}" if level.sql else f" ELSE {_text(level.words)}"
        for level in one.levels
    )
    words = f"CASE WHEN {one.missing} THEN NULL{cases} END"
    return f"{_text(one.words + ': ')} || {words} || printf(' (%+.1f)', mw_{one.column}{_frequency(one)} + {shift})"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _one(connection: DuckDBPyConnection, sql: str) -> Any:
    return connection.execute(sql).fetchall()[0][0]
