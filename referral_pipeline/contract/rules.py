"""The rules over a contract that no single value can tell: objectives, phases, systems, mappings.

Belongs here: one function per rule, from valid sections to problems. Does not belong here: the shape of a section
(`sections`), reading the file (`loader`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from referral_pipeline.contract import sections
from referral_pipeline.contract.fields import (
    ANY_KIND,
    CRM_PROPERTIES,
    CUSTOM_FIELDS,
    FieldSpec,
    find_field,
    known_paths,
)
from referral_pipeline.contract.kpi_names import OBJECTIVES
from referral_pipeline.contract.problems import Problem, close_match, listed, one_line, shown
from referral_pipeline.contract.systems import absent_fields, connectors_of, facts_of
from referral_pipeline.contract.values import is_loopback
from referral_pipeline.vocabulary import ATTRIBUTION_FIELDS, Side


def problems_in(present: Mapping[str, Any]) -> list[Problem]:
    """Every problem that the rules find in the sections at hand; a rule whose sections are missing is skipped."""
    found: list[Problem] = []
    for needs, rule in _RULES:
        if all(name in present for name in needs):
            found.extend(rule(*(present[name] for name in needs)))
    return found


def objective_problems(objectives: sections.Objectives) -> Iterator[Problem]:
    """A KPI promised twice, and an objective that no KPI would tell of."""
    names = Counter(kpi.name for kpi in objectives.kpis)
    for name in (name for name, times in names.items() if times > 1):
        yield Problem(
            "objectives.kpis", f"found {name} {names[name]} times; allowed: each KPI once", "Keep one of them"
        )
    for objective in objectives.primary:
        serving = OBJECTIVES[objective]
        if not names.keys() & set(serving):
            yield Problem(
                "objectives.kpis",
                f"found no KPI for the objective {objective}; allowed: one or more of {listed(serving)}",
                f"Add {serving[0]} with a target and an owner, or drop the objective",
            )


def phase_problems(phases: sections.Phases) -> Iterator[Problem]:
    """A phase that depends on one that is off."""
    for name in ("status_return", "content_enrichment"):
        if getattr(phases, name) and not phases.candidate_creation:
            yield Problem(
                f"phases.{name}",
                "found on while candidate_creation is off; allowed: on only together with candidate_creation",
                f"Switch candidate_creation on, or {name} off",
            )


def consent_problems(systems_of_record: sections.SystemsOfRecord) -> Iterator[Problem]:
    """Consent kept where the gate does not read it: a rule that nobody enforces is worse than none."""
    if systems_of_record.consent != "advocacy":
        yield Problem(
            "systems_of_record.consent",
            f"found {systems_of_record.consent}; allowed: advocacy, whose referrals carry what the gate reads",
            "Record consent on the advocacy platform, and say advocacy here",
        )


def merge_problems(rules: sections.Rules, ats: sections.System | None) -> Iterator[Problem]:
    """Merges asked of an ATS that offers none, or whose connector cannot."""
    facts = facts_of(ats.connector) if ats is not None else None
    if facts is not None and rules.dedupe.merge_in_ats and not facts.merges_candidates:
        known = (facts_of(name) for name in connectors_of(Side.ATS))
        able = [one.name for one in known if one is not None and one.merges_candidates]
        yield Problem(
            "rules.dedupe.merge_in_ats",
            f"found on with {facts.name}, which cannot merge candidates; allowed: on only with {listed(able)}",
            f"Write off: decisions join the records here, and recruiters merge them in {facts.title}",
        )


def _connector_rule(side: Side) -> Callable[[sections.System | None], Iterator[Problem]]:
    def check(system: sections.System | None) -> Iterator[Problem]:
        allowed = connectors_of(side)
        if system is not None and system.connector not in allowed:
            meant = close_match(system.connector, allowed)
            yield Problem(
                f"{side}.connector",
                f"found {shown(system.connector)}; allowed: {listed(allowed)}",
                f"Did you mean {meant}?" if meant else "Take a connector of this side",
            )
        facts = facts_of(system.connector) if system is not None and system.connector in allowed else None
        if system is None or facts is None:
            return
        if facts.auth != "none" and not system.base_url:
            yield Problem(
                f"{side}.base_url",
                "found nothing; allowed: http(s)://host[:port][/path]",
                f"Write the address of the API of {facts.title}" + (f": {facts.live_url}" if facts.live_url else ""),
            )
        if facts.auth != "none" and not system.client_secret_env:
            yield Problem(
                f"{side}.client_secret_env",
                "found nothing; allowed: the name of an environment variable",
                f"{facts.title} is called with a secret: name the variable that holds it",
            )
        if facts.auth == "client" and system.client_id_env is None:
            yield Problem(
                f"{side}.client_id_env",
                "found nothing; allowed: the name of an environment variable",
                f"{facts.title} is called with a client id and a secret: name the variable of the id",
            )
        if facts.signs_webhooks and system.webhook_secret_env is None:
            yield Problem(
                f"{side}.webhook_secret_env",
                "found nothing; allowed: the name of an environment variable",
                f"{facts.title} signs its webhooks: name the variable of the secret",
            )

    return check


def _production_rule(side: Side) -> Callable[[str, sections.System | None], Iterator[Problem]]:
    def check(environment: str, system: sections.System | None) -> Iterator[Problem]:
        if environment != "production" or system is None:
            return
        for name, url in (("base_url", system.base_url), ("auth_url", system.auth_url)):
            fault = production_fault(url) if url else None
            if fault:
                yield Problem(
                    f"{side}.{name}",
                    f"found {fault} in environment production; allowed: https to a host that is not this machine",
                    "Write the live https address, or set environment to sandbox",
                )

    return check


def production_fault(url: str) -> str | None:
    """Why an address may not be used in production; None when it may."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        return f"{parts.scheme}"
    return "a loopback host" if is_loopback(parts.hostname or "") else None


