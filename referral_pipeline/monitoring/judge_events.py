"""What the inbox says: whether webhooks arrive, how long events take and wait, and what was given up.

Belongs here: rows of health about events. Does not belong here: volume against its pattern (volume), statistics
(evidence), facts (watch).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

from referral_pipeline.contract.models import Contract
from referral_pipeline.contract.systems import facts_of
from referral_pipeline.ledger.measures import CHANGES, RECONCILED
from referral_pipeline.monitoring.evidence import judge_rate, open_alert
from referral_pipeline.monitoring.health import HealthRow, Severity
from referral_pipeline.monitoring.judge_calls import SLOW_SHARE, rate_severity, rate_words
from referral_pipeline.monitoring.watch import DAY, HOUR, OUTAGES, WEEK, Facts

_FORWARD = frozenset({"created", "application_opened", "matched", "updated"})
_RETURN = frozenset({"status_sent", "status_superseded", "job_published"})
"""Ends that wrote to the other system, or found there what they would have written (as in sync_latency_seconds)."""
_PERCENTILES = (("sync_latency_p50", 0.5), ("sync_latency_p95", 0.95), ("sync_latency_p99", 0.99))
_WEBHOOK_WINDOWS = (timedelta(hours=3), DAY, WEEK)
_WEBHOOK_WORDS = ("3 hours", "day", "week")
_LATENCY_WINDOWS = (HOUR, DAY)
_BEGINNING = HOUR
"""What reconciliation finds within an hour of a system's first webhook was there before webhooks were."""
_AFTER_SILENCE = timedelta(minutes=30)
"""When reconciliation has found what came while no receiver was there."""


def judge_events(facts: Facts, contract: Contract) -> Iterator[HealthRow]:
    """Rows on events."""
    for system in facts.systems:
        known = facts_of(system)
        tells = known is None or known.auth != "none"  # one without an API tells nothing: all of it is found
        if tells and (system == facts.advocacy or system == contract.ats.connector):
            yield from _webhooks(facts, contract, system)
    for direction in ("forward", "return"):
        yield from _latency(facts, contract, direction)
    yield _backlog(facts, contract)
    for system in facts.systems:
        yield _dead(facts, system)


# ---------------------------------------------------------------- arrived, or found


def _webhooks(facts: Facts, contract: Contract, system: str) -> Iterator[HealthRow]:
    threshold = contract.monitoring.webhook_success_threshold
    steps = _arrived_and_found(facts, system)
    first = next((at for at, came, _ in steps if came), None)
    found_today = sum(found for at, _, found in steps if at >= facts.now - DAY)
    came_today = sum(came for at, came, _ in steps if at >= facts.now - DAY)
    silent = facts.told("silent_process", subject="receiver")
    if first is None:
        words = (
            f"No webhook of {system} has come in the last week; reconciliation found {found_today} changes in a day."
        )
        yield HealthRow("webhook_success", system, None, threshold, Severity.UNKNOWN, words, sample=0)
    else:
        begin = first + _BEGINNING
        back = facts.over_since("silent_process", subject="receiver")
        if back is not None:
            begin = max(begin, back + _AFTER_SILENCE)
        kept = [(at, came, found) for at, came, found in steps if at >= begin]
        # Whole steps: that in which it was over holds what was found before.
        over = facts.over_since("webhook_success", subject=system)
        after = [step for step in kept if over is None or step[0] >= over]
        is_after, kept = len(after) < len(kept), after
        fired = facts.open_since("webhook_success", subject=system)
        verdict = judge_rate(
            [came + found for _, came, found in kept],
            [found for _, _, found in kept],
            [sum(at >= facts.now - span for at, _, _ in kept) for span in _WEBHOOK_WINDOWS],
            threshold=1 - threshold,
            minimum=contract.monitoring.minimum_calls,
            is_after=is_after,
            told=open_alert(fired, [at for at, _, _ in kept], _WEBHOOK_WINDOWS),
        )
        yield HealthRow(
            "webhook_success",
            system,
            None if verdict.rate is None else 1 - verdict.rate,
            threshold,
            rate_severity(verdict, contract.monitoring.minimum_calls),
            rate_words(verdict, "changes", "came by no webhook", _WEBHOOK_WORDS),
            sample=verdict.units,
            holds=verdict.is_holding,
            told_by=silent,
        )
    words = f"{found_today:,} found in the last day, beside {came_today:,} that came by webhook."
    severity = Severity.WARNING if found_today else Severity.OK
    yield HealthRow("reconciliation_finds", system, float(found_today), 0.0, severity, words, sample=came_today)


