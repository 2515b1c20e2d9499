"""How far the clock of each answer was from ours.

Revision 0006. Written out, not taken from `ledger.tables`: a migration says what a schema was, whatever it is today.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; calls that were recorded before have none."""
    op.add_column("api_calls", sa.Column("clock_skew_ms", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Remove the column."""
    op.drop_column("api_calls", "clock_skew_ms")
