"""Quality rules on the bonus ledger and on what payroll was given: money leaves the house by these rows.

Belongs here: rules on `mart.bonus` and `staging.ledger_payroll`. Does not belong here: when a bonus is eligible or paid
(sync, ledger), rules on credit (`attribution_rules`).
"""

from __future__ import annotations

from referral_pipeline.quality.rule import Rule, RuleSet, as_declared, between, present, true, unique, within

STATES = ("pending", "eligible", "reversed", "paid")

_HOLD = "Hold the next payroll export, compare `bonus list` with the table, and report the rule and its count."
_REBUILD = "Run `referral-pipeline refresh` to rebuild it from the ledger; if it stays, report it as a defect."

_bonus = RuleSet("mart.bonus", "bonus_ledger")
_payroll = RuleSet("staging.ledger_payroll", "bonus_ledger")

BONUS_RULES: tuple[Rule, ...] = (
    _bonus.guard(
        "bonus_columns_are_as_declared",
        "The bonus ledger has every column that others read, each of its type.",
        "Compare the model's SQL with the tables that others read: a column was renamed, retyped or dropped.",
        as_declared(),
        view="columns",
    ),
    _bonus.guard("bonus_id_is_present", "Every bonus has an id.", _REBUILD, present("bonus_id")),
    _bonus.guard("bonus_id_is_unique", "A bonus has one row.", _HOLD, unique("bonus_id")),
    _bonus.guard("bonus_state_is_present", "Every bonus has a state.", _REBUILD, present("state")),
    _bonus.guard(
        "bonus_state_is_known",
        "A bonus is pending, eligible, reversed or paid.",
        _REBUILD,
        within("state", STATES),
    ),
    _bonus.guard(
        "bonus_amount_is_not_negative", "A bonus is zero or more whole cents.", _HOLD, between("amount_cents", 0)
    ),
    _bonus.guard(
        "eligible_bonus_has_amount_and_currency",
        "What is eligible or paid has an amount and its currency.",
        _HOLD,
        true("has_amount"),
    ),
    _bonus.guard(
        "paid_bonus_has_an_export",
        "Every bonus that is paid is in a payroll export, and no other is.",
        _HOLD,
        true("export_agrees"),
    ),
    _bonus.watch(
        "bonuses_of_an_application_are_one_bonus",
        "What is paid, eligible and pending for one application is never more than the bonus, in one currency.",
        "Hold the next export and look at `bonus list`; a bonus that was lowered in the contract since explains it.",
        true("within_bonus"),
        view="applications",
    ),
    _bonus.watch(
        "bonus_follows_the_credit",
        "Whose bonus is eligible or pending is whose credit it is today, in the same proportion.",
        "Run `referral-pipeline refresh`, which takes back and gives anew; if it stays, look at the application with "
        "`explain` and hold its bonus out of the next export: credit moved, and the ledger did not follow.",
        true("as_credited"),
        view="shares",
    ),
    _payroll.guard(
        "payroll_columns_are_as_declared",
        "The copy of payroll's entries has every column that others read, each of its type.",
        "Compare the staging model's SQL with the ledger's table: a column was renamed, retyped or dropped.",
        as_declared(),
        view="columns",
    ),
    _payroll.guard("no_bonus_is_paid_twice", "No bonus is paid in two exports.", _HOLD, unique("paid_key")),
    _payroll.guard(
        "cancelled_export_pays_nothing",
        "Of an export that was cancelled nothing counts as paid.",
        _HOLD,
        true("export_stands"),
    ),
)
