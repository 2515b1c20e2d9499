"""Reading the outside of an answer: rate headers, Retry-After, notices of withdrawal, next links, broken transport.

Belongs here: pure readers of responses and of transport errors. Does not belong here: sending or retrying.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.utils import parse_header_links
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, ReadTimeoutError

from referral_pipeline.connectors.calls import CallOutcome
from referral_pipeline.connectors.rate_budget import ServerWindow

_FAR_AWAY_SECONDS = 3600.0
"""A reset further away than this is a broken header, not a rate window."""
_CLOCK_SLACK_SECONDS = 2.0
"""`Date` carries whole seconds; smaller differences between the clocks say nothing."""

_RATE_HEADERS = (
    ("X-RateLimit-Limit", "X-RateLimit-Remaining"),
    ("X-HubSpot-RateLimit-Max", "X-HubSpot-RateLimit-Remaining"),
)
"""How vendors call the limit of a window and what is left of it."""
_HALF_A_SECOND = 0.5
"""What `Date` lacks on average: it is cut to whole seconds."""
_MOST_SKEW_MS = 2_000_000_000
"""Some 23 days: what is further off is told as that much; a record holds no larger number."""

Origin = tuple[str, str, int | None]


def origin(url: str) -> Origin:
    """Scheme, host and port of a URL, with the scheme's own port filled in."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port


def next_link(headers: Mapping[str, str]) -> str | None:
    """The `next` of the Link header; None when it is missing or empty, which both mean the last page."""
    told = headers.get("Link")
    if not told:
        return None
    links = parse_header_links(told)
    return next((link.get("url") or None for link in links if link.get("rel") == "next"), None)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait: Retry-After as seconds or as a date, else the reset of the rate window, else None."""
    told = headers.get("Retry-After", "").strip()
    if told:
        try:
            return min(max(float(told), 0.0), _FAR_AWAY_SECONDS)
        except ValueError:
            pass
        try:
            moment = parsedate_to_datetime(told).timestamp()
            return min(max(moment - _server_now(headers, now), 0.0), _FAR_AWAY_SECONDS)
        except ValueError:
            pass
    reset = _reset_at(headers, now)
    return max(reset - now, 0.0) if reset is not None and headers.get("X-RateLimit-Remaining") == "0" else None


def server_window(headers: Mapping[str, str], now: float) -> ServerWindow | None:
    """What the rate headers tell; None when there are none (a measured case: a 401 carries none)."""
    for names in _RATE_HEADERS:
        limit, remaining = (_whole(headers.get(name)) for name in names)
        if limit is not None or remaining is not None:
            return ServerWindow(limit=limit, remaining=remaining, reset_at=_reset_at(headers, now))
    return None


def clock_skew_ms(headers: Mapping[str, str], now: float) -> int | None:
    """How far the server's clock is ahead of ours, to about half a second; None without a readable `Date`."""
    try:
        told = parsedate_to_datetime(headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return None
    skew = round((told + _HALF_A_SECOND - now) * 1000)
    return max(-_MOST_SKEW_MS, min(skew, _MOST_SKEW_MS))


def notices(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """What an answer says of the end of its operation: ("deprecation" or "sunset", the day in UTC, "" without one).

    `Deprecation` is "@" and epoch seconds (RFC 9745), in older drafts a date of HTTP or "true"; `Sunset` is a date of
    HTTP (RFC 8594).
    """
    found: list[tuple[str, str]] = []
    for name in ("Deprecation", "Sunset"):
        told = headers.get(name, "").strip()
        if told and told.lower() not in {"false", "?0"}:
            found.append((name.lower(), _day(told)))
    return found


def _day(told: str) -> str:
    try:
        if told.startswith("@"):
            return datetime.fromtimestamp(int(told[1:]), UTC).date().isoformat()
        return parsedate_to_datetime(told).astimezone(UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return ""


def _reset_at(headers: Mapping[str, str], now: float) -> float | None:
    """X-RateLimit-Reset in our own clock: the vendor's epoch, corrected by how far its `Date` is from us."""
    told = _whole(headers.get("X-RateLimit-Reset"))
    if told is None:
        return None
    local = told - (_server_now(headers, now) - now)
    return local if abs(local - now) <= _FAR_AWAY_SECONDS else None


def _server_now(headers: Mapping[str, str], now: float) -> float:
    try:
        told = parsedate_to_datetime(headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return now
    return told if abs(told - now) > _CLOCK_SLACK_SECONDS else now


def _whole(text: str | None) -> int | None:
    try:
        return int(float(text)) if text is not None else None
    except ValueError:
        return None


def json_or_none(body: bytes) -> Any:
    """The decoded body, or None when it is no JSON."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def describe(headers: Mapping[str, str], body: bytes) -> str:
    """An answer that is no JSON, in words that show nothing of it."""
    kind = headers.get("Content-Type", "").split(";")[0].strip() or "no content type"
    return f"{len(body)} bytes of {kind}" if body else ""


def outcome_of(status: int) -> CallOutcome:
    """How a status is counted."""
    if status < 300:
        return CallOutcome.OK
    if status >= 500:
        return CallOutcome.SERVER_ERROR
    return {
        401: CallOutcome.UNAUTHORIZED,
        404: CallOutcome.NOT_FOUND,
        408: CallOutcome.TIMEOUT,
        409: CallOutcome.CONFLICT,
        429: CallOutcome.RATE_LIMITED,
    }.get(status, CallOutcome.REFUSED)


def transport_outcome(error: BaseException) -> CallOutcome:
    """How an error of the transport is counted. UNREACHABLE means: certainly no request was received."""
    chain = list(_chain(error))
    if any(isinstance(link, ConnectTimeoutError | NewConnectionError | requests.ConnectTimeout) for link in chain):
        return CallOutcome.UNREACHABLE
    if any(isinstance(link, ReadTimeoutError | requests.ReadTimeout | TimeoutError) for link in chain):
        return CallOutcome.TIMEOUT
    return CallOutcome.BROKEN


def is_untrusted(error: BaseException) -> bool:
    """Whether the other side's certificate was refused: nothing was sent, and waiting does not help."""
    return any(isinstance(link, ssl.SSLCertVerificationError) for link in _chain(error))


def _chain(error: BaseException) -> list[BaseException]:
    """An error and all that caused it; urllib3 and requests keep the cause in `reason` and in `args`."""
    found: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        link = todo.pop()
        if not isinstance(link, BaseException) or any(link is known for known in found):
            continue
        found.append(link)
        todo += [link.__cause__, *link.args]
        if isinstance(link, MaxRetryError):
            todo.append(link.reason)
        elif isinstance(link, OSError | requests.RequestException):
            todo.append(getattr(link, "reason", None))
    return found
