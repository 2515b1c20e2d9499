"""The ids of the account and its records: UUIDs, the same at each start.

Belongs here: from an id of the programme to the vendor's. Does not belong here: records.
"""

from __future__ import annotations

import uuid
from typing import Any

from referral_pipeline.contract.systems import SANDBOX_OPTIONS
from referral_pipeline.sandbox.programme.ats_setup import DEPARTMENTS

Row = dict[str, Any]

COMPANY: str = SANDBOX_OPTIONS["company_id"]
_DEFAULTS: dict[str, str] = SANDBOX_OPTIONS["job_defaults"]
LOCATION, CONTACT, REWARD = (_DEFAULTS[name] for name in ("location", "contact_person", "reward"))
_NAMESPACE = uuid.UUID(COMPANY)


def id_of(kind: str, own: str) -> str:
    """The vendor's id of a record of the programme."""
    return str(uuid.uuid5(_NAMESPACE, f"{kind}:{own}"))


DEPARTMENT_IDS: dict[str, str] = {
    **{name: id_of("department", name) for name in DEPARTMENTS},
    "Other": _DEFAULTS["department"],
}


def renamed(entity: str, row: Row) -> Row:
    """A row of the programme under the vendor's ids. Jobs keep the ATS's: it is their reference number."""
    told = {**row, "id": id_of(entity, row["id"])}
    for column, of in (("advocate_id", "advocates"), ("share_id", "shares"), ("content_id", "content")):
        if told.get(column):
            told[column] = id_of(of, told[column])
    return told
