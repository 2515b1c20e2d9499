"""Quality rules on costs: what the files said, and what became of it.

Belongs here: rules on `staging.cost` and `mart.cost`. Does not belong here: what makes a line unreadable (such
lines are set aside before these rules look).
"""

from __future__ import annotations

from referral_pipeline.quality.rule import Rule, RuleSet, as_declared, between, present, true

_cost = RuleSet("staging.cost", "costs")
_allocated = RuleSet("mart.cost", "allocated_costs")

COST_RULES: tuple[Rule, ...] = (
    _cost.watch(
        "cost_columns_are_as_declared",
        "The table of costs has every column that later steps read, each of its type.",
        "Compare the staging model with what connectors.costs answers.",
        as_declared(),
        view="columns",
    ),
    _cost.watch(
        "cost_amount_is_not_negative",
        "No cost is negative; money that came back is, and a period of nothing else has no cost per hire.",
        "Look at the lines: a refund may stand, a slip of the sign may not.",
        between("reporting_cents", 0),
    ),
    _cost.watch(
        "cost_month_is_plausible",
        "Every cost lies between the year 2000 and three years from now.",
        "Correct the period in the file: a digit of the year may be wrong.",
        true("month_is_plausible"),
    ),
    _allocated.watch(
        "allocated_cost_has_channel_and_kind",
        "Every allocated cost is of advocacy or of other channels, and internal or external.",
        "Compare the model of mart.cost with staging.cost: a line came in that no reader would let pass.",
        true("is_of_a_known_kind"),
    ),
    _allocated.watch(
        "allocated_cost_currency_is_present",
        "Every allocated cost is in the reporting currency.",
        "Run `referral-pipeline refresh`: the currency of the contract changed between two steps.",
        present("currency"),
    ),
    _allocated.guard(
        "allocated_costs_sum_to_what_was_stated",
        "What the months and channels bear sums to exactly what the files state, to the cent.",
        "Run `referral-pipeline refresh`; if it stays, the model of mart.cost loses or doubles a line.",
        true("sums_agree"),
        view="whole",
    ),
)
