"""Which secrets a contract needs, and which of them are not there or cannot be right.

Belongs here: looking whether a variable is set and well formed. Does not belong here: trying a secret against a system
(`check` of the command line does), showing one.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from cryptography.fernet import Fernet

from referral_pipeline.contract.models import Contract
from referral_pipeline.contract.problems import Problem
from referral_pipeline.contract.rules import production_fault
from referral_pipeline.contract.values import is_loopback, url_fault
from referral_pipeline.settings import PREFIX, MissingSecret, Settings

MINIMUM_HASH_KEY = 16
"""Characters below which a key for hashes of e-mail addresses could be found by trying."""

_MAKE_KEY = 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
_MAKE_HASH_KEY = 'python -c "import secrets; print(secrets.token_hex(32))"'
_MAKE_SIGNING_WORDS = (
    "python -c \"import base64, secrets; print('whsec_' + base64.b64encode(secrets.token_bytes(24)).decode())\""
)


def missing_secrets(contract: Contract, settings: Settings) -> list[Problem]:
    """A problem for each secret that is not set, and for each key or alert channel's secret that is malformed.

    The key of a problem is the place of the contract that names the variable, or the variable itself for our own keys.
    No value is ever part of it.
    """
    return [*_own_keys(settings), *_of_systems(contract, settings), *_of_channels(contract, settings)]


def _of_systems(contract: Contract, settings: Settings) -> Iterator[Problem]:
    told: set[str] = set()
    for side, system in contract.systems().items():
        keys = ("client_id_env", "client_secret_env", "webhook_secret_env")
        own = [(f"{side}.{key}", variable) for key in keys if (variable := getattr(system, key))]
        for place, variable in [*own, *_named_in(system.options, f"{side}.options")]:
            try:
                settings.secret(variable)
            except MissingSecret as missing:
                if variable not in told:
                    told.add(variable)
                    yield Problem(place, f"found {variable} not set; allowed: a value", missing.mend)


def _named_in(options: Mapping[str, Any], place: str) -> Iterator[tuple[str, str]]:
    """Each variable that options name by a key that ends in `_env`, with its place."""
    for key, value in options.items():
        if isinstance(value, Mapping):
            yield from _named_in(cast("Mapping[str, Any]", value), f"{place}.{key}")
        elif key.endswith("_env") and isinstance(value, str):
            yield f"{place}.{key}", value


def _of_channels(contract: Contract, settings: Settings) -> Iterator[Problem]:
    for index, channel in enumerate(contract.monitoring.alerts):
        for key in ("username_env", "password_env", "url_env", "secret_env"):
            variable: str | None = getattr(channel, key, None)
            if variable is None:
                continue
            place = f"monitoring.alerts[{index}].{key}"
            try:
                value = settings.secret(variable)
            except MissingSecret as missing:
                yield Problem(place, f"found {variable} not set; allowed: a value", missing.mend)
                continue
            if key == "url_env" and (url_fault(value) or (production_fault(value) and not _is_local(value))):
                yield Problem(
                    place,
                    f"found {variable} without an https address in it; allowed: the address of the Slack webhook",
                    f"Copy the incoming webhook's address into {variable}",
                )
            if key == "secret_env" and not _is_signing_secret(value):
                yield Problem(
                    place,
                    f"found {variable} that is no Standard Webhooks secret; allowed: base64 after whsec_",
                    f"Make one with: {_MAKE_SIGNING_WORDS}",
                )


def _is_local(url: str) -> bool:
    return is_loopback(urlsplit(url).hostname or "")


def _is_signing_secret(text: str) -> bool:
    try:
        return bool(base64.b64decode(text.removeprefix("whsec_"), validate=True))
    except ValueError:
        return False


def _own_keys(settings: Settings) -> Iterator[Problem]:
    if settings.key is None:
        yield _unset("KEY", _MAKE_KEY)
    else:
        keys = [key.strip() for key in settings.key.get_secret_value().split(",")]
        wrong = sum(not _is_fernet_key(key) for key in keys)
        if wrong:
            yield Problem(
                f"{PREFIX}KEY",
                f"found {wrong} of {len(keys)} keys that are no Fernet keys; allowed: Fernet keys, comma separated",
                f"Make one with: {_MAKE_KEY}",
            )
    if settings.hash_key is None:
        yield _unset("HASH_KEY", _MAKE_HASH_KEY)
    elif len(settings.hash_key.get_secret_value()) < MINIMUM_HASH_KEY:
        yield Problem(
            f"{PREFIX}HASH_KEY",
            f"found fewer than {MINIMUM_HASH_KEY} characters; allowed: {MINIMUM_HASH_KEY} or more",
            f"Make one with: {_MAKE_HASH_KEY}",
        )


def _unset(name: str, command: str) -> Problem:
    return Problem(f"{PREFIX}{name}", "found it not set; allowed: a key", f"Make one with: {command}")


def _is_fernet_key(text: str) -> bool:
    try:
        Fernet(text.encode())
    except ValueError:
        return False
    return True
