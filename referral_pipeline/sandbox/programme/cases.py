"""The dirt of real life, one function per case: people, their records and their credit.

Belongs here: cases that end in the ATS, each built so that the right outcome is known before anything runs. Does not
belong here: referrals that may not be written (`refusals`), the clean rest (`generate`).

Every function makes one instance and is called `per_case` times with the number of the instance.
"""

from __future__ import annotations

from collections.abc import Callable

from referral_pipeline.sandbox.programme import names
from referral_pipeline.sandbox.programme.moments import days
from referral_pipeline.sandbox.programme.plot import Plot

Case = Callable[[Plot, int], None]


# ---------------------------------------------------------------- one person, several records


def three_advocates(plot: Plot, number: int) -> None:
    """Three advocates refer one person for one job, each with another spelling of the address."""
    person, job = plot.people.person(), plot.job()
    forms = (person.email.title(), f"  {person.email} ", person.email.upper())
    last = plot.lately() if number % 2 else plot.ago(12, 80)
    target = plot.new(person, job) if number % 2 else plot.typed(person, job, last + days(plot.rng.uniform(0.2, 2)))
    for place, form in enumerate(forms):
        plot.advocacy.refer(
            "three_advocates",
            person,
            job,
            last - days(2.5 * (2 - place)),
            outcome="written",
            target=target,
            advocate_id=plot.advocacy.advocate(job, alone=True),
            candidate={"email": form},
        )


def two_jobs(plot: Plot, number: int) -> None:
    """One person, referred for two jobs: one candidate, two applications."""
    person = plot.people.person()
    for job in plot.two_jobs():
        plot.fresh("two_jobs", person, job)


def existing_other_case(plot: Plot, number: int) -> None:
    """In the ATS already, with another capitalisation of the address."""
    person = plot.people.person()
    job, other = plot.two_jobs()
    plot.enter(person, plot.ago(100, 300), emails=[person.email.swapcase()])
    if number % 2:
        plot.elsewhere(person, other, plot.ago(20, 80))
        plot.fresh("existing_other_case", person, job)
    else:
        plot.by_hand("existing_other_case", person, job, low=5, high=80)


def existing_same_phone(plot: Plot, number: int) -> None:
    """In the ATS already under another address, known by the telephone number and a short form or initial."""
    first = plot.rng.choice(list(names.SHORT_FORMS))
    person = plot.people.person(first_name=first)
    job, other = plot.two_jobs()
    written = names.SHORT_FORMS[first] if number % 2 else f"{first[0]}."
    elsewhere = f"{names.ascii_word(person.last_name)}.{person.key.lower()}@private.example.net"
    plot.enter(person, plot.ago(100, 300), first_name=written, emails=[elsewhere], phones=[names.spaced(person.phone)])
    candidate = {"phone": names.national(person.phone)}
    if number % 3:
        plot.elsewhere(person, other, plot.ago(20, 80))
        plot.fresh("existing_same_phone", person, job, candidate=candidate)
    else:
        created_at = plot.ago(5, 80)
        plot.advocacy.refer(
            "existing_same_phone",
            person,
            job,
            created_at - days(1),
            outcome="written",
            target=plot.typed(person, job, created_at),
            candidate=candidate,
        )


def same_phone_other_person(plot: Plot, number: int) -> None:
    """A telephone number that somebody else has in the ATS: two people, never merged."""
    there, referred = plot.people.household(2)
    job = plot.job()
    plot.enter(there, plot.ago(100, 300), phones=[names.spaced(there.phone)])
    plot.elsewhere(there, job, plot.ago(20, 80))
    referred.phone, referred.country = there.phone, there.country
    plot.fresh("same_phone_other_person", referred, job, candidate={"phone": there.phone, "country": there.country})


def shared_mailbox(plot: Plot, number: int) -> None:
    """Six people behind one mailbox: six candidates."""
    if number:
        return
    household = plot.people.household(6)
    mailbox = f"wg.linden{household[0].key.lower()}@example.org"
    for person in household:
        person.email, person.emails = mailbox, {mailbox}
        plot.fresh("shared_mailbox", person, plot.job(), candidate={"email": mailbox})


def couple_mailbox(plot: Plot, number: int) -> None:
    """Two people of contradicting names behind one mailbox; one of them may be in the ATS already."""
    one, other = plot.people.household(2)
    mailbox = f"familie.{names.ascii_word(one.last_name)}{one.key.lower()}@example.net"
    for person in (one, other):
        person.email, person.emails = mailbox, {mailbox}
    if number % 2:
        plot.by_hand("couple_mailbox", one, plot.job(), low=10, high=200)
    else:
        plot.fresh("couple_mailbox", one, plot.job())
    plot.fresh("couple_mailbox", other, plot.job())


