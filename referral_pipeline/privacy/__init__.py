"""Consent and residency gate, keyed hashes, encryption.

Belongs here: whether personal data may flow and how it is kept. Does not belong here: who a person is (identity).
"""
