"""Differences that many rows have in common: those are no slips, but a mapping that is wrong.

Belongs here: when a difference is systematic. Does not belong here: single differences (fields).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from referral_pipeline.quality.parallel_run.fields import Compared

LEAST = 3
"""Equal differences below which nothing is called systematic: two slips in one field are not rare."""


def systematic(compared: Iterable[Compared]) -> frozenset[tuple[str, str]]:
    """(field, group) of which at least `LEAST` values, and more than half of what was compared, differ.

    A status is judged by the stage in which the ATS has the application, because a stage map is wrong for one stage; a
    tag or name by its field, and by the kind of its difference.
    """
    differing: Counter[tuple[str, str]] = Counter()
    looked_at: Counter[str] = Counter()
    for one in compared:
        if not one.tells or one.cause is not None:
            continue
        looked_at[_scope(one)] += 1
        if one.says is not None:
            differing[one.field, one.group] += 1
    return frozenset(
        (field, group)
        for (field, group), count in differing.items()
        if count >= LEAST and 2 * count > looked_at[f"status:{group}" if field == "status" else field]
    )


def _scope(one: Compared) -> str:
    return f"status:{one.group}" if one.field == "status" else one.field
