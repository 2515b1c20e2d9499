"""Ashby as the process of the sandboxes serves it.

Belongs here: the store filled, app, webhooks and truth put together. Does not belong here: serving (`sandbox.server`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from referral_pipeline.sandbox.ashby.app import create_app
from referral_pipeline.sandbox.ashby.events import connect
from referral_pipeline.sandbox.ashby.ids import uuid_of
from referral_pipeline.sandbox.ashby.names import spelt
from referral_pipeline.sandbox.ashby.switches import Switches
from referral_pipeline.sandbox.ashby.vendor import Vendor
from referral_pipeline.sandbox.ashby.world import World
from referral_pipeline.sandbox.ats import AtsSandbox
from referral_pipeline.sandbox.credentials import ASHBY_API_KEY, NEXT_WEBHOOK_SECRETS, SECRETS
from referral_pipeline.sandbox.greenhouse.sandbox import filled
from referral_pipeline.sandbox.programme import Programme
from referral_pipeline.sandbox.programme.story import Stories
from referral_pipeline.sandbox.webhooks.emitter import Emitter
from referral_pipeline.sandbox.webhooks.signing import AshbySigner

if TYPE_CHECKING:
    from referral_pipeline.sandbox.server import Options

_KEY = "ASHBY_WEBHOOK_SECRET"
DEFAULT_RATE = 20_000
"""Calls in a minute. The vendor publishes no number."""


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the advocacy platform, whose jobs are the ATS's."""
    return {**row, "job_id": uuid_of("jobs", int(row["job_id"]))} if row.get("job_id") else row


def create(programme: Programme, options: Options) -> AtsSandbox:
    """Ashby with the programme's rows."""
    store = filled(programme.ats)
    store.watch(lambda changes: None)
    stories = Stories(store, {"stories": [_with_spellings(story) for story in programme.truth["stories"]]})
    switches = Switches.model_validate({"rate_limit": options.rate_limit or DEFAULT_RATE, **options.ats_switches})
    world = World(store, switches, api_key=ASHBY_API_KEY, on_application_created=stories)
    vendor = Vendor(world)
    emitter = Emitter("ashby", AshbySigner(), (SECRETS[_KEY], NEXT_WEBHOOK_SECRETS[_KEY]), "")
    connect(world, vendor.payloads, emitter)
    return AtsSandbox(
        app=create_app(vendor),
        emitter=emitter,
        arrivals=Arrivals(store.journal.arrivals),
        open_jobs=lambda: [uuid_of("jobs", row["id"]) for row in store.rows("jobs") if row["status"] == "open"],
        truth=translated,
        advocacy_row=_told,
    )


class Arrivals(Sequence[dict[str, Any]]):
    """What the store's journal notes, with the vendor's ids."""

    def __init__(self, noted: Sequence[dict[str, Any]]) -> None:
        self._noted = noted

    def __len__(self) -> int:
        return len(self._noted)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(index, slice):
            return [_arrival(one) for one in self._noted[index]]
        return _arrival(self._noted[index])


def _arrival(noted: dict[str, Any]) -> dict[str, Any]:
    return {
        **noted,
        "application_id": uuid_of("applications", noted["application_id"]),
        "candidate_id": uuid_of("candidates", noted["candidate_id"]),
    }


# ---------------------------------------------------------------- the truth


def translated(truth: Mapping[str, Any]) -> dict[str, Any]:
    """The programme's truth with Ashby's ids, and with names as they are after a way through one field."""
    return {
        **truth,
        "persons": {key: _with_spellings(_named(person)) for key, person in truth["persons"].items()},
        "referrals": {key: _named(referral) for key, referral in truth["referrals"].items()},
        "applications": [_named(row) for row in truth["applications"]],
        "untouched": {entity: _keyed(entity, rows, lambda value: value) for entity, rows in truth["untouched"].items()},
        "existing": {
            "candidates": _keyed("candidates", truth["existing"]["candidates"], _with_one_name),
            "applications": [uuid_of("applications", int(one)) for one in truth["existing"]["applications"]],
        },
        "jobs": _keyed("jobs", truth["jobs"], lambda value: value),
        "stories": [_with_spellings(_named(story)) for story in truth["stories"]],
    }


def _keyed(entity: str, rows: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    return {uuid_of(entity, int(key)): change(value) for key, value in rows.items()}


def _named(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = dict(row)
    for column, entity in (
        ("ats_candidate_id", "candidates"),
        ("ats_application_id", "applications"),
        ("job_id", "jobs"),
    ):
        if shown.get(column):
            shown[column] = uuid_of(entity, int(shown[column]))
    return shown


def _with_spellings(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "spellings": sorted(list(spelt(first, last)) for first, last in row["spellings"])}


def _with_one_name(row: Mapping[str, Any]) -> dict[str, Any]:
    first, last = spelt(row["first_name"], row["last_name"])
    return {**row, "first_name": first, "last_name": last}
