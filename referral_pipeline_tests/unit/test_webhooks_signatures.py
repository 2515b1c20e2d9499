"""What is signed with any of the present keys is proved, and nothing else is; the reference library is the judge."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from referral_pipeline.settings import MissingSecret, load_settings
from referral_pipeline.webhooks import signatures
from referral_pipeline.webhooks.signatures import (
    GreenhouseSignature,
    Keyring,
    SignatureRefused,
    StandardWebhooks,
    UnusableSecret,
)
from referral_pipeline_tests.openapi import REFERENCE_DIR
from referral_pipeline_tests.unit.receiver_rig import NOW, advocacy_headers, greenhouse_headers, write_env

VECTORS = REFERENCE_DIR / "vectors" / "webhook_signatures.json"
BODY = b'{"test": 2432232314}'
KEYS = ["whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2, 3)]


def reason(scheme: StandardWebhooks | GreenhouseSignature, headers: dict[str, str], body: bytes = BODY) -> str:
    with pytest.raises(SignatureRefused) as refused:
        scheme.verify(headers, body, NOW)
    return refused.value.reason


@pytest.mark.skipif(not VECTORS.is_file(), reason="the published vectors are not here (set REFERENCE_DIR)")
def test_the_published_vector_is_proved() -> None:
    vector = json.loads(VECTORS.read_bytes())["standard_webhooks_v1"]
    headers = {name: str(vector[name]) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    at = datetime.fromtimestamp(vector["webhook-timestamp"], UTC)
    for secret in (vector["secret"], vector["secret"].removeprefix("whsec_")):
        assert StandardWebhooks([secret]).verify(headers, vector["body"].encode(), at) == vector["webhook-id"]


@given(text=st.text(st.characters(exclude_categories=["Cs"])), key=st.binary(min_size=1, max_size=64))
def test_what_the_reference_library_signs_is_proved_under_any_key(text: str, key: bytes) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    headers = advocacy_headers(text.encode(), "msg_7", secret=secret)
    for spelled in (secret, secret.rstrip("="), secret.replace("+", "-").replace("/", "_")):
        assert StandardWebhooks([KEYS[0], spelled]).verify(headers, text.encode(), NOW) == "msg_7"


def test_each_of_several_keys_and_of_several_signatures_is_enough() -> None:
    marks = [Webhook(key).sign("msg_1", NOW, BODY.decode()) for key in KEYS]
    headers = advocacy_headers(BODY, secret=KEYS[0])
    for told in (marks[0], f"{marks[1]} {marks[0]}", f"v1a,xyz {marks[2]} v2,{marks[0][3:]} {marks[0]}"):
        assert StandardWebhooks([KEYS[1], KEYS[0]]).verify({**headers, "webhook-signature": told}, BODY, NOW)
    assert reason(StandardWebhooks([KEYS[1]]), headers) == "wrong"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"webhook-id": "msg_2"}, "wrong"),
        ({"webhook-id": ""}, "unsigned"),
        ({"webhook-id": "x" * 201}, "malformed"),
        ({"webhook-id": "a b"}, "malformed"),
        ({"webhook-signature": ""}, "unsigned"),
        ({"webhook-signature": "v1,"}, "wrong"),
        ({"webhook-signature": "v1"}, "wrong"),
        ({"webhook-signature": ",,,"}, "wrong"),
        ({"webhook-signature": "v1,Äé"}, "wrong"),
        ({"webhook-signature": "v1,x " * 50}, "malformed"),
        ({"webhook-timestamp": "soon"}, "malformed"),
        ({"webhook-timestamp": "-1"}, "malformed"),
        ({"webhook-timestamp": "1e9"}, "malformed"),
        ({"webhook-timestamp": "٣"}, "malformed"),
        ({"webhook-timestamp": "9" * 400}, "malformed"),
        ({"webhook-timestamp": str(int(NOW.timestamp()) + 1)}, "wrong"),
    ],
)
def test_an_altered_header_is_refused(changed: dict[str, str], expected: str) -> None:
    assert reason(StandardWebhooks(KEYS), advocacy_headers(BODY, secret=KEYS[0]) | changed) == expected


def test_an_altered_body_is_refused() -> None:
    assert reason(StandardWebhooks(KEYS), advocacy_headers(BODY, secret=KEYS[0]), BODY + b" ") == "wrong"


@pytest.mark.parametrize(("seconds", "holds"), [(-301, False), (-299, True), (299, True), (301, False)])
def test_five_minutes_either_way_are_tolerated(seconds: int, holds: bool) -> None:
    headers = advocacy_headers(BODY, at=NOW + timedelta(seconds=seconds), secret=KEYS[0])
    scheme = StandardWebhooks(KEYS)
    if holds:
        assert scheme.verify(headers, BODY, NOW) == "msg_1"
    else:
        assert reason(scheme, headers) == "stale"


@pytest.mark.parametrize("secrets", [[], [""], ["whsec_"], ["not base64!"], ["é"], [KEYS[0], "x"]])
def test_a_secret_that_is_no_key_is_told_without_showing_it(secrets: list[str]) -> None:
    with pytest.raises(UnusableSecret) as told:
        StandardWebhooks(secrets)
    assert "base64!" not in str(told.value)


def test_greenhouse_signs_the_bytes_sent_and_names_the_event() -> None:
    body = rb'{"action":"x","payload":{"name":"\u003cAda\u003e"}}'
    headers = greenhouse_headers(body, "evt_9", secret="a")
    assert GreenhouseSignature(["b", "a"]).verify(headers, body, NOW) == "evt_9"
    assert reason(GreenhouseSignature(["a"]), headers, json.dumps(json.loads(body)).encode()) == "wrong"


def test_a_greenhouse_delivery_without_an_id_is_named_by_its_body() -> None:
    headers = greenhouse_headers(BODY, None, secret="a")
    assert GreenhouseSignature(["a"]).verify(headers, BODY, NOW) == hashlib.sha256(BODY).hexdigest()


@pytest.mark.parametrize(
    "told", ["", "sha256", "sha256 ", "sha256  {}", "SHA256 {}", "sha1 {}", "{}", "sha256 {} ", "sha256 é"]
)
def test_another_form_of_greenhouse_signature_is_refused(told: str) -> None:
    mark = greenhouse_headers(BODY, secret="a")["signature"].split()[1]
    headers = {"signature": told.format(mark)}
    assert reason(GreenhouseSignature(["a"]), headers) in {"unsigned", "malformed"}


def test_a_rotated_key_is_seen_without_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(signatures, "monotonic", lambda: clock[0])
    monkeypatch.delenv("GREENHOUSE_WEBHOOK_SECRET", raising=False)
    write_env(tmp_path, GREENHOUSE_WEBHOOK_SECRET="old")
    keyring = Keyring("greenhouse", "GREENHOUSE_WEBHOOK_SECRET", load_settings(tmp_path))
    signed = greenhouse_headers(BODY, secret="new")
    with pytest.raises(SignatureRefused):
        keyring.verifier().verify(signed, BODY, NOW)
    write_env(tmp_path, GREENHOUSE_WEBHOOK_SECRET="new, old")
    clock[0] += signatures.READ_AGAIN_SECONDS
    assert keyring.verifier().verify(signed, BODY, NOW) == "evt_1"
    assert keyring.verifier().verify(greenhouse_headers(BODY, secret="old"), BODY, NOW) == "evt_1"
    write_env(tmp_path, GREENHOUSE_WEBHOOK_SECRET=None)
    clock[0] += signatures.READ_AGAIN_SECONDS
    with pytest.raises(MissingSecret):
        keyring.verifier()
    assert keyring.problem() == "is not set"
