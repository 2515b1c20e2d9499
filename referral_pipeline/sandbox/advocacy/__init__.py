"""The advocacy platform's sandbox: our own contract (DESIGN section 6) as a real HTTP server on loopback.

Belongs here: its rows, rules, surface and OpenAPI document. Does not belong here: the programme that fills it
(`sandbox.programme`), injected faults (`sandbox.faults`), webhooks.
"""
