"""Quality rules on staging: what both systems sent, before anybody draws a conclusion from it.

Belongs here: rules on `staging.*` tables. Does not belong here: rules on attribution (`attribution_rules`), the
quarantine (staging sets unreadable records aside before these rules look).

References are judged by booleans that `frames` prepares in SQL: an id is known when the other side has ever sent it,
so a share or advocate deleted later is no false alarm, and an id that nobody ever sent is.
"""

from __future__ import annotations

from referral_pipeline.quality.rule import (
    Rule,
    RuleSet,
    as_declared,
    between,
    matching,
    not_before,
    present,
    true,
    unique,
    within,
)
from referral_pipeline.vocabulary import CandidateStatus, ReferralStage

EMAIL_KEY = r"^[^\sA-Z@]+@[^\sA-Z@]+\.[^\sA-Z@.]{2,}\Z"
"""A canonical e-mail key: one @, a dot in the domain, no blanks, folded to lower case."""

PHONE_KEY = r"^\+[1-9][0-9]{6,14}\Z"
"""E.164: plus, country code, at most 15 digits."""

COUNTRY = r"^[A-Z]{2}\Z"
CHANNEL = r"^[a-z0-9][a-z0-9_\- ]{0,39}\Z"
STATUSES = tuple(str(status) for status in CandidateStatus)
STAGES = tuple(str(stage) for stage in ReferralStage)

_REREAD = "Pull the entity anew with `referral-pipeline refresh`; if it stays, the connector's reading of it is wrong."
_DRIFT = "Compare the staging model with the vendor's fields: the shape of the data has changed."

_advocate = RuleSet("staging.advocate", "advocates")
_content = RuleSet("staging.content", "content")
_share = RuleSet("staging.share", "shares")
_click = RuleSet("staging.click", "clicks")
_referral = RuleSet("staging.referral", "referrals")
_job = RuleSet("staging.ats_job", "ats_jobs")
_candidate = RuleSet("staging.ats_candidate", "ats_candidates")
_contact = RuleSet("staging.ats_candidate_contact", "ats_candidates")
_application = RuleSet("staging.ats_application", "ats_applications")
_offer = RuleSet("staging.ats_offer", "ats_offers")


def _identified(rules: RuleSet, noun: str) -> tuple[Rule, ...]:
    """The three rules that every table of records with an id needs: its columns, its ids present, its ids unique."""
    return (
        _declared(rules, noun),
        rules.guard(f"{noun}_id_is_present", f"Every {_words(noun)} has an id.", _REREAD, present("id")),
        rules.guard(f"{noun}_id_is_unique", f"No two {_words(noun)} rows share an id.", _REREAD, unique("id")),
    )


def _declared(rules: RuleSet, noun: str) -> Rule:
    return rules.guard(
        f"{noun}_columns_are_as_declared",
        f"The {_words(noun)} table has every column that later steps read, each of its type.",
        _DRIFT,
        as_declared(),
        view="columns",
    )


def _words(noun: str) -> str:
    return noun.replace("_", " ").replace("ats", "ATS")


ADVOCATE_RULES = (
    *_identified(_advocate, "advocate"),
    _advocate.watch(
        "advocate_eligibility_is_known",
        "Every advocate is either eligible or not.",
        "Complete the advocate in the advocacy platform; participation cannot count the row until then.",
        present("eligible"),
    ),
    _advocate.watch(
        "advocate_leaves_after_joining",
        "No advocate left the programme before joining it.",
        "Correct the dates in the advocacy platform.",
        not_before("left_at", "joined_at"),
    ),
)

CONTENT_RULES = _identified(_content, "content")

