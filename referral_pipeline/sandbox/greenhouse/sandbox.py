"""Greenhouse as the process of the sandboxes serves it.

Belongs here: the store filled, the app and its webhooks put together. Does not belong here: serving (`sandbox.server`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from referral_pipeline.sandbox.ats import AtsSandbox
from referral_pipeline.sandbox.credentials import (
    GREENHOUSE_CLIENT_ID,
    GREENHOUSE_CLIENT_SECRET,
    GREENHOUSE_INGESTION_API_KEY,
    NEXT_WEBHOOK_SECRETS,
    SECRETS,
)
from referral_pipeline.sandbox.greenhouse.app import Credential, create_app
from referral_pipeline.sandbox.greenhouse.events import connect
from referral_pipeline.sandbox.greenhouse.ingestion import Partner
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.greenhouse.switches import Switches
from referral_pipeline.sandbox.programme import Programme
from referral_pipeline.sandbox.programme.story import Stories
from referral_pipeline.sandbox.webhooks.emitter import Emitter
from referral_pipeline.sandbox.webhooks.signing import GreenhouseSigner

if TYPE_CHECKING:
    from referral_pipeline.sandbox.server import Options

_KEY = "GREENHOUSE_WEBHOOK_SECRET"
DEFAULT_RATE = 2_000
"""Calls in 30 seconds. The real window is some dozens, which would make a demonstration wait for minutes."""


def filled(rows: Mapping[str, list[dict[str, Any]]]) -> GreenhouseStore:
    """A store with these rows by entity."""
    store = GreenhouseStore()
    for entity, own in rows.items():
        store.load(entity, own)
    return store


def create(programme: Programme, options: Options) -> AtsSandbox:
    """Greenhouse with the programme's rows."""
    store = filled(programme.ats)
    emitter = Emitter("greenhouse", GreenhouseSigner(), (SECRETS[_KEY], NEXT_WEBHOOK_SECRETS[_KEY]), "evt")
    connect(store, emitter)
    switches = {"rate_limit": options.rate_limit or DEFAULT_RATE, **options.ats_switches}
    app = create_app(
        store,
        Switches.model_validate(switches),
        credential=Credential(GREENHOUSE_CLIENT_ID, GREENHOUSE_CLIENT_SECRET),
        on_application_created=Stories(store, programme.truth),
        partner=Partner(GREENHOUSE_INGESTION_API_KEY),
    )
    return AtsSandbox(
        app=app,
        emitter=emitter,
        arrivals=store.journal.arrivals,
        open_jobs=lambda: [str(row["id"]) for row in store.rows("jobs") if row["status"] == "open"],
        base_path="/v3",
        token_path="/token",  # noqa: S106 an address
    )
