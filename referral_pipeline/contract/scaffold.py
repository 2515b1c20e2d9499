"""The first contract: text of integration.yaml and .env.example for the systems that somebody chose.

Belongs here: the two texts, commented for the person who will own them. Does not belong here: checking them (`loader`),
writing them to disk (`starter`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from referral_pipeline.contract.fields import REGULATED_NAMES
from referral_pipeline.contract.kpi_names import KPI_NAMES, OBJECTIVES
from referral_pipeline.contract.systems import SANDBOX_OPTIONS, SystemFacts, absent_fields, facts_of
from referral_pipeline.vocabulary import CandidateStatus


@dataclass(frozen=True)
class Choices:
    """What `init` asks for. Connectors by name (see `systems`), e-mail addresses, countries as ISO 3166 alpha-2.

    `costs` and `manual_intake` are the paths of the files; without one its section is written as a comment. `urls` and
    `options` are answers that replace the usual address or options of a side's system.
    """

    advocacy: str = "advocacy"
    ats: str = "greenhouse"
    crm: str | None = None
    environment: str = "sandbox"
    owner_name: str = "Talent Operations"
    owner_email: str = "talent-ops@example.com"
    kpi_owner: str | None = None
    countries: tuple[str, ...] = ("US", "DE", "FR")
    currency: str = "USD"
    costs: str | None = None
    manual_intake: str | None = None
    urls: Mapping[str, str] = field(default_factory=dict[str, str])
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])


LOCAL_SANDBOX = Choices(
    kpi_owner="talent-analytics@example.com",
    costs="data/samples/costs.csv",
    manual_intake="data/samples/manual_intake.csv",
)
"""The choices behind data/integration.yaml."""

_MAPPINGS = (
    ("advocacy.referral.id", "ats.application.custom_fields.referral_id"),
    ("advocacy.advocate.id", "ats.application.custom_fields.advocate_id"),
    ("advocacy.share.id", "ats.application.custom_fields.share_id"),
    ("advocacy.content.id", "ats.application.custom_fields.content_id"),
    ("advocacy.referral.campaign_tag", "ats.application.custom_fields.campaign_tag"),
    ("advocacy.engagement.clicks", "ats.application.custom_fields.clicks"),
    ("advocacy.engagement.shares", "ats.application.custom_fields.shares"),
    ("advocacy.engagement.reach", "ats.application.custom_fields.reach"),
    ("ats.application.id", "advocacy.referral.ats"),
    ("ats.application.status", "advocacy.referral.status"),
    ("ats.application.status_at", "advocacy.referral.status_at"),
    ("ats.application.hired_at", "advocacy.referral.hired_at"),
    ("ats.application.starts_on", "advocacy.referral.starts_on"),
)
_CRM_MAPPINGS = (
    ("advocacy.referral.id", "crm.contact.properties.referral_id"),
    ("advocacy.advocate.id", "crm.contact.properties.referral_advocate_id"),
    ("advocacy.share.id", "crm.contact.properties.referral_share_id"),
    ("advocacy.content.id", "crm.contact.properties.referral_content_id"),
    ("advocacy.referral.campaign_tag", "crm.contact.properties.referral_campaign_tag"),
    ("ats.application.id", "crm.contact.properties.referral_ats_application_id"),
    ("ats.application.candidate_id", "crm.contact.properties.referral_ats_candidate_id"),
    ("ats.application.status", "crm.contact.properties.referral_status"),
    ("ats.application.hired_at", "crm.contact.properties.referral_hired_at"),
)
_STAGES: Mapping[str, CandidateStatus] = {
    "Phone Screen": CandidateStatus.INTERVIEWED,
    "Face to Face": CandidateStatus.INTERVIEWED,
    "Offer": CandidateStatus.OFFERED,
}
_STAGE_MAPS: Mapping[str, Mapping[str, CandidateStatus]] = {
    "greenhouse": _STAGES,
    "lever": _STAGES,
    # The first stage and the offer are known by their types.
    "ashby": {"Phone Screen": CandidateStatus.INTERVIEWED, "Face to Face": CandidateStatus.INTERVIEWED},
}


def sandbox_contract() -> str:
    """The contract of the local sandbox: the embedded default, and the text of data/integration.yaml."""
    return integration_yaml(LOCAL_SANDBOX)


def integration_yaml(choices: Choices) -> str:
    """The contract for these choices, as commented YAML.

    Raises:
        KeyError: a connector that is not known.
    """
    kpi_owner = choices.kpi_owner or choices.owner_email
    sections = [
        _HEAD,
        "version: 1",
        "",
        "# sandbox or production. Production takes https addresses only, and starts after `go-live` has been approved.",
        f"environment: {_scalar(choices.environment)}",
        "",
        "# Who answers for the integration and hears its alerts.",
        f"owner: {{name: {_scalar(choices.owner_name)}, email: {_scalar(choices.owner_email)}}}",
        "",
        "# What the programme wants, and how you will know: each objective needs a KPI, each KPI a target for the",
        "# first 90 days and an owner.",
        *_wrapped("Objectives", OBJECTIVES),
        *_wrapped("KPIs", KPI_NAMES),
        "objectives:",
        "  primary: [attribute_hires, automate_bonuses, enrich_profiles]",
        "  horizon_days: 90 # a rate counts what happens within so many days, and is shown once they have passed",
        "  kpis:",
        *(
            f"    - {{name: {name}, target: {target}, owner: {_scalar(kpi_owner)}}}"
            for name, target in (
                ("referral_conversion_rate", "0.06"),
                ("time_to_hire_days", "45"),
                ("attribution_coverage", "0.95"),
            )
        ),
        "",
        "# Whose value counts when two systems differ. Only consent is a choice.",
        "systems_of_record:",
        "  {candidate: ats, application: ats, job: ats, advocate: advocacy, content: advocacy, consent: advocacy}",
        "",
        "# Which flows run. The second and the third need the first.",
        "phases:",
        "  candidate_creation: on # referrals become candidates and applications in the ATS",
        "  status_return: on # what happens to them is told to the advocacy platform",
        *_enrichment(known(choices.advocacy)),
        "",
        "# The systems. Secrets never stand here: each *_env names an environment variable (see .env.example).",
        *_system("advocacy", known(choices.advocacy), choices),
        *_system("ats", known(choices.ats), choices),
        *(_system("crm", known(choices.crm), choices) if choices.crm else ["crm: null"]),
        "",
        _RULES.format(currency=_scalar(choices.currency)),
        "# What is carried from one side to the other. The ATS takes the integration's own fields only, the advocacy",
        "# platform takes status, dates and ids only; `referral-pipeline map` draws the whole.",
        "mappings:",
        *(f"  - {{from: {source}, to: {target}}}" for source, target in _mappings(choices)),
        "",
        "# Your own stage names in the common words: " + ", ".join(CandidateStatus) + ".",
        "# A stage that is missing here counts as in_review and raises an alert.",
        *_stage_map(choices.ats),
        "",
        *_costs(choices),
        "",
        "# Nobody is written to another system without consent, or from a country that is not listed.",
        "privacy:",
        "  require_consent: on",
        f"  allowed_countries: [{', '.join(_scalar(country) for country in choices.countries)}] # ISO 3166 alpha-2",
        f"  regulated_fields: [{', '.join(REGULATED_NAMES)}]",
        "  retention_days: 730",
        "",
        _OPERATION,
        *_verification(choices),
        "",
        _STORES.rstrip(),
    ]
    return "\n".join(sections) + "\n"


def env_example(choices: Choices) -> str:
    """Every variable that the contract of these choices needs or knows, with a comment and without a value."""
    chosen = [known(choices.advocacy), known(choices.ats), *([known(choices.crm)] if choices.crm else [])]
    blocks = [_ENV_HEAD]
    for facts in chosen:
        if facts.auth == "none":
            continue
        named = {secret_name(facts): "the API key" if facts.auth == "api_key" else "the secret of that client"}
        if facts.auth == "client":
            named = {f"{facts.stem}_CLIENT_ID": "the client that the integration signs in as", **named}
        if facts.signs_webhooks:
            named[f"{facts.stem}_WEBHOOK_SECRET"] = "the secret that signs its webhooks"
        blocks.append("".join(f"# {facts.title}: {what}.\n{name}=\n" for name, what in named.items()))
    overrides = ["# Optional: other addresses than the contract's, for instance those of a sandbox."]
    for facts in chosen:
        side = facts.side.value.upper()
        overrides += [f"# {facts.title}: the API.", f"REFERRAL_PIPELINE_{side}_BASE_URL="]
        overrides += [f"# {facts.title}: the endpoint that gives tokens.", f"REFERRAL_PIPELINE_{side}_AUTH_URL="]
    return "\n".join([*blocks, "\n".join(overrides) + "\n", _ENV_ALERTS])


def known(name: str) -> SystemFacts:
    """The facts of a system. KeyError when nobody knows it."""
    facts = facts_of(name)
    if facts is None:
        raise KeyError(name)
    return facts


def secret_name(facts: SystemFacts) -> str:
    """The variable that holds what the integration proves itself with."""
    return f"{facts.stem}_{'CLIENT_SECRET' if facts.auth == 'client' else 'API_KEY'}"


def _system(side: str, facts: SystemFacts, choices: Choices) -> list[str]:
    is_sandbox = choices.environment == "sandbox"
    auth_url = facts.sandbox_auth_url if is_sandbox else facts.live_auth_url
    base_url = choices.urls.get(side) or (facts.sandbox_url if is_sandbox else facts.live_url)
    is_placeholder = ".example." in base_url
    options = {**facts.options, **{k: v for k, v in SANDBOX_OPTIONS.items() if is_sandbox and k in facts.options}}
    options |= choices.options.get(side, {})
    return [
        f"{side}:",
        f"  connector: {facts.name}",
        *(
            [
                f"  base_url: {_scalar(base_url)}"
                + (" # put the address of your platform here" if is_placeholder else "")
            ]
            if base_url
            else []
        ),
        *([f"  auth_url: {_scalar(auth_url)}"] if auth_url else []),
        *([f"  client_id_env: {facts.stem}_CLIENT_ID"] if facts.auth == "client" else []),
        *([f"  client_secret_env: {secret_name(facts)}"] if facts.auth != "none" else []),
        *([f"  webhook_secret_env: {facts.stem}_WEBHOOK_SECRET"] if facts.signs_webhooks else []),
        *(["  options:", *_options(options, "    ")] if options else ["  options: {}"]),
    ]


def _mappings(choices: Choices) -> list[tuple[str, str]]:
    """Those of which the chosen systems have both ends."""
    absent = absent_fields(known(choices.advocacy))
    return [pair for pair in (*_MAPPINGS, *(_CRM_MAPPINGS if choices.crm else ())) if absent.isdisjoint(pair)]


def _enrichment(platform: SystemFacts) -> list[str]:
    if "clicks" in platform.lacks:
        return [f"  content_enrichment: off # {platform.title} tells neither clicks nor reach"]
    return ["  content_enrichment: on # clicks, shares and reach on the application, for recruiters"]


def _options(options: Mapping[str, Any], indent: str) -> list[str]:
    lines: list[str] = []
    for name, value in options.items():
        note = f" # {_OPTION_NOTES[name]}" if name in _OPTION_NOTES else ""
        if isinstance(value, dict) and value:
            lines += [f"{indent}{name}:{note}", *_options(value, indent + "  ")]
        else:
            lines.append(f"{indent}{name}: {_scalar(value) if isinstance(value, str) else _plain(value)}{note}")
    return lines


def _plain(value: Any) -> Any:
    return f"[{', '.join(_scalar(str(one)) for one in value)}]" if isinstance(value, list) else value


def _stage_map(ats: str) -> list[str]:
    stages = _STAGE_MAPS.get(ats, {})
    if not stages:
        return ["stage_map: {}"]
    return ["stage_map:", *(f"  {_scalar(stage)}: {status}" for stage, status in stages.items())]


def _costs(choices: Choices) -> list[str]:
    off = "" if choices.costs else "# "
    other = "EUR" if choices.currency != "EUR" else "USD"
    source = "an example, not a market rate" if choices.costs else "ECB reference rate"
    return [
        "# What hiring costs, for cost_per_hire and roi: CSV or XLSX files (one, or a folder of them) with the columns",
        "# period, channel, kind, amount, currency, allocation_key and note; all told in one currency. A rate says",
        "# what one unit of another currency is worth in it. Paid bonuses belong in the files: none is added here.",
        f"{off}costs:",
        f"{off}  files: {_scalar(choices.costs or 'data/costs')}",
        f"{off}  currency: {_scalar(choices.currency)}",
        f'{off}  rates: [{{currency: {other}, rate: "1.0837", as_of: 2026-09-30, source: "{source}"}}]',
    ]


def _verification(choices: Choices) -> list[str]:
    """How it is shown that both sides hold the same; the parallel run as a comment where no file is kept."""
    off = "" if choices.manual_intake else "# "
    window = [] if choices.manual_intake else ["    starts_on: 2027-01-11", "    ends_on: 2027-01-29"]
    return [
        _VERIFICATION.rstrip(),
        f"{off}  parallel_run:",
        f"{off}    files: {_scalar(choices.manual_intake or 'data/manual_intake')}",
        *(f"{off}{line}" for line in window),
        f"{off}    time_zone: UTC",
        f"{off}    late_hours: 24",
        f"{off}    columns:",
        *(f"{off}      {name}: {_scalar(column)}" for name, column in MANUAL_COLUMNS.items()),
    ]


def _scalar(text: str) -> str:
    """Text as a YAML value in one line; words stay bare, all else is quoted."""
    if text.isidentifier() and text.isascii() and text.casefold() not in _READ_AS_OTHER:
        return text
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=float("inf")).strip()


def _wrapped(title: str, words: Any, width: int = 116) -> list[str]:
    lines = [f"# {title}:"]
    for number, word in enumerate(words):
        piece = f" {word}" if number == 0 else f", {word}"
        if len(lines[-1]) + len(piece) > width:
            lines[-1] += ","
            lines.append(f"#   {word}")
        else:
            lines[-1] += piece
    return lines


# Other readers of the file (editors, linters) follow YAML 1.1, to which these are no text.
_READ_AS_OTHER = {"yes", "no", "on", "off", "y", "n", "true", "false", "null"}

MANUAL_COLUMNS: Mapping[str, str] = {
    "record_id": "No",
    "entered_at": "Entered",
    "first_name": "First name",
    "last_name": "Last name",
    "email": "E-mail",
    "phone": "Phone",
    "country": "Country",
    "job_id": "Requisition",
    "advocate_id": "Referred by",
    "status": "Status",
}
"""The columns of the sandbox's manual intake, and an example for others."""