SHARE_RULES = (
    *_identified(_share, "share"),
    _share.guard(
        "share_advocate_is_known",
        "Every share belongs to an advocate that the advocacy platform has sent.",
        "Pull the advocates in full with `referral-pipeline refresh`, then look the share up in the platform.",
        true("advocate_known"),
    ),
    _share.watch(
        "share_content_is_known",
        "The content of a share is content that the advocacy platform has sent.",
        "Pull the content in full; until then the share counts without its campaign.",
        true("content_known"),
    ),
    _share.guard(
        "share_time_is_present",
        "Every share has the time it was made: order in time decides who is credited.",
        _REREAD,
        present("shared_at"),
    ),
    _share.watch(
        "share_channel_is_a_plain_word",
        "The channel of a share is a short word in lower case, so that segments do not fall apart by spelling.",
        "Correct the channel's name in the advocacy platform.",
        matching("channel", CHANNEL),
    ),
    _share.watch(
        "share_reach_is_not_negative",
        "The reach of a share is zero or more.",
        "Correct the reach in the advocacy platform.",
        between("reach", 0),
    ),
)

CLICK_RULES = (
    *_identified(_click, "click"),
    _click.watch(
        "click_share_is_known",
        "Every click belongs to a share that the advocacy platform has sent.",
        "Pull the shares in full; until then the click is left out of the funnel.",
        true("share_known"),
    ),
    _click.guard("click_time_is_present", "Every click has its time.", _REREAD, present("clicked_at")),
)

REFERRAL_RULES = (
    *_identified(_referral, "referral"),
    _referral.guard(
        "referral_advocate_is_present",
        "Every referral names the advocate who made it.",
        "Ask the owner of the advocacy platform who made the referral: without an advocate nobody can be credited.",
        present("advocate_id"),
    ),
    _referral.guard(
        "referral_advocate_is_known",
        "The advocate of a referral is one that the advocacy platform has sent.",
        "Pull the advocates in full with `referral-pipeline refresh`, then look the referral up in the platform.",
        true("advocate_known"),
    ),
    _referral.guard(
        "referral_share_is_known",
        "The share of a referral is one that the advocacy platform has sent.",
        "Pull the shares in full with `referral-pipeline refresh`, then look the referral up in the platform.",
        true("share_known"),
    ),
    _referral.guard("referral_job_is_present", "Every referral is for a job.", _REREAD, present("job_id")),
    _referral.guard(
        "referral_stage_is_known",
        "The stage of a referral is clicked, applied or withdrawn.",
        "Map the platform's new stage in the advocacy connector.",
        within("stage", STAGES),
    ),
    _referral.guard("referral_stage_is_present", "Every referral has a stage.", _REREAD, present("stage")),
    _referral.watch(
        "referral_status_is_known",
        "The status that the platform holds for a referral is one of the canonical statuses.",
        "Run `referral-pipeline reconcile`: it sends the canonical status again.",
        within("status", STATUSES),
    ),
    _referral.guard(
        "referral_touch_time_is_present",
        "Every referral has a time at which it counts as a touch.",
        _REREAD,
        present("touched_at"),
    ),
    _referral.guard(
        "referral_email_key_is_present",
        "Every referral that passed the quarantine has a canonical e-mail: identity rests on it.",
        "Look into the quarantine table: a record without a readable e-mail belongs there.",
        present("email_key"),
    ),
    _referral.guard(
        "referral_email_key_is_well_formed",
        "The canonical e-mail of a referral has the form of an address, in lower case.",
        "Look into `identity.canonical`: a malformed address belongs in the quarantine.",
        matching("email_key", EMAIL_KEY),
    ),
    _referral.watch(
        "referral_phone_key_is_e164",
        "The canonical phone of a referral, where there is one, is in E.164.",
        "Look into `identity.canonical`: a malformed number is set aside and the referral goes on without it.",
        matching("phone_key", PHONE_KEY),
    ),
    _referral.watch(
        "referral_country_is_iso_code",
        "The country of a referral, where there is one, is a two-letter code in upper case.",
        "Correct the country in the advocacy platform; the residency gate blocks the referral until then.",
        matching("country", COUNTRY),
    ),
    _referral.watch(
        "referral_applies_after_submitting",
        "No referral applied before it was submitted.",
        "Compare both dates in the advocacy platform; the earlier one may be in local time.",
        not_before("applied_at", "submitted_at"),
    ),
)