def gmail_variant(plot: Plot, number: int) -> None:
    """One Gmail mailbox written with and without dots and a plus."""
    first, last = plot.rng.choice(names.FIRST), f"{names.last_name(number * 7 + 3)}sen"
    key = f"{first}{last}demo{plot.as_of:%j}{number}".lower()
    person = plot.people.person(first_name=first, last_name=last, email=f"{key}@gmail.com")
    dotted = f"{key[:2]}.{key[2:5]}.{key[5:]}+jobs@gmail.com"
    person.emails.add(dotted)
    job = plot.job()
    if number % 2:
        plot.enter(person, plot.ago(100, 200), emails=[dotted])
        plot.by_hand("gmail_variant", person, job, low=5, high=80)
    else:
        plot.fresh("gmail_variant", person, job, advocate_id=plot.advocacy.advocate(job, alone=True))
        plot.fresh(
            "gmail_variant",
            person,
            job,
            advocate_id=plot.advocacy.advocate(job, alone=True),
            candidate={"email": dotted.title()},
        )


def subaddress_elsewhere(plot: Plot, number: int) -> None:
    """A plus where no provider is known to ignore it: two mailboxes, two people."""
    one, other = plot.people.household(2)
    local = f"pat{one.key.lower()}"
    for person, address in ((one, f"{local}@example.org"), (other, f"{local}+team@example.org")):
        person.email, person.emails = address, {address}
        plot.fresh("subaddress_elsewhere", person, plot.job(), candidate={"email": address})


def merged_before(plot: Plot, number: int) -> None:
    """Two records that the recruiters merged long ago: the primary carries both addresses."""
    person, job = plot.people.person(), plot.job()
    second = f"{names.ascii_word(person.last_name)}.{person.key.lower()}@old.example.net"
    plot.enter(person, plot.ago(150, 300), emails=[person.email, second])
    created_at = plot.ago(5, 80)
    target = plot.typed(person, job, created_at)
    for address, before in ((person.email, 3.5), (second, 1.5)):
        plot.advocacy.refer(
            "merged_before",
            person,
            job,
            created_at - days(before),
            outcome="written",
            target=target,
            advocate_id=plot.advocacy.advocate(job, alone=True),
            candidate={"email": address},
        )


def unicode_name(plot: Plot, number: int) -> None:
    """Names that are not English; the recruiter may have typed umlauts as ae, accents not at all."""
    for offset in (0, 5):
        first, last, typed_first, typed_last = names.UNICODE_NAMES[(number + offset) % len(names.UNICODE_NAMES)]
        person = plot.people.person(first_name=first, last_name=last)
        if offset:
            plot.fresh("unicode_name", person, plot.job())
        else:
            plot.enter(person, plot.ago(100, 200), first_name=typed_first, last_name=typed_last)
            plot.by_hand("unicode_name", person, plot.job(), low=5, high=80)


# ---------------------------------------------------------------- hires


def custom_stage(plot: Plot, number: int) -> None:
    """In a stage that the company made up and no contract maps: `in_review`."""
    job = next(job for job in plot.open_jobs if job.has_bar_raiser)
    plot.by_hand("custom_stage", plot.people.person(), job, low=20, high=80, outcome="in_review")


def hired_and_unhired(plot: Plot, number: int) -> None:
    """Hired, then not: back to the offer, rejected, or hired again at a later date."""
    outcome = ("unhired", "unhired_rejected", "rehired")[number % 3]
    plot.by_hand("hired_and_unhired", plot.people.person(), plot.job(), low=50, high=200, outcome=outcome)


def hired_no_offer(plot: Plot, number: int) -> None:
    """Hired without an offer: the opening that was filled carries the date."""
    plot.by_hand("hired_no_offer", plot.people.person(), plot.job(), low=50, high=300, outcome="hired_no_offer")


def hired_undated(plot: Plot, number: int) -> None:
    """Hired with neither offer nor opening: a hire whose date nobody knows."""
    plot.by_hand("hired_undated", plot.people.person(), plot.job(), low=30, high=80, outcome="hired_undated")


def no_share(plot: Plot, number: int) -> None:
    """Referred by word of mouth: no share, no content, no campaign; half of them hired."""
    outcome = "hired" if number % 2 else None
    plot.by_hand("no_share", plot.people.person(), plot.job(), low=60, high=300, outcome=outcome, has_share=False)


def no_applied_at(plot: Plot, number: int) -> None:
    """`applied` with no applied_at: the touch is when it was submitted."""
    plot.by_hand("no_applied_at", plot.people.person(), plot.job(), is_applied_at_known=False)


# ---------------------------------------------------------------- credit


