"""The form of the platform's resources: camelCase, links, expansion, pages.

Belongs here: from the account's rows to what the documentation shows. Does not belong here: which rows, state.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import quote

from referral_pipeline.sandbox.radancy.account import Account, applied_at, status_of
from referral_pipeline.sandbox.radancy.ids import COMPANY, DEPARTMENT_IDS, LOCATION, id_of

Row = dict[str, Any]

APPLICATION_FIELDS = (
    *("href", "id", "status", "applicationDate", "company", "applicant", "referrer", "share", "job", "referrals"),
    *("rewardPaid", "channel"),
)
EXPANDABLE = ("applicant", "referrer", "job", "referrals")
_ROLES = ["ROLE_TALENT_SCOUT"]


class Resources:
    """Makes resources below one address, such as http://127.0.0.1:8706/v1."""

    def __init__(self, account: Account, base: str) -> None:
        self._account = account
        self._company = f"{base}/companies/{COMPANY}"

    def application(self, row: Row, expand: Collection[str] = ()) -> Row:
        """An application."""
        href = f"{self._company}/applications/{row['id']}"
        job = self._account.job_of(row["job_id"])
        applicant_id = id_of("applicants", row["id"])
        shown: Row = {
            "href": href,
            "id": row["id"],
            "status": status_of(row),
            "applicationDate": applied_at(row),
            "company": {"id": COMPANY, "href": self._company},
            "applicant": {"id": applicant_id, "href": f"{self._company}/applicants/{applicant_id}"},
            "referrer": {"id": row["advocate_id"], "href": f"{self._company}/users/{row['advocate_id']}"},
            "job": {"id": job["id"], "href": f"{self._company}/jobs/{job['id']}"},
            "referrals": {"href": f"{href}/referrals"},
            "rewardPaid": bool(row.get("reward_paid")),
        }
        if row.get("share_id"):
            share = row["share_id"]
            shown["share"] = {"id": share, "href": f"{self._company}/jobs/{job['id']}/shares/{share}"}
        if "applicant" in expand:
            shown["applicant"] = {"id": applicant_id, **_person(row["candidate"])}
        if "referrer" in expand:
            shown["referrer"] = self.user(self._account.user(row["advocate_id"]))
        if "job" in expand:
            shown["job"] = {"id": job["id"], "title": job["title"]}
        if "referrals" in expand:
            shown["referrals"] = {"negativeCount": 0, "neutralCount": 0, "referralCount": 1}
        return shown

    def user(self, row: Row) -> Row:
        """A user."""
        department = DEPARTMENT_IDS.get(row["department"] or "", DEPARTMENT_IDS["Other"])
        first = (row["email"] or "somebody").partition(".")[0].capitalize()
        return {
            "href": f"{self._company}/users/{row['id']}",
            "id": row["id"],
            "companyId": COMPANY,
            "firstName": first,
            "lastName": "Colleague",
            "email": row["email"],
            "department": {"id": department, "href": f"{self._company}/departments/{department}"},
            "location": {"id": LOCATION, "href": f"{self._company}/locations/{LOCATION}"},
            "locale": "en_US",
            "status": "ACTIVE" if row["eligible"] else "INACTIVE",
            "incognito": False,
            "mainRole": _ROLES[0],
            "timeZone": "Europe/Vienna",
            "roles": _ROLES,
        }

    def job(self, row: Row) -> Row:
        """A job; what has no value is left out."""
        href = f"{self._company}/jobs/{row['id']}"
        shown: Row = {
            "href": href,
            "id": row["id"],
            "company": {"id": COMPANY, "href": self._company},
            "creationDate": row["creationDate"],
            "title": row["title"],
            "description": row["description"],
            "status": row["status"],
            "hot": row["hot"],
            "image": {},
            "statistics": {"href": f"{href}/statistics"},
            "shareLink": {"href": f"{href}?referrer={quote(row['contactPerson'])}"},
        }
        for name, path in (
            ("location", "locations"),
            ("department", "departments"),
            ("contactPerson", "users"),
            ("reward", "rewards"),
            ("jobBranding", "job_brandings"),
        ):
            if row[name]:
                shown[name] = {"id": row[name], "href": f"{self._company}/{path}/{row[name]}"}
        if row["responsiblePersons"]:
            shown["responsiblePersons"] = [
                {"id": one, "href": f"{self._company}/users/{one}"} for one in row["responsiblePersons"]
            ]
        for name in ("referenceNumber", "endDate", "jobPostingUrl", "careerSiteUrl"):
            if row[name] is not None:
                shown[name] = row[name]
        return shown

    def page(self, path: str, query: str, rows: list[Row], window: tuple[int, int], form: Callable[[Row], Row]) -> Row:
        """A page of a collection. `query` is all that was asked for but the window."""
        offset, limit = window

        def href(at: int) -> Row:
            asked = f"{query}&" if query else ""
            return {"href": f"{self._company}/{path}?{asked}offset={at}&limit={limit}"}

        total = len(rows)
        page: Row = {
            **href(offset),
            "total": total,
            "offset": offset,
            "limit": limit,
            "first": href(0),
            "last": href(max(0, (total - 1) // limit * limit)),
        }
        if offset + limit < total:
            page["next"] = href(offset + limit)
        return {**page, "items": [form(row) for row in rows[offset : offset + limit]]}


def _person(candidate: Row) -> Row:
    named = {
        "firstName": candidate["first_name"],
        "lastName": candidate["last_name"],
        "email": candidate["email"],
        "phoneNumber": candidate["phone"],
    }
    return {name: value for name, value in named.items() if value is not None}
