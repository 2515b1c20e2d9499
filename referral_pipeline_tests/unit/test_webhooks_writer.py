"""The writing child tells the lane as soon as a row can be seen, and the receiver only once it is on disk."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from referral_pipeline.ledger.store import Ledger, LedgerError
from referral_pipeline.privacy.crypto import Cipher
from referral_pipeline.webhooks.writer import Row, commit

BODY = json.dumps({"type": "referral.submitted", "data": {"id": "ref_1"}}).encode()
ROW: Row = ("advocacy", "msg_1", BODY)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite", home=tmp_path) as opened:
        yield opened


@pytest.fixture
def cipher() -> Cipher:
    return Cipher(Fernet.generate_key().decode())


def test_the_lane_hears_of_a_row_that_it_can_see_while_the_disk_is_waited_for_before_the_answer(
    ledger: Ledger, cipher: Cipher, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, dict[str, int]]] = []
    wait = os.fdatasync

    def disk(descriptor: int) -> None:
        told.append(("disk", ledger.inbox_counts()))
        wait(descriptor)

    monkeypatch.setattr(os, "fdatasync", disk)
    answered = commit(ledger, cipher, [ROW], on_news=lambda: told.append(("lane", ledger.inbox_counts())))
    assert told == [("lane", {"received": 1}), ("disk", {"received": 1})]
    assert answered == [("referral.submitted", True)]


def test_what_is_known_already_wakes_nobody_and_is_acknowledged_from_the_disk_too(
    ledger: Ledger, cipher: Cipher, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(ledger, cipher, [ROW])
    told: list[str] = []
    monkeypatch.setattr(os, "fdatasync", lambda _: told.append("disk"))
    assert commit(ledger, cipher, [ROW], on_news=lambda: told.append("lane")) == [("referral.submitted", False)]
    assert told == ["disk"]


def test_a_row_whose_disk_fails_is_not_acknowledged_and_comes_in_once_when_it_is_sent_again(
    ledger: Ledger, cipher: Cipher
) -> None:
    def broken(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        with pytest.raises(LedgerError):
            commit(ledger, cipher, [ROW])
    assert commit(ledger, cipher, [ROW]) == [("referral.submitted", False)]
    assert ledger.inbox_counts() == {"received": 1}
