"""What changed since the last pull: syncTokens, each documented way in which they fail, and cursors."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.connectors import ashby_api
from referral_pipeline.connectors.ashby import AshbyConnector
from referral_pipeline.connectors.ashby_tokens import SyncTokens
from referral_pipeline.connectors.failures import Invalid
from referral_pipeline.connectors.records import Window
from referral_pipeline_tests.unit.ashby_account import START, Account, account_with


@pytest.fixture
def account() -> Iterator[Account]:
    with account_with() as made:
        made.by_hand("Ann")
        made.by_hand("Ben")
        yield made


def _names(connector: AshbyConnector, window: Window) -> list[str]:
    return [row["name"].split()[0] for page in connector.pull("candidates", window) for row in page]


def _after(account: Account, position: datetime | None) -> Window:
    account.sleep(60)
    return Window(account.now - timedelta(minutes=15), account.now, position=position)


def test_3_only_what_changed_since_the_position_is_asked_for(account: Account) -> None:
    position = account.now
    assert _names(account.connector, Window(None, position)) == ["Ann", "Ben"]
    account.sleep(1)
    account.by_hand("Cleo")
    assert _names(account.connector, _after(account, position)) == ["Cleo"]


def test_3_a_pull_that_was_not_kept_is_asked_for_again(account: Account) -> None:
    position = account.now
    _names(account.connector, Window(None, position))
    account.by_hand("Cleo")
    assert _names(account.connector, _after(account, position)) == ["Cleo"]
    # The process ended before these rows were kept: the position is what it was, and so is the answer.
    assert _names(account.connector, _after(account, position)) == ["Cleo"]


def test_3_without_a_position_or_a_token_of_it_everything_is_listed(account: Account) -> None:
    _names(account.connector, Window(None, account.now))
    assert _names(account.connector, _after(account, None)) == ["Ann", "Ben"]
    assert _names(account.connector, _after(account, START - timedelta(days=1))) == ["Ann", "Ben"]


def test_3_tokens_outlive_the_process_and_a_file_that_cannot_be_read_costs_one_full_list(
    account: Account, tmp_path: Path
) -> None:
    path = tmp_path / "tokens.json"
    position = account.now
    _names(account.connect(tokens=path), Window(None, position))
    assert _names(account.connect(tokens=path), _after(account, position)) == []
    path.write_text("{half")
    assert _names(account.connect(tokens=path), _after(account, position)) == ["Ann", "Ben"]


@pytest.mark.parametrize("switches", [{"sync_token_lifetime_seconds": 10}, {"incremental_sync_limit": 0}])
def test_3_a_token_that_is_too_old_or_leads_to_too_much_gives_the_whole_list(
    account: Account, switches: dict[str, Any]
) -> None:
    position = account.now
    _names(account.connector, Window(None, position))
    account.by_hand("Cleo")
    account.switch(**switches)
    assert _names(account.connector, _after(account, position)) == ["Ann", "Ben", "Cleo"]


def test_3_a_token_that_the_vendor_does_not_know_gives_the_whole_list(account: Account, tmp_path: Path) -> None:
    tokens = SyncTokens(tmp_path / "tokens.json", "tests")
    tokens.keep("candidates", account.now, "nobody-knows-it")
    assert _names(account.connect(tokens=tmp_path / "tokens.json"), _after(account, START)) == ["Ann", "Ben"]
    assert tokens.at("candidates", START) is None


def test_3_what_a_list_did_not_show_yet_comes_with_the_next_one() -> None:
    with account_with(visibility_lag_seconds=90) as account:
        position = account.now
        account.connector._api.write("candidate.create", {"name": "Too Fresh"})
        assert _names(account.connector, Window(None, position)) == []
        account.sleep(120)
        assert _names(account.connector, _after(account, position)) == ["Too"]


def test_3_without_sync_tokens_everything_is_listed_each_time(account: Account) -> None:
    account.switch(sync_tokens=False)
    position = account.now
    _names(account.connector, Window(None, position))
    assert _names(account.connector, _after(account, position)) == ["Ann", "Ben"]


def test_2_a_cursor_that_expired_begins_the_list_again_but_not_for_ever(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ashby_api, "PAGE_SIZE", 1)
    pages = account.connector.pull("candidates", Window(None, account.now))
    first = next(pages)
    account.switch(cursor_lifetime_seconds=10)
    account.sleep(60)
    rows = [*first, *(row for page in pages for row in page)]
    assert [row["name"].split()[0] for row in rows] == ["Ann", "Ann", "Ben"]
    lists = account.sent("candidate.list")
    assert [("cursor" in body, "syncToken" in body) for body in lists] == [
        (False, False),
        (True, False),
        (False, False),
        (True, False),
    ]
    account.switch(cursor_lifetime_seconds=0.001)
    real, account.world.now = account.world.now, lambda: account.sleep(1) or real()  # type: ignore[method-assign]
    with pytest.raises(Invalid, match="next_cursor_expired"):
        _names(account.connector, Window(None, account.now))


def test_histories_are_asked_for_only_where_an_application_changed(account: Account) -> None:
    position = account.now
    full = [row for page in account.connector.pull("application_history", Window(None, position)) for row in page]
    assert [len(row["history"]) for row in full] == [1, 1]
    account.sleep(5)
    account.act("move", full[0]["id"])
    window = _after(account, position)
    before = len(account.sent("application.info"))
    again = [row for page in account.connector.pull("application_history", window) for row in page]
    assert [(row["id"], len(row["history"])) for row in again] == [(full[0]["id"], 2)]
    assert len(account.sent("application.info")) == before + 1
    without = account.connect(stage_history=False)
    assert list(without.pull("application_history", window)) == []