_OPTION_NOTES = {
    "source_name": "the source that recruiters see",
    "custom_fields": "our names -> the keys of your application custom fields",
    "perform_as": "the id of the user in whose name it writes",
    "withdrawn_reasons": "archive reasons by which candidates withdraw",
    "calls_per_second": "what the vendor allows",
    "calls_per_ten_seconds": "what the vendor allows: 190 for paid accounts, 100 for free ones",
    "property_group": "where the integration's own properties stand; made when missing",
    "visibility_lag_seconds": "how long a fresh record may stay invisible in lists",
    "company_id": "the id of your account: the first part of its API paths",
    "consent_basis": "in your words: on what ground applicants' data may be passed on; the API has no field of it",
    "residency": "where this account's applicants live, and in your words why; the API has no field of it",
    "job_defaults": "ids of your account for jobs that the integration makes there",
    "webhook_addresses": "from where webhooks are taken: nothing is signed",
    "max_attempts": "of one call, transient failures only",
}

_HEAD = """\
# The integration contract: what flows between the advocacy platform and the ATS, under which rules, and who answers.
# Unknown keys are errors. `referral-pipeline check` says what is wrong, `referral-pipeline map` draws what flows."""

_RULES = """\
rules:
  create_when_stage: applied # shared, clicked or applied: the stage from which a candidate is created
  dedupe: {{match_on: [email, phone], shared_mailbox_limit: 3}} # a mailbox of more people never merges
  # Models: first_touch, last_touch, linear, time_decay, position_based.
  attribution: {{model: last_touch, lookback_days: 90, tie: earliest_share}}
  # split: payee pays one advocate, credit divides by the weights of the model. Waiting runs from the first day of work.
  bonus: {{amount_cents: 200000, currency: {currency}, waiting_days: 90, split: payee}}
  on_withdrawal: keep # ends further writes and credit; the recruiter's record is left alone
"""

