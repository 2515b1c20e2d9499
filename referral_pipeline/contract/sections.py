"""The sections of integration.yaml as frozen models.

Belongs here: shapes and the range of each value; every field's `description` says what is allowed and `examples` how to
write it, and both are used in error messages. Does not belong here: rules over several sections (`rules`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from referral_pipeline.contract.fields import REGULATED_NAMES
from referral_pipeline.contract.kpi_names import KPI_NAMES, OBJECTIVES, TARGETS
from referral_pipeline.contract.problems import close_match, listed, refuse, shown
from referral_pipeline.contract.transforms import Transform
from referral_pipeline.contract.values import (
    PRIVATE,
    Country,
    Currency,
    Day,
    Email,
    EnvName,
    ExchangeRate,
    FilePath,
    InputPath,
    LedgerUrl,
    MailHost,
    Switch,
    Url,
    is_loopback,
    no_repeats,
)

SMTPS_PORT = 465
"""The port on which mail servers speak TLS from the first byte."""


class Section(BaseModel):
    """A section: frozen, unknown keys refused, values never shown by pydantic itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, populate_by_name=True)


class Owner(Section):
    """Who answers for the integration."""

    name: str = Field(min_length=1, max_length=200, description="a name", examples=["Talent Operations"])
    email: Email


def _known_kpi(name: str) -> str:
    if name in KPI_NAMES:
        return name
    meant = close_match(name, KPI_NAMES)
    raise refuse(
        f"found {shown(name)}, a KPI that is not known; allowed: {listed(KPI_NAMES)}",
        f"Did you mean {meant}?" if meant else "Take one of the known KPIs",
    )


class Kpi(Section):
    """A KPI with its target for the first 90 days and the person who answers for it."""

    name: Annotated[str, AfterValidator(_known_kpi)] = Field(description="a KPI's name")
    target: float = Field(
        strict=True, allow_inf_nan=False, description="a number: the target for 90 days", examples=[0.06]
    )
    owner: Email

    @model_validator(mode="after")
    def _target_in_range(self) -> Kpi:
        allowed = TARGETS[self.name]
        if not allowed.fits(self.target):
            percent = "Write 0.06 for 6 %" if "ratio" in allowed.words else "Write what you want to reach in 90 days"
            raise at_key("target", f"found {shown(self.target)}; allowed for {self.name}: {allowed.words}", percent)
        return self


class Objectives(Section):
    """What the programme wants, and the numbers that will tell.

    `horizon_days`: how long a cohort is given: what happens within it counts, and a rate is shown once it has passed.
    """

    primary: Annotated[
        tuple[Literal[tuple(OBJECTIVES)], ...],  # pyright: ignore[reportInvalidTypeForm]
        AfterValidator(no_repeats("objective")),
    ] = Field(min_length=1, description=f"a list of one or more of {listed(OBJECTIVES)}")
    kpis: tuple[Kpi, ...] = Field(min_length=1, description="a list of KPIs, each with name, target and owner")
    horizon_days: int = Field(
        default=90, strict=True, ge=1, le=730, description="a whole number of days from 1 to 730", examples=[90]
    )


def _one_system(value: Any) -> Any:
    if isinstance(value, list | tuple | dict) and len(value) > 1:
        raise refuse(
            f"found {len(value)} systems of record for one record; allowed: one",
            "Keep the system whose value counts when the two differ",
        )
    return value


InAts = Annotated[Literal["ats"], BeforeValidator(_one_system), Field(description="ats")]
InAdvocacy = Annotated[Literal["advocacy"], BeforeValidator(_one_system), Field(description="advocacy")]
Anywhere = Annotated[
    Literal["advocacy", "ats", "crm"], BeforeValidator(_one_system), Field(description="one of advocacy, ats, crm")
]


