-- Whose application each one is: its candidate's, where that is the person of a referral that is linked to it or none is;
-- else the person of the referral that opened it, or of the first by id (sync.owners has the same rule). Referrals of other
-- persons, which were split from it after they had been written, earn nothing there.
-- Merged candidates are followed along their chain of aliases; the union in the recursion ends a cycle.
-- `job_ids` are the jobs whose touches may earn it (sync.assignment): its own, and those that its person's referrals written
-- to it name, because a recruiter moves an application to another job, and an advocate corrects the job of a referral.
-- `carried_*` is what the application in the ATS says of its referral: ids only, and only such as the advocacy platform
-- has sent, since a recruiter can type anything there. `carries_unknown` tells that something else stands there.
-- Variables: advocacy_system.
WITH RECURSIVE chain AS (
    SELECT system, old_id, new_id FROM staging.candidate_alias
    UNION
    SELECT chain.system, chain.old_id, next.new_id
    FROM chain
    JOIN staging.candidate_alias AS next ON next.system = chain.system AND next.old_id = chain.new_id
),
current_candidate AS (
    SELECT chain.system, chain.old_id, min(chain.new_id) AS candidate_id
    FROM chain
    ANTI JOIN staging.candidate_alias AS next ON next.system = chain.system AND next.old_id = chain.new_id
    GROUP BY chain.system, chain.old_id
),
linked AS (
    SELECT
        link.application_id,
        link.referral_id,
        link.created_application,
        coalesce(record.person_id, link.person_id) AS person_id,
        coalesce(referral.job_id, link.job_id) AS job_id
    FROM staging.link AS link
    LEFT JOIN staging.referral AS referral ON referral.id = link.referral_id
    LEFT JOIN core.person_record AS record
        ON record.record_id = getvariable('advocacy_system') || ':' || link.referral_id
    WHERE link.application_id IS NOT NULL
),
first_linked AS (
    SELECT
        application_id,
        arg_min(person_id, (NOT coalesce(created_application, false), referral_id)) AS person_id,
        list(DISTINCT person_id) AS person_ids
    FROM linked
    WHERE person_id IS NOT NULL
    GROUP BY application_id
),
known AS (
    -- a candidate that is only a number to us joins nobody, and says nothing of whose the application is
    SELECT DISTINCT record.record_id, record.person_id
    FROM core.person_record AS record
    JOIN staging.ats_candidate_contact AS contact
        ON contact.key IS NOT NULL AND record.record_id = record.system || ':' || contact.candidate_id
    WHERE record.system <> getvariable('advocacy_system')
),
owned AS (
    SELECT
        application.*,
        coalesce(current_candidate.candidate_id, application.candidate_id) AS current_candidate_id,
        coalesce(
            CASE WHEN list_contains(first_linked.person_ids, known.person_id) THEN known.person_id END,
            first_linked.person_id,
            candidate.person_id
        ) AS person_id
    FROM staging.ats_application AS application
    LEFT JOIN current_candidate
        ON current_candidate.system = application.system AND current_candidate.old_id = application.candidate_id
    LEFT JOIN core.person_record AS candidate
        ON candidate.record_id
        = application.system || ':' || coalesce(current_candidate.candidate_id, application.candidate_id)
    LEFT JOIN known ON known.record_id = candidate.record_id
    LEFT JOIN first_linked ON first_linked.application_id = application.id
),
named AS (
    SELECT owned.id AS application_id, list(DISTINCT linked.job_id) AS job_ids
    FROM owned
    JOIN linked ON linked.application_id = owned.id AND linked.person_id IS NOT DISTINCT FROM owned.person_id
    GROUP BY owned.id
)
SELECT
    application.system || ':' || application.id AS application_key,
    application.system,
    application.id AS application_id,
    application.current_candidate_id AS candidate_id,
    application.person_id,
    list_distinct(list_concat([application.job_id], named.job_ids)) AS job_ids,
    carried_referral.id AS carried_referral_id,
    carried_advocate.id AS carried_advocate_id,
    carried_share.id AS carried_share_id,
    coalesce(application.tag_referral_id IS NOT NULL AND carried_referral.id IS NULL, false)
    OR coalesce(application.tag_advocate_id IS NOT NULL AND carried_advocate.id IS NULL, false)
    OR coalesce(application.tag_share_id IS NOT NULL AND carried_share.id IS NULL, false) AS carries_unknown
FROM owned AS application
LEFT JOIN named ON named.application_id = application.id
LEFT JOIN staging.referral AS carried_referral ON carried_referral.id = application.tag_referral_id
LEFT JOIN staging.advocate AS carried_advocate ON carried_advocate.id = application.tag_advocate_id
LEFT JOIN staging.share AS carried_share ON carried_share.id = application.tag_share_id
ORDER BY application_key
