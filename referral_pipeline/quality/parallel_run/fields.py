"""What differs between a row of manual intake and the integration's record, field by field, after canonicalisation.

Belongs here: equality of each field, what may differ as meant, and words that show no value. Does not belong here:
whether a difference is systematic (causes).

Held against the ATS, which is where the integration writes: name and contact details of the candidate, the tags and the
status of the application; only the country, which the ATS has no field for, is the platform's. A manual status that the
application has passed agrees: people do not keep every row up to date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from referral_pipeline.identity.canonical import shape_of
from referral_pipeline.identity.folding import folded_words
from referral_pipeline.identity.names import Likeness, likeness, name_of, names_contradict
from referral_pipeline.quality.parallel_run.records import Application, Cause, Facts, Known, Manual, Ours

FIELDS = ("first_name", "last_name", "email", "phone", "country", "job", "advocate", "campaign", "status")


@dataclass(frozen=True)
class Compared:
    """One field of one pair. `says` is None where it agrees, else how it differs, without a value of a person.

    `group` is what a wrong mapping would have in common with others: of a status the ATS's stage, of a name whether it
    holds the other part. `cause` is set where the difference is as meant. `tells` is whether agreement says anything.
    """

    field: str
    group: str
    says: str | None = None
    cause: Cause | None = None
    tells: bool = True


def compare_fields(
    row: Manual, ours: Ours, others: Sequence[Ours], facts: Facts, mapped: frozenset[str]
) -> Iterator[Compared]:
    """Every field that both sides can tell.

    Args:
        row: the row.
        ours: the referral it is about; it has an application.
        others: the person's other referrals.
        facts: ids that may be shown.
        mapped: which of advocate and campaign the contract writes to the ATS.
    """
    application = ours.application
    assert application is not None
    record = application.candidate or ours.record
    yield from _names(row, record, ours, [one.record for one in others])
    yield from _contact("email", row.email_key, record.email_keys, ours, others, _email_says)
    yield from _contact("phone", row.phone_key, record.phone_keys, ours, others, _phone_says)
    if row.country is not None:
        yield Compared("country", "", None if row.country == ours.country else _other(ours.country))
    if row.job_id in application.job_ids:
        yield Compared("job", "")
    if row.advocate_id is not None and "advocate" in mapped:
        credit = (application.credited_advocate_id, frozenset(o.advocate_id for o in (ours, *others)))
        yield _tag("advocate", row.advocate_id, application.advocate_id, credit, facts.advocates)
    if row.campaign_tag is not None and "campaign" in mapped:
        campaigns = frozenset(_folded(o.campaign_tag) for o in (ours, *others) if o.campaign_tag)
        credit = (application.credited_campaign_tag, campaigns)
        yield _tag("campaign", row.campaign_tag, application.campaign_tag, credit, facts.campaigns)
    if row.status is not None:
        yield _status(row.status, application)


# ---------------------------------------------------------------- names


def _names(row: Manual, record: Known, ours: Ours, siblings: Sequence[Known]) -> Iterator[Compared]:
    # A candidate that was there before, and is somebody else by name, though the referral names whom the row names.
    is_stranger = names_contradict(row.name, record.name) and not ours.created_candidate
    wrong = Cause.WRONG_MERGE if is_stranger and not names_contradict(row.name, ours.record.name) else None
    for part, other in (("first_name", "last_name"), ("last_name", "first_name")):
        typed, found = getattr(row, part), getattr(record, part)
        if typed is None:
            continue
        if _same_part(part, typed, found):
            yield Compared(part, "")
            continue
        of_siblings = [getattr(one, part) for one in siblings]
        excuse = wrong if is_stranger else _excuse(ours, of_siblings, lambda v, p=part, f=found: _same_part(p, v, f))
        yield _name(part, other, typed, getattr(row, other), found, excuse)


def _name(
    part: str, other: str, typed: str, other_typed: str | None, found: str | None, cause: Cause | None
) -> Compared:
    """How one part of the name differs."""
    if _same_part(part, other_typed, found):
        return Compared(part, "swapped", f"the ATS has the {other.replace('_', ' ')} there", cause)
    return Compared(part, "", _name_says(typed, found), cause)


def _same_part(part: str, a: str | None, b: str | None) -> bool:
    """Equal after folding, an initial, a known short form, or in another script, where nothing can be compared."""
    if a is None or b is None:
        return False
    if part == "first_name":
        return likeness(name_of(a, "same"), name_of(b, "same")) is not Likeness.DIFFERENT
    return likeness(name_of("same", a), name_of("same", b)) is not Likeness.DIFFERENT


def _name_says(typed: str, found: str | None) -> str:
    if not found:
        return "the ATS has nothing there"
    ours, theirs = "".join(folded_words(found)), "".join(folded_words(typed))
    if ours and theirs.startswith(ours):
        return f"the ATS has it cut off after {len(found.strip())} of {len(typed.strip())} characters"
    return f"manual intake has {shape_of(typed.strip())}, the ATS {shape_of(found.strip())}"


# ---------------------------------------------------------------- contact details


def _contact(
    name: str,
    typed: str | None,
    found: Sequence[str],
    ours: Ours,
    others: Sequence[Ours],
    says: Callable[[str, Sequence[str]], str],
) -> Iterator[Compared]:
    if typed is None:
        return
    if typed in found:
        yield Compared(name, "")
        return

    def keys(one: Ours) -> Sequence[str]:
        return getattr(one.record, f"{name}_keys")

    cause = _excuse(ours, (key for one in others for key in keys(one)), lambda key: key in found)
    holders = [one for one in others if typed in keys(one)] if typed not in keys(ours) else []
    if cause is None and holders:
        # What was typed came with another referral: of the same person, or of whom we took for somebody else.
        is_same = any(one.person_id == ours.person_id for one in holders)
        cause = Cause.OTHER_REFERRAL if is_same else Cause.MISSED_MATCH
    yield Compared(name, "", says(typed, found), cause)


def _excuse(ours: Ours, siblings: Iterable[str | None], is_found: Callable[[str], bool]) -> Cause | None:
    """Why a candidate may have other details than the row: they were its own before, or are of another referral."""
    if not ours.created_candidate:
        return Cause.ATS_RECORD_STANDS
    return Cause.OTHER_REFERRAL if any(value is not None and is_found(value) for value in siblings) else None


def _email_says(typed: str, found: Sequence[str]) -> str:
    if not found:
        return "the ATS has no address"
    local, _, domain = typed.rpartition("@")
    if any(key.rpartition("@")[0] == local for key in found):
        return "the ATS has the same name at another domain"
    same_domain = any(key.rpartition("@")[2] == domain for key in found)
    return "the ATS has another name at the same domain" if same_domain else "the ATS has another address"


def _phone_says(typed: str, found: Sequence[str]) -> str:
    if not found:
        return "the ATS has no number"
    digits = 7
    is_like = any(key[-digits:] == typed[-digits:] for key in found)
    if is_like:
        return f"the ATS has a number with the same last {digits} digits and another beginning"
    return "the ATS has another number"


def _other(found: str | None) -> str:
    return "the platform has nothing there" if found is None else "the platform has another one"


# ---------------------------------------------------------------- tags and status


def _tag(
    name: str, typed: str, found: str | None, credit: tuple[str | None, frozenset[str]], shown: frozenset[str]
) -> Compared:
    if _folded(typed) == _folded(found):
        return Compared(name, "")
    credited, of_person = credit
    # Several advocates may refer one person: the contract's model says whose the application is, or that nobody's is.
    is_ruled = _folded(found) == _folded(credited) and _folded(typed) in {_folded(value) for value in of_person}
    says = f"manual intake has {_shown(typed, shown)}, the ATS {_shown(found, shown)}"
    return Compared(name, "empty" if found is None else "", says, Cause.ATTRIBUTION_RULE if is_ruled else None)


def _status(typed: str, application: Application) -> Compared:
    stage = application.stage_name or application.status
    if typed == application.status:
        return Compared("status", stage)
    if typed in application.passed:
        return Compared("status", stage, tells=False)
    where = f"stage {application.stage_name!r} counts as" if application.stage_name else "the application is"
    return Compared("status", stage, f"{where} {application.status}, manual intake says {typed}")


def _folded(text: str | None) -> str:
    return (text or "").strip().casefold()


def _shown(value: str | None, known: frozenset[str]) -> str:
    """An id that exists may be shown; whatever else somebody typed may be anything, a name too."""
    if value is None:
        return "nothing"
    return value if value in known else shape_of(value)
