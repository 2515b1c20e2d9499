"""Numbers of the inbox are never given twice, also when the newest rows were pruned.

Revision 0004. Written out, not taken from `ledger.tables`: a migration says what a schema was, whatever it is today.

The identity of PostgreSQL never repeats a number. SQLite gives the greatest one that is left plus one, unless the table
was made with AUTOINCREMENT, which cannot be added later: the table is made anew and its rows are copied.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Copy the inbox of SQLite into a table that remembers the greatest number it gave."""
    _made_anew(autoincrement=True)


def downgrade() -> None:
    """Copy it back into one that does not."""
    _made_anew(autoincrement=False)


def _made_anew(*, autoincrement: bool) -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    table = op.create_table(
        "inbox_anew",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("delivery_id", sa.String(), nullable=False),
        sa.Column("event_type", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_owner", sa.String(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("bulk", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.CheckConstraint("state IN ('received', 'claimed', 'done', 'dead')", name=op.f("ck_inbox_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
        sa.UniqueConstraint("system", "delivery_id", name=op.f("uq_inbox_system_delivery_id")),
        sqlite_autoincrement=autoincrement,
    )
    names = ", ".join(column.name for column in table.columns)
    op.execute(f"INSERT INTO inbox_anew ({names}) SELECT {names} FROM inbox")  # noqa: S608 - our own names
    op.drop_table("inbox")
    op.rename_table("inbox_anew", "inbox")
    op.create_index(op.f("ix_inbox_state_bulk_id"), "inbox", ["state", "bulk", "id"], unique=False)
    op.create_index(op.f("ix_inbox_subject_state"), "inbox", ["subject", "state"], unique=False)
