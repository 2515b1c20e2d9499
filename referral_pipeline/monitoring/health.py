"""Health: what the facts of one look mean, a row a measure, with evidence in words and what to do.

Belongs here: the row, severity, putting the judgements together. Does not belong here: gathering facts (watch), each
judgement (judge_calls, judge_events, judge_states, volume), telling somebody (health_alerts, page, prometheus).

Severity: `unknown` is too little data: not ok, and no reason to wake anybody. A `warning` is shown. An `error` is
proven, and told. Nothing here is personal data: names of systems, operations and processes, and counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from referral_pipeline.monitoring.open_alerts import StandingAlert
from referral_pipeline.monitoring.runbook import RUNBOOK


class Severity(StrEnum):
    """How a measure stands, in order of weight."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    ERROR = "error"

    @property
    def weight(self) -> int:
        """0 to 3, the heavier the worse."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class HealthRow:
    """One measure of one system, direction or process.

    Attributes:
        measure: a key of RUNBOOK.
        system: the system, direction (forward, return), process or channel.
        operation: one operation of the system; None for all.
        value: in the measure's unit; None when there is none.
        threshold: what the value is held against; None when against nothing.
        sample: how many calls, events or answers it was made from; None where nothing is counted.
        severity: see the module.
        evidence: one sentence with the numbers.
        holds: an alert that is open stays open although this is no error.
        told_by: the alert that tells of this already.
    """

    measure: str
    system: str
    value: float | None
    threshold: float | None
    severity: Severity
    evidence: str
    sample: int | None = None
    operation: str | None = None
    holds: bool = False
    told_by: str | None = None

    @property
    def subject(self) -> str:
        """What it is about, in one word or two."""
        return f"{self.system} {self.operation}" if self.operation else self.system

    @property
    def unit(self) -> str:
        """Of value and threshold."""
        return RUNBOOK[self.measure].unit

    @property
    def what_to_do(self) -> str:
        """How to mend it."""
        return RUNBOOK[self.measure].mend

    def as_json(self) -> dict[str, Any]:
        """Every field in a form that goes into JSON."""
        return {
            "measure": self.measure,
            "system": self.system,
            "operation": self.operation,
            "value": self.value,
            "unit": self.unit,
            "threshold": self.threshold,
            "sample": self.sample,
            "severity": self.severity.value,
            "evidence": self.evidence,
            "what_to_do": self.what_to_do,
            "told_by": self.told_by,
        }


@dataclass(frozen=True)
class Health:
    """Everything that one look found, in the order of RUNBOOK.

    `run_id` is the run that the lane holds open; `alerts` are open, and there where people look (page, command).
    """

    measured_at: datetime
    rows: tuple[HealthRow, ...]
    run_id: str | None = None
    alerts: tuple[StandingAlert, ...] = ()

    @property
    def severity(self) -> Severity:
        """The worst there is; ok when nothing was measured or known to be bad."""
        worst = max((row.severity for row in self.rows), key=lambda each: each.weight, default=Severity.OK)
        return Severity.OK if worst is Severity.UNKNOWN else worst

    @property
    def words(self) -> str:
        """The severity, and how much is unknown where that is most of it: what nobody could judge is not well."""
        unknown = sum(row.severity is Severity.UNKNOWN for row in self.rows)
        many = f"; {unknown} of {len(self.rows)} unknown: too little data" if unknown * 2 > len(self.rows) else ""
        return f"{self.severity.value}{many}"

    @property
    def by_measure(self) -> Mapping[str, list[HealthRow]]:
        """Rows by measure."""
        found: dict[str, list[HealthRow]] = {}
        for row in self.rows:
            found.setdefault(row.measure, []).append(row)
        return found

    def as_json(self) -> dict[str, Any]:
        """The object that `health --json` and GET /health answer."""
        return {
            "measured_at": self.measured_at.isoformat(),
            "severity": self.severity.value,
            "rows": [row.as_json() for row in self.rows],
            "open_alerts": [alert.as_json() for alert in self.alerts],
        }
