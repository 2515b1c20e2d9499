"""Radancy as the process of the sandboxes serves it.

Belongs here: the account filled, app, webhooks and truth put together. Does not belong here: serving
(`sandbox.server`).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from referral_pipeline.sandbox.advocacy.store import AdvocacyStore
from referral_pipeline.sandbox.ats import AtsSandbox
from referral_pipeline.sandbox.platforms import AdvocacySandbox
from referral_pipeline.sandbox.programme import Programme
from referral_pipeline.sandbox.radancy.account import Account
from referral_pipeline.sandbox.radancy.app import create_app
from referral_pipeline.sandbox.radancy.events import Herald, NoSigner
from referral_pipeline.sandbox.radancy.ids import id_of, renamed
from referral_pipeline.sandbox.radancy.switches import Switches
from referral_pipeline.sandbox.radancy.truth import OUTSIDE, translated
from referral_pipeline.sandbox.webhooks.emitter import Emitter

if TYPE_CHECKING:
    from referral_pipeline.sandbox.server import Options


def create(programme: Programme, ats: AtsSandbox, options: Options) -> AdvocacySandbox:
    """Radancy with the programme's rows."""
    store = AdvocacyStore()
    truth = ats.truth(programme.truth)
    outcomes: Mapping[str, Mapping[str, Any]] = programme.truth["referrals"]
    for entity, rows in programme.advocacy.items():
        kept = [row for row in rows if entity != "referrals" or outcomes[row["id"]]["outcome"] != OUTSIDE]
        store.load(entity, [renamed(entity, ats.advocacy_row(row)) for row in kept])
    numbers = itertools.count(1)
    store.new_id = lambda prefix: id_of("live", f"{prefix}:{next(numbers)}")
    store.open_jobs = ats.open_jobs
    account = Account(store)
    referrals = list(store.tables["referrals"].rows.values())
    references = sorted({row["job_id"] for row in referrals})
    account.load_jobs(references, {key: job["title"] for key, job in truth["jobs"].items()})
    emitter = Emitter("radancy", NoSigner(), ("", ""), "")
    herald = Herald(account, emitter)
    store.announce = herald.announce
    emitter.describe = herald.describe
    switches = Switches()
    switches.set({"rate_limit": options.rate_limit or 0, **options.advocacy_switches})
    told = translated(truth, referrals, references)
    return AdvocacySandbox(
        app=create_app(account, switches, together=herald.together),
        emitter=emitter,
        arrivals=store.arrivals,
        base_path="/v1",
        token_path="/oauth/token",  # noqa: S106 an address
        truth=told,
    )
