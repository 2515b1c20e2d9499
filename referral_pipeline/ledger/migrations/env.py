"""Alembic's entry: runs the migrations on the connection that `ledger.migrate` hands over, inside its transaction.

Belongs here: nothing but that. Does not belong here: opening databases, tables.
"""

from __future__ import annotations

from alembic import context

from referral_pipeline.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
