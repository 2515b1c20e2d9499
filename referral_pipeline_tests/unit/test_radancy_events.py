"""Webhooks of Radancy: every published body is read, only the vendor's addresses are heard, each event counts once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from referral_pipeline.connectors.events import decode, read_event, split_delivery
from referral_pipeline.connectors.radancy_events import DELIVERY, TYPES, SenderAddress
from referral_pipeline.connectors.radancy_models import SENDERS, ApplicationRow, JobRow, UserRow
from referral_pipeline.connectors.radancy_rows import read_row
from referral_pipeline.connectors.records import RowProblem
from referral_pipeline.connectors.signing import SignatureRefused, UnusableSecret
from referral_pipeline.connectors.testing import webhook_gaps
from referral_pipeline.connectors.tokens import read_token
from referral_pipeline.connectors.vendors import VENDORS
from referral_pipeline.contract.scaffold import LOCAL_SANDBOX, integration_yaml
from referral_pipeline.contract.systems import SANDBOX_OPTIONS
from referral_pipeline.sandbox.credentials import SECRETS
from referral_pipeline.settings import load_settings
from referral_pipeline.webhooks.server import config
from referral_pipeline_tests.openapi import REFERENCE_DIR
from referral_pipeline_tests.serving import run_apart
from referral_pipeline_tests.unit.receiver_rig import NOW, Receiver, receiver_in

SAMPLES = REFERENCE_DIR / "vendor_samples" / "radancy_firstbird"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the vendor's samples are not here (set REFERENCE_DIR)")
NIL = "00000000-0000-0000-0000-000000000000"
HEADERS = {"content-type": "application/json"}
CONTRACT = integration_yaml(replace(LOCAL_SANDBOX, advocacy="radancy"))


def event(number: int = 1, kind: str = "job_application.received", **more: Any) -> dict[str, Any]:
    application = {"id": f"00000000-0000-4000-8000-{number:012}", "status": "IN_PROGRESS"}
    return {"event_name": kind, "event": {"job_application": application, "date_time": moment(0), **more}}


def moment(seconds: int) -> str:
    at = datetime(2026, 3, 4, 5, 6, tzinfo=UTC) + timedelta(seconds=seconds)
    return at.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")


def raw(content: Any) -> bytes:
    return json.dumps(content).encode()


# ---------------------------------------------------------------- reading


def sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text())


@needs_samples
@pytest.mark.parametrize("act", ["received", "rated", "hired", "deleted"])
def test_every_published_event_is_read_as_about_its_application(act: str) -> None:
    body = sample(f"webhook_job_application_{act}_from_user.json")
    hint = read_event("radancy", {"event_name": f"job_application.{act}", "event": body})
    assert (hint.known, hint.subject, hint.referral_id) == (True, f"referral:{NIL}", NIL)
    assert hint.occurred_at == datetime(1970, 1, 1, 12, tzinfo=UTC)
    assert hint.row is None  # what the body says of the person is not believed


@needs_samples
def test_the_published_envelope_is_an_array_of_an_event_that_nobody_knows() -> None:
    envelope = sample("webhook_envelope.json")
    ((_, _, payload),) = split_delivery("radancy", DELIVERY, raw(envelope), envelope) or []
    assert not read_event("radancy", payload).known


@needs_samples
def test_every_published_resource_is_read() -> None:
    (job,) = [read_row("jobs", JobRow, row) for row in sample("jobs_get_all_jobs_1.json")["items"]]
    single = read_row("jobs", JobRow, sample("jobs_get_a_single_job_1.json"))
    (user,) = [read_row("advocates", UserRow, row) for row in sample("users_get_all_users_1.json")["items"]]
    links = sample("concepts_links_and_resource_expansion_2.json")
    application = {
        **sample("applications_get_a_single_job_application_1.json"),
        "applicant": links["applicant"],
        "job": {**links["job"], "referenceNumber": "123456"},
    }
    read = read_row("referrals", ApplicationRow, application)
    assert not any(isinstance(one, RowProblem) for one in (job, single, user, read))
    assert isinstance(read, ApplicationRow)
    assert read.referrer.id.startswith("dddddddd")
    assert (read.applicant.email, read.reward_paid) == (links["applicant"]["email"], False)
    assert read_token(sample("concepts_authentication_1.json"), 0.0).value == "youraccesstoken"


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_each_event_of_an_application_names_it_and_no_value_beside_is_taken(kind: str) -> None:
    hint = read_event("radancy", event(7, kind, applicant={"email": "evil@example.com"}))
    assert (hint.event_type, hint.referral_id, hint.row) == (kind, "00000000-0000-4000-8000-000000000007", None)


@pytest.mark.parametrize("kind", ["reward.approved", "points.gained", "points.revoked"])
def test_points_and_rewards_are_kept_and_nobody_acts_on_them(kind: str) -> None:
    hint = read_event("radancy", {"event_name": kind, "event": {"type": kind}})
    assert (hint.known, hint.event_type) == (False, kind)


@pytest.mark.parametrize("form", ["2026-03-04 05:06:00.000Z", "2026-03-04T06:45:00.000+0139", "2026-03-04T05:06:00Z"])
def test_times_are_read_in_each_form_that_the_vendor_writes(form: str) -> None:
    assert read_event("radancy", event(date_time=form)).occurred_at == datetime(2026, 3, 4, 5, 6, tzinfo=UTC)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([*sorted(TYPES), None, 7]), _json, _json)
def test_no_body_of_any_shape_breaks_the_reader_or_the_splitter(kind: Any, application: Any, content: Any) -> None:
    body = {"event_name": kind, "event": {"job_application": application, "date_time": content}}
    assert asdict(read_event("radancy", body))
    parts = split_delivery("radancy", DELIVERY, b"", [body, content])
    assert parts is None or len(parts) <= 2


def test_an_event_is_known_by_its_content_in_whatever_batch_and_order_of_keys_it_comes() -> None:
    first, second = event(1), event(2)
    turned = {name: first[name] for name in reversed(first)}
    ids = [one[0] for one in split_delivery("radancy", DELIVERY, b"", [first, second, turned]) or []]
    (again,) = split_delivery("radancy", DELIVERY, b"", [turned]) or []
    assert len(ids) == 2
    assert again[0] == ids[0]
    assert ids[0].startswith("radancy:")
    (later,) = split_delivery("radancy", DELIVERY, b"", [event(1, date_time=moment(1))]) or []
    assert later[0] not in ids


def test_nothing_lacks_of_what_every_vendor_must_do() -> None:
    gaps = webhook_gaps(
        VENDORS["radancy"],
        secret="",
        signed=lambda body: {":client": SENDERS[0]},
        samples=[(raw([event(3)]), "referral:00000000-0000-4000-8000-000000000003")],
    )
    assert gaps == []


# ---------------------------------------------------------------- addresses


def heard(address: str, *allowed: str) -> bool:
    options = {"webhook_addresses": list(allowed)} if allowed else {}
    try:
        SenderAddress.configured([], options).verify({":client": address}, b"", NOW)
    except SignatureRefused:
        return False
    return True


def test_only_the_addresses_that_the_vendor_names_are_heard_where_none_are_told() -> None:
    assert all(heard(address) for address in SENDERS)
    assert heard(f"::ffff:{SENDERS[0]}")
    for other in ("52.57.76.134", "127.0.0.1", "::1", "", "unknown", "52.57.76.133, 10.0.0.1"):
        assert not heard(other)


def test_a_contract_may_name_others_and_networks() -> None:
    assert heard("10.1.2.3", "10.1.0.0/16")
    assert not heard(SENDERS[0], "10.1.0.0/16")
    with pytest.raises(UnusableSecret):
        SenderAddress.configured([], {"webhook_addresses": ["10.1.0.1/16"]})


def test_only_proxies_that_are_named_are_believed_who_a_sender_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert load_settings(tmp_path).trusted_proxies == ()
    assert config(None).proxy_headers is False
    monkeypatch.setenv("REFERRAL_PIPELINE_TRUSTED_PROXIES", "10.0.0.7, 10.1.0.0/16")
    told = load_settings(tmp_path).trusted_proxies
    assert told == ("10.0.0.7", "10.1.0.0/16")
    of_server = config(None, told)
    assert (of_server.proxy_headers, of_server.forwarded_allow_ips) == (True, list(told))
    monkeypatch.setenv("REFERRAL_PIPELINE_TRUSTED_PROXIES", "*")
    with pytest.raises(ValidationError, match="addresses or networks"):
        load_settings(tmp_path)


@pytest.mark.parametrize("everybody", ["0.0.0.0/0", "::/0", "10.0.0.7, 0.0.0.0/0", "0::0/0"])
def test_everybody_is_no_proxy_and_no_sender(everybody: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REFERRAL_PIPELINE_TRUSTED_PROXIES", everybody)
    of_proxies = "REFERRAL_PIPELINE_TRUSTED_PROXIES holds a network of everybody.*: name those of your own proxies"
    with pytest.raises(ValidationError, match=of_proxies):
        load_settings(tmp_path)
    of_senders = "webhook_addresses holds a network of everybody.*: name those of the vendor's senders"
    with pytest.raises(UnusableSecret, match=of_senders):
        SenderAddress.configured((), {"webhook_addresses": everybody.split(", ")})


# ---------------------------------------------------------------- the receiver


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    (home / "data").mkdir(parents=True)
    told = '["127.0.0.1", "::1"]'
    assert told in CONTRACT
    (home / "data" / "integration.yaml").write_text(CONTRACT.replace(told, '["192.0.2.7"]'))
    with receiver_in(home) as found:
        yield found


def send(receiver: Receiver, content: Any, client: str = "192.0.2.7") -> int:
    return run_apart(receiver.send("/webhooks/radancy", raw(content), HEADERS, client=client))[0]


def test_a_batch_becomes_events_of_their_own_and_each_counts_once(receiver: Receiver) -> None:
    assert send(receiver, [event(1), event(2)]) == 200
    assert send(receiver, [event(2), event(3)]) == 200
    subjects = sorted(one.subject or "" for one in receiver.ledger.inbox_events())
    assert subjects == [f"referral:00000000-0000-4000-8000-{number:012}" for number in (1, 2, 3)]
    assert all(isinstance(decode(body), dict) for body in receiver.bodies())


def test_a_delivery_from_elsewhere_is_refused_whatever_its_headers_say(receiver: Receiver) -> None:
    forged = {**HEADERS, "x-forwarded-for": "192.0.2.7", ":client": "192.0.2.7"}
    for headers in (HEADERS, forged):
        answer = run_apart(receiver.send("/webhooks/radancy", raw([event()]), headers, client="127.0.0.1"))
        assert answer[0] == 401
    assert receiver.ledger.inbox_events() == []


@pytest.mark.parametrize("content", [{"event_name": "x"}, [1], [[event()]], "text"])
def test_what_is_no_array_of_objects_is_malformed(receiver: Receiver, content: Any) -> None:
    assert send(receiver, content) == 400


def test_the_receiver_is_ready_without_any_secret_of_webhooks(receiver: Receiver) -> None:
    assert SANDBOX_OPTIONS["webhook_addresses"]
    status, text = run_apart(receiver.send("/readyz", method="GET"))
    assert (status, json.loads(text)) == (200, {"status": "ready"})
