"""Recognitions at a real platform: hired at once, the bonus in its day, taken back where it ends, never twice."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.attribution.models import Credit, Touch, credit
from referral_pipeline.connectors.failures import TransientFailure, Unauthorized
from referral_pipeline.connectors.records import Referral
from referral_pipeline.ledger.recognitions import recognition_key
from referral_pipeline.ledger.store import Ledger, Link, PayrollExport, Recognition
from referral_pipeline.sync.recognition_decision import HireCase
from referral_pipeline.sync.recognitions import Recogniser, Settlement
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline_tests.records import make_application, make_referral
from referral_pipeline_tests.unit.core_world import contract_with
from referral_pipeline_tests.unit.sync_rig import Spoilt
from referral_pipeline_tests.unit.test_advocacy_connector import Platform

BONUS = 200_000
FIRST_DAY = date(2026, 6, 15)
DUE_ON = date(2026, 9, 13)
"""Ninety days later."""
APPLIED_AT = datetime(2026, 5, 20, tzinfo=UTC)


TICKS = itertools.count()
"""No two moments are one."""


class Crash(BaseException):
    """The process dies here."""


@dataclass
class World:
    """A platform, a ledger, and one application with the weights that its referrals earned."""

    platform: Platform
    ledger: Ledger
    application_id: str = "31"
    status: CandidateStatus = CandidateStatus.HIRED
    starts_on: date | None = FIRST_DAY
    hired_at: datetime | None = None
    today: date = FIRST_DAY
    weights: dict[str, str] = field(default_factory=lambda: {"R1": "1"})
    advocate_of: dict[str, str] = field(default_factory=dict[str, str])
    rules: dict[str, Any] = field(default_factory=dict[str, Any])
    prefix: str = ""

    def case(self) -> HireCase:
        application = make_application(
            id=self.application_id,
            status=self.status,
            starts_on=self.starts_on,
            hired_at=self.hired_at,
            applied_at=APPLIED_AT,
        )
        referrals = [self._referral(i, number) for number, i in enumerate(self.weights)]
        credits = [
            Credit(_touch(referral), Decimal(weight))
            for referral, weight in zip(referrals, self.weights.values(), strict=True)
            if Decimal(weight)
        ]
        return HireCase(application, referrals, credits)

    def _referral(self, referral_id: str, number: int) -> Referral:
        advocate = self.advocate_of.get(referral_id, f"A-{referral_id}")
        at = APPLIED_AT - timedelta(days=10 - number)
        known_as = f"{self.prefix}{referral_id}"
        if known_as not in self.platform.store.tables["referrals"].rows:
            self.platform.put(id=known_as)
        return make_referral(id=known_as, advocate_id=advocate, submitted_at=at, applied_at=at)

    def recogniser(self, advocacy: Any = None, ledger: Any = None) -> Recogniser:
        contract = contract_with()
        bonus = contract.rules.bonus.model_copy(update={"amount_cents": BONUS, "waiting_days": 90, **self.rules})
        contract = contract_with(bonus=bonus)
        return Recogniser(
            advocacy or self.platform.connector,
            ledger or self.ledger,
            contract,
            lambda: datetime.combine(self.today, time(23), UTC) + timedelta(microseconds=next(TICKS)),
        )

    def settle(self, *, advocacy: Any = None, ledger: Any = None, **changes: Any) -> Settlement:
        """One look by a process of its own, after these changes."""
        for name, value in changes.items():
            setattr(self, name, value)
        case = self.case()
        made = self.recogniser(advocacy, ledger)
        return made.settle(case.application, case.referrals, case.credits)

    def export(self, *referral_ids: str) -> PayrollExport | None:
        """Hand what is payable to payroll, or only what these referrals earned."""
        wanted = {f"{self.prefix}{i}" for i in referral_ids}

        def choose(rows: list[Recognition]) -> list[str]:
            return [row.key for row in rows if row.referral_id in wanted or not wanted]

        return self.ledger.export_payroll(by="payroll@example.com", pay_on=self.today, choose=choose)

    def rows(self) -> list[dict[str, Any]]:
        """What the platform holds of this world's referrals, in the order of telling."""
        rows = self.platform.store.tables["recognitions"].rows.values()
        return [row for row in rows if row["referral_id"].startswith(self.prefix)]

    def told(self) -> list[tuple[str, str, int]]:
        return [(row["referral_id"].removeprefix(self.prefix), row["kind"], row["amount_cents"]) for row in self.rows()]

    def standing(self) -> dict[str, int]:
        """What stands: cents by referral; a hire without a bonus is 0."""
        return standing_of(self.told())


