"""What the process of the sandboxes needs of an advocacy platform, whichever vendor it plays.

Belongs here: the record of it, and which vendors can be played. Does not belong here: any of them.

The programme is one and the same whichever platform tells of it: another vendor is an API over the same
`AdvocacyStore`, in its own shapes and with its own ids, and its truth is the programme's as far as it can carry it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from starlette.types import ASGIApp

from referral_pipeline.sandbox.programme import names
from referral_pipeline.sandbox.webhooks.emitter import Emitter


@dataclass(frozen=True)
class AdvocacySandbox:
    """One platform, ready to be served.

    Attributes:
        app: the vendor's API and the control plane below /_sandbox (act, dump, switches, calls), with the rows of
            `AdvocacyStore` by entity in the dump, ids as the vendor writes them.
        emitter: of its webhooks.
        arrivals: what it was told, in order of time.
        truth: the programme's, with the ids of both systems; `lacks` names what the platform does not hold.
        base_path: what follows the host in the base URL.
        token_path: of the endpoint that gives tokens, where it is not found from the base URL.
    """

    app: ASGIApp
    emitter: Emitter
    arrivals: Sequence[dict[str, Any]]
    truth: Mapping[str, Any]
    base_path: str = ""
    token_path: str | None = None


@dataclass(frozen=True)
class Platform:
    """A platform that can be played: "module:function" that makes it, and where the people of its programme live."""

    create: str
    countries: Sequence[str] = names.COUNTRIES

    def make(self) -> Callable[..., AdvocacySandbox]:
        """What makes it of the programme, the ATS and the options of the process."""
        module, _, function = self.create.partition(":")
        return getattr(import_module(module), function)


PLATFORMS: Mapping[str, Platform] = {
    "advocacy": Platform("referral_pipeline.sandbox.advocacy.sandbox:create"),
    # It tells no country: its contract declares one for all.
    "radancy": Platform("referral_pipeline.sandbox.radancy.sandbox:create", countries=("FR",)),
}
"""By connector."""


def platform_of(name: str) -> Platform:
    """The platform of a connector.

    Raises:
        ValueError: there is no sandbox of it.
    """
    if name not in PLATFORMS:
        raise ValueError(f"there is no sandbox of the advocacy platform {name}; there are: {', '.join(PLATFORMS)}")
    return PLATFORMS[name]
