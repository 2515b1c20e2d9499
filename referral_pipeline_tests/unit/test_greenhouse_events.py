"""Every published webhook of Greenhouse names its records, and no body of any shape breaks the reader."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.connectors.events import Hint, read_event
from referral_pipeline.connectors.greenhouse_events import TYPES
from referral_pipeline_tests.openapi import REFERENCE_DIR

SAMPLES = REFERENCE_DIR / "vendor_samples" / "greenhouse"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the vendor's samples are not here (set REFERENCE_DIR)")

PUBLISHED: dict[str, Hint] = {
    "application_created": Hint(
        "new_candidate_application",
        "application:71980812",
        datetime(2017, 10, 27, 14, 44, 42, tzinfo=UTC),
        application_ids=("71980812",),
        candidate_ids=("60304594",),
        job_ids=("274075",),
    ),
    "application_deleted": Hint(
        "delete_application",
        "application:46194062",
        application_ids=("46194062",),
        candidate_ids=("37031511",),
        job_ids=("371417",),
        gone_applications=("46194062",),
    ),
    "candidate_stage_change": Hint(
        "candidate_stage_change",
        "application:265277",
        datetime(2015, 2, 9, 16, 38, 36, tzinfo=UTC),
        application_ids=("265277",),
        candidate_ids=("265772",),
        job_ids=("3485",),
    ),
    "candidate_prospect_rejected": Hint(
        "reject_candidate",
        "application:265293",
        datetime(2015, 2, 11, 15, 50, 41, tzinfo=UTC),
        application_ids=("265293",),
        candidate_ids=("265788",),
        job_ids=("371417",),
    ),
    "candidate_hired": Hint(
        "hire_candidate",
        "application:46194062",
        application_ids=("46194062",),
        candidate_ids=("35897443",),
        job_ids=("323753",),
    ),
    "candidate_deleted": Hint(
        "delete_candidate",
        "candidate:37031511",
        candidate_ids=("37031511",),
        application_ids=("46196263", "46196258"),
        gone_candidates=("37031511",),
        gone_applications=("46196263", "46196258"),
    ),
    "candidate_merged": Hint(
        "merge_candidate",
        "candidate:37031511",
        candidate_ids=("37031511", "457456"),
        merged=(("37031511", "457456"),),
    ),
    "candidate_anonymized": Hint(
        "candidate_anonymized",
        "candidate:37031511",
        candidate_ids=("37031511",),
        gone_candidates=("37031511",),
    ),
    "job_approved": Hint("job_approved", "job:100445", job_ids=("100445",)),
    "job_created": Hint("job_created", "job:371417", job_ids=("371417",)),
    "job_deleted": Hint("job_deleted", "job:209256", job_ids=("209256",)),
    "job_post_created": Hint(
        "job_post_created",
        "job:1842002",
        datetime(2017, 10, 12, 15, 6, 32, 691000, tzinfo=UTC),
        job_ids=("1842002",),
    ),
    "job_post_deleted": Hint(
        "job_post_deleted",
        "job:284999",
        datetime(2017, 1, 19, 20, 1, 53, 146000, tzinfo=UTC),
        job_ids=("284999",),
    ),
    "offer_created": Hint("offer_created", "application:234556", application_ids=("234556",), job_ids=("45678",)),
    "offer_approved": Hint("offer_approved", "application:234556", application_ids=("234556",), job_ids=("45678",)),
    "offer_deleted": Hint("offer_deleted", "application:46194062", application_ids=("46194062",), job_ids=("371417",)),
}


@needs_samples
@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_published_webhook_names_its_records(name: str) -> None:
    body = json.loads((SAMPLES / f"webhook_{name}_1.json").read_bytes())
    assert read_event("greenhouse", body) == PUBLISHED[name]


@needs_samples
def test_no_published_webhook_is_left_out() -> None:
    assert {f"webhook_{name}_1.json" for name in PUBLISHED} == {path.name for path in SAMPLES.glob("webhook_*")}


def test_a_prospect_may_be_considered_for_several_jobs_or_none() -> None:
    application = {"id": 5, "prospect": True, "candidate": {"id": 6}, "jobs": [{"id": 7}, {"id": 8}]}
    hint = read_event("greenhouse", {"action": "new_prospect_application", "payload": {"application": application}})
    assert (hint.candidate_ids, hint.job_ids) == (("6",), ("7", "8"))
    hint = read_event(
        "greenhouse", {"action": "new_prospect_application", "payload": {"application": {**application, "jobs": []}}}
    )
    assert (hint.known, hint.application_ids, hint.job_ids) == (True, ("5",), ())


def test_an_edited_candidate_is_named_under_its_own_key() -> None:
    body = {"action": "update_candidate", "payload": {"candidate": {"id": 6, "updated_at": "2026-01-02T03:04:05Z"}}}
    hint = read_event("greenhouse", body)
    assert (hint.subject, hint.occurred_at) == ("candidate:6", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def test_a_deleted_candidate_names_applications_by_either_of_the_two_documented_keys() -> None:
    person = {"id": 6, "application_ids": [7, 8]}
    assert read_event(
        "greenhouse", {"action": "delete_candidate", "payload": {"person": person}}
    ).gone_applications == (
        "7",
        "8",
    )


def test_who_lost_only_a_title_is_not_gone() -> None:
    payload = {"candidate_id": 6, "anonymized_fields": ["current_title"]}
    hint = read_event("greenhouse", {"action": "candidate_anonymized", "payload": payload})
    assert (hint.known, hint.candidate_ids, hint.gone_candidates) == (True, ("6",), ())


def test_a_ping_is_known_and_about_nothing() -> None:
    hint = read_event("greenhouse", {"action": "ping", "payload": {"hook": {"id": 1}}})
    assert (hint.known, hint.subject) == (True, None)


@pytest.mark.parametrize(
    "body",
    [
        {"action": "interview_deleted", "payload": {"interview": {"id": 1}}},
        {"action": "hire_candidate", "payload": {"application": {"id": None}}},
        {"action": "hire_candidate", "payload": []},
        {"action": "merge_candidate", "payload": {"person": {"id": 1, "new_candidate_id": 1}}},
        {"action": "hire_candidate", "payload": {"application": {"id": "1\x00"}}},
        {"action": "hire_candidate", "payload": {"application": {"id": "\ud800"}}},
        {"action": "hire_candidate", "payload": {"application": {"id": True}}},
        {"action": ["hire_candidate"]},
        {"action": "hire candidate\n"},
        {},
        [],
        None,
        7,
    ],
)
def test_a_body_that_names_no_record_is_unknown_and_about_nothing(body: Any) -> None:
    hint = read_event("greenhouse", body)
    assert (hint.known, hint.subject, hint.application_ids) == (False, None, ())


_KEYS = st.sampled_from(
    [
        "application",
        "candidate",
        "person",
        "offer",
        "job",
        "jobs",
        "job_post",
        "id",
        "candidate_id",
        "job_id",
        "new_candidate_id",
        "deleted_application_ids",
        "anonymized_fields",
        "last_activity_at",
        "updated_at",
    ]
)
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4), max_leaves=12
)


@settings(max_examples=300, deadline=None)
@given(action=st.sampled_from(sorted(TYPES)), payload=_VALUES)
def test_any_payload_is_read_to_ids_that_a_database_takes(action: str, payload: Any) -> None:
    hint = read_event("greenhouse", {"action": action, "payload": payload})
    assert hint.event_type == action
    for value in asdict(hint).values():
        texts = [value] if isinstance(value, str) else value if isinstance(value, tuple) else []
        for text in texts:
            assert "\x00" not in str(text)
            str(text).encode()
