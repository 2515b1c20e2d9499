"""Referrals that may not be written, and the ones that only look as if.

Belongs here: consent, country, stage, jobs, malformed details. Does not belong here: matching and credit (`cases`).
"""

from __future__ import annotations

from referral_pipeline.sandbox.programme import names
from referral_pipeline.sandbox.programme.cases import Case
from referral_pipeline.sandbox.programme.moments import days
from referral_pipeline.sandbox.programme.plot import Plot

_BAD_EMAILS = (
    "no address given",
    "someone.example.com",
    "two@@example.com",
    "nobody@",
    "@example.com",
    "first last@example.com",
    "",
    None,
)
_BAD_PHONES = ("12345", "call me", "n/a", "+1 000", "ext. 12", "555-0100")
UNKNOWN_JOB = "4419999999"
"""A job id that the ATS never gave out."""


def no_consent(plot: Plot, number: int) -> None:
    """No consent was recorded, or it was refused."""
    refused = plot.advocacy.consent(plot.as_of, granted=False) if number % 2 else None
    plot.blocked("no_consent", plot.people.person(), plot.job(), "no_consent", consent=refused)


def no_consent_in_ats(plot: Plot, number: int) -> None:
    """No consent, and the recruiter typed the person in all the same: what is there stays as it is."""
    person, job = plot.people.person(), plot.job()
    plot.elsewhere(person, job, plot.ago(0.3, 3), "applied")
    plot.blocked("no_consent_in_ats", person, job, "no_consent", consent=None)


def consent_expired(plot: Plot, number: int) -> None:
    """Consent was given for a time that is over."""
    expired = plot.advocacy.consent(plot.as_of - days(400), expires_at=plot.as_of - days(plot.rng.uniform(0.5, 30)))
    plot.blocked("consent_expired", plot.people.person(), plot.job(), "consent_expired", consent=expired)


def consent_with_end(plot: Plot, number: int) -> None:
    """Consent that ends one day, but not yet."""
    ends = plot.advocacy.consent(plot.as_of - days(10), expires_at=plot.as_of + days(plot.rng.uniform(200, 700)))
    plot.fresh("consent_with_end", plot.people.person(), plot.job(), consent=ends)


def country_outside(plot: Plot, number: int) -> None:
    """A country that no contract of the sandbox allows."""
    country = names.FOREIGN_COUNTRIES[number % len(names.FOREIGN_COUNTRIES)]
    plot.blocked(
        "country_outside", plot.people.person(), plot.job(), "country", candidate={"country": country, "phone": None}
    )


def country_in_other_form(plot: Plot, number: int) -> None:
    """An allowed country in lower case and with blanks."""
    person = plot.people.person(country="DE" if number % 2 else "FR")
    plot.fresh("country_in_other_form", person, plot.job(), candidate={"country": f" {person.country.lower()} "})


def malformed_email(plot: Plot, number: int) -> None:
    """An address that is none: the record is set aside."""
    plot.advocacy.refer(
        "malformed_email",
        plot.people.person(),
        plot.job(),
        plot.lately(),
        outcome="quarantined",
        candidate={"email": _BAD_EMAILS[number % len(_BAD_EMAILS)]},
    )


def missing_name(plot: Plot, number: int) -> None:
    """Nobody knows what to call them: the record is set aside."""
    nothing = None if number % 2 else " "
    plot.advocacy.refer(
        "missing_name",
        plot.people.person(),
        plot.job(),
        plot.lately(),
        outcome="quarantined",
        candidate={"first_name": nothing, "last_name": nothing},
    )


def malformed_phone(plot: Plot, number: int) -> None:
    """A number that is none: the referral goes on without it."""
    plot.fresh(
        "malformed_phone",
        plot.people.person(),
        plot.job(),
        candidate={"phone": _BAD_PHONES[number % len(_BAD_PHONES)]},
    )


def still_clicked(plot: Plot, number: int) -> None:
    """Somebody looked and has not applied yet."""
    plot.blocked("still_clicked", plot.people.person(), plot.job(), "stage", stage="clicked")


def withdrawn(plot: Plot, number: int) -> None:
    """Taken back before it was written."""
    plot.blocked("withdrawn", plot.people.person(), plot.job(), "withdrawn", stage="withdrawn")


def withdrawn_in_ats(plot: Plot, number: int) -> None:
    """Taken back, though a recruiter had typed it in: the record is the recruiter's, and nobody is credited."""
    person, job = plot.people.person(), plot.job()
    plot.elsewhere(person, job, plot.ago(0.3, 3), "applied")
    plot.blocked("withdrawn_in_ats", person, job, "withdrawn", stage="withdrawn")


def job_closed(plot: Plot, number: int) -> None:
    """A job that takes no applications any more."""
    plot.blocked("job_closed", plot.people.person(), plot.rng.choice(plot.ats.job_list("closed")), "job")


def job_draft(plot: Plot, number: int) -> None:
    """A job that takes no applications yet."""
    plot.blocked("job_draft", plot.people.person(), str(plot.rng.choice(plot.ats.job_list("draft")).id), "job")


def job_unknown(plot: Plot, number: int) -> None:
    """A job that the ATS does not have."""
    plot.blocked("job_unknown", plot.people.person(), UNKNOWN_JOB, "job")


REFUSALS: tuple[Case, ...] = (
    no_consent,
    no_consent_in_ats,
    consent_expired,
    consent_with_end,
    country_outside,
    country_in_other_form,
    malformed_email,
    missing_name,
    malformed_phone,
    still_clicked,
    withdrawn,
    withdrawn_in_ats,
    job_closed,
    job_draft,
    job_unknown,
)
