"""Core: touches, attribution, credit and status history, built from staging and persons in order.

Belongs here: which core model runs when, with which of the contract's values. Does not belong here: persons (people),
the models (sql/core), KPIs (kpis).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from referral_pipeline.contract.models import Contract
from referral_pipeline.warehouse.store import Warehouse

__all__ = ["TOUCHES_AT_ONCE", "build_bonus_ledger", "build_core"]

_CORE_TABLES = (
    "core.rules_used",
    "core.application_person",
    "core.touchpoint",
    "core.attribution_touch",
    "core.bonus_application",
    "core.attribution_credit",
    "core.bonus_share",
    "core.attribution",
    "core.status_event",
    "core.status_history",
    "mart.attribution_comparison",
)
"""In the order in which they read each other. The comparison of the models is made with the credit, so that a table of
what is paid never stands beside an older one of what would be."""

_IN_PARTS = frozenset({"core.attribution_touch", "core.attribution_credit", "mart.attribution_comparison"})
TOUCHES_AT_ONCE = 1_000_000
"""Credit is given application by application: so many touches are sorted within the memory that a warehouse has; at ten
million in one piece the sorts would go to disk."""


def build_core(warehouse: Warehouse, contract: Contract, as_of: datetime) -> dict[str, int]:
    """Rebuild touches, attribution, credit, comparison and status history from staging and core.person; rows by table.

    Args:
        warehouse: with the staging tables of both sides and of the ledger, and with persons built.
        contract: for the rules of attribution and bonus.
        as_of: the moment at which consent is judged, aware.

    Raises:
        ModelFailed: a table could not be built; all of them stay as they were.
    """
    rules = contract.rules
    variables: dict[str, Any] = {
        "advocacy_system": contract.advocacy.connector,
        "require_consent": contract.privacy.require_consent,
        "as_of": as_of.astimezone(UTC),
        "attribution_model": rules.attribution.model,
        "lookback_days": rules.attribution.lookback_days,
        "tie": rules.attribution.tie,
        "bonus_split": rules.bonus.split,
        **_bonus_variables(contract),
    }
    rows: dict[str, int] = {}
    with warehouse.transaction():
        for table in _CORE_TABLES:
            parts = 1 + rows["core.touchpoint"] // TOUCHES_AT_ONCE if table in _IN_PARTS else 1
            rows[table] = warehouse.build(table, parts=parts, **variables)
    return rows


def build_bonus_ledger(warehouse: Warehouse, contract: Contract) -> int:
    """Rebuild mart.bonus, and the shares that it reads, from staging and core; the rows of mart.bonus.

    Args:
        warehouse: with the ledger staged and core built.
        contract: for the bonus.

    Raises:
        ModelFailed: a table could not be built; both stay as they were.
    """
    variables = _bonus_variables(contract)
    with warehouse.transaction():
        warehouse.build("core.bonus_share", **variables)
        return warehouse.build("mart.bonus", **variables)


def _bonus_variables(contract: Contract) -> dict[str, Any]:
    bonus = contract.rules.bonus
    return {
        "bonus_cents": bonus.amount_cents,
        "currency": bonus.currency,
        "waiting_days": bonus.waiting_days,
        "pay_rehires": bonus.pay_rehires,
    }
