"""What the process of the sandboxes needs of a CRM, whichever vendor it plays.

Belongs here: the record of it, and which vendors can be played. Does not belong here: any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

from starlette.types import ASGIApp

from referral_pipeline.sandbox.webhooks.emitter import Emitter


@dataclass(frozen=True)
class CrmSandbox:
    """A CRM, ready to be served: an empty one, which only the pipeline fills."""

    app: ASGIApp
    emitter: Emitter


CRM: Mapping[str, str] = {"hubspot": "referral_pipeline.sandbox.hubspot.sandbox:create"}
"""By connector: "module:function" that takes the switches."""


def crm_sandbox(name: str) -> Callable[..., CrmSandbox]:
    """What makes the sandbox of a vendor.

    Raises:
        ValueError: there is none.
    """
    if name not in CRM:
        raise ValueError(f"there is no sandbox of the CRM {name}; there are: {', '.join(CRM)}")
    module, _, function = CRM[name].partition(":")
    return getattr(import_module(module), function)
