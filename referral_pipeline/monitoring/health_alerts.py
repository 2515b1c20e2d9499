"""What health tells the owner: each error once when it begins, and once when it is over.

Belongs here: which rows of health become alerts, and when such an alert is over. Does not belong here: judging (health
and its judges), the desk itself (alerts).

The name of an alert is the measure, its subject the system, with the operation where one alone is meant. An alert is
fired when none of its name and subject is open, so that looking every minute counts nothing up. It is over when its row
is well, or is no longer there, which is told as such; too little data (`unknown`), a warning, and a rate that is
neither proven nor over keep it open: nobody is told of an end that is not proven. Of a measure with one cause (runbook)
one alert is open at a time, and until no row of it is bad.
"""

from __future__ import annotations

from dataclasses import dataclass

from referral_pipeline.ledger.store import Ledger
from referral_pipeline.monitoring.alerts import DEFAULT_UI_URL, Alert, AlertDesk
from referral_pipeline.monitoring.health import Health, HealthRow, Severity
from referral_pipeline.monitoring.runbook import RUNBOOK
from referral_pipeline.settings import Settings

ASSET = "integration_health"


@dataclass(frozen=True)
class Told:
    """How many alerts began and how many were over."""

    fired: int
    resolved: int


def tell(health: Health, desk: AlertDesk, ledger: Ledger, settings: Settings) -> Told:
    """Fire what has begun, resolve what is over. May be called as often as anybody looks."""
    fired = resolved = 0
    open_now = {a.fingerprint for a in ledger.alerts(open_only=True, limit=1000) if a.name in RUNBOOK}
    rows = {f"{row.measure}/{row.subject}": row for row in health.rows}
    goes_on = {row.measure for row in health.rows if row.severity is Severity.ERROR and row.told_by is None}
    for fingerprint in sorted(open_now):
        row = rows.get(fingerprint)
        measure, _, subject = fingerprint.partition("/")
        if RUNBOOK[measure].one_cause and measure in goes_on:
            continue
        if row is None or (row.severity is Severity.OK and not row.holds):
            # Nothing is known of what was not called for a week, or of a system that the contract no longer names.
            words = f"well again. {row.evidence}" if row else "no longer measured: nothing of it is known any more."
            words = f"{RUNBOOK[measure].title} ({subject}): {words}"
            desk.resolve(measure, subject, words)
            open_now.discard(fingerprint)
            resolved += 1
    for fingerprint, row in rows.items():
        is_news = row.severity is Severity.ERROR and row.told_by is None and fingerprint not in open_now
        # While a system tells for all its operations, none of them begins to tell by itself.
        is_told = f"{row.measure}/{row.system}" in open_now
        if RUNBOOK[row.measure].one_cause:
            is_told |= any(other.startswith(f"{row.measure}/") for other in open_now)
        if is_news and not is_told:
            desk.fire(_alert(row, settings))
            open_now.add(fingerprint)
            fired += 1
    return Told(fired, resolved)


def _alert(row: HealthRow, settings: Settings) -> Alert:
    return Alert(
        name=row.measure,
        subject=row.subject,
        severity="error",
        what=f"{RUNBOOK[row.measure].title} ({row.subject}): {row.evidence}",
        todo=row.what_to_do,
        link=f"{(settings.ui_url or DEFAULT_UI_URL).rstrip('/')}/assets/{ASSET}",
    )
