"""Any order, duplication, delay or loss of the same events ends in the same state in both systems.

A random programme of acts on both sides is played against the sandboxes. Their webhooks are delivered in any order,
some of them twice and some never, in batches of any size, between the acts and after them; for the lost ones comes the
hint of reconciliation. In the end both systems must say what follows from the facts that they hold, as the gate, the
rule of credit and the lifecycle have it, however they came there.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from referral_pipeline.connectors.records import AtsApplication, Referral, RowProblem
from referral_pipeline.contract.loader import load_contract
from referral_pipeline.ledger.store import Link
from referral_pipeline.orchestration.bridge import Bridge
from referral_pipeline.privacy.gate import GatePolicy, blocked_by
from referral_pipeline.sync.lane.systems import Systems
from referral_pipeline.sync.lifecycle import Facts, State, eligible_on, settle
from referral_pipeline.sync.reconciliation import Pulled, enter, missed
from referral_pipeline.vocabulary import Block, CandidateStatus
from referral_pipeline_tests.pipeline.event_rig import Delivery, Person, World, shared_world, world

__all__ = ["shared_world", "world"]

_MOST_REFERRALS = 4
_LONG_AGO = timedelta(minutes=30)
"""Touches lie before any application, so that all of them count."""


@dataclass
class Play:
    """One programme: two people, two jobs, and what of their events is under way."""

    world: World
    people: tuple[Person, Person]
    jobs: tuple[str, str]
    referrals: list[str] = field(default_factory=list[str])
    pending: list[Delivery] = field(default_factory=list[Delivery])
    lost: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    began: datetime = field(default_factory=lambda: datetime.now(UTC) - _LONG_AGO)

    # ------------------------------------------------------------ acts

    def act(self, name: str, number: int) -> None:
        """Do an act if it is possible now."""
        try:
            _ACTS[name](self, number)
        except ValueError as refused:
            if "the sandbox refused" not in str(refused):
                raise

    def submit(self, number: int) -> None:
        if len(self.referrals) < _MOST_REFERRALS:
            at = (self.began + timedelta(seconds=len(self.referrals))).isoformat()
            self.referrals.append(
                self.world.submit(
                    self.people[number % 2],
                    job_id=self.jobs[number // 2 % 2],
                    advocate_id=self.world.advocates[number % len(self.world.advocates)],
                    submitted_at=at,
                    applied_at=at,
                )
            )

    def edit(self, number: int, **changes: Any) -> None:
        if self.referrals:
            referral_id = self.referrals[number % len(self.referrals)]
            self.world.advocacy("edit_referral", referral_id=referral_id, **changes)

    def ats(self, action: str, number: int, **details: Any) -> None:
        applications = [row for person in self.people for row in self.world.applications(person)]
        if applications:
            application_id = applications[number % len(applications)]["id"]
            self.world.ats(action, application_id=application_id, **details)

    def hire(self, number: int) -> None:
        starts_on = (datetime.now(UTC).date() - timedelta(days=200 if number % 2 else 20)).isoformat()
        for action, details in (
            ("offer_create", {"starts_on": starts_on}),
            ("offer_accept", {"starts_on": starts_on}),
            ("hire", {}),
        ):
            self.ats(action, number, **details)

    def delete(self, number: int) -> None:
        candidates = [row for person in self.people for row in self.world.candidates(person)]
        if candidates:
            self.world.ats("delete_candidate", candidate_id=candidates[number % len(candidates)]["id"])

    # ------------------------------------------------------------ deliveries

    def deliver(self, chance: random.Random, *, everything: bool) -> None:
        """Some of what is under way arrives, in any order, some of it twice, some of it never."""
        self.pending += self.world.arrived()
        chance.shuffle(self.pending)
        count = len(self.pending) if everything else chance.randint(0, len(self.pending))
        now, self.pending = self.pending[:count], self.pending[count:]
        while now:
            size = chance.choice((1, 2, 5, 50))
            some, now = now[:size], now[size:]
            came: list[Delivery] = []
            for one in some:
                fate = chance.random()
                if fate < 0.15:
                    self.lost.add((one.system, one.subject or ""))
                    continue
                came.append(one)
                if fate > 0.8:
                    again = Delivery(one.system, f"{one.id}-again", one.type, one.subject, one.body)
                    (came if fate > 0.9 else self.pending).append(again)
            self.world.enter(came)
            if chance.random() < 0.5:
                self.world.work()
        self.world.work()

    def come_to_rest(self, chance: random.Random) -> None:
        """Everything is delivered, and reconciliation finds what was lost."""
        while True:
            self.deliver(chance, everything=True)
            if not self.pending:
                break
        self.world.settle()
        links = self.world.ledger.links_for(self.referrals)
        self.world.hint(*(("advocacy", subject) for system, subject in sorted(self.lost) if system == "advocacy"))
        if any(system == "greenhouse" for system, _ in self.lost):
            ids = {link.application_id for link in links.values() if link.application_id}
            self.world.hint(*(("greenhouse", f"application:{i}") for i in sorted(ids)))
        self.world.settle()
        for _ in range(3):  # a second bonus is taken back first, the one that stays is told next
            self.world.tick()


_CONSENT = {"granted": True, "basis": "consent", "granted_at": "2026-01-01T00:00:00Z", "expires_at": None}
_ACTS: dict[str, Callable[[Play, int], None]] = {
    "submit": Play.submit,
    "tag": lambda play, n: play.edit(n, campaign_tag=f"tag-{n}"),
    "advocate": lambda play, n: play.edit(n, advocate_id=play.world.advocates[n % len(play.world.advocates)]),
    "withdraw": lambda play, n: play.edit(n, stage="withdrawn"),
    "apply again": lambda play, n: play.edit(n, stage="applied"),
    "consent": lambda play, n: play.edit(n, consent=_CONSENT if n % 2 else {**_CONSENT, "granted": False}),
    "country": lambda play, n: play.edit(n, candidate={"country": ("DE", "BR")[n % 2]}),
    "move": lambda play, n: play.ats("move", n, stage=("Application Review", "Phone Screen", "Offer")[n % 3]),
    "reject": lambda play, n: play.ats("reject", n, reason=("WE_REJECTED_THEM", "THEY_REJECTED_US")[n % 2]),
    "unreject": lambda play, n: play.ats("unreject", n),
    "hire": Play.hire,
    "unhire": lambda play, n: play.ats("unhire", n),
    "delete": Play.delete,
}
_LIKELY = ("submit", "submit", "hire", "hire", "move", "consent", "withdraw", *_ACTS)
_STEPS = st.lists(
    st.tuples(st.sampled_from(("deliver", "deliver", "deliver", *_LIKELY)), st.integers(0, 11)), min_size=4, max_size=16
)


@given(steps=_STEPS, seed=st.integers(0, 2**32))
@settings(
    max_examples=12,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),  # making a failure smaller takes minutes: do that by hand
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_order_events_come_in_both_systems_end_where_the_facts_say(
    world: World, steps: list[tuple[str, int]], seed: int
):
    chance = random.Random(seed)
    play = Play(world, (world.person(), world.person()), _jobs(world))
    for name, number in [("submit", seed % 12), *steps]:
        if name == "deliver":
            play.deliver(chance, everything=False)
        else:
            play.act(name, number)
    play.come_to_rest(chance)
    Truth(play).check()


def test_what_no_webhook_ever_told_is_found_by_reconciliation_and_done(world: World):
    play = Play(world, (world.person(), world.person()), _jobs(world))
    for number in (0, 2, 3):
        play.act("submit", number)
    world.settle()
    for name, number in (("hire", 1), ("withdraw", 0), ("move", 1), ("advocate", 1), ("submit", 1), ("delete", 1)):
        play.act(name, number)
    assert world.arrived(), "there was much to tell"
    world.ahead += timedelta(minutes=5)
    assert _reconciled(world) > 0
    world.settle()
    Truth(play).check()
    assert _reconciled(world) == 0


def _reconciled(world: World) -> int:
    """Pull both systems and put what was missed in the inbox; how much it was."""
    with Bridge.open(world.settings) as bridge:
        bridge.pull_advocacy()
        staged = bridge.pull_ats() and bridge.staged_ats
        now = datetime.now(UTC)
        found = missed(
            Pulled(
                referrals=bridge.staged_advocacy.referrals,
                applications=staged.applications,
                jobs=staged.jobs,
                at={"advocacy": now, "greenhouse": now},
            ),
            ledger=world.ledger,
            ats=bridge.ats,
            contract=bridge.contract,
            hash_key=world.settings.secret("REFERRAL_PIPELINE_HASH_KEY"),
            now=world.now(),
            grace=timedelta(0),
        )
    return sum(enter(found, ledger=world.ledger, systems=["advocacy", "greenhouse"]).values())


_made: dict[int, tuple[str, str]] = {}


def _jobs(world: World) -> tuple[str, str]:
    if id(world) not in _made:
        _made[id(world)] = (world.job(openings=300), world.job(openings=300))
        world.settle()
    return _made[id(world)]


# ---------------------------------------------------------------- the truth


class Truth:
    """What follows from the facts that the two systems hold, and whether they say so."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self.world = play.world
        self.links = self.world.ledger.links_for(play.referrals)
        rows = {row["id"]: row for row in self.world.dump("advocacy")["referrals"]}
        self.rows = {i: rows[i] for i in play.referrals}
        self.told = self.world.dump("advocacy")["recognitions"]
        contract = load_contract(self.world.settings)
        self.bonus = contract.rules.bonus
        policy = GatePolicy.of(contract)
        with self.world.lane() as lane:
            self.referrals = {i: _read(lane.systems, row) for i, row in self.rows.items()}
            ids = sorted({link.application_id for link in self.links.values() if link.application_id})
            self.applications = lane.systems.ats.get_applications(ids) if ids else {}
        self.blocks = {
            i: blocked_by(r, policy, at=self.world.now(), erased=self._link(i).block == Block.ERASED)
            for i, r in self.referrals.items()
        }

    def _link(self, referral_id: str) -> Link:
        return self.links[referral_id]

    def _application(self, referral_id: str) -> AtsApplication | None:
        return self.applications.get(self._link(referral_id).application_id or "")

    def check(self) -> None:
        for person in self.play.people:
            assert len(self.world.candidates(person)) <= 1
        applications = [row for person in self.play.people for row in self.world.applications(person)]
        assert {str(row["id"]) for row in applications} == self.applications.keys(), "nothing is there twice"
        assert len({(row["candidate_id"], row["job_id"]) for row in applications}) == len(applications)
        winners = {i: self._credited(i) for i in self.applications}
        for referral_id in self.play.referrals:
            self._check_status(referral_id)
            self._check_recognitions(referral_id, winners)
            self._check_state(referral_id, winners)
        for application_id, winner in winners.items():
            if winner is not None:
                shown = self.applications[application_id].tags
                assert (shown["referral_id"], shown["advocate_id"]) == (winner.id, winner.advocate_id)
                assert shown["campaign_tag"] == winner.campaign_tag

    def _credited(self, application_id: str) -> Referral | None:
        """Whose the credit is: the latest referral for the application that the gate lets pass."""
        counting = [
            r
            for i, r in self.referrals.items()
            if self.blocks[i] is None and self._link(i).application_id == application_id
        ]
        return max(counting, key=lambda r: r.touched_at, default=None)

    def _check_status(self, referral_id: str) -> None:
        application, row, block = self._application(referral_id), self.rows[referral_id], self.blocks[referral_id]
        assert self._link(referral_id).block == block
        if block is not None:
            return
        assert application is not None, "what may be written is written"
        assert row["status"] == application.status
        ids = {"candidate_id": application.candidate_id, "application_id": application.id}
        assert row["ats"] == {"system": "greenhouse", **ids}
        assert (row["hired_at"] is not None) == (application.hired_at is not None)
        # The platform keeps the first day with a hire only.
        starts_on = application.starts_on if application.status is CandidateStatus.HIRED else None
        assert row["starts_on"] == (starts_on.isoformat() if starts_on else None)

    def _check_recognitions(self, referral_id: str, winners: dict[str, Referral | None]) -> None:
        stands: Counter[str] = Counter()
        for row in self.told:
            if row["referral_id"] == referral_id:
                if row["kind"] == "reversed":
                    assert stands, "only what stands is taken back"
                    assert row["amount_cents"] == sum(stands.values())
                    stands.clear()
                else:
                    assert row["kind"] not in stands, "nothing is recognised twice"
                    stands[row["kind"]] = row["amount_cents"]
        if self.blocks[referral_id] is Block.ERASED or self._link(referral_id).block == Block.ERASED:
            return  # what was told of a hire stands, whatever becomes of the record
        assert dict(stands) == self._earned(referral_id, winners)

    def _earned(self, referral_id: str, winners: dict[str, Referral | None]) -> dict[str, int]:
        application = self._application(referral_id)
        if application is None or application.status is not CandidateStatus.HIRED:
            return {}
        winner = winners[application.id]
        if winner is None or winner.id != referral_id:
            return {}
        due = eligible_on(application.starts_on, self.bonus.waiting_days)
        is_due = due is not None and due <= self.world.now().date() and self._is_first(application, winners)
        return {"hired": 0, **({"bonus_eligible": self.bonus.amount_cents} if is_due else {})}

    def _is_first(self, application: AtsApplication, winners: dict[str, Referral | None]) -> bool:
        """Of the hires of one person the earliest has the bonus."""
        person_of = {link.application_id: link.person_id for link in self.links.values()}
        hires = [
            one
            for i, one in self.applications.items()
            if one.status is CandidateStatus.HIRED
            and winners[i] is not None
            and person_of[i] == person_of[application.id]
        ]
        return min(hires, key=lambda one: (one.hired_at or one.status_at, one.id)) is application

    def _check_state(self, referral_id: str, winners: dict[str, Referral | None]) -> None:
        application, link = self._application(referral_id), self._link(referral_id)
        facts = Facts(
            block=self.blocks[referral_id],
            status=application.status if application is not None else None,
            gone=link.block == Block.ERASED,
            credited=bool(self._earned(referral_id, winners)),
            starts_on=application.starts_on if application is not None else None,
            today=self.world.now().date(),
            waiting_days=self.bonus.waiting_days,
            paid=False,
        )
        assert link.state == settle(State.RECEIVED, facts).state


def _read(systems: Systems, row: dict[str, Any]) -> Referral:
    referral = systems.advocacy.referral_of(row)
    assert not isinstance(referral, RowProblem)
    return referral