class SystemsOfRecord(Section):
    """Whose value counts, for each kind of record. Only consent is a choice; the others are what the bridge needs."""

    candidate: InAts = "ats"
    application: InAts = "ats"
    job: InAts = "ats"
    advocate: InAdvocacy = "advocacy"
    content: InAdvocacy = "advocacy"
    share: InAdvocacy = "advocacy"
    click: InAdvocacy = "advocacy"
    referral: InAdvocacy = "advocacy"
    consent: Anywhere = "advocacy"


class Phases(Section):
    """Which flows run. The later two need candidates to be created by the first."""

    candidate_creation: Switch
    status_return: Switch
    content_enrichment: Switch


class System(Section):
    """An outside system: which connector, where, and the names of the variables that hold its secrets.

    A system that is called with an API key has no client id; the key is its client secret. One that signs no webhooks
    has no secret of these, and one without an API neither an address nor a secret.
    """

    connector: str = Field(description="a connector's name", examples=["greenhouse"])
    base_url: Url = ""
    auth_url: Url | None = None
    client_id_env: EnvName | None = None
    client_secret_env: EnvName = ""
    webhook_secret_env: EnvName | None = None
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="a section; the connector says what may be in it",
        json_schema_extra={**PRIVATE},
    )


class Dedupe(Section):
    """What makes two records the same person, and how many people may share a mailbox before it proves nothing.

    `review_threshold`: from which probability on two persons are listed for review. `merge_in_ats`: whether a decision
    that two candidates are one person is carried out in the ATS too, for good.
    """

    match_on: Annotated[tuple[Literal["email", "phone"], ...], AfterValidator(no_repeats("kind of evidence"))] = Field(
        default=("email", "phone"), min_length=1, description="a list of one or more of email, phone"
    )
    shared_mailbox_limit: int = Field(
        default=3, strict=True, ge=1, le=1000, description="a whole number from 1 to 1000", examples=[3]
    )
    review_threshold: float = Field(
        default=0.7, strict=True, gt=0, le=1, description="a number above 0, at most 1", examples=[0.7]
    )
    merge_in_ats: Switch = False


class Attribution(Section):
    """Who gets the credit. `tie` decides between touches of the same time."""

    model: Literal["first_touch", "last_touch", "linear", "time_decay", "position_based"] = Field(
        default="last_touch", description="one of first_touch, last_touch, linear, time_decay, position_based"
    )
    lookback_days: int = Field(
        default=90, strict=True, ge=1, le=3650, description="a whole number of days from 1 to 3650", examples=[90]
    )
    tie: Literal["earliest_share"] = Field(default="earliest_share", description="earliest_share")


class Bonus(Section):
    """What a hire is worth to the advocate, and when. `split: payee` pays one advocate, `credit` divides by weights.

    `pay_rehires`: whether a person who was paid for once earns a bonus again when hired again.
    """

    amount_cents: int = Field(
        strict=True, ge=0, le=100_000_000, description="a whole number of cents from 0 to 100000000", examples=[200000]
    )
    currency: Currency
    waiting_days: int = Field(
        default=90, strict=True, ge=0, le=3650, description="a whole number of days from 0 to 3650", examples=[90]
    )
    split: Literal["payee", "credit"] = Field(default="payee", description="one of payee, credit")
    pay_rehires: Switch = False


class Rules(Section):
    """When a candidate is created, who is the same person, who gets credit and bonus, what a withdrawal does."""

    create_when_stage: Literal["shared", "clicked", "applied"] = Field(
        default="applied", description="one of shared, clicked, applied"
    )
    dedupe: Dedupe = Field(default_factory=Dedupe)
    attribution: Attribution = Field(default_factory=Attribution)
    bonus: Bonus
    on_withdrawal: Literal["keep"] = Field(default="keep", description="keep")


class Mapping(Section):
    """A field of one side that is carried to a field of the other, perhaps transformed. In the file: `from`, `to`."""

    source: str = Field(alias="from", description="the path of a field", examples=["advocacy.referral.campaign_tag"])
    target: str = Field(
        alias="to", description="the path of a field", examples=["ats.application.custom_fields.campaign_tag"]
    )
    transform: Transform | None = None


