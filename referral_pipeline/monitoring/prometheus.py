"""Health as Prometheus text, and the alert rules that belong to it.

Belongs here: names of metrics, their labels, rules. Does not belong here: counters of the receiver (webhooks.metrics),
words (runbook).

Labels are names of ours: measures, systems, operations, processes, channels. A value that is not known is left out,
which is not 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from referral_pipeline.contract.models import Contract
from referral_pipeline.monitoring.health import Health, HealthRow, Severity
from referral_pipeline.monitoring.judge_states import SILENT_SECONDS
from referral_pipeline.monitoring.runbook import RUNBOOK

PREFIX = "referral_pipeline_"
SEVERITY = f"{PREFIX}health_severity"
ALERT = f"{PREFIX}health_alert"
MEASURED = f"{PREFIX}health_measured_timestamp_seconds"


@dataclass(frozen=True)
class _Metric:
    """The metric of a measure: the label that the row's system goes into, and what the value is multiplied with."""

    name: str
    label: str | None = "system"
    factor: float = 1.0
    more: tuple[tuple[str, str], ...] = ()


METRICS: Mapping[str, _Metric] = {
    "api_error_rate": _Metric("api_error_ratio"),
    "slow_calls": _Metric("slow_calls_ratio"),
    "rate_budget_left": _Metric("rate_budget_left"),
    "clock_skew": _Metric("clock_skew_seconds"),
    "webhook_success": _Metric("webhook_success_ratio"),
    "reconciliation_finds": _Metric("reconciliation_finds"),
    "sync_latency_p50": _Metric("sync_latency_seconds", "direction", more=(("quantile", "0.5"),)),
    "sync_latency_p95": _Metric("sync_latency_seconds", "direction", more=(("quantile", "0.95"),)),
    "sync_latency_p99": _Metric("sync_latency_seconds", "direction", more=(("quantile", "0.99"),)),
    "daily_volume": _Metric("events_last_day"),
    "backlog_age": _Metric("backlog_age_seconds", None),
    "dead_letters": _Metric("dead_letters"),
    "freshness": _Metric("freshness_seconds", factor=3600.0),
    "silent_process": _Metric("process_silence_seconds", "process"),
    "breaker": _Metric("breaker_open"),
    "not_approved": _Metric("writes_approved", None),
    "undelivered_alerts": _Metric("undelivered_alerts", "channel"),
}
EXPECTED = f"{PREFIX}events_expected"

_SYSTEM = "{{ $labels.system }}"
_OPERATION = "{{ with $labels.operation }} ({{ . }}){{ end }}"


def metrics_text(health: Health) -> str:
    """The gauges of health, in the text format of Prometheus."""
    return "\n".join(_lines(health)) + "\n"


def _lines(health: Health) -> Iterator[str]:
    yield from _gauge(MEASURED, "When health was measured.", [({}, health.measured_at.timestamp())])
    every = [
        ({"measure": row.measure, "system": row.system, "operation": row.operation or ""}, row) for row in health.rows
    ]
    words = "0 ok, 1 unknown, 2 warning, 3 error."
    yield from _gauge(SEVERITY, words, [(labels, float(row.severity.weight)) for labels, row in every])
    words = "1 where health has an alert of its own: an error that no other alert tells of."
    yield from _gauge(ALERT, words, [(labels, float(_is_alert(row))) for labels, row in every])
    done: set[str] = set()
    for metric in METRICS.values():
        if metric.name not in done:
            done.add(metric.name)
            measures = [measure for measure, other in METRICS.items() if other.name == metric.name]
            words = RUNBOOK[measures[0]].title if len(measures) == 1 else "From receipt to confirmation."
            yield from _gauge(PREFIX + metric.name, words.rstrip(".") + ".", _values(health, measures))
    usual = [
        ({"system": row.system}, row.threshold)
        for row in health.rows
        if row.measure == "daily_volume" and row.threshold is not None
    ]
    yield from _gauge(EXPECTED, "Events that are usual for the hours of the last day.", usual)


def _values(health: Health, measures: list[str]) -> Iterator[tuple[dict[str, str], float]]:
    for row in health.rows:
        if row.measure in measures and row.value is not None:
            metric = METRICS[row.measure]
            labels = {metric.label: row.system} if metric.label else {}
            if row.operation is not None or row.measure in ("api_error_rate", "slow_calls"):
                labels["operation"] = row.operation or ""
            yield {**labels, **dict(metric.more)}, row.value * metric.factor


