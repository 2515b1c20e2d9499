"""Many new people at once, for measurements: invented, distinct, each referred once.

Belongs here: making up details of referrals in bulk. Does not belong here: what a single person does (`acts`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from referral_pipeline.sandbox.advocacy.store import AdvocacyStore, Invalid
from referral_pipeline.sandbox.programme.names import FIRST, last_name, phone

LARGEST = 20_000
_PHONES = 39_999
"""The French numbers for fiction; the programme's own people use them from the low end, a crowd from the high end."""

_Programme = tuple[list[str], dict[str, str | None], dict[str, list[dict[str, Any]]]]
_known: WeakKeyDictionary[AdvocacyStore, tuple[Any, _Programme]] = WeakKeyDictionary()
_numbers = itertools.count(1)


def crowd(
    store: AdvocacyStore, count: int, job_ids: Sequence[str] | None, details: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """What `submit_referral` needs for each of `count` people: mailboxes and numbers that nobody had before.

    Jobs are taken in turn from `job_ids`, else from those that are open; shares of them, where there are any, lend
    their advocate and campaign. `details` go into every referral.

    Raises:
        Invalid: No job is open, no advocate is eligible, or the count is out of range.
    """
    if not 1 <= count <= LARGEST:
        raise Invalid("/count", f"must be from 1 to {LARGEST}")
    jobs = [str(job_id) for job_id in job_ids or store.open_jobs()]
    advocates, tags, shares = _programme(store)
    if not jobs or not advocates:
        raise Invalid("/job_ids", "no job is open, or no advocate is eligible")
    for number in itertools.islice(_numbers, count):
        turn, place = divmod(number, len(jobs))
        job_id = jobs[place]
        lent = shares.get(job_id)
        share = lent[turn % len(lent)] if lent else None
        yield {
            "advocate_id": share["advocate_id"] if share else advocates[number % len(advocates)],
            "share_id": share["id"] if share else None,
            "campaign_tag": tags.get(share["content_id"]) if share else None,
            "job_id": job_id,
            "candidate": _person(number),
            **details,
        }


def _programme(store: AdvocacyStore) -> _Programme:
    """Who can refer, the campaign of each content, the shares of each job; looked up anew when one of them changed."""
    tables = [store.tables[entity] for entity in ("advocates", "content", "shares")]
    state = [(len(table.order), table.order[-1:]) for table in tables]
    known = _known.get(store)
    if known is not None and known[0] == state:
        return known[1]
    rows = [table.rows.values() for table in tables]
    advocates = {row["id"] for row in rows[0] if row["eligible"] and not row["left_at"]}
    shares: dict[str, list[dict[str, Any]]] = {}
    for share in rows[2]:
        if share["advocate_id"] in advocates:
            shares.setdefault(share["job_id"], []).append(share)
    made = (sorted(advocates), {row["id"]: row["campaign_tag"] for row in rows[1]}, shares)
    _known[store] = (state, made)
    return made


def _person(number: int) -> dict[str, Any]:
    """Somebody new; without a telephone once the numbers for fiction are used up."""
    return {
        "first_name": FIRST[number % len(FIRST)],
        "last_name": last_name(number * 7),
        "email": f"crowd.{number:06d}@people.example.org",
        "phone": phone(_PHONES - number, "FR") if number < _PHONES * 9 // 10 else None,
        "country": "FR",
    }
