"""What a likeness is worth: comparison levels, their start values, and training on the data at hand.

Belongs here: the model of Splink, its settings, its training. Does not belong here: the units (probable_units), scoring
and what follows from a score (probable).

A level's m is how probable it is between two records of one person, u between records of two. The start values of m
were read off public test data and practice with candidate records; u always comes from the data. After training a tenth
of the start value stays in each m, so that a level which training never met does not decide alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from referral_pipeline.identity.probable_units import Extra, Units

if TYPE_CHECKING:
    from splink import SettingsCreator

MINIMUM_UNITS: Final = 200
"""Fewer units than this train nothing: the start values stand."""

_KEPT_OF_START = 0.1
_SMALLEST_U = 1e-7
_APART = 1e-4
_SWAPPED = "(given_l = family_r AND family_l = given_r AND given_l <> family_l)"
_FROM_NAME = "pattern_l IS NOT NULL AND pattern_r IS NOT NULL"


@dataclass(frozen=True)
class Level:
    """One grade of likeness. `sql` None is all the rest.

    `frequency` is the column whose values' frequency counts. `household` is how probable the grade is between two
    people who live together, None when living together says nothing about the field.
    """

    words: str
    sql: str | None
    m: float
    u: float
    frequency: str | None = None
    household: float | None = None
    is_fixed: bool = False
    """Whether u stands as given: it holds among people of one name, which random pairs do not show."""

    @property
    def bits(self) -> float:
        """The weight, before the frequency of the value counts."""
        return math.log2(self.m / self.u)


@dataclass(frozen=True)
class Comparison:
    """One field: how its values are compared, best level first. `missing` says when there is nothing to compare."""

    column: str
    words: str
    missing: str
    levels: tuple[Level, ...]


def comparisons(units: Units) -> tuple[Comparison, ...]:
    """The comparisons of these units. Levels are tried in order; the first that holds counts."""
    return (
        _FIRST_NAME,
        _LAST_NAME,
        _email(units.pattern_repeats),
        _PHONE,
        *(_date(extra) if extra.is_date else _text(extra) for extra in units.extras),
    )


_FIRST_NAME: Final = Comparison(
    "first_name",
    "first name",
    "given_l IS NULL OR given_r IS NULL",
    (
        Level("first and last name swapped", _SWAPPED, 0.03, 1e-6),
        Level("equal", "given_l = given_r", 0.6, 0.005, frequency="given"),
        Level("short form or one of several", "list_has_any(forms_l, forms_r)", 0.1, 0.002),
        Level(
            "initial",
            "least(length(given_l), length(given_r)) = 1 AND left(given_l, 1) = left(given_r, 1)",
            0.02,
            0.001,
        ),
        Level("nearly equal", "jaro_winkler_similarity(given_l, given_r) >= 0.9", 0.14, 0.004),
        Level("close", "jaro_winkler_similarity(given_l, given_r) >= 0.78", 0.05, 0.015),
        Level("different", None, 0.06, 0.97),
    ),
)

_LAST_NAME: Final = Comparison(
    "last_name",
    "last name",
    f"family_l IS NULL OR family_r IS NULL OR {_SWAPPED}",
    (
        Level("equal", "family_l = family_r", 0.7, 0.002, frequency="family", household=0.85),
        Level(
            "one is part of the other",
            "contains(' ' || family_l || ' ', ' ' || family_r || ' ') "
            "OR contains(' ' || family_r || ' ', ' ' || family_l || ' ')",
            0.03,
            0.0005,
            household=0.03,
        ),
        Level("nearly equal", "jaro_winkler_similarity(family_l, family_r) >= 0.9", 0.14, 0.003, household=0.02),
        Level("close", "jaro_winkler_similarity(family_l, family_r) >= 0.78", 0.05, 0.015, household=0.02),
        Level("different", None, 0.08, 0.98, household=0.08),
    ),
)

_PHONE: Final = Comparison(
    "phone",
    "phone",
    "phone_l IS NULL OR phone_r IS NULL",
    (
        Level("equal", "phone_l = phone_r", 0.5, 1e-5, frequency="phone", household=0.7),
        Level("one digit off", "damerau_levenshtein(phone_l, phone_r) <= 1", 0.05, 1e-4, household=0.02),
        Level("different", None, 0.45, 0.999, household=0.28),
    ),
)


def _email(pattern_repeats: float) -> Comparison:
    """An address made of the name (anna.muster@) tells of namesakes nothing beyond how it is put together."""
    return Comparison(
        "email",
        "e-mail",
        f"email_l IS NULL OR email_r IS NULL OR ({_FROM_NAME} AND local_l <> local_r)",
        (
            Level("equal", "email_l = email_r", 0.25, 1e-5, frequency="email", household=0.15),
            Level(
                "name part equal, made of the name",
                f"local_l = local_r AND {_FROM_NAME}",
                0.12,
                max(pattern_repeats * 0.1, _SMALLEST_U),
                is_fixed=True,
                household=0.001,
            ),
            Level("name part equal", "local_l = local_r", 0.18, 1e-5, frequency="local", household=0.01),
            Level(
                "two letters off",
                # The distance costs a hundred times what the likeness does: it is asked only about the alike.
                "CASE WHEN length(local_l) < 5 OR jaro_winkler_similarity(email_l, email_r) < 0.88 "
                "OR (rest_l = '' AND rest_r = '') THEN false ELSE damerau_levenshtein(email_l, email_r) <= 2 END",
                0.1,
                1e-5,
                household=0.01,
            ),
            Level(
                "name part close",
                "jaro_winkler_similarity(local_l, local_r) >= 0.88 "
                "AND (rest_l IS NULL OR rest_r IS NULL OR (rest_l = rest_r AND length(rest_l) >= 2))",
                0.08,
                5e-4,
                household=0.03,
            ),
            Level("different", None, 0.27, 0.999, household=0.799),
        ),
    )


def _date(extra: Extra) -> Comparison:
    left, right = f"{extra.column}_l", f"{extra.column}_r"
    swapped = f"left({left}, 5) || substr({left}, 9, 2) || '-' || substr({left}, 6, 2)"
    # ISO dates are of one length, so that the cheap Hamming distance finds what is worth asking Damerau about.
    near = (
        f"CASE hamming({left}, {right}) WHEN 1 THEN true WHEN 2 THEN damerau_levenshtein({left}, {right}) = 1 "
        "ELSE false END"
    )
    return Comparison(
        extra.column,
        extra.name,
        f"{left} IS NULL OR {right} IS NULL",
        (
            Level("equal", f"{left} = {right}", 0.6, 5e-5),
            Level("day and month swapped", f"{swapped} = {right}", 0.03, 2e-5),
            Level("one digit off or two neighbours swapped", near, 0.14, 1e-3),
            Level("two digits off", f"hamming({left}, {right}) = 2", 0.08, 0.01),
            Level(
                "within a year",
                f"abs(datediff('day', try_cast({left} AS DATE), try_cast({right} AS DATE))) <= 366",
                0.05,
                0.03,
            ),
            Level("different", None, 0.1, 0.96),
        ),
    )


def _text(extra: Extra) -> Comparison:
    left, right = f"{extra.column}_l", f"{extra.column}_r"
    return Comparison(
        extra.column,
        extra.name,
        f"{left} IS NULL OR {right} IS NULL",
        (
            Level("equal", f"{left} = {right}", 0.6, 0.05, frequency=extra.column, household=0.85),
            Level("nearly equal", f"jaro_winkler_similarity({left}, {right}) >= 0.9", 0.15, 0.01, household=0.03),
            Level("close", f"jaro_winkler_similarity({left}, {right}) >= 0.78", 0.1, 0.03, household=0.02),
            Level("different", None, 0.15, 0.91, household=0.1),
        ),
    )


def columns(used: Sequence[Comparison]) -> list[str]:
    """The columns of a unit that these comparisons read."""
    text = " ".join(sql for one in used for sql in (one.missing, *(level.sql or "" for level in one.levels)))
    return sorted({found[:-2] for found in re.findall(r"\b[a-z][a-z0-9]*_[lr]\b", text)})


# ---------------------------------------------------------------- parameters


@dataclass(frozen=True)
class Trained:
    """The model with the values that the data gave it. `passes` names the blockings that taught m.

    `learnt` are (m, u) as Splink estimated them, by column and level; None where it could not.
    """

    comparisons: tuple[Comparison, ...]
    prior: float
    passes: tuple[str, ...]
    learnt: Mapping[str, Sequence[tuple[float | None, float | None]]]


def settings(
    trained: Sequence[Comparison], prior: float, rules: Sequence[str], *, keep: Sequence[str] = ()
) -> SettingsCreator:
    """Splink's settings for these comparisons. `rules` are SQL over l and r."""
    import splink.comparison_level_library as levels
    import splink.comparison_library as library
    from splink import SettingsCreator
    from splink.blocking_rule_library import CustomRule

    def level(one: Level) -> Any:
        made = levels.ElseLevel() if one.sql is None else levels.CustomLevel(one.sql, one.words)
        made = made.configure(m_probability=one.m, u_probability=one.u, fix_u_probability=one.is_fixed)
        if one.frequency is None:
            return made
        return made.configure(tf_adjustment_column=one.frequency, tf_minimum_u_value=_SMALLEST_U)

    return SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="unit_id",
        comparisons=[
            library.CustomComparison(
                output_column_name=one.column,
                comparison_levels=[
                    levels.CustomLevel(one.missing, "missing").configure(is_null_level=True),
                    *(level(grade) for grade in one.levels),
                ],
            )
            for one in trained
        ],
        blocking_rules_to_generate_predictions=[CustomRule(rule) for rule in rules],
        probability_two_random_records_match=prior,
        retain_matching_columns=False,
        retain_intermediate_calculation_columns=True,
        additional_columns_to_retain=list(keep),
        max_iterations=30,
    )


