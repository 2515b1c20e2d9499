"""Each measure of health: its unit, what it means when it is bad, how to see more, and how to mend it.

Belongs here: the words, once, for the page, the alerts, the rules for Prometheus and ops.health. Does not belong here:
when a measure is bad (health).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One measure. `title` is for people, `unit` of its value; the sentences stand by themselves.

    `one_cause`: where several systems or directions are bad at once, that has one cause and is one alert.
    """

    title: str
    unit: str
    means: str
    see: str
    mend: str
    one_cause: bool = False


RUNBOOK: dict[str, Entry] = {
    "api_error_rate": Entry(
        "Calls that fail",
        "ratio",
        "More calls of an operation fail than the contract allows, by more than chance explains.",
        "The evidence names the operation and how its calls ended; /health shows every operation beside the others.",
        "Look at the status page of that system. `refused` means that it does not take what we send: run "
        "`referral-pipeline check`. Nothing is lost: calls are tried again, events wait.",
    ),
    "slow_calls": Entry(
        "Slow calls",
        "ratio",
        "More than 5 of 100 calls of an operation take longer than monitoring.slow_call_seconds.",
        "The evidence names the operation; /health shows every operation beside the others.",
        "Look at the status page of that system. If it is always so slow, raise monitoring.slow_call_seconds.",
    ),
    "webhook_success": Entry(
        "Changes that came by webhook",
        "ratio",
        "Reconciliation finds changes that no webhook told: the system's webhooks are not sent, or do not get here.",
        "The asset `reconciliation` shows what was missed; `referral-pipeline events list` shows what came.",
        "Look at the webhook's page of that system: is it active, with this receiver's address and secret? "
        "`referral_pipeline_webhooks_refused_total` on /metrics says what was refused, and why. Nothing is lost.",
    ),
    "reconciliation_finds": Entry(
        "Found by reconciliation",
        "events",
        "Changes of the last day that no webhook told. They were done, up to 15 minutes late.",
        "The asset `reconciliation` shows them by type.",
        "A few are no harm. When they go on, look at the webhook's page of that system.",
    ),
    "sync_latency_p50": Entry(
        "Half are confirmed within", "s", "The middle event's way from receipt to confirmation.", "/health.", ""
    ),
    "sync_latency_p95": Entry(
        "95 of 100 are confirmed within",
        "s",
        "More than 5 of 100 events take longer than monitoring.latency_p95_seconds from receipt to confirmation.",
        "The open run of `process_events` shows each event with its seconds and attempts.",
        "If calls are slow or fail, mend that first. Else the lane has too little room: `up --lanes 2`.",
        one_cause=True,
    ),
    "sync_latency_p99": Entry(
        "99 of 100 are confirmed within", "s", "The slowest events' way from receipt to confirmation.", "/health.", ""
    ),
    "daily_volume": Entry(
        "Changes of the last day",
        "events",
        "Far fewer changes are seen than on this weekday at these hours of the weeks before, or none at all: neither "
        "webhooks nor reconciliation bring them.",
        "/health shows how many are usual; the assets of the system show what the last pull brought.",
        "Look whether the system works for its users, and whether our credential still sees everything. A holiday "
        "belongs in monitoring.quiet_days.",
    ),
    "backlog_age": Entry(
        "Longest wait",
        "s",
        "An event that could be done has been waiting for longer than monitoring.backlog_minutes.",
        "`referral-pipeline events list --state received`, and the open run of `process_events`.",
        "Is a lane alive (/health, silent_process)? If it is and works, more comes than it can do: `up --lanes 2`.",
    ),
    "dead_letters": Entry(
        "Given up",
        "events",
        "Events or writes were refused for good and wait for a person.",
        "`referral-pipeline events list --state dead`, `events show ID`.",
        "Mend what the vendor names, then `referral-pipeline events replay --dead`. A dead write is tried again when "
        "its record changes.",
    ),
    "freshness": Entry(
        "Age of what is known",
        "h",
        "The last pull of a system, or the last refresh that published, is older than monitoring.freshness_hours.",
        "The runs of `refresh` and `reconcile` in the Dagster UI.",
        "Is the daemon of `referral-pipeline up` alive, and are the schedules on? Run `referral-pipeline refresh` and "
        "read where it stops. Events go on meanwhile.",
        one_cause=True,
    ),
    "rate_budget_left": Entry(
        "Rate budget left",
        "calls",
        "The system's limit of calls is used up, by us or by others with the same credential.",
        "/health: the least that was left in the last hour, and the share of calls that were too fast.",
        "Ask the vendor who else uses the credential, or for a higher limit. Calls wait for the next window meanwhile.",
    ),
    "clock_skew": Entry(
        "Clocks",
        "s",
        "The clock of a system and ours differ, or deliveries are refused because of the time they were signed at.",
        "`timedatectl` on this machine. When all systems differ alike, it is our clock.",
        "Set this machine's clock by NTP. Tell a vendor of its own; beyond 5 minutes its webhooks are refused.",
        one_cause=True,
    ),
    "silent_process": Entry(
        "Silence of a process",
        "s",
        "The lane or the receiver has died without a word.",
        "The output of `referral-pipeline up`; /healthz of the receiver.",
        "Start `referral-pipeline up` (or `receiver`, `lane`). Senders try again for hours, and reconciliation finds "
        "what they gave up.",
    ),
    "breaker": Entry(
        "Calls held back",
        "open",
        "A system does not answer or refuses our credential; it is asked once in a while, and events wait.",
        "The open alert says which: breaker_open (it does not answer) or credential_refused.",
        "breaker_open: look at the status page of that system; nothing is to be done here, it is tried again by "
        "itself. "
        "credential_refused: renew the credential in the environment or `.env`, look with `referral-pipeline check` "
        "whether it is taken, and restart `up`. Nothing is lost.",
    ),
    "not_approved": Entry(
        "Leave to write",
        "leave",
        "Production is not written to: go-live was revoked, or does not cover the present contract, stage map and "
        "connectors.",
        "`referral-pipeline go-live` says which.",
        "Approve again in the sandbox, bring it here with `go-live --import FILE`, and restart `up`. Meanwhile start "
        "`receiver`: it keeps what comes.",
    ),
    "undelivered_alerts": Entry(
        "Alerts not delivered",
        "alerts",
        "An alert channel does not take messages.",
        "The log of `referral-pipeline up` says what the channel answered.",
        "Look at monitoring.alerts and the channel's secret: `referral-pipeline check` names what is missing.",
    ),
}
"""By measure; the order is that of the page."""
