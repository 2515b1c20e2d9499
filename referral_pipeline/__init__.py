"""Referral Pipeline: the live data bridge between an employee advocacy platform and an ATS.

Belongs here: the version. Does not belong here: imports; every room is imported by its own name so that
`import referral_pipeline` costs nothing.
"""

__version__ = "0.1.0"
