"""Making the connector that a contract names.

Belongs here: names to connectors, secrets to sessions. Does not belong here: what a connector does.

A package adds its own connector with an entry point in the group `referral_pipeline.connectors`: a function that takes
a `Build` and answers a connector. Built-in names come first and cannot be replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from referral_pipeline.connectors.advocacy import AdvocacyApiConnector, AdvocacyOptions
from referral_pipeline.connectors.breaker import Breaker
from referral_pipeline.connectors.failures import NotApproved
from referral_pipeline.connectors.greenhouse import GreenhouseConnector
from referral_pipeline.connectors.greenhouse_models import GreenhouseOptions
from referral_pipeline.connectors.http import (
    ApiCall,
    ClientCredentials,
    Clock,
    HttpClient,
    RetryPolicy,
    Timeouts,
    WriteGuard,
)
from referral_pipeline.connectors.protocols import AdvocacyConnector, AtsConnector
from referral_pipeline.connectors.rate_budget import RateBudget
from referral_pipeline.contract.models import Contract, System
from referral_pipeline.settings import Settings
from referral_pipeline.vocabulary import Side

ENTRY_POINTS = "referral_pipeline.connectors"
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
    written there at all.
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
            return model.model_validate(self.system.options)
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
        default_limit: int | None = None,
    ) -> HttpClient:
        """A session with credentials, the shared rate budget, the breaker and the recorder.

        Raises:
            settings.MissingSecret: A secret that the contract names is not set.
        """
        system = self.system
        credentials = ClientCredentials(
            token_url=token_url,
            client_id=self.settings.secret(system.client_id_env),
            client_secret=self.settings.secret(system.client_secret_env),
            subject=subject,
        )
        budget = None
        if self.state_dir is not None:
            key = f"{system.connector}:{credentials.fingerprint}"
            clock = self.clock or Clock()
            path = self.state_dir / BUDGET_FILE
            budget = RateBudget(path, key, default_limit=default_limit, now=clock.now, sleep=clock.sleep)
        if self.retry is not None:
            # One attempt that outlasts the deadline would make it a wish.
            retry = self.retry
            timeouts = Timeouts(timeouts.connect, min(timeouts.read, retry.deadline_seconds))
        return HttpClient(
            system=system.connector,
            base_url=system.base_url,
            credentials=credentials,
            budget=budget,
            recorder=self.recorder,
            timeouts=timeouts,
            retry=retry,
            clock=self.clock,
            breaker=self.breaker,
            guard=None if self.contract.environment == "sandbox" else self.guard or _refuse_writes,
        )


def _refuse_writes(system: str, operation: str) -> None:
    raise NotApproved(system, operation)


def _greenhouse(build: Build) -> GreenhouseConnector:
    options = build.options(GreenhouseOptions)
    client = build.client(
        token_url=build.system.auth_url or "https://auth.greenhouse.io/token",
        timeouts=Timeouts(options.connect_timeout_seconds, options.read_timeout_seconds),
        retry=RetryPolicy(max_attempts=options.max_attempts),
        subject=str(options.acting_user_id) if options.acting_user_id else None,
        default_limit=options.default_rate_limit,
    )
    tags = build.contract.tag_sources()
    return GreenhouseConnector(client, options, stage_map=build.contract.stage_map, tags=tags)


def _advocacy(build: Build) -> AdvocacyApiConnector:
    options = build.options(AdvocacyOptions)
    client = build.client(
        token_url=build.system.auth_url or f"{build.system.base_url.rstrip('/')}/oauth/token",
        timeouts=Timeouts(options.connect_timeout_seconds, options.read_timeout_seconds),
        retry=RetryPolicy(max_attempts=options.max_attempts),
        default_limit=options.default_rate_limit,
    )
    return AdvocacyApiConnector(client)


BUILT_IN: Mapping[Side, Mapping[str, Callable[[Build], Any]]] = {
    Side.ATS: {"greenhouse": _greenhouse},
    Side.ADVOCACY: {"advocacy": _advocacy},
}


def connector_names(side: Side) -> list[str]:
    """The connectors that can be made for a side: the built-in ones and those that packages added.

    An added connector does not say its side before it is made, so all of them are named.
    """
    return sorted({*BUILT_IN.get(side, {}), *(point.name for point in entry_points(group=ENTRY_POINTS))})


def build_ats(
    contract: Contract,
    settings: Settings,
    *,
    recorder: Recorder | None = None,
    state_dir: Path | None = None,
    clock: Clock | None = None,
    breaker: Breaker | None = None,
    retry: RetryPolicy | None = None,
    guard: WriteGuard | None = None,
) -> AtsConnector:
    """The ATS connector of a contract.

    Raises:
        ConnectorError: The connector's name or an option is not known.
        settings.MissingSecret: A secret is not set.
    """
    build = Build(contract, settings, Side.ATS, recorder, state_dir, clock, breaker, retry, guard)
    return cast("AtsConnector", _made(build))


def build_advocacy(
    contract: Contract,
    settings: Settings,
    *,
    recorder: Recorder | None = None,
    state_dir: Path | None = None,
    clock: Clock | None = None,
    breaker: Breaker | None = None,
    retry: RetryPolicy | None = None,
    guard: WriteGuard | None = None,
) -> AdvocacyConnector:
    """The advocacy connector of a contract. Raises as `build_ats`."""
    build = Build(contract, settings, Side.ADVOCACY, recorder, state_dir, clock, breaker, retry, guard)
    return cast("AdvocacyConnector", _made(build))


def _made(build: Build) -> object:
    name = build.system.connector
    makers = BUILT_IN.get(build.side, {})
    if name in makers:
        return makers[name](build)
    added = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name in added:
        return added[name].load()(build)
    known = ", ".join(connector_names(build.side))
    raise ConnectorError(f"{build.side}.connector", f"no connector is called {name}", f"Known here: {known}")
