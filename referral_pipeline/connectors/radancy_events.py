"""Webhooks of Radancy: from where they are taken, which events lie in a delivery, and what each is about.

Belongs here: the addresses, the splitter, the reader. Does not belong here: HTTP; records, which are fetched anew.

1.  Nothing is signed. A delivery is taken only from the vendor's addresses (`webhook_addresses` of the contract).
2.  A body is an array of `{"event_name", "event"}`, and each of them becomes an event of its own.
3.  No event has an id: it is known by the hash of its content, also when it comes again in another batch.
4.  Of an event only the id of the application and the time are read; all else is fetched anew by that id, a deletion
    too. So an event that somebody made up about an id that does not exist does nothing, and one about an id that exists
    makes us look once more.
5.  Times come in two forms, `1970-01-01 12:00:00.000Z` and ISO with an offset such as +0139.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from referral_pipeline.connectors.hints import Hint, id_or_none, instant_or_none, part, unknown, word_or_none
from referral_pipeline.connectors.radancy_models import SENDERS, Network, networks
from referral_pipeline.connectors.records import Row
from referral_pipeline.connectors.signing import SignatureRefused, UnusableSecret

DELIVERY = "radancy"
"""What the ids of all deliveries begin with: the hash of the event follows."""

TYPES = frozenset(
    f"job_application.{act}"
    for act in ("created", "received", "edited", "deleted", "rated", "closed", "hired", "referral_added")
)


class SenderAddress:
    """(1) Takes what comes from the vendor's addresses, and nothing else."""

    def __init__(self, keys: Iterable[str] = (), *, allowed: Sequence[Network] | None = None) -> None:
        """Take no keys: nothing is signed. `allowed` are the senders; without them those that the vendor names."""
        del keys
        self._allowed = tuple(networks(SENDERS) if allowed is None else allowed)

    @classmethod
    def configured(cls, keys: Iterable[str], options: Mapping[str, Any]) -> SenderAddress:
        """With the options of the contract.

        Raises:
            UnusableSecret: an address is none, or everybody's.
        """
        told: Any = options.get("webhook_addresses")
        if told is None:
            return cls(keys)
        try:
            return cls(keys, allowed=networks([str(one) for one in cast("list[Any]", told)]))
        except TypeError:
            raise UnusableSecret("webhook_addresses is no list of addresses") from None
        except ValueError as error:
            raise UnusableSecret(f"webhook_addresses {error}") from None

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
        """(3) The same for every delivery: what tells them apart is the hash of each event.

        Raises:
            SignatureRefused: it comes from elsewhere.
        """
        del body, now
        try:
            sender = ipaddress.ip_address(headers.get(":client", ""))
        except ValueError:
            raise SignatureRefused("unknown_sender") from None
        mapped = sender.ipv4_mapped if isinstance(sender, ipaddress.IPv6Address) else None
        if not any((mapped or sender) in network for network in self._allowed):
            raise SignatureRefused("unknown_sender")
        return DELIVERY


def split_radancy_delivery(payload: Any) -> list[tuple[str, Any]]:
    """(2, 3) The events of a delivery in order, each once, with the hash of its content.

    Raises:
        ValueError: it is no array of objects.
    """
    if not isinstance(payload, list):
        raise ValueError("no array")
    found: dict[str, Any] = {}
    for event in cast("list[Any]", payload):
        if not isinstance(event, dict):
            raise ValueError("an event is no object")
        content = json.dumps(event, sort_keys=True, separators=(",", ":"))
        found.setdefault(hashlib.sha256(content.encode()).hexdigest(), event)
    return list(found.items())


def read_radancy_event(payload: Any) -> Hint:
    """(4) What one event is about. Never raises."""
    if not isinstance(payload, dict):
        return unknown(None)
    body = cast("Row", payload)
    name, event = word_or_none(body.get("event_name")), part(body, "event")
    referral_id = id_or_none(part(event, "job_application").get("id"))
    if name is None or name not in TYPES or referral_id is None:
        return unknown(name)
    moment = instant_or_none(event.get("date_time"))
    return Hint(name, f"referral:{referral_id}", moment, referral_id=referral_id)
