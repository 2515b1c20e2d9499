"""The frames that rules are judged on: only the columns that rules read, with helper columns made in SQL.

Belongs here: which helper columns exist and how they are computed. Does not belong here: the rules, Great Expectations.

How references are judged: DuckDB answers a boolean per row, e.g. `advocate_known`, which is true when the id is in the
referenced table or has ever been received raw (a share or advocate deleted later is still known), null when the row
carries no id. The rule then is that no row is false. Nothing of the referenced table travels.

Frames by name
- `schema.table`: one row per row.
- `schema.table:columns`: one row per expected column, `column_name`, `expected` and `found` kind; no data at all.
- `schema.table:applications`: one row per application, with its counts and sums.
- `mart.cost:whole`: one row, about all of it.
- `schema.table:shares`: one row per application and advocate, with their sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from referral_pipeline.quality.attribution_rules import MODELS
from referral_pipeline.quality.columns import COLUMNS, kind_of
from referral_pipeline.quality.rules import RULES

if TYPE_CHECKING:
    import pandas as pd


class ReadsFrames(Protocol):
    """The part of `warehouse.store.Warehouse` that frames need."""

    def frame(self, sql: str, params: Sequence[Any] | None = None) -> pd.DataFrame:
        """The rows of a SELECT."""
        ...


@dataclass(frozen=True)
class Helper:
    """A prepared column. `sql` reads the table as `t`; `needs` are the columns ("schema.table.column") it reads."""

    sql: str
    needs: tuple[str, ...]


Catalog = Mapping[str, Mapping[str, str]]
"""Table -> column -> DuckDB type, of every table that exists."""


def frame_for(warehouse: ReadsFrames, table: str) -> pd.DataFrame:
    """The frame of that name (see the module). A missing table gives no columns, a missing column is left out.

    Raises:
        KeyError: no rule is judged on a frame of that name.
    """
    catalog = _catalog(warehouse)
    base, _, view = table.partition(":")
    if view == "columns":
        return warehouse.frame(*_columns_sql(base, catalog.get(base, {})))
    selected = _selected(table, catalog)
    if base not in catalog or not selected:
        return warehouse.frame("SELECT 1 WHERE false").iloc[:, :0]
    source = _VIEWS[table] if view else f"{base} AS t"
    return warehouse.frame(f"SELECT {', '.join(selected)} FROM {source}")  # noqa: S608 - names are constants of this module


def _catalog(warehouse: ReadsFrames) -> Catalog:
    found = warehouse.frame(
        "SELECT table_schema || '.' || table_name AS name, column_name, data_type FROM information_schema.columns "
        "WHERE table_catalog = current_database()"
    )
    catalog: dict[str, dict[str, str]] = {}
    for name, column, data_type in found.itertuples(index=False, name=None):
        catalog.setdefault(str(name), {})[str(column)] = str(data_type)
    return catalog


def _columns_sql(table: str, found: Mapping[str, str]) -> tuple[str, list[str]]:
    """One row per expected column. Kinds are told by the database's own types, never by looking at values."""
    params: list[str] = []
    for column, expected in COLUMNS[table].items():
        params += [column, expected, kind_of(found[column], expected) if column in found else "missing"]
    rows = ", ".join(["(?, ?, ?)"] * (len(params) // 3))
    return f"SELECT * FROM (VALUES {rows}) AS c(column_name, expected, found)", params  # noqa: S608 - placeholders only


def _selected(frame: str, catalog: Catalog) -> list[str]:
    """The select list: columns that rules of this frame read and that can be had."""
    wanted = dict.fromkeys(column for rule in RULES if rule.frame == frame for column in rule.expectation.columns)
    if not wanted:
        raise KeyError(frame)
    helpers = HELPERS.get(frame, {})
    selected: list[str] = []
    for column in wanted:
        helper = helpers.get(column)
        if helper is not None:
            if all(_exists(need, catalog) for need in helper.needs):
                selected.append(f"{_with_raw(helper.sql, catalog)} AS {column}")
        elif column in catalog.get(frame, {}):
            selected.append(f"t.{column}")
    return selected


def _exists(need: str, catalog: Catalog) -> bool:
    table, _, column = need.rpartition(".")
    return column in catalog.get(table, {})


# ---------------------------------------------------------------- helper columns

_RAW = {"staging.advocate": "raw.advocacy_advocates", "staging.share": "raw.advocacy_shares"}


def _with_raw(sql: str, catalog: Catalog) -> str:
    """Let a reference also look at what was ever received raw, where that table exists."""
    for table, raw in _RAW.items():
        ever = f" UNION ALL SELECT id FROM {raw}" if raw in catalog else ""  # noqa: S608 - constant
        sql = sql.replace(f"/*ever {table}*/", ever)
    return sql


def _known(frame: str, column: str, reference: str, key: str = "id") -> Helper:
    """Whether the row's `column` is a key of `reference`; null where the row has none."""
    return Helper(
        f"CASE WHEN t.{column} IS NOT NULL THEN EXISTS (SELECT 1 FROM "  # noqa: S608 - names are constants of this module
        f"(SELECT {key} AS id FROM {reference}/*ever {reference}*/) AS r WHERE r.id = t.{column}) END",
        (f"{frame}.{column}", f"{reference}.{key}"),
    )


_APPLICATION_KEY = Helper("t.system || ':' || t.id", ("staging.ats_application.system", "staging.ats_application.id"))

_APPLICATION_KNOWN = Helper(
    "CASE WHEN t.application_key IS NOT NULL THEN EXISTS "
    "(SELECT 1 FROM staging.ats_application AS r WHERE r.system || ':' || r.id = t.application_key) END",
    ("core.attribution.application_key", *_APPLICATION_KEY.needs),
)

_ADVOCATE_CREDITED = Helper(
    "CASE WHEN t.application_key IS NULL THEN NULL "
    "WHEN t.advocate_id IS NULL THEN NOT EXISTS (SELECT 1 FROM core.attribution_credit AS r "
    "WHERE r.application_key = t.application_key AND r.weight <> 0) "
    "ELSE EXISTS (SELECT 1 FROM core.attribution_credit AS r WHERE r.application_key = t.application_key "
    "AND r.advocate_id = t.advocate_id AND r.weight <> 0) END",
    (
        *("core.attribution.application_key", "core.attribution.advocate_id"),
        *("core.attribution_credit.application_key", "core.attribution_credit.advocate_id"),
        "core.attribution_credit.weight",
    ),
)

_VIEWS = {
    "core.attribution:applications": (
        "(SELECT s.system || ':' || s.id AS application_key, count(a.application_key) AS attribution_rows "
        "FROM staging.ats_application AS s LEFT JOIN core.attribution AS a "
        "ON a.application_key = s.system || ':' || s.id GROUP BY ALL) AS t"
    ),
    "core.attribution_credit:applications": (
        # An application whose every credit ended (withdrawn, erased, ...) is not credited: its sum is not judged.
        "(SELECT application_key, sum(bonus_cents) AS bonus_sum, "
        "CASE WHEN bool_or(reason IN ('credited', 'override')) OR sum(weight) <> 0 THEN sum(weight) END AS weight_sum "
        "FROM core.attribution_credit GROUP BY application_key) AS t"
    ),
    "mart.attribution_comparison:applications": (
        # An override may credit an application of which no touch counts: its models give 0, and are not judged.
        "(SELECT application_key, "  # noqa: S608 - constants
        + ", ".join(f"nullif(sum({model}), 0) AS {model}_sum" for model in MODELS)
        + " FROM mart.attribution_comparison GROUP BY application_key) AS t"
    ),
    "mart.bonus:applications": (
        # A bonus that was reversed is over, and one of nothing has no currency to speak of.
        "(SELECT application_key, sum(amount_cents) AS standing, "
        "count(DISTINCT currency) FILTER (WHERE amount_cents <> 0) AS currencies, "
        "any_value(bonus_cents) AS bonus_cents FROM mart.bonus WHERE state <> 'reversed' "
        "GROUP BY application_key) AS t"
    ),
    "mart.bonus:shares": (
        # Of applications with a bonus that is not paid yet. `open` is what stands or waits, `due` what today's credit
        # leaves of the advocate's share beside what they were paid. Applications where more was paid than credited are
        # not judged: payroll has it, and the reconciliation tells it.
        "(SELECT *, sum(open) OVER application AS all_open, sum(due) OVER application AS all_due, "
        "sum(paid) OVER application AS all_paid, bool_or(paid > share) OVER application AS is_overpaid, "
        "bool_and(coalesce(has_amounts, true)) OVER application AS is_whole FROM ("
        "SELECT application_key, advocate_id, coalesce(b.open, 0)::HUGEINT AS open, coalesce(b.paid, 0) AS paid, "
        "coalesce(c.share, 0) AS share, b.has_amounts, "
        "CASE WHEN b.paid > 0 AND NOT b.is_open THEN 0 "
        "ELSE greatest(0, coalesce(c.share, 0) - coalesce(b.paid, 0)) END::HUGEINT AS due FROM ("
        "SELECT application_key, advocate_id, "
        "sum(amount_cents) FILTER (WHERE state IN ('eligible', 'pending')) AS open, "
        "bool_or(state IN ('eligible', 'pending')) AS is_open, bool_and(amount_cents IS NOT NULL) AS has_amounts, "
        "coalesce(sum(amount_cents) FILTER (WHERE state = 'paid'), 0) AS paid FROM mart.bonus GROUP BY ALL) AS b "
        "FULL JOIN (SELECT application_key, advocate_id, sum(bonus_cents) AS share FROM core.attribution_credit "
        "GROUP BY ALL) AS c USING (application_key, advocate_id)) "
        "WHERE application_key IN (SELECT application_key FROM mart.bonus WHERE state IN ('eligible', 'pending')) "
        "WINDOW application AS (PARTITION BY application_key)) AS t"
    ),
    "mart.cost:whole": (
        "(SELECT coalesce((SELECT sum(reporting_cents) FROM staging.cost), 0) = "
        "coalesce((SELECT sum(amount_cents) FROM mart.cost), 0) AS sums_agree) AS t"
    ),
    "core.status_history:applications": (
        "(SELECT application_key, count(*) FILTER (WHERE valid_to IS NULL) AS present_statuses "
        "FROM core.status_history GROUP BY application_key) AS t"
    ),
}

_BONUS_COLUMNS = tuple(
    f"mart.bonus.{column}" for column in ("application_key", "amount_cents", "currency", "state", "bonus_cents")
)

_CREDIT_COLUMNS = tuple(
    f"core.attribution_credit.{column}" for column in ("application_key", "weight", "bonus_cents", "reason")
)

_MODEL_COLUMNS = tuple(f"mart.attribution_comparison.{model}" for model in MODELS)

HELPERS: dict[str, dict[str, Helper]] = {
    "staging.share": {
        "advocate_known": _known("staging.share", "advocate_id", "staging.advocate"),
        "content_known": _known("staging.share", "content_id", "staging.content"),
    },
    "staging.click": {"share_known": _known("staging.click", "share_id", "staging.share")},
    "staging.referral": {
        "advocate_known": _known("staging.referral", "advocate_id", "staging.advocate"),
        "share_known": _known("staging.referral", "share_id", "staging.share"),
    },
    "staging.ats_candidate_contact": {
        "email_key": Helper(
            "CASE WHEN t.kind = 'email' THEN t.key END",
            ("staging.ats_candidate_contact.kind", "staging.ats_candidate_contact.key"),
        ),
        "phone_key": Helper(
            "CASE WHEN t.kind = 'phone' THEN t.key END",
            ("staging.ats_candidate_contact.kind", "staging.ats_candidate_contact.key"),
        ),
    },
    "staging.ats_application": {
        "application_key": _APPLICATION_KEY,
        "candidate_known": _known("staging.ats_application", "candidate_id", "staging.ats_candidate"),
        "job_known": _known("staging.ats_application", "job_id", "staging.ats_job"),
        "advocate_known": _known("staging.ats_application", "tag_advocate_id", "staging.advocate"),
    },
    "staging.ats_offer": {
        "application_known": _known("staging.ats_offer", "application_id", "staging.ats_application"),
    },
    "core.touchpoint": {
        "has_person": Helper(
            "CASE WHEN t.kind = 'referral' THEN t.person_id IS NOT NULL END",
            ("core.touchpoint.kind", "core.touchpoint.person_id"),
        ),
        "advocate_known": _known("core.touchpoint", "advocate_id", "staging.advocate"),
        "share_known": _known("core.touchpoint", "share_id", "staging.share"),
    },
    "core.attribution": {
        "application_known": _APPLICATION_KNOWN,
        "person_known": _known("core.attribution", "person_id", "core.person", "person_id"),
        "advocate_known": _known("core.attribution", "advocate_id", "staging.advocate"),
        "advocate_credited": _ADVOCATE_CREDITED,
        "share_known": _known("core.attribution", "share_id", "staging.share"),
    },
    "core.attribution:applications": {
        "attribution_rows": Helper("t.attribution_rows", ("core.attribution.application_key", *_APPLICATION_KEY.needs)),
    },
    "core.attribution_credit": {
        "application_known": _known(
            "core.attribution_credit", "application_key", "core.attribution", "application_key"
        ),
        "advocate_known": _known("core.attribution_credit", "advocate_id", "staging.advocate"),
        "share_known": _known("core.attribution_credit", "share_id", "staging.share"),
        "explained": Helper(
            "(t.weight <> 0) = coalesce(t.reason IN ('credited', 'override'), false) AND t.reason IS NOT NULL",
            ("core.attribution_credit.weight", "core.attribution_credit.reason"),
        ),
    },
    "core.attribution_credit:applications": {
        "weight_sum": Helper("t.weight_sum", _CREDIT_COLUMNS),
        "bonus_as_agreed": Helper(
            "t.bonus_sum = 0 OR t.bonus_sum = (SELECT any_value(r.bonus_cents) FROM core.rules_used AS r)",
            (*_CREDIT_COLUMNS, "core.rules_used.bonus_cents"),
        ),
    },
    "mart.attribution_comparison": {
        "application_known": _known(
            "mart.attribution_comparison", "application_key", "core.attribution", "application_key"
        ),
        "paid_by_model": Helper(
            "CASE t.pays " + " ".join(f"WHEN '{model}' THEN t.paid = t.{model}" for model in MODELS) + " END",
            ("mart.attribution_comparison.paid", "mart.attribution_comparison.pays", *_MODEL_COLUMNS),
        ),
        "paid_as_credited": Helper(
            "t.paid = coalesce((SELECT sum(r.weight) FROM core.attribution_credit AS r "
            "WHERE r.application_key = t.application_key AND r.advocate_id = t.advocate_id "
            "AND r.share_id IS NOT DISTINCT FROM t.share_id), 0)",
            (
                *("mart.attribution_comparison.paid", "mart.attribution_comparison.share_id"),
                *("mart.attribution_comparison.application_key", "mart.attribution_comparison.advocate_id"),
                *("core.attribution_credit.application_key", "core.attribution_credit.advocate_id"),
                *("core.attribution_credit.share_id", "core.attribution_credit.weight"),
            ),
        ),
    },
    "mart.attribution_comparison:applications": {
        f"{model}_sum": Helper(f"t.{model}_sum", ("mart.attribution_comparison.application_key", *_MODEL_COLUMNS))
        for model in MODELS
    },
    "mart.bonus": {
        "has_amount": Helper(
            "t.state NOT IN ('eligible', 'paid') OR (t.amount_cents IS NOT NULL AND t.currency IS NOT NULL)",
            ("mart.bonus.state", "mart.bonus.amount_cents", "mart.bonus.currency"),
        ),
        "export_agrees": Helper(
            "(t.state = 'paid') = (t.export_id IS NOT NULL)", ("mart.bonus.state", "mart.bonus.export_id")
        ),
    },
    "mart.bonus:applications": {
        "within_bonus": Helper("t.currencies <= 1 AND t.standing <= t.bonus_cents", _BONUS_COLUMNS),
    },
    "mart.bonus:shares": {
        # In proportion: a bonus keeps the amount that it became eligible with, whatever the contract has by now.
        "as_credited": Helper(
            "CASE WHEN t.is_whole AND NOT t.is_overpaid THEN "
            "abs(t.open * t.all_due - t.due * t.all_open) <= greatest(t.all_due, t.all_open) "
            "AND (t.open = 0 OR t.all_due > 0) AND (t.due = 0 OR t.all_open > 0 OR t.all_paid > 0) END",
            (*_BONUS_COLUMNS, "mart.bonus.advocate_id", "core.attribution_credit.advocate_id", *_CREDIT_COLUMNS),
        ),
    },
    "staging.ledger_payroll": {
        "paid_key": Helper(
            "CASE WHEN t.state = 'paid' THEN t.key END", ("staging.ledger_payroll.state", "staging.ledger_payroll.key")
        ),
        "export_stands": Helper(
            "t.export_state <> 'cancelled' OR t.state <> 'paid'",
            ("staging.ledger_payroll.state", "staging.ledger_payroll.export_state"),
        ),
    },
    "staging.cost": {
        "month_is_plausible": Helper(
            "t.first_month BETWEEN DATE '2000-01-01' AND (current_date + INTERVAL 3 YEAR)::DATE",
            ("staging.cost.first_month",),
        ),
    },
    "mart.cost": {
        "is_of_a_known_kind": Helper(
            "coalesce(t.channel IN ('advocacy', 'other') AND t.kind IN ('internal', 'external'), false)",
            ("mart.cost.channel", "mart.cost.kind"),
        ),
    },
    "mart.cost:whole": {
        "sums_agree": Helper("t.sums_agree", ("mart.cost.amount_cents", "staging.cost.reporting_cents")),
    },
    "core.status_history": {
        "application_known": _known("core.status_history", "application_key", "core.attribution", "application_key"),
    },
    "core.status_history:applications": {
        "present_statuses": Helper(
            "t.present_statuses", ("core.status_history.application_key", "core.status_history.valid_to")
        ),
    },
}
