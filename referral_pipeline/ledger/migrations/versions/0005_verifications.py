"""What was verified and who approved it, and how much came on each day.

Revision 0005. Written out, not taken from `ledger.tables`: a migration says what a schema was, whatever it is today.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "verifications",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('check', 'api_audit', 'sandbox_run', 'field_audit', 'attribution', 'parallel_run', 'sign_off', "
            "'go_live')",
            name=op.f("ck_verifications_kind"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verifications")),
    )
    op.create_index(op.f("ix_verifications_kind_id"), "verifications", ["kind", "id"], unique=False)
    op.create_table(
        "daily_volume",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("measure", sa.String(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "system", "measure", name=op.f("pk_daily_volume")),
    )


def downgrade() -> None:
    """Remove the tables."""
    op.drop_table("daily_volume")
    op.drop_table("verifications")
