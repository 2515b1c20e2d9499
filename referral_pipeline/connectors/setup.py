"""Setting a system up by its API: webhooks and custom fields that the integration needs and that are missing.

Belongs here: what a connector may offer beside its protocol, finding what is missing, bringing it about. Does not
belong here: a vendor's calls (`lever_setup`, `ashby_setup`), printing (the commands `webhooks` and `fields`).

Both are brought about by state: what is there is looked at first and stays, so that a second run changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Hook:
    """One webhook as the system has it: which event goes where. `is_on` None: the system does not say."""

    event: str
    url: str
    id: str
    is_on: bool | None = None


@dataclass(frozen=True)
class Registered:
    """A webhook that was made. `key`: what signs it, where the system made it up and tells it now and never again."""

    hook: Hook
    key: str | None = field(default=None, repr=False)


@runtime_checkable
class RegistersWebhooks(Protocol):
    """What a connector may offer: registering webhooks by the API.

    `hook_events` are those that the integration reads. `makes_keys`: whether the system makes up the key of each;
    otherwise `register_hook` is given the one that the environment holds.
    """

    hook_events: Sequence[str]
    makes_keys: bool

    def hooks(self) -> list[Hook]:
        """The webhooks of the account; of a system that lists none, those that were registered from here."""
        ...

    def register_hook(self, event: str, url: str, key: str | None) -> Registered:
        """Register one. A create whose answer was lost leaves none behind that nobody has the key of."""
        ...

    def remove_hook(self, hook: Hook) -> None:
        """End one; one that is gone already is none."""
        ...


@dataclass(frozen=True)
class MissingField:
    """A custom field that the contract writes and the account has not. `state` says in which way, in words."""

    tag: str
    title: str
    state: str


@runtime_checkable
class CreatesFields(Protocol):
    """What a connector may offer: making the custom fields of the contract by the API."""

    def missing_fields(self) -> list[MissingField]:
        """Those that the contract writes and the account has not; none for a system that needs no definition."""
        ...

    def create_field(self, missing: MissingField) -> None:
        """Make one, unless it is there by now."""
        ...


def hook_url(base: str, system: str) -> str:
    """Where the receiver at `base` takes the webhooks of a system.

    Raises:
        ValueError: `base` is no web address.
    """
    parts = urlsplit(base.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be the web address of the receiver, such as https://bridge.example.com")
    stem = base.strip().rstrip("/")
    path = f"/webhooks/{system}"
    return stem if stem.endswith(path) else f"{stem}{path}"


def leads_here(hook: Hook, url: str) -> bool:
    """Whether a webhook is delivered to this address."""
    return hook.is_on is not False and hook.url.rstrip("/") == url.rstrip("/")


def missing_events(source: RegistersWebhooks, url: str) -> list[str]:
    """The events that nothing brings to this address yet."""
    there = {hook.event for hook in source.hooks() if leads_here(hook, url)}
    return [event for event in source.hook_events if event not in there]


def register_missing(
    source: RegistersWebhooks, url: str, *, key: str | None, told: Callable[[Registered], None]
) -> Iterator[str]:
    """Register what is missing, one after the other; each event once it is done.

    `told` hears of each at once, before anything else can fail: a key that the system made up is never shown again.
    """
    there = source.hooks()
    on = {hook.event for hook in there if leads_here(hook, url)}
    for event in source.hook_events:
        if event in on:
            continue
        for hook in there:
            if (hook.event, hook.is_on, hook.url.rstrip("/")) == (event, False, url.rstrip("/")):
                source.remove_hook(hook)  # one that is switched off is replaced, or they would pile up
        told(source.register_hook(event, url, key))
        yield event
