"""Quality rules on people, touchpoints, attribution, credit and status history: what the numbers are paid out by.

Belongs here: rules on `core.*` tables. Most of them block: a KPI built on a doubtful attribution row is worse than
none, so nothing is published until the row is explained. Does not belong here: how credit is given
(`attribution.models`, warehouse/sql/core), rules on what was received (`staging_rules`).
"""

from __future__ import annotations

from referral_pipeline.quality.rule import (
    Rule,
    RuleSet,
    as_declared,
    between,
    matching,
    not_before,
    present,
    true,
    unique,
    within,
)
from referral_pipeline.quality.staging_rules import STATUSES

PERSON_ID = r"^per_[0-9a-f]{16}\Z"
CHANNELS = ("advocacy", "other")
TOUCH_KINDS = ("share", "click", "referral")
MODELS = ("first_touch", "last_touch", "linear", "time_decay", "position_based")
PAYS = (*MODELS, "override")

_REBUILD = (
    "Run `referral-pipeline refresh` to rebuild it from raw; if it stays, report the rule and its count as a defect."
)
_DRIFT = "Compare the core model's SQL with the tables that others read: a column was renamed, retyped or dropped."
_UNKNOWN = "Pull advocates and shares in full with `refresh`; an id that nobody ever sent was written by hand."
_RESOLVE = "Run the identity step again: every record belongs to a person before credit is given."

_person = RuleSet("core.person", "people")
_touch = RuleSet("core.touchpoint", "touchpoints")
_attribution = RuleSet("core.attribution", "attribution")
_credit = RuleSet("core.attribution_credit", "attribution_credit")
_comparison = RuleSet("mart.attribution_comparison", "attribution_comparison")
_used = RuleSet("core.rules_used", "attribution_credit")
_history = RuleSet("core.status_history", "status_history")

PERSON_RULES = (
    _person.guard(
        "person_columns_are_as_declared",
        "The table of people has every column that later steps read, each of its type.",
        _DRIFT,
        as_declared(),
        view="columns",
    ),
    _person.guard("person_id_is_unique", "A person has one row.", _RESOLVE, unique("person_id")),
    _person.guard("person_id_is_present", "Every person has an id.", _RESOLVE, present("person_id")),
    _person.guard(
        "person_id_is_a_pseudonym",
        "A person's id is a pseudonym, so that nothing published names anybody.",
        "Stop publishing and run the identity step again: ids are made by `identity.resolve` only.",
        matching("person_id", PERSON_ID),
    ),
    _person.watch(
        "person_has_a_record",
        "Every person stands for at least one record.",
        _RESOLVE,
        between("record_count", 1),
    ),
)

TOUCHPOINT_RULES = (
    _touch.guard(
        "touchpoint_columns_are_as_declared",
        "The touchpoint table has every column that later steps read, each of its type.",
        _DRIFT,
        as_declared(),
        view="columns",
    ),
    _touch.guard(
        "referral_touch_has_a_person",
        "Every referral's touch belongs to a person; shares and clicks may belong to nobody yet.",
        _RESOLVE,
        true("has_person"),
    ),
    _touch.guard(
        "touchpoint_advocate_is_present", "Every touchpoint names its advocate.", _REBUILD, present("advocate_id")
    ),
    _touch.guard(
        "touchpoint_advocate_is_known",
        "The advocate of a touchpoint is one that the advocacy platform has sent.",
        _UNKNOWN,
        true("advocate_known"),
    ),
    _touch.guard(
        "touchpoint_share_is_known",
        "The share of a touchpoint is one that the advocacy platform has sent.",
        _UNKNOWN,
        true("share_known"),
    ),
    _touch.guard(
        "touchpoint_kind_is_known",
        "A touchpoint is a share, a click or a referral.",
        _REBUILD,
        within("kind", TOUCH_KINDS),
    ),
    _touch.guard(
        "touchpoint_time_is_present",
        "Every touchpoint has its time: order in time decides who is credited.",
        _REBUILD,
        present("occurred_at"),
    ),
)

