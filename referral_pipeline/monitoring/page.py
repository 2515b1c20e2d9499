"""The health page: every measure with its state, its evidence and what to do. HTML without a script.

Belongs here: drawing. Does not belong here: measuring (judge), serving it (webhooks.health_surface).

Nothing in it is personal data, and all text is escaped. One column, so that it reads on a phone. Operations that are
well, or of which too little is known, are folded: whoever looks sees the systems, and what is bad.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from urllib.parse import quote

from referral_pipeline.monitoring.health import Health, HealthRow, Severity
from referral_pipeline.monitoring.health_alerts import ASSET
from referral_pipeline.monitoring.messages import time_words
from referral_pipeline.monitoring.runbook import RUNBOOK

CSP = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

_WORDS = {
    Severity.OK: "ok",
    Severity.UNKNOWN: "unknown: too little data",
    Severity.WARNING: "warning: shown, not proven",
    Severity.ERROR: "error",
}
_ALERT_CLASS = {"error": "error", "warning": "warning"}
_STYLE = """
:root {
  color-scheme: light dark;
  --line: #8886; --back: #fff; --text: #1c1e21; --link: #0b57d0;
  --ok: #1a6e35; --unknown: #57606a; --warning: #8a5a00; --error: #b3161d
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #16181c; --text: #e8eaed; --link: #8ab4f8;
    --ok: #5fd07f; --unknown: #a9b1ba; --warning: #f0b43c; --error: #ff8a86
  }
}
body { font: 16px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 46rem; padding: 1rem; overflow-wrap: anywhere }
html { background: var(--back); color: var(--text) }
a { color: var(--link) }
h1 { font-size: 1.4rem; margin: 0 }
h2 { font-size: 1.1rem; margin: 1.6rem 0 .3rem; border-top: 1px solid var(--line); padding-top: .8rem }
ul { list-style: none; margin: 0; padding: 0 }
li { margin: .6rem 0; padding-left: .7rem; border-left: .3rem solid var(--line) }
p { margin: .2rem 0 }
summary { cursor: pointer; padding: .3rem 0 }
.ok { border-color: var(--ok) } .unknown { border-color: var(--unknown) }
.warning { border-color: var(--warning) } .error { border-color: var(--error) }
.state { font-weight: 600 }
.ok > .state { color: var(--ok) } .unknown > .state { color: var(--unknown) }
.warning > .state { color: var(--warning) } .error > .state { color: var(--error) }
"""


def page_of(health: Health, ui_url: str) -> str:
    """The page. `ui_url` is where people open the Dagster UI."""
    ui = ui_url.rstrip("/")
    links = [f'<a href="{escape(ui)}/assets/{ASSET}">checks and trends</a>']
    if health.run_id:
        links.insert(0, f'<a href="{escape(ui)}/runs/{quote(health.run_id, safe="")}">the run that handles events</a>')
    errors = sum(row.severity is Severity.ERROR for row in health.rows)
    warnings = sum(row.severity is Severity.WARNING for row in health.rows)
    title = f"Health: {health.words}"
    body = "\n".join((*_alerts(health), *_sections(health)))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(title)}</h1>\n"
        f"<p>{errors} errors, {warnings} warnings. Measured at {escape(time_words(health.measured_at))}.</p>\n"
        f"<p>{' · '.join(links)}</p>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _alerts(health: Health) -> Iterator[str]:
    """What was told and is not over."""
    if not health.alerts:
        return
    lines = [
        f'<li class="{_ALERT_CLASS.get(one.severity, "unknown")}"><span class="state">{escape(one.severity)}</span> '
        f"<b>{escape(one.name)}</b> {escape(one.subject)}"
        f"<p>Since {escape(time_words(one.since))}; how many: {one.times:,}.</p></li>"
        for one in health.alerts
    ]
    yield '<section id="open_alerts">\n' + "\n".join(("<h2>Open alerts</h2>", "<ul>", *lines, "</ul>")) + "\n</section>"


def _sections(health: Health) -> Iterator[str]:
    worst = {measure: max(row.severity.weight for row in rows) for measure, rows in health.by_measure.items()}
    # What is bad first, and the worst first; else the order of the runbook, which `sorted` keeps.
    for measure in sorted(worst, key=lambda each: -worst[each] if worst[each] > Severity.UNKNOWN.weight else 0):
        rows = sorted(health.by_measure[measure], key=lambda row: (-row.severity.weight, row.operation is not None))
        folded = [row for row in rows if row.operation is not None and row.severity.weight <= Severity.UNKNOWN.weight]
        entry = RUNBOOK[measure]
        lines = [f"<h2>{escape(entry.title)}</h2>"]
        if shown := [_row(row) for row in rows if row not in folded]:
            lines += ["<ul>", *shown, "</ul>"]
        if folded:
            unknown = sum(row.severity is Severity.UNKNOWN for row in folded)
            counts = f"{len(folded) - unknown} ok, {unknown} unknown"
            lines += [
                f"<details><summary>{len(folded)} operations: {counts}</summary>",
                *("<ul>", *(_row(row) for row in folded), "</ul></details>"),
            ]
        if worst[measure] > Severity.UNKNOWN.weight:
            lines += [
                f"<p>{_text(entry.means)}</p>",
                f"<p><b>To see more:</b> {_text(entry.see)}</p>",
                f"<p><b>To do:</b> {_text(entry.mend)}</p>",
            ]
        yield f'<section id="{measure}">\n' + "\n".join(lines) + "\n</section>"


def _text(words: str) -> str:
    """A sentence of the runbook, with what stands in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(words))


def _row(row: HealthRow) -> str:
    held = f" (limit {number(row, row.threshold)})" if row.threshold is not None and row.measure != "breaker" else ""
    value = f": {number(row, row.value)}{held}" if row.value is not None else ""
    told = f" Told by the alert {row.told_by}." if row.told_by and row.severity is Severity.ERROR else ""
    return (
        f'<li class="{row.severity.value}"><span class="state">{_WORDS[row.severity]}</span> '
        f"<b>{escape(row.subject)}</b>{escape(value)}<p>{escape(row.evidence + told)}</p></li>"
    )


def number(row: HealthRow, value: float | None) -> str:
    """A value or threshold of a row as people read it."""
    if value is None:
        return "-"
    if row.unit == "ratio":
        return f"{value:.1%}"
    if row.unit == "leave":
        return "given" if value else "none"
    if row.unit == "open":
        return "held back" if value else "no"
    return f"{value:,.3g} {row.unit}" if abs(value) < 1000 else f"{value:,.0f} {row.unit}"
