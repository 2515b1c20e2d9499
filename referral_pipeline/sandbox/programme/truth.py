"""The truth about a programme: what both systems must hold once the bridge has run, in plain JSON.

Belongs here: the shape of the truth and its assembly from what was constructed. Does not belong here: comparing it with
anything (`sandbox.verify`).

Which application takes a referral (of one person for one job):
1. An application made after the referral's touch came from it (typed in by hand, whatever became of it since): it gets
   the tags, and its status is returned. Look-back decides credit, not this.
2. Else an application that is still open takes it, though it is older: it earns no credit, but the status is returned.
3. Else (none, or only closed ones that are older than the touch) a new application is opened for the same candidate.

Tags of an application without credit stay empty, all of them. `referral_id`, clicks, shares and reach are those of the
credited advocate's referral; share, content and campaign those of the credited touch.

Keys
    seed, as_of, size
    cases             {case: [referral ids]}
    persons           {person: {emails, phones, spellings, ats_candidate_id}}; phones only what the bridge can know
    referrals         {id: {case, person, outcome, application, expected_status, hired_at, starts_on, ats_candidate_id,
                      ats_application_id}}; ATS ids None where the bridge has to create
    applications      [{key, person, job_id, ats_application_id, ats_candidate_id, applied_at, expected_status,
                      hired_at, starts_on, channel, and the eight tags}]
    untouched         {candidates: {id: updated_at}, applications: {id: updated_at}}: what nobody may change
    existing          {candidates: {id: {first_name, last_name, emails, phones}}, applications: [ids]}: what was there
    jobs              {id: {title, status}}: the postings to be published (open and closed)
    source_name       the source of created applications
    stories           [{person, job_id, story, emails, spellings}]: what recruiters do at once with a new application
    expected          the first pass: candidates_created, applications_created, statuses_sent, blocked, quarantined
    kpis              referral_conversion_rate, time_to_hire_days, attribution_coverage of the advocacy channel;
                      time_to_hire_days also of all channels together
    totals            rows by entity
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from referral_pipeline.sandbox.advocacy.clock import stamp
from referral_pipeline.sandbox.programme.advocacy import NewApplication, Referral, Share
from referral_pipeline.sandbox.programme.ats import Application
from referral_pipeline.sandbox.programme.ats_setup import SOURCE_NAME, TAGS
from referral_pipeline.sandbox.programme.credit import Credited, SharesOf, last_touch
from referral_pipeline.sandbox.programme.moments import days_between
from referral_pipeline.sandbox.programme.people import Person
from referral_pipeline.sandbox.programme.plot import MATURITY_DAYS, Plot

Json = dict[str, Any]

_STATUS_AFTER = {"stay": "applied", "phone_screen": "interviewed", "reject": "rejected", "withdraw": "withdrawn"}
_NEW_APPLICATIONS_AGE = timedelta(days=1)


def assemble(
    plot: Plot,
    *,
    seed: int,
    size: Mapping[str, int],
    advocacy_rows: Mapping[str, list[Json]],
    ats_rows: Mapping[str, list[Json]],
) -> Json:
    """The whole truth. Call it after all rows are made."""
    referrals = plot.advocacy.referrals
    applications = _applications(plot)
    by_key = {row["key"]: row for row in applications}
    cases: dict[str, list[str]] = defaultdict(list)
    for referral in referrals:
        cases[referral.case].append(referral.id)
    return {
        "seed": seed,
        "as_of": stamp(plot.as_of),
        "size": dict(size),
        "cases": dict(cases),
        "persons": _persons(plot),
        "referrals": {referral.id: _referral(referral, by_key) for referral in referrals},
        "applications": applications,
        "untouched": _untouched(applications, ats_rows),
        "existing": _existing(ats_rows),
        "jobs": {
            str(job.id): {"title": job.name, "status": job.status} for job in plot.ats.jobs if job.status != "draft"
        },
        "source_name": SOURCE_NAME,
        "stories": _stories(plot),
        "expected": _expected(plot, applications),
        "kpis": _kpis(applications, plot),
        "totals": {
            "advocacy": {entity: len(rows) for entity, rows in advocacy_rows.items()},
            "ats": {entity: len(rows) for entity, rows in ats_rows.items()},
        },
    }


def _applications(plot: Plot) -> list[Json]:
    """Every application that takes a referral, with its credit."""
    shares_of = _shares_of(plot.advocacy.shares)
    by_subject: dict[tuple[str, str], list[Referral]] = defaultdict(list)
    targets: dict[str, tuple[Person, Application | NewApplication]] = {}
    for referral in plot.advocacy.referrals:
        by_subject[referral.person.key, referral.job_id].append(referral)
        if referral.target is not None:
            targets[referral.target.key] = (referral.person, referral.target)
    rows: list[Json] = []
    for key, (person, target) in targets.items():
        subject = by_subject[person.key, str(target.job.id)]
        is_new = isinstance(target, NewApplication)
        applied_at = plot.as_of + _NEW_APPLICATIONS_AGE if is_new else target.created_at
        credited = last_touch(subject, shares_of, applied_at)
        hired_at, starts_on = (None, None) if is_new else (target.hired_at, target.starts_on)
        rows.append(
            {
                "key": key,
                "person": person.key,
                "job_id": str(target.job.id),
                "ats_application_id": None if is_new else str(target.id),
                "ats_candidate_id": str(person.ats_candidate_id) if person.ats_candidate_id else None,
                "applied_at": None if is_new else stamp(applied_at),
                "expected_status": _STATUS_AFTER[plot.stories[key]] if is_new else target.status.value,
                "hired_at": stamp(hired_at) if hired_at else None,
                "starts_on": starts_on.isoformat() if starts_on else None,
                "channel": "advocacy" if credited else "other",
                **_tags(credited),
            }
        )
    return rows


def _tags(credited: Credited | None) -> dict[str, str | None]:
    if credited is None:
        return dict.fromkeys(TAGS)
    engagement = credited.referral.engagement or {}
    return {
        "referral_id": credited.referral.id,
        "advocate_id": credited.advocate_id,
        "share_id": credited.share.id if credited.share else None,
        "content_id": credited.share.content.id if credited.share else None,
        "campaign_tag": credited.campaign_tag,
        **{name: str(engagement[name]) if name in engagement else None for name in ("clicks", "shares", "reach")},
    }


def _shares_of(shares: list[Share]) -> SharesOf:
    found: dict[tuple[str, str], list[Share]] = defaultdict(list)
    for share in shares:
        if share.content.job:
            found[share.advocate_id, str(share.content.job.id)].append(share)
    return found


def _referral(referral: Referral, by_key: Mapping[str, Json]) -> Json:
    application = by_key[referral.target.key] if referral.target and referral.is_written else None
    kept = ("expected_status", "hired_at", "starts_on", "ats_candidate_id", "ats_application_id")
    return {
        "case": referral.case,
        "person": referral.person.key,
        "outcome": referral.outcome,
        "application": application["key"] if application else None,
        **{name: application[name] if application else None for name in kept},
    }


def _persons(plot: Plot) -> dict[str, Json]:
    """People whom the bridge gets to know, with the numbers that reach it."""
    phones: dict[str, set[str]] = defaultdict(set)
    known: dict[str, Person] = {}
    for referral in plot.advocacy.referrals:
        if referral.is_written:
            known[referral.person.key] = referral.person
            if referral.candidate["phone"] and referral.case != "malformed_phone":
                phones[referral.person.key].add(referral.person.phone)
    return {
        key: {
            "emails": sorted(person.emails),
            "phones": sorted(phones[key]),
            "spellings": sorted(map(list, person.spellings)),
            "ats_candidate_id": str(person.ats_candidate_id) if person.ats_candidate_id else None,
        }
        for key, person in known.items()
    }


def _stories(plot: Plot) -> list[Json]:
    targets = {r.target.key: r.target for r in plot.advocacy.referrals if isinstance(r.target, NewApplication)}
    return [
        {
            "person": target.person.key,
            "job_id": str(target.job.id),
            "story": plot.stories[key],
            "emails": sorted(target.person.emails),
            "spellings": sorted(map(list, target.person.spellings)),
        }
        for key, target in targets.items()
    ]


def _untouched(applications: list[Json], ats_rows: Mapping[str, list[Json]]) -> Json:
    taken = {row["ats_application_id"] for row in applications}
    touched = {row["ats_candidate_id"] for row in applications}
    return {
        "candidates": {
            str(row["id"]): row["updated_at"] for row in ats_rows["candidates"] if str(row["id"]) not in touched
        },
        "applications": {
            str(row["id"]): row["updated_at"] for row in ats_rows["applications"] if str(row["id"]) not in taken
        },
    }


def _existing(ats_rows: Mapping[str, list[Json]]) -> Json:
    return {
        "candidates": {
            str(row["id"]): {
                "first_name": row["first_name"],
                "last_name": row["last_name"],
                "emails": [item["value"] for item in row["email_addresses"]],
                "phones": [item["value"] for item in row["phone_numbers"]],
            }
            for row in ats_rows["candidates"]
        },
        "applications": [str(row["id"]) for row in ats_rows["applications"]],
    }


def _expected(plot: Plot, applications: list[Json]) -> Json:
    referrals = plot.advocacy.referrals
    new = [row for row in applications if row["ats_application_id"] is None]
    blocked = Counter(r.outcome.removeprefix("blocked:") for r in referrals if r.outcome.startswith("blocked:"))
    return {
        "candidates_created": len({row["person"] for row in new if row["ats_candidate_id"] is None}),
        "applications_created": len(new),
        "statuses_sent": sum(referral.is_written for referral in referrals),
        "blocked": dict(sorted(blocked.items())),
        "quarantined": sum(referral.outcome == "quarantined" for referral in referrals),
        "jobs_published": sum(job.status != "draft" for job in plot.ats.jobs),
    }


def _kpis(applications: list[Json], plot: Plot) -> Json:
    """The three KPIs of the advocacy channel (credited applications), by their definitions.

    Conversion: hired within 90 days / applications that are at least 90 days old. Time to hire: fractional days from
    the application's date to the acceptance, median, hires of those applications. Coverage: hires with advocate, share
    or content, campaign, ids and both dates / hires.
    """
    of_all = [
        days_between(one.created_at, one.hired_at)
        for one in plot.ats.applications
        if one.hired_at and days_between(one.created_at, plot.as_of) >= MATURITY_DAYS
    ]
    kpis = channel_kpis(applications, plot.as_of)
    return {**kpis, "time_to_hire_days": {**kpis["time_to_hire_days"], "all_channels": _median(of_all)}}


def channel_kpis(applications: list[Json], as_of: datetime) -> Json:
    """The KPIs of the applications that are credited to an advocate, as the truth has them."""
    advocacy = [row for row in applications if row["channel"] == "advocacy"]
    mature = [row for row in advocacy if row["applied_at"] and _age_days(row["applied_at"], as_of) >= MATURITY_DAYS]
    hires = [row for row in advocacy if row["expected_status"] == "hired"]
    dated = [row for row in hires if row["hired_at"]]
    on_time = [
        row
        for row in mature
        if row["expected_status"] == "hired"
        and row["hired_at"]
        and days_between(_read(row["applied_at"]), _read(row["hired_at"])) <= MATURITY_DAYS
    ]
    durations = [
        days_between(_read(row["applied_at"]), _read(row["hired_at"]))
        for row in mature
        if row["expected_status"] == "hired" and row["hired_at"]
    ]
    complete = [row for row in dated if row["campaign_tag"] and (row["share_id"] or row["content_id"])]
    return {
        "referral_conversion_rate": _ratio(len(on_time), len(mature)),
        "time_to_hire_days": _median(durations),
        "attribution_coverage": _ratio(len(complete), len(hires)),
    }


def _median(durations: list[float]) -> Json:
    return {"median": statistics.median(durations) if durations else None, "hires": len(durations)}


def _ratio(numerator: int, denominator: int) -> Json:
    value = numerator / denominator if denominator else None
    return {"value": value, "numerator": numerator, "denominator": denominator}


def _read(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _age_days(text: str, as_of: datetime) -> float:
    return days_between(_read(text), as_of)
