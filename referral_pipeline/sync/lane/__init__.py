"""The lane: events done one by one, in seconds.

Belongs here: taking events from the inbox and bringing both systems level with what they name. Does not belong here:
receiving them (webhooks), the rules of a write (sync), Dagster (orchestration).
"""
