"""What a platform without an API is told: kept as if it had taken it, and written to files for people to upload."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from referral_pipeline.connectors.capabilities import AuditScope, Standing
from referral_pipeline.connectors.failures import Conflict, Invalid
from referral_pipeline.connectors.records import AtsJob
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.unit.files_place import REFERRAL, Place, outbox, update


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Ledger.open("sqlite:///ledger.sqlite", home=tmp_path) as ledger:
        yield Place(tmp_path, ledger, Warehouse("w.duckdb", home=tmp_path, published_dir=tmp_path / "p"))


def test_8_what_is_told_stands_in_the_outbox_and_the_referral_shows_it(place: Place):
    place.drop("referrals.csv", [REFERRAL])
    place.pull()
    connector = place.connector()
    assert connector.return_status(update())
    connector.put_job(AtsJob("7", "Porter", "open"))
    connector.recognise("R1", "hired", 0, "EUR", "k1")
    connector.close()
    (status,) = outbox(place, "statuses")
    assert (status["referral_id"], status["status"], status["ats_application_id"]) == ("R1", "interviewed", "a1")
    assert [row["title"] for row in outbox(place, "jobs")] == ["Porter"]
    assert [row["kind"] for row in outbox(place, "recognitions")] == ["hired"]
    place.pull()
    (referral,) = place.staged().referrals
    assert (referral.status, referral.ats_application_id) == (CandidateStatus.INTERVIEWED, "a1")
    assert place.connector().get_referral("R1") == referral


def test_8_a_status_goes_out_with_the_bonus_that_was_told_last(place: Place):
    connector = place.connector()
    connector.return_status(update())
    connector.recognise("R1", "hired", 0, "EUR", "k1")
    connector.recognise("R1", "bonus_eligible", 50_000, "EUR", "k2")
    connector.close()
    (status,) = outbox(place, "statuses")
    bonus = [status[f"bonus_{name}"] for name in ("kind", "amount_cents", "currency")]
    assert bonus == ["bonus_eligible", "50000", "EUR"]


def test_8_a_title_is_no_formula_and_an_id_stays_as_it_is(place: Place):
    connector = place.connector()
    connector.put_job(AtsJob("-7", "=cmd()", "open"))
    connector.close()
    (job,) = outbox(place, "jobs")
    assert (job["job_id"], job["title"]) == ("-7", "'=cmd()")


def test_8_the_same_state_is_the_same_bytes(place: Place):
    connector = place.connector()
    connector.return_status(update())
    connector.close()
    path = place.home / "outbox" / "statuses.csv"
    before, written = path.read_bytes(), path.stat().st_mtime_ns
    again = place.connector()
    again.return_status(update())
    again.close()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (before, written)
    assert b"ada@example.com" not in before


def test_8_the_outbox_is_written_while_the_process_goes_on(place: Place):
    connector = place.connector()
    connector.return_status(update())
    path = place.home / "outbox" / "statuses.csv"
    for _ in range(100):
        if path.exists():
            break
        time.sleep(0.1)
    assert path.exists()


def test_9_a_status_never_goes_back_and_a_recognition_stands_once(place: Place):
    connector = place.connector()
    assert connector.return_status(update(hours=1))
    assert not connector.return_status(update(CandidateStatus.APPLIED))
    connector.recognise("R1", "bonus_eligible", 100, "EUR", "k1")
    connector.recognise("R1", "bonus_eligible", 100, "EUR", "k1")
    with pytest.raises(Invalid):
        connector.recognise("R1", "bonus_eligible", 200, "EUR", "k1")
    with pytest.raises(Conflict):
        connector.recognise("R1", "bonus_eligible", 100, "EUR", "k2")
    connector.recognise("R1", "reversed", 100, "EUR", "k3")
    with pytest.raises(Conflict):
        connector.recognise("R1", "reversed", 100, "EUR", "k4")
    connector.recognise("R1", "bonus_eligible", 100, "EUR", "k5")
    connector.close()
    assert [row["key"] for row in outbox(place, "recognitions")] == ["k1", "k3", "k5"]


def test_an_outbox_that_cannot_be_written_is_found_by_check_and_by_the_audit(place: Place):
    place.folder.mkdir()
    (place.home / "outbox").write_text("a file", encoding="utf-8")
    assert [finding.key for finding in place.connector().probe() if not finding.ok] == ["advocacy.options.outbox"]
    lines = {line.name: line.standing for line in place.connector().audit(AuditScope(may_write=False))}
    assert (lines["files.return"], lines["files.read"]) == (Standing.MISSING, Standing.COVERED)
