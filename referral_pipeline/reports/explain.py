"""The evidence behind one application's attribution: from the share to the hire, with the rule and reason of each step.

Belongs here: gathering the evidence from the published tables and the ledger, and the words for verdicts and rules.
Does not belong here: deciding anything (attribution, warehouse), drawing (the command).

Read are the published copy, which a running refresh does not hold, and the ledger. Ids and times only; the words of an
override, and who decided it, are the owner's and come from the ledger alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

from referral_pipeline.attribution.models import MODELS
from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.bonuses import Bonus
from referral_pipeline.ledger.store import Ledger, Link, Override
from referral_pipeline.sync.lifecycle import eligible_on
from referral_pipeline.warehouse.failures import WarehouseError
from referral_pipeline.warehouse.store import Warehouse

MODEL_WORDS: Final = {
    "first_touch": "all to the first touch that counts",
    "last_touch": "all to the last touch before the application",
    "linear": "the same to every touch that counts",
    "time_decay": "to every touch that counts, half as much for each seven days that it is older than the last",
    "position_based": "0.4 to the first touch, 0.4 to the last, 0.2 over those between",
    "override": "the owner decided, not a model",
}
TIE_WORDS: Final = {
    "earliest_share": "of touches at one time the one whose share is earliest comes first, then by share, referral and "
    "advocate id; one without a share comes after those with one"
}
_VERDICTS: Final = {
    "counts": "counts",
    "credited": "credited by the model",
    "override": "the owner's override gives it all the credit",
    "overridden": "the owner's override gives the credit to another, or to nobody",
    "other_touch_credited": "it counts, and the model gives its credit to another touch",
    "after_application": "it came after the application",
    "not_referred": "its advocate had not referred this person for this job before the application",
    "withdrawn": "the referral was withdrawn",
    "no_consent": "no consent of the candidate is recorded, or it was taken back",
    "consent_expired": "the candidate's consent has expired",
    "country": "the candidate's country is outside the contract",
    "erased": "the person asked to be forgotten, or the ATS deleted the candidate",
    "job": "the job is unknown to the ATS, or took no applications",
    "other_job": "it is for another job",
}
_BONUS_WORDS: Final = {
    "waiting": "the waiting period runs",
    "no_first_day": "no first day of work is known yet",
    "rehire": "another hire of the person has the bonus, and the contract pays one a person",
    "other_advocate": "credited, and the bonus stands with another advocate or another referral",
    "not_credited": "its advocate has no credit today",
    "unhired": "the hire was undone",
    "changed": "the bonus was divided or dated anew",
    "returned": "payroll gave it back",
    "no_longer_due": "paid, and the hire was undone since: payroll has it",
    "no_application": "the ATS has the application no more, so that nobody can tell whether the hire stands",
    "zero": "the contract's bonus is nothing",
    "untold": "the advocacy platform has not answered yet",
    "refused": "the advocacy platform does not take it",
    "not_hired": "the application does not stand as hired",
    "nobody_credited": "it is hired, and nobody has the credit",
    "not_told": "the advocacy platform was not told of the hire yet: the next `referral-pipeline refresh` does so",
}


class UnknownApplication(LookupError):
    """No application of that key is in the published tables."""


def explain(warehouse: Warehouse, ledger: Ledger, contract: Contract, key: str) -> dict[str, Any]:
    """All evidence on one application, ready for JSON: times as RFC 3339 in UTC, weights as decimal text, whole cents.

    Keys: published_at, application (with history), person (with records), referrals, elsewhere, touches, weights, rule
    (as the tables were made by it; `changed_since` names what the contract has otherwise by now), override,
    earlier_overrides, credit, credited, bonus (with standings, steps and payroll), ats.

    Args:
        warehouse: whose published copy is read.
        ledger: for links, overrides, recognitions and payroll.
        contract: for what of the rules has changed since the tables were made.
        key: "system:application id".

    Raises:
        UnknownApplication: it is not among the published tables.
        WarehouseError: nothing is published yet, or by an earlier version.
    """
    tables = _read(warehouse, key)
    found = tables["attribution"]
    at = warehouse.published_at()
    if not found:
        raise UnknownApplication(
            f"application {key} is not in the tables that were published {_iso(at)}. Look at its id in the ATS; if it "
            "is new there, run `referral-pipeline refresh`"
        )
    attribution, owner = found[0], tables["owner"][0]
    decisions = ledger.overrides_of([key])
    standing = next((one for one in decisions if one.is_in_force), None)
    system, _, application_id = key.partition(":")
    own_links = ledger.links_of_applications(system, [application_id])
    named = {row["referral_id"] for row in (*tables["touches"], *tables["elsewhere"]) if row["referral_id"]}
    links = {**ledger.links_for(named), **{link.referral_id: link for link in own_links}}
    considered = {row["referral_id"] for row in tables["touches"] if row["referral_id"]}
    used = tables["rules"][0]
    lookback = used["lookback_days"]
    return {
        "published_at": _iso(at),
        "application": _application(attribution, owner, tables["history"]),
        "person": {
            "person_id": owner["person_id"],
            "records": [{"record_id": row["record_id"], "joined_by": row["match_method"]} for row in tables["records"]],
        },
        "referrals": [_referral(link, application_id) for i, link in sorted(links.items()) if i in considered],
        "touches": [_touch(row, attribution["applied_at"], lookback) for row in tables["touches"]],
        "elsewhere": [_elsewhere(row, links.get(row["referral_id"])) for row in tables["elsewhere"]],
        "weights": [_plain(row) for row in tables["weights"]],
        "rule": _rule(attribution["attribution_model"], used, contract),
        "override": _override(standing, shown=attribution["override"]),
        "earlier_overrides": [_override(one, shown=None) for one in decisions if not one.is_in_force],
        # A revoked override that the tables still show, or one that they do not show yet.
        "tables_follow": (standing.id if standing is not None else None) != attribution["override"],
        "credit": [{**_plain(row), "why": verdict_words(row["reason"], lookback)} for row in tables["credit"]],
        "credited": {
            name: attribution[name] for name in ("advocate_id", "referral_id", "share_id", "content_id", "campaign_tag")
        },
        "bonus": _bonus(tables, ledger, system, application_id),
        "ats": _carried(owner, attribution),
    }


def verdict_words(verdict: str, lookback_days: int) -> str:
    """A verdict or reason in words."""
    if verdict == "outside_lookback":
        return f"it is more than {lookback_days} days before the application"
    return _VERDICTS.get(verdict, verdict.replace("_", " "))


# ---------------------------------------------------------------- the published tables

_QUERIES: Final = {
    "attribution": "SELECT * FROM core.attribution WHERE application_key = $key",
    "owner": "SELECT * FROM core.application_person WHERE application_key = $key",
    "history": "SELECT status, valid_from, valid_to FROM core.status_history WHERE application_key = $key"
    " ORDER BY valid_from",
    "records": "SELECT record.record_id, record.match_method FROM core.person_record AS record"
    " JOIN core.application_person AS owner ON owner.person_id = record.person_id"
    " WHERE owner.application_key = $key ORDER BY record.record_id",
    "touches": "SELECT * FROM core.attribution_touch WHERE application_key = $key"
    " ORDER BY occurred_at, place NULLS LAST, referral_id, share_id",
    "elsewhere": "SELECT touch.referral_id, touch.job_id, touch.advocate_id, touch.occurred_at, touch.blocked"
    " FROM core.touchpoint AS touch JOIN core.application_person AS owner ON owner.person_id = touch.person_id"
    " WHERE owner.application_key = $key AND touch.kind = 'referral'"
    " AND NOT list_contains(owner.job_ids, touch.job_id) ORDER BY touch.number",
    "weights": "SELECT * EXCLUDE (application_key) FROM mart.attribution_comparison WHERE application_key = $key"
    " ORDER BY paid DESC, linear DESC, advocate_id, share_id",
    "rules": "SELECT * FROM core.rules_used WHERE $key IS NOT NULL",
    "bonuses": "SELECT * FROM mart.bonus WHERE application_key = $key",
    "credit": "SELECT * EXCLUDE (application_key, place) FROM core.attribution_credit WHERE application_key = $key"
    " ORDER BY place",
}


def _read(warehouse: Warehouse, key: str) -> dict[str, list[dict[str, Any]]]:
    tables: dict[str, list[dict[str, Any]]] = {}
    with warehouse.published() as connection:
        held = {
            f"{schema}.{table}"
            for schema, table in connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
        }
        if not {"core.attribution_touch", "core.rules_used", "mart.attribution_comparison", "mart.bonus"} <= held:
            raise WarehouseError("what is published was made by an earlier version: run `referral-pipeline refresh`")
        for name, sql in _QUERIES.items():
            answer = connection.execute(sql, {"key": key})
            columns = [column[0] for column in answer.description or ()]
            tables[name] = [dict(zip(columns, row, strict=True)) for row in answer.fetchall()]
    return tables


# ---------------------------------------------------------------- parts


def _application(row: dict[str, Any], owner: dict[str, Any], history: Sequence[dict[str, Any]]) -> dict[str, Any]:
    shown = ("application_key", "job_id", "channel", "status", "match_method")
    times = ("applied_at", "interviewed_at", "offered_at", "hired_at", "starts_on", "rejected_at")
    return {
        **{name: row[name] for name in shown},
        "candidate_id": owner["candidate_id"],
        "job_ids": sorted(job for job in owner["job_ids"] if job),
        **{name: _iso(row[name]) for name in times},
        "history": [
            {"status": one["status"], "from": _iso(one["valid_from"]), "to": _iso(one["valid_to"])} for one in history
        ],
    }


def _referral(link: Link, application_id: str) -> dict[str, Any]:
    return {
        "referral_id": link.referral_id,
        "advocate_id": link.advocate_id,
        "job_id": link.job_id,
        "touched_at": _iso(link.touched_at),
        "match_method": link.match_method,
        "candidate": "created" if link.created_candidate else "found" if link.candidate_id else None,
        "application": "created" if link.created_application else "found" if link.application_id else None,
        "application_id": link.application_id,
        "is_of_this_application": link.application_id == application_id,
        "block": link.block,
        "state": link.state,
    }


def _touch(row: dict[str, Any], applied_at: datetime, lookback_days: int) -> dict[str, Any]:
    names = ("kind", "advocate_id", "referral_id", "share_id", "content_id", "campaign_tag", "job_id")
    return {
        **{name: row[name] for name in names},
        "occurred_at": _iso(row["occurred_at"]),
        "days_before": round((applied_at - row["occurred_at"]).total_seconds() / 86_400, 3),
        "verdict": row["verdict"],
        "why": verdict_words(row["verdict"], lookback_days),
        "place": row["place"],
        "place_from_last": row["place_from_last"],
        **{model: _text(row[model]) for model in MODELS},
    }


def _elsewhere(row: dict[str, Any], link: Link | None) -> dict[str, Any]:
    reasons = [f"it is for job {row['job_id']}", *([_VERDICTS[row["blocked"]]] if row["blocked"] else [])]
    return {
        "referral_id": row["referral_id"],
        "advocate_id": row["advocate_id"],
        "job_id": row["job_id"],
        "occurred_at": _iso(row["occurred_at"]),
        "application_id": link.application_id if link is not None else None,
        "why": ", and ".join(reasons),
    }


def _rule(pays: str, used: dict[str, Any], contract: Contract) -> dict[str, Any]:
    return {
        "pays": pays,
        "words": MODEL_WORDS[pays],
        "model": used["attribution_model"],
        "model_words": MODEL_WORDS[used["attribution_model"]],
        "lookback_days": used["lookback_days"],
        "tie": used["tie"],
        "tie_words": TIE_WORDS.get(used["tie"], used["tie"].replace("_", " ")),
        "changed_since": _changed(used, contract),
    }


def _changed(used: dict[str, Any], contract: Contract) -> list[str]:
    """Which of the contract's rules are others by now than when the tables were made."""
    attribution, bonus = contract.rules.attribution, contract.rules.bonus
    now = {
        "attribution.model": (used["attribution_model"], attribution.model),
        "attribution.lookback_days": (used["lookback_days"], attribution.lookback_days),
        "attribution.tie": (used["tie"], attribution.tie),
        "bonus.amount_cents": (used["bonus_cents"], bonus.amount_cents),
        "bonus.currency": (used["currency"], bonus.currency),
        "bonus.split": (used["bonus_split"], bonus.split),
        "bonus.waiting_days": (used["waiting_days"], bonus.waiting_days),
        "bonus.pay_rehires": (used["pay_rehires"], bonus.pay_rehires),
    }
    return [f"rules.{name}" for name, (then, today) in now.items() if then != today]


