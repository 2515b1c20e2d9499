-- Every record that is to be resolved to a person: referrals, candidates of the ATS, and candidates that only an
-- application names (somebody applied, whoever it was). One row per record. Personal data: names, canonical keys.
-- Variables: advocacy_system, ats_system.
WITH contact AS (
    SELECT
        candidate_id,
        list(DISTINCT key ORDER BY key) FILTER (WHERE kind = 'email') AS email_keys,
        list(DISTINCT key ORDER BY key) FILTER (WHERE kind = 'phone') AS phone_keys
    FROM staging.ats_candidate_contact
    WHERE key IS NOT NULL
    GROUP BY candidate_id
),
candidate AS (
    SELECT id, first_name, last_name, created_at AS first_seen_at FROM staging.ats_candidate
    UNION ALL
    SELECT candidate_id, NULL, NULL, min(applied_at)
    FROM staging.ats_application
    WHERE candidate_id IS NOT NULL AND candidate_id NOT IN (SELECT id FROM staging.ats_candidate)
    GROUP BY candidate_id
)
SELECT
    getvariable('advocacy_system') || ':' || id AS record_id,
    first_name,
    last_name,
    list_filter([email_key], lambda key : key IS NOT NULL) AS email_keys,
    list_filter([phone_key], lambda key : key IS NOT NULL) AS phone_keys,
    country,
    submitted_at AS first_seen_at
FROM staging.referral
UNION ALL BY NAME
SELECT
    getvariable('ats_system') || ':' || candidate.id AS record_id,
    candidate.first_name,
    candidate.last_name,
    coalesce(contact.email_keys, []) AS email_keys,
    coalesce(contact.phone_keys, []) AS phone_keys,
    candidate.first_seen_at
FROM candidate
LEFT JOIN contact ON contact.candidate_id = candidate.id
ORDER BY record_id
