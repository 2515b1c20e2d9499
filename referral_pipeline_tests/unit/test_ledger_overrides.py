"""A decision about credit is kept for good, and one at most is in force for an application."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from referral_pipeline.ledger.store import Ledger, Override
from referral_pipeline_tests.unit.ledger_databases import BACKENDS, NOW, Clock, fresh_url

OWNER = "owner@example.com"
P1, P2 = "greenhouse:31", "greenhouse:32"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=BACKENDS)
def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    for url in fresh_url(request.param, tmp_path):
        with Ledger.open(url, home=tmp_path, clock=clock) as opened:
            yield opened


def decide(ledger: Ledger, key: str = P1, referral_id: str | None = "R1", reason: str = "first") -> Override:
    return ledger.decide_override(key, referral_id, reason=reason, decided_by=OWNER)


def test_a_decision_is_kept_with_who_when_and_why(ledger: Ledger) -> None:
    made = decide(ledger)
    assert (made.referral_id, made.reason, made.decided_by, made.decided_at) == ("R1", "first", OWNER, NOW)
    assert ledger.overrides() == ledger.overrides(in_force=True) == ledger.overrides_of([P1, P2]) == [made]
    assert ledger.overrides_of([P2]) == []


def test_a_new_decision_about_an_application_revokes_the_one_in_force_and_no_other(
    ledger: Ledger, clock: Clock
) -> None:
    first, other = decide(ledger), decide(ledger, P2)
    clock.tick(60)
    second = decide(ledger, referral_id=None)
    assert ledger.overrides(in_force=True) == [other, second]
    kept = ledger.overrides_of([P1])
    assert [one.id for one in kept] == [first.id, second.id]
    assert (kept[0].revoked_at, kept[0].revoked_by) == (clock.now, OWNER)


def test_a_revoked_decision_stays_visible_with_its_end(ledger: Ledger, clock: Clock) -> None:
    decide(ledger)
    clock.tick(60)
    taken = ledger.revoke_override(P1, reason="a mistake", revoked_by=OWNER)
    assert taken is not None
    assert (taken.revoked_at, taken.revoked_by, taken.revoked_reason) == (clock.now, OWNER, "a mistake")
    assert (ledger.overrides(in_force=True), ledger.overrides()) == ([], [taken])
    assert ledger.revoke_override(P1, reason="again", revoked_by=OWNER) is None


def test_a_crash_between_the_end_of_one_decision_and_the_next_leaves_the_first_in_force(ledger: Ledger) -> None:
    first = decide(ledger)

    def killed() -> None:
        with ledger.atomic():
            decide(ledger, referral_id="R2")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()
    assert ledger.overrides() == [first]


def test_of_decisions_made_at_one_moment_one_is_in_force(ledger: Ledger) -> None:
    gate = threading.Barrier(4)

    def one(number: int) -> None:
        gate.wait()
        try:
            decide(ledger, referral_id=f"R{number}")
        except IntegrityError:
            refused.append(number)

    refused: list[int] = []
    threads = [threading.Thread(target=one, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ledger.overrides(in_force=True)) == 1
    assert len(ledger.overrides()) == 4 - len(refused)
