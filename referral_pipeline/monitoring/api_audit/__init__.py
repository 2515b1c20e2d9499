"""The capability audit: what the APIs of the configured systems really can do, and what that means for the contract.

Belongs here: asking every system (`audit`), webhooks as they arrived (`webhooks`), telling it (`words`). Does not
belong here: the questions of a vendor (its connector), keeping the result (ledger), the schedule (orchestration).
"""
