"""What each field of a linked record must hold in either system.

Belongs here: from one gathered record to comparisons, as the contract's mappings, tag sources and status sources ask
for them. Does not belong here: reading and rules of other rooms (gather), equality (compare).

What holds
1. A candidate that the bridge created carries the names, address and number of a referral that it was created from. One
   that was there before is the recruiter's: its name must not contradict the referral's, and they share an address or a
   number. Where people decided that they are one person, nothing is asked of it.
2. The application's own fields are those of whoever has the credit; with nobody credited, nothing is written and
   nothing is asked for. It stays with its referral when a recruiter moves it to another job.
3. An application that the bridge opened is dated to when it was opened.
4. The platform holds the status, dates and ids of the application, `status_at` as it was last told, and what was
   recognised is what was earned, in the contract's currency. (No platform shows recognitions: the ledger says what it
   was told.)
5. Of a field that is empty on both sides nothing was shown: it is not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from referral_pipeline.connectors.records import AtsApplication, AtsCandidate, Referral
from referral_pipeline.contract.fields import find_field
from referral_pipeline.contract.models import Contract
from referral_pipeline.contract.systems import lacking, shown_status
from referral_pipeline.identity.canonical import canonical_country, canonical_email, canonical_phone
from referral_pipeline.identity.names import Name, names_contradict
from referral_pipeline.ledger.records import DeliveryState
from referral_pipeline.quality.field_audit.compare import (
    ADVOCACY,
    ATS,
    Comparison,
    Difference,
    Kind,
    agree,
    is_blank,
    plain,
)
from referral_pipeline.quality.field_audit.gather import Counting, Gathered
from referral_pipeline.sync.crediting import Crediting
from referral_pipeline.sync.facts import credited_referral
from referral_pipeline.vocabulary import Block, CandidateStatus

_CLOCKS_APART: Final = timedelta(minutes=5)
"""How far the clocks of two systems may be apart; webhooks are taken within as much."""

_ELIGIBLE: Final = "bonus_eligible"
_KINDS: Final = {
    "time": Kind.TIME,
    "clicks": Kind.COUNT,
    "shares": Kind.COUNT,
    "reach": Kind.COUNT,
    "text": Kind.TEXT,
    "stage": Kind.WORD,
    "flag": Kind.WORD,
}
"""How fields of the catalogue are compared, by what they hold; ids and campaigns as ids."""


def comparisons(record: Gathered, contract: Contract) -> list[Comparison]:
    """Every field of a record that can be compared; none of a record that is held back."""
    if record.block is Block.COUNTRY:
        return [_country(record.live.referral, contract)]
    if record.block is not None:
        return []
    if record.application is None:
        return [_known(ATS, "application_id", Difference.GONE, record.link.application_id)]
    found = list(_candidate(record, contract))
    if not any(one.difference is Difference.GONE for one in found):  # anonymizing empties the application's fields too
        found += _application(record, record.application, contract)
    if contract.status_sources():
        found += [*_told(record, record.application, contract), *_recognised(record, record.application, contract)]
    return [one for one in found if one.difference is not None or not (is_blank(one.expected) and is_blank(one.found))]


def gone_referral(referral_id: str) -> Comparison:
    """The comparison of a referral that the platform does not have any more."""
    return _known(ADVOCACY, "referral_id", Difference.GONE, referral_id)


# ---------------------------------------------------------------- the candidate


def _candidate(record: Gathered, contract: Contract) -> Iterator[Comparison]:
    referral, application, candidate = record.live.referral, record.application, record.candidate
    assert application is not None
    yield _country(referral, contract)
    if application.candidate_id != record.known_candidate_id:
        is_merged = record.known_candidate_id not in record.shown
        difference = Difference.MERGED if is_merged else Difference.OTHER
        yield Comparison(
            ATS, "candidate_id", Kind.ID, record.known_candidate_id, application.candidate_id, difference=difference
        )
        return
    if candidate is None or _is_anonymized(candidate, referral):
        yield _known(ATS, "candidate_id", Difference.GONE, application.candidate_id)
        return
    yield Comparison(ATS, "candidate_id", Kind.ID, record.known_candidate_id, application.candidate_id)
    if record.made_for:
        yield from _as_created(record, candidate)
    elif not record.is_decided:
        yield from _as_matched(record, candidate, contract)


def _is_anonymized(candidate: AtsCandidate, referral: Referral) -> bool:
    """Whether nothing of the person is left: no address, no number, and another name or none."""
    names = (Name(candidate.first_name, candidate.last_name), Name(referral.first_name, referral.last_name))
    return not candidate.emails and not candidate.phones and (names[0].is_missing or names_contradict(*names))


def _as_created(record: Gathered, candidate: AtsCandidate) -> Iterator[Comparison]:
    """The fields of a candidate that was created from referrals: one of these made it."""
    own = record.live.referral
    by_nearness = sorted(record.made_for, key=lambda r: (r.id != own.id, r.touched_at, r.id))

    def named(origin: Referral) -> list[Comparison]:
        return [
            Comparison(ATS, "first_name", Kind.TEXT, origin.first_name, candidate.first_name),
            Comparison(ATS, "last_name", Kind.TEXT, origin.last_name, candidate.last_name),
            Comparison(ATS, "email", Kind.EMAIL, origin.email, candidate.emails),
        ]

    ways = [named(origin) for origin in by_nearness]
    yield from min(ways, key=lambda way: sum(not agree(one) for one in way))
    # The number is that of the referral, else of the person's latest that has a valid one.
    person = record.counting.person.values() if record.counting is not None else ()
    latest = sorted(person, key=lambda r: (r.touched_at, r.id), reverse=True)
    for one in [*by_nearness, *latest]:
        if canonical_phone(one.phone, one.country) is not None:
            phone = Comparison(ATS, "phone", Kind.PHONE, one.phone, candidate.phones, country=one.country)
            others = {number for r in [*by_nearness, *latest] if (number := canonical_phone(r.phone, r.country))}
            there = {canonical_phone(text, one.country) for text in candidate.phones}
            yield replace(phone, agrees=True) if others & there else phone
            return


def _as_matched(record: Gathered, candidate: AtsCandidate, contract: Contract) -> Iterator[Comparison]:
    """The fields of a candidate that was there before: they must not speak against the person of the referral."""
    own = record.live.referral
    person = [own, *(record.counting.person.values() if record.counting is not None else ())]
    theirs = Name(candidate.first_name, candidate.last_name)
    fits = any(not names_contradict(Name(r.first_name, r.last_name), theirs) for r in person)
    for name in ("first_name", "last_name"):
        one = Comparison(ATS, name, Kind.TEXT, getattr(own, name), getattr(candidate, name))
        yield replace(one, agrees=True) if fits else one
    email = Comparison(ATS, "email", Kind.EMAIL, own.email, candidate.emails)
    phone = Comparison(ATS, "phone", Kind.PHONE, own.phone, candidate.phones, country=own.country)
    mailboxes = {canonical_email(text) for text in candidate.emails} - {None}
    if mailboxes & {canonical_email(r.email) for r in person}:
        yield replace(email, agrees=True)
        return
    numbers = {canonical_phone(text, r.country) for text in candidate.phones for r in person} - {None}
    if "phone" in contract.rules.dedupe.match_on and numbers & {canonical_phone(r.phone, r.country) for r in person}:
        yield replace(phone, agrees=True)
    else:
        yield replace(email, agrees=False)


def _country(referral: Referral, contract: Contract) -> Comparison:
    """No ATS shows a country of residence: what is held is the platform's, against the contract's list."""
    country = canonical_country(referral.country)
    allowed = contract.privacy.allowed_countries
    # As a text, of which only the shape is told: where a person lives is theirs.
    one = Comparison(ADVOCACY, "country", Kind.TEXT, ", ".join(allowed), referral.country)
    if country in allowed:
        return replace(one, expected=referral.country, agrees=True)
    if is_blank(referral.country):
        return replace(one, difference=Difference.MISSING)
    return replace(one, difference=Difference.FORMAT if country is None else Difference.OTHER)


# ---------------------------------------------------------------- the application


def _application(record: Gathered, application: AtsApplication, contract: Contract) -> Iterator[Comparison]:
    referral, link, counting = record.live.referral, record.link, record.counting
    # Its own tag says that it is ours, also where a recruiter moved it to another job.
    is_moved = application.tags.get("referral_id") in {link.referral_id, *(counting.person if counting else ())}
    fits = application.job_id in (referral.job_id, link.job_id) or is_moved
    job = Comparison(ATS, "job_id", Kind.ID, referral.job_id, application.job_id)
    yield replace(job, agrees=True) if fits else job
    opened = record.opened
    if opened is not None and opened.state is DeliveryState.CONFIRMED:
        applied = Comparison(
            ATS, "applied_at", Kind.TIME, opened.last_attempt_at, application.applied_at, tolerance=_CLOCKS_APART
        )
        within = opened.first_attempt_at - _CLOCKS_APART <= application.applied_at
        within = within and application.applied_at <= opened.last_attempt_at + _CLOCKS_APART
        yield replace(applied, agrees=True) if within else applied
    if counting is None:
        return
    tags = expected_tags(application, counting, contract)
    transformed = contract.transforms()
    for name, source in contract.tag_sources().items():
        if tags is not None and name in tags:
            kind = Kind.TEXT if name in transformed else _kind_of(source)
            older = _once(source, counting)
            if name in transformed:
                older = tuple(value for once in older if (value := transformed[name].apply(once)) is not None)
            yield Comparison(ATS, name, kind, tags[name], application.tags.get(name), older=older)


def expected_tags(
    application: AtsApplication, counting: Counting, contract: Contract
) -> Mapping[str, str | None] | None:
    """What the application's own fields must hold, None for an empty one; None where nothing is written to it."""
    if not counting.assigned and not counting.decisions:
        return None
    crediting = Crediting(contract, lambda: counting.programme)
    tags = crediting.tags(counting.may_count, application.applied_at, counting.opened_for, counting.decisions)
    return tags or None