def training_rules(units: Units) -> dict[str, str]:
    """By what EM blocks, in words and as SQL. Each teaches the fields that it says nothing about."""
    blocks = units.blocks
    # Neither a shared mailbox nor a shared phone teaches first names: a household would teach that they may differ.
    rules = {
        "full name": "l.given = r.given AND l.family = r.family AND l.{0} = r.{0}".format(blocks["full name"]),
        "name part of two e-mails": "l.local = r.local AND l.email <> r.email AND l.{0} = r.{0}".format(
            blocks["name part of the e-mail"]
        ),
        "phone and first name": "l.phone = r.phone AND l.given = r.given AND l.{0} = r.{0}".format(blocks["phone"]),
    }
    for extra in units.extras:
        if extra.is_date:
            rules[extra.name] = (
                f"l.{extra.column} = r.{extra.column} AND l.{blocks[extra.name]} = r.{blocks[extra.name]}"
            )
    return rules


def corrected(
    start: Sequence[Comparison], learnt: Mapping[str, Sequence[tuple[float | None, float | None]]], prior: float
) -> tuple[Comparison, ...]:
    """The start model with what was learnt: (m, u) by column and level, None where nothing was.

    A random sample holds `prior` pairs of one person: u is freed of them. Values are rounded, so that the last bits of
    a sum, whose order is that of threads, change nothing.
    """
    result: list[Comparison] = []
    for comparison in start:
        values = learnt[comparison.column]
        ms = [level.m if m is None else m for level, (m, _) in zip(comparison.levels, values, strict=True)]
        ms = [
            (1 - _KEPT_OF_START) * m / math.fsum(ms) + _KEPT_OF_START * level.m
            for level, m in zip(comparison.levels, ms, strict=True)
        ]
        levels: list[Level] = []
        for level, m, (_, u) in zip(comparison.levels, ms, values, strict=True):
            new = level.u if u is None or level.is_fixed else max((u - prior * m) / (1 - prior), u / 50, _SMALLEST_U)
            levels.append(replace(level, m=_rounded(m), u=_rounded(new)))
        result.append(replace(comparison, levels=_told_apart(levels)))
    return tuple(result)


def _told_apart(levels: Sequence[Level]) -> tuple[Level, ...]:
    """The levels with weights that all differ, and none of them 0: so a weight tells its level."""
    told: list[Level] = []
    for level in levels:
        while any(abs(level.bits - other) < _APART for other in (0.0, *(one.bits for one in told))):
            level = replace(level, m=level.m * 1.001)
        told.append(level)
    return tuple(told)


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
