"""Holding the CRM's contacts against the programme's truth: one contact for each person who is written, none besides.

Belongs here: the comparison, from plain JSON to counts and sentences. Does not belong here: the other systems
(`verify`), asking the sandboxes (`launch.Control`).

One address is one contact: of persons who share a mailbox one has it. A contact names the application that it tells of,
and all that it tells must be that application's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from referral_pipeline.sandbox.programme.story import mailbox
from referral_pipeline.sandbox.verify import Json, Tally, Verification, moment_of

_TAGS = {
    "referral_id": "referral_id",
    "referral_advocate_id": "advocate_id",
    "referral_share_id": "share_id",
    "referral_content_id": "content_id",
    "referral_campaign_tag": "campaign_tag",
}


def verify_contacts(truth: Json, crm_dump: Json, ats_dump: Json) -> Verification:
    """Compare the CRM with the truth after the bridge has run. Dumps are those of `/_sandbox/dump`."""
    tally = Tally()
    persons: Mapping[str, Json] = truth["persons"]
    written = {row["person"] for row in truth["applications"]}
    boxes = {key: {mailbox(email) for email in persons[key]["emails"]} for key in written}
    sharers: dict[str, set[str]] = defaultdict(set)
    for key, own in boxes.items():
        for box in own:
            sharers[box].add(key)
    contacts = [row for row in crm_dump["contacts"] if not row["archived"]]
    held: dict[str, list[Json]] = defaultdict(list)
    tally.never("contacts that nobody asked for")
    for row in contacts:
        emails = [row["properties"].get("email"), *row["further_emails"]]
        owners = {key for email in emails if email for key in sharers.get(mailbox(email), ())}
        if not owners:
            tally.never("contacts that nobody asked for", f"contact {row['id']}: belongs to no written referral")
        for key in owners:
            held[key].append(row)
    for key in sorted(written):
        if not boxes[key]:
            continue
        found = {row["id"]: row for row in held[key]}
        shares = any(len(sharers[box]) > 1 for box in boxes[key])
        is_right = len(found) >= 1 if shares else len(found) == 1
        tally.check("persons with one contact", is_right, f"person {key}: one contact expected, found {len(found)}")
    applications = {str(row["id"]): row for row in ats_dump["applications"]}
    for row in contacts:
        owners = {
            key
            for email in [row["properties"].get("email"), *row["further_emails"]]
            if email
            for key in sharers.get(mailbox(email), ())
        }
        if owners:
            _check_values(tally, row, _told_of(row, owners, truth["applications"], applications), applications)
    return Verification(tally.rows(), tally.differences)


def _told_of(contact: Json, owners: set[str], wanted: Sequence[Json], applications: Mapping[str, Json]) -> Json | None:
    """The application of the truth that a contact tells of; None when it is none of its person's."""
    application_id = contact["properties"].get("referral_ats_application_id")
    row = applications.get(application_id or "")
    if row is None:
        return None
    own = [one for one in wanted if one["person"] in owners]
    exact = [one for one in own if one["ats_application_id"] == application_id]
    made = [one for one in own if one["ats_application_id"] is None and one["job_id"] == str(row["job_id"])]
    candidates = exact or made
    # Persons who share a mailbox may have applied for the same job: the referral tells them apart.
    told = contact["properties"].get("referral_id")
    return next((one for one in candidates if one["referral_id"] == told), candidates[0] if candidates else None)


def _check_values(tally: Tally, contact: Json, wanted: Json | None, applications: Mapping[str, Json]) -> None:
    label = f"contact {contact['id']}"
    tally.check("contacts of their person's application", wanted is not None, f"{label}: tells of no application")
    if wanted is None:
        return
    values: Mapping[str, str] = contact["properties"]
    for name, tag in _TAGS.items():
        tally.check(
            f"contacts with their {tag}",
            values.get(name) == wanted[tag],
            f"{label}: {name} is {values.get(name)}, expected {wanted[tag]}",
        )
    status = values.get("referral_status")
    tally.check(
        "contacts with their status",
        status == wanted["expected_status"],
        f"{label}: referral_status is {status}, expected {wanted['expected_status']}",
    )
    hired, expected = moment_of(values.get("referral_hired_at")), moment_of(wanted["hired_at"])
    tally.check(
        "contacts with the date of a hire",
        hired == expected or (hired is not None and expected is None and status == "hired"),
        f"{label}: referral_hired_at is {hired}, expected {expected}",
    )
    candidate = str(applications[values["referral_ats_application_id"]]["candidate_id"])
    tally.check(
        "contacts with the ATS's ids",
        values.get("referral_ats_candidate_id") == candidate,
        f"{label}: referral_ats_candidate_id is another candidate's",
    )
