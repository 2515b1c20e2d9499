"""Lever as the process of the sandboxes serves it.

Belongs here: the store filled, the app and its webhooks put together. Does not belong here: serving (`sandbox.server`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from referral_pipeline.sandbox.ats import AtsSandbox
from referral_pipeline.sandbox.credentials import LEVER_API_KEY, NEXT_WEBHOOK_SECRETS, SECRETS
from referral_pipeline.sandbox.greenhouse.sandbox import filled
from referral_pipeline.sandbox.lever.app import create_app
from referral_pipeline.sandbox.lever.events import LeverSigner, connect
from referral_pipeline.sandbox.lever.ids import encode, told_advocacy_row, told_row, told_stories, told_truth
from referral_pipeline.sandbox.lever.memory import Memory
from referral_pipeline.sandbox.lever.switches import LeverSwitches
from referral_pipeline.sandbox.programme import Programme
from referral_pipeline.sandbox.programme.story import Stories
from referral_pipeline.sandbox.webhooks.emitter import Emitter

if TYPE_CHECKING:
    from referral_pipeline.sandbox.server import Options

_KEY = "LEVER_WEBHOOK_SECRET"
_WINDOW_SECONDS = 30
DEFAULT_RATE = 2_000
"""Calls in 30 seconds, as of the other sandboxes. Lever takes 10 a second, which would make a demonstration wait."""


class _Arrivals(list[dict[str, Any]]):
    """What arrived, with the ids that a client knows."""

    def append(self, row: dict[str, Any]) -> None:
        told = told_row("arrivals", {"id": 0, **row})
        del told["id"]
        super().append(told)


def create(programme: Programme, options: Options) -> AtsSandbox:
    """Lever with the programme's rows."""
    store = filled(programme.ats)
    memory = Memory(store)
    store.journal.arrivals = _Arrivals()
    emitter = Emitter(
        "lever", LeverSigner(memory, usual=SECRETS[_KEY]), (SECRETS[_KEY], NEXT_WEBHOOK_SECRETS[_KEY]), ""
    )
    connect(store, memory, emitter)
    wish = dict(options.ats_switches)
    rate = wish.pop("rate_limit", None) or options.rate_limit or DEFAULT_RATE
    paced = {"calls_per_second": rate / _WINDOW_SECONDS, "burst": max(1, rate)}
    app = create_app(
        store,
        memory,
        key=LEVER_API_KEY,
        switches=LeverSwitches.model_validate({**paced, **wish}),
        on_application_created=Stories(store, told_stories(programme.truth)),
    )
    return AtsSandbox(
        app=app,
        emitter=emitter,
        arrivals=store.journal.arrivals,
        open_jobs=lambda: [encode("jobs", row["id"]) for row in store.rows("jobs") if row["status"] == "open"],
        base_path="/v1",
        truth=told_truth,
        advocacy_row=told_advocacy_row,
    )
