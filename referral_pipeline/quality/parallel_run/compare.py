"""The comparison: every row of manual intake against the integration, and the integration against the rows.

Belongs here: which finding a row gets, and the cause of what is missing. Does not belong here: matching (match), fields
(fields), duplicates (duplicates), counting (numbers).

A row has one line that says it agrees, or a line for each finding about it. What somebody decided so (a gate, the
contract's model of attribution, the ATS's own record) is a finding with that cause and leaves nothing to mend.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from referral_pipeline.identity.names import names_equal
from referral_pipeline.quality.parallel_run.causes import systematic
from referral_pipeline.quality.parallel_run.duplicates import duplicates
from referral_pipeline.quality.parallel_run.fields import Compared, compare_fields
from referral_pipeline.quality.parallel_run.match import Matched, Matcher
from referral_pipeline.quality.parallel_run.records import (
    GATE,
    QUARANTINED,
    Cause,
    Facts,
    Finding,
    Line,
    Manual,
    Ours,
    Window,
)

_NO_LINES: tuple[Line, ...] = ()
_PULLED = "no webhook about it ever arrived: a pull has found it"


def compare(
    facts: Facts, *, window: Window, late_after: timedelta, mapped: frozenset[str], now: datetime
) -> list[Line]:
    """All lines, by day and record.

    Args:
        facts: both sides.
        window: the launch window; `facts.manual` are its rows.
        late_after: how long the integration may take.
        mapped: which of advocate and campaign the contract writes to the ATS.
        now: the time, aware.
    """
    return _Comparison(facts, window, late_after, mapped, now).lines()


@dataclass(frozen=True)
class _Comparison:
    facts: Facts
    window: Window
    late_after: timedelta
    mapped: frozenset[str]
    now: datetime

    def lines(self) -> list[Line]:
        matcher = Matcher(self.facts)
        matched = [matcher.match(row) for row in self.facts.manual]
        beside = [matcher.match(row) for row in self.facts.beside]
        claimed = {m.ours.referral_id for m in (*matched, *beside) if m.ours is not None}
        moved = _moved_jobs(matched, claimed)
        claimed |= {one.referral_id for one in moved.values()}
        doubles = duplicates(matched, matcher)
        compared = self._compared(matched, matcher)
        wrong = systematic(one for fields in compared.values() for one in fields)
        lines: list[Line] = []
        strangers = [one for one in self.facts.ours if one.referral_id not in claimed]
        for m in matched:
            found = list(doubles.get(m.row.place, _NO_LINES))
            if m.ours is not None and m.ours.is_written:
                found += self._differences(m, m.ours, compared[m.row.place], wrong)
                found += self._late(m.row, m.ours)
                found += self._silent(m.row, m.ours)
                found = found or [_line(m.row, Finding.AGREES, m.ours)]
            elif m.row.place in moved:
                found.append(self._moved(m.row, moved[m.row.place]))
            elif not found:
                found.append(self._missing(m, strangers))
            lines += found
        lines += self._not_in_manual(strangers, lines)
        order = {row.place: number for number, row in enumerate(self.facts.manual)}
        last = len(order)

        def place(line: Line) -> tuple[object, ...]:
            number = order.get(line.manual_record or "", last)
            return (line.day, number, line.referral_id or "", line.finding, line.field or "")

        return sorted(lines, key=place)

    # ------------------------------------------------------------ what both have

    def _compared(self, matched: Sequence[Matched], matcher: Matcher) -> Mapping[str, list[Compared]]:
        found: dict[str, list[Compared]] = {}
        for m in matched:
            if m.ours is not None and m.ours.is_written:
                others = [x for x in matcher.referrals_of(m.persons) if x.referral_id != m.ours.referral_id]
                found[m.row.place] = list(compare_fields(m.row, m.ours, others, self.facts, self.mapped))
        return found

    def _differences(
        self, m: Matched, ours: Ours, compared: Sequence[Compared], wrong: frozenset[tuple[str, str]]
    ) -> Iterator[Line]:
        for one in compared:
            if one.says is None:
                continue
            is_systematic = one.cause is None and (one.field, one.group) in wrong
            cause = one.cause or (Cause.MAPPING_ERROR if is_systematic else Cause.UNKNOWN)
            yield _line(m.row, Finding.FIELD_DIFFERENCE, ours, field=one.field, cause=cause, detail=one.says)

    def _late(self, row: Manual, ours: Ours) -> Iterator[Line]:
        """Only of what the integration opened: when it found another application, nobody can tell."""
        application = ours.application
        if application is None or application.applied_at is None or not ours.created_application:
            return
        took = application.applied_at - self._due_from(row, ours)
        if took > self.late_after:
            hours = took / timedelta(hours=1)
            yield _line(row, Finding.LATE, ours, cause=Cause.LATE, detail=f"it came {hours:.1f} hours after both could")

    def _silent(self, row: Manual, ours: Ours) -> Iterator[Line]:
        if ours.had_webhook is False:
            never = Cause.WEBHOOK_NEVER_ARRIVED
            yield _line(row, Finding.SILENT_WEBHOOK_FAILURE, ours, cause=never, detail=_PULLED)

    def _due_from(self, row: Manual | None, ours: Ours | None) -> datetime:
        """From when on the integration could have it: not before the platform did, nor before it ever wrote."""
        moments = (
            row.entered_at if row is not None else None,
            ours.touched_at if ours is not None else None,
            self.facts.began_at,
        )
        return max(moment for moment in moments if moment is not None)

    # ------------------------------------------------------------ what the integration lacks

    def _missing(self, m: Matched, strangers: Sequence[Ours]) -> Line:
        ours = m.ours
        if ours is None:
            return self._nothing_of(m, strangers)
        if ours.block is not None:
            says = "the integration holds it back, as the contract says"
            return _line(m.row, Finding.MISSING_IN_INTEGRATION, ours, cause=f"{GATE}{ours.block}", detail=says)
        if ours.application_id is not None:
            says = "the ATS no longer has the application that it was written to"
            return _line(m.row, Finding.MISSING_IN_INTEGRATION, ours, cause=Cause.GONE_IN_ATS, detail=says)
        if ours.is_refused:
            says = "the ATS refused the write; the dead delivery says why"
            return _line(m.row, Finding.MISSING_IN_INTEGRATION, ours, cause=Cause.REFUSED_BY_ATS, detail=says)
        if ours.event_state == "dead":
            says = "its event failed for good and waits for a person"
            return _line(m.row, Finding.MISSING_IN_INTEGRATION, ours, cause=Cause.EVENT_FAILED, detail=says)
        if self.now <= self._due_from(m.row, ours) + self.late_after:
            return _line(m.row, Finding.WAITING, ours, detail="it is not due yet")
        if ours.had_webhook is False:
            says = "the platform has the referral, and no webhook about it ever arrived"
            return _line(m.row, Finding.MISSING_IN_INTEGRATION, ours, cause=Cause.WEBHOOK_NEVER_ARRIVED, detail=says)
        if ours.event_state == "open":
            says = "its event still waits in the inbox"
            return _line(m.row, Finding.MISSING_IN_INTEGRATION, ours, cause=Cause.LATE, detail=says)
        says = "the platform has the referral, and nothing was written for it"
        return _line(m.row, Finding.MISSING_IN_INTEGRATION, ours, cause=Cause.UNKNOWN, detail=says)

    def _nothing_of(self, m: Matched, strangers: Sequence[Ours]) -> Line:
        row = m.row
        for key in (row.email_key, row.phone_key):
            aside = self.facts.quarantined.get(key or "")
            if aside is not None:
                says = f"its referral was set aside: {aside[1]} cannot be read"
                cause = f"{QUARANTINED}{aside[1]}"
                line = _line(row, Finding.MISSING_IN_INTEGRATION, None, cause=cause, detail=says)
                return replace(line, referral_id=aside[0])
        like = [x for x in strangers if x.job_id == row.job_id and names_equal(x.record.name, row.name)]
        if len(like) == 1:
            says = "a referral of an equal name for the same job has another address and another number"
            return _line(row, Finding.MISSING_IN_INTEGRATION, like[0], cause=Cause.MISSED_MATCH, detail=says)
        if self.now <= self._due_from(row, None) + self.late_after:
            return _line(row, Finding.WAITING, None, detail="the platform has no referral of it yet")
        says = "the platform has no referral of this address or number"
        if m.elsewhere:
            says = f"the platform has {len(m.elsewhere)} referrals of this person, none for this job"
        cause = Cause.NOT_ON_PLATFORM
        return _line(row, Finding.MISSING_IN_INTEGRATION, None, cause=cause, detail=says, person=m.persons[:1])

    def _moved(self, row: Manual, ours: Ours) -> Line:
        typed = row.job_id if row.job_id in self.facts.jobs else "a job that the ATS does not have"
        says = f"manual intake has {typed}, the integration {ours.job_id}"
        return _line(row, Finding.FIELD_DIFFERENCE, ours, field="job", cause=Cause.UNKNOWN, detail=says)

    # ------------------------------------------------------------ what manual intake lacks

    def _not_in_manual(self, strangers: Sequence[Ours], lines: Sequence[Line]) -> Iterator[Line]:
        named = {line.referral_id for line in lines}
        # Several referrals of one application are one record to people.
        entered = {line.application_key for line in lines}
        zone = ZoneInfo(self.window.time_zone)
        for ours in strangers:
            day = ours.touched_at.astimezone(zone).date()
            is_inside = self.window.starts_on <= day <= self.window.ends_on
            # What is held back and what nobody wrote is on neither side.
            if not is_inside or ours.application is None or ours.referral_id in named:
                continue
            if ours.application.key in entered:
                continue
            finding, cause, says = self._why_not_entered(ours)
            line = Line(
                day=day,
                finding=finding,
                referral_id=ours.referral_id,
                application_key=ours.application.key,
                person_id=ours.person_id,
                cause=cause,
                detail=says,
            )
            yield line
            if ours.had_webhook is False:
                silent, never = Finding.SILENT_WEBHOOK_FAILURE, Cause.WEBHOOK_NEVER_ARRIVED
                yield replace(line, finding=silent, cause=never, detail=_PULLED)

    def _why_not_entered(self, ours: Ours) -> tuple[Finding, Cause | None, str]:
        if not ours.created_application:
            return Finding.MISSING_IN_MANUAL, Cause.TYPED_IN_ATS, "its application was in the ATS before"
        if ours.touched_at + self.late_after > min(self.window.ends_at, self.now):
            if self.now <= ours.touched_at + self.late_after and self.now < self.window.ends_at:
                return Finding.WAITING, None, "nobody need have entered it yet"
            return Finding.MISSING_IN_MANUAL, Cause.WINDOW_EDGE, "the window ended before anybody had to enter it"
        return Finding.MISSING_IN_MANUAL, Cause.NOT_ENTERED, "the integration has it, and nobody entered it"


def _moved_jobs(matched: Sequence[Matched], claimed: set[str]) -> dict[str, Ours]:
    """Rows whose person has no referral for the row's job, and exactly one written for another that no row names."""
    moved: dict[str, Ours] = {}
    taken: set[str] = set()
    for m in matched:
        free = [x for x in m.elsewhere if x.is_written and x.referral_id not in claimed | taken]
        if m.ours is None and len(free) == 1:
            moved[m.row.place] = free[0]
            taken.add(free[0].referral_id)
    return moved


def _line(
    row: Manual,
    finding: Finding,
    ours: Ours | None,
    *,
    field: str | None = None,
    cause: str | None = None,
    detail: str = "",
    person: Sequence[str] = (),
) -> Line:
    return Line(
        day=row.day,
        finding=finding,
        manual_record=row.place,
        referral_id=ours.referral_id if ours is not None else None,
        application_key=ours.application.key if ours is not None and ours.application is not None else None,
        person_id=ours.person_id if ours is not None else next(iter(person), None),
        field=field,
        cause=cause,
        detail=detail,
    )
