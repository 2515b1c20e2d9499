"""Credit for one application: five models over the touches of one person for one job.

Belongs here: which touches count, the models (KPIS, attribution), exact weights, whole cents. Does not belong here:
finding the touches (sync, warehouse), who is paid and when (the bonus is policy).

The same rules stand as SQL in warehouse/sql/core (attribution_touch.sql, attribution_credit.sql) for all applications
at once; a property test holds the two together.

Which touches count
1. A touch from `lookback_days` before the application to the application itself, both ends included.
2. A share names no person: it counts only for an advocate who referred this person for this job before the application.
   Otherwise whoever shares every job could claim an applicant by referring him afterwards.
Of touches at one time the one whose share is earliest comes first (`earliest_share`), then by share, referral and
advocate id; a touch without a share comes after those with one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Final, Literal

WEIGHT_DECIMALS: Final = 12
"""Weights are decimals of this many places, so that their sum can be exactly 1."""

HALF_LIFE: Final = timedelta(days=7)
"""time_decay: a touch this much older counts half."""


@dataclass(frozen=True)
class Touch:
    """One thing an advocate did for this person and job. Ids only, no personal data.

    `shared_at` is when the touch's share was made, for the tie rule; None without a share.
    """

    advocate_id: str
    share_id: str | None
    content_id: str | None
    campaign_tag: str | None
    referral_id: str | None
    kind: Literal["referral", "share"]
    occurred_at: datetime
    shared_at: datetime | None = None


@dataclass(frozen=True)
class Credit:
    """The part of the credit, above 0 and at most 1, that one touch earned."""

    touch: Touch
    weight: Decimal


def credit(
    touches: Iterable[Touch], *, applied_at: datetime, model: str, lookback_days: int, tie: str = "earliest_share"
) -> list[Credit]:
    """Divide the credit for one application.

    Args:
        touches: those of one person for one job, in any order; a repeated touch counts once.
        applied_at: the application's own date in the ATS, aware.
        model: first_touch, last_touch, linear, time_decay or position_based.
        lookback_days: how long before the application a touch still counts.
        tie: earliest_share, the only rule there is.

    Returns:
        Credits in order of time, with weights that sum to exactly 1; empty when no touch counts.

    Raises:
        ValueError: the model or the tie rule is unknown.
    """
    weigh = _MODELS.get(model)
    if weigh is None:
        raise ValueError(f"attribution model {model!r} is unknown; there are {', '.join(_MODELS)}")
    if tie != "earliest_share":
        raise ValueError(f"tie rule {tie!r} is unknown; there is earliest_share")
    counting = counting_touches(touches, applied_at=applied_at, lookback_days=lookback_days)
    if not counting:
        return []
    units = _largest_remainder(weigh(counting, applied_at), 10**WEIGHT_DECIMALS)
    return [
        Credit(touch, Decimal(unit).scaleb(-WEIGHT_DECIMALS))
        for touch, unit in zip(counting, units, strict=True)
        if unit > 0
    ]


def overridden(touches: Iterable[Touch], referral_id: str | None) -> list[Credit]:
    """The credit for an application of which its owner decided: all to one referral, whenever it was made.

    Args:
        touches: those of the application's person that no gate blocks; an override never replaces consent.
        referral_id: whose the credit is; None for nobody's.

    Returns:
        One credit of weight 1; none for nobody, and none while that referral is not among the touches.
    """
    own = [touch for touch in touches if touch.kind == "referral" and touch.referral_id == referral_id]
    return [Credit(own[0], Decimal(1))] if referral_id is not None and own else []


def counting_touches(touches: Iterable[Touch], *, applied_at: datetime, lookback_days: int) -> list[Touch]:
    """The touches that count for an application, in order of time and tie rule."""
    earliest = applied_at - timedelta(days=lookback_days)
    before = {touch for touch in touches if touch.occurred_at <= applied_at}
    referrers = {touch.advocate_id for touch in before if touch.kind == "referral"}
    return sorted(
        (t for t in before if t.occurred_at >= earliest and t.advocate_id in referrers),
        key=lambda touch: (touch.occurred_at, _tie_key(touch)),
    )


def split_cents(amount_cents: int, credits: Sequence[Credit]) -> list[int]:
    """Divide an amount by weight into whole cents that sum to exactly the amount, in the order of `credits`.

    Raises:
        ValueError: the amount is negative.
    """
    if amount_cents < 0:
        raise ValueError("a bonus cannot be negative")
    return _largest_remainder([Fraction(part.weight) for part in credits], amount_cents)


def heaviness(weight: Decimal) -> int:
    """A weight in whole parts of a billion, for comparing: what rounding to twelve decimals adds makes nobody heavier.

    Of three equal touches one has 0.333333333334, so that the sum is 1; it earned no more than the others.
    """
    return (int(weight.scaleb(WEIGHT_DECIMALS)) + 500) // 1000


def foremost(credits: Sequence[Credit]) -> Credit:
    """The credit that stands for an application: it is shown there, and its advocate is the payee of a bonus for one.

    The advocate with most credit over all touches, of equals the latest; of that advocate the heaviest touch, of equals
    the latest. Of one time the earlier in the tie rule's order wins, as in last_touch.

    Args:
        credits: as `credit` gave them, in order of time and tie rule; one at least.
    """
    latest_first = sorted(credits, key=lambda part: part.touch.occurred_at, reverse=True)
    of_advocate: dict[str, Decimal] = {}
    for part in latest_first:
        of_advocate[part.touch.advocate_id] = of_advocate.get(part.touch.advocate_id, Decimal(0)) + part.weight
    advocate_id = max(of_advocate, key=lambda one: heaviness(of_advocate[one]))
    own = [part for part in latest_first if part.touch.advocate_id == advocate_id]
    return max(own, key=lambda part: heaviness(part.weight))


# ---------------------------------------------------------------- models

Weights = Sequence[Fraction]


def _first_touch(touches: Sequence[Touch], applied_at: datetime) -> Weights:
    return [Fraction(1 if number == 0 else 0) for number in range(len(touches))]


def _last_touch(touches: Sequence[Touch], applied_at: datetime) -> Weights:
    last = max(touch.occurred_at for touch in touches)
    winner = next(number for number, touch in enumerate(touches) if touch.occurred_at == last)
    return [Fraction(1 if number == winner else 0) for number in range(len(touches))]


def _linear(touches: Sequence[Touch], applied_at: datetime) -> Weights:
    return [Fraction(1, len(touches))] * len(touches)


def _time_decay(touches: Sequence[Touch], applied_at: datetime) -> Weights:
    # Ages are taken from the latest touch: it drops out when normalised, and old touches alone do not underflow.
    # In parts of 2^40, finer than a weight's twelve decimals, so that every engine rounds to the same whole numbers.
    latest = max(touch.occurred_at for touch in touches)
    # Half is rounded up, as floor(x + 0.5): what `round` makes of it differs between engines.
    return [Fraction(floor(2.0 ** (40 - (latest - touch.occurred_at) / HALF_LIFE) + 0.5)) for touch in touches]


def _position_based(touches: Sequence[Touch], applied_at: datetime) -> Weights:
    if len(touches) <= 2:
        return _linear(touches, applied_at)
    middle = Fraction(1, 5) / (len(touches) - 2)
    return [Fraction(2, 5), *[middle] * (len(touches) - 2), Fraction(2, 5)]


_MODELS: Final[dict[str, Callable[[Sequence[Touch], datetime], Weights]]] = {
    "first_touch": _first_touch,
    "last_touch": _last_touch,
    "linear": _linear,
    "time_decay": _time_decay,
    "position_based": _position_based,
}

MODELS: Final = tuple(_MODELS)
"""The names of the models."""


# ---------------------------------------------------------------- helpers

_NEVER: Final = datetime.max.replace(tzinfo=UTC)


def _tie_key(touch: Touch) -> tuple[datetime, bool, str, bool, str, str, str]:
    return (
        touch.shared_at or _NEVER,
        touch.share_id is None,
        touch.share_id or "",
        touch.referral_id is None,
        touch.referral_id or "",
        touch.advocate_id,
        touch.kind,
    )


def _largest_remainder(weights: Weights, units: int) -> list[int]:
    """Whole units in proportion to the weights, summing to `units`; of equal remainders the first is served."""
    total = sum(weights, Fraction(0))
    if not total:
        return [0] * len(weights)
    exact = [weight * units / total for weight in weights]
    whole = [int(part) for part in exact]
    by_remainder = sorted(range(len(exact)), key=lambda number: (whole[number] - exact[number], number))
    for number in by_remainder[: units - sum(whole)]:
        whole[number] += 1
    return whole