def _kind_of(source: str) -> Kind:
    spec = find_field(f"advocacy.{source}")
    return _KINDS.get(spec.kind, Kind.ID) if spec is not None else Kind.TEXT


def _once(source: str, counting: Counting) -> tuple[Any, ...]:
    """What a field held when another referral of the person had the credit, as far as the referrals tell."""
    record, _, name = source.partition(".")
    people = list(counting.person.values())
    shares = [s for r in people if (s := counting.programme.shares.get(r.share_id or "")) is not None]
    match record, name:
        case ("advocate", "id"):
            return tuple(r.advocate_id for r in people)
        case ("share", "id"):
            return tuple(r.share_id for r in people if r.share_id)
        case ("content", "id"):
            return tuple(s.content_id for s in shares if s.content_id)
        case ("referral", _):
            return tuple(value for r in people if isinstance(value := getattr(r, name, None), str))
        case _:
            return ()


# ---------------------------------------------------------------- what the platform was told


def _told(record: Gathered, application: AtsApplication, contract: Contract) -> Iterator[Comparison]:
    told, link, sources = record.live.told, record.link, contract.status_sources()
    platform = contract.advocacy.connector
    lacks = lacking(platform)
    before = tuple(entry.status.value for entry in application.history if entry.status is not application.status)
    status = told.status.value if told.status is not None else None
    shown = shown_status(platform, application.status)
    yield Comparison(ADVOCACY, "status", Kind.WORD, shown.value, status, older=(CandidateStatus.APPLIED.value, *before))
    if link.status_at is not None and "status_at" not in lacks:
        moments = tuple(entry.entered_at for entry in application.history)
        yield Comparison(ADVOCACY, "status_at", Kind.TIME, link.status_at, told.status_at, older=moments)
    if "ats" not in lacks:
        yield Comparison(ADVOCACY, "ats_system", Kind.ID, link.system, told.ats_system)
        yield Comparison(ADVOCACY, "ats_application_id", Kind.ID, application.id, told.ats_application_id)
        candidate = Comparison(ADVOCACY, "ats_candidate_id", Kind.ID, application.candidate_id, told.ats_candidate_id)
        is_merged = told.ats_candidate_id is not None and told.ats_candidate_id not in record.shown
        yield replace(candidate, difference=Difference.MERGED) if not agree(candidate) and is_merged else candidate
    is_hired = application.status is CandidateStatus.HIRED
    for name, kind, at_ats, at_platform in (
        ("hired_at", Kind.TIME, application.hired_at, told.hired_at),
        ("starts_on", Kind.DAY, application.starts_on, told.starts_on),
    ):
        if name in sources and lacks.isdisjoint({name, f"{name}_shown"}):
            # The dates of a hire go with any other status; a platform that keeps them all the same is right too.
            expected: datetime | date | None = at_ats if is_hired or at_platform == at_ats else None
            yield Comparison(ADVOCACY, name, kind, expected, at_platform)


