"""The field catalogue: every field that a mapping may name, whose it is, and who may write it.

Belongs here: one entry per `side.record.field`. Does not belong here: reading or writing a field (`sync/`,
`connectors/`), the rules over mappings (`rules`).

How to read a path
- `advocacy.referral.*`, `advocacy.advocate.*`, `advocacy.share.*`, `advocacy.content.*` are the rows of the advocacy
  platform behind the credited touch; `advocacy.engagement.{clicks,shares,reach}` are the engagement counts of its
  referral (in the platform's API: `engagement` of the referral).
- `ats.application.*`, `ats.candidate.*`, `ats.job.*`, `ats.offer.*` are canonical fields of the ATS.
- `ats.application.custom_fields.<name>` are the integration's own fields on an application: the only fields of the ATS
  that a mapping may write. Eight names are known (`systems.TAGS`); any other name of a-z, 0-9 and _ is free text.
- `crm.contact.properties.referral_<name>` are the integration's own properties of a CRM contact, written from either of
  the other sides. Their names begin so because a contact's other properties belong to people.
- A field that travels by itself with a flow (a candidate's name, a job's title) needs no mapping and takes none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from referral_pipeline.contract.systems import TAGS
from referral_pipeline.vocabulary import Side

CUSTOM_FIELDS = "ats.application.custom_fields."
CRM_PROPERTIES = "crm.contact.properties."
_CRM_NAME = re.compile(r"referral_[a-z0-9_]{1,80}")
_CUSTOM_NAME = re.compile(r"[a-z0-9_]{1,64}")


@dataclass(frozen=True)
class FieldSpec:
    """One field. `record` names its system of record's entry; `kind` is what it holds (only like kinds may be mapped).

    `written_by` is the other side when that side may write it. `travels_with` names the flow that carries the field
    without a mapping. `personal` is the name under `privacy.regulated_fields` that covers it.
    """

    path: str
    side: Side
    record: str
    kind: str
    readable: bool = True
    written_by: Side | None = None
    travels_with: str | None = None
    personal: str | None = None


def _own(side: Side, record: str, system_record: str, kinds: dict[str, str]) -> Iterable[FieldSpec]:
    for name, kind in kinds.items():
        yield FieldSpec(f"{side}.{record}.{name}", side, system_record, kind)


def _returned(name: str, kind: str) -> FieldSpec:
    return FieldSpec(
        f"advocacy.referral.{name}", Side.ADVOCACY, "application", kind, readable=False, written_by=Side.ATS
    )


def _carried(path: str, side: Side, record: str, flow: str, personal: str | None = None) -> FieldSpec:
    return FieldSpec(path, side, record, "text", travels_with=flow, personal=personal)


_REFERRAL = {
    "id": "referral id",
    "advocate_id": "advocate id",
    "share_id": "share id",
    "job_id": "job id",
    "campaign_tag": "campaign",
    "stage": "stage",
    "submitted_at": "time",
    "applied_at": "time",
}
_SHARE = {
    "id": "share id",
    "advocate_id": "advocate id",
    "content_id": "content id",
    "job_id": "job id",
    "channel": "text",
    "shared_at": "time",
    "reach": "reach",
}
_CONTENT = {
    "id": "content id",
    "title": "text",
    "campaign_tag": "campaign",
    "job_id": "job id",
    "published_at": "time",
}
_APPLICATION = {
    "id": "application id",
    "candidate_id": "candidate id",
    "job_id": "job id",
    "status": "status",
    "status_at": "status time",
    "stage_name": "text",
    "source_name": "text",
    "applied_at": "time",
    "interviewed_at": "time",
    "offered_at": "time",
    "hired_at": "hire time",
    "rejected_at": "time",
    "starts_on": "start date",
}
_TAG_KINDS = {
    "referral_id": "referral id",
    "advocate_id": "advocate id",
    "share_id": "share id",
    "content_id": "content id",
    "campaign_tag": "campaign",
    "clicks": "clicks",
    "shares": "shares",
    "reach": "reach",
}
PERSON_FIELDS = ("first_name", "last_name", "email", "phone", "country")
"""What a referral says about its candidate."""

REGULATED_NAMES = (*PERSON_FIELDS, "advocate_email", "visitor_id")
"""The names that `privacy.regulated_fields` may list."""

ANY_KIND = "any"

FIELDS: dict[str, FieldSpec] = {
    spec.path: spec
    for spec in (
        *_own(Side.ADVOCACY, "referral", "referral", _REFERRAL),
        *_own(Side.ADVOCACY, "advocate", "advocate", {"id": "advocate id", "department": "text", "eligible": "flag"}),
        FieldSpec("advocacy.advocate.email", Side.ADVOCACY, "advocate", "text", personal="advocate_email"),
        *_own(Side.ADVOCACY, "advocate", "advocate", {"joined_at": "time", "left_at": "time"}),
        *_own(Side.ADVOCACY, "share", "share", _SHARE),
        *_own(Side.ADVOCACY, "content", "content", _CONTENT),
        *_own(Side.ADVOCACY, "engagement", "referral", {"clicks": "clicks", "shares": "shares", "reach": "reach"}),
        _returned("status", "status"),
        _returned("status_at", "status time"),
        _returned("hired_at", "hire time"),
        _returned("starts_on", "start date"),
        _returned("ats", "application id"),
        *(
            _carried(f"advocacy.referral.{name}", Side.ADVOCACY, "candidate", "candidate creation", name)
            for name in PERSON_FIELDS
        ),
        *(
            _carried(f"advocacy.job.{name}", Side.ADVOCACY, "job", "job postings")
            for name in ("title", "status", "location", "url")
        ),
        *_own(Side.ATS, "application", "application", _APPLICATION),
        *(
            _carried(f"ats.candidate.{name}", Side.ATS, "candidate", "candidate creation", name)
            for name in PERSON_FIELDS
        ),
        *_own(Side.ATS, "candidate", "candidate", {"id": "candidate id", "created_at": "time", "updated_at": "time"}),
        *_own(
            Side.ATS,
            "job",
            "job",
            {
                "id": "job id",
                "title": "text",
                "status": "text",
                "department": "text",
                "location": "text",
                "url": "text",
            },
        ),
        *_own(
            Side.ATS,
            "offer",
            "application",
            {"status": "text", "sent_on": "date", "resolved_at": "hire time", "starts_on": "start date"},
        ),
    )
}
"""Every field by its path, but the custom fields (see `find_field`)."""


def find_field(path: str) -> FieldSpec | None:
    """The field of this path, or None when there is no such field."""
    if path.startswith(CUSTOM_FIELDS):
        name = path.removeprefix(CUSTOM_FIELDS)
        if not _CUSTOM_NAME.fullmatch(name):
            return None
        kind = _TAG_KINDS.get(name, ANY_KIND)
        return FieldSpec(path, Side.ATS, "application", kind, readable=False, written_by=Side.ADVOCACY)
    if path.startswith(CRM_PROPERTIES):
        if not _CRM_NAME.fullmatch(path.removeprefix(CRM_PROPERTIES)):
            return None
        return FieldSpec(path, Side.CRM, "candidate", ANY_KIND, readable=False)
    return FIELDS.get(path)


def known_paths() -> list[str]:
    """All paths that can be named one by one, for close matches."""
    return [*FIELDS, *(CUSTOM_FIELDS + tag for tag in TAGS)]
