"""The outside systems that can be talked to, and what each brings: facts, a connector, webhooks.

Belongs here: the record of a vendor, the table of ours, finding those of other packages. Does not belong here: what any
of them does.

A package adds a vendor with an entry point in the group `referral_pipeline.connectors`: its name is that of the
connector in the contract, its object a `Vendor`. Built-in names cannot be taken.

What a vendor brings is named as "module:object" and imported when it is used: the receiver reads webhooks of one system
and need not load the connectors of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from referral_pipeline.connectors.expected import Shapes
from referral_pipeline.contract.systems import ENTRY_POINTS, SYSTEMS, SystemFacts

if TYPE_CHECKING:
    from referral_pipeline.connectors.build import Build
    from referral_pipeline.connectors.hints import Hint
    from referral_pipeline.connectors.signing import Verifier


@dataclass(frozen=True)
class Vendor:
    """One outside system.

    Attributes:
        facts: what `init`, the check of a contract and the data-flow map need.
        connector: "module:function" that takes a `Build` and answers a connector of the facts' side.
        reader: "module:function" that tells what a decoded webhook is about, and never raises; None: it sends none.
        scheme: "module:class" of the signature of its webhooks (`connectors.signing.Verifier`), made from the keys; or,
            where it has it, by its `configured`, from the keys and the options of the contract.
        headers: what the scheme reads, in lower case. ":method", ":path" and ":client" are the request's own,
            ":public_url" is `options.webhook_url` of the contract ("" for none).
        splitter: "module:function" for a system that puts many events into one delivery: from the decoded body to
            (what tells an event from the others of it, the event) in order; ValueError for a body of another form.
            None: a delivery is one event.
        shapes: "module:object", an `expected.Shapes` of what the connector reads of each answer. None: answers are
            learned and compared with what they were before, and no word of theirs is kept.
    """

    facts: SystemFacts
    connector: str
    reader: str | None = None
    scheme: str | None = None
    headers: tuple[str, ...] = ()
    splitter: str | None = None
    shapes: str | None = None

    def build(self, build: Build) -> Any:
        """Make the connector."""
        return imported(self.connector)(build)

    @property
    def read(self) -> Callable[[Any], Hint] | None:
        """The reader of webhooks."""
        return imported(self.reader) if self.reader else None

    @property
    def verifier(self) -> Callable[[Iterable[str]], Verifier] | None:
        """The scheme of signatures."""
        return imported(self.scheme) if self.scheme else None

    @property
    def split(self) -> Callable[[Any], Sequence[tuple[str, Any]]] | None:
        """The splitter of deliveries."""
        return imported(self.splitter) if self.splitter else None

    @property
    def reads(self) -> Shapes:
        """What the connector reads of answers; nothing where that is not told."""
        return imported(self.shapes) if self.shapes else Shapes()


_OURS = "referral_pipeline.connectors"
VENDORS: Mapping[str, Vendor] = {
    vendor.facts.name: vendor
    for vendor in (
        Vendor(
            SYSTEMS["advocacy"],
            connector=f"{_OURS}.advocacy:build",
            reader=f"{_OURS}.advocacy_events:read_advocacy_event",
            scheme="referral_pipeline.webhooks.signatures:StandardWebhooks",
            headers=("webhook-id", "webhook-timestamp", "webhook-signature"),
            shapes=f"{_OURS}.advocacy_shapes:SHAPES",
        ),
        Vendor(SYSTEMS["files"], connector=f"{_OURS}.files:build"),
        Vendor(
            SYSTEMS["greenhouse"],
            connector=f"{_OURS}.greenhouse:build",
            reader=f"{_OURS}.greenhouse_events:read_greenhouse_event",
            scheme="referral_pipeline.webhooks.signatures:GreenhouseSignature",
            headers=("signature", "greenhouse-event-id"),
            shapes=f"{_OURS}.greenhouse_shapes:SHAPES",
        ),
        Vendor(
            SYSTEMS["ashby"],
            connector=f"{_OURS}.ashby:build",
            reader=f"{_OURS}.ashby_events:read_ashby_event",
            scheme=f"{_OURS}.ashby_signature:AshbySignature",
            headers=("ashby-signature",),
            shapes=f"{_OURS}.ashby_shapes:SHAPES",
        ),
        Vendor(
            SYSTEMS["lever"],
            connector=f"{_OURS}.lever:build",
            reader=f"{_OURS}.lever_events:read_lever_event",
            scheme=f"{_OURS}.lever_signature:LeverSignature",
            shapes=f"{_OURS}.lever_shapes:SHAPES",
        ),
        Vendor(
            SYSTEMS["radancy"],
            connector=f"{_OURS}.radancy:build",
            reader=f"{_OURS}.radancy_events:read_radancy_event",
            scheme=f"{_OURS}.radancy_events:SenderAddress",
            headers=(":client",),
            splitter=f"{_OURS}.radancy_events:split_radancy_delivery",
            shapes=f"{_OURS}.radancy_shapes:SHAPES",
        ),
        Vendor(
            SYSTEMS["hubspot"],
            connector=f"{_OURS}.hubspot:build",
            reader=f"{_OURS}.hubspot_events:read_hubspot_event",
            scheme=f"{_OURS}.hubspot_signature:HubSpotSignature",
            headers=(
                *("x-hubspot-signature-v3", "x-hubspot-request-timestamp"),
                *(":method", ":path", "host", "x-forwarded-proto", ":public_url"),
            ),
            splitter=f"{_OURS}.hubspot_events:events_of",
            shapes=f"{_OURS}.hubspot_shapes:SHAPES",
        ),
    )
}
"""Those of this package."""


def vendor_of(name: str) -> Vendor | None:
    """The vendor of a connector's name; None when there is none."""
    return VENDORS.get(name) or added().get(name)


def shapes_of(name: str) -> Shapes:
    """What the connector of this name reads of answers; nothing where that is not told."""
    vendor = vendor_of(name)
    return vendor.reads if vendor is not None else Shapes()


@cache
def added() -> Mapping[str, Vendor]:
    """Those of other packages, by name."""
    points = sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)
    return {point.name: point.load() for point in points if point.name not in VENDORS}


@cache
def imported(place: str) -> Any:
    """The object at "module:name"."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
