"""The shape of what other systems answer, as it was learned.

Revision 0007. Written out, not taken from `ledger.tables`: a migration says what a schema was, whatever it is today.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; everything is learned anew."""
    op.create_table(
        "api_shapes",
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_by", sa.String(), nullable=True),
        sa.Column("accepted_why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("system", "operation", "path", "kind", "value", name=op.f("pk_api_shapes")),
    )


def downgrade() -> None:
    """Remove the table and what was learned."""
    op.drop_table("api_shapes")
