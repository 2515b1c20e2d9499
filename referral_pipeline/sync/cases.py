"""From what was pulled to what is written: one case per person.

Belongs here: joining referrals, ATS records, the person map and the ledger's links into person cases, and finding out
what became of applications that the ATS no longer shows. Does not belong here: who is who (identity), any write to
the ATS.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from referral_pipeline.connectors.failures import Invalid
from referral_pipeline.connectors.protocols import AtsConnector
from referral_pipeline.connectors.records import AtsApplication, Referral
from referral_pipeline.ledger.store import Ledger, Link
from referral_pipeline.vocabulary import Block

_MOST_GONE_AT_ONCE = 20
"""Linked applications that may vanish between two runs without a question; above it, a tenth of all may."""


@dataclass(frozen=True)
class PersonCase:
    """One person with everything known of them before the write. Personal data inside the referrals.

    `candidate_ids` are the ATS candidates that identity resolution gave to this person, `links` what earlier runs
    wrote. `foreign` are applications that carry a referral of this person, but belong to somebody else's candidate: the
    referral was made over to another person after it was written. `erased` are referrals whose candidate the ATS
    deleted or anonymized, or whose person asked to be forgotten. `lock_keys` is what no other process may be creating
    for at the same time (keyed hashes of the contact details); empty when the caller holds them already.
    """

    person_id: str
    referrals: tuple[Referral, ...]
    candidate_ids: tuple[str, ...]
    applications: tuple[AtsApplication, ...]
    links: Mapping[str, Link]
    foreign: frozenset[str] = frozenset()
    erased: frozenset[str] = frozenset()
    lock_keys: frozenset[str] = frozenset()


class MassDisappearanceError(Exception):
    """The ATS shows far fewer of the linked applications than before. Nothing was changed."""

    def __init__(self, system: str, gone: int, linked: int) -> None:
        super().__init__(
            f"{system} no longer shows {gone} of {linked} linked applications; nothing was changed. Look whether its "
            "credential lost a right or jobs became private. If they were really deleted, delete them in smaller steps."
        )


def person_cases(
    referrals: Iterable[Referral],
    applications: Iterable[AtsApplication],
    *,
    person_of: Mapping[str, str],
    advocacy_system: str,
    ats: AtsConnector,
    ledger: Ledger,
    now: datetime,
    key_hashes: Mapping[str, Collection[str]] | None = None,
) -> list[PersonCase]:
    """One case per person that has at least one referral, in a stable order.

    Args:
        referrals: those that passed validation.
        applications: the ATS's applications as of the last pull.
        person_of: "system:record id" -> person id, from identity resolution, for referrals and ATS candidates.
        advocacy_system: name of the advocacy system, as in `person_of`.
        ats: to look up live what the last pull does not show.
        ledger: for links, aliases and tombstones.
        now: the time; an application linked more recently than the ATS's visibility lag may not be visible yet.
        key_hashes: referral id -> keyed hashes of its contact details, held against the tombstones.

    Raises:
        MassDisappearanceError: so many linked applications are gone at once that it is no deletion but a lost right.
        TransientFailure, PermanentFailure: from the connector's look-ups.
    """
    links = {link.referral_id: link for link in ledger.links()}
    by_application = {a.id: a for a in applications}
    gone = gone_applications(links.values(), by_application, ats=ats, now=now)
    forgotten = _forgotten(key_hashes or {}, ledger)
    _record_merges(links.values(), by_application, ats_system=ats.system, ledger=ledger)

    referrals_of: dict[str, list[Referral]] = defaultdict(list)
    for referral in referrals:
        referrals_of[person_of[f"{advocacy_system}:{referral.id}"]].append(referral)
    candidates_of: dict[str, list[str]] = defaultdict(list)
    prefix = f"{ats.system}:"
    for record_id, person_id in person_of.items():
        if record_id.startswith(prefix):
            candidates_of[person_id].append(record_id.removeprefix(prefix))
    applications_of: dict[str, list[AtsApplication]] = defaultdict(list)
    for application in by_application.values():
        applications_of[application.candidate_id].append(application)

    erased = frozenset(i for i, x in links.items() if _is_erased(x, gone)) | forgotten
    return [
        case_of(
            person_id,
            members,
            candidate_ids=candidates_of[person_id],
            applications_of=applications_of,
            by_application=by_application,
            links=links,
            person_of_candidate=lambda candidate_id: person_of.get(f"{prefix}{candidate_id}"),
            erased=erased.intersection(r.id for r in members),
            lock_keys=frozenset(h for r in members for h in (key_hashes or {}).get(r.id, ())),
        )
        for person_id, members in sorted(referrals_of.items())
    ]


def case_of(
    person_id: str,
    referrals: Sequence[Referral],
    *,
    candidate_ids: Iterable[str],
    applications_of: Mapping[str, Sequence[AtsApplication]],
    by_application: Mapping[str, AtsApplication],
    links: Mapping[str, Link],
    person_of_candidate: Callable[[str], str | None],
    erased: Collection[str],
    lock_keys: frozenset[str] = frozenset(),
) -> PersonCase:
    """The case of one person.

    Args:
        person_id: whose case.
        referrals: every referral of the person.
        candidate_ids: the ATS candidates that resolution gave to the person.
        applications_of: applications by candidate id.
        by_application: applications by id; those of the links of these referrals at least.
        links: by referral id; those of these referrals at least.
        person_of_candidate: who an ATS candidate is; None when nobody knows.
        erased: those of the referrals whose candidate is gone, or whose person asked to be forgotten.
        lock_keys: see `PersonCase`.
    """
    own_links = {r.id: links[r.id] for r in referrals if r.id in links}

    def is_own(candidate_id: str) -> bool:
        return (person_of_candidate(candidate_id) or person_id) == person_id

    # A linked candidate that turned out to be somebody else keeps its application, and gets no other.
    linked_candidates = {x.candidate_id for x in own_links.values() if x.candidate_id}
    candidates = sorted({*candidate_ids, *(c for c in linked_candidates if is_own(c))})
    linked = {x.application_id for x in own_links.values() if x.application_id}
    own = {a.id: a for c in candidates for a in applications_of.get(c, ())}
    own |= {i: by_application[i] for i in linked if i in by_application}
    return PersonCase(
        person_id=person_id,
        referrals=tuple(sorted(referrals, key=lambda r: (r.touched_at, r.id))),
        candidate_ids=tuple(candidates),
        applications=tuple(sorted(own.values(), key=lambda a: (a.applied_at, a.id))),
        links=own_links,
        foreign=frozenset(i for i, a in own.items() if not is_own(a.candidate_id)),
        erased=frozenset(erased),
        lock_keys=lock_keys,
    )


def gone_applications(
    links: Collection[Link], by_application: dict[str, AtsApplication], *, ats: AtsConnector, now: datetime
) -> frozenset[str]:
    """The linked applications that the ATS has no more; those it has but did not show are added to `by_application`.

    Raises:
        MassDisappearanceError: so many are gone at once that it is no deletion but a lost right.
        TransientFailure, PermanentFailure: from the connector's look-ups.
    """
    gone = _look_up_missing(links, by_application, ats=ats, now=now)
    _refuse_mass_disappearance(links, gone, ats.system)
    return gone


def _refuse_mass_disappearance(links: Iterable[Link], gone: frozenset[str], ats_system: str) -> None:
    """Deletions are few. A right that was taken away, or a job made private, hides many at once: stop and ask."""
    linked = {x.application_id for x in links if x.application_id and x.block != Block.ERASED}
    if len(gone) > most_gone(len(linked)):
        raise MassDisappearanceError(ats_system, len(gone), len(linked))


def most_gone(linked: int) -> int:
    """How many of so many linked applications may vanish without a question."""
    return max(_MOST_GONE_AT_ONCE, linked // 10)


def _forgotten(key_hashes: Mapping[str, Collection[str]], ledger: Ledger) -> frozenset[str]:
    """The referrals of people who asked to be forgotten."""
    tombstoned = ledger.tombstoned({h for hashes in key_hashes.values() for h in hashes})
    return frozenset(i for i, hashes in key_hashes.items() if not tombstoned.isdisjoint(hashes))


def _is_erased(link: Link, gone: frozenset[str]) -> bool:
    return link.block == Block.ERASED or (link.application_id is not None and link.application_id in gone)


def _look_up_missing(
    links: Iterable[Link], by_application: dict[str, AtsApplication], *, ats: AtsConnector, now: datetime
) -> frozenset[str]:
    """Fetch linked applications that the pull does not show; return the ids that are truly gone.

    A deletion is no change that a pull can show, and a fresh application may not be visible yet: absence counts only
    after the visibility lag, and only when a live look-up agrees. What was found gone stays so and is not asked again.
    """
    lag = timedelta(seconds=ats.visibility_lag_seconds)
    missing = {
        x.application_id: x.updated_at
        for x in links
        if x.application_id and x.application_id not in by_application and x.block != Block.ERASED
    }
    live, unreadable = _live(sorted(missing), ats)
    by_application.update(live)
    return frozenset(
        i for i, at in missing.items() if i not in live and i not in unreadable and (at is None or now >= at + lag)
    )


def _live(ids: Sequence[str], ats: AtsConnector) -> tuple[dict[str, AtsApplication], frozenset[str]]:
    """The applications as they are now, and those that cannot be read: they exist, and must not stop the others."""
    if not ids:
        return {}, frozenset()
    try:
        return ats.get_applications(ids), frozenset()
    except Invalid:
        if len(ids) == 1:
            return {}, frozenset(ids)
    middle = len(ids) // 2
    (left, bad_left), (right, bad_right) = _live(ids[:middle], ats), _live(ids[middle:], ats)
    return left | right, bad_left | bad_right


def _record_merges(
    links: Iterable[Link], by_application: Mapping[str, AtsApplication], *, ats_system: str, ledger: Ledger
) -> None:
    """A linked application under another candidate id means the candidates were merged: keep the alias."""
    for link in links:
        application = by_application.get(link.application_id or "")
        if application is not None and link.candidate_id and application.candidate_id != link.candidate_id:
            ledger.alias(ats_system, link.candidate_id, application.candidate_id)