def later_share(plot: Plot, number: int) -> None:
    """The first referrer shares once more after the second referral: that share is the last touch."""
    person, job = plot.people.person(), plot.job()
    created_at = plot.ago(20, 80)
    target = plot.typed(person, job, created_at)
    first, second = (plot.advocacy.advocate(job, alone=True) for _ in range(2))
    for advocate, before in ((first, 9.0), (second, 6.0)):
        plot.advocacy.refer(
            "later_share",
            person,
            job,
            created_at - days(before),
            outcome="written",
            target=target,
            advocate_id=advocate,
        )
    used = plot.advocacy.referrals[-2].share
    content = plot.advocacy.content_for(job, other_than=used.content if used else None)
    plot.advocacy.share(first, content, created_at - days(2))


def share_after_application(plot: Plot, number: int) -> None:
    """The first of two referrers shares again after the application was made: too late to count."""
    person, job = plot.people.person(), plot.job()
    created_at = plot.ago(20, 80)
    target = plot.typed(person, job, created_at)
    first, second = (plot.advocacy.advocate(job, alone=True) for _ in range(2))
    for advocate, before in ((first, 5.0), (second, 3.0)):
        plot.advocacy.refer(
            "share_after_application",
            person,
            job,
            created_at - days(before),
            outcome="written",
            target=target,
            advocate_id=advocate,
        )
    plot.advocacy.share(first, plot.advocacy.content_for(job), created_at + days(1))


def tie(plot: Plot, number: int) -> None:
    """Two referrals at the same moment: the one whose share is older is credited."""
    person, job = plot.people.person(), plot.job()
    created_at = plot.ago(20, 80)
    target = plot.typed(person, job, created_at)
    for share_before in (4.0, 9.0) if number % 2 else (9.0, 4.0):
        advocate = plot.advocacy.advocate(job, alone=True)
        share = plot.advocacy.share(advocate, plot.advocacy.content_for(job), created_at - days(share_before))
        plot.advocacy.refer(
            "tie",
            person,
            job,
            created_at - days(1),
            outcome="written",
            target=target,
            share=share,
        )


def application_before_touch(plot: Plot, number: int) -> None:
    """An open application that is older than the referral: it is told of, and earns nothing."""
    person, job = plot.people.person(), plot.job()
    created_at = plot.ago(20, 80)
    target = plot.elsewhere(person, job, created_at, "interviewed")
    plot.advocacy.refer(
        "application_before_touch",
        person,
        job,
        created_at + days(plot.rng.uniform(7, 12)),
        outcome="written",
        target=target,
        advocate_id=plot.advocacy.advocate(job, alone=True),
    )


def touch_outside_lookback(plot: Plot, number: int) -> None:
    """The application came more than 90 days after the referral: no credit, yet the status is returned."""
    person, job = plot.people.person(), plot.job()
    created_at = plot.ago(20, 80)
    target = plot.typed(person, job, created_at, "interviewed" if number % 2 else "rejected")
    plot.advocacy.refer(
        "touch_outside_lookback",
        person,
        job,
        created_at - days(plot.rng.uniform(95, 140)),
        outcome="written",
        target=target,
        advocate_id=plot.advocacy.advocate(job, alone=True),
    )


def old_rejected_application(plot: Plot, number: int) -> None:
    """Rejected for the same job long ago: a new referral opens a new application of the same candidate."""
    person, job = plot.people.person(), plot.job()
    plot.elsewhere(person, job, plot.ago(150, 300), "rejected")
    plot.fresh("old_rejected_application", person, job)


def withdrawn_beside_valid(plot: Plot, number: int) -> None:
    """Two refer, the later one takes it back: the earlier one is credited."""
    person, job = plot.people.person(), plot.job()
    created_at = plot.ago(20, 80)
    target = plot.typed(person, job, created_at)
    for stage, before, outcome in (("applied", 5.0, "written"), ("withdrawn", 2.0, "blocked:withdrawn")):
        plot.advocacy.refer(
            "withdrawn_beside_valid",
            person,
            job,
            created_at - days(before),
            outcome=outcome,
            target=target if outcome == "written" else None,
            advocate_id=plot.advocacy.advocate(job, alone=True),
            stage=stage,
        )


CASES: tuple[Case, ...] = (
    three_advocates,
    two_jobs,
    existing_other_case,
    existing_same_phone,
    same_phone_other_person,
    shared_mailbox,
    couple_mailbox,
    gmail_variant,
    subaddress_elsewhere,
    merged_before,
    unicode_name,
    custom_stage,
    hired_and_unhired,
    hired_no_offer,
    hired_undated,
    no_share,
    no_applied_at,
    later_share,
    share_after_application,
    tie,
    application_before_touch,
    touch_outside_lookback,
    old_rejected_application,
    withdrawn_beside_valid,
)
