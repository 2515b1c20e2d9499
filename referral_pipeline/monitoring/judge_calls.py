"""What the calls to each system say: failures, slowness, the rate budget, the clocks.

Belongs here: rows of health about calls. Does not belong here: statistics (evidence), facts (watch).

An outage that opened a breaker was told as such: calls of before its end are not judged again. One failing operation
spoils the sum of its system, and an outage spoils every operation; so that one fault is one alert, up to two operations
tell of themselves, and of more the system tells. What an alert told of is over at its end: calls of before are not
judged again, those of an operation neither by itself nor in the sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from statistics import median

from referral_pipeline.contract.models import Contract
from referral_pipeline.monitoring.evidence import RateVerdict, judge_rate, open_alert
from referral_pipeline.monitoring.health import HealthRow, Severity
from referral_pipeline.monitoring.watch import ALL, DAY, HOUR, OUTAGES, WEEK, Facts, Series

WINDOWS = (HOUR, DAY, WEEK)
WINDOW_WORDS = ("hour", "day", "week")
SLOW_SHARE = 0.05
"""What a 95th percentile leaves: so many calls may be slower."""

_MOST_GUILTY = 2
_FEWEST_ANSWERS = 5
_REFUSED_FOR_TIME = 3
_TOO_FAST = 0.05


def judge_calls(facts: Facts, contract: Contract) -> Iterator[HealthRow]:
    """Rows on calls, system by system."""
    for measure in ("api_error_rate", "slow_calls"):
        for system in facts.systems:
            yield from _rates(facts, contract, measure, system)
    yield from (_budget(facts, system) for system in facts.systems)
    yield from _clocks(facts, contract)


# ---------------------------------------------------------------- failures and slowness


def _rates(facts: Facts, contract: Contract, measure: str, system: str) -> Iterator[HealthRow]:
    outage = facts.told(*OUTAGES, subject=f"breaker:{system}")
    of_all = (
        facts.over_since(*OUTAGES, subject=f"breaker:{system}"),
        facts.over_since(measure, subject=system),
    )
    of_one = {
        operation: facts.over_since(measure, subject=f"{system} {operation}")
        for of, operation in facts.calls
        if of == system and operation != ALL
    }
    series = {operation: _after(facts.calls[system, operation], *of_all, over) for operation, over in of_one.items()}
    # What an operation told of by itself is over in the sum too.
    is_parted = any(of_one.values())
    together = _sum(series.values()) if is_parted else _after(facts.calls.get((system, ALL), Series()), *of_all)
    judged = {
        operation: _verdict(facts, contract, measure, (system, operation), calls) for operation, calls in series.items()
    }
    rows = {
        operation: _row(facts, contract, measure, (system, operation), series[operation], verdict)
        for operation, verdict in judged.items()
    }
    guilty = {operation for operation, row in rows.items() if row.severity is Severity.ERROR}
    # Those that tell, or told, of themselves: what they leave in the sum must not tell it again.
    known = guilty | {
        operation
        for operation, verdict in judged.items()
        if verdict.was_proven or facts.told(measure, subject=f"{system} {operation}")
    }
    total = _row(facts, contract, measure, (system, None), together)
    rest = total
    if known:
        others = _sum(calls for operation, calls in series.items() if operation not in known)
        rest = _row(facts, contract, measure, (system, None), others)
    holds = any(row.severity in (Severity.WARNING, Severity.ERROR) for row in rows.values())
    if len(guilty) > _MOST_GUILTY or rest.severity is Severity.ERROR:
        told = total if len(guilty) > _MOST_GUILTY else rest
        named = f" Operations: {', '.join(sorted(guilty))}." if guilty else ""
        total = replace(told, severity=Severity.ERROR, holds=True, evidence=f"{told.evidence}{named}")
        rows |= {operation: replace(rows[operation], told_by=measure) for operation in guilty}
    elif guilty:
        total = replace(total, holds=True, told_by=measure if total.severity is Severity.ERROR else None)
    elif known:
        named = ", ".join(sorted(known))
        # After an outage of all of it nothing may be left beside those: then it is as well as they are.
        of_known = max((rows[operation].severity for operation in known), key=lambda severity: severity.weight)
        aside = f" Without {named}, told by itself."
        if facts.told(measure, subject=system):
            # Whether what the system told of all of it is over, all of it says.
            rest, aside = total, ""
        total = replace(
            rest,
            severity=of_known if rest.severity is Severity.UNKNOWN else rest.severity,
            holds=rest.holds or holds,
            evidence=f"{rest.evidence}{aside}",
        )
    for row in (total, *(rows[operation] for operation in sorted(rows))):
        yield replace(row, told_by=outage or row.told_by)


def _after(calls: Series, *ends: datetime | None) -> Series:
    """The calls after the last of these ends. Whole steps: that in which it ended holds failures of before."""
    over = max((end for end in ends if end is not None), default=None)
    return calls if over is None else calls.since(over)


def _verdict(facts: Facts, contract: Contract, measure: str, of: tuple[str, str | None], calls: Series) -> RateVerdict:
    limits, is_slowness = contract.monitoring, measure == "slow_calls"
    system, operation = of
    subject = f"{system} {operation}" if operation else system
    return judge_rate(
        calls.answered if is_slowness else calls.calls,
        calls.slow if is_slowness else calls.failed,
        calls.windows(facts.now, WINDOWS),
        threshold=SLOW_SHARE if is_slowness else limits.error_rate_threshold,
        minimum=limits.minimum_calls,
        in_a_row=None if is_slowness else limits.consecutive_failures,
        is_after=any(facts.over_since(measure, subject=each) is not None for each in (subject, system)),
        told=open_alert(facts.open_since(measure, subject=subject), calls.starts, WINDOWS),
    )


def _row(
    facts: Facts,
    contract: Contract,
    measure: str,
    of: tuple[str, str | None],
    calls: Series,
    verdict: RateVerdict | None = None,
) -> HealthRow:
    """The row of calls of a system, or of one operation of it."""
    limits, is_slowness = contract.monitoring, measure == "slow_calls"
    verdict = verdict or _verdict(facts, contract, measure, of, calls)
    word = f"took longer than {limits.slow_call_seconds:g} s" if is_slowness else "failed"
    evidence = rate_words(verdict, "calls", word, WINDOW_WORDS)
    if not is_slowness and verdict.failures and not verdict.is_after:
        evidence += _ends(calls.since(facts.now - WINDOWS[verdict.window]))
        if verdict.in_a_row >= limits.consecutive_failures:
            evidence += f" The last {verdict.in_a_row} or more failed, one after the other."
    return HealthRow(
        measure=measure,
        system=of[0],
        operation=of[1],
        value=verdict.rate,
        threshold=SLOW_SHARE if is_slowness else limits.error_rate_threshold,
        sample=verdict.units,
        severity=rate_severity(verdict, limits.minimum_calls),
        evidence=evidence,
        holds=verdict.is_holding,
    )


def rate_severity(verdict: RateVerdict, minimum: int) -> Severity:
    """The severity of a rate: proven, above the line, too few units to say, or well."""
    if verdict.is_proven:
        return Severity.ERROR
    if verdict.is_above:
        return Severity.WARNING
    return Severity.OK if verdict.units >= minimum or verdict.is_after else Severity.UNKNOWN


def rate_words(verdict: RateVerdict, units: str, word: str, windows: Sequence[str]) -> str:
    """A verdict as a sentence."""
    if not verdict.units and verdict.is_after:
        return f"No {units} since it was well again."
    if not verdict.units:
        return f"No {units} in the last {windows[verdict.window]}."
    rate = verdict.failures / verdict.units
    after = ", after it was well again," if verdict.is_after else ""
    words = f"{verdict.failures:,} of {verdict.units:,} {units} of the last {windows[verdict.window]}{after} {word}"
    if not verdict.failures:
        return f"{words}."
    proof = f", with 95 % confidence at least {verdict.lower:.1%}" if verdict.is_above or verdict.is_proven else ""
    chance = (
        f"; not proven yet: too few {units} for so many looks" if verdict.is_above and not verdict.is_proven else ""
    )
    return f"{words}: {rate:.1%}{proof}{chance}."


def _ends(calls: Series) -> str:
    outcomes: Counter[str] = Counter()
    for step in calls.outcomes:
        outcomes.update(step)
    return (
        f" They ended: {', '.join(f'{name} {count}' for name, count in outcomes.most_common(3))}." if outcomes else ""
    )


def _sum(every: Iterable[Series]) -> Series:
    """All operations together, step by step."""
    total = Series()
    steps: dict[datetime, list[int]] = {}
    outcomes: dict[datetime, Counter[str]] = {}
    for series in every:
        numbers = (series.calls, series.failed, series.answered, series.slow, series.limited)
        for place, start in enumerate(series.starts):
            sums = steps.setdefault(start, [0, 0, 0, 0, 0])
            for which, each in enumerate(numbers):
                sums[which] += each[place]
            if series.outcomes[place]:
                outcomes.setdefault(start, Counter()).update(series.outcomes[place])
    for start in sorted(steps):
        total.starts.append(start)
        for each, value in zip(
            (total.calls, total.failed, total.answered, total.slow, total.limited), steps[start], strict=True
        ):
            each.append(value)
        total.outcomes.append(dict(outcomes.get(start, {})))
    return total


# ---------------------------------------------------------------- the rate budget


def _budget(facts: Facts, system: str) -> HealthRow:
    left = facts.budgets.get(system)
    calls = limited = 0
    for (of, operation), series in facts.calls.items():
        if of == system and operation == ALL:
            last_hour = series.since(facts.now - HOUR)
            calls += sum(last_hour.calls)
            limited += sum(last_hour.limited)
    if left is None and not limited:
        severity, words = Severity.UNKNOWN, "The system told no budget in the last hour."
    else:
        is_short = left == 0 or (calls > 0 and limited / calls > _TOO_FAST)
        severity = Severity.WARNING if is_short else Severity.OK
        words = f"The least that was left in the last hour; {limited:,} of {calls:,} calls were too fast."
    return HealthRow("rate_budget_left", system, left, 0.0, severity, words, sample=calls)


# ---------------------------------------------------------------- clocks


def _clocks(facts: Facts, contract: Contract) -> Iterator[HealthRow]:
    limit = contract.monitoring.clock_skew_seconds
    refused = _refused_for_time(facts)
    skews = {system: median(found) / 1000 for system, found in facts.skews.items() if len(found) >= _FEWEST_ANSWERS}
    far = {system: skew for system, skew in skews.items() if abs(skew) > limit}
    is_ours = len(far) > 1 and len({skew > 0 for skew in far.values()}) == 1 and len(far) == len(skews)
    for system in facts.systems:
        skew, lost = skews.get(system), refused.get(system, 0)
        if skew is None:
            words = "Too few answers of the last hour told a time."
        else:
            words = f"Its clock is {abs(skew):.1f} s {'ahead of' if skew >= 0 else 'behind'} ours, by its last answers."
        if lost:
            words += f" {lost} of its deliveries were signed right and refused for their time in the last hour."
        is_far = system in far or lost >= _REFUSED_FOR_TIME
        if is_far and is_ours:
            words += " Every system says so: it is our clock."
        severity = Severity.ERROR if is_far else Severity.UNKNOWN if skew is None else Severity.OK
        yield HealthRow(
            "clock_skew",
            system,
            skew,
            limit,
            severity,
            words,
            sample=len(facts.skews.get(system, ())),
        )


def _refused_for_time(facts: Facts) -> Counter[str]:
    """Deliveries that the living receivers have refused for the time they were signed at, in the last hour."""
    counts: Counter[str] = Counter()
    for beat in facts.beats.get("receiver", ()):
        told = beat.details.get("refused_for_time")
        if isinstance(told, dict) and abs(facts.now - beat.at) <= timedelta(minutes=5):
            counts.update({str(system): int(count) for system, count in told.items()})
    return counts
