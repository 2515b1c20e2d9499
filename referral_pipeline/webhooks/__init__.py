"""The receiver: takes webhooks, proves who sent them, keeps them before it says yes, and wakes the lane.

Belongs here: HTTP, signatures, the way into the inbox. Does not belong here: what an event means (`connectors/events`)
and what follows from it (`sync/`).
"""
