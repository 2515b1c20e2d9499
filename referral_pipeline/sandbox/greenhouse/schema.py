"""The vendor's record types as data: columns with their empty values, filters, indexes, where ids start.

Belongs here: the shape of each table, one entry per component schema of the vendor's document. Does not belong here:
behaviour. Columns stand in the order of the vendor's document; `id`, `created_at` and `updated_at` are implied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Row = dict[str, Any]
"""One stored row. Rows are never changed in place: an update stores a new dict."""

FilterKind = Literal["ids", "texts", "id", "text", "folded", "bool", "when", "choice", "contains_id", "special"]


@dataclass(frozen=True)
class Filter:
    """One query parameter. `column` defaults to the parameter's own name."""

    kind: FilterKind
    column: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class EntitySpec:
    """One table. `empty` gives each column's value when nobody set it; `indexes` are columns searched by equality."""

    name: str
    first_id: int
    empty: Mapping[str, Any]
    filters: Mapping[str, Filter] = field(default_factory=dict[str, Filter])
    indexes: tuple[str, ...] = ()
    noun: str = ""


def _ids(column: str) -> Filter:
    return Filter("ids", column)


_WHEN = Filter("when")
_BOOL = Filter("bool")
_TEXT = Filter("text")
_ID = Filter("id")
_OPTION = Filter("special")

_CANDIDATE = EntitySpec(
    name="candidates",
    noun="Candidate",
    first_id=5_120_000_000,
    empty={
        "first_name": None,
        "last_name": None,
        "preferred_name": None,
        "company": None,
        "title": None,
        "last_activity_at": None,
        "private": False,
        "can_email": True,
        "time_zone": None,
        "tags": [],
        "linked_user_ids": [],
        "phone_numbers": [],
        "addresses": [],
        "email_addresses": [],
        "website_addresses": [],
        "social_media_addresses": [],
        "custom_fields": {},
    },
    filters={
        "email": Filter("special"),
        "tag": Filter("special"),
        "private": _BOOL,
        "custom_field_option_id": _OPTION,
        "last_activity_at": _WHEN,
    },
)

_APPLICATION = EntitySpec(
    name="applications",
    noun="Application",
    first_id=6_230_000_000,
    empty={
        "agency_note_id": None,
        "candidate_id": None,
        "coordinator_id": None,
        "job_id": None,
        "job_post_id": None,
        "recruiter_id": None,
        "referrer_id": None,
        "source_id": None,
        "stage_id": None,
        "job_interview_stage_id": None,
        "stage_name": None,
        "status": "in_process",
        "needs_decision": False,
        "prospect": False,
        "rejected_at": None,
        "rejection_reason_id": None,
        "last_activity_at": None,
        "location_address": None,
        "answers": [],
        "prospective_job_ids": [],
        "custom_fields": {},
    },
    filters={
        "candidate_ids": _ids("candidate_id"),
        "job_ids": _ids("job_id"),
        "prospective_job_ids": Filter("contains_id", "prospective_job_ids"),
        "job_post_ids": _ids("job_post_id"),
        "source_ids": _ids("source_id"),
        "referrer_ids": _ids("referrer_id"),
        "stage_ids": _ids("stage_id"),
        "job_interview_stage_ids": _ids("job_interview_stage_id"),
        "status": Filter("special"),
        "stage_name": _TEXT,
        "custom_field_option_id": _OPTION,
        "last_activity_at": _WHEN,
        "prospect": _BOOL,
    },
    indexes=("candidate_id", "job_id"),
)

_APPLICATION_STAGE = EntitySpec(
    name="application_stages",
    noun="Application stage",
    first_id=9_910_000_000,
    empty={
        "application_id": None,
        "job_interview_stage_id": None,
        "entered_at": None,
        "exited_at": None,
        "days_in_stage": 0,
        "current": False,
    },
    filters={
        "application_ids": _ids("application_id"),
        "job_interview_stage_ids": _ids("job_interview_stage_id"),
        "current": _BOOL,
    },
    indexes=("application_id", "job_interview_stage_id"),
)

_JOB = EntitySpec(
    name="jobs",
    noun="Job",
    first_id=4_410_000_000,
    empty={
        "name": "",
        "requisition_id": None,
        "notes": None,
        "confidential": False,
        "status": "open",
        "opened_at": None,
        "closed_at": None,
        "is_template": False,
        "copied_from_id": None,
        "department_id": None,
        "office_ids": [],
        "custom_fields": {},
    },
    filters={
        "opened_at": _WHEN,
        "closed_at": _WHEN,
        "requisition_id": _TEXT,
        "department_id": _ID,
        "office_id": Filter("contains_id", "office_ids"),
        "confidential": _BOOL,
        "status": Filter("choice", choices=("open", "draft", "closed")),
        "custom_field_option_id": _OPTION,
    },
)

