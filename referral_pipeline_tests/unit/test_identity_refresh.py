"""Keys that a refresh brings level, while the lane and reviewers write to the same records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from referral_pipeline.ledger.store import IdentityKey, KeysRefreshed, Ledger
from referral_pipeline.privacy.crypto import keyed_hash
from referral_pipeline_tests.unit.ledger_databases import BACKENDS, NOW, fresh_url

R1, R2, R3 = "advocacy:R1", "advocacy:R2", "advocacy:R3"


@pytest.fixture(params=BACKENDS)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    for url in fresh_url(request.param, tmp_path):
        with Ledger.open(url, home=tmp_path, clock=lambda: NOW) as opened:
            yield opened


def key(value: str, record: str, person: str = "per_1", kind: str = "email") -> IdentityKey:
    return IdentityKey(keyed_hash(value, "secret"), kind, record.split(":")[0], record, person)


def everything(ledger: Ledger) -> set[IdentityKey]:
    return set(ledger.keys_of(ledger.persons()))


def test_a_refresh_brings_keys_and_persons_level_and_writes_nothing_the_second_time(ledger: Ledger) -> None:
    ledger.save_identity_keys([key("old", R1), key("same", R2), key("gone", R3)])
    wanted = [key("new", R1, "per_2"), key("+49", R1, "per_2", "phone"), key("same", R2)]
    first = ledger.refresh_identity_keys(ledger.identity_keys_as_read(), wanted, without=[R3])
    assert first == KeysRefreshed(written=1, forgotten=1, passed_over=0)
    assert everything(ledger) == set(wanted)
    again = ledger.refresh_identity_keys(ledger.identity_keys_as_read(), wanted, without=[R3])
    assert again == KeysRefreshed(0, 0, 0)


def test_an_address_that_the_lane_corrected_during_a_refresh_stays(ledger: Ledger) -> None:
    ledger.save_identity_keys([key("typo", R1), key("other", R2)])
    as_read = ledger.identity_keys_as_read()
    ledger.save_identity_keys([key("right", R1)], all_keys_of=[R1])
    done = ledger.refresh_identity_keys(as_read, [key("typo", R1, "per_9"), key("other", R2, "per_9")])
    assert done == KeysRefreshed(written=1, forgotten=0, passed_over=1)
    assert everything(ledger) == {key("right", R1), key("other", R2, "per_9")}


def test_a_record_that_the_lane_made_during_a_refresh_stays_as_it_made_it(ledger: Ledger) -> None:
    as_read = ledger.identity_keys_as_read()
    ledger.save_identity_keys([key("a", R1, "per_lane")])
    ledger.refresh_identity_keys(as_read, [key("a", R1, "per_refresh")], without=[R1])
    assert everything(ledger) == {key("a", R1, "per_lane")}


def test_a_record_that_the_lane_forgot_during_a_refresh_does_not_come_back(ledger: Ledger) -> None:
    ledger.save_identity_keys([key("a", R1)])
    as_read = ledger.identity_keys_as_read()
    ledger.forget_records([R1])
    ledger.refresh_identity_keys(as_read, [key("a", R1, "per_2")])
    assert everything(ledger) == set()


def test_an_erased_referral_that_the_warehouse_still_shows_gets_no_key_again(ledger: Ledger) -> None:
    ledger.add_tombstone("referral", R1, "asked to be forgotten")
    ledger.refresh_identity_keys(ledger.identity_keys_as_read(), [key("a", R1), key("b", R2)])
    assert everything(ledger) == {key("b", R2)}


def test_a_record_that_no_pull_has_shown_yet_keeps_its_keys(ledger: Ledger) -> None:
    ledger.save_identity_keys([key("made by the lane", "greenhouse:7")])
    ledger.refresh_identity_keys(ledger.identity_keys_as_read(), [key("a", R1)], without=[R2])
    assert everything(ledger) == {key("made by the lane", "greenhouse:7"), key("a", R1)}


def test_more_records_than_one_transaction_takes_are_brought_level(ledger: Ledger) -> None:
    wanted = [key(f"{n}", f"advocacy:{n}", f"per_{n}") for n in range(1_201)]
    done = ledger.refresh_identity_keys(ledger.identity_keys_as_read(), wanted)
    assert done.written == 1_201
    assert everything(ledger) == set(wanted)


_STATE = st.dictionaries(
    st.sampled_from([R1, R2, R3]), st.tuples(st.sets(st.sampled_from("abc")), st.sampled_from(["per_1", "per_2"]))
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=_STATE, lane=_STATE, refresh=_STATE)
def test_of_each_record_the_lane_has_the_last_word_where_it_spoke_and_the_refresh_elsewhere(
    ledger: Ledger,
    before: dict[str, tuple[set[str], str]],
    lane: dict[str, tuple[set[str], str]],
    refresh: dict[str, tuple[set[str], str]],
) -> None:
    def keys(state: dict[str, tuple[set[str], str]]) -> dict[str, set[IdentityKey]]:
        return {i: {key(value, i, person) for value in values} for i, (values, person) in state.items()}

    ledger.forget_records([R1, R2, R3])
    first, spoken, wanted = keys(before), keys(lane), keys(refresh)
    ledger.save_identity_keys([k for own in first.values() for k in own])
    as_read = ledger.identity_keys_as_read()
    ledger.save_identity_keys([k for own in spoken.values() for k in own], all_keys_of=spoken)
    ledger.refresh_identity_keys(as_read, [k for own in wanted.values() for k in own], without=wanted)
    for record in (R1, R2, R3):
        now = spoken.get(record, first.get(record, set()))
        is_untouched = now == first.get(record, set())
        assert set(ledger.keys_of([record])) == (wanted.get(record, now) if is_untouched else now)
