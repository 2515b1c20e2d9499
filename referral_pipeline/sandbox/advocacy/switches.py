"""What can be set at run time on the advocacy sandbox, and the rate limit that follows from it.

Belongs here: settings behind `POST /_sandbox/switches`. Does not belong here: faults (`sandbox.faults`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, cast

from referral_pipeline.sandbox.advocacy.answers import Refused


@dataclass
class Switches:
    """`rate_limit` is calls per fixed window of `rate_window_seconds`; 0 means no limit.

    `operations_forbidden` and `operations_absent` are operations, as the call counts name them
    (`PATCH /v1/referrals/{id}`), that this client may not use (403), or that this platform does not have (404).
    """

    token_lifetime_seconds: int = 3600
    rate_limit: int = 0
    rate_window_seconds: float = 10.0
    operations_forbidden: tuple[str, ...] = ()
    operations_absent: tuple[str, ...] = ()

    def set(self, values: Mapping[str, Any]) -> None:
        """Take new values; nothing is changed when one is unknown or out of range.

        Raises:
            Refused: 422.
        """
        kinds = {item.name: type(getattr(self, item.name)) for item in fields(self)}
        for name, value in values.items():
            if name not in kinds:
                raise Refused(422, "there is no such switch", pointer=f"/{name}")
            if kinds[name] is tuple:
                if not isinstance(value, list) or not all(isinstance(one, str) for one in cast("list[Any]", value)):
                    raise Refused(422, "takes a list of operations", pointer=f"/{name}")
            elif kinds[name] is bool:
                if not isinstance(value, bool):
                    raise Refused(422, "takes true or false", pointer=f"/{name}")
            elif isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                raise Refused(422, "a switch takes a number, 0 or above", pointer=f"/{name}")
        for name, value in values.items():
            setattr(self, name, kinds[name](value))


class RateLimit:
    """A fixed window over the whole API."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self._ends_at = 0.0
        self._used = 0

    def take(self) -> None:
        """Use one call of the window.

        Raises:
            Refused: 429 with Retry-After in whole seconds, at least 1.
        """
        if not self._switches.rate_limit:
            return
        now = time.monotonic()
        if now >= self._ends_at:
            self._ends_at, self._used = now + self._switches.rate_window_seconds, 0
        self._used += 1
        if self._used > self._switches.rate_limit:
            wait = max(1, math.ceil(self._ends_at - now))
            raise Refused(429, "too many calls in this window", headers={"Retry-After": str(wait)})
