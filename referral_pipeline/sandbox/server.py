"""One process with both sandboxes: rows, apps, faults, sockets.

Belongs here: putting the pieces together and running them in one event loop. Does not belong here: command line
(`__main__`), starting this process from another one (`launch`).
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import signal
import socket
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from datetime import datetime
from email.utils import formatdate
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from referral_pipeline.sandbox.ats import AtsSandbox, ats_sandbox
from referral_pipeline.sandbox.crm import CrmSandbox, crm_sandbox
from referral_pipeline.sandbox.drift import Drift
from referral_pipeline.sandbox.faults import Faults
from referral_pipeline.sandbox.platforms import AdvocacySandbox, platform_of
from referral_pipeline.sandbox.programme import Programme, ProgrammeSize, generate
from referral_pipeline.sandbox.webhooks.emitter import Emitter
from referral_pipeline.sandbox.webhooks.modes import check_address
from referral_pipeline.sandbox.webhooks.surface import WithWebhooks

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Options:
    """All that a sandbox process can be told. Ports 0: free ones. `rate_limit` None: a generous one for the ATS."""

    seed: int = 7
    as_of: datetime | None = None
    size: ProgrammeSize = field(default_factory=ProgrammeSize)
    faults: float = 0.0
    fault_kinds: Sequence[str] | None = None
    advocacy_port: int = 0
    ats_port: int = 0
    rate_limit: int | None = None
    advocacy: str = "advocacy"
    advocacy_switches: Mapping[str, Any] = field(default_factory=dict[str, Any])
    ats: str = "greenhouse"
    ats_switches: Mapping[str, Any] = field(default_factory=dict[str, Any])
    crm: str | None = None
    crm_port: int = 0
    crm_switches: Mapping[str, Any] = field(default_factory=dict[str, Any])
    webhooks_to: str | None = None


@dataclass(frozen=True)
class Apps:
    """The sandboxes, ready to be served; `crm_app` where a CRM is played."""

    advocacy_app: ASGIApp
    ats_app: ASGIApp
    advocacy: AdvocacySandbox
    ats: AtsSandbox
    programme: Programme
    emitters: tuple[Emitter, ...]
    crm_app: ASGIApp | None = None


class WithTruth:
    """Adds `GET /_sandbox/truth` to an app."""

    def __init__(self, app: ASGIApp, truth: Mapping[str, Any]) -> None:
        self.app = app
        self._body = json.dumps(truth, ensure_ascii=False).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the truth, or pass on."""
        if scope["type"] != "http" or scope["path"] != "/_sandbox/truth":
            await self.app(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(self._body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self._body})


def build(options: Options) -> Apps:
    """Generate the programme and put both apps over it."""
    platform = platform_of(options.advocacy)
    programme = generate(options.seed, options.as_of, options.size, platform.countries)
    ats = ats_sandbox(options.ats)(programme, options)
    advocacy = platform.make()(programme, ats, options)
    truth = advocacy.truth

    def finish(app: ASGIApp, seed: int, emitter: Emitter, arrived: Sequence[dict[str, Any]]) -> ASGIApp:
        told = WithWebhooks(app, emitter, lambda since: list(arrived[bisect_left(arrived, since, key=_at) :]))
        return Faults(Drift(WithTruth(told, truth)), options.faults, options.fault_kinds, seed)

    crm: CrmSandbox | None = crm_sandbox(options.crm)(options.crm_switches) if options.crm else None
    return Apps(
        finish(advocacy.app, options.seed, advocacy.emitter, advocacy.arrivals),
        finish(ats.app, options.seed + 1, ats.emitter, ats.arrivals),
        advocacy,
        ats,
        programme,
        (advocacy.emitter, ats.emitter, *([crm.emitter] if crm else [])),
        finish(crm.app, options.seed + 2, crm.emitter, ()) if crm else None,
    )


def _at(row: dict[str, Any]) -> float:
    return row["at"]


