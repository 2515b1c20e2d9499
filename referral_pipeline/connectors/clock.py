"""Time as connectors use it.

Belongs here: the injectable clock. Does not belong here: waiting rules (`connectors.http`, `connectors.breaker`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """Time, injectable for tests: epoch seconds, monotonic seconds, waiting, and the dice of the jitter (0 to 1)."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    dice: Callable[[], float] = random.random
