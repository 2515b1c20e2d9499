"""`advocacy.options` of a contract whose connector is files.

Belongs here: the options, and which of them change what a file says. Does not belong here: reading files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from referral_pipeline.connectors.files_columns import COLUMNS

READING = 1
"""Raised when this code reads a cell differently than before, so that every file is read again."""


class FilesOptions(BaseModel):
    """The options. Relative paths are below the home folder."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    folder: str = Field(min_length=1)
    """Where exports are dropped, relative to the home folder."""
    outbox: str = "data/outbox"
    """Where files for the platform are written, relative to the home folder."""
    time_zone: str = "UTC"
    """The zone of times without one."""
    date_formats: tuple[str, ...] = ()
    """Further forms of a time, as strptime writes them; year first is always read."""
    columns: Mapping[str, Mapping[str, str]] = Field(default_factory=dict[str, Mapping[str, str]])
    """By entity: our field -> their column. A field left out is read from the column of its own name."""
    consent_basis: str | None = None
    """In the owner's words: on what ground people of files without a column of consent may be passed on."""
    settle_seconds: float = Field(default=5.0, ge=0)
    """How long a file must be unchanged before it is read."""

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("is no name of the IANA time zones; write it like Europe/Berlin") from None
        return value

    @field_validator("columns")
    @classmethod
    def _are_known(cls, value: Mapping[str, Mapping[str, str]]) -> Mapping[str, Mapping[str, str]]:
        for entity, names in value.items():
            if entity not in COLUMNS:
                raise ValueError(f"{entity} is no kind of row; allowed: {', '.join(COLUMNS)}")
            for name in names:
                if name not in COLUMNS[entity]:
                    raise ValueError(f"{entity}.{name} is no field; allowed: {', '.join(COLUMNS[entity])}")
        return value

    def reading(self, kind: str) -> str:
        """How files of a kind are read, in a word: another one once an option changes what they say."""
        columns = sorted(self.columns.get(kind, {}).items())
        parts = (READING, self.time_zone, self.date_formats, columns, self.consent_basis)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
