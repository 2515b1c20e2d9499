"""What a write needs to know about the programme around a referral: advocates, shares, content.

Belongs here: look-ups over advocacy records, the touches of a person for a job, and the values that the
contract's mappings put on an application. Does not belong here: calls to a system, decisions about which application
takes a referral.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from referral_pipeline.attribution.models import Touch
from referral_pipeline.connectors.records import AdvocacyStaged, Advocate, Content, Referral, Share
from referral_pipeline.contract.transforms import Transform
from referral_pipeline.vocabulary import ReferralStage


@dataclass(frozen=True)
class Programme:
    """The advocacy programme by id, as of the last pull."""

    advocates: Mapping[str, Advocate]
    shares: Mapping[str, Share]
    content: Mapping[str, Content]
    shares_by_advocate_and_job: Mapping[tuple[str, str], tuple[Share, ...]]

    @classmethod
    def of(cls, staged: AdvocacyStaged) -> Programme:
        """Index the staged records."""
        return cls.over(advocates=staged.advocates, shares=staged.shares, content=staged.content)

    @classmethod
    def over(
        cls,
        *,
        advocates: Iterable[Advocate],
        shares: Iterable[Share],
        content: Iterable[Content],
    ) -> Programme:
        """Index these records."""
        contents = {c.id: c for c in content}
        known_shares = {s.id: s for s in shares}
        by_advocate: dict[tuple[str, str], list[Share]] = defaultdict(list)
        for share in known_shares.values():
            job_id = share.job_id or _job_of(contents.get(share.content_id or ""))
            if job_id is not None:
                by_advocate[share.advocate_id, job_id].append(share)
        return cls(
            advocates={a.id: a for a in advocates},
            shares=known_shares,
            content=contents,
            shares_by_advocate_and_job={k: tuple(v) for k, v in by_advocate.items()},
        )


def touches_for(referrals: Sequence[Referral], programme: Programme) -> list[Touch]:
    """The touches of one person for one job: these referrals, and the shares of the same advocates for that job.

    The caller passes only referrals that passed the gate, all of one person. One that is only clicked may have passed
    it too, where the contract creates candidates from clicks; it is no touch, and earns nothing by shares either.
    """
    touches: list[Touch] = []
    referrals = [referral for referral in referrals if referral.stage is not ReferralStage.CLICKED]
    for referral in referrals:
        share = programme.shares.get(referral.share_id or "")
        content = programme.content.get((share.content_id if share else None) or "")
        touches.append(
            Touch(
                advocate_id=referral.advocate_id,
                share_id=referral.share_id,
                content_id=content.id if content else None,
                campaign_tag=referral.campaign_tag or (content.campaign_tag if content else None),
                referral_id=referral.id,
                kind="referral",
                occurred_at=referral.touched_at,
                shared_at=share.shared_at if share else None,
            )
        )
    for advocate_id, job_id in sorted({(r.advocate_id, r.job_id) for r in referrals}):
        for share in programme.shares_by_advocate_and_job.get((advocate_id, job_id), ()):
            content = programme.content.get(share.content_id or "")
            touches.append(
                Touch(
                    advocate_id=advocate_id,
                    share_id=share.id,
                    content_id=share.content_id,
                    campaign_tag=content.campaign_tag if content else None,
                    referral_id=None,
                    kind="share",
                    occurred_at=share.shared_at,
                    shared_at=share.shared_at,
                )
            )
    return touches


def credited_referral(touch: Touch, referrals: Sequence[Referral]) -> Referral:
    """The referral behind a credited touch: the touch itself, or the latest referral of the advocate who shared."""
    own = [r for r in referrals if r.id == touch.referral_id]
    return (
        own[0]
        if own
        else max(
            (r for r in referrals if r.advocate_id == touch.advocate_id and r.stage is not ReferralStage.CLICKED),
            key=lambda r: (r.touched_at, r.id),
        )
    )


def mapped_tags(
    sources: Mapping[str, str],
    *,
    touch: Touch,
    referral: Referral,
    programme: Programme,
    enrich: bool,
    transforms: Mapping[str, Transform] | None = None,
) -> dict[str, str | None]:
    """The application's advocacy fields by logical name, as the contract's mappings ask for them.

    Args:
        sources: logical field -> advocacy path ("referral.campaign_tag"), from `Contract.tag_sources`.
        touch: the credited touch; it says which share, content and campaign earned the credit.
        referral: the referral behind the touch.
        programme: for the advocate, share and content behind the ids.
        enrich: whether the content_enrichment phase is on; without it clicks, shares and reach are not sent.
        transforms: what becomes of the value of a field, from `Contract.transforms`.
    """
    share = programme.shares.get(touch.share_id or referral.share_id or "")
    content = programme.content.get(touch.content_id or (share.content_id if share else None) or "")
    campaign = touch.campaign_tag or referral.campaign_tag
    values: dict[str, Any] = {
        "referral.id": referral.id,
        "referral.advocate_id": touch.advocate_id,
        "referral.share_id": touch.share_id or referral.share_id,
        "referral.job_id": referral.job_id,
        "referral.campaign_tag": campaign,
        "referral.stage": referral.stage.value,
        "referral.submitted_at": referral.submitted_at.isoformat(),
        "referral.applied_at": referral.applied_at.isoformat() if referral.applied_at else None,
        "share.id": touch.share_id or referral.share_id,
        "content.id": content.id if content else touch.content_id,
        "content.campaign_tag": campaign,
        "engagement.clicks": referral.clicks if enrich else None,
        "engagement.shares": referral.shares if enrich else None,
        "engagement.reach": referral.reach if enrich else None,
    }
    records: dict[str, object] = {
        "advocate": programme.advocates.get(touch.advocate_id),
        "share": share,
        "content": content,
        "referral": referral,
    }
    values["advocate.id"] = touch.advocate_id
    made = transforms or {}
    tags: dict[str, str | None] = {}
    for field, path in sources.items():
        if not enrich and path.startswith(("engagement.", "referral.engagement.")):
            continue
        value = _value(path.replace("referral.engagement.", "engagement."), values, records)
        tags[field] = made[field].apply(value) if field in made else _text(value)
    return tags


def _value(path: str, values: Mapping[str, Any], records: Mapping[str, object]) -> Any:
    if path in values:
        return values[path]
    record_name, _, attribute = path.partition(".")
    return getattr(records.get(record_name), attribute, None)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _job_of(content: Content | None) -> str | None:
    return content.job_id if content else None