def alert_problems(environment: str, monitoring: sections.Monitoring) -> Iterator[Problem]:
    """Alerts that would travel in the clear, in production."""
    if environment != "production":
        return
    for index, channel in enumerate(monitoring.alerts):
        key = f"monitoring.alerts[{index}]"
        if isinstance(channel, sections.WebhookChannel) and (fault := production_fault(channel.url)):
            yield Problem(
                f"{key}.url",
                f"found {fault} in environment production; allowed: https to a host that is not this machine",
                "Write the live https address, or set environment to sandbox",
            )
        if isinstance(channel, sections.EmailChannel) and not channel.encrypted and not is_loopback(channel.smtp_host):
            yield Problem(
                f"{key}.starttls",
                "found off in environment production; allowed: on, or a mail server on this machine",
                "Write on",
            )


def mapping_problems(mappings: Sequence[sections.Mapping]) -> list[Problem]:
    """At most one problem per mapping: unknown field, cycle, two writers of one field, wrong way, foreign field."""
    problems: dict[int, Problem] = {}
    known: dict[int, tuple[FieldSpec, FieldSpec]] = {}
    for index, mapping in enumerate(mappings):
        ends = (_field_or_problem(index, "from", mapping.source), _field_or_problem(index, "to", mapping.target))
        wrong = [end for end in ends if isinstance(end, Problem)]
        if wrong:
            problems[index] = wrong[0]
        elif isinstance(ends[0], FieldSpec) and isinstance(ends[1], FieldSpec):
            known[index] = (ends[0], ends[1])
    in_cycle = _report_cycles(known, problems)
    _report_repeated_targets({i: ends for i, ends in known.items() if i not in in_cycle}, problems)
    for index, (source, target) in known.items():
        if index not in problems and index not in in_cycle:
            problem = _direction_problem(index, source, target) or _transform_problem(index, source, target, mappings)
            if problem:
                problems[index] = problem
    return [problems[index] for index in sorted(problems)]


