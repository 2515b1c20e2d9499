"""The receiver as a process.

Belongs here: the socket, the server, the heartbeat, a stop that loses nothing. Does not belong here: the surface
(`app`), restarting it (`up` does).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator, Sequence
from datetime import UTC, datetime
from typing import Any

import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from referral_pipeline.contract.loader import load_contract
from referral_pipeline.ledger.store import Ledger, LedgerError
from referral_pipeline.settings import Settings
from referral_pipeline.webhooks.app import RECEIVER, create_app
from referral_pipeline.webhooks.metrics import Metrics
from referral_pipeline.webhooks.protocol import BoundedHead
from referral_pipeline.webhooks.writer import COLLECT_AFTER, WriterProcess

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8780
BEAT_SECONDS = 3.0

_MOST_CONNECTIONS = 500
_DRAIN_SECONDS = 10
_log = logging.getLogger(__name__)


def serve(
    settings: Settings, *, host: str = DEFAULT_HOST, port: int = DEFAULT_PORT, say: Callable[[str], None]
) -> None:
    """Receive webhooks until SIGTERM or SIGINT; then answer what is in, and return. For the main thread.

    Says one line once it listens. Port 0 takes a free one.

    Raises:
        OSError: the port is taken, or this machine has no such address.
        ContractError, LedgerError, MissingSecret, CryptoError: it cannot work at all; the message says why.
    """
    contract = load_contract(settings)
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    listener = _listen(host, port)
    with listener, Ledger.open(contract.ledger.url, home=settings.home) as ledger, contextlib.ExitStack() as stack:
        writer = WriterProcess(settings)
        stack.callback(writer.close)
        app = create_app(
            contract=contract,
            settings=settings,
            ledger=ledger,
            clock=lambda: datetime.now(UTC),
            commit_rows=writer.commit,
        )
        # What a sender does to its own connection is no error of the server, and its log lines could show what it sent.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        server = _Server(config(app, settings.trusted_proxies))
        address = _address(listener)

        async def run() -> None:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, server.stop)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started and not serving.done():
                await asyncio.sleep(0.01)
            # What is loaded by now stays: the collector need not walk through it again between two requests.
            gc.collect()
            gc.freeze()
            gc.set_threshold(COLLECT_AFTER)
            if server.started:
                say(f"receiver ready: {address}")
            await serving

        factory = server.config.get_loop_factory()
        metrics: Metrics = app.state.metrics

        def details() -> dict[str, Any]:
            return {"refused_for_time": metrics.lately_refused_for_time(datetime.now(UTC))}

        with _heartbeat(ledger, address, details), asyncio.Runner(loop_factory=factory) as runner:
            runner.run(run())


def config(app: Any, trusted_proxies: Sequence[str] = ()) -> uvicorn.Config:
    """How the receiver is served: also what a benchmark must serve its yardstick with.

    Who a sender is, only these proxies are believed to tell; without any, it is whoever connects.
    """
    return uvicorn.Config(
        app,
        http=BoundedHead,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        backlog=512,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )


class _Server(uvicorn.Server):
    """Leaves signals to `serve`, so that a stop ends in a return and not in the signal's own exit."""

    def capture_signals(self) -> Any:
        return contextlib.nullcontext()

    def stop(self) -> None:
        """Finish what is in, then end; asked twice, end at once."""
        self.force_exit = self.should_exit
        self.should_exit = True


@contextlib.contextmanager
def _heartbeat(ledger: Ledger, address: str, details: Callable[[], dict[str, Any]]) -> Generator[None]:
    """Beats while the block runs, and is forgotten afterwards: a receiver that ended cleanly is not missed."""
    owner = f"{socket.gethostname()}:{os.getpid()}"
    over = threading.Event()

    def beat() -> None:
        while True:
            try:
                ledger.beat(RECEIVER, owner, address=address, details=details())
            except Exception as error:  # noqa: BLE001 a full disk, a lock: the next one may be kept again
                _log.warning("no heartbeat: %s", type(error).__name__)
            if over.wait(BEAT_SECONDS):
                return

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        with contextlib.suppress(SQLAlchemyError, LedgerError, OSError):
            ledger.forget_heartbeat(RECEIVER, owner)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on sockets that say they are TCP; without it each answer waits 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OSError(f"port {port} of {host}: {error.strerror}; choose another one with --port") from None
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
