# ruff: noqa: S608 - names in these queries are constants, or tables of the scratch schema
"""From weights to probabilities: priors from the scores themselves, households, reviewers' decisions.

Belongs here: how likely a scored pair is one person, as SQL over Splink's weights. Does not belong here: comparing and
training (probable_model), the table of pairs (probable).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from duckdb import DuckDBPyConnection

from referral_pipeline.identity import probable_model as model
from referral_pipeline.identity.probable_units import SCRATCH

MINIMUM_LABELS: Final = 30
"""Reviewers' decisions of either kind from which on they calibrate the probabilities."""

_REFINEMENTS = 60
_STRENGTH_OF_START = 20


@dataclass(frozen=True)
class Refined:
    """What the scores of all pairs together teach.

    `match` and `household` are how probable it is that two records taken at random are of one person, or of two people
    of one household; `first_name` is m of each of its levels.
    """

    match: float
    household: float
    first_name: tuple[float, ...]

    @property
    def match_bits(self) -> float:
        """The log odds of `match`."""
        return math.log2(self.match / (1 - self.match))

    @property
    def household_bits(self) -> float:
        """The logarithm of `household`."""
        return math.log2(self.household)


def refined_by(connection: DuckDBPyConnection, scored: str, trained: model.Trained) -> Refined:
    """Priors, and m of first names, with which the expected numbers of pairs agree with the scores.

    Members of a household share last name, phone, town, sometimes a mailbox: fields that then are no independent
    evidence. Held against chance alone, such a pair would look like one person; it is held against this too.
    What tells them apart are first names, and how these differ within one person is learnt here once more: Splink's
    training, which knows no households, takes some of them for one person.
    """
    joined, total = joined_pairs(connection), all_pairs(connection)
    first = trained.comparisons[0]
    known = tuple(level.m for level in first.levels)
    refined = Refined(trained.prior, trained.prior / 2, known)
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
        refined = Refined(
            min(0.5, (joined + 0.5 + math.fsum(expected.values())) / total),
            min(0.5, (0.5 + math.fsum(households)) / total),
            tuple(count / math.fsum(counts) for count in counts),
        )
    return Refined(
        float(f"{refined.match:.5g}"),
        float(f"{refined.household:.5g}"),
        tuple(float(f"{m:.5g}") for m in refined.first_name),
    )


def _seen_in_persons(connection: DuckDBPyConnection, one: model.Comparison) -> dict[int, float]:
    """How often each level of a field holds between two units that the rules made one person.

    The pairs of a person count as `joined_pairs` in all.
    """
    cases = " ".join(
        f"WHEN {level.sql} THEN {place}" if level.sql else f"ELSE {place}" for place, level in enumerate(one.levels)
    )
    sides = ", ".join(f"{side}.{name} AS {name}_{side}" for side in ("l", "r") for name in model.columns([one]))
    found = connection.execute(f"""
        WITH many AS MATERIALIZED (
            SELECT person_no, count(*) AS n FROM {SCRATCH}.counted GROUP BY person_no HAVING n > 1
        )
        SELECT level, sum(pairs * 2 / n)::DOUBLE
        FROM (
            SELECT CASE WHEN {one.missing} THEN -1 {cases} END AS level, n, count(*) AS pairs
            FROM (
                SELECT many.n, {sides} FROM many
                JOIN {SCRATCH}.counted AS l ON l.person_no = many.person_no
                JOIN {SCRATCH}.counted AS r ON r.person_no = many.person_no AND l.unit_id < r.unit_id
            )
            GROUP BY ALL
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
    return " + ".join(f"mw_{one.column}{frequency_of(one)}" for one in comparisons)


def _household_weight(comparisons: Sequence[model.Comparison]) -> str:
    """SQL for what the fields say for one household and against chance."""
    fields: list[str] = []
    for one in comparisons:
        shifts = [repr(math.log2(level.household / level.m)) for level in one.levels if level.household is not None]
        if shifts:
            fields.append(f"{_by_level(one, shifts, '0')} + mw_{one.column}{frequency_of(one)}")
    return " + ".join(fields)


def first_name_shift(first: model.Comparison, refined: Refined) -> str:
    """SQL for what the refined m adds to the weight of the first name."""
    shifts = [repr(math.log2(m / level.m)) for m, level in zip(refined.first_name, first.levels, strict=True)]
    return _by_level(first, shifts, "0")


def bits_of(comparisons: Sequence[model.Comparison], refined: Refined) -> str:
    """SQL for the log odds, in bits, that a pair is one person rather than two of one household, or strangers."""
    shift = first_name_shift(comparisons[0], refined)
    match = f"({_weight(comparisons)} + {shift} + {refined.match_bits!r})"
    household = f"({_household_weight(comparisons)} + {refined.household_bits!r})"
    return f"({match} - log2(1 + pow(2.0::DOUBLE, least({household}, 500))))"


@dataclass(frozen=True)
class Calibration:
    """Log odds (in bits) as reviewers found them: `offset + slope * bits` of the model."""

    offset: float
    slope: float


def calibrated_by(
    connection: DuckDBPyConnection, bits: str, scored: str, labels: Sequence[tuple[str, str, bool]]
) -> Calibration | None:
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


def _platt(bits: Sequence[float], same: Sequence[bool]) -> Calibration:
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
    return Calibration(float(f"{fitted[0] / math.log(2):.5g}"), float(f"{max(fitted[1], 0.01):.5g}"))


def joined_pairs(connection: DuckDBPyConnection) -> int:
    """Pairs of units that the rules made one person.

    A person counts once for each unit beyond the first, as if its records had come one after another and each had been
    joined; all pairs of one huge person would outweigh those of everybody else.
    """
    return _one(connection, f"SELECT count(*) - count(DISTINCT person_no) FROM {SCRATCH}.counted")


def all_pairs(connection: DuckDBPyConnection) -> float:
    """All pairs of units there are."""
    count = _one(connection, f"SELECT count(*) FROM {SCRATCH}.counted")
    return max(count * (count - 1) / 2, 1.0)


def frequency_of(one: model.Comparison) -> str:
    """SQL for what the frequency of the value adds to the weight of this field."""
    return f" + mw_tf_adj_{one.column}" if any(level.frequency for level in one.levels) else ""


def _one(connection: DuckDBPyConnection, sql: str) -> Any:
    return connection.execute(sql).fetchall()[0][0]
