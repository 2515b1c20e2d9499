"""The canonical words that every room shares: stages, statuses, systems, record types.

Belongs here: closed vocabularies (DESIGN: the canonical vocabulary). Does not belong here: a vendor's own words; each
connector maps those to these.
"""

from __future__ import annotations

from enum import StrEnum


class ReferralStage(StrEnum):
    """How far a referral has come on the advocacy side."""

    CLICKED = "clicked"
    APPLIED = "applied"
    WITHDRAWN = "withdrawn"


class CandidateStatus(StrEnum):
    """Where an application stands, in the one vocabulary that both systems are told."""

    APPLIED = "applied"
    IN_REVIEW = "in_review"
    INTERVIEWED = "interviewed"
    OFFERED = "offered"
    HIRED = "hired"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


TERMINAL_STATUSES = frozenset({CandidateStatus.HIRED, CandidateStatus.REJECTED, CandidateStatus.WITHDRAWN})
"""Statuses that end an application; both hire and rejection can be undone."""


class Side(StrEnum):
    """The two sides of the bridge."""

    ADVOCACY = "advocacy"
    ATS = "ats"
    CRM = "crm"


class Block(StrEnum):
    """Why a referral is not written to the ATS; counted by reason in every run."""

    STAGE = "stage"  # the configured stage is not reached yet
    WITHDRAWN = "withdrawn"  # the advocate or the candidate took the referral back
    NO_CONSENT = "no_consent"  # no lawful basis was recorded, or it was withdrawn
    CONSENT_EXPIRED = "consent_expired"
    COUNTRY = "country"  # the candidate's country is outside the contract
    ERASED = "erased"  # the person asked to be forgotten, or the ATS deleted or anonymized the candidate
    JOB = "job"  # the job is unknown to the ATS, or takes no applications (closed, draft)


ATTRIBUTION_FIELDS = ("referral_id", "advocate_id", "share_id", "content_id", "campaign_tag")
"""The fields of an application that carry its attribution; others that are mapped (clicks) change by themselves."""