class Rate(Section):
    """What one unit of a currency is worth in the reporting currency, as of which day and from where."""

    currency: Currency
    rate: ExchangeRate
    as_of: Day
    source: str = Field(
        min_length=1, max_length=200, description="who publishes the rate", examples=['"ECB reference rate"']
    )


class Costs(Section):
    """What hiring costs: files of costs, and the one currency that they are reported in. See `connectors.costs`."""

    files: InputPath
    currency: Currency
    rates: tuple[Rate, ...] = Field(
        default=(),
        description="a list of {currency, rate, as_of, source}, each currency once",
        examples=['[{currency: EUR, rate: "1.0837", as_of: 2026-09-30, source: "ECB reference rate"}]'],
    )

    @model_validator(mode="after")
    def _each_rate_once(self) -> Costs:
        currencies = [rate.currency for rate in self.rates]
        repeated = [name for name in dict.fromkeys(currencies) if currencies.count(name) > 1]
        if repeated:
            raise at_key(
                "rates",
                f"found {listed(repeated)} more than once; allowed: one rate a currency",
                "Keep the one that holds",
            )
        if self.currency in currencies:
            raise at_key(
                "rates",
                f"found {self.currency}, the reporting currency itself; allowed: rates of other currencies",
                "Remove it: an amount in the reporting currency stays as it is",
            )
        return self


class Privacy(Section):
    """What the law and the company ask for."""

    require_consent: Switch = True
    allowed_countries: Annotated[tuple[Country, ...], AfterValidator(no_repeats("country"))] = Field(
        min_length=1, description="a list of ISO 3166 alpha-2 codes, at least one", examples=["[US, DE, FR]"]
    )
    regulated_fields: Annotated[
        tuple[Literal[REGULATED_NAMES], ...],  # pyright: ignore[reportInvalidTypeForm]
        AfterValidator(no_repeats("field")),
    ] = Field(min_length=1, description=f"a list of one or more of {listed(REGULATED_NAMES)}")
    retention_days: int = Field(
        default=730, strict=True, ge=1, le=36500, description="a whole number of days from 1 to 36500", examples=[730]
    )


class LogChannel(Section):
    """Alerts on the log of the process that finds the trouble."""

    type: Literal["log"]


class EmailChannel(Section):
    """Alerts by e-mail. Port 465 speaks TLS from the first byte; any other port asks for STARTTLS unless it is off."""

    type: Literal["email"]
    to: Email | None = None  # nobody named: the owner of the contract
    sender: Email = Field(alias="from")
    smtp_host: MailHost
    smtp_port: int = Field(
        default=587, strict=True, ge=1, le=65535, description="a port from 1 to 65535", examples=[587]
    )
    starttls: Switch = True
    username_env: EnvName | None = None
    password_env: EnvName | None = None

    @model_validator(mode="after")
    def _signs_in_safely(self) -> EmailChannel:
        if (self.username_env is None) != (self.password_env is None):
            there, lacking = ("password_env", "username_env")[:: 1 if self.username_env is None else -1]
            raise at_key(
                lacking, f"found nothing, but a {there}; allowed: both or neither", f"Add {lacking}, or remove {there}"
            )
        if self.password_env and not self.encrypted and not is_loopback(self.smtp_host):
            raise at_key(
                "starttls", "found off, with a password; allowed: on, so that nobody reads the password", "Write on"
            )
        return self

    @property
    def encrypted(self) -> bool:
        """Whether the mail server is spoken to under TLS."""
        return self.starttls or self.smtp_port == SMTPS_PORT


class SlackChannel(Section):
    """Alerts to a Slack incoming webhook. Its address is a secret in itself."""

    type: Literal["slack"]
    url_env: EnvName


class WebhookChannel(Section):
    """Alerts posted to an address, signed as Standard Webhooks says."""

    type: Literal["webhook"]
    url: Url
    secret_env: EnvName