def standing_of(told: Sequence[tuple[str, str, int]]) -> dict[str, int]:
    stands: dict[str, int] = {}
    for referral_id, kind, cents in told:
        if kind == "reversed":
            assert stands.pop(referral_id) == cents
        else:
            stands[referral_id] = stands.get(referral_id, 0) + cents
    return stands


def _touch(referral: Referral) -> Touch:
    return Touch(referral.advocate_id, None, None, None, referral.id, "referral", referral.touched_at)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    platform = Platform()
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite", home=tmp_path)
    yield World(platform, ledger)
    platform.connector.close()
    ledger.close()


def link(referral_id: str, application_id: str) -> Link:
    return Link(referral_id, "per_1", "J1", "A1", None, None, APPLIED_AT, "greenhouse", application_id=application_id)


# ---------------------------------------------------------------- the story of one hire


def test_a_hire_is_recognised_at_once_and_its_bonus_in_its_day(world):
    first = world.settle()
    assert (world.told(), first.due_on) == ([("R1", "hired", 0)], DUE_ON)
    assert world.settle(today=DUE_ON - timedelta(days=1)).told == ()
    last = world.settle(today=DUE_ON)
    assert ([row.kind for row in last.told], last.due_on) == (["bonus_eligible"], None)
    assert world.told() == [("R1", "hired", 0), ("R1", "bonus_eligible", BONUS)]
    assert {row["currency"] for row in world.rows()} == {"USD"}
    assert world.settle() == Settlement()


def test_without_a_hire_or_without_credit_nothing_is_told(world):
    assert world.settle(status=CandidateStatus.OFFERED) == Settlement()
    assert world.settle(status=CandidateStatus.HIRED, weights={"R1": "0"}) == Settlement()
    assert world.rows() == []


def test_a_hire_that_is_heard_of_late_is_recognised_with_its_bonus(world):
    world.settle(today=DUE_ON + timedelta(days=30))
    assert world.told() == [("R1", "hired", 0), ("R1", "bonus_eligible", BONUS)]


def test_without_a_first_day_the_bonus_waits(world):
    assert world.settle(starts_on=None, today=date(2099, 1, 1)).due_on is None
    assert world.told() == [("R1", "hired", 0)]


def test_an_unhire_takes_back_what_stands_and_a_rehire_is_recognised_anew(world):
    world.settle()
    world.settle(status=CandidateStatus.OFFERED)
    world.settle(status=CandidateStatus.HIRED, today=DUE_ON)
    world.settle(status=CandidateStatus.REJECTED)
    world.settle(status=CandidateStatus.HIRED)
    assert world.told() == [
        ("R1", "hired", 0),
        ("R1", "reversed", 0),
        ("R1", "hired", 0),
        ("R1", "bonus_eligible", BONUS),
        ("R1", "reversed", BONUS),
        ("R1", "hired", 0),
        ("R1", "bonus_eligible", BONUS),
    ]
    assert [row.cycle for row in world.ledger.recognitions() if row.kind == "hired"] == [1, 2, 3]


def test_a_withdrawn_referral_loses_what_it_had_and_the_other_gets_it(world):
    world.settle(weights={"R1": "0", "R2": "1"}, today=DUE_ON)
    world.settle(weights={"R1": "1"})
    assert world.told()[2:] == [("R2", "reversed", BONUS), ("R1", "hired", 0), ("R1", "bonus_eligible", BONUS)]


