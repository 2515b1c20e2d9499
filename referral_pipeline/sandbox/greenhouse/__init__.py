"""A local Greenhouse Harvest v3: token endpoint, lists, writes, and what recruiters do in the product's own screens.

Belongs here: the vendor's behaviour as far as public sources tell it, every disputed point a switch. Does not belong
here: the seeded programme, injected faults, the launcher (their own files beside this package), webhooks, and anything
that knows our connector.
"""
