"""Every quality rule fails when its own promise is broken, alone, and with the right count."""

from __future__ import annotations

from functools import partial

import pytest

from referral_pipeline.quality.adapter import RuleResult, run_rules
from referral_pipeline.quality.attribution_rules import MODELS
from referral_pipeline.quality.columns import COLUMNS
from referral_pipeline.quality.frames import frame_for
from referral_pipeline.quality.rules import RULE_TABLES, RULES, Rule, rules_for_asset, rules_for_table
from referral_pipeline_tests.unit.quality_tables import Tables

ASSETS = {
    *("advocates", "content", "shares", "clicks", "referrals"),
    *("ats_jobs", "ats_candidates", "ats_applications", "ats_offers"),
    *("people", "touchpoints", "attribution", "attribution_credit"),
    *("attribution_comparison", "status_history", "bonus_ledger"),
    *("costs", "allocated_costs"),
}


def column_gone(table: str, column: str) -> str:
    return f"ALTER TABLE {table} DROP COLUMN {column}"


def column_retyped(table: str, column: str, duckdb_type: str) -> str:
    return f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {duckdb_type}"


def put(table: str, assignment: str, where: str) -> str:
    return f"UPDATE {table} SET {assignment} WHERE {where}"


def twice(table: str, where: str) -> str:
    return f"INSERT INTO {table} SELECT * FROM {table} WHERE {where}"


def identified(noun: str, table: str, first: str, column: str) -> dict[str, tuple[str, int]]:
    return {
        f"{noun}_columns_are_as_declared": (column_gone(table, column), 1),
        f"{noun}_id_is_present": (put(table, "id = NULL", f"id = '{first}'"), 1),
        f"{noun}_id_is_unique": (twice(table, f"id = '{first}'"), 2),
    }


A0 = "application_key = 'greenhouse:P0'"
A0_CREDITED = f"{A0} AND weight > 0"
ONE_CREDIT = f"{A0} AND weight = 0.333333334"
ONE_TOUCH = "advocate_id = 'A0'"
FIRST_CONTACT = "candidate_id = 'C0' AND kind = "

