"""The section `verification`: how it is proven, before go-live and after, that the integration is right.

Belongs here: the sections and their limits. Does not belong here: the audits themselves (quality).
"""

from __future__ import annotations

from math import ceil, log
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from referral_pipeline.contract.problems import refuse
from referral_pipeline.contract.sections import Section, at_key
from referral_pipeline.contract.values import Day, InputPath, TimeZone

MANUAL_FIELDS = (
    "record_id",
    "entered_at",
    "first_name",
    "last_name",
    "email",
    "phone",
    "country",
    "job_id",
    "advocate_id",
    "campaign_tag",
    "status",
)
"""What a row of manual intake can tell; a column is needed for entered_at, job_id, and email or phone."""


class FieldAudit(Section):
    """A sample of records, read again from both systems and compared field by field."""

    sample: int = Field(default=50, strict=True, ge=25, le=5000, description="a whole number from 25 to 5000")
    confidence: float = Field(
        default=0.95, strict=True, ge=0.5, lt=1, description="a number from 0.5 and below 1", examples=[0.95]
    )
    minimum_accuracy: float = Field(
        default=0.9,
        strict=True,
        gt=0,
        lt=1,
        description="a number above 0 and below 1, held against the lower bound",
        examples=[0.9],
    )

    @model_validator(mode="after")
    def _can_be_shown(self) -> FieldAudit:
        # So many records without a single error put the one-sided exact bound at the minimum.
        needed = ceil(log(1 - self.confidence) / log(self.minimum_accuracy) - 1e-9)
        if self.sample < needed:
            raise at_key(
                "sample",
                f"found {self.sample}; allowed for this minimum_accuracy and confidence: {needed} or more, since fewer "
                "cannot show it even without an error",
                "Raise sample, or lower minimum_accuracy",
            )
        return self


def _known(columns: dict[str, str]) -> dict[str, str]:
    if unknown := sorted(set(columns) - set(MANUAL_FIELDS)):
        raise refuse(
            f"found {unknown[0]}; allowed: {', '.join(MANUAL_FIELDS)}", "Name our field first, then the column"
        )
    taken = [column.strip().casefold() for column in columns.values()]
    if twice := [name for name, column in columns.items() if taken.count(column.strip().casefold()) > 1]:
        raise refuse(
            f"found one column for {' and '.join(twice)}; allowed: each column once", "Give each field its own column"
        )
    return columns


class ParallelRun(Section):
    """Manual intake kept beside the integration in the launch window, to be compared with it day by day.

    `starts_on` and `ends_on` are days of `time_zone`, both in the window; one that is left out is the day of the first,
    or of the last, entry in the files.
    """

    files: InputPath
    starts_on: Day | None = None
    ends_on: Day | None = None
    time_zone: TimeZone = Field(
        default="UTC", description="an IANA time zone, that of the days and of times without one", examples=["UTC"]
    )
    late_hours: int = Field(
        default=24, strict=True, ge=1, le=720, description="a whole number of hours from 1 to 720", examples=[24]
    )
    columns: Annotated[dict[str, str], AfterValidator(_known)] = Field(
        default_factory=dict,
        description="a section of our field: your column; a field left out is read from the column of its own name",
    )

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> ParallelRun:
        if self.starts_on is not None and self.ends_on is not None and self.ends_on < self.starts_on:
            raise at_key("ends_on", "found a day before starts_on; allowed: that day or later", "Exchange the two")
        return self


class Verification(Section):
    """How the integration is verified."""

    field_audit: FieldAudit = Field(default_factory=FieldAudit)
    parallel_run: ParallelRun | None = None
