"""What an Ashby account is asked in an audit, as data.

Belongs here: each question, what follows from either answer, who needs it. Does not belong here: asking
(`ashby_audit`, `ashby_trip`).
"""

from __future__ import annotations

from collections.abc import Mapping

from referral_pipeline.connectors.ashby_api import PAGE_SIZE
from referral_pipeline.connectors.capabilities import ALWAYS, CREATION, ENRICHMENT, MERGING, RETURN, Area, Question
from referral_pipeline.contract.systems import TAGS

# ---------------------------------------------------------------- what reading answers

_WHAT_FOR: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "candidate.list": ("nobody is recognised, and every referral would be a second candidate", (ALWAYS,)),
    "application.list": ("no status comes back, and nothing is attributed", (ALWAYS,)),
    "job.list": ("no job is published to advocates, and no application can name one", (ALWAYS,)),
    "jobPosting.list": ("advocates get no link to a job", (ALWAYS,)),
    "department.list": ("jobs have no department", (ALWAYS,)),
    "interviewPlan.list": ("stages have no names, so that every status in between is in_review", (ALWAYS,)),
    "offer.list": ("offers and the dates of hires are not known", (ALWAYS,)),
    "customField.list": ("tags cannot be written: advocate, content and campaign do not reach the ATS", (CREATION,)),
    "source.list": ("applications get no source, and none can be created under a contract that names one", (CREATION,)),
    "archiveReason.list": ("what an audit writes cannot be taken back: an application is archived by a reason", ()),
}
LISTS = tuple(_WHAT_FOR)
SYNCED = frozenset({"candidate.list", "application.list", "job.list"})
"""The lists of which an audit asks whether they tell what changed since."""


def list_question(call: str) -> Question:
    """Whether one list can be read, and from a token on."""
    without, needed_by = _WHAT_FOR[call]
    is_synced = call in SYNCED
    return Question(
        Area.ENDPOINTS,
        call,
        f"Read what {call} lists" + (", changed since a token" if is_synced else ""),
        "what changed is read from a token on" if is_synced else "it is read whole",
        without,
        needed_by,
        f"POST /{call}",
    )


PAGES = Question(
    Area.ARCHITECTURE,
    "pages",
    "Lists come in pages that a cursor joins",
    f"everything is read, {PAGE_SIZE} rows a call",
    "only the first page of a list could be read",
    (ALWAYS,),
)
SCOPES = Question(
    Area.AUTHENTICATION,
    "scopes",
    "The key may read every list",
    "all is read under one key",
    "grant the key the permissions in Admin > Integrations > API keys",
)
REFUSALS = Question(
    Area.ARCHITECTURE,
    "refusals",
    "A refusal is told in the body, under status 200",
    "a refusal is a failure with the vendor's own code",
    "a refusal could be taken for a success",
    (ALWAYS,),
)
READ = Question(
    Area.ENDPOINTS,
    "application.info",
    "Read where one application stands",
    "what a webhook hints at is fetched, with the history of its stages",
    "what a webhook hints at cannot be fetched, and stages have no dates",
    (RETURN,),
    "POST /application.info",
)
STATUS = Question(
    Area.ENDPOINTS,
    "application.status",
    "The words for where an application stands are known",
    "every status is told in canonical words",
    "a word that is not known is in_review",
)
SEARCH_EMAIL = Question(
    Area.ENDPOINTS,
    "candidate.search",
    "Find candidates by e-mail",
    "a referral of somebody who is known updates the candidate",
    "only what was pulled before is recognised: others are created a second time",
    (CREATION,),
    "POST /candidate.search",
)
SEARCH_PHONE = Question(
    Area.ENDPOINTS,
    "candidate.search_by_phone",
    "Find candidates by phone",
    "a number finds candidates that were never pulled",
    "the integration finds numbers in its own keyed index of what it has pulled",
)
USERS = Question(
    Area.ENDPOINTS,
    "user.search",
    "Find a user by e-mail",
    "advocates who are users get the credit natively",
    "advocates stand in custom field and source only",
    (),
    "POST /user.search",
)
FORM = Question(
    Area.TAGGING,
    "referral.form",
    "The plan has a referral form",
    "options.referral_form can be used: a referral is Ashby's own",
    "referrals are created as candidates with credit, custom fields and source",
    (),
    "POST /referralForm.info",
)
SOURCE_EXISTS = Question(
    Area.TAGGING,
    "source_exists",
    "The source that the contract names exists",
    "applications can carry it",
    "applications cannot be created under this contract: create the source in Admin > Sources",
    (CREATION,),
)


