"""What a vendor brings: a package's own, many events in one delivery, calls with an API key."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from referral_pipeline.connectors import vendors
from referral_pipeline.connectors.build import Build, ConnectorError
from referral_pipeline.connectors.events import read_event, split_delivery
from referral_pipeline.connectors.hints import Hint
from referral_pipeline.connectors.http import RetryPolicy, Timeouts
from referral_pipeline.connectors.signing import SignatureRefused
from referral_pipeline.connectors.vendors import VENDORS, Vendor, vendor_of
from referral_pipeline.contract import systems
from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.problems import ContractError
from referral_pipeline.contract.scaffold import Choices, integration_yaml
from referral_pipeline.contract.systems import SYSTEMS, SystemFacts, connectors_of
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.privacy.crypto import Cipher
from referral_pipeline.settings import load_settings
from referral_pipeline.vocabulary import Side
from referral_pipeline.webhooks.signatures import Keyring
from referral_pipeline.webhooks.writer import commit
from referral_pipeline_tests.unit.scripted_server import Reply, serving


def built(build: Build) -> Any:
    scheme = "bearer" if build.system.options.get("bearer") else "basic"
    return build.api_key_client(scheme=scheme, timeouts=Timeouts(1, 1), retry=RetryPolicy(max_attempts=1))


def read(payload: Any) -> Hint:
    return Hint(payload["kind"], subject=f"referral:{payload['about']}")


def split(payload: Any) -> Sequence[tuple[str, Any]]:
    if not isinstance(payload, list):
        raise ValueError("no list")
    return [(str(event["id"]), event) for event in payload]


class Unsigned:
    """Takes what comes from one address."""

    def __init__(self, secrets: Any) -> None:
        assert list(secrets) == []

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
        del now
        if headers[":client"] != "192.0.2.7":
            raise SignatureRefused("stranger")
        return f"{headers[':method']} {headers[':path']} {len(body)}"


MANY = Vendor(
    SystemFacts(
        *("many", Side.ADVOCACY, "Many", "MANY", "https://many.example.com", "http://127.0.0.1:1"),
        auth="api_key",
        signs_webhooks=False,
    ),
    connector=f"{__name__}:built",
    reader=f"{__name__}:read",
    scheme=f"{__name__}:Unsigned",
    headers=(":method", ":path", ":client"),
    splitter=f"{__name__}:split",
)


@pytest.fixture(autouse=True)
def many(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if a package had it among its entry points, and another tried to take a name of ours."""
    points = [EntryPoint(name, f"{__name__}:MANY", systems.ENTRY_POINTS) for name in ("many", "greenhouse")]
    for module, found in ((systems, systems._added), (vendors, vendors.added)):
        monkeypatch.setattr(module, "entry_points", lambda group: points if group == systems.ENTRY_POINTS else [])
        found.cache_clear()
    yield
    systems._added.cache_clear()
    vendors.added.cache_clear()
    vendors.imported.cache_clear()


def test_a_packages_vendor_is_known_everywhere_and_a_name_of_ours_stays_ours():
    assert vendor_of("many") is MANY
    assert vendor_of("greenhouse") is VENDORS["greenhouse"]
    assert vendor_of("nobody") is None
    assert "many" in connectors_of(Side.ADVOCACY)
    assert "many" not in connectors_of(Side.ATS)


def test_every_vendor_of_ours_names_what_there_is():
    for name, vendor in VENDORS.items():
        assert vendor.facts is SYSTEMS[name]
        assert callable(vendors.imported(vendor.connector))
        sends_webhooks = vendor.facts.auth != "none"
        assert all(callable(thing) for thing in (vendor.read, vendor.verifier) if sends_webhooks)


# ---------------------------------------------------------------- many events in one delivery


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open("sqlite:///ledger.sqlite", home=tmp_path) as opened:
        yield opened


def body(*about: str) -> bytes:
    return json.dumps([{"id": n, "kind": "changed", "about": one} for n, one in enumerate(about)]).encode()


def test_each_event_of_a_delivery_becomes_one_of_its_own_once(ledger: Ledger):
    cipher = Cipher(Fernet.generate_key().decode())
    rows = [("many", "d1", body("A", "B")), ("advocacy", "d2", b'{"type": "ping"}'), ("many", "d3", body())]
    assert commit(ledger, cipher, rows) == [("changed", True), ("ping", True), ("none", False)]
    events = {event.delivery_id: event for event in ledger.inbox_events(system="many", limit=10)}
    assert {i: event.subject for i, event in events.items()} == {"d1:0": "referral:A", "d1:1": "referral:B"}
    assert json.loads(cipher.decrypt(events["d1:1"].body or b""))["about"] == "B"
    assert commit(ledger, cipher, rows[:2]) == [("changed", False), ("ping", False)]
    # Sent again with one more, as after a lost answer: that one is new.
    assert commit(ledger, cipher, [("many", "d1", body("A", "B", "C"))]) == [("changed", True)]
    assert len(ledger.inbox_events(system="many", limit=10)) == 3


