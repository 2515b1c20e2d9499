"""What a Lever account is asked in an audit, as data.

Belongs here: each question, what follows from either answer, who needs it. Does not belong here: asking
(`lever_audit`, `lever_trip`).
"""

from __future__ import annotations

from collections.abc import Mapping

from referral_pipeline.connectors.capabilities import ALWAYS, CREATION, ENRICHMENT, MERGING, RETURN, Area, Question
from referral_pipeline.connectors.lever_api import PAGE_SIZE
from referral_pipeline.connectors.lever_models import ENRICHMENT_NAMES

# ---------------------------------------------------------------- what reading answers

LISTS: Mapping[str, tuple[str, str, str]] = {
    "opportunities": (
        "Read opportunities, changed since a moment",
        "what changed is read from a cursor on",
        "no status comes back, nobody is recognised, and nothing is attributed",
    ),
    "postings": (
        "Read postings, changed since a moment",
        "what changed is read from a cursor on",
        "no job is published to advocates, and no opportunity can name one",
    ),
    "stages": (
        "Read the stages of the pipeline",
        "stages are read whole: they are few",
        "stages have no names, so that every status in between is in_review",
    ),
    "archive_reasons": (
        "Read archive reasons",
        "a hire is told from a rejection by the type of its reason",
        "a hire cannot be told from a rejection",
    ),
}
"""By list: what is asked, and what follows either way."""


def list_question(entity: str) -> Question:
    """Whether one list can be read."""
    title, with_it, without = LISTS[entity]
    return Question(Area.ENDPOINTS, f"{entity}.list", title, with_it, without, (ALWAYS,), f"GET /{entity}")


PAGES = Question(
    Area.ARCHITECTURE,
    "pages",
    "Lists come in pages that a token joins",
    f"everything is read, {PAGE_SIZE} rows a call",
    "only the first page of a list could be read",
    (ALWAYS,),
)
SCOPES = Question(
    Area.AUTHENTICATION,
    "scopes",
    "The key may read every list",
    "all is read under one key",
    "give the key the permissions in Settings > Integrations and API",
)
ACTING = Question(
    Area.AUTHENTICATION,
    "perform_as",
    "The user in whose name everything is written exists",
    "opportunities can be created",
    "nothing can be created: write the id of an active user into options.perform_as",
    (CREATION,),
    "GET /users/{id}",
)
READ = Question(
    Area.ENDPOINTS,
    "opportunities.read",
    "Read where one opportunity stands",
    "what a webhook hints at is fetched",
    "what a webhook hints at cannot be fetched: its signature does not cover what it tells",
    (RETURN,),
    "GET /opportunities/{id}",
)
OFFERS = Question(
    Area.ENDPOINTS,
    "opportunities.offers",
    "Read the offers of an opportunity",
    "the first day at work is known",
    "the first day at work is not known: waiting periods begin with the hire",
    (RETURN,),
    "GET /opportunities/{id}/offers",
)
STATUS = Question(
    Area.ENDPOINTS,
    "archive_reasons.types",
    "A reason of the type hired tells a hire",
    "hires, withdrawals and rejections are told apart",
    "no hire can be told from a rejection: add an archive reason of the type hired",
    (RETURN,),
)
SEARCH_EMAIL = Question(
    Area.ENDPOINTS,
    "opportunities.search_by_email",
    "Find opportunities by e-mail",
    "a referral of somebody who is known goes to their contact",
    "only what was pulled before is recognised: others become a second opportunity on a contact that is not looked at",
    (CREATION,),
    "GET /opportunities",
)
SEARCH_PHONE = Question(
    Area.ENDPOINTS,
    "opportunities.search_by_phone",
    "Find opportunities by phone",
    "a number finds contacts that were never pulled",
    "the integration finds numbers in its own keyed index of what it has pulled",
)
HOOKS = Question(
    Area.WEBHOOKS,
    "webhooks.list",
    "Webhooks can be listed by the API",
    "`webhooks list` and `check` tell what points where",
    "look for webhooks in Settings > Integrations and API",
    (),
    "GET /webhooks",
)


def field_question(tag: str) -> Question:
    """Where one of our fields is written."""
    return Question(
        Area.CUSTOM_FIELDS,
        f"custom_fields.{tag}",
        f"A place on the opportunity for {tag}",
        f"{tag} stands on the opportunity, as a tag",
        f"{tag} is written nowhere: take its mapping out of the contract",
        (ENRICHMENT,) if tag in ENRICHMENT_NAMES else (CREATION,),
    )


# ---------------------------------------------------------------- what only a write answers

