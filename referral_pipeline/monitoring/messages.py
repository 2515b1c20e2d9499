"""What an alert says, in the form of each kind of channel.

Belongs here: words, escaping, the parts of a message. Does not belong here: sending (`channels`), when something is
said (`alerts`).

A message holds no personal data: names of systems, ids, counts. Still nothing in it is trusted: what came from another
system may hold line breaks, markup or control characters, and becomes one harmless line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from referral_pipeline.monitoring.runbook import RUNBOOK

Kind = Literal["fired", "repeated", "recovered", "heartbeat"]

_LONGEST_LINE = 500
_LONGEST_TITLE = 150
TITLES: Mapping[str, str] = {
    "dead_letter": "Events could not be delivered",
    "breaker_open": "A system does not answer",
    "lane_stopped": "The lane has stopped",
    "check_failed": "A check has failed",
    "run_failed": "A run has failed",
    "credential_refused": "A credential was refused",
    "heartbeat": "Alerting works",
    "unmapped_stage": "A stage has no meaning yet",
    "event_late": "An event fails again and again",
    "channel_failed": "A channel of alerts cannot be reached",
    "many_gone": "Many applications are gone",
    "schema_drift": "An API has changed",
    "not_approved": "Nothing is written: go-live does not hold",
}
"""The title of each alert that is no measure of health: those have theirs in the runbook."""


@dataclass(frozen=True)
class Message:
    """One thing to be told. `id` is the same however often the same message is sent; receivers may drop repetitions."""

    id: str
    kind: Kind
    name: str
    subject: str
    severity: str
    what: str
    todo: str
    owner: str
    at: datetime
    count: int = 1
    since: datetime | None = None
    link: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def title(self) -> str:
        """The subject line: the weight, what it is about, of which part, and the alert's name in the runbook."""
        weight = {"recovered": "RECOVERED", "heartbeat": "HEARTBEAT"}.get(self.kind, self.severity.upper())
        again = " (still open)" if self.kind == "repeated" else ""
        of_health = RUNBOOK[self.name].title if self.name in RUNBOOK else self.name.replace("_", " ")
        words = TITLES.get(self.name, of_health)
        if self.kind == "heartbeat":
            return f"{weight}: {words}"
        start, end = f"{weight}: {words} [", f"] ({self.name}){again}"
        # A long subject is cut, so that the name is there whole.
        return line(start) + line(self.subject, max(_LONGEST_TITLE - len(start) - len(end), 1)) + line(end)

    def parts(self) -> list[tuple[str, str]]:
        """The labelled lines below the sentence, without the link."""
        parts: list[tuple[str, str]] = []
        if self.kind != "heartbeat":
            parts.append(("How many", str(self.count)))
        if self.since is not None:
            parts.append(("Since", time_words(self.since)))
        if self.todo:
            parts.append(("What to do", line(self.todo)))
        parts.extend((name, line(str(value))) for name, value in self.facts.items())
        parts.append(("Owner", line(self.owner)))
        return parts

    def as_line(self) -> str:
        """Everything in one line, for a log."""
        parts = "; ".join(f"{label.lower()}: {text}" for label, text in self.parts())
        link = f"; {line(self.link)}" if self.link else ""
        return f"{self.title}: {line(self.what)} ({parts}{link})"

    def as_text(self) -> str:
        """Plain text of several lines, for a mail."""
        lines = [line(self.what), "", *(f"{label}: {text}" for label, text in self.parts())]
        if self.link:
            lines.append(f"Look at: {line(self.link)}")
        return "\n".join(lines) + "\n"

    def as_slack(self) -> dict[str, Any]:
        """The body for an incoming webhook of Slack. Nothing in it can ping, link or format but what stands here."""
        lines = [f"*{slack_text(self.title)}*", slack_text(line(self.what))]
        lines += [f"{label}: {slack_text(text)}" for label, text in self.parts()]
        if self.link:
            lines.append(f"<{slack_url(self.link)}|Look at it>")
        return {"text": "\n".join(lines), "unfurl_links": False}

    def as_event(self) -> dict[str, Any]:
        """The body of a Standard Webhooks delivery."""
        return {
            "type": "alerting.heartbeat" if self.kind == "heartbeat" else f"alert.{self.kind}",
            "timestamp": self.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "data": {
                "id": self.id,
                "name": self.name,
                "subject": self.subject,
                "severity": self.severity,
                "what": line(self.what),
                "todo": line(self.todo),
                "count": self.count,
                "since": self.since.astimezone(UTC).isoformat().replace("+00:00", "Z") if self.since else None,
                "link": self.link,
                "owner": line(self.owner),
                "facts": dict(self.facts),
            },
        }


def line(text: str, longest: int = _LONGEST_LINE) -> str:
    """Text as one printable line, cut where it is too long."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"


def slack_text(text: str) -> str:
    """Text in which Slack reads no link, no mention and no formatting of a stranger's."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # A zero-width joiner after a mark keeps it from formatting; escaping it is not possible.
    return "".join(f"{c}\u2060" if c in "*_~`" else c for c in escaped)


def slack_url(url: str) -> str:
    """An address that cannot leave the angle brackets it is put in."""
    return line(url).replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E").replace("|", "%7C").replace(" ", "")


def time_words(at: datetime) -> str:
    """A time in UTC, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
