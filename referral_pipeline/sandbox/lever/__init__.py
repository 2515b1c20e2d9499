"""A local Lever Data API v1 over the store of the local ATS, with what recruiters do in the product's own screens.

Belongs here: the vendor's behaviour as far as public sources tell it, every disputed point a switch. Does not belong
here: rules of hiring (`sandbox.greenhouse`), the programme, injected faults, the launcher, and anything that knows our
connector.
"""
