"""Whether the numbers can be trusted: complete evidence, and what is wrong with the data, in plain words.

Belongs here: the lines of these two parts. Does not belong here: the rules that find problems (`quality`), reading
(`marts`). Counts only: no record, person or value is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from referral_pipeline.reports.figures import Figure, Interval, count
from referral_pipeline.reports.marts import KpiRow, Kpis, QualityCount
from referral_pipeline.reports.words import BLOCK_WORDS, FIELD_WORDS, UNKNOWN

_COVERAGE = (
    (("all", "all"), "Hires through advocates"),
    (("scope", "applications"), "Applications through advocates"),
)


@dataclass(frozen=True)
class Coverage:
    """How many of a kind carry complete evidence."""

    label: str
    complete: Figure
    total: Figure
    rate: Figure
    interval: Interval | None


@dataclass(frozen=True)
class Line:
    """A sentence that begins with its number; without one, that it is not known."""

    figure: Figure | None
    text: str


def coverage(kpis: Kpis) -> tuple[Coverage, ...]:
    """Hires first, then applications; what was not counted is left out."""
    rows = ((label, kpis.total("attribution_coverage", *segment)) for segment, label in _COVERAGE)
    return tuple(_covered(label, row) for label, row in rows if row is not None)


def _covered(label: str, row: KpiRow) -> Coverage:
    return Coverage(
        label=label,
        complete=row.counted("numerator"),
        total=row.counted("denominator"),
        rate=row.figure(),
        interval=row.interval(),
    )


def quality(counts: Sequence[QualityCount] | None, kpis: Kpis) -> tuple[Line, ...]:
    """What was set aside, what was held back, what was doubled, how fast events travel.

    `counts` is None when nobody has counted, and empty when nothing was found: only then is it said that there is none.
    """
    if counts is None:
        found = (Line(None, f"How many records were set aside or held back is {UNKNOWN}."),)
    elif counts:
        found = tuple(_line(one) for one in counts)
    else:
        found = (Line(count(0), "records were set aside, and none was held back."),)
    return (*found, *_from_kpis(kpis))


def _line(one: QualityCount) -> Line:
    figure, is_one = count(one.records), one.records == 1
    if one.kind == "held_back":
        subject, pronoun = ("referral was", "it") if is_one else ("referrals were", "each")
        reason = BLOCK_WORDS.get(one.reason, one.reason.replace("_", " "))
        return Line(figure, f"{subject} kept out of the applicant tracking system, because {pronoun} {reason}.")
    if one.kind == "by_record":
        subject, counts, what = ("hire has", "it counts", "it") if is_one else ("hires have", "they count", "them")
        fault = "a date before the application" if one.reason == "negative_time_to_hire" else "no date"
        where = f"{counts} in the month in which the tracking system last changed {what}"
        return Line(figure, f"{subject} {fault}, so {where}.")
    field = FIELD_WORDS.get(one.reason, one.reason.replace("_", " "))
    noun = one.entity.removeprefix("ats_").replace("_", " ")
    noun = noun.removesuffix("s") if is_one else noun if noun.endswith(("s", "content")) else f"{noun}s"
    if one.level == "field":
        return Line(figure, f"{noun} went on without the {field}, which cannot be read.")
    return Line(figure, f"{noun} {'was' if is_one else 'were'} set aside: the {field} is missing or cannot be read.")


def _from_kpis(kpis: Kpis) -> Iterator[Line]:
    duplicates = kpis.total("duplicate_rate")
    if duplicates is not None and duplicates.is_known:
        yield Line(duplicates.figure(), "of the records received told of a person already known, and were joined.")
    created = kpis.total("duplicate_rate", "scope", "created_by_integration")
    if created is not None and created.numerator is not None:
        was = "duplicate candidate was" if created.numerator == 1 else "duplicate candidates were"
        yield Line(created.counted("numerator"), f"{was} made in the applicant tracking system by the integration.")
    for segment, text in (
        ("forward", "is the most that 95 of 100 events take from the advocacy platform to the tracking system."),
        ("return", "is the most that 95 of 100 events take back to the advocacy platform."),
    ):
        row = kpis.total("sync_latency_seconds", "scope", segment)
        if row is not None and row.is_known:
            yield Line(row.figure(), text)
