"""The kinds of value that a contract is written in: switches, addresses, e-mail, countries, names of variables.

Belongs here: annotated types whose validators refuse in words. Does not belong here: rules over several keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from datetime import date
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address
from pathlib import PureWindowsPath
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BeforeValidator, Field

from referral_pipeline.contract.countries import COUNTRIES, SLIPS
from referral_pipeline.contract.problems import listed, refuse, shown

PRIVATE = {"private": True}
"""Marks a field whose value is described by its shape only."""

_SWITCH_WORDS = {"on": True, "yes": True, "true": True, "off": False, "no": False, "false": False}
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]+")
_LEAST_RATE, _MOST_RATE = Decimal("1e-9"), Decimal("1e9")
_NO_MONEY = {"XXX", "XTS", "EURO", "DOL"}


def url_fault(text: str) -> str | None:
    """Why this is no address of an HTTP API, without showing what it carries; None when it is one."""
    if any(c.isspace() or not c.isprintable() for c in text):
        return "an address with spaces in it"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return "an address whose host or port cannot be read"
    if parts.scheme not in {"http", "https"}:
        return (
            f"an address of scheme {shown(parts.scheme)}" if "://" in text else "an address without http:// or https://"
        )
    if parts.username is not None or parts.password is not None:
        return "an address that carries a user name or password"
    if not parts.hostname or not _HOST.fullmatch(parts.hostname):
        return "an address without a valid host"
    if port == 0:
        return "an address with port 0"
    if parts.query or parts.fragment:
        return "an address with a query or fragment"
    return None


def _url(text: str) -> str:
    fault = url_fault(text)
    if fault:
        raise refuse(
            f"found {fault}; allowed: http(s)://host[:port][/path]", "Write it like https://harvest.greenhouse.io/v3"
        )
    return text.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself."""
    host = host.rstrip(".").casefold()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _host(text: str) -> str:
    if _HOST.fullmatch(text):
        return text
    raise refuse(
        f"found {shown(text, private=True)}; allowed: the name or address of a host, without port or scheme",
        "Write it like smtp.example.com",
    )


def _switch(value: Any) -> Any:
    return _SWITCH_WORDS.get(value.strip().casefold(), value) if isinstance(value, str) else value


def _email(text: str) -> str:
    try:
        validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        raise refuse(
            f"found {shown(text, private=True)} that is no e-mail address; allowed: one e-mail address",
            "Name a person or a group that answers, like talent-ops@example.com",
        ) from None
    return text


def _country(text: str) -> str:
    if text in COUNTRIES:
        return text
    meant = SLIPS.get(text.strip().upper(), text.strip().upper())
    hint = f"Did you mean {meant}?" if meant in COUNTRIES else "Write two capital letters, like DE"
    raise refuse(f"found {shown(text)}; allowed: ISO 3166 alpha-2 codes", hint)


def _currency(text: str) -> str:
    if re.fullmatch(r"[A-Z]{3}", text) and text not in _NO_MONEY:
        return text
    upper = text.strip().upper()
    good = re.fullmatch(r"[A-Z]{3}", upper) and upper not in _NO_MONEY
    raise refuse(
        f"found {shown(text)}; allowed: an ISO 4217 code of three capital letters",
        f"Did you mean {upper}?" if good else "Write it like USD or EUR",
    )


def _env_name(text: str) -> str:
    # An underscore is required: key ids of some vendors are capitals and digits too, and the name is shown in messages.
    if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", text) and len(text) <= 80:
        return text
    raise refuse(
        f"found {shown(text, private=True)}; allowed: the name of an environment variable, like GREENHOUSE_CLIENT_ID",
        "Put the secret into the environment and write here only the variable's name",
    )


