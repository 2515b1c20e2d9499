"""The ledger keeps what was sent, to whom it belongs, and how far was pulled, whatever happens to the process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from referral_pipeline.connectors.calls import ApiCall
from referral_pipeline.ledger.aliases import follow
from referral_pipeline.ledger.store import ConsentFact, Cursor, IdentityKey, Ledger, Link, StatusFact
from referral_pipeline.privacy.crypto import keyed_hash
from referral_pipeline.vocabulary import Block, CandidateStatus
from referral_pipeline_tests.unit.ledger_databases import BACKENDS, fresh_url

NOW = datetime(2026, 5, 4, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield from fresh_url(request.param, tmp_path)


@pytest.fixture
def ledger(url: str, tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(url, home=tmp_path, clock=lambda: NOW) as opened:
        yield opened


def _link(referral_id: str = "R1") -> Link:
    return Link(
        referral_id=referral_id,
        person_id="per_1",
        job_id="J1",
        advocate_id="A1",
        share_id=None,
        campaign_tag="spring",
        touched_at=NOW,
        system="greenhouse",
    )


# ---------------------------------------------------------------- cursors and calls


def test_a_cursor_comes_back_as_it_was_saved_and_the_last_one_stands(ledger: Ledger) -> None:
    assert ledger.cursor("greenhouse", "jobs") is None
    ledger.save_cursor("greenhouse", "jobs", position=NOW, warehouse_id="w1", full_pull_at=NOW - timedelta(days=1))
    ledger.save_cursor("greenhouse", "jobs", position=NOW, warehouse_id="w2", full_pull_at=NOW)
    assert ledger.cursor("greenhouse", "jobs") == Cursor("greenhouse", "jobs", NOW, "w2", NOW)
    assert ledger.cursor("greenhouse", "offers") is None


def test_a_time_in_another_zone_comes_back_as_the_same_instant_in_utc(ledger: Ledger) -> None:
    from zoneinfo import ZoneInfo

    local = NOW.astimezone(ZoneInfo("America/New_York"))
    ledger.save_cursor("ats", "jobs", position=local, warehouse_id="w", full_pull_at=local)
    found = ledger.cursor("ats", "jobs")
    assert found is not None
    assert found.position == NOW
    assert found.position.tzinfo is UTC


def test_a_naive_time_is_refused(ledger: Ledger) -> None:
    with pytest.raises(Exception, match="aware times only"):
        ledger.save_cursor("ats", "jobs", position=datetime(2026, 1, 1), warehouse_id="w", full_pull_at=NOW)  # noqa: DTZ001
    assert ledger.cursor("ats", "jobs") is None


def test_recorded_calls_are_counted_and_read_back_in_order(ledger: Ledger) -> None:
    first = ApiCall("greenhouse", "list_jobs", "GET", 200, "ok", 12, 1, 40, NOW)
    second = ApiCall("advocacy", "patch", "PATCH", None, "timeout", 3000, 2, None, NOW + timedelta(seconds=1))
    ledger.record_calls([second, first])
    ledger.record_calls([])
    assert ledger.calls() == [first, second]
    assert ledger.calls(system="advocacy") == [second]
    assert ledger.calls(since=NOW + timedelta(seconds=1)) == [second]
    assert ledger.calls_recorded() == 2


# ---------------------------------------------------------------- links


def test_a_link_comes_back_equal_and_saving_again_overwrites_it(ledger: Ledger) -> None:
    link = replace(_link(), updated_at=NOW)
    ledger.save_links([link, replace(link, referral_id="R2")])
    assert ledger.link("R1") == link
    hired = replace(link, status=CandidateStatus.HIRED, status_at=NOW, application_id="9", created_application=True)
    ledger.save_links([hired])
    assert ledger.links() == [hired, replace(link, referral_id="R2")]
    assert ledger.link("R3") is None


def test_a_link_saved_without_a_time_gets_the_ledgers_own(ledger: Ledger) -> None:
    ledger.save_links([_link()])
    found = ledger.link("R1")
    assert found is not None
    assert found.updated_at == NOW


def test_of_two_links_for_one_referral_in_one_batch_the_last_stands(ledger: Ledger) -> None:
    ledger.save_links([_link(), replace(_link(), block=Block.NO_CONSENT)])
    found = ledger.link("R1")
    assert found is not None
    assert found.block == Block.NO_CONSENT


# ---------------------------------------------------------------- aliases


def test_a_chain_of_merges_leads_to_the_id_that_lives_on(ledger: Ledger) -> None:
    ledger.alias("ats", "1", "2")
    ledger.alias("ats", "2", "3")
    assert ledger.current_candidate("ats", "1") == "3"
    assert ledger.current_candidate("ats", "4") == "4"
    assert ledger.current_candidate("crm", "1") == "1"
    assert ledger.aliases("ats") == {"1": "3", "2": "3"}
    assert ledger.alias_systems() == ["ats"]


def test_a_merge_back_makes_the_newest_survivor_the_end_of_the_chain(ledger: Ledger) -> None:
    ledger.alias("ats", "1", "2")
    ledger.alias("ats", "2", "1")
    ledger.alias("ats", "1", "1")
    assert ledger.current_candidate("ats", "2") == "1"
    assert ledger.current_candidate("ats", "1") == "1"


_IDS = st.sampled_from("abcdef")


def test_only_the_chains_of_the_ids_in_hand_are_followed_and_only_in_their_system(ledger: Ledger) -> None:
    for number in range(1_200):
        ledger.alias("ats", f"old{number}", f"new{number}")
    ledger.alias("ats", "new7", "newer7")
    ledger.alias("crm", "newer7", "elsewhere")
    assert ledger.aliases_of("ats", ["old7", "new7", "unknown"]) == {"old7": "newer7", "new7": "newer7"}
    assert ledger.aliases_of("ats", []) == {}
    everybody = {f"old{number}" for number in range(1_200)}
    assert ledger.aliases_of("ats", everybody).keys() == everybody


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(merges=st.lists(st.tuples(_IDS, _IDS), max_size=12))
def test_whatever_merges_are_seen_every_id_has_one_living_successor(
    ledger: Ledger, merges: list[tuple[str, str]]
) -> None:
    with _rolled_back(ledger):
        for old, new in merges:
            ledger.alias("ats", old, new)
            assert ledger.current_candidate("ats", old) == ledger.current_candidate("ats", new)
        aliases = ledger.aliases("ats")
        seen = {one for pair in merges for one in pair}
        assert ledger.aliases_of("ats", seen) == aliases
        assert all(ledger.aliases_of("ats", [old]) == {old: new} for old, new in aliases.items())
        for old, end in aliases.items():
            assert end not in aliases
            assert ledger.current_candidate("ats", old) == end


@given(steps=st.dictionaries(_IDS, _IDS))
def test_following_a_chain_always_ends_even_in_a_circle(steps: dict[str, str]) -> None:
    for start in "abcdef":
        end = follow(steps, start)
        assert follow(steps, end) == end


class _UndoError(Exception):
    pass


@contextmanager
def _rolled_back(ledger: Ledger) -> Iterator[None]:
    """Run a block inside one transaction and take everything back."""
    with suppress(_UndoError), ledger.atomic():
        yield
        raise _UndoError


# ---------------------------------------------------------------- identity


def _key(value: str, record: str, person: str = "per_1", kind: str = "email") -> IdentityKey:
    return IdentityKey(keyed_hash(value, "secret"), kind, record.split(":")[0], record, person)


def test_records_are_found_by_any_of_their_keys(ledger: Ledger) -> None:
    keys = [_key("x", "advocacy:R1"), _key("y", "advocacy:R1", kind="phone"), _key("x", "greenhouse:7", "per_2")]
    ledger.save_identity_keys(keys)
    many = [keyed_hash(str(n), "secret") for n in range(1200)]
    assert ledger.records_for([*many, keys[0].key_hash]) == [keys[0], keys[2]]
    assert ledger.persons() == {"advocacy:R1": "per_1", "greenhouse:7": "per_2"}


def test_a_corrected_address_no_longer_finds_the_record(ledger: Ledger) -> None:
    ledger.save_identity_keys([_key("typo", "advocacy:R1"), _key("other", "advocacy:R2")])
    ledger.save_identity_keys([_key("right", "advocacy:R1")], replace=True)
    assert ledger.records_for([keyed_hash("typo", "secret")]) == []
    assert ledger.records_for([keyed_hash("right", "secret")]) == [_key("right", "advocacy:R1")]
    assert ledger.records_for([keyed_hash("other", "secret")]) == [_key("other", "advocacy:R2")]


def test_a_record_whose_last_address_was_removed_is_found_no_more(ledger: Ledger) -> None:
    ledger.save_identity_keys([_key("x", "advocacy:R1"), _key("y", "advocacy:R2"), _key("z", "advocacy:R3")])
    ledger.save_identity_keys([], all_keys_of=["advocacy:R1"])
    with ledger.exclusive(["some"]):
        ledger.remember_soon((), [], all_keys_of=["advocacy:R2"])
    assert ledger.keys_of(["advocacy:R1", "advocacy:R2", "advocacy:R3"]) == [_key("z", "advocacy:R3")]


def test_a_forgotten_record_leaves_no_key(ledger: Ledger) -> None:
    ledger.save_identity_keys([_key("x", "advocacy:R1"), _key("y", "advocacy:R1", kind="phone")])
    assert ledger.forget_records(["advocacy:R1", "advocacy:R9"]) == 2
    assert ledger.persons() == {}


def test_the_hash_of_a_key_is_not_shown_in_its_repr() -> None:
    key = _key("x", "advocacy:R1")
    assert key.key_hash not in repr(key)


# ---------------------------------------------------------------- history, consent, tombstones


def test_a_status_is_kept_once_for_its_time_and_a_return_to_it_is_kept_too(ledger: Ledger) -> None:
    hired = StatusFact("ats", "9", CandidateStatus.HIRED, NOW, "pull")
    undone = replace(hired, status=CandidateStatus.OFFERED, at=NOW + timedelta(hours=1))
    rehired = replace(hired, at=NOW + timedelta(hours=2))
    assert ledger.append_status(hired)
    assert not ledger.append_status(replace(hired, source_event="webhook"))
    assert ledger.append_statuses([rehired, undone, undone]) == 2
    assert ledger.append_statuses([]) == 0
    assert ledger.status_facts() == [hired, undone, rehired]


def test_a_consent_is_appended_only_when_it_changed(ledger: Ledger) -> None:
    given_ = ConsentFact("R1", True, "consent", NOW, None)
    assert ledger.save_consents([given_, replace(given_, referral_id="R2")]) == 2
    assert ledger.save_consents([given_]) == 0
    withdrawn = replace(given_, granted=False)
    assert ledger.save_consents([withdrawn]) == 1
    assert ledger.save_consents([given_]) == 1
    assert ledger.consents()["R1"] == given_


def test_a_tombstone_is_found_among_many_values(ledger: Ledger) -> None:
    erased = keyed_hash("somebody", "secret")
    ledger.add_tombstone("email", erased, "asked to be forgotten")
    ledger.add_tombstone("email", erased, "asked again")
    assert ledger.tombstoned([str(n) for n in range(1500)] + [erased]) == {erased}
    assert ledger.tombstoned([]) == set()


# ---------------------------------------------------------------- transactions


def test_what_is_written_in_one_atomic_block_is_kept_together_or_not_at_all(ledger: Ledger) -> None:
    with _rolled_back(ledger):
        ledger.save_links([_link()])
        ledger.alias("ats", "1", "2")
        assert ledger.link("R1") is not None
    assert ledger.links() == []
    with ledger.atomic():
        ledger.save_links([_link()])
        ledger.alias("ats", "1", "2")
    assert ledger.link("R1") is not None
    assert ledger.aliases("ats") == {"1": "2"}


def test_a_step_that_fails_inside_an_atomic_block_leaves_the_others_when_caught(ledger: Ledger) -> None:
    with ledger.atomic():
        ledger.save_links([_link()])
        with pytest.raises(LookupError):
            ledger.confirm_many([("never begun", {})])
        ledger.alias("ats", "1", "2")
    assert ledger.link("R1") is not None
    assert ledger.aliases("ats") == {"1": "2"}


def test_other_threads_see_nothing_of_an_atomic_block_before_it_ends(ledger: Ledger) -> None:
    seen: list[int] = []

    def look() -> None:
        seen.append(len(ledger.links()))

    def look_elsewhere() -> None:
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    with ledger.atomic():
        ledger.save_links([_link()])
        look_elsewhere()
    look_elsewhere()
    assert seen == [0, 1]


def test_many_threads_write_without_losing_anything(ledger: Ledger) -> None:
    def write(first: int) -> None:
        for number in range(first, first + 10):
            ledger.save_links([_link(f"R{number}")])

    threads = [threading.Thread(target=write, args=(start,)) for start in range(0, 60, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ledger.links()) == 60