def _gauge(name: str, words: str, values: Iterable[tuple[Mapping[str, str], float]]) -> Iterator[str]:
    yield f"# HELP {name} {words}"
    yield f"# TYPE {name} gauge"
    for labels, value in values:
        told = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{name}{{{told}}} {value:.10g}" if told else f"{name} {value:.10g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _is_alert(row: HealthRow) -> bool:
    return row.severity is Severity.ERROR and row.told_by is None


# ---------------------------------------------------------------- rules


def rules_yaml(contract: Contract) -> str:
    """A rule file for Prometheus: the alerts of this contract, each with what it means and what to do."""
    groups = {"groups": [{"name": "referral-pipeline", "rules": list(_rules(contract))}]}
    head = (
        "# Made by `referral-pipeline health --rules` from the contract: make it anew when monitoring changes there.\n"
        "# Scrape /metrics of every receiver; the rules need one that answers.\n"
    )
    return head + yaml.safe_dump(groups, sort_keys=False, width=110, allow_unicode=True)


def _rules(contract: Contract) -> Iterator[dict[str, Any]]:
    limits = contract.monitoring
    # Replicas measure the same ledger: one of them is enough.
    proven = {
        "ApiErrorRate": ("api_error_rate", f"Too many calls to {_SYSTEM}{_OPERATION} fail."),
        "SlowCalls": ("slow_calls", f"Too many calls to {_SYSTEM}{_OPERATION} are slow."),
        "WebhooksLost": ("webhook_success", f"Webhooks of {_SYSTEM} are not sent, or do not get here."),
        "SyncLatency": ("sync_latency_p95", f"Events take too long to be confirmed ({_SYSTEM})."),
        "VolumeTooLow": ("daily_volume", f"Far fewer changes are seen in {_SYSTEM} than usual, or none."),
    }
    for name, (measure, fault) in proven.items():
        yield _rule(name, measure, f'max by (system, operation) ({ALERT}{{measure="{measure}"}}) == 1', fault)
    known = {
        "ClockSkew": (
            "clock_skew",
            f"max by (system) (abs({PREFIX}clock_skew_seconds)) > {limits.clock_skew_seconds:g}",
            f"The clock of {_SYSTEM} is off.",
        ),
        "BacklogTooOld": (
            "backlog_age",
            f"max({PREFIX}backlog_age_seconds) > {limits.backlog_minutes * 60:g}",
            "Events wait too long.",
        ),
        "Stale": (
            "freshness",
            f"max by (system) ({PREFIX}freshness_seconds) > {limits.freshness_hours * 3600:g}",
            f"What is known is too old ({_SYSTEM}).",
        ),
        "DeadLetters": (
            "dead_letters",
            f"max by (system) ({PREFIX}dead_letters) > 0",
            f"Events or writes were given up ({_SYSTEM}).",
        ),
        "ProcessSilent": (
            "silent_process",
            f"max by (process) ({PREFIX}process_silence_seconds) > {SILENT_SECONDS:g}",
            "The {{ $labels.process }} has died without a word.",
        ),
        "BreakerOpen": (
            "breaker",
            f"max by (system) ({PREFIX}breaker_open) >= 1",
            f"Calls to {_SYSTEM} are held back.",
        ),
        "WritesOff": (
            "not_approved",
            f"min({PREFIX}writes_approved) == 0",
            "Nothing is written in production: go-live does not hold.",
        ),
        "AlertsUndelivered": (
            "undelivered_alerts",
            f"max by (channel) ({PREFIX}undelivered_alerts) > 0",
            "Alerts do not reach the channel {{ $labels.channel }}.",
        ),
    }
    for name, (measure, expr, fault) in known.items():
        yield _rule(name, measure, expr, fault)
    yield {
        "alert": "ReferralPipelineHealthNotMeasured",
        "expr": f"absent({MEASURED}) or time() - max({MEASURED}) > 300",
        "for": "5m",
        "labels": {"severity": "error"},
        "annotations": {
            "summary": "Nobody measures the health of the referral pipeline.",
            "description": "No receiver answers /metrics, or its ledger cannot be read.",
            "runbook": "Look at the output of `referral-pipeline up` and at /readyz of the receiver.",
        },
    }
    yield {
        "alert": "ReferralPipelineWebhooksNotTaken",
        "expr": f'increase({PREFIX}webhooks_refused_total{{reason=~"no_secret|not_committed|full|failed"}}[15m]) > 0',
        "for": "0m",
        "labels": {"severity": "error"},
        "annotations": {
            "summary": "The receiver refuses good webhooks of {{ $labels.system }}: {{ $labels.reason }}.",
            "description": "They were answered with 503, and their sender tries again. /readyz says what is wrong.",
            "runbook": "no_secret: set the webhook secret. not_committed, full, failed: the ledger's disk or database.",
        },
    }


def _rule(name: str, measure: str, expr: str, fault: str) -> dict[str, Any]:
    entry = RUNBOOK[measure]
    return {
        "alert": f"ReferralPipeline{name}",
        "expr": expr,
        "for": "2m",
        "labels": {"severity": "error"},
        "annotations": {
            "summary": fault,
            "description": f"{entry.means} {entry.see}",
            "runbook": entry.mend,
        },
    }
