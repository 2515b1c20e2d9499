"""Step 1, before anything runs: the integration contract.

Belongs here: objectives, KPIs, owners, systems of record, regulated fields, mappings, and the data-flow map made from
them. Does not belong here: talking to a system, reading a store.
"""