@pytest.mark.parametrize("wrong", [b"{}", b'"words"', b"[1]", b"[[", b'[{"kind": "changed"}]'])
def test_a_delivery_of_another_form_is_malformed_and_nothing_of_it_is_kept(ledger: Ledger, wrong: bytes):
    cipher = Cipher(Fernet.generate_key().decode())
    assert commit(ledger, cipher, [("many", "d1", wrong)]) == [None]
    assert ledger.inbox_events(limit=10) == []


def test_a_packages_mistake_holds_up_no_delivery_of_others_and_loses_none_of_its_own(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    def broken(payload: Any) -> Any:
        raise RuntimeError("jane.doe@example.com")

    cipher = Cipher(Fernet.generate_key().decode())
    for number, name in enumerate(("read", "split")):
        monkeypatch.setattr(f"{__name__}.{name}", broken)
        vendors.imported.cache_clear()
        taken = commit(
            ledger, cipher, [("many", f"m{number}", body("A")), ("advocacy", f"a{number}", b'{"type": "ping"}')]
        )
        assert taken == [("other", True), ("ping", True)]
    vendors.imported.cache_clear()
    kept = {event.delivery_id: event for event in ledger.inbox_events(system="many", limit=10)}
    assert kept.keys() == {"m0:0", "m1"}
    assert cipher.decrypt(kept["m1"].body or b"") == body("A")


def test_a_system_with_one_event_a_delivery_keeps_its_id_and_its_bytes():
    assert split_delivery("advocacy", "d1", b"{ }", {}) == [("d1", b"{ }", {})]
    assert split_delivery("advocacy", "d1", b"[]", []) is None
    assert read_event("many", {"kind": "changed", "about": "A"}).subject == "referral:A"


def test_a_scheme_without_keys_reads_the_request_itself(tmp_path: Path):
    keyring = Keyring("many", None, load_settings(tmp_path))
    assert keyring.problem() is None
    told = {":method": "POST", ":path": "/webhooks/many", ":client": "192.0.2.7"}
    now = datetime.fromisoformat("2026-03-01T00:00:00+00:00")
    assert keyring.verifier().verify(told, b"[]", now) == "POST /webhooks/many 2"
    with pytest.raises(SignatureRefused):
        keyring.verifier().verify({**told, ":client": "192.0.2.8"}, b"[]", now)


# ---------------------------------------------------------------- calls with an API key


@pytest.mark.parametrize(
    ("bearer", "sent"), [(True, "Bearer a-key"), (False, "Basic " + base64.b64encode(b"a-key:").decode())]
)
def test_an_api_key_goes_with_every_call_and_a_client_id_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bearer: bool, sent: str
):
    monkeypatch.setenv("MANY_API_KEY", "a-key")
    text = integration_yaml(Choices(advocacy="many"))
    assert "MANY_CLIENT_ID" not in text
    assert "MANY_WEBHOOK_SECRET" not in text
    with serving(lambda _: Reply(200, {"fine": True})) as server:
        contract = parse_contract(text)
        advocacy = contract.advocacy.model_copy(update={"base_url": server.url, "options": {"bearer": bearer}})
        contract = contract.model_copy(update={"advocacy": advocacy})
        client = MANY.build(Build(contract, load_settings(tmp_path), Side.ADVOCACY, state_dir=tmp_path))
        assert client.get("things.list", "/things").data == {"fine": True}
        client.close()
        (seen,) = server.seen
    assert {name.lower(): value for name, value in seen.headers.items()}["authorization"] == sent
    assert b"a-key" not in (tmp_path / "rate_budget.sqlite").read_bytes()


def test_a_system_with_a_client_needs_its_id_and_one_that_signs_its_secret():
    text = integration_yaml(Choices())
    for name in ("client_id_env", "webhook_secret_env"):
        lines = [line for line in text.splitlines() if not line.startswith(f"  {name}: GREENHOUSE")]
        with pytest.raises(ContractError, match=rf"ats\.{name}: found nothing"):
            parse_contract("\n".join(lines) + "\n")


def test_a_client_without_an_id_is_refused_by_its_key(tmp_path: Path):
    contract = parse_contract(integration_yaml(Choices(advocacy="many")))
    build = Build(contract, load_settings(tmp_path), Side.ADVOCACY)
    with pytest.raises(ConnectorError, match=r"advocacy\.client_id_env"):
        build.client(token_url="http://127.0.0.1:1", timeouts=Timeouts(1, 1), retry=RetryPolicy())
