"""The data-flow map: what travels from where to where, made from the contract and from nothing else.

Belongs here: the list of flows that a contract switches on, and its rendering as Markdown with a Mermaid diagram. Does
not belong here: doing any of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from referral_pipeline.contract.fields import PERSON_FIELDS, find_field
from referral_pipeline.contract.models import Contract
from referral_pipeline.contract.problems import one_line
from referral_pipeline.contract.systems import LACKS, facts_of, lacking

_NONE = "none"
_PLACES = {
    "advocacy": "Advocacy platform",
    "ats": "ATS",
    "crm": "CRM",
    "costs": "Cost files",
    "manual": "Manual intake",
    "ledger": "Ledger",
    "warehouse": "Warehouse",
    "published": "Published tables and report",
}
_STORES = {"ledger", "warehouse"}


@dataclass(frozen=True)
class FlowField:
    """A field on its way: its name for people, and its name under `privacy.regulated_fields` when it is personal."""

    name: str
    personal: str | None = None


@dataclass(frozen=True)
class Flow:
    """One kind of record on its way; `origin` and `destination` are keys of `_PLACES`."""

    name: str
    record: str
    origin: str
    destination: str
    trigger: str
    fields: tuple[FlowField, ...]
    system_of_record: str
    consent: str = "none needed: no candidate data"

    def regulated(self, contract: Contract) -> tuple[str, ...]:
        """The fields that the contract calls regulated."""
        listed = contract.privacy.regulated_fields
        return tuple(field.name for field in self.fields if field.personal in listed)


def flows_of(contract: Contract) -> list[Flow]:
    """Every flow that the contract switches on, in the order of an event's way."""
    flows = [*_ingest(contract), *_costs(contract), *_manual_intake(contract), _stores()]
    if contract.phases.candidate_creation:
        flows += _write_back(contract)
    if contract.phases.status_return:
        flows.append(_status_return(contract))
        flows += [] if "results" in lacking(contract.advocacy.connector) else [_results()]
    flows.append(_recognitions())  # the lane tells of hires whichever phases are on
    flows.append(_jobs(contract))
    if contract.crm is not None and contract.phases.candidate_creation:
        flows.append(_crm(contract))
    flows.append(_publishing())
    return flows


def data_flow_map(contract: Contract) -> str:
    """The map as Markdown: a Mermaid flowchart, a table of the flows, and what holds for all of them."""
    flows = flows_of(contract)
    parts = [
        "# Data-flow map",
        f"Made from the contract by `referral-pipeline map`. Environment: {contract.environment}. "
        f"Owner: {_text(contract.owner.name)} ({_text(contract.owner.email)}).",
        "```mermaid\n" + "\n".join(_diagram(contract, flows)) + "\n```",
        "Thick arrows carry fields that the contract calls regulated; in the table these are bold.",
        "\n".join(_table(contract, flows)),
        "## What holds for all of them",
        "\n".join(f"- {line}" for line in _conditions(contract)),
        "## Who answers",
        "\n".join(_owners(contract)),
    ]
    return "\n\n".join(parts) + "\n"


# ---------------------------------------------------------------- the flows


_LACKING_RECORDS = {"content": "content", "share": "shares", "click": "clicks"}
_LACKING_FIELDS = {
    "content": ("campaign_tag",),
    "shares": ("share_id",),
    "clicks": ("engagement",),
    "consent": ("consent",),
    "country": ("country",),
    "status_at": ("status_at",),
}
"""What a pull does not bring from a platform that lacks something."""


