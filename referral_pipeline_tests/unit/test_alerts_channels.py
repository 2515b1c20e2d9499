"""How an alert travels: mail over a real SMTP server, posts to a real HTTP server, and nothing injected on the way."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.contract.models import EmailChannel
from referral_pipeline.monitoring.channels import DeliveryFailed, channels_of
from referral_pipeline.monitoring.messages import Message
from referral_pipeline.settings import load_settings
from referral_pipeline_tests.unit.alert_rig import (
    OUTAGE,
    SECRET,
    START,
    Mailbox,
    contract_with,
    hook_channel,
    mail_channel,
    mail_server,
    verified,
)
from referral_pipeline_tests.unit.scripted_server import Reply, serving

MESSAGE = Message(
    id="alert_1_5",
    kind="fired",
    name=OUTAGE.name,
    subject=OUTAGE.subject,
    severity=OUTAGE.severity,
    what=OUTAGE.what,
    todo=OUTAGE.todo,
    owner="Talent Operations <talent-ops@example.com>",
    at=START,
    count=3,
    since=START,
    link=OUTAGE.link,
)
SLACK = "{type: slack, url_env: ALERT_SLACK_URL}"


@pytest.fixture
def box() -> Mailbox:
    return Mailbox()


def send(channel: str, message: Message, home: Path) -> None:
    channels_of(contract_with(channel), load_settings(home))[0].send(message)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for loopback with its key, trusted by nobody until a test says so."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


class Door:
    """Lets one account in, and remembers whether a password ever came."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        del server, session, envelope, mechanism
        self.asked += 1
        right = (data.login, data.password) == (b"bridge", b"right")
        return AuthResult(success=right, handled=right)


