"""Channels: one class for each way to reach the owner, and the one failure they have in common.

Belongs here: carrying one message over. Does not belong here: its words (`messages`), deciding whether, how often and
what (`alerts`).

A channel raises `DeliveryFailed` and nothing else, in words that hold no address, secret or personal data. Secrets are
read at every message, so that a rotated one is seen without a restart. Nothing waits longer than its timeouts.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import smtplib
import ssl
import sys
from collections.abc import Mapping
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email

from referral_pipeline.connectors.http import HttpClient, HttpFailure, RetryPolicy, Timeouts
from referral_pipeline.contract.models import Contract, EmailChannel, LogChannel, SlackChannel, WebhookChannel
from referral_pipeline.contract.rules import production_fault
from referral_pipeline.contract.sections import SMTPS_PORT
from referral_pipeline.contract.values import is_loopback, url_fault
from referral_pipeline.monitoring.messages import Message, line
from referral_pipeline.settings import MissingSecret, Settings

LOGGER = "referral_pipeline.alerts"
_MAIL_SECONDS = 8.0
_WAITS = Timeouts(connect=3.0, read=5.0)
_ONCE = RetryPolicy(max_attempts=1, deadline_seconds=10.0)
"""One attempt at a time: what failed stays in the ledger and is tried again from there."""


class DeliveryFailed(Exception):
    """A channel did not take a message. `answered` says that somebody was there and refused this one."""

    def __init__(self, words: str, *, answered: bool = False) -> None:
        self.answered = answered
        super().__init__(words)


class Channel(Protocol):
    """A way to reach the owner. `name` is what the ledger calls it."""

    @property
    def name(self) -> str:
        """The channel's name in the ledger and in messages; without a secret."""
        ...

    def send(self, message: Message) -> None:
        """Carry a message over.

        Raises:
            DeliveryFailed: it was not taken.
        """
        ...


def names_of(contract: Contract) -> list[str]:
    """What the channels of the contract are called, in its order."""
    names: list[str] = []
    times: dict[str, int] = {}
    for section in contract.monitoring.alerts:
        times[section.type] = number = times.get(section.type, 0) + 1
        names.append(section.type if number == 1 else f"{section.type}-{number}")
    return names


def channels_of(contract: Contract, settings: Settings) -> list[Channel]:
    """The channels of the contract, in its order: log, email, slack, webhook; a second one of a type is `email-2`."""
    channels: list[Channel] = []
    for section, name in zip(contract.monitoring.alerts, names_of(contract), strict=True):
        match section:
            case LogChannel():
                channels.append(Log(name))
            case EmailChannel():
                channels.append(Email(name, section, settings, owner=contract.owner.email))
            case SlackChannel():
                channels.append(Slack(name, section, settings))
            case WebhookChannel():
                channels.append(Webhook(name, section, settings))
    return channels


class Log:
    """The log of this process. Heard also where nobody has set up logging."""

    def __init__(self, name: str = "log") -> None:
        self.name = name

    def send(self, message: Message) -> None:
        """Write one line, at the level of the alert; a heartbeat and a recovery are information."""
        logger = logging.getLogger(LOGGER)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.INFO)  # the usual level is warnings, which would swallow the heartbeat
        if not logger.hasHandlers():
            handler = logging.StreamHandler(sys.stderr)
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
            logger.addHandler(handler)
        told = message.kind in ("recovered", "heartbeat")
        level = logging.INFO if told else logging.ERROR if message.severity == "error" else logging.WARNING
        logger.log(level, "%s", message.as_line())


