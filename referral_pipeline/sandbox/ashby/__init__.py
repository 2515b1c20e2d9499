"""A local Ashby: its RPC API over the rows of the one ATS that all sandboxes play.

Belongs here: the vendor's shapes, ids, paging, refusals and webhooks. Does not belong here: the rows, what may happen
to them and who does it (`sandbox.greenhouse`: store, hiring, people, acts), the client (`connectors.ashby`).
"""
