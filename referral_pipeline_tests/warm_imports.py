"""What a refresh imports on its way, for `warm` to have at hand.

Belongs here: imports. Nothing here may start a thread or open a file: processes are forked from what this leaves.
"""

import great_expectations
import splink

import referral_pipeline.cli
import referral_pipeline.cli_resolve
import referral_pipeline.orchestration.run
import referral_pipeline.quality.adapter
import referral_pipeline.reports.leadership

__all__ = ["great_expectations", "referral_pipeline", "splink"]
