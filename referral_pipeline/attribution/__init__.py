"""Touches become credit: which advocate, share and campaign earned an application, and in what parts.

Belongs here: attribution models as pure functions. Does not belong here: identity, payment runs, SQL (warehouse).
"""
