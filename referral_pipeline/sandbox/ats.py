"""What the process of the sandboxes needs of an ATS, whichever vendor it plays.

Belongs here: the record of it, and which vendors can be played. Does not belong here: any of them.

The ATS of the programme is one and the same whichever vendor is played: its rows, its acts and its stories are those of
`sandbox.greenhouse` (store, hiring, people, acts). Another vendor is an API over that store, in its own shapes, with
its own ids, and with a dump and a truth that carry these ids; so one truth judges them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from starlette.types import ASGIApp

from referral_pipeline.sandbox.webhooks.emitter import Emitter

Json = Mapping[str, Any]


def _as_it_is(truth: Json) -> Json:
    return truth


def _same_row(row: dict[str, Any]) -> dict[str, Any]:
    return row


@dataclass(frozen=True)
class AtsSandbox:
    """One ATS, ready to be served.

    Attributes:
        app: the vendor's API and the control plane below /_sandbox (act, dump, switches, calls), with the rows of
            `GreenhouseStore` by entity in the dump, ids as the vendor writes them.
        emitter: of its webhooks.
        arrivals: what its webhooks are held against, in order of time (`webhooks.surface`).
        open_jobs: ids of open jobs, as the vendor writes them.
        base_path: what follows the host in the base URL.
        token_path: of the endpoint that gives tokens; None for a vendor that is called with a key.
        truth: the programme's truth with the vendor's ids.
        advocacy_row: a row of the advocacy platform, whose jobs are the ATS's, with the vendor's ids.
    """

    app: ASGIApp
    emitter: Emitter
    arrivals: Sequence[dict[str, Any]]
    open_jobs: Callable[[], list[str]]
    base_path: str = ""
    token_path: str | None = None
    truth: Callable[[Json], Json] = field(default=_as_it_is)
    advocacy_row: Callable[[dict[str, Any]], dict[str, Any]] = field(default=_same_row)


ATS: Mapping[str, str] = {
    "greenhouse": "referral_pipeline.sandbox.greenhouse.sandbox:create",
    "ashby": "referral_pipeline.sandbox.ashby.sandbox:create",
    "lever": "referral_pipeline.sandbox.lever.sandbox:create",
}
"""By connector: "module:function" that takes the programme and the options of the process."""


def ats_sandbox(name: str) -> Callable[..., AtsSandbox]:
    """What makes the sandbox of a vendor.

    Raises:
        ValueError: there is none.
    """
    if name not in ATS:
        raise ValueError(f"there is no sandbox of the ATS {name}; there are: {', '.join(ATS)}")
    module, _, function = ATS[name].partition(":")
    return getattr(import_module(module), function)
