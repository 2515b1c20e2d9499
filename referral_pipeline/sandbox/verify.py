"""Holding both sandboxes against the programme's truth: every candidate, application, tag, returned status, posting.

Belongs here: the comparison, from plain JSON to counts and sentences. Does not belong here: making the truth
(`programme.truth`), asking the sandboxes (`launch.Control`).

Differences name ids and fields, never a name, an address or a number: they may be printed and logged.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from referral_pipeline.sandbox.programme.ats_setup import TAGS
from referral_pipeline.sandbox.programme.story import mailbox, spelled

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Verification:
    """What was compared: (what, expected, found) counts, and one sentence for each difference."""

    rows: list[tuple[str, int, int]]
    differences: list[str]

    @property
    def is_clean(self) -> bool:
        """Whether everything is as it must be."""
        return not self.differences


def verify(
    truth: Json, advocacy_dump: Json, ats_dump: Json, *, results: bool = True, ats: str = "greenhouse"
) -> Verification:
    """Compare both systems with the truth after the bridge has run. Dumps are those of `/_sandbox/dump`.

    `ats` is the connector of the ATS: the name that the advocacy platform is told.

    Without `results` what advocates were told is left out: for runs that bring records level and count nothing.
    """
    tally = Tally()
    held = _Ats(truth, ats_dump)
    candidate_of = _check_candidates(tally, truth, held)
    application_of = _check_applications(tally, truth, held, candidate_of)
    _check_tags(tally, truth, held, application_of)
    _check_existing(tally, truth, held)
    _check_statuses(tally, truth, advocacy_dump, held, ats, application_of)
    _check_jobs(tally, truth, advocacy_dump)
    if results and "results" not in truth.get("lacks", ()):
        _check_results(tally, truth, advocacy_dump)
    return Verification(tally.rows(), tally.differences)


@dataclass
class Tally:
    """Counts by what was compared, in order of first mention."""

    expected: Counter[str] = field(default_factory=Counter[str])
    found: Counter[str] = field(default_factory=Counter[str])
    order: dict[str, None] = field(default_factory=dict[str, None])
    differences: list[str] = field(default_factory=list[str])

    def check(self, what: str, is_right: bool, otherwise: str) -> None:
        """One thing that must be so."""
        self.order[what] = None
        self.expected[what] += 1
        if is_right:
            self.found[what] += 1
        else:
            self.differences.append(otherwise)

    def never(self, what: str, wrong: str | None = None) -> None:
        """One thing that must not be: name it without `wrong` to show the zero."""
        self.order[what] = None
        if wrong is not None:
            self.found[what] += 1
            self.differences.append(wrong)

    def rows(self) -> list[tuple[str, int, int]]:
        """What was compared: (what, expected, found)."""
        return [(what, self.expected[what], self.found[what]) for what in self.order]


class _Ats:
    """The ATS's rows by string id, old ones told from new ones."""

    def __init__(self, truth: Json, dump: Json) -> None:
        self.candidates = {str(row["id"]): row for row in dump["candidates"]}
        self.applications = {str(row["id"]): row for row in dump["applications"]}
        self.sources = {row["id"]: row["name"] for row in dump["sources"]}
        old_candidates, old_applications = truth["existing"]["candidates"], set(truth["existing"]["applications"])
        self.new_candidates = {key: row for key, row in self.candidates.items() if key not in old_candidates}
        self.new_applications = {key: row for key, row in self.applications.items() if key not in old_applications}


# ---------------------------------------------------------------- candidates


def _check_candidates(tally: Tally, truth: Json, ats: _Ats) -> dict[str, str]:
    """Match every new candidate with the person that it stands for; answers person -> candidate id."""
    persons: dict[str, Json] = truth["persons"]
    by_mailbox: dict[str, list[str]] = defaultdict(list)
    for key, person in persons.items():
        for box in {mailbox(email) for email in person["emails"]}:
            by_mailbox[box].append(key)
    candidate_of = {key: person["ats_candidate_id"] for key, person in persons.items() if person["ats_candidate_id"]}
    known = set(candidate_of)
    tally.never("candidates that duplicate a person")
    tally.never("candidates that nobody asked for")
    for candidate_id, row in ats.new_candidates.items():
        person_key = _person_of(row, by_mailbox, persons)
        if person_key is None:
            tally.never("candidates that nobody asked for", f"candidate {candidate_id}: belongs to no written referral")
        elif person_key in candidate_of:
            other = candidate_of[person_key]
            tally.never("candidates that duplicate a person", f"candidate {candidate_id}: duplicates candidate {other}")
        else:
            candidate_of[person_key] = candidate_id
    for row in truth["applications"]:
        person_key = row["person"]
        if person_key not in known:
            known.add(person_key)
            _check_created(tally, person_key, persons[person_key], ats, candidate_of)
    return candidate_of


