"""What schema drift tells the owner: each change once when it begins, and once when it is over.

Belongs here: which changes become alerts, under which subjects. Does not belong here: judging (`drift`), the desk
(`alerts`). The sensor of failed checks leaves drift to these.

A new field is no alert. Notices of one system with the same day are one alert, and so are more than a few changes of
one kind in one operation: a version that changes everything should not send a hundred messages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from referral_pipeline.ledger.store import Ledger
from referral_pipeline.monitoring.alerts import DEFAULT_UI_URL, Alert, AlertDesk
from referral_pipeline.monitoring.drift import Drift, Kind, State
from referral_pipeline.monitoring.drift_words import what, what_to_do
from referral_pipeline.settings import Settings

NAME = "schema_drift"
ASSET = "api_schema_drift"
_ONE_BY_ONE = 5
_NOTICES = (Kind.DEPRECATION, Kind.SUNSET)
_NAMED = 5


@dataclass(frozen=True)
class Told:
    """How many alerts began and how many were over."""

    fired: int
    resolved: int


def tell(drifts: Sequence[Drift], desk: AlertDesk, ledger: Ledger, settings: Settings) -> Told:
    """Fire what has begun, resolve what is over or accepted. May be called as often as anybody looks."""
    prefix = f"{NAME}/"
    open_now = {
        record.fingerprint.removeprefix(prefix): record.severity
        for record in ledger.alerts(open_only=True, limit=1000)
        if record.name == NAME
    }
    meant = _by_subject([drift for drift in drifts if drift.is_open and drift.severity != "info"], open_now.keys())
    # What was a warning and is an error by now is told as such.
    over = [subject for subject in open_now if subject not in meant or _severity(meant[subject]) != open_now[subject]]
    accepted = _by_subject([drift for drift in drifts if drift.state is State.ACCEPTED], open_now.keys())
    for subject in sorted(over):
        ends = "was accepted" if subject in accepted else "is over: answers are as they should be"
        desk.resolve(NAME, subject, f"{subject} {'weighs more by now' if subject in meant else ends}.")
    fired = [subject for subject in sorted(meant) if subject not in open_now or subject in over]
    for subject in fired:
        desk.fire(_alert(subject, meant[subject], settings))
    return Told(len(fired), len(over))


def _by_subject(drifts: Sequence[Drift], told: Collection[str]) -> dict[str, list[Drift]]:
    """What is told under which subject; what is `told` already stays under its own, be they more or fewer by now."""
    alike: dict[str, list[Drift]] = defaultdict(list)
    for drift in drifts:
        fact = drift.fact
        if drift.kind in _NOTICES:
            alike[f"{fact.system}:{drift.kind}:{fact.value or 'no day'}"].append(drift)
        else:
            alike[f"{fact.system}:{fact.operation}:{drift.kind}"].append(drift)
    found: dict[str, list[Drift]] = {}
    for subject, own in alike.items():
        if own[0].kind in _NOTICES:
            found[subject] = own
            continue
        alone = {_own_subject(subject, drift): drift for drift in own}
        rest = [drift for name, drift in alone.items() if name not in told]
        if rest and (subject in told or len(own) > _ONE_BY_ONE):
            found[subject] = rest
            alone = {name: drift for name, drift in alone.items() if name in told}
        found |= {name: [drift] for name, drift in alone.items()}
    return found


def _own_subject(subject: str, drift: Drift) -> str:
    of = f":{drift.fact.value}" if drift.kind is Kind.NEW_WORD else ""
    return f"{subject}:{drift.fact.path}{of}"


def _severity(drifts: Sequence[Drift]) -> str:
    return "error" if any(drift.severity == "error" for drift in drifts) else "warning"


def _alert(subject: str, drifts: Sequence[Drift], settings: Settings) -> Alert:
    worst = min(drifts, key=lambda drift: (drift.severity != "error", drift.fact.key))
    more = f" And {len(drifts) - 1} more of its kind." if len(drifts) > 1 else ""
    if len(drifts) > 1 and worst.kind in _NOTICES:
        others = [drift.fact.operation for drift in drifts if drift is not worst]
        rest = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        more = f" So will {', '.join(others[:_NAMED])}{rest}."
    return Alert(
        name=NAME,
        subject=subject,
        severity="error" if _severity(drifts) == "error" else "warning",
        what=what(worst) + more,
        todo=what_to_do(worst),
        count=len(drifts),
        since=min(drift.fact.first_seen_at for drift in drifts),
        link=f"{(settings.ui_url or DEFAULT_UI_URL).rstrip('/')}/assets/{ASSET}",
    )
