"""The connections of an HTTP client to its system's own host.

Belongs here: putting one request on the wire, with its timeouts. Does not belong here: tokens, retries, what an answer
means (http).
"""

from __future__ import annotations

import json as json_codec
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlencode

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse


@dataclass(frozen=True)
class Timeouts:
    """Seconds to wait for a connection, and for the next bytes of an answer."""

    connect: float = 5.0
    read: float = 30.0


@dataclass(frozen=True)
class Request:
    """One call as it is sent, on the system's own host.

    `repeatable` when doing it twice does no harm; `writes` when it changes anything there.
    """

    operation: str
    method: str
    url: str
    repeatable: bool
    params: Mapping[str, str] | None = None
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    writes: bool = False


class Connections:
    """The connections to the system's own host: those of the session, without what `Session.request` does each time.

    The session decides proxies and certificates, as for any other request, but once; merging its settings, cookies and
    hooks into every request costs more than sending it. Safe for threads.
    """

    def __init__(self, session: requests.Session, base_url: str, timeouts: Timeouts) -> None:
        self._session = session
        self._base_url = base_url
        self._timeout = urllib3.Timeout(connect=timeouts.connect, read=timeouts.read)
        self._headers = {**{name: str(value) for name, value in session.headers.items()}, "Accept": "application/json"}
        self._lock = threading.Lock()
        self._pool: urllib3.HTTPConnectionPool | None = None
        self._whole_urls = False

    def send(self, request: Request, token: str | None) -> BaseHTTPResponse:
        """Send once, without any retry or redirect. The body is still to be read."""
        pool = self._pool or self._connect()
        headers = {**self._headers, **request.headers}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        body = None
        if request.json is not None:
            body = json_codec.dumps(request.json, allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        url = request.url
        if request.params:
            url += ("&" if "?" in url else "?") + urlencode(request.params)
        if not self._whole_urls:
            url = _target(url)
        return pool.urlopen(
            request.method,
            url,
            body=body,
            headers=headers,
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=self._timeout,
            preload_content=False,
        )

    def close(self) -> None:
        """Forget the connections; the session closes them."""
        with self._lock:
            self._pool = None

    def _connect(self) -> urllib3.HTTPConnectionPool:
        session = self._session
        with self._lock:
            if self._pool is None:
                sample = session.prepare_request(requests.Request("GET", self._base_url))
                adapter = cast("HTTPAdapter", session.get_adapter(self._base_url))
                found = adapter.get_connection_with_tls_context(sample, session.verify, session.proxies, session.cert)
                pool = cast("urllib3.HTTPConnectionPool", found)
                adapter.cert_verify(pool, self._base_url, session.verify, session.cert)
                # True behind an HTTP proxy, which must be told the host.
                self._whole_urls = "://" in adapter.request_url(sample, session.proxies)
                self._pool = pool
            return self._pool


def _target(url: str) -> str:
    """What follows the host of a URL."""
    start = url.find("/", url.index("://") + 3)
    return url[start:] if start > 0 else "/"
