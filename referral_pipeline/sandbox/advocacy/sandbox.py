"""The platform of our own contract as the process of the sandboxes serves it.

Belongs here: the store filled, the app and its webhooks put together. Does not belong here: serving (`sandbox.server`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from referral_pipeline.sandbox.advocacy.app import create_app
from referral_pipeline.sandbox.advocacy.events import connect
from referral_pipeline.sandbox.advocacy.store import AdvocacyStore
from referral_pipeline.sandbox.advocacy.switches import Switches
from referral_pipeline.sandbox.ats import AtsSandbox
from referral_pipeline.sandbox.credentials import NEXT_WEBHOOK_SECRETS, SECRETS
from referral_pipeline.sandbox.platforms import AdvocacySandbox
from referral_pipeline.sandbox.programme import Programme
from referral_pipeline.sandbox.webhooks.emitter import Emitter
from referral_pipeline.sandbox.webhooks.signing import StandardSigner

if TYPE_CHECKING:
    from referral_pipeline.sandbox.server import Options

_KEY = "ADVOCACY_WEBHOOK_SECRET"


def create(programme: Programme, ats: AtsSandbox, options: Options) -> AdvocacySandbox:
    """The platform with the programme's rows."""
    store = AdvocacyStore()
    for entity, rows in programme.advocacy.items():
        store.load(entity, [ats.advocacy_row(row) for row in rows])
    switches = Switches()
    switches.set({"rate_limit": options.rate_limit or 0, **options.advocacy_switches})
    store.open_jobs = ats.open_jobs
    emitter = Emitter("advocacy", StandardSigner(), (SECRETS[_KEY], NEXT_WEBHOOK_SECRETS[_KEY]), "msg")
    connect(store, emitter)
    return AdvocacySandbox(create_app(store, switches), emitter, store.arrivals, ats.truth(programme.truth))
