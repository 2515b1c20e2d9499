"""Whether the integration is well, and who hears of it when it is not.

Belongs here: alerts and their channels, health, thresholds. Does not belong here: when alerts are looked for
(`orchestration.alerting`, the lane), where their rows lie (`ledger`).
"""