def _override(one: Override | None, *, shown: int | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "id": one.id,
        "referral_id": one.referral_id,
        "reason": one.reason,
        "decided_by": one.decided_by,
        "decided_at": _iso(one.decided_at),
        "revoked_at": _iso(one.revoked_at),
        "revoked_reason": one.revoked_reason,
        "in_tables": one.id == shown,
    }


def _bonus(
    tables: Mapping[str, list[dict[str, Any]]], ledger: Ledger, system: str, application_id: str
) -> dict[str, Any]:
    """`cents` is what today's credit divides; what came of it stands in `standings`, one a bonus, or in `none`."""
    row, used, credit = tables["attribution"][0], tables["rules"][0], tables["credit"]
    told = [one for one in ledger.recognitions(application_ids=[application_id]) if one.system == system]
    published = {one["bonus_id"]: one for one in tables["bonuses"]}
    standings = [
        _standing(one, published.get(one.bonus_id), used)
        for one in ledger.bonuses()
        if (one.system, one.application_id) == (system, application_id)
    ]
    none = None if standings else _why_none(row, credit, used)
    return {
        "cents": sum(one["bonus_cents"] for one in credit),
        "currency": used["currency"],
        "split": used["bonus_split"],
        "waiting_days": used["waiting_days"],
        "first_day": _iso(row["starts_on"]),
        "eligible_on": _iso(eligible_on(row["starts_on"], used["waiting_days"])),
        "standings": standings,
        "none": none,
        "none_why": _BONUS_WORDS.get(none) if none is not None else None,
        "steps": [
            {
                "kind": one.kind,
                "referral_id": one.referral_id,
                "advocate_id": one.advocate_id,
                "cents": one.amount_cents,
                "currency": one.currency,
                "state": one.state,
                "decided_at": _iso(one.created_at),
                "sent_at": _iso(one.sent_at),
                "cycle": one.cycle,
            }
            for one in told
        ],
        "payroll": [
            {
                "export_id": one.export_id,
                "referral_id": one.referral_id,
                "advocate_id": one.advocate_id,
                "cents": one.amount_cents,
                "currency": one.currency,
                "state": one.state,
                "eligible_at": _iso(one.eligible_at),
                "exported_at": _iso(one.exported_at),
                "settled_at": _iso(one.settled_at),
            }
            for one in ledger.payroll_steps(system, application_id)
        ],
    }


