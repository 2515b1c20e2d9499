"""The owner's overrides of credit: who may decide about what, and how a decision reaches both systems.

Belongs here: the checks before a decision is kept, the hint that makes the lane act on it, and how a write finds it.
Does not belong here: keeping it (ledger.overrides), the credit that follows (attribution.models, warehouse).

The rules
1. Only the contract's owner decides. A reason is asked for, and stays.
2. The credit goes to one referral, or to nobody. The referral is one of the application's person, was written by the
   bridge, and is not held back: an override never replaces consent. When it is held back later, nobody has the credit
   until the owner decides anew: to fall back on the model could pay the very advocate whom the owner ruled out.
3. The decision and the hint to act on it are one transaction: either both are there after a crash, or neither.
"""

from __future__ import annotations

from collections.abc import Sequence

from referral_pipeline.connectors.records import Referral
from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.records import InboxDelivery
from referral_pipeline.ledger.store import Ledger, Link, Override
from referral_pipeline.sync.owners import links_of_owner, owner_of

ORIGIN = "override"


class OverrideRefused(ValueError):
    """A decision that cannot be kept; the message says why, and what to do."""


def application_key(text: str, contract: Contract) -> str:
    """The key of an application written as "31" or "greenhouse:31".

    Raises:
        OverrideRefused: it names another system, or nothing.
    """
    system, colon, application_id = text.strip().rpartition(":")
    if not application_id or (colon and system != contract.ats.connector):
        raise OverrideRefused(
            f"{text!r} names no application of {contract.ats.connector}. Write its id there, such as 31 or "
            f"{contract.ats.connector}:31"
        )
    return f"{contract.ats.connector}:{application_id}"


def override(
    ledger: Ledger, contract: Contract, key: str, referral_id: str | None, *, reason: str, by: str
) -> Override:
    """Decide that one referral has all the credit for an application, or nobody has any; the lane is to act on it.

    Args:
        ledger: keeps the decision.
        contract: names the owner.
        key: the application, from `application_key`.
        referral_id: the referral; None for nobody.
        reason: why.
        by: the address of who decides.

    Raises:
        OverrideRefused: who decides is not the owner, no reason is given, or the referral cannot have the credit.
    """
    _require_owner(contract, by)
    words = _require_reason(reason)
    with ledger.exclusive([f"override:{key}"]):
        own = _links_of(ledger, key)
        if not own:
            raise OverrideRefused(
                f"no referral was ever written to application {key}, so that nobody has credit to decide about. "
                f"`referral-pipeline explain {key}` shows what is known of it"
            )
        if referral_id is not None:
            _require_eligible(ledger.link(referral_id), referral_id, key, _of_its_person(ledger, contract, own))
        with ledger.atomic():
            made = ledger.decide_override(key, referral_id, reason=words, decided_by=contract.owner.email)
            ledger.receive_many([_hint(contract, key, own, decided_hint(made))])
    return made


def revoke(ledger: Ledger, contract: Contract, key: str, *, reason: str, by: str) -> Override:
    """Take back the override of an application, so that the contract's model pays again; the lane is to act on it.

    Raises:
        OverrideRefused: who decides is not the owner, no reason is given, or there is nothing to take back.
    """
    _require_owner(contract, by)
    words = _require_reason(reason)
    with ledger.exclusive([f"override:{key}"]), ledger.atomic():
        taken = ledger.revoke_override(key, reason=words, revoked_by=contract.owner.email)
        if taken is None:
            raise OverrideRefused(
                f"no override is in force for application {key}. `referral-pipeline credit list --all` shows all"
            )
        own = _links_of(ledger, key)
        ledger.receive_many([_hint(contract, key, own, revoked_hint(taken))])
    return taken


def decided_hint(one: Override) -> str:
    """The delivery that makes the lane act on a decision."""
    return f"override:{one.id}:decided"


def revoked_hint(one: Override) -> str:
    """The delivery that makes the lane act on the end of a decision; one that was replaced has none."""
    return f"override:{one.id}:revoked"


# ---------------------------------------------------------------- what a write asks


def decisions_on(ledger: Ledger, system: str, application_id: str) -> list[Override]:
    """All overrides of an application, those that were revoked too, oldest first."""
    return ledger.overrides_of([f"{system}:{application_id}"])


def in_force(decisions: Sequence[Override]) -> Override | None:
    """The override that stands, if any."""
    return next((one for one in decisions if one.is_in_force), None)


def with_chosen(
    may_count: Sequence[Referral], unblocked: Sequence[Referral], decisions: Sequence[Override]
) -> list[Referral]:
    """The referrals that may count, with the one that the owner chose, though it is for another job of the person."""
    standing = in_force(decisions)
    known = {referral.id for referral in may_count}
    chosen = [r for r in unblocked if standing is not None and r.id == standing.referral_id and r.id not in known]
    return [*may_count, *chosen]


# ---------------------------------------------------------------- helpers


def _require_owner(contract: Contract, by: str) -> None:
    if by.strip().casefold() != contract.owner.email.casefold():
        raise OverrideRefused(
            "only the owner that the contract names may decide about credit. Ask them, or change owner.email in the "
            "contract; then say --by with that address"
        )


def _require_reason(reason: str) -> str:
    words = " ".join(reason.split())
    if not words:
        raise OverrideRefused("a decision needs its reason: say --reason in words that the advocates can be told")
    return words


def _require_eligible(link: Link | None, referral_id: str, key: str, own: Sequence[Link]) -> None:
    if link is None:
        raise OverrideRefused(
            f"referral {referral_id} is unknown here. Look at its id on the advocacy platform; if it is new there, "
            "run `referral-pipeline refresh` first"
        )
    if link.block is not None:
        raise OverrideRefused(
            f"referral {referral_id} is held back ({link.block}), and an override does not replace what it lacks. "
            "Have that mended on the advocacy platform first, or choose another referral"
        )
    known = sorted(one.referral_id for one in own)
    if referral_id not in known:
        raise OverrideRefused(
            f"referral {referral_id} is of another person than application {key}. Choose one of "
            f"{', '.join(known) or 'none'}; if the two are one person, run `referral-pipeline refresh` after their "
            "records were joined"
        )


def _of_its_person(ledger: Ledger, contract: Contract, own: Sequence[Link]) -> list[Link]:
    """Those of an application's links that are its person's, and the person's other links."""
    advocacy, ats = contract.advocacy.connector, contract.ats.connector
    held_by = next((link.candidate_id for link in own if link.candidate_id), None)
    candidate_id = ledger.aliases(ats).get(held_by, held_by) if held_by else None
    return links_of_owner(ledger, advocacy, owner_of(ledger, advocacy, ats, candidate_id, own), own)


def _links_of(ledger: Ledger, key: str) -> list[Link]:
    system, _, application_id = key.partition(":")
    return ledger.links_of_applications(system, [application_id])


def _hint(contract: Contract, key: str, own: Sequence[Link], delivery_id: str) -> InboxDelivery:
    """What reconciliation would put in the inbox: a referral of the person, which brings all of the person level."""
    unblocked = [link for link in own if link.block is None] or list(own)
    if unblocked:
        subject, system = f"referral:{unblocked[0].referral_id}", contract.advocacy.connector
    else:
        subject, system = f"application:{key.partition(':')[2]}", contract.ats.connector
    return InboxDelivery(
        system=system,
        delivery_id=delivery_id,
        event_type=f"reconcile.{subject.partition(':')[0]}",
        origin=ORIGIN,
        subject=subject,
        occurred_at=None,
        body=None,
    )
