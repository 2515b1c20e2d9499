"""Radancy Employee Referrals as a sandbox: another API over the store of `sandbox.advocacy`.

Belongs here: what the vendor documents, as strictly. Does not belong here: the programme, acts, faults.
"""