class Email:
    """Mail over SMTP, under TLS unless the contract says otherwise."""

    def __init__(self, name: str, section: EmailChannel, settings: Settings, *, owner: str) -> None:
        self.name = name
        self._section = section
        self._settings = settings
        self._to = section.to or owner

    def send(self, message: Message) -> None:
        """Hand one mail to the server.

        Raises:
            DeliveryFailed: the server cannot be reached, does not speak TLS, or refuses.
        """
        section = self._section
        login = self._login()
        try:
            with self._connect() as server:
                if section.starttls and section.smtp_port != SMTPS_PORT:
                    server.starttls(context=ssl.create_default_context())
                if login:
                    server.login(*login)
                server.send_message(self._mail(message))
        except smtplib.SMTPResponseException as error:
            raise DeliveryFailed(
                f"the mail server answered {error.smtp_code} ({type(error).__name__})", answered=True
            ) from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            # Its own words may hold addresses.
            raise DeliveryFailed(f"the mail could not be handed over ({type(error).__name__})") from None

    def _connect(self) -> smtplib.SMTP:
        section = self._section
        if section.smtp_port == SMTPS_PORT:
            return smtplib.SMTP_SSL(
                section.smtp_host, section.smtp_port, timeout=_MAIL_SECONDS, context=ssl.create_default_context()
            )
        return smtplib.SMTP(section.smtp_host, section.smtp_port, timeout=_MAIL_SECONDS)

    def _login(self) -> tuple[str, str] | None:
        section = self._section
        if section.username_env is None or section.password_env is None:
            return None
        return _secret(self._settings, section.username_env), _secret(self._settings, section.password_env)

    def _mail(self, message: Message) -> EmailMessage:
        # Headers are made of one-line texts, and the library refuses a line break in them besides.
        mail = EmailMessage(policy=SMTP)
        mail["Subject"] = line(message.title)
        mail["From"] = Address("Referral Pipeline", addr_spec=_in_ascii(self._section.sender))
        mail["To"] = Address(addr_spec=_in_ascii(self._to))
        mail["Date"] = format_datetime(message.at)
        mail["Message-ID"] = f"<{message.id}@{_in_ascii(self._section.sender).rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"  # so that no out-of-office note comes back
        mail.set_content(message.as_text())
        return mail


class Slack:
    """An incoming webhook of Slack."""

    def __init__(self, name: str, section: SlackChannel, settings: Settings) -> None:
        self.name = name
        self._section = section
        self._settings = settings

    def send(self, message: Message) -> None:
        """Post one message.

        Raises:
            DeliveryFailed: the address is no https address, or Slack cannot be reached or refuses.
        """
        variable = self._section.url_env
        url = _secret(self._settings, variable)
        if url_fault(url) or (production_fault(url) and not _on_this_machine(url)):
            raise DeliveryFailed(f"{variable} holds no https address")
        _post(self.name, url, message.as_slack(), {})


class Webhook:
    """A signed post, as Standard Webhooks 1.0 says."""

    def __init__(self, name: str, section: WebhookChannel, settings: Settings) -> None:
        self.name = name
        self._section = section
        self._settings = settings

    def send(self, message: Message) -> None:
        """Post one message with its signature over the very bytes that travel.

        Raises:
            DeliveryFailed: the secret is none, or the receiver cannot be reached or refuses.
        """
        variable = self._section.secret_env
        try:
            key = base64.b64decode(_secret(self._settings, variable).removeprefix("whsec_"), validate=True)
        except ValueError:
            raise DeliveryFailed(f"{variable} holds no Standard Webhooks secret (base64 after whsec_)") from None
        body = message.as_event()
        at = str(int(message.at.timestamp()))
        signed = f"{message.id}.{at}.".encode() + json.dumps(body, allow_nan=False).encode()
        signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        headers = {"webhook-id": message.id, "webhook-timestamp": at, "webhook-signature": f"v1,{signature}"}
        _post(self.name, self._section.url, body, headers)


def _post(name: str, url: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    """One POST. Any answer of the 200s is a yes, JSON or not (Slack says `ok`); a redirect is not followed."""
    client = HttpClient(system=f"alerts:{name}", base_url=url, timeouts=_WAITS, retry=_ONCE)
    try:
        client.call("post", "POST", url, json=dict(body), headers=headers)
    except HttpFailure as failure:
        if failure.status is not None and 200 <= failure.status < 300:
            return
        answered = f"answered {failure.status}" if failure.status else "did not answer"
        words = f"the receiver {answered} ({type(failure).__name__})"
        raise DeliveryFailed(words, answered=failure.status is not None) from None
    finally:
        client.close()


def _secret(settings: Settings, variable: str) -> str:
    try:
        return settings.secret(variable).strip()
    except MissingSecret:
        raise DeliveryFailed(f"{variable} is not set") from None


def _on_this_machine(url: str) -> bool:
    return is_loopback(urlsplit(url).hostname or "")


def _in_ascii(address: str) -> str:
    """The address with its domain in ASCII, which every mail server takes."""
    try:
        return validate_email(address, check_deliverability=False).ascii_email or address
    except EmailNotValidError:
        return address