_OPERATION = """\
# When the owner hears of trouble: share of calls that fail (an error from minimum_calls on), seconds to confirm.
# Alerts go to every channel of the list, and a heartbeat each day proves that they arrive. Channels besides log, with
# secrets by the name of a variable (see .env.example); mail goes to the owner, or to the address after `to`:
#   {type: email, from: "bridge@example.com", smtp_host: smtp.example.com, smtp_port: 587, starttls: on,
#    username_env: ALERT_SMTP_USERNAME, password_env: ALERT_SMTP_PASSWORD}
#   {type: slack, url_env: ALERT_SLACK_URL}
#   {type: webhook, url: "https://hooks.example.com/alerts", secret_env: ALERT_WEBHOOK_SECRET}
monitoring: {error_rate_threshold: 0.02, minimum_calls: 50, latency_p95_seconds: 60, alerts: [{type: log}]}
# More that may stand in it, with what holds when it does not (`referral-pipeline health` shows each beside its figure):
#   consecutive_failures: 5 # calls of one operation that fail one after the other, with none that succeeds
#   slow_call_seconds: 2 # what 95 of 100 calls of each operation must not exceed
#   webhook_success_threshold: 0.95 # share of changes that must come by webhook; the others reconciliation finds
#   backlog_minutes: 15 # how long an event may wait that could be done
#   freshness_hours: 3 # how old the last pull, and the last refresh that published, may be
#   clock_skew_seconds: 30 # how far the clock of a system may be from ours
#   quiet_days: [] # days (2026-12-25) on which few events are expected

# How far an incremental pull looks back, and how often everything is pulled to see deletions.
sync: {lookback_minutes: 15, full_pull_hours: 24}
"""

