"""How large a programme is.

Belongs here: counts. Does not belong here: rates and stories (`generate`, `cases`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class ProgrammeSize:
    """Counts of rows.

    `per_case` is how often each kind of dirt occurs; `fresh` are clean referrals of the last days that the ATS does not
    know yet; `referrals` are all, so that the rest were typed by hand earlier.
    """

    advocates: int = 320
    jobs: int = 30
    content: int = 60
    shares: int = 2_500
    clicks: int = 20_500
    referrals: int = 1_060
    fresh: int = 130
    other_applications: int = 420
    per_case: int = 6

    @classmethod
    def small(cls) -> ProgrammeSize:
        """Every case once, in a programme that a test can go through in a second."""
        return cls(
            advocates=30,
            jobs=9,
            content=18,
            shares=160,
            clicks=420,
            referrals=150,
            fresh=12,
            other_applications=40,
            per_case=1,
        )

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)
