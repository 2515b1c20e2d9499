"""Which referrals are fit to be written: the fields without which nobody can be recognised or reached.

Belongs here: one rule for batch and single events, and the keys by which a record is recognised. Does not belong
here: what happens to those that are not fit (quarantine, events), consent and residency (privacy).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from referral_pipeline.connectors.records import AtsCandidate, Referral
from referral_pipeline.identity.canonical import canonical_country, canonical_email, canonical_phone, email_problem
from referral_pipeline.identity.resolve import Record


@dataclass(frozen=True)
class Unfit:
    """A field that makes a referral unfit. `value` is personal data: only its shape may be shown."""

    field: str
    reason: str
    value: str | None = dataclasses.field(repr=False)


def unfit_fields(referral: Referral, *, has_advocate: bool) -> Iterator[Unfit]:
    """What a referral lacks to be written; nothing when it is fit."""
    for name, value in (("first_name", referral.first_name), ("last_name", referral.last_name)):
        if not (value or "").strip():
            yield Unfit(name, "is missing", value)
    unreadable = email_problem(referral.email)
    if unreadable is not None:
        yield Unfit("email", unreadable, referral.email)
    if not has_advocate:
        yield Unfit("advocate_id", "is nobody's", referral.advocate_id)


def referral_record(referral: Referral, system: str) -> Record:
    """A referral as a record to resolve."""
    email = canonical_email(referral.email)
    phone = canonical_phone(referral.phone, canonical_country(referral.country))
    return Record(
        f"{system}:{referral.id}",
        (email.key,) if email is not None else (),
        (phone,) if phone else (),
        referral.first_name,
        referral.last_name,
        referral.submitted_at,
    )


def candidate_record(candidate: AtsCandidate, system: str, *, default_country: str | None) -> Record:
    """A candidate as a record to resolve; `default_country` reads numbers in national form."""
    emails = (canonical_email(value) for value in candidate.emails)
    phones = (canonical_phone(value, default_country) for value in candidate.phones)
    return Record(
        f"{system}:{candidate.id}",
        tuple(dict.fromkeys(sorted(e.key for e in emails if e is not None))),
        tuple(dict.fromkeys(sorted(p for p in phones if p))),
        candidate.first_name,
        candidate.last_name,
        candidate.created_at,
    )
