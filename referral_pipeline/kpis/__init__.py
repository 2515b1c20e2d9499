"""One SQL file per KPI and the statistics on top (intervals, maturity).

Belongs here: the definition of every number. Does not belong here: rendering (reports), the tables beneath (warehouse).
"""
