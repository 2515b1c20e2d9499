"""The comparison in numbers: by day, by finding, by cause, and how sure one can be of the rate of agreement.

Belongs here: counting lines and exact bounds. Does not belong here: making lines (compare), what follows (sign_off).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from typing import Any

from referral_pipeline.quality.parallel_run.records import Cause, Finding, Line, Window

_MOST_LISTED = 200
"""Open findings that a verification keeps by their ids; all of them are in ops.parallel_run."""


@dataclass(frozen=True)
class Day:
    """One day of the window. `manual` and `integration` count what each side had; the rest counts findings."""

    day: date
    manual: int = 0
    integration: int = 0
    agrees: int = 0
    waiting: int = 0
    missing_in_integration: int = 0
    missing_in_manual: int = 0
    field_differences: int = 0
    missed_duplicates: int = 0
    late: int = 0
    silent_webhook_failures: int = 0
    open: int = 0


@dataclass(frozen=True)
class Numbers:
    """What a comparison came to.

    Attributes:
        window: its days.
        rows: rows of manual intake in the window; `outside` are those that are not, `set_aside` could not be read.
        matched: rows that both sides have.
        agreeing: of these, without a difference that is not as meant.
        rate: agreeing over matched, None without any; `low` and `high` are its exact one-sided bounds.
        confidence: of each bound.
        unexplained_rate: as `rate`, counting only differences whose cause nobody knows as such.
        findings, causes: lines by finding, and by cause; without those that agree.
        open: findings that somebody has to mend or accept; `unexplained` are those of unknown cause.
        days: every day of the window.
        listed: the open findings, by ids.
    """

    window: Window
    rows: int
    outside: int
    set_aside: int
    matched: int
    agreeing: int
    rate: float | None
    low: float | None
    high: float | None
    confidence: float
    unexplained_rate: float | None
    findings: Mapping[str, int]
    causes: Mapping[str, int]
    open: int
    unexplained: int
    days: tuple[Day, ...]
    listed: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    @property
    def passed(self) -> bool:
        """Whether something was compared, and nothing is left open."""
        return self.matched > 0 and self.open == 0

    def of_cause(self, *causes: Cause) -> int:
        """How many findings have one of these causes."""
        return sum(self.causes.get(cause, 0) for cause in causes)

    def facts(self) -> dict[str, Any]:
        """What is kept of it for good, and printed as JSON: counts, rates, days and ids."""
        return {
            "starts_on": self.window.starts_on.isoformat(),
            "ends_on": self.window.ends_on.isoformat(),
            "time_zone": self.window.time_zone,
            **{
                name: getattr(self, name)
                for name in (
                    *("rows", "outside", "set_aside", "matched", "agreeing", "rate", "low", "high", "confidence"),
                    *("unexplained_rate", "open", "unexplained"),
                )
            },
            "findings": dict(self.findings),
            "causes": dict(self.causes),
            "days": [{**asdict(day), "day": day.day.isoformat()} for day in self.days],
            "open_findings": [dict(one) for one in self.listed],
        }


def count(
    lines: Sequence[Line],
    *,
    window: Window,
    rows: int,
    outside: int,
    set_aside: int,
    confidence: float,
) -> Numbers:
    """The numbers of a comparison.

    Args:
        lines: all of it.
        window: its days.
        rows: rows of manual intake in the window.
        outside: rows that are in no day of it.
        set_aside: rows that could not be read.
        confidence: of each exact bound, above 0 and below 1.
    """
    by_record: dict[str, list[Line]] = {}
    for line in lines:
        if line.manual_record is not None:
            by_record.setdefault(line.manual_record, []).append(line)
    matched = [own for own in by_record.values() if _is_matched(own)]
    agreeing = sum(not any(_differs(line) for line in own) for own in matched)
    puzzling = sum(any(_differs(line) and line.is_unexplained for line in own) for own in matched)
    low, high = exact_bounds(agreeing, len(matched), confidence) if matched else (None, None)
    told = [line for line in lines if line.finding is not Finding.AGREES]
    opened = [line for line in lines if line.is_open]
    return Numbers(
        window=window,
        rows=rows,
        outside=outside,
        set_aside=set_aside,
        matched=len(matched),
        agreeing=agreeing,
        rate=agreeing / len(matched) if matched else None,
        low=low,
        high=high,
        confidence=confidence,
        unexplained_rate=1 - puzzling / len(matched) if matched else None,
        findings=dict(sorted(Counter(str(line.finding) for line in told).items())),
        causes=dict(sorted(Counter(line.cause for line in told if line.cause is not None).items())),
        open=len(opened),
        unexplained=sum(line.is_unexplained for line in opened),
        days=_days(lines, window),
        listed=tuple(_listed(line) for line in opened[:_MOST_LISTED]),
    )


def exact_bounds(hits: int, units: int, confidence: float) -> tuple[float, float]:
    """The lower and the upper bound of a ratio (Clopper-Pearson), each one-sided at this confidence."""
    from scipy.stats import binomtest

    found: list[float] = []
    for side, alternative in (("low", "greater"), ("high", "less")):
        interval = binomtest(hits, units, alternative=alternative).proportion_ci(confidence, method="exact")
        found.append(float(getattr(interval, side)))
    return found[0], found[1]


_PAIRED = frozenset(
    {Finding.AGREES, Finding.FIELD_DIFFERENCE, Finding.MISSED_DUPLICATE, Finding.LATE, Finding.SILENT_WEBHOOK_FAILURE}
)


def _is_matched(lines: Sequence[Line]) -> bool:
    return any(line.finding in _PAIRED and line.application_key is not None for line in lines)


def _differs(line: Line) -> bool:
    return line.finding in {Finding.FIELD_DIFFERENCE, Finding.MISSED_DUPLICATE} and line.is_open


def _days(lines: Sequence[Line], window: Window) -> tuple[Day, ...]:
    of_day: dict[date, list[Line]] = {}
    for line in lines:
        of_day.setdefault(line.day, []).append(line)
    length = (window.ends_on - window.starts_on).days + 1
    return tuple(
        _day(day, of_day.get(day, ())) for day in (window.starts_on + timedelta(days=n) for n in range(length))
    )


def _day(day: date, lines: Sequence[Line]) -> Day:
    findings = Counter(line.finding for line in lines)
    return Day(
        day=day,
        manual=len({line.manual_record for line in lines if line.manual_record is not None}),
        integration=len({line.referral_id for line in lines if line.application_key is not None}),
        agrees=findings[Finding.AGREES],
        waiting=findings[Finding.WAITING],
        missing_in_integration=findings[Finding.MISSING_IN_INTEGRATION],
        missing_in_manual=findings[Finding.MISSING_IN_MANUAL],
        field_differences=findings[Finding.FIELD_DIFFERENCE],
        missed_duplicates=findings[Finding.MISSED_DUPLICATE],
        late=findings[Finding.LATE],
        silent_webhook_failures=findings[Finding.SILENT_WEBHOOK_FAILURE],
        open=sum(line.is_open for line in lines),
    )


def _listed(line: Line) -> Mapping[str, Any]:
    return {
        "manual_record": line.manual_record,
        "referral_id": line.referral_id,
        "finding": str(line.finding),
        "field": line.field,
        "cause": line.cause,
    }