def test_all_is_taken_back_when_nobody_is_credited_any_more(world):
    world.settle(today=DUE_ON)
    world.settle(weights={})
    assert world.standing() == {}


def test_what_was_paid_is_not_taken_back_nor_given_to_another(world):
    world.settle(today=DUE_ON)
    world.export()
    assert world.settle(status=CandidateStatus.REJECTED) == Settlement()
    world.settle(status=CandidateStatus.HIRED, weights={"R1": "0", "R2": "1"})
    assert world.standing() == {"R1": BONUS, "R2": 0}


def test_a_first_day_that_moved_moves_the_bonus(world):
    world.settle(today=DUE_ON)
    later = world.settle(starts_on=FIRST_DAY + timedelta(days=7))
    assert (world.standing(), later.due_on) == ({"R1": 0}, DUE_ON + timedelta(days=7))
    world.settle(today=DUE_ON + timedelta(days=7))
    assert world.standing() == {"R1": BONUS}


def test_a_referral_made_over_to_another_advocate_is_recognised_for_him(world):
    world.settle()
    world.settle(advocate_of={"R1": "A-2"})
    assert [(row.kind, row.advocate_id) for row in world.ledger.recognitions()] == [
        ("hired", "A-R1"),
        ("reversed", "A-R1"),
        ("hired", "A-2"),
    ]


# ---------------------------------------------------------------- amounts


THIRDS = {"R1": "0.333333333334", "R2": "0.333333333333", "R3": "0.333333333333"}


def test_a_split_by_credit_sums_to_exactly_the_bonus(world):
    world.settle(weights=THIRDS, rules={"split": "credit"}, today=DUE_ON)
    assert world.standing() == {"R1": 66_667, "R2": 66_667, "R3": 66_666}


def test_a_split_that_is_divided_anew_is_taken_back_and_told_anew(world):
    world.settle(weights=THIRDS, rules={"split": "credit"}, today=DUE_ON)
    world.settle(weights={"R1": "0.5", "R3": "0.5"})
    assert world.standing() == {"R1": 100_000, "R3": 100_000}
    assert [kind for _, kind, _ in world.told()[6:9]] == ["reversed"] * 3


def test_a_payee_is_one_advocate_the_latest_of_the_heaviest(world):
    world.settle(weights={"R1": "0.4", "R2": "0.2", "R3": "0.4"}, today=DUE_ON)
    assert world.standing() == {"R1": 0, "R2": 0, "R3": BONUS}


def test_the_unit_that_rounding_hands_out_makes_nobody_the_payee(world):
    world.settle(weights=THIRDS, today=DUE_ON)
    assert world.standing() == {"R1": 0, "R2": 0, "R3": BONUS}


def test_a_payee_with_two_referrals_is_paid_once(world):
    world.settle(weights={"R1": "0.3", "R2": "0.3", "R3": "0.4"}, advocate_of={"R1": "A-1", "R2": "A-1"}, today=DUE_ON)
    assert world.standing() == {"R1": 0, "R2": BONUS, "R3": 0}


def test_credit_of_a_share_goes_to_the_referral_of_its_advocate(world):
    case = world.case()
    referral = case.referrals[0]
    share = Touch(referral.advocate_id, "S1", None, None, None, "share", APPLIED_AT - timedelta(days=1))
    rules = {"applied_at": APPLIED_AT, "lookback_days": 90}
    credits = credit([_touch(referral), share], model="linear", **rules)
    assert len(credits) == 2
    world.rules = {"split": "credit"}
    world.today = DUE_ON
    world.recogniser().settle(case.application, case.referrals, credits)
    assert world.told() == [("R1", "hired", 0), ("R1", "bonus_eligible", BONUS)]


def test_credit_of_a_share_never_goes_to_a_referral_made_after_the_application(world):
    world.settle(status=CandidateStatus.APPLIED, weights={"R1": "1", "R2": "1"})
    case = world.case()
    first, second = case.referrals
    late = replace(second, advocate_id=first.advocate_id, applied_at=APPLIED_AT + timedelta(days=1))
    share = Touch(first.advocate_id, "S1", None, None, None, "share", APPLIED_AT - timedelta(days=1))
    hired = make_application(id="31", status=CandidateStatus.HIRED, applied_at=APPLIED_AT)
    world.recogniser().settle(hired, [first, late], [Credit(share, Decimal(1))])
    assert world.told() == [("R1", "hired", 0)]


