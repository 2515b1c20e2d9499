"""Local servers that behave as the vendors document, a seeded programme and its truth.

Belongs here: everything needed to try the product with no account anywhere. Does not belong here: anything a production
run imports.
"""
