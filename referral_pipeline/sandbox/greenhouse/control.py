"""What the control plane shows and does inside a local Greenhouse.

Belongs here: its dump, its acts, the revoking of its tokens. Does not belong here: the endpoints that every vendor has
(sandbox.control).
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response

from referral_pipeline.sandbox import control
from referral_pipeline.sandbox.greenhouse.acts import ActRefused, Acts
from referral_pipeline.sandbox.greenhouse.switches import Switches
from referral_pipeline.sandbox.greenhouse.vendor import OPERATIONS, Vendor


def add_control_plane(app: FastAPI, vendor: Vendor) -> None:
    """Add the endpoints below /_sandbox to an app."""
    store = vendor.store

    def dump() -> dict[str, Any]:
        facts = {
            "merged": {str(old): new for old, new in store.merged.items()},
            "deleted": {entity: sorted(ids) for entity, ids in store.deleted.items()},
            "anonymized": sorted(store.anonymized),
        }
        return {**store.dump(), "_facts": facts}

    def set_switches(switches: Switches) -> None:
        store.switches = switches

    async def revoke_tokens(request: Request) -> Response:
        with store.lock:
            vendor.office.revoke_all()
        return control.told(200, {})

    control.add_control_plane(
        app,
        control.Inside(
            lock=store.lock,
            calls=vendor.calls,
            operations={operation.name for operation in OPERATIONS.values()},
            dump=dump,
            switches=lambda: store.switches,
            set_switches=set_switches,
            act=Acts(store).perform,
            refusals=(ActRefused,),
        ),
    )
    app.add_route("/_sandbox/revoke_tokens", revoke_tokens, methods=["POST"])