def test_a_bonus_of_nothing_is_never_eligible(world):
    world.settle(rules={"amount_cents": 0}, today=DUE_ON)
    assert world.told() == [("R1", "hired", 0)]


def test_a_new_bonus_in_the_contract_leaves_what_is_eligible(world):
    world.settle(weights=THIRDS, rules={"split": "credit"}, today=DUE_ON)
    raised = {"split": "credit", "amount_cents": 300_000, "currency": "EUR"}
    assert world.settle(rules=raised) == Settlement()
    world.settle(status=CandidateStatus.OFFERED)
    assert world.standing() == {}
    assert {row["currency"] for row in world.rows()} == {"USD"}
    world.settle(status=CandidateStatus.HIRED)
    assert world.standing() == {"R1": 100_000, "R2": 100_000, "R3": 100_000}


def test_of_a_split_that_was_paid_in_part_the_rest_is_for_the_others(world):
    world.settle(weights={"R1": "0.5", "R2": "0.5"}, rules={"split": "credit"}, today=DUE_ON)
    world.export("R1")
    world.settle(weights={"R2": "0.5", "R3": "0.5"})
    assert world.standing() == {"R1": 100_000, "R2": 50_000, "R3": 50_000}


@pytest.mark.parametrize("now", [{"currency": "JPY", "amount_cents": 300_000}, {"amount_cents": 900_000}])
def test_what_is_left_of_a_bonus_that_was_paid_in_part_is_of_the_same_bonus_whatever_the_contract_says_since(
    world, now
):
    world.settle(weights={"R1": "0.25", "R2": "0.75"}, rules={"split": "credit"}, today=DUE_ON)
    world.export("R1")
    world.settle(weights={"R1": "0.25", "R3": "0.75"}, rules={"split": "credit", **now})
    assert world.standing() == {"R1": 50_000, "R3": 150_000}
    world.settle(status=CandidateStatus.OFFERED)
    world.settle(status=CandidateStatus.HIRED, weights={"R1": "0.25", "R2": "0.75"})
    assert world.standing() == {"R1": 50_000, "R2": 150_000}
    assert {row["currency"] for row in world.rows() if row["kind"] == "bonus_eligible"} == {"USD"}


def test_a_bonus_of_a_smaller_promise_that_was_paid_leaves_nothing_of_a_larger_one_before_it(world):
    world.settle(today=DUE_ON)
    world.settle(status=CandidateStatus.OFFERED)
    world.settle(status=CandidateStatus.HIRED, rules={"amount_cents": 80_000})
    world.export()
    world.settle(weights={"R1": "0", "R2": "1"})
    assert world.standing() == {"R1": 80_000, "R2": 0}


def test_a_bonus_that_is_divided_anew_is_told_in_the_currency_of_today_even_where_its_number_is_the_same(world):
    world.settle(weights={"R1": "0.5", "R2": "0.5"}, rules={"split": "credit"}, today=DUE_ON)
    world.settle(weights={"R1": "0.5", "R3": "0.5"}, rules={"split": "credit", "currency": "EUR"})
    assert world.standing() == {"R1": 100_000, "R3": 100_000}
    last = {row["referral_id"]: row["currency"] for row in world.rows() if row["kind"] == "bonus_eligible"}
    assert (last["R1"], last["R3"]) == ("EUR", "EUR")


# ---------------------------------------------------------------- two applications


def test_a_referral_that_moved_to_another_application_is_recognised_there(world):
    world.ledger.save_links([link("R1", "31")])
    world.settle(today=DUE_ON)
    world.ledger.save_links([link("R1", "32")])
    world.settle(application_id="32")
    assert world.standing() == {"R1": BONUS}
    assert [row.application_id for row in world.ledger.recognitions() if row.cycle == 2] == ["32", "32"]
    assert world.settle(application_id="31").held == ("R1",)
    assert world.settle(application_id="32") == Settlement()