def _ledger_url(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    dialect = scheme.partition("+")[0]
    if separator and dialect in {"sqlite", "postgresql"} and len(rest.strip("/")) > 0:
        return text
    raise refuse(
        f"found {shown(text, private=True)}; allowed: sqlite:///path/to/file or postgresql://host/database",
        "Write it like sqlite:///data/state/ledger.sqlite",
    )


def _file_path(text: str) -> str:
    is_address = "://" in text or re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", text)
    if text.strip() and "\0" not in text and (not is_address or PureWindowsPath(text).drive):
        return text
    raise refuse(
        f"found {shown(text, private=True)}; allowed: the path of one DuckDB file",
        "Write it like data/state/warehouse.duckdb",
    )


def _input_path(text: str) -> str:
    is_address = "://" in text or re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", text)
    if text.strip() and "\0" not in text and (not is_address or PureWindowsPath(text).drive):
        return text
    raise refuse(
        f"found {shown(text, private=True)}; allowed: the path of a CSV or XLSX file, or of a folder of them",
        "Write it like data/costs",
    )


def _rate(value: Any) -> Any:
    """Text or a number as it is written; never by way of binary fractions, so that a stated rate stays what it is."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise refuse(f"found {shown(value)}; allowed: a number above 0", 'Write it like "1.0837"')
    text = str(value).strip()
    try:
        rate = Decimal(text) if re.fullmatch(r"[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?", text) else None
    except InvalidOperation:
        rate = None
    if rate is None or not _LEAST_RATE <= rate <= _MOST_RATE:
        raise refuse(
            f"found {shown(value)}; allowed: a number from 0.000000001 to 1000000000, with a dot before its decimals",
            'Write what one unit of the currency is worth, like "1.0837"',
        )
    return rate


def _day(value: Any) -> Any:
    if type(value) is date:
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise refuse(f"found {shown(value)}; allowed: a day, year first", "Write it like 2026-09-30")


def no_repeats(what: str) -> Callable[[tuple[Hashable, ...]], tuple[Hashable, ...]]:
    """A validator that refuses a list in which a value comes twice."""

    def check(values: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
        repeated = [value for value in dict.fromkeys(values) if values.count(value) > 1]
        if repeated:
            raise refuse(f"found {listed(map(str, repeated))} more than once; allowed: each {what} once", "Keep one")
        return values

    return check


Switch = Annotated[bool, Field(strict=True, description="on or off", examples=["on"]), BeforeValidator(_switch)]
Url = Annotated[str, AfterValidator(_url), Field(description="an http(s) address", json_schema_extra={**PRIVATE})]
MailHost = Annotated[
    str,
    AfterValidator(_host),
    Field(description="the name of a mail server", examples=["smtp.example.com"], json_schema_extra={**PRIVATE}),
]
Email = Annotated[str, AfterValidator(_email), Field(description="one e-mail address", json_schema_extra={**PRIVATE})]
Country = Annotated[str, AfterValidator(_country), Field(description="an ISO 3166 alpha-2 code, quoted or not")]
Currency = Annotated[str, AfterValidator(_currency), Field(description="an ISO 4217 code", examples=["USD"])]
EnvName = Annotated[
    str,
    AfterValidator(_env_name),
    Field(description="the name of an environment variable", json_schema_extra={**PRIVATE}),
]
LedgerUrl = Annotated[
    str, AfterValidator(_ledger_url), Field(description="a database address", json_schema_extra={**PRIVATE})
]
FilePath = Annotated[
    str, AfterValidator(_file_path), Field(description="the path of a file", json_schema_extra={**PRIVATE})
]
InputPath = Annotated[
    str,
    AfterValidator(_input_path),
    Field(description="the path of a file or folder", examples=["data/costs"], json_schema_extra={**PRIVATE}),
]
ExchangeRate = Annotated[
    Decimal, BeforeValidator(_rate), Field(description="a number above 0, as text or not", examples=['"1.0837"'])
]
Day = Annotated[date, BeforeValidator(_day), Field(description="a day", examples=["2026-09-30"])]


def _time_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError):
        raise refuse(
            f"found {shown(text)}; allowed: a name of the IANA time zones", "Write it like Europe/Berlin"
        ) from None
    return text


TimeZone = Annotated[str, AfterValidator(_time_zone)]
"""A name of the IANA time zones."""
