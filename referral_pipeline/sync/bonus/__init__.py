"""Bonuses after the recognition: whose hire has it, handing it to payroll, and what payroll made of it.

Belongs here: the rule of rehires, exports, payroll's files, reconciliation. Does not belong here: who is recognised and
with how much (sync.recognition_decision), keeping what was paid (ledger).
"""
