"""One person, one bonus: whatever is replayed, merged, moved or hired again, and in whatever order it is heard."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from referral_pipeline.ledger.store import IdentityKey, Ledger, Link, StatusFact
from referral_pipeline.sync.bonus.export import export_bonuses
from referral_pipeline.sync.bonus.rehires import Families, Hire, earns, holder
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline_tests.unit.core_world import contract_with
from referral_pipeline_tests.unit.test_advocacy_connector import Platform
from referral_pipeline_tests.unit.test_recognitions import APPLIED_AT, BONUS, DUE_ON, World, standing_of

HIRED_AT = datetime(2026, 6, 1, 9, tzinfo=UTC)
CLERK = "payroll@example.com"


class Person:
    """One person who is hired by two applications, each with referrals of its own."""

    def __init__(self, platform: Platform, ledger: Ledger, *, prefix: str = "", **rules: Any) -> None:
        self.ledger = ledger
        self.rules = rules
        shared: dict[str, Any] = {"platform": platform, "ledger": ledger, "prefix": prefix, "rules": rules}
        self.first = World(application_id=f"{prefix}31", hired_at=HIRED_AT, weights={"R1": "1"}, **shared)
        self.second = World(
            application_id=f"{prefix}32", hired_at=HIRED_AT + timedelta(days=1), weights={"R2": "1"}, **shared
        )
        self.worlds = (self.first, self.second)
        self.is_one("per_1", "per_1")

    def is_one(self, *persons: str, candidates: tuple[str, str] = ("C1", "C2")) -> None:
        """Write the links: person and candidate of the first application, and of the second."""
        for world, person, candidate in zip(self.worlds, persons, candidates, strict=True):
            for referral_id in world.weights:
                self.ledger.save_links([self.link(world, referral_id, person, candidate)])

    def link(self, world: World, referral_id: str, person: str, candidate: str) -> Link:
        return Link(
            f"{world.prefix}{referral_id}", person, "J1", "A1", None, None, APPLIED_AT, "greenhouse",
            candidate_id=candidate, application_id=world.application_id,
        )  # fmt: skip

    def hear(self, world: World, **changes: Any) -> None:
        """What an event does: the fact is kept, then everything told."""
        for name, value in changes.items():
            setattr(world, name, value)
        at = world.hired_at if world.status is CandidateStatus.HIRED else HIRED_AT
        assert at is not None
        self.ledger.append_status(StatusFact("greenhouse", world.application_id, world.status, at, "event"))
        world.settle()

    def tick(self) -> None:
        """What the lane does by the minute."""
        cases = {world.application_id: world.case() for world in self.worlds}
        self.first.recogniser().due(lambda ids: [cases[i] for i in ids if i in cases])

    def rest(self) -> None:
        for _ in range(4):
            for world in self.worlds:
                world.settle()
            self.tick()

    def let(self, **changes: Any) -> None:
        for world in self.worlds:
            for name, value in changes.items():
                setattr(world, name, value)

    def export(self) -> Any:
        bonus = contract_with().rules.bonus.model_copy(update=self.rules)
        return export_bonuses(self.ledger, contract_with(bonus=bonus), by=CLERK, pay_on=self.first.today)

    def paid(self) -> int:
        return sum(entry.amount_cents for entry in self.ledger.payroll_entries(state="paid"))

    def standing(self) -> dict[str, int]:
        return self.first.standing()


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    made = Platform()
    yield made
    made.connector.close()


PREFIXES = (f"{number}-" for number in itertools.count(1))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite", home=tmp_path) as opened:
        yield opened


@pytest.fixture
def person(platform: Platform, ledger: Ledger) -> Person:
    return Person(platform, ledger, prefix=next(PREFIXES))


# ---------------------------------------------------------------- one person, two hires


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_earlier_hire_has_the_bonus_in_whatever_order_they_are_heard(person: Person, order: tuple[int, int]):
    for number in order:
        person.hear(person.worlds[number])
    person.let(today=DUE_ON)
    person.rest()
    assert person.standing() == {"R1": BONUS, "R2": 0}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_bonus_given_before_the_earlier_hire_was_known_is_taken_back_first(person: Person, order: tuple[int, int]):
    person.let(today=DUE_ON)
    for number in order:
        person.hear(person.worlds[number])
    person.rest()
    assert person.standing() == {"R1": BONUS, "R2": 0}
    told = person.first.told()
    assert all(sum(standing_of(told[:end]).values()) <= BONUS for end in range(len(told)))


def test_what_was_paid_stays_with_the_hire_that_was_paid(person: Person):
    person.let(today=DUE_ON)
    person.hear(person.second)
    assert person.export().export is not None
    person.hear(person.first)
    person.rest()
    assert person.standing() == {"R1": 0, "R2": BONUS}
    assert person.export().export is None


def test_an_unhire_gives_the_bonus_to_the_other_hire(person: Person):
    person.let(today=DUE_ON)
    person.hear(person.first)
    person.hear(person.second)
    person.hear(person.first, status=CandidateStatus.REJECTED)
    person.rest()
    assert person.standing() == {"R2": BONUS}


def test_an_unhire_after_payment_gives_nobody_a_second_bonus_until_it_is_returned(person: Person):
    person.let(today=DUE_ON)
    person.hear(person.first)
    exported = person.export().export
    person.hear(person.first, status=CandidateStatus.REJECTED)
    person.hear(person.second)
    person.rest()
    assert person.standing() == {"R1": BONUS, "R2": 0}
    person.ledger.cancel_payroll(exported.id, by=CLERK, reason="reclaimed")
    person.rest()
    assert person.standing() == {"R2": BONUS}


def test_a_hire_again_of_what_was_paid_pays_nothing_more(person: Person):
    person.let(today=DUE_ON)
    person.hear(person.first)
    person.export()
    person.hear(person.first, status=CandidateStatus.OFFERED)
    person.hear(person.first, status=CandidateStatus.HIRED, hired_at=HIRED_AT + timedelta(days=100))
    person.rest()
    assert person.export().export is None
    assert person.paid() == BONUS


def test_with_rehires_paid_each_hire_has_its_bonus(platform: Platform, ledger: Ledger):
    person = Person(platform, ledger, prefix=next(PREFIXES), pay_rehires=True)
    person.let(today=DUE_ON)
    person.hear(person.first)
    person.hear(person.second)
    assert person.standing() == {"R1": BONUS, "R2": BONUS}
    person.export()
    assert person.paid() == 2 * BONUS


def test_a_hire_whose_person_was_erased_before_its_bonus_holds_none(person: Person):
    person.hear(person.first)
    (link,) = person.ledger.links_for([f"{person.first.prefix}R1"]).values()
    person.ledger.save_links([replace(link, block="erased")])
    person.let(today=DUE_ON)
    person.hear(person.second)
    assert person.standing() == {"R1": 0, "R2": BONUS}


def test_time_alone_asks_for_no_rehire_that_earns_nothing(person: Person):
    person.hear(person.first)
    person.hear(person.second)
    person.let(today=DUE_ON)
    asked: list[str] = []
    person.first.recogniser().due(lambda ids: asked.extend(ids) or [])
    assert asked == [person.first.application_id]


# ---------------------------------------------------------------- who is one person


def together(person: Person) -> bool:
    person.let(today=DUE_ON)
    person.hear(person.first)
    person.hear(person.second)
    person.rest()
    return person.standing()["R2"] == 0


def keyed(person: Person, *persons: str) -> None:
    """What identity resolution found of the referrals, later than the links."""
    records = [f"advocacy:{person.first.prefix}{i}" for i in ("R1", "R2")]
    person.ledger.save_identity_keys(
        [
            IdentityKey(f"hash of {who}", "email", "advocacy", record, who)
            for record, who in zip(records, persons, strict=True)
        ],
        replace=True,
    )


def test_persons_that_resolution_merged_are_one(person: Person):
    person.is_one("per_1", "per_2")
    keyed(person, "per_1", "per_1")
    assert together(person)


def test_persons_that_resolution_split_are_two_though_a_link_still_says_one(person: Person):
    keyed(person, "per_1", "per_9")
    assert not together(person)


def test_candidates_that_the_ats_merged_are_one_person(person: Person):
    person.is_one("per_1", "per_2")
    person.ledger.alias("greenhouse", "C2", "C3")
    person.ledger.alias("greenhouse", "C3", "C1")
    assert together(person)


def test_strangers_each_have_their_bonus(person: Person):
    person.is_one("per_1", "per_2")
    assert not together(person)
    assert person.standing() == {"R1": BONUS, "R2": BONUS}


def test_an_application_that_moves_to_another_candidate_is_paid_once(person: Person):
    person.let(today=DUE_ON)
    person.second.status = CandidateStatus.APPLIED
    person.hear(person.first)
    person.export()
    person.is_one("per_7", "per_8", candidates=("C7", "C8"))
    person.ledger.alias("greenhouse", "C1", "C7")
    person.hear(person.first)
    person.rest()
    assert person.export().export is None
    assert person.paid() == BONUS


def test_persons_found_to_be_one_after_both_were_eligible_keep_the_earlier_bonus(person: Person):
    person.is_one("per_1", "per_2")
    person.let(today=DUE_ON)
    person.hear(person.second)
    person.hear(person.first)
    person.is_one("per_1", "per_1")
    assert {held.reason for held in person.export().held} == {"rehire"}
    person.rest()
    assert person.standing() == {"R1": BONUS, "R2": 0}
    assert person.paid() == BONUS


def test_all_hires_of_a_person_are_found_over_referrals_that_were_never_recognised(person: Person):
    bridge = person.link(person.first, "R9", "per_1", "C2")
    person.is_one("per_1", "per_2")
    person.ledger.save_links([bridge])
    person.hear(person.second)
    families = Families(person.ledger, "advocacy")
    assert set(families.hires_of([f"{person.first.prefix}R1"])) == {("greenhouse", person.second.application_id)}


# ---------------------------------------------------------------- the rule

HIRES = st.lists(
    st.builds(
        Hire,
        st.tuples(st.just("greenhouse"), st.integers(1, 9).map(str)),
        st.integers(0, 3).map(lambda days: HIRED_AT + timedelta(days=days)),
        st.booleans(),
        st.just(False),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda hire: hire.application,
)


@given(HIRES, st.none() | st.integers(0, 4), st.randoms())
def test_the_rule_never_lets_two_bonuses_begin_and_does_not_depend_on_order(hires: list[Hire], paid: Any, random: Any):
    if paid is not None and paid < len(hires):
        hires[paid] = replace(hires[paid], is_paid=True, has_bonus=True)
    shuffled = random.sample(hires, len(hires))
    assert holder(hires) == holder(shuffled)
    may = [hire for hire in hires if earns(hire, [other for other in hires if other is not hire])]
    assert len(may) <= 1
    # Once the others were taken back, exactly one may.
    level = [replace(hire, has_bonus=hire.is_paid) for hire in hires]
    assert len([hire for hire in level if earns(hire, [other for other in level if other is not hire])]) == 1


# ---------------------------------------------------------------- any sequence

PLATFORM: list[Platform] = []


class Bonuses(RuleBasedStateMachine):
    """Two applications of one person, one of them with a split, through whatever may happen to a bonus."""

    @initialize(pay_rehires=st.booleans(), second_is_earlier=st.booleans(), bonus=st.sampled_from([BONUS, BONUS + 1]))
    def begin(self, pay_rehires: bool, second_is_earlier: bool, bonus: int) -> None:
        if not PLATFORM:
            PLATFORM.append(Platform())
        self.folder = tempfile.TemporaryDirectory()
        home = Path(self.folder.name)
        self.bonus, self.pay_rehires = bonus, pay_rehires
        self.ledger = Ledger.open(f"sqlite:///{home}/ledger.sqlite", home=home)
        rules = {"split": "credit", "amount_cents": bonus, "pay_rehires": pay_rehires}
        self.person = Person(PLATFORM[0], self.ledger, prefix=next(PREFIXES), **rules)
        self.person.first.weights = {"R1": "0.5", "R3": "0.5"}
        self.person.is_one("per_1", "per_1")
        self.person.let(status=CandidateStatus.APPLIED)
        if second_is_earlier:
            self.person.second.hired_at = HIRED_AT - timedelta(days=1)

    @rule(number=st.integers(0, 1))
    def hire(self, number: int) -> None:
        self.person.hear(self.person.worlds[number], status=CandidateStatus.HIRED)

    @rule(number=st.integers(0, 1))
    def unhire(self, number: int) -> None:
        self.person.hear(self.person.worlds[number], status=CandidateStatus.OFFERED)

    @rule(number=st.integers(0, 1))
    def replay(self, number: int) -> None:
        self.person.hear(self.person.worlds[number])

    @rule(days=st.sampled_from([1, 90]))
    def time_passes(self, days: int) -> None:
        self.person.let(today=self.person.first.today + timedelta(days=days))
        self.person.tick()

    @rule()
    def export(self) -> None:
        self.person.export()

    @precondition(lambda self: self.ledger.payroll_exports())
    @rule()
    def cancel(self) -> None:
        export = self.ledger.payroll_exports()[-1]
        if export.state == "open":
            self.ledger.cancel_payroll(export.id, by=CLERK, reason="wrong")

    @precondition(lambda self: self.ledger.payroll_entries(state="paid"))
    @rule(number=st.integers(0, 2))
    def payroll_returns(self, number: int) -> None:
        entries = self.ledger.payroll_entries(state="paid")
        entry = entries[number % len(entries)]
        self.ledger.return_payroll(entry.export_id, [entry.key], note="closed account")

    @invariant()
    def nobody_is_paid_too_much(self) -> None:
        by_application: dict[str, int] = {}
        for entry in self.ledger.payroll_entries(state="paid"):
            by_application[entry.application_id] = by_application.get(entry.application_id, 0) + entry.amount_cents
        assert all(cents <= self.bonus for cents in by_application.values())
        if not self.pay_rehires:
            assert sum(by_application.values()) <= self.bonus
            assert sum(self.person.standing().values()) <= self.bonus

    @invariant()
    def what_is_paid_stands_and_each_bonus_is_paid_once(self) -> None:
        states = {bonus.key: bonus.state for bonus in self.ledger.bonuses()}
        keys = [entry.key for entry in self.ledger.payroll_entries(state="paid")]
        assert len(keys) == len(set(keys))
        assert all(states[key] == "paid" for key in keys)

    def teardown(self) -> None:
        if not hasattr(self, "person"):
            return
        self.person.let(today=self.person.first.today + timedelta(days=200))
        self.person.rest()
        sums: dict[str, int] = {}
        for one in self.ledger.bonuses():
            if one.state in {"eligible", "paid"}:
                sums[one.application_id] = sums.get(one.application_id, 0) + (one.amount_cents or 0)
        hired = {w.application_id for w in self.person.worlds if w.status is CandidateStatus.HIRED}
        whole = {application: cents for application, cents in sums.items() if application in hired and cents}
        assert all(cents == self.bonus for cents in whole.values())
        if self.pay_rehires:
            assert set(whole) == hired
        elif hired and not any(application not in hired for application in sums):
            assert len(whole) == 1
        self.person.export()
        self.nobody_is_paid_too_much()
        self.ledger.close()
        self.folder.cleanup()


Bonuses.TestCase.settings = settings(
    max_examples=6, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
TestBonuses = Bonuses.TestCase
