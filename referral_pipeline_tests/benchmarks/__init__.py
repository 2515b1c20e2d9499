"""Benchmarks: speed as ratios within one run, and truths that take too long for the suite. Never asserted in tests.

`python -m referral_pipeline_tests.benchmarks [NAME ...] [--quick] [--json]`
"""