def field_question(tag: str) -> Question:
    """Where one of our fields is written."""
    return Question(
        Area.CUSTOM_FIELDS,
        f"custom_fields.{tag}",
        f"An application custom field for {tag}",
        f"{tag} stands on the application",
        f"{tag} is written nowhere: `referral-pipeline fields create` makes the field, or Admin > Custom fields",
        (ENRICHMENT,) if tag in TAGS[5:] else (CREATION,),
    )


# ---------------------------------------------------------------- what only a write answers

CREATE = Question(
    Area.ENDPOINTS,
    "candidate.create",
    "Create a candidate",
    "a referral becomes a candidate",
    "no referral reaches the ATS",
    (CREATION,),
    "POST /candidate.create",
)
APPLY = Question(
    Area.ENDPOINTS,
    "application.create",
    "Open an application for a candidate who exists",
    "every referral has an application of its job",
    "no referral has an application: nothing is attributed",
    (CREATION,),
    "POST /application.create",
)
TAG = Question(
    Area.ENDPOINTS,
    "customField.setValues",
    "Write advocate, content and campaign on an application",
    "credit is written where it belongs, all fields in one call",
    "applications carry no advocate, content or campaign in the ATS",
    (CREATION,),
    "POST /customField.setValues",
)
UPDATE = Question(
    Area.ENDPOINTS,
    "application.update",
    "Give an application that exists its source and credit",
    "what was there before the referral counts for the programme too",
    "the ATS's own reports show only what the integration created",
    (CREATION,),
    "POST /application.update",
)
SOURCE = Question(
    Area.TAGGING,
    "application.source",
    "Give a new application its source",
    "the ATS's own source reports count the programme",
    "the ATS's own source reports do not show the programme; the custom fields do",
)
CREDIT = Question(
    Area.TAGGING,
    "application.credit",
    "Give an application the user who has the credit",
    "the ATS shows an advocate who is a user as the one with the credit",
    "the advocate stands in the custom fields only",
)
CONTACT = Question(
    Area.ENDPOINTS,
    "candidate.update",
    "Add an e-mail or a phone to a candidate",
    "a candidate who exists gets what a referral knows more",
    "candidates who exist keep the contact details they have",
    (CREATION,),
    "POST /candidate.update",
)
MERGE = Question(
    Area.ENDPOINTS,
    "candidate.merge",
    "Merge two candidates",
    "decisions of the review are carried out in the ATS",
    "duplicates are merged by hand: set rules.dedupe.merge_in_ats to off",
    (MERGING,),
)
END = Question(
    Area.ENDPOINTS,
    "application.changeStage",
    "Change a status: archive an application",
    "what an audit opens is archived; the integration itself changes no status",
    "what an audit opens must be archived by hand; the integration itself changes no status",
    (),
    "POST /application.changeStage",
)
DELETE = Question(
    Area.ENDPOINTS,
    "candidate.anonymize",
    "Anonymize a candidate",
    "what an audit writes loses all that it says of somebody; the API deletes nothing",
    "what an audit writes must be deleted by hand",
    (),
    "POST /candidate.anonymize",
)
FOUND = Question(
    Area.ARCHITECTURE,
    "read_after_write",
    "What was created is found by a search",
    "a second referral of the same person finds the first",
    "raise options.visibility_lag_seconds: a second referral within that time makes a second candidate",
    (CREATION,),
)
REQUIRED = Question(
    Area.FIELDS,
    "candidate.required",
    "What a new candidate must have",
    "a referral has all of it",
    "a referral may lack what this account requires, and is refused then",
)
FIELDS_BY_API = Question(
    Area.CUSTOM_FIELDS,
    "customField.create",
    "Create custom fields by the API",
    "`referral-pipeline fields create` makes those that are missing",
    "an administrator creates them by hand in Admin > Custom fields",
    (),
    "POST /customField.create",
)
HOOKS_BY_API = Question(
    Area.WEBHOOKS,
    "webhook.create",
    "Register webhooks by the API",
    "`webhooks register` points what is missing at the receiver; the API lists none",
    "an administrator registers them in Admin > Integrations > Webhooks",
    (),
    "POST /webhook.create",
)
ONLY_WRITING = (
    *(CREATE, APPLY, TAG, UPDATE, CONTACT, END, DELETE),
    *(FOUND, SOURCE, CREDIT, REQUIRED, FIELDS_BY_API, HOOKS_BY_API),
)
