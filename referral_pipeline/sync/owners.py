"""Whose an application is, as far as the ledger knows.

Belongs here: the one rule that says who earns an application, for a single one. Does not belong here: who a record is
(identity), the same rule for all applications at once (core.application_person; a test holds the two together).

The rule
1. Where the referrals that are linked to it are of several persons, or none is, it is its candidate's: the person whom
   identity resolution made of the ATS candidate that holds it now, if that is one of them.
2. Else it is the person of the referral that opened it, or of the first by id that is linked to it. So it stays with a
   referral that is alone there, though its candidate was merged into one whose person is not known to be the same yet.
Referrals of other persons earn nothing there, also when they are linked to it: they were split from its person after
they had been written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from referral_pipeline.ledger.store import Ledger, Link


def owner_of(
    ledger: Ledger, advocacy_system: str, ats_system: str, candidate_id: str | None, links: Sequence[Link]
) -> str | None:
    """The person of an application; None when nothing is known of it.

    Args:
        ledger: for keys.
        advocacy_system: whose referrals the links are of.
        ats_system: whose application it is.
        candidate_id: who holds it now, merges followed.
        links: all that are linked to it.
    """
    keys = ledger.keys_of([f"{ats_system}:{candidate_id}"]) if candidate_id else []
    holder = keys[0].person_id if keys else None
    if not links:
        return holder
    who = persons_of(ledger, advocacy_system, links)
    if holder in who.values():
        return holder
    return who[min(links, key=lambda link: (not link.created_application, link.referral_id)).referral_id]


def persons_of(ledger: Ledger, advocacy_system: str, links: Iterable[Link]) -> dict[str, str]:
    """Who each referral is, by its id: by its keys, which follow every split, else as its link says."""
    found = {link.referral_id: link.person_id for link in links}
    prefix = f"{advocacy_system}:"
    keys = ledger.keys_of(f"{prefix}{referral_id}" for referral_id in found)
    return found | {key.record_id.removeprefix(prefix): key.person_id for key in keys}


def links_of_owner(ledger: Ledger, advocacy_system: str, person_id: str | None, links: Sequence[Link]) -> list[Link]:
    """Every link of a person, those among `links` too; a link may name a person from whom it was split since."""
    if person_id is None:
        return []
    prefix = f"{advocacy_system}:"
    records = (i.removeprefix(prefix) for i in ledger.records_of_persons({person_id}) if i.startswith(prefix))
    found = {link.referral_id: link for link in (*ledger.links_of_persons({person_id}), *links)}
    found |= ledger.links_for(records)
    who = persons_of(ledger, advocacy_system, found.values())
    return [link for i, link in found.items() if who[i] == person_id]
