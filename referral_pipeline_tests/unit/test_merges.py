"""Merges in the ATS: one candidate with every application, each merged once, whatever happens on the way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.connectors.failures import CircuitOpen, RateLimited, Unreachable
from referral_pipeline.connectors.http import AmbiguousOutcome, Forbidden, Invalid, TransientFailure
from referral_pipeline.ledger.store import DeliveryState, IdentityDecision, Link
from referral_pipeline.sandbox.faults import Faults
from referral_pipeline.sync.merges import CandidateMerger
from referral_pipeline.sync.report import SyncReport
from referral_pipeline_tests.unit.greenhouse_account import START
from referral_pipeline_tests.unit.sync_rig import Rig, Spoilt, rig_with

BY = "analyst@example.com"
READ_TIMEOUT = 5
"""Of the account's connector, in seconds that really pass."""


class MergeRig:
    """A rig with candidates made by hand, oldest first, and merges decided about them."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.ledger = rig.ledger
        self.account = rig.account

    def candidate(self, name: str, *, days: float) -> tuple[str, str]:
        """A candidate with an application, created so many days ago; the ids of both."""
        at = START - timedelta(days=days)
        made = self.account.acts.create_candidate(
            first_name=name, last_name=f"Of {name}", emails=[f"{name.lower()}@example.org"], at=at
        )
        application = self.account.acts.create_application(
            candidate_id=made["id"], job_id=self.account.job["id"], at=at + timedelta(hours=1)
        )
        return str(made["id"]), str(application["id"])

    def decide(self, left: str, right: str, verdict: str = "merge", *, in_ats: bool = True) -> IdentityDecision:
        sides = [[f"greenhouse:{i}" for i in side.split()] for side in (left, right)]
        return self.ledger.decide_identity(verdict, *sides, reason="seen both", decided_by=BY, in_ats=in_ats).decision

    def run(self, ats: Any = None) -> SyncReport:
        return CandidateMerger(ats=ats or self.rig.ats, ledger=self.ledger).run()

    def decision(self) -> IdentityDecision:
        [one] = [one for one in self.ledger.identity_decisions() if one.verdict == "merge"]
        return one

    def held(self) -> dict[str, set[str]]:
        """Applications by candidate, as the ATS holds them."""
        found: dict[str, set[str]] = {str(c["id"]): set() for c in self.rig.candidates()}
        for application in self.rig.applications():
            found[str(application["candidate_id"])].add(str(application["id"]))
        return found

    def spoil(self, kind: str, times: int) -> None:
        """The next merge calls meet this fault of the sandbox."""
        app = self.account._door.app
        faults = Faults(app, rate=1.0, kinds=[kind])
        left = iter(range(times))

        async def spoilt(scope: Any, receive: Any, send: Any) -> None:
            is_hit = scope["path"].endswith("/merge") and next(left, None) is not None
            await (faults if is_hit else app)(scope, _until_the_client_leaves(receive), send)

        self.account._door.app = spoilt

    def merge_calls(self) -> int:
        return len([sent for sent in self.account.sent if sent.path.endswith("/merge")])


@pytest.fixture(params=["200", "201"])
def merging(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MergeRig]:
    with rig_with(tmp_path, merge_answer=request.param) as rig:
        yield MergeRig(rig)


def link(referral_id: str, candidate_id: str, application_id: str) -> Link:
    return Link(
        referral_id=referral_id,
        person_id="per_1",
        job_id="J1",
        advocate_id="A1",
        share_id=None,
        campaign_tag=None,
        touched_at=START,
        system="greenhouse",
        candidate_id=candidate_id,
        application_id=application_id,
    )


def flaky(merging: MergeRig, monkeypatch: pytest.MonkeyPatch, failures: list[Exception], *, done: bool) -> None:
    """The first merge calls end in these failures, after the vendor has (or has not) done them."""
    attempt = merging.rig.ats._client._once
    left = list(failures)

    def once(request: Any, *rest: Any) -> Any:
        if request.operation == "candidates.merge" and left:
            failure = left.pop(0)
            if done:
                attempt(request, *rest)
            raise failure
        return attempt(request, *rest)

    monkeypatch.setattr(merging.rig.ats._client, "_once", once)


def lost() -> AmbiguousOutcome:
    return AmbiguousOutcome("greenhouse", "candidates.merge", detail="timed out")


def _until_the_client_leaves(receive: Any) -> Any:
    """The body once, and then, when the client has lost patience, that it left."""
    given: list[bool] = []

    async def once() -> Any:
        if not given:
            given.append(True)
            return await receive()
        await asyncio.sleep(READ_TIMEOUT + 0.5)
        return {"type": "http.disconnect"}

    return once


# ---------------------------------------------------------------- what is done


def test_two_candidates_become_the_older_one_with_both_applications_and_what_was_linked_follows(merging: MergeRig):
    young, its = merging.candidate("Bob", days=3)
    old, theirs = merging.candidate("Ada", days=9)
    merging.ledger.save_links([link("R1", young, its), link("R2", old, theirs)])
    merging.decide(young, old)
    report = merging.run()
    assert (dict(report.counts), report.failures) == ({"merges_done": 1, "candidates_merged": 1}, [])
    assert merging.held() == {old: {its, theirs}}
    assert merging.decision().ats_state == "done"
    assert merging.ledger.aliases("greenhouse") == {young: old}
    assert {x.candidate_id for x in merging.ledger.links()} == {old}


def test_all_candidates_of_both_sides_become_one_each_merged_once(merging: MergeRig):
    made = [merging.candidate(name, days=days) for name, days in (("Ada", 5), ("Bob", 9), ("Cid", 1), ("Dan", 7))]
    ids = [candidate for candidate, _ in made]
    merging.decide(" ".join(ids[:2]), " ".join(ids[2:]))
    merging.run()
    assert merging.held() == {ids[1]: {application for _, application in made}}
    assert merging.merge_calls() == 3
    merging.run()
    assert merging.merge_calls() == 3


def test_what_is_not_pending_or_was_undone_is_left_alone(merging: MergeRig):
    (a, _), (b, _), (c, _) = (merging.candidate(name, days=2) for name in ("Ada", "Bob", "Cid"))
    merging.decide(a, b, in_ats=False)
    undone = merging.decide(a, c)
    merging.ledger.revoke_identity_decision(undone.id, by=BY, reason="a mistake")
    merging.decide(b, c, "distinct")
    report = merging.run()
    assert (dict(report.counts), report.failures, merging.merge_calls()) == ({}, [], 0)
    assert len(merging.held()) == 3


def test_a_record_of_the_advocacy_platform_on_a_side_is_no_candidate(merging: MergeRig):
    (a, _), (b, _) = (merging.candidate(name, days=2) for name in ("Ada", "Bob"))
    merging.ledger.decide_identity(
        "merge", [f"greenhouse:{a}", "advocacy:R1"], [f"greenhouse:{b}"], reason="same", decided_by=BY, in_ats=True
    )
    merging.run()
    assert set(merging.held()) == {min(a, b, key=int)}


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("kind", "times"),
    [
        ("server_error", 3),
        ("bad_gateway", 2),
        ("bad_gateway_after_work", 1),
        ("timeout_after_work", 1),
        ("reset", 2),
        ("reset_after_work", 1),
        ("truncated", 1),
        ("rate_limited", 2),
    ],
)
def test_a_merge_whose_answer_is_lost_or_refused_in_passing_is_done_once(merging: MergeRig, kind: str, times: int):
    """Over the wire: some of these come before the vendor has done the work, some after, and nobody can tell."""
    (a, one), (b, two) = merging.candidate("Ada", days=5), merging.candidate("Bob", days=2)
    merging.decide(a, b)
    merging.spoil(kind, times)
    report = merging.run()
    assert report.failures == []
    assert merging.held() == {a: {one, two}}
    assert merging.decision().ats_state == "done"
    assert merging.ledger.aliases("greenhouse") == {b: a}


def test_a_crash_after_the_merge_was_sent_is_found_done_by_the_next_run(merging: MergeRig):
    (a, one), (b, two) = merging.candidate("Ada", days=5), merging.candidate("Bob", days=2)
    merging.ledger.save_links([link("R1", b, two)])
    merging.decide(a, b)

    def merge_and_die(primary: str, secondary: str) -> None:
        merging.rig.ats.merge_candidates(primary, secondary)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merging.run(Spoilt(merging.rig.ats, merge_candidates=merge_and_die))
    assert merging.decision().ats_state == "pending"
    assert merging.ledger.aliases("greenhouse") == {}
    assert merging.run().failures == []
    assert merging.held() == {a: {one, two}}
    assert merging.merge_calls() == 1
    assert merging.ledger.aliases("greenhouse") == {b: a}
    assert merging.ledger.link("R1").candidate_id == a  # type: ignore[union-attr]
    assert merging.ledger.delivery(f"merge:greenhouse:{b}").state is DeliveryState.CONFIRMED  # type: ignore[union-attr]


def test_a_system_that_is_away_leaves_the_decision_pending_for_the_next_run(
    merging: MergeRig, monkeypatch: pytest.MonkeyPatch
):
    (a, one), (b, two) = merging.candidate("Ada", days=5), merging.candidate("Bob", days=2)
    merging.decide(a, b)
    flaky(merging, monkeypatch, [AmbiguousOutcome("greenhouse", "candidates.merge", status=500)] * 5, done=False)
    [failure] = merging.run().failures
    assert (failure.transient, failure.operation) == (True, "merge_candidates")
    assert merging.decision().ats_state == "pending"
    assert "500" in (merging.decision().ats_error or "")
    assert set(merging.held()) == {a, b}
    assert merging.run().failures == []
    assert merging.held() == {a: {one, two}}
    assert merging.decision().ats_error is None


@pytest.mark.parametrize("failure", [Unreachable, RateLimited, CircuitOpen, TransientFailure])
@pytest.mark.parametrize("refused_before", [False, True])
def test_a_candidate_deleted_after_a_merge_that_was_never_received_is_no_alias(
    merging: MergeRig, failure: type[TransientFailure], refused_before: bool
):
    (a, _), (b, _) = merging.candidate("Ada", days=5), merging.candidate("Bob", days=2)
    decided = merging.decide(a, b)

    def refuse(kind: type[Exception], **facts: Any) -> None:
        def merge(*_: str) -> None:
            raise kind("greenhouse", "candidates.merge", **facts)

        merging.run(Spoilt(merging.rig.ats, merge_candidates=merge))

    if refused_before:
        refuse(Invalid, status=422)
        merging.ledger.ask_ats_again(decided.id, in_ats=True)
    refuse(failure)
    assert merging.decision().ats_state == "pending"
    merging.account.acts.delete_candidate(int(b))
    [told] = merging.run().failures
    assert b in told.error
    assert (merging.decision().ats_state, merging.ledger.aliases("greenhouse")) == ("refused", {})


def test_a_candidate_whose_applications_went_with_it_was_deleted_whatever_was_tried(merging: MergeRig):
    (a, _), (b, two) = merging.candidate("Ada", days=5), merging.candidate("Bob", days=2)
    merging.ledger.save_links([link("R1", b, two)])
    merging.decide(a, b)

    def lose(*_: str) -> None:
        raise lost()

    merging.run(Spoilt(merging.rig.ats, merge_candidates=lose))
    merging.account.acts.delete_candidate(int(b))
    [failure] = merging.run().failures
    assert b in failure.error
    assert merging.ledger.aliases("greenhouse") == {}
    assert merging.ledger.link("R1").candidate_id == b  # type: ignore[union-attr]


def test_a_lost_answer_stays_the_outcome_when_the_next_try_is_not_received(
    merging: MergeRig, monkeypatch: pytest.MonkeyPatch
):
    (a, _), (b, _) = merging.candidate("Ada", days=5), merging.candidate("Bob", days=2)
    tries: list[Exception] = [lost(), *(Unreachable("greenhouse", "candidates.merge") for _ in range(50))]
    flaky(merging, monkeypatch, tries, done=False)
    with pytest.raises(AmbiguousOutcome):
        merging.rig.ats.merge_candidates(a, b)


def undone_on_the_way(merging: MergeRig, undo: Callable[[], object]) -> tuple[SyncReport, list[str]]:
    """Three candidates whose merge somebody undoes from elsewhere while the first of two calls is on its way."""
    ids = [merging.candidate(name, days=days)[0] for name, days in (("Ada", 9), ("Bob", 5), ("Cid", 3))]
    merging.decide(ids[0], " ".join(ids[1:]))
    answered: list[bool] = []
    other = threading.Thread(target=lambda: answered.append(bool(undo())))
    revoked = merging.ledger.identity_decision

    def merge(primary: str, secondary: str) -> None:
        if not other.ident:
            other.start()
            while revoked(1).in_force and revoked(1).ats_state:  # type: ignore[union-attr]
                pass
        assert answered == []  # it waits for this call
        merging.rig.ats.merge_candidates(primary, secondary)

    report = merging.run(Spoilt(merging.rig.ats, merge_candidates=merge))
    other.join()
    return report, ids


def test_a_merge_undone_on_the_way_is_not_sent_any_further_and_the_undoing_answers_when_it_has_stopped(
    merging: MergeRig,
):
    seen: list[dict[str, str]] = []

    def undo() -> None:
        merging.ledger.revoke_identity_decision(1, by=BY, reason="a mistake")
        seen.append(merging.ledger.aliases("greenhouse"))

    report, ids = undone_on_the_way(merging, undo)
    assert len(merging.held()) == 2
    assert merging.merge_calls() == 1
    assert seen == [merging.ledger.aliases("greenhouse")] != [{}]
    assert (report.failures, dict(report.counts)) == ([], {"candidates_merged": 1})
    undone = merging.ledger.identity_decision(1)
    assert "1 of 2 candidates had been merged" in (undone.ats_error or "")  # type: ignore[union-attr]
    assert not merging.run().counts
    assert len(ids) == 3


def test_a_merge_that_is_left_out_of_the_ats_on_the_way_stops_and_can_be_asked_for_again(merging: MergeRig):
    undone_on_the_way(merging, lambda: merging.ledger.ask_ats_again(1, in_ats=False))
    assert len(merging.held()) == 2
    assert merging.decision().ats_state is None
    again = merging.ledger.ask_ats_again(1, in_ats=True)
    assert again.ats_state == "pending"
    assert merging.run().failures == []
    assert len(merging.held()) == 1


def test_what_the_ats_refuses_is_told_with_the_decision_at_every_run_until_somebody_decides_anew(
    merging: MergeRig, monkeypatch: pytest.MonkeyPatch
):
    (a, one), (b, two) = merging.candidate("Ada", days=5), merging.candidate("Bob", days=2)
    merging.decide(a, b)
    flaky(merging, monkeypatch, [Invalid("greenhouse", "candidates.merge", status=422, detail="no")], done=False)
    [first] = merging.run().failures
    assert not first.transient
    assert merging.decision().ats_state == "refused"
    [again] = merging.run().failures
    assert again.error == first.error
    assert set(merging.held()) == {a, b}
    merging.decide(b, a)
    assert merging.run().failures == []
    assert merging.held() == {a: {one, two}}


def test_a_credential_without_the_right_leaves_the_decision_pending_and_fails_the_run(
    merging: MergeRig, monkeypatch: pytest.MonkeyPatch
):
    (a, _), (b, _) = merging.candidate("Ada", days=5), merging.candidate("Bob", days=2)
    merging.decide(a, b)
    flaky(merging, monkeypatch, [Forbidden("greenhouse", "candidates.merge", status=403)], done=False)
    [failure] = merging.run().failures
    assert (failure.transient, merging.decision().ats_state) == (False, "pending")


def test_a_candidate_that_a_recruiter_merged_meanwhile_is_followed_by_its_applications(merging: MergeRig):
    (a, one), (b, two), (c, three) = (
        merging.candidate(name, days=days) for name, days in (("Ada", 5), ("Bob", 2), ("Cid", 8))
    )
    merging.ledger.save_links([link("R1", b, two)])
    merging.decide(a, b)
    merging.account.acts.merge(int(c), int(b))
    assert merging.run().failures == []
    assert merging.held() == {c: {one, two, three}}
    assert merging.ledger.aliases("greenhouse") == {a: c, b: c}


def test_candidates_that_are_one_already_are_done_without_a_call(merging: MergeRig):
    (a, _), (b, _) = merging.candidate("Ada", days=5), merging.candidate("Bob", days=2)
    merging.decide(a, b)
    merging.account.acts.merge(int(b), int(a))
    merging.ledger.alias("greenhouse", a, b)
    assert merging.run().failures == []
    assert (merging.decision().ats_state, merging.merge_calls()) == ("done", 0)


def test_a_candidate_that_is_simply_gone_is_for_a_person_to_look_at(merging: MergeRig):
    (a, _), (b, _) = merging.candidate("Ada", days=5), merging.candidate("Bob", days=2)
    merging.decide(a, b)
    merging.account.acts.delete_candidate(int(b))
    [failure] = merging.run().failures
    assert (failure.transient, merging.decision().ats_state, merging.merge_calls()) == (False, "refused", 0)
    assert b in failure.error


def test_candidates_that_another_decision_keeps_apart_are_not_merged(merging: MergeRig):
    (a, _), (b, _), (c, _) = (merging.candidate(name, days=2) for name in ("Ada", "Bob", "Cid"))
    merging.decide(f"{a} {b}", c)
    merging.decide(a, b, "distinct")
    [failure] = merging.run().failures
    assert "two people" in failure.error
    assert (merging.decision().ats_state, merging.merge_calls()) == ("refused", 0)


def test_a_connector_that_cannot_merge_is_told_and_nothing_is_tried(merging: MergeRig):
    (a, _), (b, _) = merging.candidate("Ada", days=5), merging.candidate("Bob", days=2)
    merging.decide(a, b)

    class Plain:
        system = "greenhouse"

    [failure] = merging.run(Plain()).failures
    assert "by hand" in failure.error


# ---------------------------------------------------------------- the connector


def test_a_merge_of_a_candidate_that_was_never_there_is_a_refusal_and_not_a_success(merging: MergeRig):
    a, _ = merging.candidate("Ada", days=5)
    with pytest.raises(Exception, match="not there"):
        merging.rig.ats.merge_candidates(a, "999999")
    assert merging.merge_calls() == 0


def test_a_refusal_after_a_lost_answer_is_a_success_when_the_secondary_is_gone(
    merging: MergeRig, monkeypatch: pytest.MonkeyPatch
):
    """The first try was done late: after it was looked at, before the second arrived."""
    (a, _), (b, _) = merging.candidate("Ada", days=5), merging.candidate("Bob", days=2)
    attempt: Callable[..., Any] = merging.rig.ats._client._once
    seen: list[str] = []

    def once(request: Any, *rest: Any) -> Any:
        if request.operation == "candidates.merge":
            seen.append("merge")
            if len(seen) == 1:
                raise lost()
            attempt(request, *rest)  # the late first one
        return attempt(request, *rest)

    monkeypatch.setattr(merging.rig.ats._client, "_once", once)
    merging.rig.ats.merge_candidates(a, b)
    assert set(merging.held()) == {a}


def test_a_failure_that_passes_is_no_success(merging: MergeRig, monkeypatch: pytest.MonkeyPatch):
    (a, _), (b, _) = merging.candidate("Ada", days=5), merging.candidate("Bob", days=2)
    flaky(merging, monkeypatch, [lost()] * 5, done=False)
    with pytest.raises(TransientFailure):
        merging.rig.ats.merge_candidates(a, b)
    assert set(merging.held()) == {a, b}
