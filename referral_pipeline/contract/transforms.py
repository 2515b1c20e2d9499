"""Transforms: what a mapping does to a value on its way, as the contract says it.

Belongs here: the section `transform` of a mapping and what it makes of a value. Does not belong here: which fields may
be transformed (`rules`), where values come from (`sync.facts`).

The order is fixed: a date is written in its format, else a word is looked up in `map`; `default` stands where there is
nothing, or no such word; `template` is put around what came of it. A word that `map` does not know and for which no
default stands becomes nothing: a field with fixed words never receives another.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, cast
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from referral_pipeline.contract.problems import refuse, shown
from referral_pipeline.contract.values import TimeZone

_DIRECTIVES = frozenset("YymdHMSj%")
"""Those of strftime that mean the same on every machine and in every language."""


def _date_format(text: str) -> str:
    plain = text.replace("%%", "")
    used = [plain[place + 1 : place + 2] for place, character in enumerate(plain) if character == "%"]
    wrong = [name for name in used if name not in _DIRECTIVES]
    if wrong or not used:
        raise refuse(
            f"found {shown(text)}, no format of a date; allowed: %Y %y %m %d %H %M %S %j and text between them",
            'Write it like "%Y-%m-%d"',
        )
    return text


def _template(text: str) -> str:
    try:
        fields = [(name, spec, conversion) for _, name, spec, conversion in string.Formatter().parse(text)]
    except ValueError:
        fields = []
    named = [field for field in fields if field[0] is not None]
    if named != [("value", "", None)]:
        raise refuse(
            f"found {shown(text)}, no template; allowed: text with {{value}} in it, once",
            'Write it like "Campaign {value}"; a brace of the text itself is written twice',
        )
    return text


def _words(found: Any) -> Any:
    """Keys and values as texts: YAML reads `true`, `7` and `1.5` as other things."""
    if not isinstance(found, dict):
        return found
    pairs = cast("dict[Any, Any]", found).items()
    if any(not isinstance(part, str | int | float | date) for pair in pairs for part in pair):
        raise refuse(
            "found something that is no word; allowed: words on both sides", "Write it like {linkedin: LinkedIn}"
        )
    return {_text(key): _text(value) for key, value in pairs}


class Transform(BaseModel):
    """What becomes of a value. At least one of them, and a word's map or a date's format, not both."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    map: Annotated[Mapping[str, str], BeforeValidator(_words)] | None = Field(
        default=None, min_length=1, description="a map of words to words", examples=["{linkedin: LinkedIn}"]
    )
    date: Annotated[str, Field(min_length=2, max_length=60), AfterValidator(_date_format)] | None = Field(
        default=None, description="a format of %Y %y %m %d %H %M %S %j", examples=['"%Y-%m-%d"']
    )
    time_zone: TimeZone = Field(default="UTC", description="a zone of the IANA database", examples=["Europe/Berlin"])
    template: Annotated[str, Field(min_length=7, max_length=200), AfterValidator(_template)] | None = Field(
        default=None, description="text with {value} in it", examples=['"Campaign {value}"']
    )
    default: str | None = Field(
        default=None, min_length=1, max_length=200, description="a text", examples=["Employee referral"]
    )

    @model_validator(mode="after")
    def _says_something(self) -> Transform:
        if self.map is None and self.date is None and self.template is None and self.default is None:
            raise refuse("found nothing to do; allowed: map, date, template or default", "Write one, or leave it out")
        if self.map is not None and self.date is not None:
            raise refuse("found map and date; allowed: one of the two", "Keep the one that fits the field")
        return self

    def apply(self, value: Any) -> str | None:
        """What is written for a value: text, or None for nothing.

        Args:
            value: a word, number, flag, aware datetime or day, or a time as ISO 8601 text; None for nothing.
        """
        text: str | None
        if value is None or value == "":
            text = self.default
        elif self.date is not None:
            text = self._dated(value)
        elif self.map is not None:
            text = self.map.get(_text(value), self.default)
        else:
            text = _text(value)
        return text if text is None or self.template is None else self.template.format(value=text)

    def _dated(self, value: Any) -> str | None:
        assert self.date is not None
        moment = value if isinstance(value, date) else _moment(str(value))
        if moment is None:
            return self.default
        if isinstance(moment, datetime):
            aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
            moment = aware.astimezone(ZoneInfo(self.time_zone))
        return moment.strftime(self.date)


def _moment(text: str) -> date | None:
    """A day or a moment in ISO 8601; None for anything else."""
    try:
        return date.fromisoformat(text) if len(text) == len("2026-05-04") else datetime.fromisoformat(text)
    except ValueError:
        return None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
