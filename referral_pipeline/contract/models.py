"""The integration contract: what the bridge does, for whom, under which rules.

Belongs here: `Contract` and the questions others ask of it. Does not belong here: its sections (`sections`), reading
the file (`loader`).
"""

from __future__ import annotations

from collections.abc import Mapping as ReadOnly
from typing import Literal

from pydantic import Field, model_validator

from referral_pipeline.contract import rules as contract_rules
from referral_pipeline.contract.fields import CRM_PROPERTIES, CUSTOM_FIELDS
from referral_pipeline.contract.problems import ContractError
from referral_pipeline.contract.sections import (
    Alert,
    Attribution,
    Bonus,
    Costs,
    Dedupe,
    EmailChannel,
    Kpi,
    Ledger,
    LogChannel,
    Mapping,
    Monitoring,
    Objectives,
    Owner,
    Phases,
    Privacy,
    Rate,
    Rules,
    Section,
    SlackChannel,
    Sync,
    System,
    SystemsOfRecord,
    Warehouse,
    WebhookChannel,
)
from referral_pipeline.contract.transforms import Transform
from referral_pipeline.contract.verification import FieldAudit, ParallelRun, Verification
from referral_pipeline.vocabulary import CandidateStatus, Side

__all__ = [
    "Alert",
    "Attribution",
    "Bonus",
    "Contract",
    "Costs",
    "Dedupe",
    "EmailChannel",
    "FieldAudit",
    "Kpi",
    "Ledger",
    "LogChannel",
    "Mapping",
    "Monitoring",
    "Objectives",
    "Owner",
    "ParallelRun",
    "Phases",
    "Privacy",
    "Rate",
    "Rules",
    "Section",
    "SlackChannel",
    "Sync",
    "System",
    "SystemsOfRecord",
    "Verification",
    "Warehouse",
    "WebhookChannel",
]


class Contract(Section):
    """The whole of integration.yaml. An instance has passed every rule; one that would break a rule cannot be made.

    Raises:
        ContractError: a rule over several keys is broken (from the constructor).
        pydantic.ValidationError: a single value is wrong (`loader` turns it into a ContractError).
    """

    version: Literal[1] = Field(description="1")
    environment: Literal["sandbox", "production"] = Field(description="one of sandbox, production")
    owner: Owner
    objectives: Objectives
    systems_of_record: SystemsOfRecord
    phases: Phases
    advocacy: System
    ats: System
    crm: System | None = None
    rules: Rules
    mappings: tuple[Mapping, ...] = Field(
        default=(), description="a list of {from, to}", examples=["[{from: advocacy.advocate.id, to: ...}]"]
    )
    stage_map: dict[str, CandidateStatus] = Field(
        default_factory=dict, description=f"a section of stage: status, status one of {', '.join(CandidateStatus)}"
    )
    costs: Costs | None = None
    privacy: Privacy
    verification: Verification = Field(default_factory=Verification)
    monitoring: Monitoring = Field(default_factory=Monitoring)
    warehouse: Warehouse = Field(default_factory=Warehouse)
    ledger: Ledger = Field(default_factory=Ledger)
    sync: Sync = Field(default_factory=Sync)

    @model_validator(mode="after")
    def _obeys_the_rules(self) -> Contract:
        problems = contract_rules.problems_in({name: getattr(self, name) for name in type(self).model_fields})
        if problems:
            raise ContractError(problems)
        return self

    def systems(self) -> dict[Side, System]:
        """The configured systems by side; a CRM only when there is one."""
        both = {Side.ADVOCACY: self.advocacy, Side.ATS: self.ats}
        return {**both, Side.CRM: self.crm} if self.crm else both

    def tag_sources(self) -> dict[str, str]:
        """Logical application field -> advocacy path, as the mappings say, for the phases that are on.

        {"campaign_tag": "referral.campaign_tag", "clicks": "engagement.clicks"}; nothing without candidate_creation,
        and nothing of `engagement` without content_enrichment.
        """
        if not self.phases.candidate_creation:
            return {}
        tags = {
            mapping.target.removeprefix(CUSTOM_FIELDS): mapping.source.removeprefix("advocacy.")
            for mapping in self.mappings
            if mapping.target.startswith(CUSTOM_FIELDS)
        }
        if self.phases.content_enrichment:
            return tags
        return {name: path for name, path in tags.items() if not path.startswith("engagement.")}

    def transforms(self) -> dict[str, Transform]:
        """Logical application field -> what becomes of its value on the way; of those that are transformed only."""
        return {
            mapping.target.removeprefix(CUSTOM_FIELDS): mapping.transform
            for mapping in self.mappings
            if mapping.transform is not None and mapping.target.startswith(CUSTOM_FIELDS)
        }

    def crm_sources(self) -> dict[str, str]:
        """Property of a CRM contact -> path of its value with the side, as the mappings say.

        {"referral_status": "ats.application.status"}; nothing without a CRM or without candidate_creation, and nothing
        of `engagement` without content_enrichment.
        """
        if self.crm is None or not self.phases.candidate_creation:
            return {}
        return {
            mapping.target.removeprefix(CRM_PROPERTIES): mapping.source
            for mapping in self.mappings
            if mapping.target.startswith(CRM_PROPERTIES)
            and (self.phases.content_enrichment or not mapping.source.startswith("advocacy.engagement."))
        }

    def crm_transforms(self) -> dict[str, Transform]:
        """Property of a CRM contact -> what becomes of its value on the way; of those that are transformed only."""
        return {
            mapping.target.removeprefix(CRM_PROPERTIES): mapping.transform
            for mapping in self.mappings
            if mapping.transform is not None and mapping.target.startswith(CRM_PROPERTIES)
        }

    def status_sources(self) -> ReadOnly[str, str]:
        """Field of the referral -> ATS path that is returned to it: {"status": "application.status", ...}.

        Nothing without status_return. The status, its time and the ATS ids travel with every return, mapped or not.
        """
        if not self.phases.status_return:
            return {}
        always = {"status": "application.status", "status_at": "application.status_at", "ats": "application.id"}
        mapped = {
            mapping.target.removeprefix("advocacy.referral."): mapping.source.removeprefix("ats.")
            for mapping in self.mappings
            if mapping.target.startswith("advocacy.referral.")
        }
        return always | mapped