def _recognised(record: Gathered, application: AtsApplication, contract: Contract) -> Iterator[Comparison]:
    bonus, standing = contract.rules.bonus, record.standing
    credited: set[str] = set()
    if record.counting is not None and application.status is CandidateStatus.HIRED:
        credited = {credited_referral(c.touch, record.counting.may_count).id for c in record.counting.credits}
    is_owed = record.link.referral_id in credited
    kinds = sorted({row.kind for row in standing})
    amounts = [row for row in standing if row.kind == _ELIGIBLE]
    if is_owed or standing:
        # Which kinds are due is a matter of days and of other hires: `is_recognised` asks for all of that.
        is_amount = not record.is_recognised and is_owed and bool(amounts)
        difference = None
        if not record.is_recognised and not is_amount and not is_owed:
            difference = Difference.STALE  # of a hire that is none any more, or of credit that moved
        one = Comparison(ADVOCACY, "recognition", Kind.WORD, "hired" if is_owed else None, ", ".join(kinds))
        yield replace(one, agrees=record.is_recognised or is_amount, difference=difference)
        for row in amounts:
            amount = Comparison(
                ADVOCACY, "recognition_amount", Kind.COUNT, str(bonus.amount_cents), str(row.amount_cents)
            )
            yield replace(amount, agrees=not is_amount)
    for row in amounts:
        yield Comparison(ADVOCACY, "recognition_currency", Kind.CURRENCY, bonus.currency, row.currency)


def _known(side: str, name: str, difference: Difference, expected: object) -> Comparison:
    return Comparison(side, name, Kind.ID, plain(expected), None, difference=difference)
