"""The code location that Dagster loads.

Belongs here: one name. Does not belong here: anything else; see `referral_pipeline.orchestration.build`.
"""

from referral_pipeline.orchestration.build import build_defs

defs = build_defs()
