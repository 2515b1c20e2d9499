"""Parallel run: manual intake held against what the integration did, day by day, each difference with its cause.

Belongs here: the comparison and its words. Does not belong here: reading intake files (connectors), running it
(orchestration), who signs it off (cli_parallel_run asks, `sign_off` decides).
"""
