"""The gate: who may be written to the ATS, and the one reason when not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from referral_pipeline.connectors.records import Consent
from referral_pipeline.privacy.gate import GatePolicy, blocked_by
from referral_pipeline.vocabulary import Block, ReferralStage
from referral_pipeline_tests.records import NOW, ago, make_referral

POLICY = GatePolicy(create_when_stage="applied", require_consent=True, allowed_countries=frozenset({"DE", "US"}))


def gate(referral, *, policy=POLICY, erased=False):
    return blocked_by(referral, policy, at=NOW, erased=erased)


def test_an_applied_referral_with_consent_from_a_listed_country_passes():
    assert gate(make_referral()) is None


@pytest.mark.parametrize("country", [" de ", "De", "DE"])
def test_a_country_counts_however_it_is_written(country):
    assert gate(make_referral(country=country)) is None


@pytest.mark.parametrize("country", ["FR", None, "", "Germany?"])
def test_a_country_that_is_not_listed_or_not_known_is_held_back(country):
    assert gate(make_referral(country=country)) is Block.COUNTRY


def test_a_referral_that_is_only_clicked_waits_for_its_stage():
    assert gate(make_referral(stage=ReferralStage.CLICKED)) is Block.STAGE


def test_a_contract_may_create_candidates_from_clicks():
    policy = GatePolicy(create_when_stage="clicked", require_consent=True, allowed_countries=frozenset({"DE"}))
    assert gate(make_referral(stage=ReferralStage.CLICKED), policy=policy) is None


@pytest.mark.parametrize("consent", [None, Consent(granted=False, basis=None, granted_at=None, expires_at=None)])
def test_without_consent_nothing_is_written(consent):
    assert gate(make_referral(consent=consent)) is Block.NO_CONSENT


def test_consent_counts_until_the_moment_it_expires():
    def with_expiry(at):
        return make_referral(consent=Consent(granted=True, basis="consent", granted_at=ago(days=9), expires_at=at))

    assert gate(with_expiry(NOW + timedelta(seconds=1))) is None
    assert gate(with_expiry(NOW)) is Block.CONSENT_EXPIRED


def test_a_contract_without_consent_rule_asks_for_none():
    policy = GatePolicy(create_when_stage="applied", require_consent=False, allowed_countries=frozenset({"DE"}))
    assert gate(make_referral(consent=None), policy=policy) is None


def test_what_the_candidate_decided_is_told_before_what_the_programme_decided():
    referral = make_referral(stage=ReferralStage.WITHDRAWN, consent=None, country="FR")
    assert gate(referral) is Block.WITHDRAWN
    assert gate(make_referral(consent=None, country="FR"), erased=True) is Block.ERASED
    assert gate(make_referral(consent=None, country="FR")) is Block.NO_CONSENT


def test_what_the_platform_holds_as_ended_is_not_begun_and_what_was_begun_goes_on():
    ended = make_referral(is_ended=True)
    assert gate(ended) is Block.WITHDRAWN
    assert blocked_by(ended, POLICY, at=NOW, erased=False, written=True) is None