def _ingest(contract: Contract) -> Iterator[Flow]:
    sync = contract.sync
    trigger = (
        f"each refresh: what changed, {sync.lookback_minutes} min of look-back; all every {sync.full_pull_hours} h"
    )
    consent = _consent_words(contract)
    advocacy: dict[str, tuple[FlowField, ...]] = {
        "advocate": (
            *_plain("id"),
            FlowField("email", "advocate_email"),
            *_plain("department", "eligible", "joined_at", "left_at"),
        ),
        "content": _plain("id", "title", "campaign_tag", "job_id", "published_at"),
        "share": _plain("id", "advocate_id", "content_id", "job_id", "channel", "shared_at", "reach"),
        "click": (*_plain("id", "share_id"), FlowField("visitor_id", "visitor_id"), *_plain("clicked_at")),
        "referral": (
            *_plain("id", "advocate_id", "share_id", "job_id", "campaign_tag", "stage", "submitted_at", "applied_at"),
            *_person(*PERSON_FIELDS),
            *_plain("consent", "engagement", "status", "status_at"),
        ),
    }
    ats: dict[str, tuple[FlowField, ...]] = {
        "job": _plain("id", "title", "status", "department", "location", "url"),
        "candidate": (*_plain("id"), *_person("first_name", "last_name", "email", "phone")),
        "application": _plain("id", "candidate_id", "job_id", "stage", "status", "dates", "source", "custom fields"),
        "offer": _plain("id", "application_id", "status", "resolved_at", "starts_on"),
    }
    lacks = lacking(contract.advocacy.connector)
    unknown = {field for name in lacks for field in _LACKING_FIELDS.get(name, ())}
    advocacy = {
        record: tuple(one for one in fields if one.name not in unknown)
        for record, fields in advocacy.items()
        if _LACKING_RECORDS.get(record) not in lacks
    }
    for origin, records in (("advocacy", advocacy), ("ats", ats)):
        for record, fields in records.items():
            holds_candidate = record in {"referral", "candidate", "application", "offer"}
            owner = _record_owner(contract, record)
            basis = consent if record == "referral" else "the ATS's own" if holds_candidate else Flow.consent
            yield Flow("ingest", record, origin, "warehouse", trigger, fields, owner, basis)


def _costs(contract: Contract) -> Iterator[Flow]:
    if contract.costs is not None:
        fields = _plain("period", "channel", "kind", "amount", "currency", "allocation_key", "note")
        yield Flow("costs", "cost", "costs", "warehouse", "each refresh: every file, whole", fields, _PLACES["costs"])


def _manual_intake(contract: Contract) -> Iterator[Flow]:
    if contract.verification.parallel_run is not None:
        personal = ("first_name", "last_name", "email", "phone", "country")
        fields = (
            *_plain("record_id", "entered_at"),
            *(FlowField(name, name) for name in personal),
            *_plain("job_id", "advocate_id", "campaign_tag", "status"),
        )
        trigger, basis = "each refresh: every file, whole", "as those who keep it by hand have asked for"
        yield Flow("manual intake", "manual row", "manual", "warehouse", trigger, fields, _PLACES["manual"], basis)


def _stores() -> Flow:
    hashes = _plain("keyed hash of e-mail", "keyed hash of phone")
    return Flow(
        "identity keys and links",
        "link",
        "warehouse",
        "ledger",
        "each refresh",
        (*_plain("referral_id", "person_id", "candidate id", "application id"), *hashes),
        _PLACES["ledger"],
        "that of the records they were made from",
    )


def _write_back(contract: Contract) -> Iterator[Flow]:
    trigger = f"a referral has reached the stage {contract.rules.create_when_stage} and passed the gate"
    consent = _consent_words(contract)
    owner = contract.systems_of_record
    yield Flow(
        "candidate creation",
        "candidate",
        "advocacy",
        "ats",
        f"{trigger}; a match by {' or '.join(contract.rules.dedupe.match_on)} keeps the values that the ATS holds",
        (*_person("first_name", "last_name", "email", "phone"), *_credited_natively(contract)),
        _title(contract, owner.candidate),
        consent,
    )
    tags = contract.tag_sources()
    transformed = contract.transforms()
    enriching = {name: path for name, path in tags.items() if path.startswith("engagement.")}
    plain = {name: path for name, path in tags.items() if name not in enriching}
    for name, chosen, when in (
        ("application tags", plain, f"{trigger}; again when credit moves"),
        ("content enrichment", enriching, "with the application's tags, and when the counts change"),
    ):
        if chosen:
            fields = tuple(
                _mapped(f"advocacy.{path}", f"{target} (transformed)" if target in transformed else target)
                for target, path in chosen.items()
            )
            yield Flow(
                name, "application", "advocacy", "ats", when, fields, _title(contract, owner.application), consent
            )


