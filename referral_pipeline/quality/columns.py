"""The columns that quality rules hold each table to, by kind.

Belongs here: table -> column -> kind, and how a DuckDB type is read as a kind. Does not belong here: how the tables are
made (warehouse/sql), rules on values. Kinds: text, whole (integers), number (integers, decimals, doubles), decimal
(exact), time (with time zone), date, boolean.
"""

from __future__ import annotations

COLUMNS: dict[str, dict[str, str]] = {
    "staging.advocate": {
        "id": "text",
        "email": "text",
        "department": "text",
        "eligible": "boolean",
        "joined_at": "time",
        "left_at": "time",
        "updated_at": "time",
    },
    "staging.content": {
        "id": "text",
        "title": "text",
        "campaign_tag": "text",
        "job_id": "text",
        "published_at": "time",
        "updated_at": "time",
    },
    "staging.share": {
        "id": "text",
        "advocate_id": "text",
        "content_id": "text",
        "job_id": "text",
        "channel": "text",
        "shared_at": "time",
        "reach": "whole",
        "updated_at": "time",
    },
    "staging.click": {
        "id": "text",
        "share_id": "text",
        "visitor_id": "text",
        "clicked_at": "time",
        "updated_at": "time",
    },
    "staging.referral": {
        "id": "text",
        "advocate_id": "text",
        "share_id": "text",
        "content_id": "text",
        "job_id": "text",
        "campaign_tag": "text",
        "stage": "text",
        "submitted_at": "time",
        "applied_at": "time",
        "touched_at": "time",
        "first_name": "text",
        "last_name": "text",
        "email": "text",
        "email_key": "text",
        "phone": "text",
        "phone_key": "text",
        "country": "text",
        "consent_granted": "boolean",
        "consent_expires_at": "time",
        "status": "text",
        "status_at": "time",
        "ats_candidate_id": "text",
        "ats_application_id": "text",
        "updated_at": "time",
    },
    "staging.ats_job": {
        "id": "text",
        "title": "text",
        "status": "text",
        "opened_at": "time",
        "closed_at": "time",
        "updated_at": "time",
    },
    "staging.ats_candidate": {
        "id": "text",
        "first_name": "text",
        "last_name": "text",
        "created_at": "time",
        "updated_at": "time",
    },
    "staging.ats_candidate_contact": {"candidate_id": "text", "kind": "text", "value": "text", "key": "text"},
    "staging.ats_application": {
        "system": "text",
        "id": "text",
        "candidate_id": "text",
        "job_id": "text",
        "status": "text",
        "status_at": "time",
        "applied_at": "time",
        "interviewed_at": "time",
        "offered_at": "time",
        "hired_at": "time",
        "starts_on": "date",
        "rejected_at": "time",
        "tag_referral_id": "text",
        "tag_advocate_id": "text",
        "tag_share_id": "text",
        "tag_content_id": "text",
        "tag_campaign_tag": "text",
        "updated_at": "time",
    },
    "staging.ats_offer": {
        "id": "text",
        "application_id": "text",
        "status": "text",
        "sent_on": "date",
        "resolved_at": "time",
        "starts_on": "date",
        "updated_at": "time",
    },
    "core.person": {
        "person_id": "text",
        "record_count": "whole",
        "first_seen_at": "time",
    },
    "core.touchpoint": {
        "person_id": "text",
        "job_id": "text",
        "advocate_id": "text",
        "share_id": "text",
        "content_id": "text",
        "campaign_tag": "text",
        "kind": "text",
        "occurred_at": "time",
        "referral_id": "text",
    },
    "core.attribution": {
        "application_key": "text",
        "person_id": "text",
        "ats": "text",
        "ats_candidate_id": "text",
        "ats_application_id": "text",
        "job_id": "text",
        "referral_id": "text",
        "advocate_id": "text",
        "share_id": "text",
        "content_id": "text",
        "campaign_tag": "text",
        "channel": "text",
        "attribution_model": "text",
        "applied_at": "time",
        "status": "text",
        "interviewed_at": "time",
        "offered_at": "time",
        "hired_at": "time",
        "starts_on": "date",
        "rejected_at": "time",
        "time_to_hire_days": "number",
        "match_method": "text",
        "is_complete": "boolean",
    },
    "core.attribution_credit": {
        "application_key": "text",
        "advocate_id": "text",
        "share_id": "text",
        "weight": "decimal",
        "bonus_cents": "whole",
        "reason": "text",
    },
    "mart.attribution_comparison": {
        "application_key": "text",
        "advocate_id": "text",
        "share_id": "text",
        "first_touch": "decimal",
        "last_touch": "decimal",
        "linear": "decimal",
        "time_decay": "decimal",
        "position_based": "decimal",
        "paid": "decimal",
        "pays": "text",
    },
    "core.status_history": {
        "application_key": "text",
        "status": "text",
        "valid_from": "time",
        "valid_to": "time",
    },
}
"""Columns that have to be there. A table may have more: those are not judged."""

_WHOLE = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
)
_KINDS = {
    "VARCHAR": "text",
    "BOOLEAN": "boolean",
    "TIMESTAMP WITH TIME ZONE": "time",
    "DATE": "date",
    "FLOAT": "number",
    "DOUBLE": "number",
}


def kind_of(duckdb_type: str, expected: str) -> str:
    """The kind of a DuckDB type, told as `expected` where it serves for it (an integer is a number).

    A type of no kind of ours is told by its own name; TIMESTAMP without a zone is one of them, on purpose.
    """
    base = duckdb_type.split("(")[0].strip().upper()
    kind = "whole" if base in _WHOLE else "decimal" if base == "DECIMAL" else _KINDS.get(base, base.lower())
    return expected if expected == "number" and kind in {"whole", "decimal"} else kind