_OPENING = EntitySpec(
    name="openings",
    noun="Opening",
    first_id=2_210_000_000,
    empty={
        "job_id": None,
        "opened_at": None,
        "closed_at": None,
        "sort_order": 0,
        "opening_id": None,
        "application_id": None,
        "close_reason_id": None,
        "target_start_on": None,
        "open": True,
        "custom_fields": {},
    },
    filters={
        "job_ids": _ids("job_id"),
        "application_ids": _ids("application_id"),
        "close_reason_ids": _ids("close_reason_id"),
        "opened_at": _WHEN,
        "closed_at": _WHEN,
        "open": _BOOL,
        "opening_id": _TEXT,
        "custom_field_option_id": _OPTION,
    },
    indexes=("job_id", "application_id"),
)

_OFFER = EntitySpec(
    name="offers",
    noun="Offer",
    first_id=3_310_000_000,
    empty={
        "version": 1,
        "application_id": None,
        "job_id": None,
        "candidate_id": None,
        "opening_id": None,
        "status": "Created",
        "starts_on": None,
        "sent_on": None,
        "resolved_at": None,
        "custom_fields": {},
    },
    filters={
        "application_ids": _ids("application_id"),
        "job_ids": _ids("job_id"),
        "candidate_ids": _ids("candidate_id"),
        "opening_ids": _ids("opening_id"),
        "current_only": Filter("special"),
        "status": Filter("choice", choices=("Created", "Accepted", "Rejected", "Deprecated")),
        "resolved_at": _WHEN,
        "sent_on": _WHEN,
        "starts_on": _WHEN,
        "custom_field_option_id": _OPTION,
    },
    indexes=("application_id", "candidate_id"),
)

_USER = EntitySpec(
    name="users",
    noun="User",
    first_id=4_020_000_000,
    empty={
        "first_name": None,
        "last_name": None,
        "primary_email": "",
        "job_title": None,
        "agency_id": None,
        "name": None,
        "deactivated": False,
        "site_admin": False,
        "employee_id": None,
        "linked_candidate_ids": [],
        "office_ids": [],
        "department_ids": [],
        "interviewer_tags": [],
        "emails": [],
        "custom_fields": {},
    },
    filters={
        "primary_email": _TEXT,
        "employee_ids": Filter("texts", "employee_id"),
        "agency_ids": _ids("agency_id"),
        "office_ids": Filter("contains_id", "office_ids"),
        "department_ids": Filter("contains_id", "department_ids"),
        "linked_candidate_ids": Filter("contains_id", "linked_candidate_ids"),
        "interviewer_tag_ids": Filter("special"),
        "deactivated": _BOOL,
        "external_office_id": Filter("special"),
        "external_department_id": Filter("special"),
        "show_service_accounts": Filter("special"),
        "custom_field_option_id": _OPTION,
    },
    indexes=("primary_email",),
)

_CUSTOM_FIELD = EntitySpec(
    name="custom_fields",
    noun="Custom field",
    first_id=4_700_000_000,
    empty={
        "field_type": "application",
        "sort_order": 0,
        "name": "",
        "value_type": "short_text",
        "private": False,
        "required": False,
        "require_approval": False,
        "trigger_new_version": False,
        "active": True,
        "updated_by_id": None,
        "internal_type": None,
        "expose_in_job_board_api": False,
        "placeholder": None,
        "name_key": "",
        "description": None,
        "application_type": None,
        "api_only": False,
        "use_for_job_approvals": None,
        "use_for_offer_approvals": None,
        "template_token_string": None,
        "default_value": None,
    },
    filters={"field_type": _TEXT, "active": _BOOL, "name": _TEXT, "name_key": _TEXT},
    indexes=("name_key",),
)

