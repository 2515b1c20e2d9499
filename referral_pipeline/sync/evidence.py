"""What is kept of a write that a system refused for good: request and answer, encrypted.

Belongs here: turning a failure into the two sealed bodies of a dead delivery. Does not belong here: where they are kept
(ledger), who may open them (the command line, on demand).
"""

from __future__ import annotations

import json
from typing import Any

from referral_pipeline.privacy.crypto import Cipher


class Sealer:
    """Seals request and answer of a failed call. Without a cipher nothing is kept."""

    def __init__(self, cipher: Cipher | None) -> None:
        self._cipher = cipher

    def of(self, failure: Exception) -> tuple[bytes | None, bytes | None]:
        """The encrypted request and answer of a failure, None where it knows none."""
        evidence: Any = getattr(failure, "evidence", None)
        if self._cipher is None or evidence is None:
            return None, None
        request = json.dumps(
            {"method": evidence.method, "path": evidence.path, "body": evidence.request_body}, default=str
        ).encode()
        response = None
        if evidence.status is not None or evidence.response_body:
            text = (evidence.response_body or b"").decode(errors="replace")
            response = json.dumps({"status": evidence.status, "body": text}).encode()
        return self._cipher.encrypt(request), self._cipher.encrypt(response) if response is not None else None
