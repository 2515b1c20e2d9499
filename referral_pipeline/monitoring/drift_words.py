"""What a change of an API means and what to do about it, in words for people.

Belongs here: sentences, once, for the table, the alerts, the checks and the command. Does not belong here: judging
(`drift`). No sentence holds a value, but for words of business and days.
"""

from __future__ import annotations

from referral_pipeline.connectors.shapes import STRANGER
from referral_pipeline.monitoring.drift import Drift, Kind

_MOST_BEFORE = 5
_ACCEPT = "`referral-pipeline drift accept {id} --by ADDRESS --why WORDS`"
_ROWS = (
    "Rows that cannot be read are kept and counted (`referral-pipeline quarantine`); when answers are right again, the "
    "daily full pull brings all of them, or `referral-pipeline refresh --full` at once."
)
_TODO = {
    Kind.NEW_FIELD: "Nothing has to be done; the connector does not read it.",
    Kind.NEW_WORD: "Ask whoever set it up what it means. A stage belongs in stage_map of integration.yaml; a status "
    "that the connector does not know needs a newer connector. Then {accept}.",
    Kind.TYPE_CHANGED: "Ask the vendor whether it stays so. If it does, the connector has to be changed; if nothing "
    "here reads the field, {accept}. {rows}",
    Kind.MISSING_REQUIRED: "Ask the vendor whether the field was renamed (a new field of the same operation tells) or "
    "withdrawn; the connector has to be changed if it stays so. {rows}",
    Kind.FIELD_GONE: "Ask the vendor whether the field was renamed (a new field of the same operation tells) or "
    "withdrawn. Rows go on without it; if that is right, {accept}. {rows}",
    Kind.DEPRECATION: "Read the vendor's changelog for what takes its place, and plan a newer connector. Told once: "
    "{accept}.",
    Kind.SUNSET: "A connector that uses what takes its place must run before that day. Read the vendor's changelog.",
}


def place(drift: Drift) -> str:
    """Which field of which operation, or which operation."""
    fact = drift.fact
    return f"{fact.operation} {fact.path}" if fact.path else fact.operation


def what(drift: Drift) -> str:
    """The change as a sentence."""
    fact = drift.fact
    where = f"`{fact.path}`" if fact.path else "the answer"
    of = f"of {fact.operation} ({fact.system})"
    before = _before(drift)
    match drift.kind:
        case Kind.NEW_FIELD:
            return f"{where} {of} is new: {fact.value}."
        case Kind.NEW_WORD:
            return f'{where} {of} has a new word: "{fact.value}".'
        case Kind.TYPE_CHANGED if fact.value == STRANGER:
            return f"{where} {of} holds objects without any field that the connector reads."
        case Kind.TYPE_CHANGED:
            was = f" where {before} was expected" if before else ""
            return f"{where} {of} comes as {fact.value}{was}."
        case Kind.MISSING_REQUIRED:
            how = "is null" if fact.value == "null" else "is missing"
            return f"{where} {of} {how}, and a row cannot be read without it."
        case Kind.FIELD_GONE:
            how = "is null in every row" if fact.value == "null" else "is gone"
            return f"{where} {of}, which was always there, {how}."
        case Kind.DEPRECATION:
            since = f" as of {fact.value}" if fact.value else ""
            return f"{fact.operation} ({fact.system}) is deprecated{since}."
        case Kind.SUNSET:
            end = f"on {fact.value}" if fact.value else "on a day that its answers do not tell in a known form"
            return f"{fact.operation} ({fact.system}) will be withdrawn {end}."


def what_to_do(drift: Drift) -> str:
    """How to go on."""
    return _TODO[drift.kind].replace("{rows}", _ROWS).replace("{accept}", _ACCEPT.replace("{id}", drift.id))


def _before(drift: Drift) -> str:
    some = drift.before[:_MOST_BEFORE]
    return " or ".join(some)
