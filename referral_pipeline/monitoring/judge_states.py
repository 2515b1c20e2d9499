"""What needs no statistics: how old things are, who is silent, what is held back, what was not delivered.

Belongs here: rows of health about states. Does not belong here: counts and rates (judge_calls, judge_events).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from referral_pipeline.contract.models import Contract
from referral_pipeline.monitoring.health import HealthRow, Severity
from referral_pipeline.monitoring.watch import PROCESSES, Facts

SILENT_SECONDS = 60.0
"""A process that is restarted at once is not missed."""
_FORGOTTEN_AFTER = timedelta(days=7)
_RUNS = ("job:refresh", "job:reconcile")


def judge_states(facts: Facts, contract: Contract) -> Iterator[HealthRow]:
    """Rows on states."""
    yield from _freshness(facts, contract)
    yield from (_process(facts, name) for name in PROCESSES)
    yield from (_breaker(facts, system) for system in facts.systems)
    yield _leave(facts, contract)
    for channel, count in sorted(facts.undelivered.items()) or [("all", 0)]:
        words = f"{count} messages have been waiting for more than five minutes." if count else "Nothing waits."
        severity = Severity.ERROR if count else Severity.OK
        yield HealthRow("undelivered_alerts", channel, float(count), 0.0, severity, words, told_by="channel_failed")


def _freshness(facts: Facts, contract: Contract) -> Iterator[HealthRow]:
    limit = contract.monitoring.freshness_hours
    for system in facts.systems:
        own = [cursor for cursor in facts.cursors if cursor.system == system]
        if not own:
            words = "Nothing was pulled yet."
            yield HealthRow("freshness", system, None, limit, Severity.UNKNOWN, words)
            continue
        oldest = min(own, key=lambda cursor: cursor.position)
        hours = (facts.now - oldest.position).total_seconds() / 3600
        words = f"{oldest.entity} were pulled up to {hours:.1f} hours ago, the others of {len(own)} later."
        failed = next((told for run in _RUNS if (told := facts.told("run_failed", subject=run))), None)
        yield HealthRow(
            "freshness",
            system,
            hours,
            limit,
            Severity.ERROR if hours > limit else Severity.OK,
            words,
            sample=len(own),
            told_by=failed,
        )
    if facts.published_at is None:
        yield HealthRow("freshness", "refresh", None, limit, Severity.UNKNOWN, "No refresh has published yet.")
        return
    hours = (facts.now - facts.published_at).total_seconds() / 3600
    blocking = next(
        (a.name for a in facts.alerts if a.name == "check_failed" and a.severity == "error" and a.resolved_at is None),
        None,
    )
    yield HealthRow(
        "freshness",
        "refresh",
        hours,
        limit,
        Severity.ERROR if hours > limit else Severity.OK,
        f"The last refresh published {hours:.1f} hours ago.",
        told_by=facts.told("run_failed", subject="job:refresh") or blocking,
    )


def _process(facts: Facts, name: str) -> HealthRow:
    ages = [abs((facts.now - beat.at).total_seconds()) for beat in facts.beats.get(name, ())]
    age = min(ages, default=None)
    if age is None or age > _FORGOTTEN_AFTER.total_seconds():
        words = f"No {name} runs, and none has died lately."
        return HealthRow("silent_process", name, None, SILENT_SECONDS, Severity.UNKNOWN, words)
    alive = sum(each <= SILENT_SECONDS for each in ages)
    words = f"{alive} alive." if alive else f"The {name} has said nothing for {age / 60:.0f} minutes."
    return HealthRow(
        "silent_process",
        name,
        age,
        SILENT_SECONDS,
        Severity.OK if alive else Severity.ERROR,
        words,
        sample=alive,
        # The inbox sensor tells of the lane, as soon as events wait.
        told_by="lane_stopped" if name == "lane" and not alive else None,
    )


def _leave(facts: Facts, contract: Contract) -> HealthRow:
    """Whether anything may be written. Its alert is that of the lane, whoever sees it first."""
    may_write = facts.may_write
    words = "The present contract is approved for production." if may_write else "Production is not approved."
    if contract.environment == "sandbox":
        words = "A sandbox is written to without an approval."
    severity = Severity.OK if may_write else Severity.ERROR
    return HealthRow("not_approved", "go_live", float(may_write), None, severity, words)


def _breaker(facts: Facts, system: str) -> HealthRow:
    state = facts.breakers.get(system)
    if state is None or state.state == "closed":
        return HealthRow("breaker", system, 0.0, 0.0, Severity.OK, "Calls pass.")
    words = f"Since {state.since:%Y-%m-%d %H:%M} UTC: {state.reason or 'it failed'}."
    is_open = state.state == "open"
    return HealthRow(
        "breaker",
        system,
        1.0 if is_open else 0.5,
        0.0,
        Severity.ERROR if is_open else Severity.WARNING,
        words,
        told_by="credential_refused" if "credential" in state.reason else "breaker_open",
    )
