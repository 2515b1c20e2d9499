"""What a connector is made from: contract, secrets, a session with rate budget, breaker, recorder and guard.

Belongs here: turning a section of the contract into a session. Does not belong here: which connector a name means
(`vendors`), what a connector does.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError

from referral_pipeline.connectors.breaker import Breaker
from referral_pipeline.connectors.failures import NotApproved
from referral_pipeline.connectors.field_names import MAPPED
from referral_pipeline.connectors.http import (
    ApiCall,
    ClientCredentials,
    Clock,
    HttpClient,
    Judge,
    RetryPolicy,
    Timeouts,
    WriteGuard,
)
from referral_pipeline.connectors.rate_budget import RateBudget
from referral_pipeline.connectors.rehearsal import hold_back
from referral_pipeline.connectors.shapes import ShapeRecorder
from referral_pipeline.contract.models import Contract, System
from referral_pipeline.settings import Settings
from referral_pipeline.vocabulary import Side

BUDGET_FILE = "rate_budget.sqlite"

Recorder = Callable[[ApiCall], None]
_Options = TypeVar("_Options", bound=BaseModel)


class ConnectorError(Exception):
    """A connector cannot be made from the contract: which key is at fault, and how to mend it."""

    def __init__(self, key: str, problem: str, mend: str) -> None:
        self.key = key
        self.problem = problem
        self.mend = mend
        super().__init__(f"{key}: {problem}. {mend}")


@dataclass(frozen=True)
class Build:
    """What a connector is made from. `state_dir` is None for a process that shares no rate budget.

    `breaker` and `retry` are for a process that comes back to what failed by itself: it gives up on a call sooner than
    a batch, which has only this one go. `guard` is asked before each write in production; without one nothing is
    written there at all. `rehearses`: each write is held back, everywhere, and can be looked at.
    """

    contract: Contract
    settings: Settings
    side: Side
    recorder: Recorder | None = None
    state_dir: Path | None = None
    clock: Clock | None = None
    breaker: Breaker | None = None
    retry: RetryPolicy | None = None
    guard: WriteGuard | None = None
    shapes: ShapeRecorder | None = None
    rehearses: bool = False

    @property
    def system(self) -> System:
        """The section of the contract."""
        return self.contract.systems()[self.side]

    def options(self, model: type[_Options]) -> _Options:
        """The connector's options as a model.

        Raises:
            ConnectorError: An option is unknown or out of range.
        """
        try:
            mapped = tuple(self.contract.tag_sources())
            return model.model_validate(self.system.options, context={MAPPED: mapped})
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            key = ".".join((str(self.side), "options", *map(str, first["loc"])))
            unknown = first["type"] == "extra_forbidden"
            problem = "found an unknown option" if unknown else first["msg"].removeprefix("Value error, ")
            raise ConnectorError(key, problem, f"Allowed options: {', '.join(model.model_fields)}") from None

    def client(
        self,
        *,
        token_url: str,
        timeouts: Timeouts,
        retry: RetryPolicy,
        subject: str | None = None,
        scope: str | None = None,
        default_limit: int | None = None,
    ) -> HttpClient:
        """A session with credentials, the shared rate budget, the breaker and the recorder.

        Raises:
            settings.MissingSecret: A secret that the contract names is not set.
        """
        system = self.system
        if system.client_id_env is None:
            raise ConnectorError(f"{self.side}.client_id_env", "names no variable", "Name the one of the client id")
        credentials = ClientCredentials(
            token_url=token_url,
            client_id=self.settings.secret(system.client_id_env),
            client_secret=self.settings.secret(system.client_secret_env),
            subject=subject,
            scope=scope,
        )
        return self._session(
            timeouts, retry, f"{system.connector}:{credentials.fingerprint}", default_limit, credentials=credentials
        )

    def api_key_client(
        self,
        *,
        scheme: Literal["basic", "bearer"],
        timeouts: Timeouts,
        retry: RetryPolicy,
        default_limit: int | None = None,
        judge: Judge | None = None,
        window_seconds: float = 30.0,
        base_url: str | None = None,
        key_env: str | None = None,
    ) -> HttpClient:
        """As `client`, for a system that is called with an API key: as a user name without a password, or as a token.

        `judge` tells refusals that the system answers as successes. `default_limit` counts the calls of each window of
        `window_seconds`, until the vendor says otherwise. `base_url` and `key_env` are for a second API of the same
        system, with an address and a key of its own.

        Raises:
            settings.MissingSecret: The key is not set.
        """
        key = self.settings.secret(key_env or self.system.client_secret_env)
        basic = base64.b64encode(f"{key}:".encode()).decode()
        # The budget is shared by whoever has the key; its name on the disk must not tell it.
        name = hashlib.sha256(key.encode()).hexdigest()[:16]
        return self._session(
            timeouts,
            retry,
            f"{self.system.connector}:{name}",
            default_limit,
            authorization=f"Basic {basic}" if scheme == "basic" else f"Bearer {key}",
            judge=judge,
            window_seconds=window_seconds,
            base_url=base_url,
        )

    def _session(
        self,
        timeouts: Timeouts,
        retry: RetryPolicy,
        account: str,
        default_limit: int | None,
        *,
        credentials: ClientCredentials | None = None,
        authorization: str | None = None,
        judge: Judge | None = None,
        window_seconds: float = 30.0,
        base_url: str | None = None,
    ) -> HttpClient:
        budget = None
        if self.state_dir is not None:
            clock = self.clock or Clock()
            path = self.state_dir / BUDGET_FILE
            budget = RateBudget(
                path,
                account,
                default_limit=default_limit,
                window_seconds=window_seconds,
                now=clock.now,
                sleep=clock.sleep,
            )
        if self.retry is not None:
            # One attempt that outlasts the deadline would make it a wish.
            retry = self.retry
            timeouts = Timeouts(timeouts.connect, min(timeouts.read, retry.deadline_seconds))
        return HttpClient(
            system=self.system.connector,
            base_url=base_url or self.system.base_url,
            credentials=credentials,
            authorization=authorization,
            judge=judge,
            budget=budget,
            recorder=self.recorder,
            shapes=self.shapes,
            timeouts=timeouts,
            retry=retry,
            clock=self.clock,
            breaker=self.breaker,
            guard=self.write_guard,
        )

    @property
    def write_guard(self) -> WriteGuard | None:
        """What is asked before each write; None where everything may be written."""
        if self.rehearses:
            return hold_back
        return None if self.contract.environment == "sandbox" else self.guard or _refuse_writes


def _refuse_writes(system: str, operation: str) -> None:
    raise NotApproved(system, operation)
