"""Which application takes which referral: pure rules, before any write.

Belongs here: the choice between updating an application, opening one, and creating a candidate. Does not belong here:
calls, stores, credit.

The rules, in order, for the referrals of one person for one job:
1. A referral that is already linked stays with its application as long as that application exists, though a recruiter
   moved it to another job, or the advocate corrected the job of the referral.
2. An application made after the referral's touch came from it (typed by hand before the bridge ran, or created by the
   bridge): the earliest such application takes it. Look-back decides credit, not membership.
3. An application that is still open takes it, though it is older (it earns no credit, but the advocate hears the
   status).
4. Otherwise (none, or only closed ones that are older) a new application is opened, one for all referrals left over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from referral_pipeline.connectors.records import AtsApplication, Referral


@dataclass(frozen=True)
class Assignment:
    """Referrals of one person that belong to one application; `application` is None for a new one for `job_id`."""

    job_id: str
    application: AtsApplication | None
    referrals: tuple[Referral, ...]

    @property
    def job_ids(self) -> frozenset[str]:
        """The jobs whose touches may earn the application: its own, and those that its referrals name."""
        return frozenset({self.job_id, *(referral.job_id for referral in self.referrals)})


def assign(
    referrals: Sequence[Referral],
    applications: Sequence[AtsApplication],
    *,
    linked: Mapping[str, str],
    foreign: Collection[str] = frozenset(),
) -> list[Assignment]:
    """Assign referrals (one person, any jobs) to that person's applications.

    Args:
        referrals: those that passed the gate.
        applications: all applications of the person, any job, any state.
        linked: referral id -> application id, as recorded by earlier writes.
        foreign: applications of somebody else's candidate: they keep the referrals linked to them, and take no others.
    """
    by_id = {a.id: a for a in applications}
    groups: dict[tuple[str, str | None], list[Referral]] = defaultdict(list)
    for referral in sorted(referrals, key=lambda r: (r.touched_at, r.id)):
        same_job = sorted(
            (a for a in applications if a.job_id == referral.job_id and a.id not in foreign),
            key=lambda a: (a.applied_at, a.id),
        )
        chosen = by_id.get(linked.get(referral.id, "")) or _taking(referral, same_job)
        job_id = (chosen.job_id if chosen else None) or referral.job_id
        groups[job_id, chosen.id if chosen else None].append(referral)
    return [
        Assignment(job_id=job_id, application=by_id.get(application_id or ""), referrals=tuple(members))
        for (job_id, application_id), members in sorted(groups.items(), key=lambda item: (item[0][0], item[0][1] or ""))
    ]


def _taking(referral: Referral, same_job: Sequence[AtsApplication]) -> AtsApplication | None:
    later = [a for a in same_job if a.applied_at >= referral.touched_at]
    if later:
        return later[0]
    still_open = [a for a in same_job if a.is_open]
    return still_open[-1] if still_open else None
