"""What a Greenhouse tenant is asked in an audit, as data.

Belongs here: each question, what follows from either answer, who needs it. Does not belong here: asking
(`greenhouse_audit`, `greenhouse_trip`).
"""

from __future__ import annotations

from collections.abc import Mapping

from referral_pipeline.connectors.capabilities import ALWAYS, CREATION, MERGING, Area, Question
from referral_pipeline.connectors.greenhouse_api import PAGE_SIZE, PULLED

# ---------------------------------------------------------------- what reading answers

_WHAT_FOR: Mapping[str, str] = {
    "jobs": "no job is published to advocates, and no application can name one",
    "job_interview_stages": "stages have no names, so that every status in between is in_review",
    "job_posts": "advocates get no link to a job",
    "candidates": "nobody is recognised, and every referral would be a second candidate",
    "applications": "no status comes back, and nothing is attributed",
    "application_stages": "when a stage was reached is not known",
    "offers": "offers and the dates of hires are not known",
    "openings": "a hire without an accepted offer has no date",
    "sources": "applications get no source",
    "rejection_details": "why and when an application was rejected is not known",
    "rejection_reasons": "a withdrawal cannot be told from a rejection",
    "departments": "jobs have no department",
    "custom_fields": "tags cannot be written: advocate, content and campaign do not reach the ATS",
    "custom_field_options": "tags that are selects cannot be written",
    "referrers": "no application is created: the advocate's referrer is looked up first",
    "users": "no application is created: the advocate's referrer is looked up first",
}

SEARCH_EMAIL = Question(
    Area.ENDPOINTS,
    "candidates.search_by_email",
    "Find candidates by e-mail",
    "a referral of somebody who is known updates the candidate",
    "only what was pulled before is recognised: others are created a second time",
    (CREATION,),
    "GET /v3/candidates",
)

SEARCH_PHONE = Question(
    Area.ENDPOINTS,
    "candidates.search_by_phone",
    "Find candidates by phone",
    "a number finds candidates that were never pulled",
    "the integration finds numbers in its own keyed index of what it has pulled",
)

PAGES = Question(
    Area.ARCHITECTURE,
    "pages",
    "Lists come in pages that a link joins",
    f"everything is read, {PAGE_SIZE} rows a call",
    "only the first page of a list could be read",
    (ALWAYS,),
)

SCOPES = Question(
    Area.AUTHENTICATION,
    "scopes",
    "The credential may read every list",
    "all is read under one credential",
    "grant the scopes, and let the credential act as a Site Admin",
)

STATUS = Question(
    Area.ENDPOINTS,
    "applications.status",
    "Read where an application stands",
    "every status is told in canonical words",
    "a word that is not known is in_review",
)

SOURCE_EXISTS = Question(
    Area.TAGGING,
    "applications.source_exists",
    "The source that the contract names exists",
    "applications can carry it",
    "applications cannot be created under this contract: create the source in Configure > Sources",
    (CREATION,),
)


def list_question(entity: str) -> Question:
    """Whether one list can be read, from a moment on."""
    return Question(
        Area.ENDPOINTS,
        f"{entity}.list",
        f"Read {entity.replace('_', ' ')}" + (", changed since a moment" if entity in PULLED else ""),
        "what changed is read from a cursor on" if entity in PULLED else "it is looked up when it is needed",
        _WHAT_FOR[entity],
        (ALWAYS,) if entity in PULLED else (CREATION,),
        f"GET /v3/{entity}",
    )


# ---------------------------------------------------------------- what only a write answers

CREATE = Question(
    Area.ENDPOINTS,
    "candidates.create",
    "Create a candidate",
    "a referral becomes a candidate",
    "no referral reaches the ATS",
    (CREATION,),
    "POST /v3/candidates",
)
APPLY = Question(
    Area.ENDPOINTS,
    "applications.create",
    "Open an application for a candidate who exists",
    "a referral of somebody who is known opens an application",
    "a referral of somebody who is known stops: their application cannot be opened",
    (CREATION,),
    "POST /v3/applications",
)
TAG = Question(
    Area.ENDPOINTS,
    "applications.update",
    "Write advocate, content and campaign on an application",
    "credit that moves is written where it belongs",
    "tags stay as they were at creation: credit that moves, and applications that exist, are not attributed in the ATS",
    (CREATION,),
    "PATCH /v3/applications/{id}",
)
CONTACT = Question(
    Area.ENDPOINTS,
    "candidates.update",
    "Add an e-mail or a phone to a candidate",
    "a candidate who exists gets what a referral knows more",
    "candidates who exist keep the contact details they have",
    (CREATION,),
    "PATCH /v3/candidates/{id}",
)
MERGE = Question(
    Area.ENDPOINTS,
    "candidates.merge",
    "Merge two candidates",
    "decisions of the review are carried out in the ATS",
    "duplicates are merged by hand: set rules.dedupe.merge_in_ats to off",
    (MERGING,),
    "POST /v3/candidates/{id}/merge",
)
FIELDS_BY_API = Question(
    Area.CUSTOM_FIELDS,
    "custom_fields.create",
    "Create custom fields by the API",
    "fields could be made by the integration",
    "an administrator creates them by hand in Configure > Custom Options",
    (),
    "POST /v3/custom_fields",
)
REQUIRED = Question(
    Area.FIELDS,
    "candidates.required",
    "What a new candidate must have",
    "a referral has all of it",
    "a referral may lack what this tenant requires, and is refused then",
)
SOURCE = Question(
    Area.TAGGING,
    "applications.source",
    "Give a new application its source",
    "the ATS's own source reports count the programme",
    "the ATS's own source reports do not show the programme; the tags do",
)
REFERRER = Question(
    Area.TAGGING,
    "applications.referrer",
    "Give a new application its referrer",
    "the ATS shows the advocate as the referrer, where they have a referrer record",
    "the advocate stands in the tags only: the API creates no referrer records",
)
DELETE = Question(
    Area.ENDPOINTS,
    "candidates.delete",
    "Delete a candidate",
    "what an audit writes is taken back",
    "what an audit writes must be deleted by hand",
    (),
    "DELETE /v3/candidates/{id}",
)
FOUND = Question(
    Area.ARCHITECTURE,
    "read_after_write",
    "What was created is found by a search",
    "a second referral of the same person finds the first",
    "raise options.visibility_lag_seconds: a second referral within that time makes a second candidate",
    (CREATION,),
)
ONLY_WRITING = (
    *(CREATE, APPLY, TAG, CONTACT, MERGE, DELETE),
    *(FOUND, SOURCE, REFERRER, FIELDS_BY_API, REQUIRED),
)
