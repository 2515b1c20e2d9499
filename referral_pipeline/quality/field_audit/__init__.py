"""The field accuracy audit: a sample of linked records, read again from both systems and compared field by field.

Belongs here: drawing (sample), reading (live, gather), what each field must hold (expect), comparing and naming what
differs (compare, classify), what the sample shows (judge), and the audit as a whole (audit). Does not belong here:
mending anything, keeping the result (ledger, warehouse), schedules (orchestration).

The warehouse is never asked: it is made by the pulls whose outcome is audited.
"""
