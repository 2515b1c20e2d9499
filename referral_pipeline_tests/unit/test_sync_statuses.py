"""Statuses and jobs on their way to the advocacy platform: told once, told again where they were lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.connectors.failures import TransientFailure
from referral_pipeline.connectors.records import AtsJob
from referral_pipeline.ledger.store import Ledger, Link
from referral_pipeline.sync.jobs import publish_jobs
from referral_pipeline.sync.report import SyncReport
from referral_pipeline.sync.statuses import StatusReturn
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline_tests.records import make_application
from referral_pipeline_tests.unit.sync_rig import Spoilt
from referral_pipeline_tests.unit.test_advocacy_connector import START, Platform


class Return:
    """A platform with one referral, linked to application 1001, and runs of the status return."""

    def __init__(self, folder: Path) -> None:
        self.platform = Platform()
        self.platform.put()
        self.ledger = Ledger.open(f"sqlite:///{folder}/ledger.sqlite", home=folder)
        self.ledger.save_links([_link()])

    def run(self, *, pulled: dict[str, Any] | None = None, advocacy: Any = None, **fields: Any) -> SyncReport:
        """One run with the application as given, and the referral as `pulled` or as the platform holds it."""
        application = make_application(status_at=START, **fields)
        raw = pulled or self.row()
        rows = self.platform.connector.stage(lambda entity: [raw] if entity == "referrals" and raw else [])
        returning = StatusReturn(
            advocacy=advocacy or self.platform.connector, ledger=self.ledger, ats_system="greenhouse", workers=1
        )
        return returning.run(
            self.ledger.links(), {application.id: application}, {r.id: r for r in rows.referrals}, rounds=1
        )

    def row(self) -> dict[str, Any]:
        return next(iter(self.platform.store.dump()["referrals"]), {})


def _link(**fields: Any) -> Link:
    link = Link(
        referral_id="ref_1",
        person_id="per_ada",
        job_id="4410000001",
        advocate_id="adv_1",
        share_id=None,
        campaign_tag=None,
        touched_at=START,
        system="greenhouse",
        candidate_id="501",
        application_id="1001",
    )
    return replace(link, **fields)


@pytest.fixture
def returning(tmp_path: Path) -> Iterator[Return]:
    made = Return(tmp_path)
    yield made
    made.platform.connector.close()
    made.ledger.close()


def test_a_status_is_told_once(returning):
    assert returning.run().counts["statuses_sent"] == 1
    assert returning.row()["status"] == "applied"
    again = returning.run()
    assert (again.counts["statuses_sent"], again.counts["statuses_unchanged"]) == (0, 1)


def test_a_status_that_was_lost_on_the_platform_is_told_again(returning):
    returning.run()
    returning.platform.put(status=None, status_at=None)
    assert returning.run().counts["statuses_sent"] == 1
    assert returning.row()["status"] == "applied"


def test_a_status_that_the_platform_holds_with_a_later_time_is_told_with_that_time(returning):
    """The ledger was lost, or a record of the ATS that carried the time is gone: the ATS still is right."""
    later = "2026-11-20T09:00:00.000Z"
    returning.platform.put(status="hired", status_at=later)
    report = returning.run(status=CandidateStatus.REJECTED)
    assert (report.counts["statuses_sent"], report.failures) == (1, [])
    assert (returning.row()["status"], returning.row()["status_at"]) == ("rejected", later)


def test_a_status_refused_as_older_is_told_by_the_next_run(returning):
    before = returning.row()
    returning.platform.put(status="in_review", status_at="2026-11-20T09:00:00.000000Z")
    refused = returning.run(pulled=before)
    assert (refused.counts["statuses_superseded"], refused.failures) == (1, [])
    assert returning.run().counts["statuses_sent"] == 1
    assert returning.row()["status"] == "applied"


def test_a_referral_deleted_on_the_platform_is_no_failure(returning):
    before = returning.row()
    returning.platform.store.remove("referrals", "ref_1")
    report = returning.run(pulled=before)
    assert (report.failures, report.counts["statuses_of_deleted_referrals"]) == ([], 1)
    assert returning.run().counts["statuses_of_deleted_referrals"] == 0


def test_a_blocked_referral_hears_nothing_more(returning):
    returning.ledger.save_links([_link(block="no_consent")])
    returning.run(status=CandidateStatus.HIRED)
    assert returning.row()["status"] is None


def test_the_time_of_a_status_never_goes_back(returning):
    returning.ledger.save_links([_link(status=CandidateStatus.OFFERED, status_at=START + timedelta(days=3))])
    returning.run()
    assert returning.row()["status_at"].startswith("2026-11-05T09:00:00")


def test_a_job_that_may_have_been_published_and_is_a_draft_again_is_closed(returning):
    job = AtsJob("4410000001", "Data Engineer", "open")
    publish_jobs([job], advocacy=returning.platform.connector, ledger=returning.ledger)

    def fails(_: AtsJob) -> None:
        raise TransientFailure("advocacy", "jobs.put", status=503)

    draft = replace(job, status="draft")
    down = Spoilt(returning.platform.connector, put_job=fails)
    assert len(publish_jobs([draft], advocacy=down, ledger=returning.ledger).failures) == 1
    publish_jobs([draft], advocacy=returning.platform.connector, ledger=returning.ledger)
    (posting,) = returning.platform.store.dump()["jobs"]
    assert posting["status"] == "closed"
    quiet = publish_jobs([draft], advocacy=returning.platform.connector, ledger=returning.ledger)
    assert quiet.counts["jobs_published"] == 0


def test_a_draft_that_was_never_published_is_not_sent(returning):
    draft = AtsJob("4410000001", "Data Engineer", "draft")
    report = publish_jobs([draft], advocacy=returning.platform.connector, ledger=returning.ledger)
    assert (report.counts["jobs_draft"], returning.platform.store.dump()["jobs"]) == (1, [])


def test_a_status_that_was_overtaken_is_not_taken_for_told(returning):
    """The lane tells a later word, and confirms it, while the run's older one is on its way."""

    def overtaken(update: Any) -> bool:
        returning.ledger.confirm("status:ref_1", {"status": "offered"})
        return False

    spoilt = Spoilt(returning.platform.connector, return_status=overtaken)
    returning.run(advocacy=spoilt, status=CandidateStatus.INTERVIEWED)
    assert returning.run(status=CandidateStatus.INTERVIEWED).counts["statuses_sent"] == 1
