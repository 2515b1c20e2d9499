"""The programme's truth as far as Radancy can carry it.

Belongs here: ids, statuses in the platform's words, and credit by what the platform tells. Does not belong here: the
programme's own truth (`programme.truth`), comparing it (`sandbox.verify`).

What differs from a platform of our own contract
- It lists no shares: a touch is an application, on its date. Of equal ones the application of the lowest id counts.
- It has no content, no campaign, no clicks: these tags stay empty, so no hire is completely attributed.
- It knows three statuses and a first day of work. An application that goes on is told nothing.
- An applicant's country is not told: those whom another platform would name by a country that the contract does not
  list are not in this account.
- A closed job that it never had is not made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from referral_pipeline.sandbox.programme.ats_setup import TAGS
from referral_pipeline.sandbox.programme.credit import LOOKBACK
from referral_pipeline.sandbox.programme.truth import channel_kpis
from referral_pipeline.sandbox.radancy.ids import id_of

Json = dict[str, Any]

LACKS = ("ats", "hired_at", "results")
"""What the comparison cannot ask for."""
OUTSIDE = "blocked:country"

_NEW_APPLICATIONS_AGE = timedelta(days=1)
_SHOWN = {"hired": "hired", "rejected": "rejected", "withdrawn": "rejected"}


def translated(truth: Mapping[str, Any], rows: Iterable[Json], jobs: Collection[str]) -> Json:
    """The truth for this account.

    Args:
        truth: of the programme, with the ids of the ATS.
        rows: the referrals of the account, under its own ids.
        jobs: ids of the ATS of jobs that the account had before.
    """
    by_id = {row["id"]: row for row in rows}
    outcomes = {
        id_of("referrals", own): _referral(found)
        for own, found in truth["referrals"].items()
        if found["outcome"] != OUTSIDE
    }
    subjects: dict[tuple[str, str], list[Json]] = defaultdict(list)
    for referral_id, found in outcomes.items():
        if found["outcome"] == "written":
            row = by_id[referral_id]
            subjects[found["person"], row["job_id"]].append(row)
    as_of = datetime.fromisoformat(truth["as_of"])
    applications = [_credited(one, subjects[one["person"], one["job_id"]], as_of) for one in truth["applications"]]
    kpis = channel_kpis(applications, as_of)
    times = {**kpis["time_to_hire_days"], "all_channels": truth["kpis"]["time_to_hire_days"]["all_channels"]}
    return {
        **truth,
        "lacks": list(LACKS),
        "referrals": outcomes,
        "applications": applications,
        "cases": {
            case: [shown for own in ids if (shown := id_of("referrals", own)) in outcomes]
            for case, ids in truth["cases"].items()
        },
        "jobs": {key: job for key, job in truth["jobs"].items() if job["status"] == "open" or key in jobs},
        "kpis": {**kpis, "time_to_hire_days": times},
    }


def _referral(found: Mapping[str, Any]) -> Json:
    shown = _SHOWN.get(found["expected_status"])
    return {**found, "expected_status": shown, "hired_at": None}


def _credited(application: Mapping[str, Any], touches: Iterable[Json], as_of: datetime) -> Json:
    applied = application["applied_at"]
    end = datetime.fromisoformat(applied) if applied else as_of + _NEW_APPLICATIONS_AGE
    counted = [row for row in touches if end - LOOKBACK <= touched_at(row) <= end]
    latest = max((touched_at(row) for row in counted), default=None)
    credited = min((row for row in counted if touched_at(row) == latest), key=lambda row: row["id"], default=None)
    tags: dict[str, str | None] = dict.fromkeys(TAGS)
    if credited is not None:
        tags |= {"referral_id": credited["id"], "advocate_id": credited["advocate_id"]}
    return {**application, "channel": "advocacy" if credited is not None else "other", **tags}


def touched_at(row: Mapping[str, Any]) -> datetime:
    """When somebody applied; Radancy tells it in whole seconds."""
    return datetime.fromisoformat(row["applied_at"] or row["submitted_at"]).replace(microsecond=0)