def _arrived_and_found(facts: Facts, system: str) -> list[tuple[datetime, int, int]]:
    """(beginning, changes that came by webhook, changes found) of the days of the last week and the last hours."""
    hours: dict[datetime, list[int]] = {}
    for arrival in facts.arrivals:
        if arrival.system == system and not arrival.bulk:
            hours.setdefault(arrival.at, [0, 0])[arrival.reconciled] += arrival.events
    begin = (facts.now - DAY).astimezone(UTC).date()  # of this day the hours tell the newer part
    days: dict[datetime, list[int]] = {}
    for volume in facts.volumes:
        at = datetime.combine(volume.day, time(), UTC)
        is_wanted = volume.system == system and volume.measure in (CHANGES, RECONCILED)
        if is_wanted and volume.day < begin and at >= facts.now - WEEK - DAY:
            days.setdefault(at, [0, 0])[volume.measure == RECONCILED] += volume.count
    return [(at, came, found) for each in (days, hours) for at, (came, found) in sorted(each.items())]


# ---------------------------------------------------------------- how long


def _latency(facts: Facts, contract: Contract, direction: str) -> Iterator[HealthRow]:
    limits = contract.monitoring
    ends = _FORWARD if direction == "forward" else _RETURN
    # What an outage delayed was told as an outage.
    outage = facts.over_since(*OUTAGES, "lane_stopped")
    # One cause is one alert (runbook): its end is the end in both directions.
    over = facts.over_since("sync_latency_p95")
    fired = facts.open_since("sync_latency_p95", subject=direction)
    every = [
        (event.received_at, (event.done_at - event.received_at).total_seconds())
        for event in reversed(facts.done)
        if (event.system == facts.advocacy) == (direction == "forward")
        and event.origin in ("webhook", "reconciliation")
        and event.outcome in ends
        and (outage is None or event.received_at >= outage)
        and event.done_at >= event.received_at
    ]
    done = [event for event in every if over is None or event[0] >= over]
    starts, today = [at for at, _ in done], facts.now - DAY
    seconds = sorted(taken for at, taken in done if at >= today)
    limit = limits.latency_p95_seconds
    verdict = judge_rate(
        [1] * len(done),
        [int(taken > limit) for _, taken in done],
        [sum(at >= facts.now - span for at in starts) for span in _LATENCY_WINDOWS],
        threshold=SLOW_SHARE,
        minimum=limits.minimum_calls,
        is_after=any(at >= today for at, _ in every) and len(done) < len(every),
        told=open_alert(fired, starts, _LATENCY_WINDOWS),
    )
    for measure, share in _PERCENTILES:
        is_judged = measure == "sync_latency_p95"
        value = seconds[min(len(seconds) - 1, int(share * len(seconds)))] if seconds else None
        words = f"Of the last {len(seconds):,} events of a day." if seconds else "No event was confirmed in a day."
        severity = Severity.OK if len(seconds) >= limits.minimum_calls else Severity.UNKNOWN
        if is_judged:
            words = rate_words(verdict, "events", f"took longer than {limit:g} s", ("hour", "day"))
            severity = rate_severity(verdict, limits.minimum_calls)
        yield HealthRow(
            measure,
            direction,
            value,
            limit if is_judged else None,
            severity,
            words,
            sample=len(seconds),
            holds=is_judged and verdict.is_holding,
            told_by=facts.told(*OUTAGES, "lane_stopped") if is_judged else None,
        )


# ---------------------------------------------------------------- waiting, and given up


def _backlog(facts: Facts, contract: Contract) -> HealthRow:
    limit = contract.monitoring.backlog_minutes * 60
    backlog = facts.backlog
    age = max((facts.now - facts.longest_due).total_seconds(), 0.0) if facts.longest_due else 0.0
    words = f"{backlog.waiting:,} events wait, {backlog.waiting_bulk:,} bulk ones, {backlog.claimed:,} are being done"
    if backlog.oldest_received_at is not None:
        since = (facts.now - backlog.oldest_received_at).total_seconds()
        words += f"; the oldest that is not done came {since / 60:.0f} minutes ago"
    return HealthRow(
        "backlog_age",
        "inbox",
        age,
        limit,
        Severity.ERROR if age > limit else Severity.OK,
        f"{words}.",
        sample=backlog.waiting,
        told_by=facts.told(*OUTAGES, "lane_stopped"),
    )


def _dead(facts: Facts, system: str) -> HealthRow:
    events, writes = facts.dead.get(system, (0, 0))
    severity = Severity.ERROR if events else Severity.WARNING if writes else Severity.OK
    words = f"{events:,} events and {writes:,} writes are dead."
    return HealthRow(
        "dead_letters", system, float(events + writes), 0.0, severity, words, told_by="dead_letter" if events else None
    )