CREATE = Question(
    Area.ENDPOINTS,
    "opportunities.create",
    "Create an opportunity with its contact",
    "a referral becomes an opportunity",
    "no referral reaches the ATS",
    (CREATION,),
    "POST /opportunities",
)
APPLY = Question(
    Area.ENDPOINTS,
    "opportunities.create_on_contact",
    "Open an opportunity for a contact who exists",
    "a referral of somebody who is known opens an opportunity",
    "a referral of somebody who is known stops: their opportunity cannot be opened",
    (CREATION,),
    "POST /opportunities",
)
TAG = Question(
    Area.ENDPOINTS,
    "opportunities.add_tags",
    "Write advocate, content and campaign on an opportunity",
    "credit that moves is written where it belongs",
    "tags stay as they were at creation: credit that moves is not attributed in the ATS",
    (CREATION,),
    "POST /opportunities/{id}/addTags",
)
UNTAG = Question(
    Area.ENDPOINTS,
    "opportunities.remove_tags",
    "Take a tag of ours away",
    "credit that moves leaves nothing wrong behind",
    "a value that changes stands beside the old one",
    (CREATION,),
    "POST /opportunities/{id}/removeTags",
)
ADD_SOURCE = Question(
    Area.ENDPOINTS,
    "opportunities.add_sources",
    "Give an opportunity that exists its source",
    "what was there before the referral counts for the programme too",
    "the ATS's own source reports show only what the integration created",
    (CREATION,),
    "POST /opportunities/{id}/addSources",
)
SOURCE = Question(
    Area.TAGGING,
    "opportunities.source",
    "Give a new opportunity its source",
    "the ATS's own source reports count the programme; Lever makes a source that is new",
    "the ATS's own source reports do not show the programme; the tags do",
)
REFERRER = Question(
    Area.TAGGING,
    "opportunities.referrer",
    "Give a new opportunity its referrer",
    "the ATS shows the advocate as the referrer",
    "the advocate stands in the tags only: the API shows referrals and creates none",
)
READ_CONTACT = Question(
    Area.ENDPOINTS,
    "contacts.read",
    "Read a contact",
    "the lists of a contact are read before they are written back",
    "contacts who exist keep the details they have: lists that are not read cannot be written back",
    (CREATION,),
    "GET /contacts/{id}",
)
CONTACT = Question(
    Area.ENDPOINTS,
    "contacts.update",
    "Add an e-mail or a phone to a contact",
    "a contact who exists gets what a referral knows more",
    "contacts who exist keep the details they have, and somebody else under a known address cannot be created",
    (CREATION,),
    "PUT /contacts/{id}",
)
MERGE = Question(
    Area.ENDPOINTS,
    "contacts.merge",
    "Merge two contacts",
    "decisions of the review are carried out in the ATS",
    "duplicates are merged by hand, and no event tells of it: set rules.dedupe.merge_in_ats to off",
    (MERGING,),
)
END = Question(
    Area.ENDPOINTS,
    "opportunities.archive",
    "Change a status: end an opportunity",
    "what an audit opens is archived; the integration itself changes no status",
    "what an audit opens must be archived by hand; the integration itself changes no status",
    (),
    "PUT /opportunities/{id}/archived",
)
DELETE = Question(
    Area.ENDPOINTS,
    "opportunities.delete",
    "Delete an opportunity",
    "what an audit writes is taken back",
    "the API deletes nothing: what an audit opened stays, archived and without our tags",
)
FOUND = Question(
    Area.ARCHITECTURE,
    "read_after_write",
    "What was created is found by a search",
    "a second referral of the same person finds the first",
    "raise options.visibility_lag_seconds: a second referral within that time makes a second opportunity",
    (CREATION,),
)
REQUIRED = Question(
    Area.FIELDS,
    "opportunities.required",
    "What a new opportunity must have",
    "a referral has all of it",
    "a referral may lack what this account requires, and is refused then",
)
FIELDS_BY_API = Question(
    Area.CUSTOM_FIELDS,
    "custom_fields.create",
    "Create custom fields by the API",
    "nothing needs to be defined: a tag is there as soon as it is written",
    "an administrator creates them by hand",
)
HOOKS_BY_API = Question(
    Area.WEBHOOKS,
    "webhooks.create",
    "Register webhooks by the API",
    "`webhooks register` points what is missing at the receiver",
    "an administrator registers them in Settings > Integrations and API",
    (),
    "POST /webhooks",
)
ONLY_WRITING = (
    *(CREATE, APPLY, TAG, UNTAG, ADD_SOURCE, READ_CONTACT, CONTACT, END),
    *(FOUND, SOURCE, REQUIRED, HOOKS_BY_API),
)
