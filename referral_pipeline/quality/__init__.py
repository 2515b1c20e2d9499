"""Step 5: Great Expectations suites and their adapter.

Belongs here: what must hold of the tables and how a failure reads. Does not belong here: repairing data, Dagster.
"""
