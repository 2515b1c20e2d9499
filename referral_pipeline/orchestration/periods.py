"""Run config for a period: from which day to pull again, and at which moment the numbers stand.

Belongs here: the two config classes and their reading of a moment. Does not belong here: what is done with it (the
bridge). Concept page: https://docs.dagster.io/guides/operate/configuration/run-configuration

What `as_of` does and does not do. Facts are today's: what both systems hold now. Only what is judged by age is judged
as of then: whether a cohort is mature, and whether a consent had run out. So an `as_of` in the past answers "which of
today's facts would have been old enough then", not "what did we know then". It is published as ever, the manifest says
so, and nothing of it is sent to advocates. The next run without it publishes the present again.
"""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

__all__ = ["AsOfConfig", "PullConfig"]


class PullConfig(dg.Config):
    """How much to pull: `full` everything, which also finds deletions; `since` what changed from that moment on."""

    full: bool = False
    since: str = ""
    """RFC 3339 or a day (its beginning in UTC); empty goes on where the last pull ended."""
    believe_absent: bool = False
    """Whether what a full pull misses is gone even where most is missing, or rows came without an id."""

    @property
    def since_moment(self) -> datetime | None:
        """From when on to pull again, aware UTC; None to go on where the last pull ended."""
        return _past("since", self.since) if self.since else None


class AsOfConfig(dg.Config):
    """At which moment the numbers stand. Maturity of a cohort depends on it; see the module for what does not."""

    as_of: str = ""
    """RFC 3339 or a day (its beginning in UTC); empty for now."""

    @property
    def moment(self) -> datetime:
        """The moment, aware UTC."""
        return self.given or datetime.now(UTC)

    @property
    def given(self) -> datetime | None:
        """The moment that was asked for, aware UTC; None for now."""
        return _past("as_of", self.as_of) if self.as_of else None


def _past(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} is no time: write a day (2026-05-04) or RFC 3339 (2026-05-04T10:00:00Z)") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if moment > datetime.now(UTC):
        # A cohort judged at a time that has not come would be mature before its hires could be known.
        raise ValueError(f"{name} lies in the future: write a moment that has passed")
    return moment