def _standing(one: Bonus, row: dict[str, Any] | None, used: dict[str, Any]) -> dict[str, Any]:
    """A bonus as the ledger has it now; what only the tables know of it where they have it in the same state."""
    known = row if row is not None and row["state"] == one.state else None
    cents, currency = one.amount_cents, one.currency
    if cents is None:
        cents, currency = (known["amount_cents"], known["currency"]) if known is not None else (None, used["currency"])
    reason = one.reason or (known["reason"] if known is not None else None)
    due = one.eligible_at.astimezone(UTC).date() if one.eligible_at is not None else None
    return {
        "bonus_id": one.bonus_id,
        "referral_id": one.referral_id,
        "advocate_id": one.advocate_id,
        "cycle": one.cycle,
        "state": one.state,
        "cents": cents,
        "currency": currency,
        "reason": reason,
        "why": _BONUS_WORDS.get(reason, reason.replace("_", " ")) if reason is not None else None,
        "eligible_on": _iso(due or (known["eligible_on"] if known is not None else None)),
        "paid_on": _iso(one.paid_on),
        "export_id": one.export_id,
    }


def _why_none(row: dict[str, Any], credit: Sequence[dict[str, Any]], used: dict[str, Any]) -> str:
    """Why the ledger knows no bonus of this application."""
    if row["status"] != "hired":
        return "not_hired"
    if not any(one["weight"] for one in credit):
        return "nobody_credited"
    if not used["bonus_cents"]:
        return "zero"
    return "not_told" if any(one["bonus_cents"] for one in credit) else "rehire"


def _carried(owner: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    carried = {name: owner[f"carried_{name}"] for name in ("advocate_id", "referral_id", "share_id")}
    return {
        **carried,
        "carries_unknown": owner["carries_unknown"],
        "differs": sorted(name for name, value in carried.items() if value != row[name]),
    }


# ---------------------------------------------------------------- values


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _iso(value) if isinstance(value, date) else _number(value) for name, value in row.items()}


def _number(value: Any) -> Any:
    return value if value is None or isinstance(value, int | str | bool) else _text(value)


def _text(value: Any) -> str | None:
    return None if value is None else f"{value:f}"


def _iso(value: datetime | date | None) -> str | None:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return value.isoformat() if value is not None else None