def _credited_natively(contract: Contract) -> tuple[FlowField, ...]:
    """The advocate's address, where the ATS is told it with a candidate (Greenhouse by a partner's key)."""
    return (FlowField("advocate's e-mail", "advocate_email"),) if contract.ats.options.get("ingestion") else ()


def _status_return(contract: Contract) -> Flow:
    lacks = lacking(contract.advocacy.connector)
    sources = {target: path for target, path in contract.status_sources().items() if target not in lacks}
    fields = tuple(_mapped(f"ats.{path}", target) for target, path in sources.items())
    trigger = "the application's status has changed in the ATS"
    owner = _title(contract, contract.systems_of_record.application)
    return Flow("status return", "referral", "ats", "advocacy", trigger, fields, owner, _consent_words(contract))


_OF_ADVOCATES = "none needed: no candidate data; the advocate's own counts and pay, by id"


def _recognitions() -> Flow:
    fields = _plain("referral_id", "kind", "amount_cents", "currency")
    trigger = "a hire, the end of its waiting period, or the end of either"
    return Flow("recognition", "recognition", "ledger", "advocacy", trigger, fields, _PLACES["ledger"], _OF_ADVOCATES)


def _results() -> Flow:
    fields = _plain(
        *("advocate_id", "as_of", "shares", "clicks", "referrals", "applications", "interviews", "offers", "hires"),
        *("conversion", "credit", "bonuses", "next_eligible_on"),
    )
    trigger = "each refresh, for every advocate for whom any of it changed"
    owner = _PLACES["warehouse"]
    return Flow("results return", "advocate results", "warehouse", "advocacy", trigger, fields, owner, _OF_ADVOCATES)


def _jobs(contract: Contract) -> Flow:
    fields = _plain("title", "status", "location", "url")
    trigger = "a job opens, closes or changes; drafts stay"
    return Flow("job postings", "job", "ats", "advocacy", trigger, fields, _record_owner(contract, "job"))


def _crm(contract: Contract) -> Flow:
    trigger = (
        "each refresh, for every person with an application from a referral for whom any of it changed; names, address "
        "and number when the contact is created only; an erased person's contact is erased"
    )
    fields = (
        *_person("first_name", "last_name", "email", "phone"),
        *(_mapped(source, target) for target, source in contract.crm_sources().items()),
    )
    owner = _title(contract, contract.systems_of_record.candidate)
    return Flow("CRM contact", "contact", "advocacy", "crm", trigger, fields, owner, _consent_words(contract))


def _publishing() -> Flow:
    fields = _plain("person_id", "attribution", "credit", "status history", "KPIs")
    trigger = "the blocking checks of a refresh have passed"
    return Flow(
        "publishing", "attribution", "warehouse", "published", trigger, fields, _PLACES["warehouse"], "no personal data"
    )


def _plain(*names: str) -> tuple[FlowField, ...]:
    return tuple(FlowField(name) for name in names)


def _person(*names: str) -> tuple[FlowField, ...]:
    return tuple(FlowField(name, name) for name in names)


def _mapped(source: str, target: str) -> FlowField:
    spec = find_field(source)
    return FlowField(f"{source} → {target}", spec.personal if spec else None)


def _record_owner(contract: Contract, record: str) -> str:
    records = contract.systems_of_record
    sides: dict[str, str] = {name: getattr(records, name) for name in type(records).model_fields}
    return _title(contract, sides.get(record, records.application))


