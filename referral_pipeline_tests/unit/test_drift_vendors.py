"""Lever and Ashby change their answers: what the connectors need of these is told, whatever else is new only noted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.connectors.records import Window
from referral_pipeline.connectors.shapes import ShapeRecorder
from referral_pipeline.connectors.vendors import shapes_of
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.monitoring.drift import judge
from referral_pipeline.sandbox.drift import Change, Drift
from referral_pipeline_tests.unit import ashby_account, lever_account
from referral_pipeline_tests.unit.ledger_databases import Clock

Found = set[tuple[str, str, str]]
"""(operation, kind, path)."""


_LEARNED = 3
"""Pulls until enough rows were seen that what is new is news: an account has few stages."""


class World:
    """A ledger into which pulls of an account are learned, and the account's answers, which can be changed."""

    def __init__(self, ledger: Ledger, account: Any, clock: Clock) -> None:
        self.account = account
        self._ledger = ledger
        self._clock = clock
        self._drift = Drift(account._door.app)
        account._door.app = self._drift
        for _ in range(_LEARNED):
            self.pull()

    def pull(self) -> Found:
        """A full pull by a new process, an hour later; what is open then."""
        self._clock.tick(3600)
        recorder = ShapeRecorder(self._ledger.record_shapes, shapes_of, flush_seconds=600)
        connector = self.account.connect(shapes=recorder)
        for entity in connector.entities:
            for _ in connector.pull(entity, Window(None, self.account.now)):
                pass
        connector.close()
        recorder.close()
        judged = judge(self._ledger.shapes(), shapes_of, now=self._clock.now)
        for key, by in judged.accept.items():
            self._ledger.accept_shapes([key], by=by)
        return {
            (one.fact.operation, one.kind.value, one.fact.path) for one in judged.drifts if one.state.value == "open"
        }

    def changed(self, **change: Any) -> Found:
        """As `pull`, under one change of the answers."""
        self._drift.changes = [Change.model_validate(change)]
        try:
            return self.pull()
        finally:
            self._drift.changes = []


def people(account: Any) -> None:
    """A dozen people with applications, in different stages."""
    for name in (f"Grace{number}" for number in range(12)):
        made = account.acts.create_candidate(first_name=name, last_name="Hopper", emails=[f"{name}@example.com"])
        row = account.acts.create_application(candidate_id=made["id"], job_id=account.job["id"])
        if name.endswith("3"):
            account.acts.move(row["id"], stage="Phone Screen")
    account.now += timedelta(minutes=1)


@contextmanager
def opened(account: Any, home: Path) -> Iterator[World]:
    clock = Clock()
    people(account)
    with Ledger.open("sqlite:///ledger.sqlite", home=home, clock=clock) as ledger:
        yield World(ledger, account, clock)


@pytest.fixture
def lever(tmp_path: Path) -> Iterator[World]:
    with lever_account.account_with() as account, opened(account, tmp_path) as world:
        yield world


@pytest.fixture
def ashby(tmp_path: Path) -> Iterator[World]:
    account = ashby_account.Account()  # what it answers is not the vendor's any more: it is held against no document
    with opened(account, tmp_path) as world:
        yield world
    account.connector.close()


def test_answers_of_lever_that_do_not_change_are_no_news(lever: World):
    assert lever.pull() == set()


def test_a_field_that_lever_renames_is_told_under_both_names(lever: World):
    found = lever.changed(only="GET /v1/opportunities", rename={"contact": "person"})
    assert ("opportunities.list", "missing_required", "data[].contact") in found
    assert ("opportunities.list", "new_field", "data[].person") in found


def test_a_field_of_lever_that_becomes_another_type_is_told(lever: World):
    found = lever.changed(only="GET /v1/postings", retype=["state"])
    assert ("postings.list", "type_changed", "data[].state") in found


def test_a_new_stage_of_lever_is_told_and_nothing_else(lever: World):
    lever.account.acts.add_job("Second", stages=("Review", "Panel", "Offer"))
    assert lever.pull() == {("stages.list", "new_word", "data[].text")}


def test_a_type_of_reasons_that_lever_adds_is_told(lever: World):
    found = lever.changed(only="GET /v1/archive_reasons", word={"type": "paused"}, rows=1)
    assert ("archive_reasons.list", "new_word", "data[].type") in found


@pytest.mark.parametrize("name", ["lever", "ashby"])
def test_the_day_of_a_withdrawal_is_told(name: str, request: pytest.FixtureRequest):
    world: World = request.getfixturevalue(name)
    found = world.changed(headers={"Sunset": "Sun, 01 Nov 2037 00:00:00 GMT"})
    assert {kind for _, kind, _ in found} == {"sunset"}
    assert len(found) >= 4


def test_answers_of_ashby_that_do_not_change_are_no_news(ashby: World):
    assert ashby.pull() == set()


def test_a_field_that_ashby_renames_is_told_under_both_names(ashby: World):
    found = ashby.changed(only="POST /application.list", rename={"candidate": "person"})
    assert ("application.list", "missing_required", "results[].candidate") in found
    assert ("application.list", "new_field", "results[].person") in found


def test_a_new_stage_of_ashby_is_told_where_it_is_listed(ashby: World):
    ashby.account.acts.add_job("Second", stages=("Application Review", "Panel", "Offer"))
    assert ("interviewStage.list", "new_word", "results[].title") in ashby.pull()


def test_a_status_that_ashby_adds_is_told(ashby: World):
    found = ashby.changed(only="POST /application.list", word={"status": "Paused"}, rows=1)
    assert ("application.list", "new_word", "results[].status") in found