BREAKS: dict[str, tuple[str, int]] = {
    **identified("advocate", "staging.advocate", "A3", "department"),
    "advocate_eligibility_is_known": (put("staging.advocate", "eligible = NULL", "id = 'A0'"), 1),
    "advocate_leaves_after_joining": (
        put("staging.advocate", "left_at = joined_at - INTERVAL 1 SECOND", "id IN ('A0', 'A1')"),
        2,
    ),
    **identified("content", "staging.content", "CO3", "title"),
    **identified("share", "staging.share", "S3", "job_id"),
    "share_advocate_is_known": (put("staging.share", "advocate_id = 'nobody'", "id = 'S0'"), 1),
    "share_content_is_known": (put("staging.share", "content_id = 'nothing'", "id IN ('S0', 'S1', 'S2')"), 3),
    "share_time_is_present": (put("staging.share", "shared_at = NULL", "id = 'S0'"), 1),
    "share_channel_is_a_plain_word": (put("staging.share", "channel = 'Linked,In'", "id = 'S0'"), 1),
    "share_reach_is_not_negative": (put("staging.share", "reach = -1", "id = 'S0'"), 1),
    **identified("click", "staging.click", "K3", "visitor_id"),
    "click_share_is_known": (put("staging.click", "share_id = 'nothing'", "id = 'K0'"), 1),
    "click_time_is_present": (put("staging.click", "clicked_at = NULL", "id = 'K0'"), 1),
    **identified("referral", "staging.referral", "R3", "last_name"),
    "referral_advocate_is_present": (put("staging.referral", "advocate_id = NULL", "id = 'R0'"), 1),
    "referral_advocate_is_known": (put("staging.referral", "advocate_id = 'nobody'", "id = 'R0'"), 1),
    "referral_share_is_known": (put("staging.referral", "share_id = 'nothing'", "id = 'R0'"), 1),
    "referral_job_is_present": (put("staging.referral", "job_id = NULL", "id = 'R0'"), 1),
    "referral_stage_is_known": (put("staging.referral", "stage = 'dreaming'", "id = 'R0'"), 1),
    "referral_stage_is_present": (put("staging.referral", "stage = NULL", "id = 'R0'"), 1),
    "referral_status_is_known": (put("staging.referral", "status = 'dreaming'", "id = 'R0'"), 1),
    "referral_touch_time_is_present": (put("staging.referral", "touched_at = NULL", "id = 'R0'"), 1),
    "referral_email_key_is_present": (put("staging.referral", "email_key = NULL", "id = 'R0'"), 1),
    "referral_email_key_is_well_formed": (put("staging.referral", "email_key = 'no address'", "id <> 'R0'"), 3),
    "referral_phone_key_is_e164": (put("staging.referral", "phone_key = '030 1234567'", "id = 'R0'"), 1),
    "referral_country_is_iso_code": (put("staging.referral", "country = 'Germany'", "id = 'R0'"), 1),
    "referral_applies_after_submitting": (
        put("staging.referral", "applied_at = submitted_at - INTERVAL 1 HOUR", "id = 'R0'"),
        1,
    ),
    **identified("ats_job", "staging.ats_job", "J1", "title"),
    "ats_job_status_is_known": (put("staging.ats_job", "status = 'dreaming'", "id = 'J1'"), 1),
    **identified("ats_candidate", "staging.ats_candidate", "C3", "first_name"),
    "ats_candidate_contact_columns_are_as_declared": (column_gone("staging.ats_candidate_contact", "value"), 1),
    "ats_contact_candidate_is_present": (
        put("staging.ats_candidate_contact", "candidate_id = NULL", f"{FIRST_CONTACT} 'email'"),
        1,
    ),
    "ats_contact_kind_is_known": (put("staging.ats_candidate_contact", "kind = 'fax'", f"{FIRST_CONTACT} 'email'"), 1),
    "ats_email_key_is_well_formed": (
        put("staging.ats_candidate_contact", "key = 'Someone0@mail.example'", f"{FIRST_CONTACT} 'email'"),
        1,
    ),
    "ats_phone_key_is_e164": (
        put("staging.ats_candidate_contact", "key = '+49 30 12345'", f"{FIRST_CONTACT} 'phone'"),
        1,
    ),
    "ats_application_columns_are_as_declared": (column_gone("staging.ats_application", "tag_campaign_tag"), 1),
    "ats_application_id_is_present": (put("staging.ats_application", "id = NULL", "id = 'P0'"), 1),
    "ats_application_is_unique": (twice("staging.ats_application", "id = 'P0'"), 2),
    "ats_application_candidate_is_present": (put("staging.ats_application", "candidate_id = NULL", "id = 'P0'"), 1),
    "ats_application_candidate_is_known": (put("staging.ats_application", "candidate_id = 'nobody'", "id = 'P0'"), 1),
    "ats_application_job_is_known": (put("staging.ats_application", "job_id = 'nothing'", "id = 'P0'"), 1),
    "ats_application_status_is_present": (put("staging.ats_application", "status = NULL", "id = 'P0'"), 1),
    "ats_application_status_is_known": (put("staging.ats_application", "status = 'dreaming'", "id = 'P0'"), 1),
    "ats_application_date_is_present": (put("staging.ats_application", "applied_at = NULL", "id = 'P0'"), 1),
    "ats_hire_is_not_before_application": (
        put("staging.ats_application", "hired_at = applied_at - INTERVAL 1 SECOND", "id = 'P0'"),
        1,
    ),
    "ats_application_advocate_is_known": (
        put("staging.ats_application", "tag_advocate_id = 'nobody'", "id IN ('P0', 'P1')"),
        2,
    ),
    **identified("ats_offer", "staging.ats_offer", "O3", "starts_on"),
    "ats_offer_application_is_present": (put("staging.ats_offer", "application_id = NULL", "id = 'O0'"), 1),
    "ats_offer_application_is_known": (put("staging.ats_offer", "application_id = 'nothing'", "id = 'O0'"), 1),
    "person_columns_are_as_declared": (column_retyped("core.person", "first_seen_at", "TIMESTAMP"), 1),
    "person_id_is_unique": (twice("core.person", "person_id LIKE '%10'"), 2),
    "person_id_is_present": (put("core.person", "person_id = NULL", "person_id LIKE '%10'"), 1),
    "person_id_is_a_pseudonym": (put("core.person", "person_id = 'a name'", "person_id LIKE '%10'"), 1),
    "person_has_a_record": (put("core.person", "record_count = 0", "person_id LIKE '%10'"), 1),
    "touchpoint_columns_are_as_declared": (column_gone("core.touchpoint", "content_id"), 1),
    "referral_touch_has_a_person": (put("core.touchpoint", "person_id = NULL", ONE_TOUCH), 1),
    "touchpoint_advocate_is_present": (put("core.touchpoint", "advocate_id = NULL", ONE_TOUCH), 1),
    "touchpoint_advocate_is_known": (put("core.touchpoint", "advocate_id = 'nobody'", ONE_TOUCH), 1),
    "touchpoint_share_is_known": (put("core.touchpoint", "share_id = 'nothing'", ONE_TOUCH), 1),
    "touchpoint_kind_is_known": (put("core.touchpoint", "kind = 'dream'", ONE_TOUCH), 1),
    "touchpoint_time_is_present": (put("core.touchpoint", "occurred_at = NULL", ONE_TOUCH), 1),
    "attribution_columns_are_as_declared": (
        column_gone("core.attribution", "campaign_tag")
        + ";"
        + column_retyped("core.attribution", "offered_at", "DATE"),
        2,
    ),
    "application_key_is_unique": (
        "INSERT INTO core.attribution SELECT * FROM core.attribution WHERE application_key = 'greenhouse:P0'",
        2,
    ),
    "application_key_is_present": (
        f"INSERT INTO core.attribution SELECT * REPLACE (NULL AS application_key) FROM core.attribution WHERE {A0}",
        1,
    ),
    "no_application_is_left_out": (f"DELETE FROM core.attribution WHERE {A0}", 1),
    "attribution_application_is_known": (
        "; ".join(
            f"INSERT INTO {table} SELECT * REPLACE ('greenhouse:P9' AS application_key) FROM {table} WHERE {A0}"
            for table in ("core.attribution", "core.attribution_credit")
        ),
        1,
    ),
    "attribution_person_is_present": (put("core.attribution", "person_id = NULL", A0), 1),
    "attribution_person_is_known": (put("core.attribution", "person_id = 'per_nobody'", A0), 1),
    "attribution_advocate_is_known": (
        "; ".join(
            put(table, "advocate_id = 'nobody'", A0) for table in ("core.attribution", "core.attribution_credit")
        ),
        1,
    ),
    "attributed_advocate_holds_credit": (
        put("core.attribution", "advocate_id = 'A1'", A0)
        + "; "
        + put("core.attribution", "advocate_id = NULL", "application_key = 'greenhouse:P3'"),
        2,
    ),
    "attribution_share_is_known": (put("core.attribution", "share_id = 'nothing'", A0), 1),
    "attribution_channel_is_known": (put("core.attribution", "channel = 'billboard'", A0), 1),
    "attribution_channel_is_present": (put("core.attribution", "channel = NULL", A0), 1),
    "attribution_status_is_known": (put("core.attribution", "status = 'dreaming'", A0), 1),
    "attribution_status_is_present": (put("core.attribution", "status = NULL", A0), 1),
    "attribution_model_is_known": (put("core.attribution", "attribution_model = 'by_feeling'", A0), 1),
    "attribution_date_is_present": (put("core.attribution", "applied_at = NULL", A0), 1),
    "hired_at_is_not_before_applied_at": (
        put("core.attribution", "hired_at = applied_at - INTERVAL 1 SECOND", A0),
        1,
    ),
    "interviewed_at_is_not_before_applied_at": (
        put("core.attribution", "interviewed_at = applied_at - INTERVAL 1 SECOND", A0),
        1,
    ),
    "credit_columns_are_as_declared": (column_retyped("core.attribution_credit", "bonus_cents", "DECIMAL(18, 2)"), 1),
    "credit_application_is_present": (put("core.attribution_credit", "application_key = NULL", A0_CREDITED), 3),
    "credit_application_is_attributed": (
        put("core.attribution_credit", "application_key = 'greenhouse:P9'", A0_CREDITED),
        3,
    ),
    "credit_advocate_is_present": (put("core.attribution_credit", "advocate_id = NULL", ONE_CREDIT), 1),
    "credit_advocate_is_known": (put("core.attribution_credit", "advocate_id = 'nobody'", ONE_CREDIT), 1),
    "credit_share_is_known": (put("core.attribution_credit", "share_id = 'nothing'", ONE_CREDIT), 1),
    "credit_weight_is_present": (
        "INSERT INTO core.attribution_credit "
        "SELECT * REPLACE (NULL AS weight, 0 AS bonus_cents, 'withdrawn' AS reason) "
        f"FROM core.attribution_credit WHERE {ONE_CREDIT}",
        1,
    ),
    "credit_weight_is_a_fraction": (
        put("core.attribution_credit", "weight = CASE WHEN weight = 0.333333334 THEN 1.6 ELSE -0.3 END", A0_CREDITED),
        3,
    ),
    "credit_is_explained": (put("core.attribution_credit", "reason = NULL", f"{A0} AND weight = 0"), 1),
    "weights_sum_to_one": (put("core.attribution_credit", "weight = 0.333333333", ONE_CREDIT), 1),
    "credit_bonus_is_present": (
        "INSERT INTO core.attribution_credit "
        "SELECT * REPLACE (0 AS weight, NULL AS bonus_cents, 'withdrawn' AS reason) "
        f"FROM core.attribution_credit WHERE {ONE_CREDIT}",
        1,
    ),
    "credit_bonus_is_not_negative": (
        "INSERT INTO core.attribution_credit SELECT c.* REPLACE (0 AS weight, x AS bonus_cents, 'withdrawn' AS reason) "
        f"FROM core.attribution_credit AS c, (VALUES (-5), (5)) AS v(x) WHERE {ONE_CREDIT}",
        1,
    ),
    "bonus_is_paid_once": (put("core.attribution_credit", "bonus_cents = bonus_cents + 1", ONE_CREDIT), 1),
    "rules_used_columns_are_as_declared": (column_gone("core.rules_used", "tie"), 1),
    "bonus_used_is_not_negative": (put("core.rules_used", "bonus_cents = -1", "true"), 1),
    "comparison_columns_are_as_declared": (column_retyped("mart.attribution_comparison", "linear", "DOUBLE"), 1),
    "comparison_application_is_attributed": (
        "INSERT INTO mart.attribution_comparison BY NAME "
        "SELECT 'greenhouse:P9' AS application_key, 'A0' AS advocate_id, 0 AS paid, 'override' AS pays",
        1,
    ),
    "comparison_advocate_is_present": (
        "INSERT INTO mart.attribution_comparison BY NAME "
        "SELECT 'greenhouse:P0' AS application_key, 0 AS paid, 'override' AS pays",
        1,
    ),
    **{
        f"{model}_sums_to_one": (
            put("mart.attribution_comparison", f"{model} = {model} + 0.000000001, pays = 'override'", A0),
            1,
        )
        for model in MODELS
    },
    "comparison_pays_by_a_model_or_an_override": (put("mart.attribution_comparison", "pays = 'a coin'", A0), 1),
    "paid_weight_is_the_paying_models": (
        put("mart.attribution_comparison", "linear = 0", A0),
        1,
    ),
    "paid_weight_is_that_of_the_credit": (
        put("mart.attribution_comparison", "paid = 0.5, pays = 'override'", A0),
        1,
    ),
    "status_history_columns_are_as_declared": (
        ";".join(column_retyped("core.status_history", column, "TIMESTAMP") for column in ("valid_from", "valid_to")),
        2,
    ),
    "history_application_is_present": (
        "INSERT INTO core.status_history SELECT * REPLACE (NULL AS application_key) FROM core.status_history "
        f"WHERE {A0} AND status = 'hired'",
        1,
    ),
    "history_application_is_attributed": (put("core.status_history", "application_key = 'greenhouse:P9'", A0), 2),
    "history_status_is_present": (put("core.status_history", "status = NULL", f"{A0} AND status = 'applied'"), 1),
    "history_status_is_known": (put("core.status_history", "status = 'dreaming'", f"{A0} AND status = 'applied'"), 1),
    "history_start_is_present": (put("core.status_history", "valid_from = NULL", f"{A0} AND status = 'applied'"), 1),
    "history_ends_after_it_starts": (
        put("core.status_history", "valid_to = valid_from - INTERVAL 1 SECOND", f"{A0} AND status = 'applied'"),
        1,
    ),
    "history_has_one_present_status": (
        put("core.status_history", "valid_to = now()", f"{A0} AND status = 'hired'"),
        1,
    ),
    "bonus_columns_are_as_declared": (column_gone("mart.bonus", "paid_on"), 1),
    "bonus_id_is_present": (put("mart.bonus", "bonus_id = NULL", "bonus_id = 'bon_0'"), 1),
    "bonus_id_is_unique": (twice("mart.bonus", "bonus_id = 'bon_pending'"), 2),
    "bonus_state_is_present": (put("mart.bonus", "state = NULL", "bonus_id = 'bon_pending'"), 1),
    "bonus_state_is_known": (put("mart.bonus", "state = 'owed'", "bonus_id = 'bon_pending'"), 1),
    "bonus_amount_is_not_negative": (put("mart.bonus", "amount_cents = -1", "bonus_id = 'bon_0'"), 1),
    "eligible_bonus_has_amount_and_currency": (put("mart.bonus", "amount_cents = NULL", "bonus_id = 'bon_2'"), 1),
    "paid_bonus_has_an_export": (put("mart.bonus", "export_id = NULL", "bonus_id = 'bon_0'"), 1),
    "bonuses_of_an_application_are_one_bonus": (put("mart.bonus", "amount_cents = 200001", "bonus_id = 'bon_3'"), 1),
    "bonus_follows_the_credit": (put("mart.bonus", "advocate_id = 'A0'", "bonus_id = 'bon_2'"), 2),
    "payroll_columns_are_as_declared": (column_gone("staging.ledger_payroll", "pay_on"), 1),
    "no_bonus_is_paid_twice": (put("staging.ledger_payroll", "key = 'K0'", "key = 'K1' AND state = 'paid'"), 2),
    "cost_columns_are_as_declared": (column_gone("staging.cost", "basis"), 1),
    "cost_amount_is_not_negative": (put("staging.cost", "reporting_cents = -1000", "line = 2"), 1),
    "cost_month_is_plausible": (put("staging.cost", "first_month = DATE '2206-03-01'", "line IN (2, 3)"), 2),
    "allocated_cost_has_channel_and_kind": (put("mart.cost", "channel = 'shared'", "source = 'agency'"), 1),
    "allocated_cost_currency_is_present": (put("mart.cost", "currency = NULL", "source = 'agency'"), 1),
    "allocated_costs_sum_to_what_was_stated": (put("mart.cost", "amount_cents = 2001", "source = 'agency'"), 1),
    "cancelled_export_pays_nothing": (
        put("staging.ledger_payroll", "export_state = 'cancelled'", "key = 'K0'"),
        1,
    ),
}