def lacking_problems(mappings: Sequence[sections.Mapping], advocacy: sections.System | None) -> Iterator[Problem]:
    """A mapping of a field that the platform of this contract does not have: it would stay empty for ever."""
    facts = facts_of(advocacy.connector) if advocacy is not None else None
    absent = absent_fields(facts) if facts is not None else frozenset[str]()
    for index, mapping in enumerate(mappings):
        for end, path in (("from", mapping.source), ("to", mapping.target)):
            if facts is not None and path in absent:
                yield Problem(
                    f"mappings[{index}].{end}",
                    f"found {path}, which {facts.title} does not have; allowed: fields that it has",
                    "Remove this mapping",
                )


def crm_mapping_problems(mappings: Sequence[sections.Mapping], crm: sections.System | None) -> Iterator[Problem]:
    """Something mapped to a CRM that is not there."""
    for index, mapping in enumerate(mappings) if crm is None else ():
        if mapping.target.startswith(CRM_PROPERTIES):
            yield Problem(
                f"mappings[{index}].to",
                f"found {shown(one_line(mapping.target))} while crm is null; allowed: with a section crm only",
                "Remove this mapping, or name the CRM under crm",
            )
            return


def _field_or_problem(index: int, end: str, path: str) -> FieldSpec | Problem:
    spec = find_field(path)
    if spec is not None:
        return spec
    if path.startswith(CRM_PROPERTIES):
        return Problem(
            f"mappings[{index}].{end}",
            f"found {shown(one_line(path))}; allowed: {CRM_PROPERTIES}referral_<name> of a-z, 0-9 and _",
            "Write to a property of the integration's own: a contact's other properties belong to people",
        )
    meant = close_match(path, known_paths())
    return Problem(
        f"mappings[{index}].{end}",
        f"found {shown(one_line(path))}, a field that is not known; allowed: a path side.record.field of the catalogue",
        f"Did you mean {meant}?" if meant else "Run `referral-pipeline map` to see the fields that travel",
    )


def _report_cycles(known: Mapping[int, tuple[FieldSpec, FieldSpec]], problems: dict[int, Problem]) -> set[int]:
    """Report each cycle once, at its first mapping. Returns the indices of all mappings on a cycle."""
    onward: dict[str, list[tuple[str, int]]] = {}
    for index, (source, target) in known.items():
        onward.setdefault(source.path, []).append((target.path, index))
    on_cycle: set[int] = set()
    for index, (source, target) in known.items():
        if index in on_cycle:
            continue
        way = _way(onward, start=target.path, goal=source.path)
        if way is None:
            continue
        indices = [index, *(i for _, i in way)]
        on_cycle.update(indices)
        chain = [source.path, target.path, *(path for path, _ in way)]
        problems[index] = Problem(
            f"mappings[{index}]",
            f"found a cycle: {' -> '.join(chain)}; allowed: each field travels one way",
            "Keep the mapping that leaves the system of record and remove the other",
        )
    return on_cycle


def _way(onward: Mapping[str, list[tuple[str, int]]], *, start: str, goal: str) -> list[tuple[str, int]] | None:
    """The steps (path reached, mapping used) that lead from one field to another; None when there is no way."""
    reached: dict[str, list[tuple[str, int]]] = {start: []}
    waiting = [start]
    while waiting:
        here = waiting.pop(0)
        if here == goal:
            return reached[here]
        for path, index in onward.get(here, ()):
            if path not in reached:
                reached[path] = [*reached[here], (path, index)]
                waiting.append(path)
    return None


def _report_repeated_targets(known: Mapping[int, tuple[FieldSpec, FieldSpec]], problems: dict[int, Problem]) -> None:
    first: dict[str, int] = {}
    for index, (_, target) in known.items():
        if target.path in first:
            problems[index] = Problem(
                f"mappings[{index}].to",
                f"found {target.path}, written by mappings[{first[target.path]}] already; allowed: one source",
                "Keep one of the two",
            )
        else:
            first[target.path] = index


