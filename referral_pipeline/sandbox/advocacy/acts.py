"""What people do in the advocacy platform's own pages: submit, edit, withdraw, share, click, leave, be forgotten.

Belongs here: acts behind `POST /_sandbox/act {"action": ..., ...}`. Does not belong here: the vendor's surface.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from referral_pipeline.sandbox.advocacy import clock
from referral_pipeline.sandbox.advocacy.crowd import crowd
from referral_pipeline.sandbox.advocacy.store import AdvocacyStore, Invalid, Row

_CANDIDATE = ("first_name", "last_name", "email", "phone", "country")
_EDITABLE = frozenset(
    {
        "advocate_id",
        "share_id",
        "job_id",
        "campaign_tag",
        "stage",
        "submitted_at",
        "applied_at",
        "consent",
        "engagement",
    }
)


def act(store: AdvocacyStore, action: str, details: Row) -> Row:
    """Do `action` and answer the row that it touched (for an erasure, the evidence).

    Raises:
        Invalid: The action or one of its details is unknown or missing.
        NotFound: The row it names does not exist.
    """
    try:
        do = _ACTS[action]
    except KeyError:
        raise Invalid("/action", f"is none of {', '.join(sorted(_ACTS))}") from None
    try:
        return do(store, dict(details))
    except KeyError as missing:
        raise Invalid(f"/{missing.args[0]}", "is needed") from None


def submit_referral(store: AdvocacyStore, details: Row) -> Row:
    """A referral as an advocate's form makes it. Needs advocate_id, job_id and candidate; the rest has defaults."""
    now = clock.stamp(store.now())
    candidate = details.pop("candidate")
    row: Row = {
        "id": details.pop("id", None) or store.new_id("ref"),
        "advocate_id": details.pop("advocate_id"),
        "share_id": details.pop("share_id", None),
        "job_id": str(details.pop("job_id")),
        "campaign_tag": details.pop("campaign_tag", None),
        "stage": details.pop("stage", "applied"),
        "submitted_at": details.pop("submitted_at", now),
        "applied_at": details.pop("applied_at", now),
        "candidate": {key: candidate.get(key) for key in _CANDIDATE},
        "consent": details.pop("consent", {"granted": True, "basis": "consent", "granted_at": now, "expires_at": None}),
        "engagement": details.pop("engagement", None),
        "status": None,
        "status_at": None,
        "ats": None,
        "hired_at": None,
        "starts_on": None,
    }
    _refuse_left_over(details)
    return _told(store, "referral.submitted", store.add("referrals", row))


def submit_referrals(store: AdvocacyStore, details: Row) -> Row:
    """`count` referrals of new people at once; `job_ids` and anything that `submit_referral` takes hold for all."""
    count, job_ids = int(details.pop("count")), details.pop("job_ids", None)
    people = list(crowd(store, count, job_ids, details))
    return {"referral_ids": [submit_referral(store, person)["id"] for person in people]}


def edit_referral(store: AdvocacyStore, details: Row) -> Row:
    """Change fields of a referral; `candidate` is merged field by field."""
    referral_id = details.pop("referral_id")
    row = store.get("referrals", referral_id)
    changes: Row = {key: details.pop(key) for key in tuple(details) if key in _EDITABLE}
    if "candidate" in details:
        changes["candidate"] = {**row["candidate"], **details.pop("candidate")}
    _refuse_left_over(details)
    changed = store.change("referrals", referral_id, changes)
    if changed is not row:
        if changed["consent"] != row["consent"]:
            _told(store, "consent.updated", changed)
        if any(changed[key] != row[key] for key in changes if key != "consent"):
            _told(store, "referral.updated", changed)
    return changed


def withdraw_referral(store: AdvocacyStore, details: Row) -> Row:
    """The referral is taken back."""
    return _told(store, "referral.withdrawn", store.change("referrals", details["referral_id"], {"stage": "withdrawn"}))


def withdraw_consent(store: AdvocacyStore, details: Row) -> Row:
    """The candidate takes consent back."""
    row = store.get("referrals", details["referral_id"])
    consent = {"basis": None, "granted_at": None, "expires_at": None, **(row["consent"] or {}), "granted": False}
    return _told(store, "consent.updated", store.change("referrals", row["id"], {"consent": consent}))


def add_share(store: AdvocacyStore, details: Row) -> Row:
    """An advocate shares a piece of content, now."""
    content = store.get("content", details["content_id"])
    store.get("advocates", details["advocate_id"])
    row = {
        "id": store.new_id("shr"),
        "advocate_id": details["advocate_id"],
        "content_id": content["id"],
        "job_id": content["job_id"],
        "channel": details.get("channel", "linkedin"),
        "shared_at": details.get("shared_at") or clock.stamp(store.now()),
        "reach": details.get("reach"),
    }
    return _told(store, "share.created", store.add("shares", row))


def add_click(store: AdvocacyStore, details: Row) -> Row:
    """Somebody clicks on a share, now."""
    share = store.get("shares", details["share_id"])
    row = {
        "id": store.new_id("clk"),
        "share_id": share["id"],
        "visitor_id": details.get("visitor_id", "vis_live"),
        "clicked_at": details.get("clicked_at") or clock.stamp(store.now()),
    }
    return _told(store, "click.recorded", store.add("clicks", row))


def advocate_leaves(store: AdvocacyStore, details: Row) -> Row:
    """An advocate leaves the company; what they did stays."""
    left_at = details.get("left_at") or clock.stamp(store.now())
    return store.change("advocates", details["advocate_id"], {"left_at": left_at, "eligible": False})


def erase(store: AdvocacyStore, details: Row) -> Row:
    """The candidate of a referral is forgotten: the referral is gone, only the evidence is answered."""
    row = store.remove("referrals", details["referral_id"])
    evidence = {"id": store.new_id("ers"), "referral_id": row["id"], "erased_at": clock.stamp(store.now())}
    return _told(store, "candidate.erased", evidence)


_ACTS: dict[str, Callable[[AdvocacyStore, Row], Row]] = {
    "submit_referral": submit_referral,
    "submit_referrals": submit_referrals,
    "edit_referral": edit_referral,
    "withdraw_referral": withdraw_referral,
    "withdraw_consent": withdraw_consent,
    "add_share": add_share,
    "add_click": add_click,
    "advocate_leaves": advocate_leaves,
    "erase": erase,
}


def _told(store: AdvocacyStore, event_type: str, row: Row) -> Row:
    store.announce(event_type, row)
    return row


def _refuse_left_over(details: dict[str, Any]) -> None:
    for key in details:
        raise Invalid(f"/{key}", "is unknown to this action")
