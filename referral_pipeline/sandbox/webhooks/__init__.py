"""How both sandboxes send webhooks: signed as the vendors sign, retried, logged, and disturbed when asked.

Belongs here: what is the same for every vendor. Does not belong here: what an event of a vendor says
(`advocacy.events`, `greenhouse.payloads`), and anything of the product: the sandbox is a peer of its own, which signs
with its own few lines.
"""
