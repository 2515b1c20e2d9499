"""What is kept of a write that a system refused for good: request and answer, encrypted.

Belongs here: turning a failure into the two sealed bodies of a dead delivery. Does not belong here: where they are kept
(ledger), who may open them (the command line, on demand).
"""

from __future__ import annotations

from referral_pipeline.connectors.failures import HttpFailure
from referral_pipeline.privacy.crypto import Cipher


class Sealer:
    """Seals request and answer of a failed call. Without a cipher nothing is kept."""

    def __init__(self, cipher: Cipher | None) -> None:
        self._cipher = cipher

    def of(self, failure: Exception) -> tuple[bytes | None, bytes | None]:
        """The encrypted request and answer of a failure, None where it knows none."""
        evidence = failure.evidence if isinstance(failure, HttpFailure) else None
        if self._cipher is None or evidence is None:
            return None, None
        response = evidence.response
        sealed = self._cipher.encrypt(response) if response is not None else None
        return self._cipher.encrypt(evidence.request), sealed