def test_a_referral_stands_for_one_application_at_a_time(world):
    world.settle(today=DUE_ON)
    rules = {"split": "credit", "pay_rehires": True}
    second = world.settle(application_id="32", weights={"R1": "0.5", "R2": "0.5"}, rules=rules)
    assert (second.held, world.standing()) == (("R1",), {"R1": BONUS, "R2": BONUS})
    world.settle(application_id="31", status=CandidateStatus.REJECTED)
    world.settle(application_id="32", status=CandidateStatus.HIRED)
    assert world.standing() == {"R1": 100_000, "R2": 100_000}


def test_an_application_of_another_ats_with_the_same_id_is_another(world):
    world.settle()
    other = Recogniser(world.platform.connector, world.ledger, contract_with(), ats_system="lever")
    assert other.settle(make_application(id="31"), [], []) == Settlement()
    assert world.standing() == {"R1": 0}


# ---------------------------------------------------------------- with time alone


def load(*cases: HireCase) -> Any:
    return lambda ids: [case for case in cases if case.application.id in ids]


def test_time_alone_makes_a_bonus_eligible_and_asks_only_for_hires_that_wait(world):
    world.settle()
    asked: list[Sequence[str]] = []

    def loading(ids: Sequence[str]) -> list[HireCase]:
        asked.append(ids)
        return [world.case()]

    world.today = DUE_ON
    assert [row.kind for row in world.recogniser().due(loading).told] == ["bonus_eligible"]
    assert world.recogniser().due(loading) == Settlement()
    assert asked == [["31"]]


def test_a_rehire_waits_anew(world):
    world.settle(today=DUE_ON)
    world.settle(status=CandidateStatus.OFFERED)
    world.settle(status=CandidateStatus.HIRED, starts_on=DUE_ON)
    world.today = DUE_ON + timedelta(days=90)
    assert [row.kind for row in world.recogniser().due(load(world.case())).told] == ["bonus_eligible"]


def test_an_unhire_that_nobody_heard_of_is_found_in_time(world):
    world.settle()
    world.today, world.status = DUE_ON, CandidateStatus.REJECTED
    world.recogniser().due(load(world.case()))
    assert world.told() == [("R1", "hired", 0), ("R1", "reversed", 0)]


def test_nothing_is_eligible_for_an_application_that_is_gone(world):
    world.settle()
    world.today = DUE_ON
    assert world.recogniser().due(load()) == Settlement()
    assert world.standing() == {"R1": 0}


def test_one_application_that_fails_stops_no_other(world):
    world.settle()
    world.settle(application_id="32", weights={"R2": "1"})
    world.today = DUE_ON
    cases = [world.case(), replace(world.case(), application=make_application(id="31"), referrals=[], credits=[])]
    broken = losing(world, lambda referral_id, kind: kind == "bonus_eligible", before=True)
    settlement = world.recogniser(broken).due(load(*cases))
    assert [(x.subject, x.transient) for x in settlement.failures] == [("32", True)]
    assert not settlement.is_level
    assert world.standing() == {"R2": 0}
    again = world.recogniser().due(load(*cases))
    assert (again.failures, world.standing()) == ((), {"R2": BONUS})


# ---------------------------------------------------------------- what goes wrong


def losing(world: World, when: Any, *, before: bool, error: Any = None) -> Any:
    """The platform's connector, failing where `when(referral_id, kind)` holds, before or after the platform did it."""

    def recognise(referral_id: str, kind: str, *more: Any, **named: Any) -> None:
        fails = when(referral_id, kind)
        if not (fails and before):
            world.platform.connector.recognise(referral_id, kind, *more, **named)
        if fails:
            raise error or TransientFailure("advocacy", "recognitions.create", detail="timed out")

    return Spoilt(world.platform.connector, recognise=recognise)


