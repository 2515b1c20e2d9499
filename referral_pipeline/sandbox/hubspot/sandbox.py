"""HubSpot as the process of the sandboxes serves it.

Belongs here: book, app and webhooks put together. Does not belong here: serving (`sandbox.server`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from referral_pipeline.sandbox.credentials import HUBSPOT_API_KEY, NEXT_WEBHOOK_SECRETS, SECRETS
from referral_pipeline.sandbox.crm import CrmSandbox
from referral_pipeline.sandbox.hubspot.app import create_app
from referral_pipeline.sandbox.hubspot.book import Book
from referral_pipeline.sandbox.hubspot.events import connect, made_emitter
from referral_pipeline.sandbox.hubspot.switches import HubSpotSwitches

_KEY = "HUBSPOT_WEBHOOK_SECRET"
DEFAULT_RATE = 10_000
"""Calls in ten seconds. HubSpot takes 190, which would make a demonstration wait."""


def create(switches: Mapping[str, Any]) -> CrmSandbox:
    """An empty HubSpot account."""
    paced = {"rate_limit": DEFAULT_RATE, "search_per_second": 100}
    book = Book(HubSpotSwitches.model_validate({**paced, **switches}))
    emitter = made_emitter((SECRETS[_KEY], NEXT_WEBHOOK_SECRETS[_KEY]))
    connect(book, emitter)
    return CrmSandbox(create_app(book, key=HUBSPOT_API_KEY), emitter)
