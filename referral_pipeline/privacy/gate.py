"""The gate that a referral passes before anything about it is written to another system.

Belongs here: stage rule, consent, residency and tombstone, as one pure decision with one reason. Does not belong here:
looking things up (the caller brings the tombstone), writing, counting.

The order of the rules is the order in which a person would want to hear of them: what the candidate decided (withdrawn,
erased, consent) before what the programme decided (stage, country).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from referral_pipeline.connectors.records import Consent, Referral
from referral_pipeline.contract.models import Contract
from referral_pipeline.identity.canonical import canonical_country
from referral_pipeline.vocabulary import Block, ReferralStage

_STAGE_ORDER = {ReferralStage.CLICKED: 1, ReferralStage.APPLIED: 2}
_REQUIRED_ORDER = {"shared": 0, "clicked": 1, "applied": 2}


@dataclass(frozen=True)
class GatePolicy:
    """What the contract says about who may pass.

    `create_when_stage` is shared, clicked or applied. `allowed_countries` are ISO 3166 alpha-2 codes in upper case.
    """

    create_when_stage: str
    require_consent: bool
    allowed_countries: frozenset[str]

    @classmethod
    def of(cls, contract: Contract) -> GatePolicy:
        """The policy of a contract."""
        return cls(
            create_when_stage=contract.rules.create_when_stage,
            require_consent=contract.privacy.require_consent,
            allowed_countries=frozenset(contract.privacy.allowed_countries),
        )


def blocked_by(
    referral: Referral, policy: GatePolicy, *, at: datetime, erased: bool, written: bool = False
) -> Block | None:
    """Why this referral may not be written to the ATS at this time, or None when it may.

    Args:
        referral: the referral as the advocacy platform holds it now.
        policy: the contract's rules.
        at: the moment of the decision, aware UTC; consent that has expired by then does not count.
        erased: whether a tombstone stands for the person or for the candidate written from this referral.
        written: whether an application is linked to it: then its end on the platform may be of our own telling.
    """
    if referral.stage is ReferralStage.WITHDRAWN or (referral.is_ended and not written):
        return Block.WITHDRAWN
    if erased:
        return Block.ERASED
    if policy.require_consent:
        lack = consent_lack(referral.consent, at=at)
        if lack is not None:
            return lack
    if _STAGE_ORDER[referral.stage] < _REQUIRED_ORDER[policy.create_when_stage]:
        return Block.STAGE
    if canonical_country(referral.country) not in policy.allowed_countries:
        return Block.COUNTRY
    return None


def consent_lack(consent: Consent | None, *, at: datetime) -> Block | None:
    """What is missing of a consent: none recorded or taken back, or expired. None when it holds."""
    if consent is None or not consent.granted:
        return Block.NO_CONSENT
    if consent.expires_at is not None and consent.expires_at <= at:
        return Block.CONSENT_EXPIRED
    return None