ATTRIBUTION_RULES = (
    _attribution.guard(
        "attribution_columns_are_as_declared",
        "The attribution table has every column that others read, each of its type.",
        _DRIFT,
        as_declared(),
        view="columns",
    ),
    _attribution.guard(
        "application_key_is_unique",
        "An application has one attribution row, so no hire is counted twice.",
        _REBUILD,
        unique("application_key"),
    ),
    _attribution.guard(
        "application_key_is_present",
        "Every attribution row names its application.",
        _REBUILD,
        present("application_key"),
    ),
    _attribution.guard(
        "no_application_is_left_out",
        "Every application that the ATS has sent has an attribution row; with unique keys that is exactly one.",
        _REBUILD,
        between("attribution_rows", 1),
        view="applications",
    ),
    _attribution.guard(
        "attribution_application_is_known",
        "Every attribution row is for an application that the ATS has sent.",
        _REBUILD,
        true("application_known"),
    ),
    _attribution.guard(
        "attribution_person_is_present", "Every attribution row belongs to a person.", _RESOLVE, present("person_id")
    ),
    _attribution.guard(
        "attribution_person_is_known",
        "The person of an attribution row is in the table of people.",
        _RESOLVE,
        true("person_known"),
    ),
    _attribution.guard(
        "attribution_advocate_is_known",
        "The advocate of an attribution row is one that the advocacy platform has sent.",
        _UNKNOWN,
        true("advocate_known"),
    ),
    _attribution.guard(
        "attributed_advocate_holds_credit",
        "The advocate of an attribution row holds credit for that application, and where nobody is named nobody does.",
        _REBUILD,
        true("advocate_credited"),
    ),
    _attribution.guard(
        "attribution_share_is_known",
        "The share of an attribution row is one that the advocacy platform has sent.",
        _UNKNOWN,
        true("share_known"),
    ),
    _attribution.guard(
        "attribution_channel_is_known",
        "The channel of an attribution row is advocacy or other.",
        _REBUILD,
        within("channel", CHANNELS),
    ),
    _attribution.guard(
        "attribution_channel_is_present", "Every attribution row has a channel.", _REBUILD, present("channel")
    ),
    _attribution.guard(
        "attribution_status_is_known",
        "The status of an attribution row is one of the canonical statuses.",
        "Map the stage in the contract's stage_map.",
        within("status", STATUSES),
    ),
    _attribution.guard(
        "attribution_status_is_present", "Every attribution row has a status.", _REBUILD, present("status")
    ),
    _attribution.guard(
        "attribution_model_is_known",
        "The model that gave the credit is one of the five that KPIS defines, or the owner's override.",
        "Set rules.attribution.model in the contract to one of the five and refresh.",
        within("attribution_model", PAYS),
    ),
    _attribution.guard(
        "attribution_date_is_present",
        "Every attribution row has the date of its application: it decides the cohort.",
        _REBUILD,
        present("applied_at"),
    ),
    _attribution.guard(
        "hired_at_is_not_before_applied_at",
        "No hire is dated before its application.",
        "Correct the date of the offer or of the application in the ATS; a negative time to hire is never averaged in.",
        not_before("hired_at", "applied_at"),
    ),
    _attribution.watch(
        "interviewed_at_is_not_before_applied_at",
        "No interview is dated before its application.",
        "Correct the dates in the ATS; rates between stages count the application either way.",
        not_before("interviewed_at", "applied_at"),
    ),
)

CREDIT_RULES = (
    _credit.guard(
        "credit_columns_are_as_declared",
        "The credit table has every column that others read, each of its type; weights are exact decimals.",
        _DRIFT,
        as_declared(),
        view="columns",
    ),
    _credit.guard(
        "credit_application_is_present", "Every credit names its application.", _REBUILD, present("application_key")
    ),
    _credit.guard(
        "credit_application_is_attributed",
        "Every credit is for an application that has an attribution row.",
        _REBUILD,
        true("application_known"),
    ),
    _credit.guard("credit_advocate_is_present", "Every credit names its advocate.", _REBUILD, present("advocate_id")),
    _credit.guard(
        "credit_advocate_is_known",
        "The advocate of a credit is one that the advocacy platform has sent.",
        _UNKNOWN,
        true("advocate_known"),
    ),
    _credit.guard(
        "credit_share_is_known",
        "The share of a credit is one that the advocacy platform has sent.",
        _UNKNOWN,
        true("share_known"),
    ),
    _credit.guard("credit_weight_is_present", "Every credit has a weight.", _REBUILD, present("weight")),
    _credit.guard("credit_weight_is_a_fraction", "A weight lies between 0 and 1.", _REBUILD, between("weight", 0, 1)),
    _credit.guard(
        "credit_is_explained",
        "A credit with weight is credited or the owner's override, and one without says why.",
        _REBUILD,
        true("explained"),
    ),
    _credit.guard(
        "weights_sum_to_one",
        "The weights of a credited application sum to exactly 1, in decimals.",
        _REBUILD,
        within("weight_sum", (1,)),
        view="applications",
    ),
    _credit.guard(
        "credit_bonus_is_present",
        "Every credit has a bonus in cents, zero when none is due.",
        _REBUILD,
        present("bonus_cents"),
    ),
    _credit.guard(
        "credit_bonus_is_not_negative", "A bonus is zero or more whole cents.", _REBUILD, between("bonus_cents", 0)
    ),
    _credit.guard(
        "bonus_is_paid_once",
        "The bonus shares of an application sum to nothing (no hire, or a rehire) or to the contract's bonus, exactly.",
        "Hold the pay-out, compare rules.bonus in the contract with the table, then refresh.",
        true("bonus_as_agreed"),
        view="applications",
    ),
)