def _person_of(row: Json, by_mailbox: Mapping[str, list[str]], persons: Mapping[str, Json]) -> str | None:
    boxes = {mailbox(item["value"]) for item in row["email_addresses"]}
    found = sorted({key for box in boxes for key in by_mailbox.get(box, ())})
    if len(found) > 1:
        name = spelled(row["first_name"], row["last_name"])
        found = [key for key in found if name in {spelled(*one) for one in persons[key]["spellings"]}]
    return found[0] if found else None


def _check_created(tally: Tally, person_key: str, person: Json, ats: _Ats, candidate_of: Mapping[str, str]) -> None:
    candidate_id = candidate_of.get(person_key)
    row = ats.new_candidates.get(candidate_id) if candidate_id else None
    tally.check("candidates created", row is not None, f"person {person_key}: no candidate was created")
    if row is None:
        return
    label = f"candidate {candidate_id}"
    name = (_text(row["first_name"]), _text(row["last_name"]))
    names = {(first.strip(), last.strip()) for first, last in person["spellings"]}
    tally.check("created candidates with their name", name in names, f"{label}: the name differs")
    phones = {_digits(item["value"]) for item in row["phone_numbers"]}
    wanted = {_digits(phone) for phone in person["phones"]}
    tally.check(
        "created candidates with their phone",
        phones == wanted,
        f"{label}: {len(wanted)} phone numbers expected, found {len(phones)}, {len(phones & wanted)} of them right",
    )
    boxes = {mailbox(item["value"]) for item in row["email_addresses"]}
    allowed = {mailbox(email) for email in person["emails"]}
    tally.check(
        "created candidates with their e-mail",
        bool(boxes) and boxes <= allowed,
        f"{label}: carries an e-mail address of somebody else, or none",
    )


def _check_existing(tally: Tally, truth: Json, ats: _Ats) -> None:
    """What recruiters had typed stays; what belongs to no written referral is not even touched."""
    for candidate_id, before in truth["existing"]["candidates"].items():
        row = ats.candidates.get(candidate_id)
        kept = row is not None and (
            row["first_name"] == before["first_name"]
            and row["last_name"] == before["last_name"]
            and set(before["emails"]) <= {item["value"] for item in row["email_addresses"]}
            and set(before["phones"]) <= {item["value"] for item in row["phone_numbers"]}
        )
        tally.check("earlier candidates kept", kept, f"candidate {candidate_id}: lost, or its details changed")
    for entity, rows in (("candidates", ats.candidates), ("applications", ats.applications)):
        for row_id, updated_at in truth["untouched"][entity].items():
            row = rows.get(row_id)
            is_same = row is not None and row["updated_at"] == updated_at
            tally.check(f"{entity} of other channels untouched", is_same, f"{entity} {row_id}: was touched")


# ---------------------------------------------------------------- applications


def _check_applications(tally: Tally, truth: Json, ats: _Ats, candidate_of: Mapping[str, str]) -> dict[str, str]:
    """One application for each in the truth and none besides; answers logical key -> application id."""
    made: dict[tuple[str, str], list[str]] = defaultdict(list)
    for application_id, row in ats.new_applications.items():
        made[str(row["candidate_id"]), str(row["job_id"])].append(application_id)
    application_of: dict[str, str] = {}
    claimed: set[str] = set()
    for wanted in truth["applications"]:
        key = wanted["key"]
        candidate_id = candidate_of.get(wanted["person"], "")
        if wanted["ats_application_id"]:
            found = [wanted["ats_application_id"]] if wanted["ats_application_id"] in ats.applications else []
            what = "earlier applications in place"
        else:
            found = made.get((candidate_id, wanted["job_id"]), [])
            what = "applications created"
        is_right = len(found) == 1 and _is_where_it_belongs(ats.applications[found[0]], candidate_id, wanted["job_id"])
        tally.check(what, is_right, f"application {key}: one expected, found {len(found)}")
        claimed.update(found[:1])
        if found:
            application_of[key] = found[0]
            status = ats.applications[found[0]]["status"]
            tally.check(
                "applications as recruiters left them",
                status == _vendor_status(wanted["expected_status"]),
                f"application {found[0]}: its status in the ATS is {status}",
            )
    tally.never("applications that nobody asked for")
    for application_id in sorted(set(ats.new_applications) - claimed):
        tally.never("applications that nobody asked for", f"application {application_id}: nobody asked for it")
    return application_of


def _is_where_it_belongs(row: Json, candidate_id: str, job_id: str) -> bool:
    return str(row["candidate_id"]) == candidate_id and str(row["job_id"]) == job_id


