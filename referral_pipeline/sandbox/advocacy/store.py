"""The rows of the advocacy platform and everything that can happen to them.

Belongs here: state, the order of lists, the rules of the contract (409, idempotency), what people do in the platform's
own pages (`act_*`). Does not belong here: HTTP, tokens, faults.

Every change stamps the row's `updated_at` by the store's own clock. Lists are kept sorted by (updated_at, id), so a
page costs a bisection whatever the size, and each row keeps its JSON until it changes.
"""

from __future__ import annotations

import itertools
import json
import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from referral_pipeline.sandbox.advocacy import clock

Row = dict[str, Any]
Position = tuple[str, str]
"""(updated_at, id): where a row stands in its list."""

LISTED = ("advocates", "content", "shares", "clicks", "referrals")
ENTITIES = (*LISTED, "jobs", "recognitions", "results")
RECOGNITION_KINDS = ("hired", "bonus_eligible", "reversed")


class NotFound(LookupError):
    """No row has this id."""


class Conflict(ValueError):
    """The request was understood and contradicts what the platform already knows (409)."""


class Invalid(ValueError):
    """A value that the contract does not allow (422). `pointer` is a JSON pointer into the body."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(detail)
        self.pointer = pointer
        self.detail = detail


@dataclass
class Table:
    """The rows of one entity by id, with their order."""

    rows: dict[str, Row]
    order: list[Position]
    encoded: dict[str, bytes]


class AdvocacyStore:
    """The platform's state. Not thread-safe: one event loop owns it.

    `announce` is told each event of the contract (type, data), `open_jobs` knows the ids that a new referral can name;
    whoever puts the platform together may replace both. `arrivals` is when each status came in.
    """

    def __init__(self, *, now: Callable[[], datetime] = clock.now) -> None:
        self.now = now
        self.announce: Callable[[str, Row], None] = lambda event_type, data: None
        self.open_jobs: Callable[[], list[str]] = self._published
        self.arrivals: list[Row] = []
        self.tables: dict[str, Table] = {entity: Table({}, [], {}) for entity in ENTITIES}
        self._keys: dict[str, tuple[str, str]] = {}
        self._numbers = itertools.count(1)

    # ------------------------------------------------------------ reading

    def load(self, entity: str, rows: Iterable[Row]) -> None:
        """Put in rows as they are; `updated_at` is kept when given. Rows of the same id are replaced."""
        table = self.tables[entity]
        stamp = clock.stamp(self.now())
        for row in rows:
            table.rows[row["id"]] = {**row, "updated_at": row.get("updated_at") or stamp}
        table.order = sorted((row["updated_at"], row["id"]) for row in table.rows.values())
        table.encoded.clear()

    def get(self, entity: str, row_id: str) -> Row:
        """One row.

        Raises:
            NotFound: There is none.
        """
        try:
            return self.tables[entity].rows[row_id]
        except KeyError:
            raise NotFound(row_id) from None

    def page(
        self, entity: str, *, since: str | None, after: Position | None, limit: int
    ) -> tuple[list[bytes], Position | None]:
        """Up to `limit` encoded rows changed at or after `since` and standing after `after`, and where to go on."""
        table = self.tables[entity]
        start = bisect_left(table.order, (since, "")) if since else 0
        if after:
            start = max(start, bisect_right(table.order, after))
        positions = table.order[start : start + limit]
        more = start + limit < len(table.order)
        return [self._encoded(table, row_id) for _, row_id in positions], positions[-1] if more else None

    def dump(self) -> dict[str, list[Row]]:
        """All rows by entity, in list order."""
        return {entity: [table.rows[row_id] for _, row_id in table.order] for entity, table in self.tables.items()}

    @staticmethod
    def _encoded(table: Table, row_id: str) -> bytes:
        kept = table.encoded.get(row_id)
        if kept is None:
            kept = table.encoded[row_id] = encode(table.rows[row_id])
        return kept

    # ------------------------------------------------------------ the API's writes

    def return_status(
        self,
        referral_id: str,
        *,
        status: str,
        status_at: datetime,
        ats: Row | None,
        hired_at: str | None,
        starts_on: str | None,
    ) -> Row:
        """Take a status from the ATS. The dates of a hire go with any status that is not `hired`.

        Raises:
            NotFound: No such referral.
            Conflict: `status_at` is older than the stored one.
            Invalid: `ats` is missing although the platform knows it.
        """
        row = self.get("referrals", referral_id)
        at = clock.stamp(status_at)
        if row.get("status_at") and at < row["status_at"]:
            raise Conflict("status_at is older than the stored one")
        if ats is None and row.get("ats"):
            raise Invalid("/ats", "is needed once the platform knows the ids")
        is_hired = status == "hired"
        changes: Row = {
            "status": status,
            "status_at": at,
            "ats": ats or row.get("ats"),
            "hired_at": hired_at if is_hired else None,
            "starts_on": starts_on if is_hired else None,
        }
        changed = self.change("referrals", referral_id, changes)
        arrival = {"referral_id": referral_id, "status": status, "at": time.time(), "changed": changed is not row}
        self.arrivals.append(arrival)
        return changed

    def put_job(self, job_id: str, posting: Row) -> tuple[Row, bool]:
        """Publish or update a posting; True when it is new."""
        if job_id in self.tables["jobs"].rows:
            return self.change("jobs", job_id, posting), False
        return self.add("jobs", {"id": job_id, **posting}), True

    def put_results(self, advocate_id: str, results: Row) -> Row:
        """Take what came of an advocate's sharing, whole; the row has the advocate's id.

        Raises:
            NotFound: No such advocate.
            Conflict: `as_of` is older than the stored one.
        """
        self.get("advocates", advocate_id)
        stored = self.tables["results"].rows.get(advocate_id)
        if stored is None:
            return self.add("results", {"id": advocate_id, **results})
        if results["as_of"] < stored["as_of"]:
            raise Conflict("as_of is older than the stored one")
        return self.change("results", advocate_id, results)

    def recognise(self, key: str, recognition: Row) -> Row:
        """Record a recognition once per idempotency key.

        Raises:
            Invalid: The key was used with another body, the referral is unknown, or the amount does not fit the kind.
            Conflict: It was recognised before and not reversed since, or there is nothing to reverse.
        """
        fingerprint = json.dumps(recognition, sort_keys=True)
        if key in self._keys:
            known, recognition_id = self._keys[key]
            if known != fingerprint:
                raise Invalid("", "this Idempotency-Key was used with another body")
            return self.get("recognitions", recognition_id)
        self._check_recognition(recognition)
        row = self.add(
            "recognitions",
            {"id": self.new_id("rec"), **recognition, "created_at": clock.stamp(self.now())},
        )
        self._keys[key] = (fingerprint, row["id"])
        return row

    def _check_recognition(self, recognition: Row) -> None:
        referral_id, kind, amount = recognition["referral_id"], recognition["kind"], recognition["amount_cents"]
        if referral_id not in self.tables["referrals"].rows:
            raise Invalid("/referral_id", "is not a referral of this platform")
        standing: dict[str, int] = {}
        for row in self.tables["recognitions"].rows.values():
            if row["referral_id"] == referral_id:
                if row["kind"] == "reversed":
                    standing.clear()
                else:
                    standing[row["kind"]] = row["amount_cents"]
        if kind in standing:
            raise Conflict(f"{kind} stands already; it can come again only after a reversal")
        if kind == "reversed" and not standing:
            raise Conflict("there is nothing to reverse")
        fits = {"hired": amount == 0, "bonus_eligible": amount > 0, "reversed": amount == sum(standing.values())}
        if not fits[kind]:
            raise Invalid(
                "/amount_cents", "does not fit this kind (hired 0, bonus_eligible above 0, reversed all of it)"
            )

    # ------------------------------------------------------------ changes

    def add(self, entity: str, row: Row) -> Row:
        """A new row, stamped now."""
        table = self.tables[entity]
        if row["id"] in table.rows:
            raise Conflict("this id exists already")
        row = {**row, "updated_at": clock.stamp(self.now())}
        table.rows[row["id"]] = row
        insort(table.order, (row["updated_at"], row["id"]))
        return row

    def change(self, entity: str, row_id: str, changes: Row) -> Row:
        """Bring a row to `changes`; its `updated_at` moves only when something differs."""
        table, row = self.tables[entity], self.get(entity, row_id)
        changed = {**deepcopy(row), **changes}
        if changed == row:
            return row
        self._unorder(table, row)
        changed["updated_at"] = clock.stamp(max(self.now(), clock.read(row["updated_at"]) or self.now()))
        table.rows[row_id] = changed
        table.encoded.pop(row_id, None)
        insort(table.order, (changed["updated_at"], row_id))
        return changed

    def remove(self, entity: str, row_id: str) -> Row:
        """Take a row away for good."""
        table, row = self.tables[entity], self.get(entity, row_id)
        self._unorder(table, row)
        table.encoded.pop(row_id, None)
        return table.rows.pop(row_id)

    def new_id(self, prefix: str) -> str:
        """An id that no loaded row carries."""
        return f"{prefix}_live_{next(self._numbers):06d}"

    def _published(self) -> list[str]:
        return [row["id"] for row in self.tables["jobs"].rows.values() if row["status"] == "open"]

    @staticmethod
    def _unorder(table: Table, row: Row) -> None:
        del table.order[bisect_left(table.order, (row["updated_at"], row["id"]))]


def encode(value: Any) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
