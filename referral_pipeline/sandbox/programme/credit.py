"""Who is credited for an application, worked out from what the programme knows and by none of the product's code.

Belongs here: the last-touch rule in the smallest form. Does not belong here: other models, who is which person (known
by construction).

The rule: touches of a person for a job are the referrals that are written (at applied_at, else submitted_at) and the
shares for that job by the same advocates. Those within 90 days before the application's own date count (both ends), a
touch after it does not. The latest is credited; of equal ones the one whose share is oldest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from referral_pipeline.sandbox.programme.advocacy import Referral, Share

LOOKBACK = timedelta(days=90)

SharesOf = Mapping[tuple[str, str], Sequence[Share]]
"""(advocate id, job id) -> their shares for that job."""


@dataclass(frozen=True)
class Credited:
    """The touch that is credited, and the advocate's referral that it belongs to."""

    advocate_id: str
    share: Share | None
    campaign_tag: str | None
    referral: Referral


def last_touch(referrals: Iterable[Referral], shares_of: SharesOf, applied_at: datetime) -> Credited | None:
    """The credited touch among the written referrals of one person for one job; None when nobody earns it."""
    touches: list[tuple[datetime, datetime, Credited]] = []
    written = sorted((r for r in referrals if r.is_written), key=lambda r: (r.touched_at, r.id))
    for referral in written:
        shared_at = referral.share.shared_at if referral.share else referral.touched_at
        touch = Credited(referral.advocate_id, referral.share, referral.campaign_tag, referral)
        touches.append((referral.touched_at, shared_at, touch))
    latest_of = {referral.advocate_id: referral for referral in written}
    for advocate_id, referral in latest_of.items():
        for share in shares_of.get((advocate_id, referral.job_id), ()):
            touch = Credited(advocate_id, share, share.content.campaign_tag, referral)
            touches.append((share.shared_at, share.shared_at, touch))
    counted = [touch for touch in touches if applied_at - LOOKBACK <= touch[0] <= applied_at]
    if not counted:
        return None
    latest = max(at for at, _, _ in counted)
    return min((shared_at, credited.advocate_id, credited) for at, shared_at, credited in counted if at == latest)[2]