_VERIFICATION = """\
# How it is shown that both systems hold the same: so many records, drawn at random each month, read again from both and
# compared. Of all records at least minimum_accuracy must agree, with this confidence.
verification:
  field_audit: {sample: 50, confidence: 0.95, minimum_accuracy: 0.9}
  # What people type in by hand in the launch window (CSV or XLSX, a file or a folder), held against it day by day.
  # columns: our field -> your column. Without starts_on and ends_on the window goes from the first entry to the last.
  # A time without an offset is of time_zone; the integration may take late_hours.
"""

_STORES = """\
# The two stores, relative to the home folder. The ledger may be a postgresql:// address.
warehouse: {url: "data/state/warehouse.duckdb"}
ledger: {url: "sqlite:///data/state/ledger.sqlite"}
"""

_ENV_HEAD = """\
# Copy to .env and fill in. Values stay out of version control; a variable of the process wins over this file.

# Encrypts personal data in the ledger. One or more Fernet keys, comma separated, the first encrypts. Make one with:
#   python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"
REFERRAL_PIPELINE_KEY=
# Keys the hashes of e-mail addresses and phone numbers; 16 characters or more, never changed afterwards. Make one with:
#   python -c "import secrets; print(secrets.token_hex(32))"
REFERRAL_PIPELINE_HASH_KEY=
# Signs the approval of go-live on its way from the sandbox to production; 16 characters or more, the same in both.
REFERRAL_PIPELINE_APPROVAL_KEY=

# Optional: the folder that holds data/ (default: the current folder). Set it in the process, not in this file.
REFERRAL_PIPELINE_HOME=
# Optional: another contract than data/integration.yaml, relative to the home folder.
REFERRAL_PIPELINE_CONFIG=
# Optional: addresses of proxies before the webhook receiver, comma separated; only theirs X-Forwarded-For is believed.
REFERRAL_PIPELINE_TRUSTED_PROXIES=
# Optional: the address at which people open the Dagster UI, for the links in alerts (default: http://127.0.0.1:3000).
REFERRAL_PIPELINE_UI_URL=
"""

_ENV_ALERTS = """\
# Optional: secrets of alert channels, under the names that monitoring.alerts of the contract gives them.
# E-mail: the account at the mail server.
ALERT_SMTP_USERNAME=
# E-mail: the password of that account.
ALERT_SMTP_PASSWORD=
# Slack: the address of an incoming webhook, which is a secret.
ALERT_SLACK_URL=
# Webhook: the secret that signs what is posted (Standard Webhooks: whsec_ and base64).
ALERT_WEBHOOK_SECRET=
"""