JOB_RULES = (
    *_identified(_job, "ats_job"),
    _job.watch(
        "ats_job_status_is_known",
        "The status of a job is open, closed or draft.",
        "Map the new status in the ATS connector.",
        within("status", ("open", "closed", "draft")),
    ),
)

CANDIDATE_RULES = (
    *_identified(_candidate, "ats_candidate"),
    _declared(_contact, "ats_candidate_contact"),
    _contact.guard(
        "ats_contact_candidate_is_present",
        "Every contact detail belongs to a candidate.",
        _REREAD,
        present("candidate_id"),
    ),
    _contact.watch(
        "ats_contact_kind_is_known",
        "A contact detail is an e-mail or a phone.",
        "Map the new kind in the ATS connector.",
        within("kind", ("email", "phone")),
    ),
    _contact.guard(
        "ats_email_key_is_well_formed",
        "The canonical e-mail of a candidate has the form of an address, in lower case.",
        "Look into `identity.canonical`: a malformed address must have no key.",
        matching("email_key", EMAIL_KEY),
    ),
    _contact.watch(
        "ats_phone_key_is_e164",
        "The canonical phone of a candidate is in E.164.",
        "Look into `identity.canonical`: a malformed number must have no key.",
        matching("phone_key", PHONE_KEY),
    ),
)

APPLICATION_RULES = (
    _declared(_application, "ats_application"),
    _application.guard("ats_application_id_is_present", "Every application has an id.", _REREAD, present("id")),
    _application.guard(
        "ats_application_is_unique",
        "No two rows are the same application of the same ATS.",
        _REREAD,
        unique("application_key"),
    ),
    _application.guard(
        "ats_application_candidate_is_present", "Every application has a candidate.", _REREAD, present("candidate_id")
    ),
    _application.watch(
        "ats_application_candidate_is_known",
        "The candidate of an application is one that the ATS has sent.",
        "Run `referral-pipeline refresh`: merged and deleted candidates are followed by the next full pull.",
        true("candidate_known"),
    ),
    _application.watch(
        "ats_application_job_is_known",
        "The job of an application is one that the ATS has sent.",
        "Pull the jobs in full; until then the application has no department and no title.",
        true("job_known"),
    ),
    _application.guard(
        "ats_application_status_is_present", "Every application has a status.", _REREAD, present("status")
    ),
    _application.guard(
        "ats_application_status_is_known",
        "The status of an application is one of the canonical statuses.",
        "Map the stage in the contract's stage_map.",
        within("status", STATUSES),
    ),
    _application.guard(
        "ats_application_date_is_present",
        "Every application has the date the ATS gives it.",
        _REREAD,
        present("applied_at"),
    ),
    _application.watch(
        "ats_hire_is_not_before_application",
        "No hire is dated before its application; attribution leaves such a date out and says negative_time_to_hire.",
        "Correct the date of the offer or of the application in the ATS; a negative time to hire is never averaged in.",
        not_before("hired_at", "applied_at"),
    ),
    _application.watch(
        "ats_application_advocate_is_known",
        "The advocate that an application carries is one that the advocacy platform has sent.",
        "Look at who edited the custom field in the ATS; `referral-pipeline reconcile` writes the right one again.",
        true("advocate_known"),
    ),
)

OFFER_RULES = (
    *_identified(_offer, "ats_offer"),
    _offer.guard(
        "ats_offer_application_is_present", "Every offer belongs to an application.", _REREAD, present("application_id")
    ),
    _offer.watch(
        "ats_offer_application_is_known",
        "The application of an offer is one that the ATS has sent.",
        "Pull the applications in full; until then the offer dates no hire.",
        true("application_known"),
    ),
)

STAGING_RULES: tuple[Rule, ...] = (
    *ADVOCATE_RULES,
    *CONTENT_RULES,
    *SHARE_RULES,
    *CLICK_RULES,
    *REFERRAL_RULES,
    *JOB_RULES,
    *CANDIDATE_RULES,
    *APPLICATION_RULES,
    *OFFER_RULES,
)
