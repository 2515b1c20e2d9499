"""Who a row of manual intake is, and which referral of theirs it is about.

Belongs here: address, then number, then whoever a record of theirs belongs to; then the job. Does not belong here: what
differs (fields), why something is missing (compare).

An address leads to its person whatever the names say, unless it is one of several people's: then the name decides. A
number leads to a person only where the names do not contradict.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from referral_pipeline.identity.names import Likeness, likeness, names_contradict, names_equal
from referral_pipeline.quality.parallel_run.records import Facts, Known, Manual, Ours


@dataclass(frozen=True)
class Matched:
    """A row with the persons whom it leads to, and the referral that it is about, where there is one.

    More than one person: the integration keeps apart whom manual intake has as one. `elsewhere` are referrals of the
    same persons for other jobs.
    """

    row: Manual
    persons: tuple[str, ...]
    ours: Ours | None
    elsewhere: tuple[Ours, ...] = ()


class Matcher:
    """Finds persons and referrals for rows."""

    def __init__(self, facts: Facts) -> None:
        self._by_email = _by_key(facts.known, "email_keys")
        self._by_phone = _by_key(facts.known, "phone_keys")
        self._of_person: dict[str, list[Ours]] = defaultdict(list)
        for one in facts.ours:
            if one.person_id is not None:
                self._of_person[one.person_id].append(one)

    def match(self, row: Manual) -> Matched:
        """The persons and the referral of a row."""
        persons = self.persons(row)
        every = [one for person in persons for one in self._of_person[person]]
        for_job = [one for one in every if row.job_id in _jobs(one)]
        elsewhere = tuple(one for one in every if one not in for_job)
        best = max(for_job, key=lambda one: _fit(one, row), default=None)
        return Matched(row, persons, best, elsewhere)

    def persons(self, row: Manual) -> tuple[str, ...]:
        """Whom the row leads to, the likeliest first."""
        by_email = _persons(self._by_email.get(row.email_key or "", ()))
        if len(by_email) > 1:
            told = _told_apart(by_email, row)
            by_email = {person: by_email[person] for person in told}
        by_phone = {
            person: records
            for person, records in _persons(self._by_phone.get(row.phone_key or "", ())).items()
            if not any(names_contradict(row.name, one.name) for one in records)
        }
        if not by_email:
            return tuple(by_phone)
        # Where an address has led to somebody, a number adds only people of a like name.
        more = [
            person
            for person, records in by_phone.items()
            if person not in by_email and any(likeness(row.name, one.name) >= Likeness.COMPATIBLE for one in records)
        ]
        return (*by_email, *more)

    def referrals_of(self, persons: Iterable[str]) -> list[Ours]:
        """Every referral of these persons."""
        return [one for person in persons for one in self._of_person[person]]


def _by_key(known: Iterable[Known], kind: str) -> dict[str, list[Known]]:
    found: dict[str, list[Known]] = defaultdict(list)
    for record in known:
        for key in getattr(record, kind):
            found[key].append(record)
    return found


def _persons(records: Iterable[Known]) -> dict[str, list[Known]]:
    found: dict[str, list[Known]] = defaultdict(list)
    for record in records:
        found[record.person_id].append(record)
    return dict(sorted(found.items()))


def _told_apart(persons: dict[str, list[Known]], row: Manual) -> list[str]:
    """Of several people of one mailbox those of the row's name, else of a like one, else all."""
    equal = [p for p, records in persons.items() if any(names_equal(row.name, one.name) for one in records)]
    like = [p for p, records in persons.items() if any(not names_contradict(row.name, one.name) for one in records)]
    return equal or like or list(persons)


def _jobs(one: Ours) -> frozenset[str]:
    return one.application.job_ids | {one.job_id} if one.application is not None else frozenset({one.job_id})


def _fit(one: Ours, row: Manual) -> tuple[object, ...]:
    """The order in which a row takes one of several referrals: its advocate's, one that is written, the latest."""
    return (
        row.advocate_id == one.advocate_id,
        one.is_written,
        one.job_id == row.job_id,
        one.touched_at,
        one.referral_id,
    )


def groups(rows: Sequence[Manual]) -> dict[str, str]:
    """Who is one person to manual intake: each row's place -> the place of the first row of the same person.

    Rows are one person by the same record_id, or by the same address or number where the names do not contradict.
    """
    order = {row.place: number for number, row in enumerate(rows)}
    first = {row.place: row.place for row in rows}

    def root(place: str) -> str:
        while first[place] != place:
            place = first[place]
        return place

    by_key: dict[tuple[str, str], list[Manual]] = defaultdict(list)
    for row in rows:
        for kind, value in (("record", row.record_id), ("email", row.email_key), ("phone", row.phone_key)):
            if value is None:
                continue
            for other in by_key[kind, value]:
                if kind == "record" or not names_contradict(row.name, other.name):
                    ends = sorted((root(other.place), root(row.place)), key=order.__getitem__)
                    first[ends[1]] = ends[0]
                    break
            by_key[kind, value].append(row)
    return {row.place: root(row.place) for row in rows}
