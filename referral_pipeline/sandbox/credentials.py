"""The credentials and keys of the local sandboxes: fixed, public, worth nothing outside them.

Belongs here: the constants that the sandboxes accept and that a process needs to talk to them. Does not belong here:
anything that could open a real system; those come from the environment (`settings`).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

ADVOCACY_CLIENT_ID = "sandbox-advocacy-client"
ADVOCACY_CLIENT_SECRET = "sandbox-advocacy-secret"  # noqa: S105
GREENHOUSE_CLIENT_ID = "sandbox-client.greenhouse"
GREENHOUSE_CLIENT_SECRET = "sandbox-greenhouse-secret"  # noqa: S105
GREENHOUSE_INGESTION_API_KEY = "sandbox-greenhouse-partner-key"
ASHBY_API_KEY = "sandbox-ashby-api-key"
LEVER_API_KEY = "sandbox-lever-key"
RADANCY_CLIENT_ID = "sandbox-radancy-key"
RADANCY_CLIENT_SECRET = "sandbox-radancy-secret"  # noqa: S105
HUBSPOT_API_KEY = "sandbox-hubspot-key"


def _digest(purpose: str) -> bytes:
    return hashlib.sha256(f"referral pipeline sandbox: {purpose}".encode()).digest()


def _derived(purpose: str) -> str:
    """A 32-byte key in URL-safe base64 (the form Fernet wants), the same on every machine."""
    return base64.urlsafe_b64encode(_digest(purpose)).decode()


def _standard(purpose: str) -> str:
    """A key as Standard Webhooks writes it: plain base64, which not every reader takes for the URL-safe one."""
    return "whsec_" + base64.b64encode(_digest(purpose)).decode()


SECRETS: Mapping[str, str] = {
    "ADVOCACY_CLIENT_ID": ADVOCACY_CLIENT_ID,
    "ADVOCACY_CLIENT_SECRET": ADVOCACY_CLIENT_SECRET,
    "ADVOCACY_WEBHOOK_SECRET": _standard("advocacy webhooks"),
    "GREENHOUSE_CLIENT_ID": GREENHOUSE_CLIENT_ID,
    "GREENHOUSE_CLIENT_SECRET": GREENHOUSE_CLIENT_SECRET,
    "GREENHOUSE_WEBHOOK_SECRET": _derived("greenhouse webhooks"),
    "GREENHOUSE_INGESTION_API_KEY": GREENHOUSE_INGESTION_API_KEY,
    "ASHBY_API_KEY": ASHBY_API_KEY,
    "ASHBY_WEBHOOK_SECRET": _derived("ashby webhooks"),
    "LEVER_API_KEY": LEVER_API_KEY,
    "LEVER_WEBHOOK_SECRET": _digest("lever webhooks").hex()[:48],
    "RADANCY_CLIENT_ID": RADANCY_CLIENT_ID,
    "RADANCY_CLIENT_SECRET": RADANCY_CLIENT_SECRET,
    "HUBSPOT_API_KEY": HUBSPOT_API_KEY,
    "HUBSPOT_WEBHOOK_SECRET": _digest("hubspot webhooks").hex()[:36],
    "REFERRAL_PIPELINE_KEY": _derived("ledger encryption"),
    "REFERRAL_PIPELINE_HASH_KEY": _derived("keyed hashes"),
}
"""Environment variables (by the names of the sandbox's own contract) that a process needs besides the URLs."""

NEXT_WEBHOOK_SECRETS: Mapping[str, str] = {
    "ADVOCACY_WEBHOOK_SECRET": _standard("advocacy webhooks, rotated"),
    "GREENHOUSE_WEBHOOK_SECRET": _derived("greenhouse webhooks, rotated"),
    "ASHBY_WEBHOOK_SECRET": _derived("ashby webhooks, rotated"),
    "LEVER_WEBHOOK_SECRET": _digest("lever webhooks, rotated").hex()[:48],
    "HUBSPOT_WEBHOOK_SECRET": _digest("hubspot webhooks, rotated").hex()[:36],
}
"""The keys that webhooks are signed with after a rotation."""
