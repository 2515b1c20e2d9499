"""The table of all quality rules: one row, one check.

Belongs here: `RULES` and how to find rules in it. Does not belong here: the wording of a rule (`staging_rules`,
`attribution_rules`, `bonus_rules`, `cost_rules`), running them (`adapter`), Great Expectations. Importing this module
is cheap, on purpose: Dagster reads it whenever it loads the code location.
"""

from __future__ import annotations

from referral_pipeline.quality.attribution_rules import CORE_RULES
from referral_pipeline.quality.bonus_rules import BONUS_RULES
from referral_pipeline.quality.cost_rules import COST_RULES
from referral_pipeline.quality.rule import Expectation, Rule, Severity
from referral_pipeline.quality.staging_rules import STAGING_RULES

__all__ = ["RULES", "RULE_TABLES", "Expectation", "Rule", "Severity", "rules_for_asset", "rules_for_table"]

RULES: tuple[Rule, ...] = (*STAGING_RULES, *CORE_RULES, *BONUS_RULES, *COST_RULES)
"""Every rule, in the order in which the data flows."""

RULE_TABLES: tuple[str, ...] = tuple(dict.fromkeys(rule.table for rule in RULES))
"""Every table under guard, once."""


def rules_for_table(table: str) -> tuple[Rule, ...]:
    """The rules of one table, e.g. "core.attribution"; empty for a table without rules."""
    return tuple(rule for rule in RULES if rule.table == table)


def rules_for_asset(asset: str) -> tuple[Rule, ...]:
    """The rules of one Dagster asset; an asset may make more than one table."""
    return tuple(rule for rule in RULES if rule.asset == asset)
