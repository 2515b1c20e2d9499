"""What changes seldom in Ashby and is asked for often: sources, custom fields, users, the referral form.

Belongs here: caches with their rules of renewal. Does not belong here: candidates and applications, which are always
read fresh.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from referral_pipeline.connectors.ashby_api import AshbyApi
from referral_pipeline.connectors.ashby_models import SYSTEM, title_key
from referral_pipeline.connectors.failures import Forbidden, Invalid, NotFound, PermanentFailure
from referral_pipeline.connectors.records import Row

_KEEP_SECONDS = 900.0


@dataclass(frozen=True)
class Definition:
    """An application custom field as the account has defined it. `options`: what a select takes."""

    id: str
    title: str
    kind: str
    options: frozenset[str] = frozenset()
    is_archived: bool = False


@dataclass(frozen=True)
class FormField:
    """One field of the referral form. `kind` in lower case."""

    path: str
    kind: str
    title: str
    is_required: bool


@dataclass(frozen=True)
class Form:
    """The referral form."""

    id: str
    fields: Sequence[FormField]


class Reference:
    """Caches of one connector. Safe for threads; a lookup that misses is asked for again, but not for ever."""

    def __init__(self, api: AshbyApi, *, now: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._now = now
        self._lock = threading.RLock()
        self._sources: dict[str, str] = {}
        self._sources_at: float | None = None
        self._fields: dict[str, Definition] = {}
        self._fields_at: float | None = None
        self._users: dict[str, tuple[float, str | None]] = {}
        self._form: tuple[float, Form | None] | None = None
        self._types: dict[str, tuple[float, dict[str, str]]] = {}

    def source_id(self, title: str) -> str:
        """The id of the source of this title.

        Raises:
            PermanentFailure: there is none; the message says how to make one.
        """
        wanted = title_key(title)
        with self._lock:
            for refresh in (False, True):
                if refresh or self._is_old(self._sources_at):
                    rows = self._api.read_all("source.list", paged=False)
                    self._sources = {title_key(row.get("title")): str(row["id"]) for row in rows}
                    self._sources_at = self._now()
                if wanted in self._sources:
                    return self._sources[wanted]
        raise PermanentFailure(
            SYSTEM, "source.list", detail="the source of options.source_name does not exist; create it in Admin"
        )

    def fields(self, *, fresh: bool = False) -> Mapping[str, Definition]:
        """The application custom fields by folded title. Of two with one title the one that is in use counts."""
        with self._lock:
            if fresh or self._is_old(self._fields_at):
                rows = [row for row in self._api.read_all("customField.list") if row.get("objectType") == "Application"]
                found = sorted((_definition(row) for row in rows), key=lambda one: not one.is_archived)
                self._fields = {title_key(one.title): one for one in found}
                self._fields_at = self._now()
            return self._fields

    def field(self, title: str) -> Definition:
        """The definition of a field.

        Raises:
            Invalid: there is none that takes values.
        """
        for fresh in (False, True):
            found = self.fields(fresh=fresh).get(title_key(title))
            if found is not None and not found.is_archived:
                return found
        raise Invalid(SYSTEM, "customField.list", detail="an application custom field of the options does not exist")

    def user_id(self, email: str) -> str | None:
        """(10) The id of the user with this address; None when there is no such user."""
        wanted = email.strip().casefold()
        if not wanted:
            return None
        with self._lock:
            known = self._users.get(wanted)
            if known is not None and not self._is_old(known[0]):
                return known[1]
        found = self._api.read_all("user.search", {"email": email.strip()}, paged=False)
        ids = [str(r["id"]) for r in found if str(r.get("email") or "").strip().casefold() == wanted]
        answer = ids[0] if ids else None
        with self._lock:
            self._users[wanted] = (self._now(), answer)
        return answer

    def stage_types(self, plan_id: str, needed: Iterable[str]) -> Mapping[str, str]:
        """Stage id -> type of an interview plan; read again when one of `needed` is unknown, but not for ever."""
        with self._lock:
            known = self._types.get(plan_id)
            if known is not None and not self._is_old(known[0]) and set(needed) <= known[1].keys():
                return known[1]
            rows = self._api.read_all("interviewStage.list", {"interviewPlanId": plan_id}, paged=False)
            # Stages of an earlier plan of the job are in none: they are remembered as being of no type.
            types = {**dict.fromkeys(needed, ""), **{str(row["id"]): str(row.get("type") or "") for row in rows}}
            self._types[plan_id] = (self._now(), {**(known[1] if known else {}), **types})
            return self._types[plan_id][1]

    def form(self) -> Form | None:
        """The referral form; None where the plan or the key allows none."""
        with self._lock:
            if self._form is not None and not self._is_old(self._form[0]):
                return self._form[1]
            try:
                found = self._api.read("referralForm.info")
            except (Forbidden, NotFound):
                found = None
            form = _form(cast("Row", found)) if isinstance(found, dict) else None
            self._form = (self._now(), form)
            return form

    def _is_old(self, read_at: float | None) -> bool:
        return read_at is None or self._now() - read_at > _KEEP_SECONDS


def _definition(row: Row) -> Definition:
    options: list[Any] = row.get("selectableValues") or []
    return Definition(
        id=str(row["id"]),
        title=str(row.get("title") or ""),
        kind=str(row.get("fieldType") or ""),
        options=frozenset(str(one.get("value")) for one in options if isinstance(one, dict)),
        is_archived=bool(row.get("isArchived")),
    )


def _form(row: Row) -> Form | None:
    if row.get("id") is None or row.get("isArchived"):
        return None
    fields: list[FormField] = []
    definition: Any = row.get("formDefinition") or {}
    for section in definition.get("sections") or []:
        for entry in section.get("fields") or []:
            inner: Any = entry.get("field") or {}
            fields.append(
                FormField(
                    path=str(inner.get("path") or ""),
                    kind=str(inner.get("type") or "").casefold(),
                    title=title_key(inner.get("title")),
                    is_required=bool(entry.get("isRequired")),
                )
            )
    return Form(str(row["id"]), fields)