def _check_tags(tally: Tally, truth: Json, ats: _Ats, application_of: Mapping[str, str]) -> None:
    for wanted in truth["applications"]:
        application_id = application_of.get(wanted["key"])
        row = ats.applications.get(application_id or "")
        fields: Mapping[str, Any] = (row["custom_fields"] if row else None) or {}
        label = f"application {application_id or wanted['key']}"
        for tag in TAGS:
            found = _tag(fields.get(tag))
            tally.check(
                f"applications with their {tag}",
                row is not None and found == wanted[tag],
                f"{label}: {tag} is {found}, expected {wanted[tag]}",
            )
        if wanted["ats_application_id"] is None:
            source = ats.sources.get(row["source_id"]) if row else None
            tally.check(
                "created applications with their source",
                source == truth["source_name"],
                f"{label}: its source is not {truth['source_name']}",
            )


# ---------------------------------------------------------------- the advocacy side


def _check_statuses(
    tally: Tally, truth: Json, advocacy_dump: Json, ats: _Ats, name: str, application_of: Mapping[str, str]
) -> None:
    rows = {row["id"]: row for row in advocacy_dump["referrals"]}
    lacks = truth.get("lacks", ())
    for referral_id, wanted in truth["referrals"].items():
        row = rows.get(referral_id)
        if wanted["outcome"] != "written":
            is_silent = row is not None and row["status"] is None and row["ats"] is None
            tally.check(
                "blocked and quarantined referrals left alone",
                is_silent,
                f"referral {referral_id}: has a status although it is {wanted['outcome']}",
            )
            continue
        found = row["status"] if row else None
        tally.check(
            f"status {wanted['expected_status'] or 'in progress'} returned",
            found == wanted["expected_status"],
            f"referral {referral_id}: status is {found}, expected {wanted['expected_status']}",
        )
        if row is None or found is None:
            continue
        application = ats.applications.get(application_of.get(wanted["application"], ""))
        ids = (
            {
                "system": name,
                "candidate_id": str(application["candidate_id"]),
                "application_id": str(application["id"]),
            }
            if application
            else None
        )
        if "ats" not in lacks:
            is_same = row["ats"] == ids
            tally.check("statuses with the ATS's ids", is_same, f"referral {referral_id}: the ATS's ids differ")
        is_dated = "hired_at" in lacks or moment_of(row["hired_at"]) == moment_of(wanted["hired_at"])
        tally.check(
            "statuses with the dates of a hire",
            is_dated and row["starts_on"] == wanted["starts_on"],
            f"referral {referral_id}: hired_at or starts_on differs "
            f"({row['hired_at']}, {row['starts_on']}; expected {wanted['hired_at']}, {wanted['starts_on']})",
        )


def _check_jobs(tally: Tally, truth: Json, advocacy_dump: Json) -> None:
    found = {row["id"]: row for row in advocacy_dump["jobs"]}
    for job_id, wanted in truth["jobs"].items():
        row = found.get(job_id)
        is_right = row is not None and row["title"] == wanted["title"] and row["status"] == wanted["status"]
        tally.check(f"{wanted['status']} jobs published", is_right, f"job {job_id}: not published, or not as it is")
    tally.never("jobs that should not be published")
    for job_id in sorted(set(found) - set(truth["jobs"])):
        tally.never(
            "jobs that should not be published", f"job {job_id}: published although it is no open or closed job"
        )


def _check_results(tally: Tally, truth: Json, advocacy_dump: Json) -> None:
    """What each advocate was told of their own applications and hires, and nobody who is no advocate was told."""
    advocates = {row["id"] for row in advocacy_dump["advocates"]}
    credited = [row for row in truth["applications"] if row["channel"] == "advocacy"]
    applications = Counter(row["advocate_id"] for row in credited)
    hires = Counter(row["advocate_id"] for row in credited if row["expected_status"] == "hired")
    found = {row["id"]: row for row in advocacy_dump["results"]}
    for advocate_id in sorted(advocates):
        row = found.get(advocate_id)
        told = (row["applications"], row["hires"]) if row else None
        expected = (applications[advocate_id], hires[advocate_id])
        tally.check(
            "advocates with their applications and hires",
            told == expected,
            f"advocate {advocate_id}: was told of {told or 'nothing'} applications and hires, expected {expected}",
        )


# ---------------------------------------------------------------- forms


def _tag(stored: Any) -> str | None:
    """A custom field's value as text, whatever the field's type."""
    value = stored.get("value") if isinstance(stored, Mapping) else stored
    if value is None or value == "":
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _vendor_status(status: str) -> str:
    return {"hired": "hired", "rejected": "rejected", "withdrawn": "rejected"}.get(status, "in_process")


def _text(value: str | None) -> str:
    return (value or "").strip()


def _digits(value: str) -> str:
    return "".join(letter for letter in value if letter.isdigit())


def moment_of(text: str | None) -> datetime | None:
    """A time that was told; None for none."""
    return datetime.fromisoformat(text) if text else None
