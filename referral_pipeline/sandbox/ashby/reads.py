"""The calls that only read.

Belongs here: which rows each shows. Does not belong here: their shape (`payloads`), pages (`paging`), changes
(`writes`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from referral_pipeline.sandbox.ashby import ids
from referral_pipeline.sandbox.ashby.errors import invalid, not_found
from referral_pipeline.sandbox.ashby.ids import id_of
from referral_pipeline.sandbox.ashby.paging import page
from referral_pipeline.sandbox.ashby.payloads import OBJECT_TYPES, Payloads, is_shown
from referral_pipeline.sandbox.ashby.world import World
from referral_pipeline.sandbox.greenhouse.schema import Row
from referral_pipeline.sandbox.greenhouse.times import read_stamp

Body = Mapping[str, Any]
_MOST_FOUND = 100


class Reads:
    """Reads one world. Each method is a call and answers its fields beside `success`."""

    def __init__(self, world: World, payloads: Payloads) -> None:
        self._world = world
        self._store = world.store
        self._payloads = payloads
        self.calls: Mapping[str, Callable[[Body], dict[str, Any]]] = {
            "apiKey.info": self._key,
            "candidate.list": self._candidates,
            "candidate.search": self._search,
            "candidate.info": self._candidate,
            "candidateTag.list": self._tags,
            "application.list": self._applications,
            "application.info": self._application,
            "application.listHistory": self._history,
            "customField.list": self._fields,
            "job.list": self._jobs,
            "job.info": self._job,
            "jobPosting.list": self._postings,
            "department.list": self._departments,
            "source.list": self._sources,
            "interviewPlan.list": self._plans,
            "interviewStage.list": self._stages,
            "archiveReason.list": self._reasons,
            "offer.list": self._offers,
            "user.list": self._users,
            "user.search": self._user,
        }

    def row(self, entity: str, uuid: str, noun: str) -> Row:
        """The row of a UUID.

        Raises:
            Refusal: there is none.
        """
        row = self._store.get(entity, id_of(entity, uuid))
        if row is None or (entity == "applications" and not is_shown(row)):
            raise not_found(noun)
        return row

    def _key(self, body: Body) -> dict[str, Any]:
        return {"results": {"title": "Referral pipeline", "createdAt": "2026-01-05T09:00:00.000Z", "scopes": []}}

    # ------------------------------------------------------------ people

    def _candidates(self, body: Body) -> dict[str, Any]:
        return page(
            self._world,
            "candidates",
            self._store.rows("candidates"),
            self._payloads.candidate,
            body,
            is_visible=lambda row: self._store.is_visible("candidates", row["id"]),
        )

    def _search(self, body: Body) -> dict[str, Any]:
        if not body:
            raise invalid("email or name is required")
        rows = self._store.rows("candidates")
        if "email" in body:
            index = self._store.tables["candidates"].matching("email", body["email"].strip().casefold())
            rows = [self._store.tables["candidates"].rows[row_id] for row_id in sorted(index)]
        shown = [self._payloads.candidate(row) for row in rows if self._store.is_visible("candidates", row["id"])]
        if "name" in body:
            wanted = body["name"].strip().casefold()
            shown = [row for row in shown if wanted in row["name"].casefold()]
        return {"results": shown[:_MOST_FOUND]}

    def _candidate(self, body: Body) -> dict[str, Any]:
        if set(body) != {"id"}:
            raise invalid("id is required")
        return {"results": self._payloads.candidate(self.row("candidates", body["id"], "candidate"))}

    def _tags(self, body: Body) -> dict[str, Any]:
        return page(self._world, "candidate_tags", self._store.rows("candidate_tags"), self._payloads.tag, body)

    def _users(self, body: Body) -> dict[str, Any]:
        rows = [row for row in self._store.rows("users") if body.get("includeDeactivated") or not row["deactivated"]]
        return page(self._world, "users", rows, self._payloads.user, body)

    def _user(self, body: Body) -> dict[str, Any]:
        wanted = body["email"].strip().casefold()
        rows = [row for row in self._store.rows("users") if (row["primary_email"] or "").casefold() == wanted != ""]
        return {"results": [self._payloads.user(row) for row in rows]}

    # ------------------------------------------------------------ applications

    def _applications(self, body: Body) -> dict[str, Any]:
        rows = [row for row in self._store.rows("applications") if is_shown(row)]
        if "status" in body:
            rows = [row for row in rows if self._payloads.status(row) == body["status"]]
        if "jobId" in body:
            rows = [row for row in rows if row["job_id"] == id_of("jobs", body["jobId"])]
        expand = body.get("expand", ())
        return page(
            self._world,
            "applications",
            rows,
            lambda row: self._payloads.application(row, expand),
            body,
            is_visible=lambda row: self._store.is_visible("applications", row["id"]),
        )

    def _application(self, body: Body) -> dict[str, Any]:
        row = self.row("applications", body["applicationId"], "application")
        return {"results": self._payloads.application_info(row, body.get("expand", ()))}

    def _history(self, body: Body) -> dict[str, Any]:
        row = self.row("applications", body["applicationId"], "application")
        items = self._payloads.history(row)
        begin = 0
        if "cursor" in body:
            cursor = self._world.opened(body["cursor"]) or {}
            if cursor.get("of") != row["id"]:
                raise invalid("the cursor is not one of this list")
            begin = cursor["begin"]
        end = begin + int(body.get("limit", self._world.switches.default_limit))
        answer: dict[str, Any] = {"results": items[begin:end], "moreDataAvailable": end < len(items)}
        if end < len(items):
            answer["nextCursor"] = self._world.sealed({"t": "h", "of": row["id"], "begin": end})
        return answer

    def _offers(self, body: Body) -> dict[str, Any]:
        kept: dict[int, Row] = {}
        if "applicationId" in body:
            found = self._store.find("offers", "application_id", id_of("applications", body["applicationId"]))
        else:
            found = self._store.rows("offers")
        for row in found:
            kept.setdefault(row["application_id"], row)
        rows = [kept[application_id] for application_id in sorted(kept)]

        def is_wanted(row: Row) -> bool:
            offer = self._payloads.offer(row["application_id"]) or {}
            return all(offer.get(name) in body[name] for name in ("offerStatus", "acceptanceStatus") if name in body)

        return page(
            self._world,
            "offers",
            [row for row in rows if is_wanted(row)],
            lambda row: self._payloads.offer(row["application_id"]) or {},
            body,
            key=lambda row: int(row["application_id"]),
        )

    # ------------------------------------------------------------ jobs

    def _jobs(self, body: Body) -> dict[str, Any]:
        rows = [row for row in self._store.rows("jobs") if not row["is_template"]]
        expand = body.get("expand", ())
        if "status" in body:
            rows = [row for row in rows if row["status"].capitalize() in body["status"]]
        for name, column, sign in (
            ("openedAfter", "opened_at", 1),
            ("openedBefore", "opened_at", -1),
            ("closedAfter", "closed_at", 1),
            ("closedBefore", "closed_at", -1),
        ):
            if name in body:
                rows = [row for row in rows if row[column] and sign * (_epoch(row[column]) - body[name]) > 0]
        return page(self._world, "jobs", rows, lambda row: self._payloads.job(row, expand), body)

    def _job(self, body: Body) -> dict[str, Any]:
        return {"results": self._payloads.job(self.row("jobs", body["id"], "job"), body.get("expand", ()))}

    def _postings(self, body: Body) -> dict[str, Any]:
        shown = [self._payloads.posting(row) for row in self._store.rows("job_posts")]
        if body.get("listedOnly"):
            shown = [row for row in shown if row["isListed"]]
        for name, column in (("location", "locationName"), ("department", "departmentName")):
            if name in body:
                shown = [row for row in shown if row[column] == body[name]]
        return {"results": shown}

    def _departments(self, body: Body) -> dict[str, Any]:
        return page(self._world, "departments", self._store.rows("departments"), self._payloads.department, body)

    def _plans(self, body: Body) -> dict[str, Any]:
        rows = [row for row in self._store.rows("jobs") if not row["is_template"]]
        return page(self._world, "interview_plans", rows, self._payloads.plan, body)

    def _stages(self, body: Body) -> dict[str, Any]:
        job_id = id_of(ids.INTERVIEW_PLANS, body["interviewPlanId"])
        if job_id is None or self._store.get("jobs", job_id) is None:
            raise not_found("interview_plan")
        return {"results": self._payloads.stages(job_id), "moreDataAvailable": False}

    # ------------------------------------------------------------ words

    def _fields(self, body: Body) -> dict[str, Any]:
        rows = [row for row in self._store.rows("custom_fields") if row["field_type"] in OBJECT_TYPES]
        return page(self._world, "custom_fields", rows, self._payloads.field, body)

    def _sources(self, body: Body) -> dict[str, Any]:
        shown = [self._payloads.source(row) for row in self._store.rows("sources")]
        return {"results": shown, "moreDataAvailable": False}

    def _reasons(self, body: Body) -> dict[str, Any]:
        return {"results": [self._payloads.reason(row) for row in self._store.rows("rejection_reasons")]}


def _epoch(text: str) -> float:
    return read_stamp(text).timestamp() * 1000
