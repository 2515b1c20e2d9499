"""Alembic scripts of the ledger, run by `ledger.migrate`. Does not belong here: anything else."""
