"""What people decided, and what was paid: identity decisions, attribution overrides, payroll exports.

Revision 0003. Written out, not taken from `ledger.tables`: a migration says what a schema was, whatever it is today.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _row_id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "identity_decisions",
        sa.Column("id", _row_id(), autoincrement=True, nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", sa.String(), nullable=True),
        sa.Column("revoked_reason", sa.Text(), nullable=True),
        sa.Column("ats_state", sa.String(), nullable=True),
        sa.Column("ats_error", sa.Text(), nullable=True),
        sa.CheckConstraint("verdict IN ('merge', 'distinct')", name=op.f("ck_identity_decisions_verdict")),
        sa.CheckConstraint("ats_state IN ('pending', 'done', 'refused')", name=op.f("ck_identity_decisions_ats_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_decisions")),
    )
    op.create_table(
        "identity_decision_records",
        sa.Column("decision_id", _row_id(), nullable=False),
        sa.Column("record_id", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=True),
        sa.CheckConstraint("side IN ('left', 'right')", name=op.f("ck_identity_decision_records_side")),
        sa.PrimaryKeyConstraint("decision_id", "record_id", name=op.f("pk_identity_decision_records")),
    )
    op.create_index(
        op.f("ix_identity_decision_records_record_id"), "identity_decision_records", ["record_id"], unique=False
    )
    op.create_table(
        "attribution_overrides",
        sa.Column("id", _row_id(), autoincrement=True, nullable=False),
        sa.Column("application_key", sa.String(), nullable=False),
        sa.Column("referral_id", sa.String(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", sa.String(), nullable=True),
        sa.Column("revoked_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attribution_overrides")),
    )
    op.create_index(
        op.f("ix_attribution_overrides_application_key"), "attribution_overrides", ["application_key"], unique=False
    )
    op.create_index(
        op.f("ix_attribution_overrides_in_force"),
        "attribution_overrides",
        ["application_key"],
        unique=True,
        sqlite_where=sa.text("revoked_at IS NULL"),
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
    op.create_table(
        "payroll_exports",
        sa.Column("id", _row_id(), autoincrement=True, nullable=False),
        sa.Column("exported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("exported_by", sa.String(), nullable=False),
        sa.Column("pay_on", sa.Date(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reconciled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reconciled_by", sa.String(), nullable=True),
        sa.CheckConstraint("state IN ('open', 'reconciled', 'cancelled')", name=op.f("ck_payroll_exports_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payroll_exports")),
    )
    op.create_table(
        "payroll_entries",
        sa.Column("export_id", _row_id(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("referral_id", sa.String(), nullable=False),
        sa.Column("advocate_id", sa.String(), nullable=False),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("application_id", sa.String(), nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("eligible_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('paid', 'returned')", name=op.f("ck_payroll_entries_state")),
        sa.PrimaryKeyConstraint("export_id", "key", name=op.f("pk_payroll_entries")),
    )
    op.create_index(op.f("ix_payroll_entries_referral_id"), "payroll_entries", ["referral_id"], unique=False)
    op.create_index(op.f("ix_payroll_entries_application_id"), "payroll_entries", ["application_id"], unique=False)
    op.create_index(
        op.f("ix_payroll_entries_key"),
        "payroll_entries",
        ["key"],
        unique=True,
        sqlite_where=sa.text("state = 'paid'"),
        postgresql_where=sa.text("state = 'paid'"),
    )


def downgrade() -> None:
    """Remove the tables."""
    for table in (
        "payroll_entries",
        "payroll_exports",
        "attribution_overrides",
        "identity_decision_records",
        "identity_decisions",
    ):
        op.drop_table(table)
