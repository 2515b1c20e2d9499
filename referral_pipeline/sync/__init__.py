"""Step 4: candidate write-back, status return, job postings, reconciliation.

Belongs here: what is written to which system and when. Does not belong here: vendor formats (connectors), analytics.
"""