Alert = Annotated[
    LogChannel | EmailChannel | SlackChannel | WebhookChannel,
    Field(discriminator="type", description="a channel", examples=["{type: log}"]),
]
"""A channel that alerts go to, told apart by its `type`."""


def _each_channel_once(channels: tuple[Alert, ...]) -> tuple[Alert, ...]:
    if len(set(channels)) < len(channels):
        raise refuse("found a channel more than once; allowed: each channel once", "Keep one")
    return channels


class Monitoring(Section):
    """When the owner hears of trouble. Severity depends on evidence, see the KPI definitions.

    `error_rate_threshold`, `minimum_calls` and `consecutive_failures` are about calls to a system, `slow_call_seconds`
    about how long most of them (95 of 100) may take, `latency_p95_seconds` about the way from receipt to confirmation,
    `webhook_success_threshold` about what must come by webhook and not by reconciliation. On `quiet_days` little is
    expected.
    """

    error_rate_threshold: float = Field(
        default=0.02, strict=True, gt=0, lt=1, description="a number above 0 and below 1", examples=[0.02]
    )
    minimum_calls: int = Field(
        default=50, strict=True, ge=1, description="a whole number of calls, 1 or more", examples=[50]
    )
    consecutive_failures: int = Field(
        default=5, strict=True, ge=2, le=1000, description="a whole number from 2 to 1000", examples=[5]
    )
    latency_p95_seconds: float = Field(
        default=60, strict=True, gt=0, allow_inf_nan=False, description="a number of seconds above 0", examples=[60]
    )
    slow_call_seconds: float = Field(
        default=2, strict=True, gt=0, allow_inf_nan=False, description="a number of seconds above 0", examples=[2]
    )
    webhook_success_threshold: float = Field(
        default=0.95, strict=True, gt=0, lt=1, description="a number above 0 and below 1", examples=[0.95]
    )
    backlog_minutes: float = Field(
        default=15, strict=True, gt=0, allow_inf_nan=False, description="a number of minutes above 0", examples=[15]
    )
    freshness_hours: float = Field(
        default=3, strict=True, gt=0, allow_inf_nan=False, description="a number of hours above 0", examples=[3]
    )
    clock_skew_seconds: float = Field(
        default=30, strict=True, ge=5, allow_inf_nan=False, description="a number of seconds, 5 or more", examples=[30]
    )
    quiet_days: Annotated[tuple[Day, ...], AfterValidator(no_repeats("day"))] = Field(
        default=(), description="a list of days, each as YYYY-MM-DD", examples=["[2026-12-25]"]
    )
    alerts: Annotated[tuple[Alert, ...], AfterValidator(_each_channel_once)] = Field(
        default=(LogChannel(type="log"),),
        min_length=1,
        description="a list of channels, at least one, each of type log, email, slack or webhook",
        examples=["[{type: log}]"],
    )


class Warehouse(Section):
    """Where the analytics live: one DuckDB file, relative to the home folder."""

    url: FilePath = "data/state/warehouse.duckdb"


class Ledger(Section):
    """Where the operational facts live: SQLite by default, PostgreSQL by URL."""

    url: LedgerUrl = "sqlite:///data/state/ledger.sqlite"


class Sync(Section):
    """How far an incremental pull looks back, and how often everything is pulled to see deletions."""

    lookback_minutes: int = Field(
        default=15, strict=True, ge=0, le=10_080, description="a whole number of minutes from 0 to 10080", examples=[15]
    )
    full_pull_hours: int = Field(
        default=24, strict=True, ge=1, le=8760, description="a whole number of hours from 1 to 8760", examples=[24]
    )


def at_key(key: str, problem: str, mend: str) -> PydanticCustomError:
    """Like `refuse`, for a validator of a whole section that blames one of its keys."""
    return PydanticCustomError("refused", "{problem}. {mend}", {"problem": problem, "mend": mend, "key": key})