@pytest.fixture(scope="module")
def tables() -> Tables:
    return Tables()


def judged(tables: Tables, table: str) -> list[RuleResult]:
    return run_rules(partial(frame_for, tables), table)


@pytest.mark.parametrize("table", RULE_TABLES)
def test_good_tables_pass_every_rule(tables: Tables, table: str) -> None:
    assert [result.message for result in judged(tables, table) if not result.passed] == []


@pytest.mark.parametrize("table", RULE_TABLES)
def test_empty_tables_pass_every_rule(table: str) -> None:
    assert [result.message for result in judged(Tables(rows=""), table) if not result.passed] == []


def test_every_rule_has_a_table_that_breaks_it() -> None:
    assert set(BREAKS) == {rule.name for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_table_that_breaks_only_this_rule_fails_only_this_rule(tables: Tables, rule: Rule) -> None:
    sql, failed_rows = BREAKS[rule.name]
    with tables.broken_by(sql):
        failures = [result for result in judged(tables, rule.table) if not result.passed]
    assert [result.rule.name for result in failures] == [rule.name]
    assert failures[0].failed_rows == failed_rows
    assert f"{rule.name}: {failed_rows} of {failures[0].total_rows} {rule.unit} failed." in failures[0].message


def failures(tables: Tables, table: str, sql: str) -> dict[str, int]:
    with tables.broken_by(sql):
        return {one.rule.name: one.failed_rows for one in judged(tables, table) if not one.passed}


def test_a_bonus_that_is_wrong_for_everybody_alike_is_seen(tables: Tables) -> None:
    doubled = put("core.attribution_credit", "bonus_cents = bonus_cents * 2", "true")
    assert failures(tables, "core.attribution_credit", doubled) == {"bonus_is_paid_once": 4}


def test_what_is_pending_beside_what_stands_counts_to_the_one_bonus(tables: Tables) -> None:
    promised = put("mart.bonus", "amount_cents = 200000, advocate_id = 'A2'", "bonus_id = 'bon_pending'")
    assert failures(tables, "mart.bonus", promised) == {"bonuses_of_an_application_are_one_bonus": 1}


@pytest.mark.parametrize(
    ("sql", "failed_rows"),
    [
        # The credit went to another advocate, and the bonus still stands with the first.
        (put("core.attribution_credit", "advocate_id = 'A0'", "application_key = 'greenhouse:P3'"), 2),
        # Nobody has any, and a bonus stands.
        ("DELETE FROM core.attribution_credit WHERE application_key = 'greenhouse:P3'", 1),
        # What waits is worth nothing, and somebody has the credit.
        (put("mart.bonus", "state = 'pending', amount_cents = 0", "bonus_id = 'bon_3'"), 1),
        # The contract has another amount by now: what became eligible keeps its own.
        (put("core.attribution_credit", "bonus_cents = bonus_cents * 2", "true"), None),
        # The credit moved after the payment: payroll has it.
        (put("core.attribution_credit", "advocate_id = 'A3'", "application_key = 'greenhouse:P0'"), None),
    ],
)
def test_credit_that_moved_without_the_bonus_is_seen_and_what_was_paid_is_not(
    tables: Tables, sql: str, failed_rows: int | None
) -> None:
    assert failures(tables, "mart.bonus", sql).get("bonus_follows_the_credit") == failed_rows


def test_rule_names_are_unique_and_every_rule_tells_what_and_how_to_mend() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.name.isidentifier()
        assert rule.name == rule.name.lower()
        assert rule.description.endswith(".")
        assert rule.mend.endswith(".")


def test_every_table_under_guard_belongs_to_an_asset_and_has_declared_columns() -> None:
    assert {rule.asset for rule in RULES} == ASSETS
    assert set(RULE_TABLES) == set(COLUMNS)
    assert sum(len(rules_for_table(table)) for table in RULE_TABLES) == len(RULES)
    assert sum(len(rules_for_asset(asset)) for asset in ASSETS) == len(RULES)


def test_what_bonuses_are_paid_by_blocks_and_what_merely_looks_odd_warns() -> None:
    blocking = {rule.name for rule in RULES if rule.blocking}
    assert {
        "application_key_is_unique",
        "no_application_is_left_out",
        "attribution_advocate_is_known",
        "attribution_share_is_known",
        "credit_advocate_is_known",
        "weights_sum_to_one",
        "hired_at_is_not_before_applied_at",
        "attribution_columns_are_as_declared",
    } <= blocking
    assert "click_share_is_known" not in blocking
    assert {rule.severity.value for rule in RULES if rule.blocking} == {"ERROR"}
    assert {rule.severity.value for rule in RULES if not rule.blocking} == {"WARN"}
