"""Steps 2 and 3: one file per outside system behind three protocols (ATS, CRM, advocacy).

Belongs here: vendor facts, wire formats, HTTP. Does not belong here: decisions about referrals, stores, orchestration.
"""