def _consent_words(contract: Contract) -> str:
    where = f"recorded in {_title(contract, contract.systems_of_record.consent)}"
    if "consent" in lacking(contract.advocacy.connector):
        where = "as this contract declares it"
    need = "required before any write" if contract.privacy.require_consent else "not required by this contract"
    return f"the candidate's consent, {where}; {need}"


def _title(contract: Contract, side: str) -> str:
    system = {str(known): system for known, system in contract.systems().items()}.get(side)
    facts = facts_of(system.connector) if system else None
    return facts.title if facts else _PLACES[side]


# ---------------------------------------------------------------- Markdown and Mermaid


def _diagram(contract: Contract, flows: Iterable[Flow]) -> Iterator[str]:
    grouped: dict[tuple[str, str, str], bool] = {}
    records: dict[tuple[str, str, str], list[str]] = {}
    for flow in flows:
        key = (flow.origin, flow.destination, flow.name)
        grouped[key] = grouped.get(key, False) or bool(flow.regulated(contract))
        records.setdefault(key, []).append(flow.record)
    places = dict.fromkeys(place for origin, destination, _ in grouped for place in (origin, destination))
    yield "flowchart LR"
    for place in places:
        title = _title(contract, place)
        yield f'    {place}[("{title}")]' if place in _STORES else f'    {place}["{title}"]'
    for (origin, destination, name), is_regulated in grouped.items():
        arrow = "==>" if is_regulated else "-->"
        yield f'    {origin} {arrow}|"{name}: {", ".join(records[origin, destination, name])}"| {destination}'


def _table(contract: Contract, flows: Iterable[Flow]) -> Iterator[str]:
    head = (
        "Flow",
        "Record type",
        "Origin",
        "Destination",
        "Trigger",
        "Fields",
        "Regulated",
        "System of record",
        "Consent basis",
    )
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for flow in flows:
        regulated = flow.regulated(contract)
        fields = ", ".join(f"**{field.name}**" if field.name in regulated else field.name for field in flow.fields)
        cells = (
            flow.name,
            flow.record,
            _title(contract, flow.origin),
            _title(contract, flow.destination),
            flow.trigger,
            fields,
            ", ".join(regulated) or _NONE,
            flow.system_of_record,
            flow.consent,
        )
        yield f"| {' | '.join(cells)} |"


def _conditions(contract: Contract) -> Iterator[str]:
    privacy = contract.privacy
    yield f"Residency: only candidates in {', '.join(privacy.allowed_countries)} are written to another system."
    yield f"Retention: {privacy.retention_days} days."
    yield f"Regulated fields: {', '.join(privacy.regulated_fields)}."
    yield "Withdrawal or withdrawn consent ends every further write; what was written is kept."
    yield "The warehouse keeps personal data in `raw` and `staging` only; all that is published carries `person_id`."
    yield "The ledger keeps ids and keyed hashes; bodies that hold personal data are encrypted."
    lacks = lacking(contract.advocacy.connector)
    if declared := [LACKS[name] for name in ("consent", "country") if name in lacks]:
        title = _title(contract, "advocacy")
        yield f"{title} tells neither {' nor '.join(declared)}: advocacy.options declares it, in its owner's words."
    phases = contract.phases
    off = [name for name in type(phases).model_fields if not getattr(phases, name)]
    if off:
        yield f"Switched off, so nothing of it travels: {', '.join(name.replace('_', ' ') for name in off)}."


def _owners(contract: Contract) -> Iterator[str]:
    yield "| What | Target for 90 days | Owner |"
    yield "|---|---|---|"
    yield f"| the integration | {_NONE} | {_text(contract.owner.email)} |"
    for kpi in contract.objectives.kpis:
        yield f"| {kpi.name} | {kpi.target:g} | {_text(kpi.owner)} |"


def _text(words: str) -> str:
    """Free text of the contract in one line, with what Markdown and HTML would read escaped."""
    escaped = one_line(words).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{c}" if c in "\\`*_[]|" else c for c in escaped)