class _Server(uvicorn.Server):
    """A server that leaves signals to the process: two of them would take them from each other."""

    def capture_signals(self) -> Any:
        return nullcontext()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second. The `Date` of every answer is by the clock that the sandbox was given."""
        is_over = await super().on_tick(counter)
        date = formatdate(time.time() + cast("Faults", self.config.app).clock_seconds, usegmt=True).encode()
        self.server_state.default_headers = [(b"date", date), *self.config.encoded_headers]
        return is_over


def serve(options: Options, on_ready: Callable[[dict[str, Any]], None], *, parent_pipe: bool) -> None:
    """Serve until SIGTERM or SIGINT, or, with `parent_pipe`, until standard input ends (the parent is gone).

    `on_ready` gets {advocacy, advocacy_root, advocacy_url, advocacy_auth_url, ats, ats_root, ats_url, ats_auth_url,
    crm, crm_url, seed, as_of, size, webhooks_to}, once all do; `crm` and `crm_url` are None where no CRM is played.

    Raises:
        OSError: A port is taken.
        ValueError: `webhooks_to` is no address of a receiver.
    """
    if options.webhooks_to is not None:
        check_address(options.webhooks_to)
    sockets = [_listen(options.advocacy_port), _listen(options.ats_port)]
    sockets += [_listen(options.crm_port)] if options.crm else []
    apps = build(options)
    served = [apps.advocacy_app, apps.ats_app, *([apps.crm_app] if apps.crm_app else [])]
    # What a client does to a connection that was reset on purpose is no error of the server.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    servers = [
        _Server(
            uvicorn.Config(
                app,
                lifespan="off",
                access_log=False,
                log_config=None,
                timeout_graceful_shutdown=1,
                timeout_keep_alive=60,
                backlog=256,
            )
        )
        for app in served
    ]
    advocacy_root, ats_root, *crm_urls = (f"http://{HOST}:{listener.getsockname()[1]}" for listener in sockets)
    ready = {
        "advocacy": options.advocacy,
        "advocacy_root": advocacy_root,
        "advocacy_url": f"{advocacy_root}{apps.advocacy.base_path}",
        "advocacy_auth_url": f"{advocacy_root}{apps.advocacy.token_path}" if apps.advocacy.token_path else None,
        "ats": options.ats,
        "ats_root": ats_root,
        "ats_url": f"{ats_root}{apps.ats.base_path}",
        "ats_auth_url": f"{ats_root}{apps.ats.token_path}" if apps.ats.token_path else None,
        "crm": options.crm,
        "crm_url": next(iter(crm_urls), None),
        "seed": options.seed,
        "as_of": apps.programme.truth["as_of"],
        "size": asdict(options.size),
        "webhooks_to": options.webhooks_to,
    }

    # What is loaded stays for good; looking through all of it again and again costs milliseconds each time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    # Webhooks go out from a thread of their own, which should not wait 5 ms for its turn.
    sys.setswitchinterval(0.001)

    async def run() -> None:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            for server in servers:
                server.should_exit = True

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        if parent_pipe:
            threading.Thread(target=_wait_for_end_of_input, args=(loop, stop), daemon=True).start()
        serving = [
            asyncio.create_task(server.serve(sockets=[listener]))
            for server, listener in zip(servers, sockets, strict=True)
        ]
        while not all(server.started for server in servers):
            await asyncio.sleep(0.01)
        on_ready(ready)
        if options.webhooks_to is not None:
            for emitter in apps.emitters:
                emitter.set({"url": options.webhooks_to})
        await asyncio.gather(*serving)
        for emitter in apps.emitters:
            emitter.stop()

    asyncio.run(run())


def _listen(port: int) -> socket.socket:
    # asyncio sets TCP_NODELAY only on sockets that say they are TCP; without it each answer waits 40 ms for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise OSError(f"port {port} of {HOST}: {error.strerror}; choose another one") from None
    return listener


def _wait_for_end_of_input(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """The parent holds the other end of standard input and never writes: its end is the parent's end."""
    sys.stdin.buffer.read()
    loop.call_soon_threadsafe(stop)
