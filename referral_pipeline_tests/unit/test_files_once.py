"""Each dropped file is read, whatever happens to it between two pulls, and what is read again changes nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.connectors.records import Window
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.unit.files_place import LONG_AGO, REFERRAL, Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Ledger.open("sqlite:///ledger.sqlite", home=tmp_path) as ledger:
        yield Place(tmp_path, ledger, Warehouse("w.duckdb", home=tmp_path, published_dir=tmp_path / "p"))


def tags(place: Place) -> dict[str, str]:
    """What raw holds: the tag of each referral."""
    rows = [row for row in place.raw() if not str(row["id"]).startswith("?")]
    return {row["id"]: row["campaign_tag"] for row in rows}


def seen_and_lost(place: Place) -> None:
    """A pull that saw what lies there and died before anything was kept."""
    assert next(iter(place.connector().pull("referrals", Window(None, datetime.now(UTC)))))


def test_2_content_that_was_away_when_a_pull_was_kept_is_read_once_it_is_back(place: Place):
    place.drop("referrals-a.csv", [{**REFERRAL, "campaign_tag": "kept"}])
    place.pull()
    path = place.drop("referrals-b.csv", [{**REFERRAL, "id": "R2", "campaign_tag": "late"}])
    seen_and_lost(place)
    content = path.read_bytes()
    path.unlink()
    assert place.pull() == 0
    path.write_bytes(content)
    assert place.pull() == 2
    assert tags(place) == {"R1": "kept", "R2": "late"}
    assert place.pull() == 0


def test_2_content_that_was_being_written_anew_when_a_pull_was_kept_is_read_once_it_is_whole(place: Place):
    place.drop("referrals-a.csv", [{**REFERRAL, "campaign_tag": "kept"}])
    place.pull()
    path = place.drop("referrals-b.csv", [{**REFERRAL, "id": "R2", "campaign_tag": "late"}])
    seen_and_lost(place)
    place.options["settle_seconds"] = 60.0
    path.touch()
    assert place.pull() == 0
    place.options["settle_seconds"] = 0.0
    assert place.pull() == 2
    assert tags(place)["R2"] == "late"


def test_2_a_file_that_was_dropped_as_another_kind_is_read_under_its_right_name(place: Place):
    place.pull_all()
    wrong = place.drop("shares.csv", [{**REFERRAL, "campaign_tag": "renamed"}])
    place.pull_all()
    assert [problem.entity for problem in place.staged().problems] == ["shares"]
    wrong.rename(place.folder / "referrals.csv")
    place.pull_all()
    assert tags(place) == {"R1": "renamed"}


def test_2_files_are_read_again_once_the_contract_reads_them_differently(place: Place):
    row = {key: value for key, value in REFERRAL.items() if key != "job_id"}
    place.drop("referrals.csv", [{**row, "Stelle": "9", "campaign_tag": "x"}])
    place.pull()
    assert [problem.field for problem in place.staged().problems] == ["job_id"]
    place.options["columns"] = {"referrals": {"job_id": "Stelle"}}
    place.pull()
    assert place.staged().problems == []
    assert [referral.job_id for referral in place.staged().referrals] == ["9"]
    assert place.pull() == 0


def test_1_an_edit_of_the_same_length_and_time_is_another_file(place: Place):
    path = place.drop("referrals.csv", [{**REFERRAL, "campaign_tag": "one"}])
    time.sleep(2.1)  # until the file's stamp is believed
    place.pull()
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b"one", b"two"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    place.pull()
    assert tags(place) == {"R1": "two"}


def test_3_an_old_file_that_comes_late_has_not_the_last_word_where_both_tell_the_same_time(place: Place):
    day = {**REFERRAL, "updated_at": "2026-11-02"}
    place.drop("referrals-new.csv", [{**day, "campaign_tag": "new"}], at=LONG_AGO + timedelta(hours=1))
    place.pull()
    place.drop("referrals-old.csv", [{**day, "campaign_tag": "old"}])
    place.pull()
    assert tags(place) == {"R1": "new"}


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_2_whatever_is_moved_about_between_pulls_all_that_lies_there_in_the_end_was_read(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    home = tmp_path_factory.mktemp("moved")
    with Ledger.open("sqlite:///ledger.sqlite", home=home) as ledger:
        place = Place(home, ledger, Warehouse("w.duckdb", home=home, published_dir=home / "p"))
        place.folder.mkdir()
        kept: dict[str, bytes] = {}
        for number in range(3):
            name = f"referrals-{number}.csv"
            path = place.drop(
                name,
                [{**REFERRAL, "id": f"R{number}", "campaign_tag": f"t{number}"}],
                at=LONG_AGO + timedelta(minutes=number),
            )
            kept[name] = path.read_bytes()
            path.unlink()
        for _ in range(data.draw(st.integers(1, 8))):
            name = data.draw(st.sampled_from(sorted(kept)))
            path, aside = place.folder / name, place.folder / f"shares-{name}"
            match data.draw(st.sampled_from(["drop", "take", "other kind", "other reading", "pull", "crash", "ask"])):
                case "drop":
                    path.write_bytes(kept[name])
                case "take":
                    path.unlink(missing_ok=True)
                case "other kind":
                    aside.write_bytes(kept[name])
                case "other reading":
                    place.options["time_zone"] = data.draw(st.sampled_from(["UTC", "Asia/Tokyo"]))
                case "pull":
                    place.pull()
                case "crash":
                    next(iter(place.connector().pull("referrals", Window(None, datetime.now(UTC)))), None)
                case _:
                    place.connector().get_referral("R0")
        place.pull()
        lying = {f"R{name[10]}" for name in kept if (place.folder / name).exists()}
        hour = "2026-11-02T09:30:00Z" if place.options.get("time_zone", "UTC") == "UTC" else "2026-11-02T00:30:00Z"
        rows = {row["id"]: row["submitted_at"] for row in place.raw() if not str(row["id"]).startswith("?")}
        assert lying <= rows.keys()
        assert {rows[one] for one in lying} <= {hour}
        assert place.pull() == 0