@pytest.fixture
def tls_server(certificate: Path, box: Mailbox) -> Iterator[tuple[int, Door]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    door = Door()
    with mail_server(box, tls_context=context, require_starttls=True, auth_required=True, authenticator=door) as port:
        yield port, door


SIGNED_IN = "starttls: on, username_env: ALERT_SMTP_USERNAME, password_env: ALERT_SMTP_PASSWORD"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_SMTP_USERNAME", "bridge")
    monkeypatch.setenv("ALERT_SMTP_PASSWORD", "right")


# ---------------------------------------------------------------- mail


def test_a_mail_says_what_how_many_since_when_what_to_do_and_where_to_look(box, tmp_path):
    with mail_server(box) as port:
        send(mail_channel(port), MESSAGE, tmp_path)
    (mail,) = box.mails
    assert box.recipients == ["ops@example.com"]
    assert mail["Subject"] == "ERROR: A system does not answer [breaker:greenhouse] (breaker_open)"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"] == "<alert_1_5@example.com>"
    text = mail.get_content()
    for part in (
        MESSAGE.what,
        "How many: 3",
        "Since: 2026-03-02 09:00:00 UTC",
        MESSAGE.todo,
        "Owner: Talent Operations",
    ):
        assert part in text
    assert "Look at: http://127.0.0.1:3000/runs/r1" in text


def test_mail_goes_to_the_owner_where_nobody_is_named(box, tmp_path):
    with mail_server(box) as port:
        send(mail_channel(port).replace('to: "ops@example.com", ', ""), MESSAGE, tmp_path)
    assert box.recipients == ["talent-ops@example.com"]


def test_mail_travels_under_tls_with_the_account_of_the_environment(
    box, tls_server, certificate, account, tmp_path, monkeypatch
):
    port, door = tls_server
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    send(mail_channel(port, SIGNED_IN), MESSAGE, tmp_path)
    assert len(box.mails) == 1
    assert door.asked == 1
    monkeypatch.setenv("ALERT_SMTP_PASSWORD", "wrong")
    with pytest.raises(DeliveryFailed, match="535"):
        send(mail_channel(port, SIGNED_IN), MESSAGE, tmp_path)


def test_no_password_is_given_to_a_server_that_is_not_trusted_or_speaks_no_tls(box, tls_server, account, tmp_path):
    port, door = tls_server
    with pytest.raises(DeliveryFailed, match="SSLCertVerificationError"):
        send(mail_channel(port, SIGNED_IN), MESSAGE, tmp_path)
    with (
        mail_server(box, authenticator=door, auth_require_tls=False) as plain,
        pytest.raises(DeliveryFailed, match="SMTPNotSupportedError"),
    ):
        send(mail_channel(plain, SIGNED_IN), MESSAGE, tmp_path)
    assert door.asked == 0
    assert box.mails == []


def test_what_a_mail_server_says_is_not_repeated_and_its_absence_is_a_failure(box, tmp_path):
    box.refuse = "550 ops@example.com has been given up"
    with mail_server(box) as port:
        with pytest.raises(DeliveryFailed) as refused:
            send(mail_channel(port), MESSAGE, tmp_path)
        assert "550" in str(refused.value)
        assert "ops@" not in str(refused.value)
        assert refused.value.answered
    with pytest.raises(DeliveryFailed, match="ConnectionRefusedError") as nobody:
        send(mail_channel(port), MESSAGE, tmp_path)
    assert not nobody.value.answered


EVIL = "x\r\nBcc: everybody@example.com\r\n\r\n<b>hello</b>"


def test_line_breaks_in_an_alert_add_no_header_and_no_recipient(box, tmp_path):
    with mail_server(box) as port:
        send(mail_channel(port), replace(MESSAGE, subject=EVIL, what=EVIL, todo=EVIL, owner=EVIL), tmp_path)
    (mail,) = box.mails
    assert box.recipients == ["ops@example.com"]
    assert mail["Bcc"] is None
    assert "Bcc: everybody" in mail["Subject"]


def test_a_long_subject_is_cut_and_the_name_that_the_runbook_has_is_not():
    title = replace(MESSAGE, subject="x" * 300, kind="repeated").title
    assert len(title) == 150
    assert title.endswith("x…] (breaker_open) (still open)")


TEXT = st.text(max_size=60) | st.text("<>&|!@#*_~`\r\n\0\u2028 abc", max_size=30)


@settings(max_examples=150, deadline=None)
@given(TEXT, TEXT, TEXT, TEXT)
def test_nothing_that_an_alert_holds_leaves_its_place(subject, what, todo, link):
    message = replace(MESSAGE, subject=subject, what=what, todo=todo, link=link)
    assert message.title.isprintable()
    assert message.as_line().isprintable()
    mail_lines = message.as_text().rstrip("\n").split("\n")
    assert all(part.isprintable() for part in mail_lines)
    slack = message.as_slack()["text"]
    bare = slack.replace(f"\n{slack.splitlines()[-1]}", "") if link else slack
    assert "<" not in bare
    assert ">" not in bare
    if link:
        assert slack.count("<") == slack.count(">") <= 1


def test_an_address_of_another_alphabet_is_written_as_mail_servers_take_it(box, tmp_path):
    with mail_server(box) as port:
        send(mail_channel(port).replace("ops@example.com", "ops@exämple.com"), MESSAGE, tmp_path)
    assert box.recipients == ["ops@xn--exmple-cua.com"]


# ---------------------------------------------------------------- posts


def test_slack_gets_text_in_which_nothing_pings_and_its_ok_is_a_yes(tmp_path, monkeypatch):
    with serving(lambda _: Reply(200, raw=b"ok", headers={"Content-Type": "text/html"})) as slack:
        monkeypatch.setenv("ALERT_SLACK_URL", f"{slack.url}/services/T0/B0/secret")
        send(SLACK, replace(MESSAGE, what="<!channel> see <http://evil.example|this> & *that*"), tmp_path)
    (seen,) = slack.seen
    text = seen.json["text"]
    assert seen.path == "/services/T0/B0/secret"
    assert "&lt;!channel&gt; see &lt;http://evil.example|this&gt; &amp; " in text
    assert text.endswith("<http://127.0.0.1:3000/runs/r1|Look at it>")
    assert "How many: 3" in text


def test_a_slack_address_without_https_is_not_used_and_never_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("ALERT_SLACK_URL", "http://hooks.example.com/services/secret")
    with pytest.raises(DeliveryFailed) as refused:
        send(SLACK, MESSAGE, tmp_path)
    assert str(refused.value) == "ALERT_SLACK_URL holds no https address"


@pytest.mark.parametrize("status", [301, 307, 400, 404, 429, 500])
def test_whatever_is_no_yes_is_a_failure_and_a_redirect_leads_nowhere(status, tmp_path, monkeypatch):
    with serving(lambda _: Reply(200, {})) as elsewhere:
        answer = Reply(status, {"error": "secret words"}, headers={"Location": f"{elsewhere.url}/x"})
        with serving(lambda _: answer) as slack:
            monkeypatch.setenv("ALERT_SLACK_URL", f"{slack.url}/services/secret")
            with pytest.raises(DeliveryFailed, match=str(status)) as refused:
                send(SLACK, MESSAGE, tmp_path)
            assert len(slack.seen) == 1
        assert elsewhere.seen == []
    assert "secret" not in str(refused.value)


def test_a_connection_that_breaks_off_is_a_failure(tmp_path, monkeypatch):
    monkeypatch.setenv("ALERT_WEBHOOK_SECRET", SECRET)
    with serving(lambda _: Reply(abort=True)) as hook, pytest.raises(DeliveryFailed, match="did not answer"):
        send(hook_channel(hook), MESSAGE, tmp_path)


def test_a_webhook_is_signed_over_the_bytes_that_travel_and_keeps_its_id(tmp_path, monkeypatch):
    monkeypatch.setenv("ALERT_WEBHOOK_SECRET", SECRET)
    with serving(lambda _: Reply(200, {})) as hook:
        send(hook_channel(hook), replace(MESSAGE, what="Zürich «naïve» 東京 🙂"), tmp_path)
        monkeypatch.setenv("ALERT_WEBHOOK_SECRET", SECRET.removeprefix("whsec_"))
        send(hook_channel(hook), MESSAGE, tmp_path)
    body = verified(hook.seen[0])
    assert verified(hook.seen[1])["data"]["what"] == MESSAGE.what
    assert body["type"] == "alert.fired"
    assert body["timestamp"] == "2026-03-02T09:00:00Z"
    assert body["data"]["what"] == "Zürich «naïve» 東京 🙂"
    assert body["data"]["link"] == MESSAGE.link
    assert {seen.headers["webhook-id"] for seen in hook.seen} == {"alert_1_5"}


def test_a_secret_that_is_none_is_said_by_the_name_of_its_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("ALERT_WEBHOOK_SECRET", "not base64!")
    with serving(lambda _: Reply(200, {})) as hook:
        with pytest.raises(DeliveryFailed, match="ALERT_WEBHOOK_SECRET holds no Standard Webhooks secret"):
            send(hook_channel(hook), MESSAGE, tmp_path)
        assert hook.seen == []


def test_channels_keep_their_order_and_a_second_one_of_a_type_its_own_name(tmp_path):
    text = f"{{type: log}}, {mail_channel(25)}, {mail_channel(26)}, {SLACK}"
    contract = contract_with(text)
    assert isinstance(contract.monitoring.alerts[1], EmailChannel)
    names = [channel.name for channel in channels_of(contract, load_settings(tmp_path))]
    assert names == ["log", "email", "email-2", "slack"]
