"""The five models side by side, summed up: what each would give a campaign, a department, a channel.

Belongs here: sums over mart.attribution_comparison for people to look at. Does not belong here: the comparison itself
(sql/mart/attribution_comparison.sql), drawing (orchestration, reports).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from referral_pipeline.warehouse.store import Warehouse

if TYPE_CHECKING:
    import pandas as pd

_MOST_ROWS = 12
_SEGMENTS: Final = {
    # What a touch was for is the touch's own: one share may be credited under several campaigns.
    "campaign": "coalesce(touch.campaign_tag, '(none)')",
    "department": "coalesce(advocate.department, '(none)')",
    "channel": "coalesce(share.channel, '(no share)')",
}


def credit_by_segment(warehouse: Warehouse) -> dict[str, pd.DataFrame]:
    """Applications credited by each model, by segment; the heaviest segments of each kind, no personal data.

    Columns: the segment, first_touch, last_touch, linear, time_decay, position_based, each a number of applications.
    """
    with warehouse.connect():
        return {
            segment: warehouse.frame(
                f"SELECT {column} AS {segment},"  # noqa: S608 - constants of this module
                " round(sum(touch.first_touch), 2)::DOUBLE AS first_touch,"
                " round(sum(touch.last_touch), 2)::DOUBLE AS last_touch,"
                " round(sum(touch.linear), 2)::DOUBLE AS linear,"
                " round(sum(touch.time_decay), 2)::DOUBLE AS time_decay,"
                " round(sum(touch.position_based), 2)::DOUBLE AS position_based"
                " FROM core.attribution_touch AS touch"
                " LEFT JOIN staging.advocate AS advocate ON advocate.id = touch.advocate_id"
                " LEFT JOIN staging.share AS share ON share.id = touch.share_id"
                f" WHERE touch.verdict = 'counts' GROUP BY ALL ORDER BY linear DESC, {segment} LIMIT {_MOST_ROWS}"
            )
            for segment, column in _SEGMENTS.items()
        }