def _direction_problem(index: int, source: FieldSpec, target: FieldSpec) -> Problem | None:
    """Whether this source may be written to this target, and if not, the first reason."""
    for end, spec in (("from", source), ("to", target)):
        if spec.travels_with:
            return Problem(
                f"mappings[{index}].{end}",
                f"found {spec.path}, which travels with {spec.travels_with} by itself; allowed: other fields",
                "Remove this mapping",
            )
    if source.side is target.side:
        return Problem(
            f"mappings[{index}]",
            f"found both ends on the {source.side} side; allowed: from one side to the other",
            "Write from: and to: with different sides",
        )
    if target.side is Side.CRM and source.side is Side.ATS and not source.path.startswith("ats.application."):
        return Problem(
            f"mappings[{index}].from",
            f"found {source.path}; allowed for a contact: ats.application.<field> and fields of the advocacy platform",
            "Take a field of the application",
        )
    if target.side is not Side.CRM and target.written_by is not source.side:
        return Problem(
            f"mappings[{index}].to",
            f"found {target.path}, a field of the {target.side} side that {source.side} may not write; "
            f"allowed: {_writable_words(source.side)}",
            "Write to a field of the integration's own",
        )
    if not source.readable:
        return Problem(
            f"mappings[{index}].from",
            f"found {source.path}, which is written from {source.written_by} and not read; allowed: its own fields",
            "Turn the mapping round",
        )
    if target.kind not in (ANY_KIND, source.kind):
        return Problem(
            f"mappings[{index}]",
            f"found {source.path} ({source.kind}) written to {target.path} ({target.kind}); allowed: one kind",
            "Write each value to the field that is meant for it",
        )
    return None


def _transform_problem(
    index: int, source: FieldSpec, target: FieldSpec, mappings: Sequence[sections.Mapping]
) -> Problem | None:
    """Whether a value may be changed on its way to this target; what is read back, or has fixed words, may not."""
    transform = mappings[index].transform
    if transform is None:
        return None
    key = f"mappings[{index}].transform"
    name = target.path.removeprefix(CUSTOM_FIELDS)
    if target.side is Side.ADVOCACY:
        return Problem(
            key,
            f"found one for {target.path}, which has fixed words; allowed: fields of the ATS",
            "Remove it; stages get their common words in stage_map",
        )
    if name in ATTRIBUTION_FIELDS:
        return Problem(
            key,
            f"found one for {target.path}, from which attribution is read back; allowed: a field of another name",
            "Carry it as it is, and the transformed value to a field of its own",
        )
    if transform.date is not None and source.kind not in _DATED:
        return Problem(
            f"{key}.date",
            f"found a format for {source.path} ({source.kind}); allowed: for times and dates",
            "Use map or template",
        )
    return None


def _writable_words(writer: Side) -> str:
    if writer is Side.ADVOCACY:
        return "ats.application.custom_fields.<name>"
    if writer is Side.CRM:
        return "nothing: the CRM is written to, not read from"
    return "advocacy.referral.status, status_at, hired_at, starts_on, ats"


_DATED = frozenset({"time", "date", "hire time", "start date", "status time"})
_Rule = Callable[..., Iterable[Problem]]
_RULES: tuple[tuple[tuple[str, ...], _Rule], ...] = (
    (("objectives",), objective_problems),
    (("systems_of_record",), consent_problems),
    (("phases",), phase_problems),
    (("rules", "ats"), merge_problems),
    *(((side.value,), _connector_rule(side)) for side in Side),
    *((("environment", side.value), _production_rule(side)) for side in Side),
    (("mappings",), mapping_problems),
    (("mappings", "advocacy"), lacking_problems),
    (("mappings", "crm"), crm_mapping_problems),
    (("environment", "monitoring"), alert_problems),
)
