"""Makers of records for tests: valid by default, every field can be set."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from referral_pipeline.connectors.records import AtsApplication, Consent, Referral
from referral_pipeline.vocabulary import CandidateStatus, ReferralStage

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def ago(**delta: float) -> datetime:
    return NOW - timedelta(**delta)


def make_referral(**fields: Any) -> Referral:
    base = Referral(
        id="R1",
        advocate_id="A1",
        share_id="S1",
        job_id="J1",
        campaign_tag="spring",
        stage=ReferralStage.APPLIED,
        submitted_at=ago(days=3),
        applied_at=ago(days=2),
        first_name="Ada",
        last_name="Example",
        email="ada@example.com",
        phone=None,
        country="DE",
        consent=Consent(granted=True, basis="consent", granted_at=ago(days=3), expires_at=None),
        clicks=4,
        shares=1,
        reach=200,
        status=None,
        status_at=None,
        ats_candidate_id=None,
        ats_application_id=None,
        updated_at=ago(days=2),
    )
    return replace(base, **fields)


def make_application(**fields: Any) -> AtsApplication:
    base = AtsApplication(
        id="1001",
        candidate_id="501",
        job_id="J1",
        status=CandidateStatus.APPLIED,
        status_at=ago(days=1),
        applied_at=ago(days=1),
        updated_at=ago(days=1),
    )
    return replace(base, **fields)
