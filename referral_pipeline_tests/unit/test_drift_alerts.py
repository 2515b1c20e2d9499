"""A change of an API is told once when it begins, once when it is over, and many at once are few messages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from referral_pipeline.ledger.records import ShapeFact
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.monitoring.alerts import AlertDesk
from referral_pipeline.monitoring.drift import Drift, Kind, State
from referral_pipeline.monitoring.drift_alerts import Told, tell
from referral_pipeline.settings import load_settings
from referral_pipeline_tests.unit.alert_rig import contract_with

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Owner:
    """A desk whose one channel is the log."""

    def __init__(self, ledger: Ledger, desk: AlertDesk, home: Path) -> None:
        self.ledger = ledger
        self.desk = desk
        self.settings = load_settings(home)

    def tell(self, *drifts: Drift) -> Told:
        return tell(drifts, self.desk, self.ledger, self.settings)

    def open(self) -> dict[str, str]:
        return {
            one.fingerprint.removeprefix("schema_drift/"): one.severity for one in self.ledger.alerts(open_only=True)
        }


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    contract = contract_with("{type: log}")
    with (
        Ledger.open("sqlite:///ledger.sqlite", home=tmp_path) as ledger,
        AlertDesk(contract, load_settings(tmp_path), ledger, background=False) as desk,
    ):
        yield Owner(ledger, desk, tmp_path)


def change(
    kind: Kind,
    path: str = "[].phone",
    value: str = "number",
    severity: str = "error",
    *,
    operation: str = "people.list",
    state: State = State.OPEN,
) -> Drift:
    fact = ShapeFact("ats", operation, path, "type", value, 3, AT, AT)
    return Drift(fact, kind, severity, state, ("text",))


def test_a_change_is_told_once_and_its_end_once(owner: Owner):
    changed = change(Kind.TYPE_CHANGED)
    assert owner.tell(changed) == Told(1, 0)
    assert owner.tell(changed) == Told(0, 0)
    assert owner.open() == {"ats:people.list:type_changed:[].phone": "error"}
    assert owner.tell(change(Kind.TYPE_CHANGED, state=State.OVER)) == Told(0, 1)
    assert owner.open() == {}
    assert owner.tell() == Told(0, 0)


def test_a_new_field_is_no_alert_and_two_new_words_are_two(owner: Owner):
    words = [change(Kind.NEW_WORD, "[].stage", word, "warning") for word in ("Panel", "Chat")]
    assert owner.tell(change(Kind.NEW_FIELD, severity="info"), *words) == Told(2, 0)
    assert set(owner.open().values()) == {"warning"}


def test_what_is_accepted_ends_and_says_so(owner: Owner):
    owner.tell(change(Kind.TYPE_CHANGED))
    owner.tell(change(Kind.TYPE_CHANGED, state=State.ACCEPTED))
    assert "was accepted" in owner.ledger.alerts(limit=1)[0].message


def test_a_sunset_that_comes_near_is_told_again_as_an_error(owner: Owner):
    far = change(Kind.SUNSET, "", "2026-05-01", "warning")
    near = change(Kind.SUNSET, "", "2026-05-01", "error")
    owner.tell(far)
    assert owner.tell(near) == Told(1, 1)
    assert owner.open() == {"ats:sunset:2026-05-01": "error"}
    assert owner.tell(near) == Told(0, 0)


def test_one_notice_of_many_operations_is_one_message_that_names_some(owner: Owner):
    notices = [change(Kind.SUNSET, "", "2026-05-01", operation=f"list{n}") for n in range(9)]
    assert owner.tell(*notices) == Told(1, 0)
    (alert,) = owner.ledger.alerts(open_only=True)
    assert "list0" in alert.message
    assert "and 3 more" in alert.message
    assert alert.details["count"] == 9


def test_an_answer_that_changes_altogether_is_one_message(owner: Owner):
    changes = [change(Kind.TYPE_CHANGED, f"[].field{n}") for n in range(6)]
    assert owner.tell(*changes) == Told(1, 0)
    assert owner.open() == {"ats:people.list:type_changed": "error"}


def test_nothing_is_called_over_because_more_or_fewer_changes_of_its_kind_stand(owner: Owner):
    changes = [change(Kind.MISSING_REQUIRED, f"[].f{number}") for number in range(7)]
    assert owner.tell(*changes[:5]) == Told(fired=5, resolved=0)
    assert owner.tell(*changes[:6]) == Told(fired=1, resolved=0)
    assert owner.tell(*changes) == Told(fired=0, resolved=0), "the seventh goes with the sixth"
    assert owner.tell(*changes[1:]) == Told(fired=0, resolved=1), "the first is over, and no other"
    assert owner.tell(changes[6]) == Told(fired=0, resolved=4), "what was told together stays told together"
    assert owner.tell() == Told(fired=0, resolved=1)
