"""What the owner hears of the lane, and when it is over.

Belongs here: the words of these alerts, and the looks by the minute that end them. Does not belong here: the lane
(`lane`), what Dagster and health tell (`alerting`, monitoring.health_alerts).
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from referral_pipeline.connectors.breaker import BreakerChange
from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.records import BreakerState, InboxEvent, Recognition
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.monitoring.alerts import Alert, AlertDesk
from referral_pipeline.sync.lane.engine import LATE_AFTER

_HOUR_SECONDS = 3600.0
_LOOKED_AT = 1_000


class LaneAlerts:
    """What the owner hears of the lane."""

    def __init__(self, contract: Contract, ledger: Ledger, desk: AlertDesk) -> None:
        self._contract = contract
        self._ledger = ledger
        self._desk = desk
        self._stages: set[str] = set()
        self._next_hour = 0.0

    def is_hour_over(self) -> bool:
        """Whether an hour has passed since this last said so. Bonuses come with a day, and each look costs calls."""
        if monotonic() < self._next_hour:
            return False
        self._next_hour = monotonic() + _HOUR_SECONDS
        return True

    def breaker_changed(self, change: BreakerChange) -> None:
        """A system is not called any more, or is again."""
        self._ledger.save_breaker(
            BreakerState(
                system=change.system,
                state=change.state,
                since=change.since,
                retry_at=change.retry_at,
                failures=change.failures,
                reason=change.reason,
            )
        )
        name = "credential_refused" if "credential" in change.reason else "breaker_open"
        if change.state == "open":
            todo = (
                f"Renew the credential of {change.system} in the environment, look with `referral-pipeline check` "
                "whether it is taken, then restart `up`"
                if name == "credential_refused"
                else f"Look at the status page of {change.system}. Nothing is lost: events wait and are done when it "
                "answers again"
            )
            self._desk.fire(
                Alert(
                    name=name,
                    subject=f"breaker:{change.system}",
                    severity="error",
                    what=f"{change.system} is not called any more: {change.reason or 'it failed'}",
                    todo=todo,
                )
            )
        elif change.state == "closed":
            for each in ("credential_refused", "breaker_open"):
                self._desk.resolve(each, f"breaker:{change.system}", f"{change.system} answers again")

    def not_approved(self) -> None:
        """Production is not approved for the present contract."""
        self._desk.fire(
            Alert(
                name="not_approved",
                subject="go_live",
                severity="error",
                what="Nothing is written any more: go-live is not approved for this contract, its stage map and its "
                "connectors, or the contract's file is another than the one that runs. Events wait.",
                todo="See `referral-pipeline go-live`: it was revoked, or what it covers has changed. Approve "
                "again in the sandbox, bring it here with `go-live --import FILE`, and restart `up`",
            )
        )

    def dead(self, event: InboxEvent, error: str, run_id: str | None) -> None:
        """An event was given up."""
        self._desk.fire(
            Alert(
                name="dead_letter",
                subject=f"inbox:{event.system}",
                severity="error",
                what=f"An event of {event.system} could not be done: {event.event_type}, number {event.id}: {error}",
                todo="See `referral-pipeline events list --state dead`, mend the cause, then `events replay --dead`",
                link=self._desk.link_to_run(run_id) if run_id else None,
            )
        )

    def refused(self, recognition: Recognition) -> None:
        """The platform does not take a recognition."""
        self._desk.fire(
            Alert(
                name="dead_letter",
                subject=f"recognition:{recognition.referral_id}",
                severity="error",
                what=f"The advocacy platform refuses the recognition {recognition.kind} of referral "
                f"{recognition.referral_id}: {recognition.last_error or 'without a reason'}",
                todo="An advocate waits for it. Mend the cause at the platform; it is told again with the next change",
            )
        )

    def late(self, event: InboxEvent, error: str, run_id: str | None) -> None:
        """An event is tried again and again."""
        self._desk.fire(
            Alert(
                name="event_late",
                subject=f"inbox:{event.system}",
                severity="warning",
                what=f"An event of {event.system} has failed {event.attempts} times and is tried on: "
                f"{event.event_type}, number {event.id}: {error}",
                todo="Look at the status page of the system that the error names. Without a cause there, see "
                "`referral-pipeline events list --state received`",
                link=self._desk.link_to_run(run_id) if run_id else None,
            )
        )

    def none_late(self, system: str) -> None:
        """Whether those that were late are done."""
        subject = f"inbox:{system}"
        open_ones = (a for a in self._ledger.alerts(open_only=True) if a.name == "event_late")
        if not any(alert.fingerprint.endswith(subject) for alert in open_ones):
            return
        waiting = (
            event
            for state in ("received", "claimed")
            for event in self._ledger.inbox_events(state=state, system=system, limit=_LOOKED_AT)
        )
        if not any(event.attempts >= LATE_AFTER for event in waiting):
            self._desk.resolve("event_late", subject, f"No event of {system} is late any more")

    def many_gone(self) -> None:
        """The ATS hides many applications."""
        system = self._contract.ats.connector
        self._desk.fire(
            Alert(
                name="many_gone",
                subject=f"applications:{system}",
                severity="error",
                what=f"{system} hides more linked applications than deletions explain; no more are taken for deleted",
                todo="Look whether its credential lost a right or jobs became private. If they were really deleted, "
                "nothing is to be done: a few are noted each day",
            )
        )

    def not_many_gone(self, are_many_gone: Callable[[], bool]) -> None:
        """It shows them again."""
        subject = f"applications:{self._contract.ats.connector}"
        if self._ledger.open_alert(f"many_gone/{subject}") is not None and not are_many_gone():
            self._desk.resolve("many_gone", subject, "Applications that are gone are taken for deleted again")

    def approved_again(self, may_write: Callable[[], bool]) -> None:
        """Look whether writes may go out; tell when they may again. That they may not, the guard tells."""
        if may_write() and self._ledger.open_alert("not_approved/go_live") is not None:
            self._desk.resolve("not_approved", "go_live", "The present contract is approved: production is written to")

    def recognised_again(self) -> None:
        """The platform takes what it refused, or nothing is left to tell of it."""
        for alert in self._ledger.alerts(open_only=True):
            kind, _, referral_id = str(alert.details.get("subject", "")).partition(":")
            if alert.name != "dead_letter" or kind != "recognition":
                continue
            if not self._ledger.recognitions(referral_ids=[referral_id], state="dead"):
                self._desk.resolve("dead_letter", f"recognition:{referral_id}", "The platform refuses it no more")

    def none_dead(self, system: str) -> None:
        """Nothing that was given up is left."""
        if not self._ledger.inbox_events(state="dead", system=system, limit=1):
            self._desk.resolve("dead_letter", f"inbox:{system}", f"No event of {system} is dead any more")

    def unmapped_stage(self, stage: str) -> None:
        """A stage without a meaning; once a stage and process."""
        if stage in self._stages:
            return
        self._stages.add(stage)
        self._desk.fire(
            Alert(
                name="unmapped_stage",
                subject=f"stage:{stage}",
                severity="warning",
                what=f"The ATS has a stage that the contract does not map: {stage}. It counts as in_review",
                todo="Add it to stage_map in integration.yaml",
            )
        )