@pytest.mark.parametrize("before", [True, False], ids=["never came", "was done"])
@pytest.mark.parametrize("error", [None, Crash()], ids=["an error", "a crash"])
def test_what_was_begun_is_told_again_with_the_same_body(world, before, error):
    world.today = DUE_ON
    broken = losing(world, lambda referral_id, kind: kind == "bonus_eligible", before=before, error=error)
    with pytest.raises((TransientFailure, Crash)):
        world.settle(advocacy=broken)
    assert [row.kind for row in world.ledger.recognitions(state="pending")] == ["bonus_eligible"]
    world.settle(rules={"amount_cents": 100, "currency": "EUR"})
    assert world.told() == [("R1", "hired", 0), ("R1", "bonus_eligible", BONUS)]
    assert world.ledger.recognitions(state="pending") == []


def test_what_was_begun_and_is_no_longer_true_is_told_and_taken_back(world):
    with pytest.raises(Crash):
        world.settle(advocacy=losing(world, lambda *_: True, before=False, error=Crash()))
    world.settle(status=CandidateStatus.OFFERED)
    assert world.told() == [("R1", "hired", 0), ("R1", "reversed", 0)]


def test_a_decision_is_kept_whole_or_not_at_all(world):
    begun = itertools.count()

    def begin(row: Any) -> Any:
        if next(begun) == 2:
            raise Crash
        return world.ledger.begin_recognition(row)

    with pytest.raises(Crash):
        world.settle(ledger=Spoilt(world.ledger, begin_recognition=begin), weights=THIRDS)
    assert (world.ledger.recognitions(), world.rows()) == ([], [])


def test_a_refused_credential_leaves_it_for_later(world):
    error = Unauthorized("advocacy", "recognitions.create", status=401)
    with pytest.raises(Unauthorized):
        world.settle(advocacy=losing(world, lambda *_: True, before=True, error=error))
    assert world.settle().is_level
    assert world.told() == [("R1", "hired", 0)]


def test_a_refused_recognition_is_kept_with_its_reason_and_told_again_on_demand(world):
    case = world.case()
    world.platform.store.remove("referrals", "R1")
    made = world.recogniser()
    settlement = made.settle(case.application, case.referrals, case.credits)
    (dead,) = settlement.refused
    assert (dead.state, settlement.is_level) == ("dead", False)
    assert "422" in (dead.last_error or "")
    assert made.settle(case.application, case.referrals, case.credits).refused == ()
    world.platform.put(id="R1")
    assert [row.key for row in made.retry([dead.key]).told] == [dead.key]
    assert world.told() == [("R1", "hired", 0)]
    with pytest.raises(LookupError):
        made.retry([dead.key])


def test_a_refused_recognition_of_a_cycle_that_is_over_is_not_told_again(world):
    world.settle()
    world.today = DUE_ON
    row = world.platform.store.recognise("outside", body("R1", "bonus_eligible", 5))
    dead = world.settle().refused
    assert [one.kind for one in dead] == ["bonus_eligible"]
    world.platform.store.tables["recognitions"].rows.pop(row["id"])
    world.settle(status=CandidateStatus.OFFERED)
    with pytest.raises(LookupError):
        world.recogniser().retry([dead[0].key])
    assert world.standing() == {}


def body(referral_id: str, kind: str, cents: int) -> dict[str, Any]:
    return {"referral_id": referral_id, "kind": kind, "amount_cents": cents, "currency": "USD"}


def test_two_that_settle_at_once_tell_it_once(world):
    world.today = DUE_ON
    world.weights, world.rules = dict(THIRDS), {"split": "credit"}
    world.case()
    start = Barrier(4)

    def settle() -> None:
        start.wait()
        world.settle()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(settle) for _ in range(4)]:
            done.result()
    assert len(world.rows()) == 6
    assert world.standing() == {"R1": 66_667, "R2": 66_667, "R3": 66_666}


@given(st.lists(st.tuples(*[st.text(min_size=1, max_size=120)] * 3), min_size=2, max_size=2, unique=True))
def test_a_key_names_one_recognition_and_fits_a_header(names):
    keys = {recognition_key(*parts, 1, "hired") for parts in names}
    assert len(keys) == 2
    assert all(key.isascii() and key.isprintable() and len(key) <= 255 for key in keys)


