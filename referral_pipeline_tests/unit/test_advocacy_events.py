"""An event of the advocacy platform carries its whole row; bulk is told apart; odd bodies are nobody's business."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.connectors.advocacy_events import TYPES
from referral_pipeline.connectors.events import read_event

AT = "2026-01-02T03:04:05Z"


@pytest.mark.parametrize(
    ("event_type", "subject", "entity", "bulk", "referral_id"),
    [
        ("referral.submitted", "referral:X1", "referrals", False, "X1"),
        ("referral.updated", "referral:X1", "referrals", False, "X1"),
        ("referral.withdrawn", "referral:X1", "referrals", False, "X1"),
        ("consent.updated", "referral:X1", "referrals", False, "X1"),
        ("share.created", "share:X1", "shares", True, None),
        ("click.recorded", "click:X1", "clicks", True, None),
        ("candidate.erased", "referral:R9", None, False, "R9"),
    ],
)
def test_each_type_names_its_record(
    event_type: str, subject: str, entity: str | None, bulk: bool, referral_id: str | None
) -> None:
    row = {"id": "X1", "referral_id": "R9"}
    hint = read_event("advocacy", {"type": event_type, "timestamp": AT, "data": row})
    assert (hint.known, hint.subject, hint.entity, hint.bulk, hint.referral_id) == (
        True,
        subject,
        entity,
        bulk,
        referral_id,
    )
    assert hint.row == row
    assert hint.occurred_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_what_a_row_holds_is_not_shown() -> None:
    row = {"id": "X1", "candidate": {"email": "ada@example.com"}}
    assert "ada" not in repr(read_event("advocacy", {"type": "referral.updated", "timestamp": AT, "data": row}))


def test_a_missing_or_wrong_time_is_no_time() -> None:
    for at in (None, "soon", 10**30, {}):
        hint = read_event("advocacy", {"type": "referral.updated", "timestamp": at, "data": {"id": "X1"}})
        assert (hint.known, hint.occurred_at) == (True, None)


@pytest.mark.parametrize(
    "body",
    [
        {"type": "referral.exploded", "data": {"id": "X1"}},
        {"type": "referral.updated", "data": {}},
        {"type": "referral.updated", "data": {"id": ["X1"]}},
        {"type": "referral.updated", "data": {"id": "X" * 201}},
        {"type": "candidate.erased", "data": {"id": "X1"}},
        {"type": {}},
        {},
        "text",
        None,
    ],
)
def test_a_body_that_names_no_record_is_unknown(body: Any) -> None:
    hint = read_event("advocacy", body)
    assert (hint.known, hint.subject, hint.row) == (False, None, None)


def test_an_unknown_system_is_unknown() -> None:
    assert not read_event("elsewhere", {"type": "ping"}).known


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "referral_id", "data", "timestamp"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(event_type=st.sampled_from(sorted(TYPES)) | _ANY, at=_ANY, data=_ANY)
def test_no_body_breaks_the_reader(event_type: Any, at: Any, data: Any) -> None:
    hint = read_event("advocacy", {"type": event_type, "timestamp": at, "data": data})
    (hint.subject or "").encode()
    hint.event_type.encode()
