"""What a quality rule is: its words, its severity, and the expectations that judge it.

Belongs here: the frozen `Rule` and small factories for the expectations that recur. Does not belong here: the rules
themselves (`staging_rules`, `attribution_rules`), and Great Expectations, which takes seconds to import and is loaded
by the adapter only when rules run. Expectations are therefore plain data: a type in Great Expectations' own snake_case
and its keyword arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How loudly a failed rule speaks."""

    ERROR = "ERROR"
    WARN = "WARN"


@dataclass(frozen=True)
class Expectation:
    """One expectation as data, e.g. `expect_column_values_to_be_unique` with `{"column": "id"}`."""

    type: str
    kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads."""
        return tuple(self.kwargs[key] for key in ("column", "column_A", "column_B") if key in self.kwargs)


@dataclass(frozen=True)
class Rule:
    """One quality rule: one Dagster check, one line for a person who has to act on it.

    `name` is stable and unique among all rules. `table` is the warehouse table under guard, `asset` the Dagster asset
    that makes it. `view` names another shape of the same table (`quality.frames`): "columns" has one row per expected
    column, "applications" one per application, "shares" one per application and advocate. `mend` says in one sentence
    what to do next.
    """

    name: str
    table: str
    asset: str
    description: str
    mend: str
    expectation: Expectation
    blocking: bool = False
    severity: Severity = Severity.WARN
    view: str | None = None

    @property
    def frame(self) -> str:
        """The name of the frame that the rule is judged on: the table, or `table:view`."""
        return f"{self.table}:{self.view}" if self.view else self.table

    @property
    def unit(self) -> str:
        """What one row of the frame is, for messages."""
        return "columns" if self.view == "columns" else "rows"


@dataclass(frozen=True)
class RuleSet:
    """Writes rules for one table without repeating its name and asset."""

    table: str
    asset: str

    def guard(
        self, name: str, description: str, mend: str, expectation: Expectation, *, view: str | None = None
    ) -> Rule:
        """A blocking rule of severity ERROR: attribution is at stake, nothing downstream may be built on a failure."""
        return Rule(name, self.table, self.asset, description, mend, expectation, True, Severity.ERROR, view)

    def watch(
        self, name: str, description: str, mend: str, expectation: Expectation, *, view: str | None = None
    ) -> Rule:
        """A rule that warns: the numbers stand, somebody should look."""
        return Rule(name, self.table, self.asset, description, mend, expectation, view=view)


def unique(column: str) -> Expectation:
    """No two rows share a value. Every row of a shared value counts as failed."""
    return Expectation("expect_column_values_to_be_unique", {"column": column})


def present(column: str) -> Expectation:
    """No row lacks a value."""
    return Expectation("expect_column_values_to_not_be_null", {"column": column})


def matching(column: str, regex: str) -> Expectation:
    """Every value has the form; missing values are not judged."""
    return Expectation("expect_column_values_to_match_regex", {"column": column, "regex": regex})


def within(column: str, values: Iterable[object]) -> Expectation:
    """Every value is one of a closed vocabulary; missing values are not judged."""
    return Expectation("expect_column_values_to_be_in_set", {"column": column, "value_set": list(values)})


def true(column: str) -> Expectation:
    """A prepared boolean holds in every row where it could be told."""
    return within(column, (True,))


def between(column: str, low: float | None, high: float | None = None) -> Expectation:
    """Every value lies in the closed range; missing values are not judged."""
    return Expectation("expect_column_values_to_be_between", {"column": column, "min_value": low, "max_value": high})


def not_before(later: str, earlier: str) -> Expectation:
    """`later >= earlier` in every row that has both."""
    return Expectation(
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": later, "column_B": earlier, "or_equal": True, "ignore_row_if": "either_value_is_missing"},
    )


def as_declared() -> Expectation:
    """Every expected column exists and has its kind (frame view "columns")."""
    return Expectation(
        "expect_column_pair_values_to_be_equal",
        {"column_A": "found", "column_B": "expected", "ignore_row_if": "both_values_are_missing"},
    )
