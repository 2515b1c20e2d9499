"""How a sandbox disturbs its own webhooks.

Belongs here: the settings behind `POST /_sandbox/webhooks`, one documented field each. Does not belong here: obeying
them (`emitter`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

RETRIES: dict[str, tuple[float, ...]] = {
    "off": (),
    "compressed": (0.25, 0.5, 1.0, 2.0, 4.0, 8.0),
    "vendor": (60.0, 900.0, 3_600.0, 7_200.0, 14_400.0, 28_800.0),
}
"""Seconds before each further attempt; `vendor` is Greenhouse's own schedule."""


def check_address(url: str) -> str:
    """The address without a slash at its end. ValueError when it is no http address without a query."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an http address such as http://127.0.0.1:8780")
    _ = parts.port  # refuses what is no port
    return url.rstrip("/")


Seconds = Annotated[float, Field(ge=0, le=86_400)]
Share = Annotated[float, Field(ge=0, le=1)]


class Modes(BaseModel):
    """Where webhooks go, and how. Frozen: a change makes a new one (`changed`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    url: Annotated[str, AfterValidator(check_address)] | None = None
    """The receiver's address; the path /webhooks/{system} is added. None: nothing is sent, nothing is kept."""
    delay: Seconds | tuple[Seconds, Seconds] = 0.0
    """Seconds before the first attempt, or the range from which they are drawn."""
    duplicate: int = Field(default=1, ge=1, le=1_000)
    """How often each delivery is sent, under one id."""
    shuffle: int = Field(default=0, ge=0, le=100_000)
    """Deliveries are collected by this many and sent in another order; what is left goes after a moment of quiet."""
    rotate: Literal["off", "both", "new"] = "off"
    """Signed with the old key, with the old and the new one, with the new one."""
    drop: Share = 0.0
    """The share of deliveries that is never sent."""
    drop_types: tuple[str, ...] = ()
    """Types that are never sent."""
    hold: bool = False
    """Deliveries are kept until they are released; switched off, they go in the order in which they were made."""
    bad_signature: Share = 0.0
    """The share of deliveries that is signed with a key nobody knows."""
    clock_offset: float = 0.0
    """Seconds by which the sender's clock is wrong, where the time is signed."""
    retries: Literal["off", "compressed", "vendor"] | tuple[Seconds, ...] = "compressed"
    """What follows an answer that is not 200: a schedule by name, or seconds before each further attempt."""
    timeout_seconds: float = Field(default=10.0, gt=0, le=120)
    """How long an answer may take."""
    connections: int = Field(default=16, ge=1, le=64)
    """How many deliveries can be under way at once; with 1 they arrive in the order in which they were made."""
    seed: int = 7
    """Of what is drawn."""

    def changed(self, changes: dict[str, Any]) -> Modes:
        """These modes with some of them changed. Raises pydantic.ValidationError for a name or value unknown."""
        return Modes.model_validate({**self.model_dump(), **changes})

    @property
    def schedule(self) -> tuple[float, ...]:
        """Seconds before each further attempt."""
        return RETRIES[self.retries] if isinstance(self.retries, str) else self.retries
