"""The write-back mends what somebody else changed on an application, and does not keep it secret."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.connectors.failures import Invalid
from referral_pipeline.ledger.store import Delivery, DeliveryState
from referral_pipeline.sync.tags import MEND, Finding, findings_of
from referral_pipeline.vocabulary import ReferralStage
from referral_pipeline_tests.unit.sync_rig import Rig, Spoilt, rig_with


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with rig_with(tmp_path) as rig:
        yield rig


class Killed(BaseException):
    """The process ends here."""


def written(rig: Rig, *referrals: Any) -> str:
    """Referrals of one person, written and visible; the id of their application."""
    rig.run(rig.case(*referrals))
    rig.time_passes()
    (application,) = rig.applications()
    return str(application["id"])


def changed(rig: Rig, application_id: str, **tags: str | None) -> None:
    """A recruiter types into our fields."""
    rig.ats.update_application(application_id, tags)
    rig.time_passes()


def mends(rig: Rig) -> list[Delivery]:
    return rig.ledger.deliveries(operation=MEND)


def test_a_field_that_others_changed_is_brought_back_counted_and_told_by_its_name(rig):
    referral = rig.referral(campaign_tag="spring")
    application_id = written(rig, referral)
    changed(rig, application_id, advocate_id="A9", campaign_tag=None)
    report = rig.run(rig.case(referral))
    assert report.counts["applications_mended"] == 1
    (mend,) = mends(rig)
    assert findings_of(mend) == [Finding.MISSING_CAMPAIGN, Finding.WRONG_ADVOCATE]
    assert (mend.target, mend.state, mend.result) == (application_id, DeliveryState.CONFIRMED, {"written": True})
    tags = rig.account.tags(application_id)
    assert (tags["advocate_id"], tags["campaign_tag"]) == ("A1", "spring")
    rig.time_passes()
    assert rig.run(rig.case(referral)).counts["applications_mended"] == 0
    assert mends(rig) == [mend]


def test_the_same_change_again_is_told_again(rig):
    referral = rig.referral()
    application_id = written(rig, referral)
    moments = []
    for _ in range(2):
        changed(rig, application_id, advocate_id="A9")
        rig.run(rig.case(referral))
        rig.time_passes()
        moments += [mend.last_attempt_at for mend in mends(rig)]
    assert len(moments) == 2
    assert moments[0] < moments[1]


EVERYTHING = dict.fromkeys(("referral_id", "advocate_id", "share_id", "content_id", "campaign_tag"))
KINDS: list[tuple[dict[str, str | None], Finding]] = [
    ({"referral_id": "R-nobody"}, Finding.ORPHANED_TAG),
    ({"referral_id": "R2"}, Finding.DOUBLE_TAG),
    ({"referral_id": None}, Finding.MISSING_TAG),
    ({"share_id": "S9"}, Finding.WRONG_SHARE),
    ({"content_id": "C9"}, Finding.WRONG_CONTENT),
    ({"campaign_tag": "typed by hand"}, Finding.WRONG_CAMPAIGN),
    (EVERYTHING, Finding.MISSING_TAG),
]


def test_each_kind_of_change_has_its_name(rig):
    grace = rig.referral("R2", first_name="Grace", last_name="Hopper", email="grace@example.com")
    ada = rig.referral("R1")
    rig.run(rig.case(ada), rig.case(grace, person="per_grace"))
    rig.time_passes()
    for there, finding in KINDS:
        before = rig.account.now
        changed(rig, rig.ledger.link("R1").application_id, **there)
        rig.run(rig.case(ada))
        (mend,) = rig.ledger.deliveries(operation=MEND, since=before)
        assert findings_of(mend) == [finding], there
        rig.time_passes()


def test_credit_that_moves_is_nobodys_doing(rig):
    """Ours stood there, and another is right now: that is what the bridge is for, and no alarm."""
    first = rig.referral("R1", days=5)
    written(rig, first)
    second = rig.referral("R2", days=2, advocate_id="A2")
    assert rig.run(rig.case(first, second)).counts["applications_updated"] == 1
    rig.time_passes()
    withdrawn = replace(second, stage=ReferralStage.WITHDRAWN)
    assert rig.run(rig.case(first, withdrawn)).counts["applications_updated"] == 1
    assert mends(rig) == []


def test_an_application_that_was_there_before_is_blamed_on_nobody_when_it_is_first_written(rig):
    referral = rig.referral()
    rig.account.acts.create_candidate(
        first_name="Ada", last_name=referral.last_name, emails=[referral.email], job_id=rig.account.job["id"]
    )
    rig.time_passes()
    assert rig.run(rig.case(referral)).counts["applications_updated"] == 1
    assert mends(rig) == []


def test_the_end_of_the_process_right_after_the_write_keeps_no_change_secret(rig):
    referral = rig.referral()
    application_id = written(rig, referral)
    changed(rig, application_id, advocate_id="A9")

    def killed(*arguments: Any, **more: Any) -> bool:
        rig.ats.update_application(*arguments, **more)
        raise Killed

    with pytest.raises(Killed):
        rig.run(rig.case(referral), ats=Spoilt(rig.ats, update_application=killed))
    rig.time_passes()
    assert rig.run(rig.case(referral)).counts["applications_unchanged"] == 1
    (mend,) = mends(rig)
    assert (findings_of(mend), mend.state) == ([Finding.WRONG_ADVOCATE], DeliveryState.PENDING)


def test_a_mend_that_the_ats_refuses_is_no_mend(rig):
    referral = rig.referral()
    application_id = written(rig, referral)
    changed(rig, application_id, advocate_id="A9")

    def refuses(*arguments: Any, **more: Any) -> bool:
        raise Invalid("greenhouse", "applications.update", status=422)

    report = rig.run(rig.case(referral), ats=Spoilt(rig.ats, update_application=refuses))
    assert [failure.transient for failure in report.failures] == [False]
    assert [mend.result for mend in mends(rig)] == [{"written": False}]


def test_after_an_answer_was_lost_nobody_is_blamed_for_what_the_bridge_wrote_itself(rig):
    first = rig.referral("R1", days=5)
    application_id = written(rig, first)
    second = rig.referral("R2", days=2, advocate_id="A2")
    rig.run(rig.case(first, second), ats=rig.loses_answers("update_application"), rounds=1)
    rig.time_passes()
    assert rig.account.tags(application_id)["advocate_id"] in {"A1", "A2"}
    rig.run(rig.case(first, second, rig.referral("R3", days=1, advocate_id="A3")))
    assert mends(rig) == []
