"""Events in both directions: the inbox at work, heartbeats, mirror, breakers, recognitions, counters.

Revision 0002. Written out, not taken from `ledger.tables`: a migration says what a schema was, whatever it is today.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, indexes and tables."""
    op.add_column("inbox", sa.Column("bulk", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("inbox", sa.Column("run_id", sa.String(), nullable=True))
    op.drop_index(op.f("ix_inbox_state_available_at"), table_name="inbox")
    op.drop_index(op.f("ix_inbox_subject_occurred_at"), table_name="inbox")
    op.create_index(op.f("ix_inbox_state_bulk_id"), "inbox", ["state", "bulk", "id"], unique=False)
    op.create_index(op.f("ix_inbox_subject_state"), "inbox", ["subject", "state"], unique=False)
    op.add_column("links", sa.Column("state", sa.String(), nullable=True))
    op.add_column("alerts", sa.Column("last_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("alerts", sa.Column("times", sa.Integer(), server_default="1", nullable=False))
    op.add_column("alerts", sa.Column("details", sa.JSON(), nullable=True))
    op.create_table(
        "heartbeats",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("details", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("name", "owner", name=op.f("pk_heartbeats")),
    )
    op.create_table(
        "mirror",
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("entity", sa.String(), nullable=False),
        sa.Column("record_id", sa.String(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("system", "entity", "record_id", name=op.f("pk_mirror")),
    )
    op.create_index(op.f("ix_mirror_system_entity_owner"), "mirror", ["system", "entity", "owner"], unique=False)
    op.create_table(
        "breakers",
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.CheckConstraint("state IN ('closed', 'open', 'half_open')", name=op.f("ck_breakers_state")),
        sa.PrimaryKeyConstraint("system", name=op.f("pk_breakers")),
    )
    op.create_table(
        "recognitions",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("referral_id", sa.String(), nullable=False),
        sa.Column("advocate_id", sa.String(), nullable=False),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("application_id", sa.String(), nullable=False),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('hired', 'bonus_eligible', 'reversed')", name=op.f("ck_recognitions_kind")),
        sa.CheckConstraint("state IN ('pending', 'sent', 'dead')", name=op.f("ck_recognitions_state")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_recognitions")),
    )
    op.create_index(op.f("ix_recognitions_referral_id"), "recognitions", ["referral_id"], unique=False)
    op.create_index(op.f("ix_recognitions_application_id"), "recognitions", ["application_id"], unique=False)
    op.create_index(op.f("ix_recognitions_state"), "recognitions", ["state"], unique=False)
    op.create_table(
        "counters",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
    )


def downgrade() -> None:
    """Take them away again."""
    op.drop_table("counters")
    op.drop_index(op.f("ix_recognitions_state"), table_name="recognitions")
    op.drop_index(op.f("ix_recognitions_application_id"), table_name="recognitions")
    op.drop_index(op.f("ix_recognitions_referral_id"), table_name="recognitions")
    op.drop_table("recognitions")
    op.drop_table("breakers")
    op.drop_index(op.f("ix_mirror_system_entity_owner"), table_name="mirror")
    op.drop_table("mirror")
    op.drop_table("heartbeats")
    op.drop_column("alerts", "details")
    op.drop_column("alerts", "times")
    op.drop_column("alerts", "last_at")
    op.drop_column("links", "state")
    op.drop_index(op.f("ix_inbox_subject_state"), table_name="inbox")
    op.drop_index(op.f("ix_inbox_state_bulk_id"), table_name="inbox")
    op.create_index(op.f("ix_inbox_subject_occurred_at"), "inbox", ["subject", "occurred_at"], unique=False)
    op.create_index(op.f("ix_inbox_state_available_at"), "inbox", ["state", "available_at"], unique=False)
    op.drop_column("inbox", "run_id")
    op.drop_column("inbox", "bulk")