# ---------------------------------------------------------------- any sequence

WEIGHTS = (
    {},
    {"R1": "1"},
    {"R2": "1"},
    {"R1": "0.5", "R2": "0.5"},
    THIRDS,
    {"R1": "0.4", "R2": "0.2", "R3": "0.4"},
)

changes = st.one_of(
    st.fixed_dictionaries({"status": st.sampled_from([CandidateStatus.HIRED] * 3 + list(CandidateStatus))}),
    st.fixed_dictionaries({"weights": st.sampled_from(WEIGHTS)}),
    st.fixed_dictionaries({"starts_on": st.sampled_from([FIRST_DAY, FIRST_DAY + timedelta(days=45), None])}),
    st.fixed_dictionaries({"today": st.sampled_from([FIRST_DAY + timedelta(days=days) for days in (0, 90, 135)])}),
)
accidents = st.none() | st.tuples(st.sampled_from(["crash", "error"]), st.integers(0, 12), st.booleans())


class Accident:
    """Ends the n-th write of one settlement, before or after it: at the platform, or in the ledger."""

    def __init__(self, world: World, kind: str, number: int, before: bool) -> None:
        self.error = Crash() if kind == "crash" else TransientFailure("advocacy", "recognitions.create")
        self.count = itertools.count()
        self.number, self.before = number, before
        self.advocacy = Spoilt(world.platform.connector, recognise=self._hit(world.platform.connector.recognise))
        self.ledger = Spoilt(
            world.ledger,
            begin_recognition=self._hit(world.ledger.begin_recognition),
            settle_recognition=self._hit(world.ledger.settle_recognition),
        )

    def _hit(self, method: Any) -> Any:
        def call(*arguments: Any, **more: Any) -> Any:
            hit = next(self.count) == self.number
            if hit and self.before:
                raise self.error
            answer = method(*arguments, **more)
            if hit:
                raise self.error
            return answer

        return call


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Worlds that share a server and a ledger; the referrals and applications of each are its own."""
    folder = tmp_path_factory.mktemp("recognitions")
    platform = Platform()
    ledger = Ledger.open(f"sqlite:///{folder}/ledger.sqlite", home=folder)
    numbers = itertools.count(1)

    def make(**fields: Any) -> World:
        number = next(numbers)
        return World(platform, ledger, application_id=str(number), prefix=f"{number}-", **fields)

    yield make
    platform.connector.close()
    ledger.close()


@settings(max_examples=15, deadline=None)
@given(
    split=st.sampled_from(["payee", "credit"]),
    steps=st.lists(st.tuples(changes, accidents, st.integers(1, 2)), min_size=3, max_size=8),
)
def test_any_sequence_with_crashes_ends_level_and_never_tells_twice(fresh: Any, split: str, steps: Any) -> None:
    world = fresh(rules={"split": split})
    for change, accident, times in steps:
        for name, value in change.items():
            setattr(world, name, value)
        for _ in range(times):
            try:
                if accident is None:
                    world.settle()
                else:
                    broken = Accident(world, *accident)
                    world.settle(advocacy=broken.advocacy, ledger=broken.ledger)
            except (Crash, TransientFailure):
                pass
    world.settle()
    stands = world.standing()
    credited = {i for i, weight in world.weights.items() if Decimal(weight)}
    is_hired = world.status is CandidateStatus.HIRED
    is_due = world.starts_on is not None and world.today >= world.starts_on + timedelta(days=90)
    assert set(stands) == (credited if is_hired else set())
    assert sum(stands.values()) == (BONUS if is_hired and is_due and credited else 0)
    told = world.told()
    for end in range(len(told)):
        assert sum(standing_of(told[:end]).values()) <= BONUS
    kept = world.ledger.recognitions(application_ids=[world.application_id])
    assert {row.state for row in kept} <= {"sent"}
    assert len(kept) == len(told)
    assert world.settle().told == ()
