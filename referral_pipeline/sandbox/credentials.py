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


def _derived(purpose: str) -> str:
    """A 32-byte key in URL-safe base64 (the form Fernet wants), the same on every machine."""
    return base64.urlsafe_b64encode(hashlib.sha256(f"referral pipeline sandbox: {purpose}".encode()).digest()).decode()


SECRETS: Mapping[str, str] = {
    "ADVOCACY_CLIENT_ID": ADVOCACY_CLIENT_ID,
    "ADVOCACY_CLIENT_SECRET": ADVOCACY_CLIENT_SECRET,
    "ADVOCACY_WEBHOOK_SECRET": "whsec_" + _derived("advocacy webhooks"),
    "GREENHOUSE_CLIENT_ID": GREENHOUSE_CLIENT_ID,
    "GREENHOUSE_CLIENT_SECRET": GREENHOUSE_CLIENT_SECRET,
    "GREENHOUSE_WEBHOOK_SECRET": _derived("greenhouse webhooks"),
    "REFERRAL_PIPELINE_KEY": _derived("ledger encryption"),
    "REFERRAL_PIPELINE_HASH_KEY": _derived("keyed hashes"),
}
"""Environment variables (by the names of the sandbox's own contract) that a process needs besides the URLs."""
