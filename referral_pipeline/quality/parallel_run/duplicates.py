"""Duplicates that one side has and the other has not.

Belongs here: one person of manual intake with two candidates of ours, two with one, and rows that stand there twice.
Does not belong here: who a row is (match).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from referral_pipeline.identity.names import Likeness, likeness, names_contradict
from referral_pipeline.quality.parallel_run.match import Matched, Matcher, groups
from referral_pipeline.quality.parallel_run.records import Cause, Finding, Line, Ours


def duplicates(matched: Sequence[Matched], matcher: Matcher) -> Mapping[str, list[Line]]:
    """Findings by the place of the row that shows them; each duplicate is told once."""
    person = groups([m.row for m in matched])
    found: dict[str, list[Line]] = defaultdict(list)
    members: dict[str, list[Matched]] = defaultdict(list)
    for m in matched:
        members[person[m.row.place]].append(m)
    for own in members.values():
        _two_of_ours(own, matcher, found)
        _twice(own, found)
    _one_of_ours(members, found)
    return found


def _two_of_ours(members: Sequence[Matched], matcher: Matcher, found: dict[str, list[Line]]) -> None:
    """One person to manual intake, of whom the integration has written to two candidates."""
    written: dict[str, Ours] = {}
    names = [m.row.name for m in members]
    for m in members:
        for one in matcher.referrals_of(m.persons):
            is_alike = one is m.ours or any(likeness(name, one.record.name) >= Likeness.COMPATIBLE for name in names)
            if one.application is not None and is_alike:
                written.setdefault(one.application.candidate_id, one)
    if len(written) < 2:
        return
    persons = {one.person_id for one in written.values()}
    candidates = " and ".join(sorted(written))
    says = f"manual intake has one person, the integration wrote to the candidates {candidates}"
    if len(persons) == 1:
        says += ", and knows that they are one"
    last = members[-1]
    found[last.row.place].append(_line(last, Cause.MISSED_MATCH, says))


def _twice(members: Sequence[Matched], found: dict[str, list[Line]]) -> None:
    """The same referral of the same person stands in manual intake more than once."""
    first: dict[str, str] = {}
    for m in members:
        if m.ours is None:
            continue
        before = first.setdefault(m.ours.referral_id, m.row.place)
        if before != m.row.place:
            found[m.row.place].append(_line(m, Cause.MANUAL_DUPLICATE, f"it is the same as {before}"))


def _one_of_ours(members: Mapping[str, Sequence[Matched]], found: dict[str, list[Line]]) -> None:
    """Two persons to manual intake, of whom the integration has made one candidate."""
    by_candidate: dict[str, list[Matched]] = defaultdict(list)
    for own in members.values():
        seen: set[str] = set()
        for m in own:
            if m.ours is not None and m.ours.application is not None:
                candidate = m.ours.application.candidate_id
                if candidate not in seen:
                    seen.add(candidate)
                    by_candidate[candidate].append(m)
    for candidate, different in by_candidate.items():
        first = different[0]
        for m in different[1:]:
            is_wrong = names_contradict(first.row.name, m.row.name)
            cause = Cause.WRONG_MERGE if is_wrong else Cause.MANUAL_DUPLICATE
            says = f"manual intake has another person in {first.row.place}, the integration one candidate {candidate}"
            found[m.row.place].append(_line(m, cause, says))


def _line(m: Matched, cause: Cause, says: str) -> Line:
    ours = m.ours
    return Line(
        day=m.row.day,
        finding=Finding.MISSED_DUPLICATE,
        manual_record=m.row.place,
        referral_id=ours.referral_id if ours is not None else None,
        application_key=ours.application.key if ours is not None and ours.application is not None else None,
        person_id=ours.person_id if ours is not None else next(iter(m.persons), None),
        cause=cause,
        detail=says,
    )
