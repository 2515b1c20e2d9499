"""A kept audit in writing: Markdown for people, JSON for programs.

Belongs here: headings, tables, one sentence on the outcome. Does not belong here: files, terminals.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from referral_pipeline.ledger.records import Verification

MARKDOWN, JSON = "api_capability.md", "api_capability.json"
_LONGEST_LIST = 10


def outcome_words(facts: Mapping[str, Any]) -> str:
    """One sentence: what lacks, or that nothing does; without a full stop."""
    told: list[str] = []
    for name, words in (("missing", "missing and needed"), ("unanswered", "needed and without an answer")):
        if facts[name]:
            more = "" if len(facts[name]) <= _LONGEST_LIST else f" and {len(facts[name]) - _LONGEST_LIST} more"
            told.append(f"{words}: {', '.join(facts[name][:_LONGEST_LIST])}{more}")
    if told:
        return "; ".join(told)
    counts = facts["counts"]
    unverified = f", {counts['not verified']} not verified" if counts["not verified"] else ""
    return f"nothing that the contract needs is missing ({counts['covered']} of {sum(counts.values())} lines" + (
        f" covered{unverified})"
    )


def what_to_do(facts: Mapping[str, Any]) -> str:
    """How to mend what lacks: the consequences of the lines at fault."""
    names = {*facts["missing"], *facts["unanswered"]}
    lines = [one for one in facts["lines"] if f"{one['system']} {one['name']}" in names]
    if not lines:
        return "nothing"
    told = [f"{one['name']}: {one['evidence']}. Without it: {_bare(one)}" for one in lines[:_LONGEST_LIST]]
    grant = "Let the vendor or an administrator grant it, or switch off the phase that needs it (phases)"
    return f"{'; '.join(told)}. {grant}, then run `referral-pipeline audit-api`"


def _bare(line: Mapping[str, Any]) -> str:
    return str(line["consequence"]).removeprefix("not known; without it: ")


def as_json(kept: Verification) -> dict[str, Any]:
    """The audit as one object: under which number, when, where and for what it was made, and its facts."""
    return {
        "id": kept.id,
        "made_at": kept.made_at.isoformat(),
        "made_by": kept.made_by,
        "environment": kept.environment,
        "fingerprint": kept.fingerprint,
        "passed": kept.passed,
        **kept.facts,
    }


def json_text(kept: Verification) -> str:
    """`as_json` as a file's text."""
    return json.dumps(as_json(kept), indent=2, ensure_ascii=False) + "\n"


def markdown(kept: Verification) -> str:
    """The audit as a document: the outcome, then a table for each system and area."""
    facts = kept.facts
    counts = ", ".join(f"{count} {standing}" for standing, count in facts["counts"].items())
    head = [
        "# What the APIs can do",
        "",
        f"Audit {kept.id} of {kept.made_at:%Y-%m-%d %H:%M} UTC, environment {kept.environment}. {counts}.",
        "",
        f"**{'Passed' if kept.passed else 'Not passed'}**: {outcome_words(facts)}.",
        "",
        "Covered: a call showed it. Partial: it is there and something of it is not, or it was not tried to its end. "
        "Missing: the system refuses it or does not have it. Not verified: nobody asked, or no answer came. "
        "Lines marked * are needed by a phase in use.",
    ]
    return "\n".join([*head, *_tables(facts), ""])


def _tables(facts: Mapping[str, Any]) -> Iterator[str]:
    for system, of_system in groupby(facts["lines"], key=lambda line: line["system"]):
        yield from ("", f"## {system}")
        for area, lines in groupby(of_system, key=lambda line: line["area"]):
            yield from ("", f"### {str(area).capitalize()}", "")
            yield "| capability | standing | evidence | what follows |"
            yield "|---|---|---|---|"
            for one in lines:
                called = f"{one['title']}{' *' if one['needed'] else ''}"
                where = f" (`{one['endpoint']}`)" if one["endpoint"] else ""
                cells = (f"{called}{where}", one["standing"], one["evidence"], one["consequence"])
                yield table_row(cells)


def table_row(cells: Iterable[object]) -> str:
    """A row of a table in Markdown; what is in a cell cannot end it."""
    return "| " + " | ".join(cell(str(one)) for one in cells) + " |"


def cell(text: str) -> str:
    """A text in one line without anything that ends a cell."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