USED_RULES = (
    _used.guard(
        "rules_used_columns_are_as_declared",
        "The rules that the tables were made by have every column that others read, each of its type.",
        _DRIFT,
        as_declared(),
        view="columns",
    ),
    _used.guard(
        "bonus_used_is_not_negative",
        "The bonus that the tables were made by is zero or more whole cents.",
        "Mend rules.bonus.amount_cents in the contract, then refresh.",
        between("bonus_cents", 0),
    ),
)

COMPARISON_RULES = (
    _comparison.guard(
        "comparison_columns_are_as_declared",
        "The comparison of the models has every column that others read, each of its type; weights are exact decimals.",
        _DRIFT,
        as_declared(),
        view="columns",
    ),
    _comparison.guard(
        "comparison_application_is_attributed",
        "Every row of the comparison is for an application that has an attribution row.",
        _REBUILD,
        true("application_known"),
    ),
    _comparison.guard(
        "comparison_advocate_is_present",
        "Every row of the comparison names its advocate.",
        _REBUILD,
        present("advocate_id"),
    ),
    *(
        _comparison.guard(
            f"{model}_sums_to_one",
            f"The weights that {model} gives sum to exactly 1 over an application of which touches count.",
            _REBUILD,
            within(f"{model}_sum", (1,)),
            view="applications",
        )
        for model in MODELS
    ),
    _comparison.guard(
        "comparison_pays_by_a_model_or_an_override",
        "What pays is one of the five models, or the owner's override.",
        _REBUILD,
        within("pays", PAYS),
    ),
    _comparison.guard(
        "paid_weight_is_the_paying_models",
        "Where a model pays, the paid weight is that model's own, so that nobody is paid by another than is told.",
        _REBUILD,
        true("paid_by_model"),
    ),
    _comparison.guard(
        "paid_weight_is_that_of_the_credit",
        "The paid weight is the weight in the credit table, which the bonus follows.",
        _REBUILD,
        true("paid_as_credited"),
    ),
)

HISTORY_RULES = (
    _history.guard(
        "status_history_columns_are_as_declared",
        "The status history has every column that others read, each of its type.",
        _DRIFT,
        as_declared(),
        view="columns",
    ),
    _history.guard(
        "history_application_is_present",
        "Every status belongs to an application.",
        _REBUILD,
        present("application_key"),
    ),
    _history.watch(
        "history_application_is_attributed",
        "Every status is of an application that has an attribution row.",
        _REBUILD,
        true("application_known"),
    ),
    _history.guard("history_status_is_present", "Every stretch of history has a status.", _REBUILD, present("status")),
    _history.guard(
        "history_status_is_known",
        "Every status is one of the canonical statuses.",
        "Map the stage in the contract's stage_map.",
        within("status", STATUSES),
    ),
    _history.guard(
        "history_start_is_present", "Every stretch of history has a start.", _REBUILD, present("valid_from")
    ),
    _history.guard(
        "history_ends_after_it_starts",
        "No stretch of history ends before it starts.",
        _REBUILD,
        not_before("valid_to", "valid_from"),
    ),
    _history.guard(
        "history_has_one_present_status",
        "Every application stands in exactly one status now.",
        _REBUILD,
        within("present_statuses", (1,)),
        view="applications",
    ),
)

CORE_RULES: tuple[Rule, ...] = (
    *PERSON_RULES,
    *TOUCHPOINT_RULES,
    *ATTRIBUTION_RULES,
    *CREDIT_RULES,
    *USED_RULES,
    *COMPARISON_RULES,
    *HISTORY_RULES,
)