_SMALL = (
    EntitySpec(
        name="job_interview_stages",
        noun="Job interview stage",
        first_id=8_810_000_000,
        empty={"job_id": None, "sort_order": 0, "name": "", "active": True},
        filters={"job_ids": _ids("job_id"), "active": _BOOL},
        indexes=("job_id",),
    ),
    EntitySpec(
        name="job_posts",
        noun="Job post",
        first_id=4_450_000_000,
        empty={
            "title": "",
            "internal": False,
            "active": True,
            "live": True,
            "featured": False,
            "first_published_at": None,
            "content": None,
            "internal_content": None,
            "language": "en",
            "public_url": None,
            "demographic_question_set_id": None,
            "job_id": None,
            "job_board_id": 4_460_000_001,
            "location": None,
            "questions": [],
        },
        filters={"job_ids": _ids("job_id"), "active": _BOOL, "live": _BOOL, "internal": _BOOL},
        indexes=("job_id",),
    ),
    EntitySpec(
        name="sources", noun="Source", first_id=4_000_000_000, empty={"name": "", "type": {"id": 0, "name": "Other"}}
    ),
    EntitySpec(
        name="referrers",
        noun="Referrer",
        first_id=4_510_000_000,
        empty={"user_id": None, "name": ""},
        filters={"user_ids": _ids("user_id")},
        indexes=("user_id",),
    ),
    EntitySpec(
        name="custom_field_options",
        noun="Custom field option",
        first_id=4_720_000_000,
        empty={"custom_field_id": None, "name": "", "external_id": None, "sort_order": 0, "active": True},
        filters={
            "custom_field_ids": _ids("custom_field_id"),
            "custom_field_key": Filter("special"),
            "active": _BOOL,
        },
        indexes=("custom_field_id",),
    ),
    EntitySpec(
        name="rejection_reasons",
        noun="Rejection reason",
        first_id=4_030_000_000,
        empty={"name": "", "type": {"id": 0, "key": "NONE_SPECIFIED", "name": "None specified"}},
        filters={"include_defaults": Filter("special")},
    ),
    EntitySpec(
        name="rejection_details",
        noun="Rejection detail",
        first_id=7_710_000_000,
        empty={
            "application_id": None,
            "rejected_by_id": None,
            "rejection_note_id": None,
            "rejection_reason_id": None,
            "rejected_at": None,
            "question_custom_fields": {},
        },
        filters={
            "application_ids": _ids("application_id"),
            "rejection_reason_ids": _ids("rejection_reason_id"),
        },
        indexes=("application_id",),
    ),
    EntitySpec(
        name="candidate_tags", noun="Candidate tag", first_id=4_040_000_000, empty={"name": ""}, indexes=("name",)
    ),
    EntitySpec(
        name="applied_candidate_tags",
        noun="Applied candidate tag",
        first_id=4_050_000_000,
        empty={"candidate_tag_id": None, "candidate_id": None},
        filters={"candidate_ids": _ids("candidate_id"), "candidate_tag_ids": _ids("candidate_tag_id")},
        indexes=("candidate_id", "candidate_tag_id"),
    ),
    EntitySpec(
        name="departments",
        noun="Department",
        first_id=4_060_000_000,
        empty={"name": "", "parent_id": None, "external_id": None},
        filters={"name": _TEXT, "external_id": _TEXT, "parent_ids": _ids("parent_id")},
    ),
    EntitySpec(
        name="offices",
        noun="Office",
        first_id=4_070_000_000,
        empty={
            "name": "",
            "parent_id": None,
            "external_id": None,
            "location": None,
            "primary_in_house_contact_user_id": None,
        },
        filters={"name": _TEXT, "external_id": _TEXT, "parent_ids": _ids("parent_id")},
    ),
    EntitySpec(name="close_reasons", noun="Close reason", first_id=4_080_000_000, empty={"name": ""}),
    EntitySpec(
        name="notes",
        noun="Note",
        first_id=4_090_000_000,
        empty={
            "candidate_id": None,
            "application_id": None,
            "body": None,
            "subject": None,
            "type": "NOTE",
            "user_id": None,
            "email_from": None,
            "email_to": None,
            "email_cc": None,
            "import_hash": None,
            "body_with_tags": None,
            "visibility": "publicly_visible",
            "email_attachment_file_names": None,
        },
        filters={"candidate_ids": _ids("candidate_id"), "application_ids": _ids("application_id")},
        indexes=("candidate_id", "application_id"),
    ),
    EntitySpec(
        name="tracking_links",
        noun="Tracking link",
        first_id=4_100_000_000,
        empty={
            "job_id": None,
            "token": "",
            "source_id": None,
            "related_post_id": None,
            "related_post_type": None,
            "referrer_id": None,
            "job_board_id": None,
            "job_post_id": None,
        },
        filters={
            "job_ids": _ids("job_id"),
            "source_ids": _ids("source_id"),
            "referrer_ids": _ids("referrer_id"),
            "job_board_ids": _ids("job_board_id"),
            "job_post_ids": _ids("job_post_id"),
            "related_post_ids": _ids("related_post_id"),
            "related_post_type": _TEXT,
            "token": _TEXT,
        },
    ),
)

ENTITIES: Mapping[str, EntitySpec] = {
    spec.name: spec
    for spec in (
        _CANDIDATE,
        _APPLICATION,
        _APPLICATION_STAGE,
        _JOB,
        _OPENING,
        _OFFER,
        _USER,
        _CUSTOM_FIELD,
        *_SMALL,
    )
}
"""Every table of the sandbox by the name of its resource."""

CUSTOM_FIELD_TYPES: Mapping[str, str] = {
    "candidates": "candidate",
    "applications": "application",
    "jobs": "job",
    "openings": "opening",
    "offers": "offer",
    "users": "user_attribute",
    "rejection_details": "rejection_question",
}
"""The `field_type` whose custom fields each table carries."""
