-- Referrals that passed the quarantine. One row per referral. Personal data: name, email, phone.
-- The content is that of the share; email_key, phone_key and country are canonical (identity.canonical). `email_flag` is
-- role, disposable, or both: an address of a function, or of a throw-away provider. `phone` stays as typed; where it is no
-- number of a person, phone_key is null and it matches nobody.
SELECT
    incoming.id::VARCHAR AS id,
    incoming.advocate_id::VARCHAR AS advocate_id,
    incoming.share_id::VARCHAR AS share_id,
    share.content_id AS content_id,
    incoming.job_id::VARCHAR AS job_id,
    incoming.campaign_tag::VARCHAR AS campaign_tag,
    incoming.stage::VARCHAR AS stage,
    incoming.is_ended::BOOLEAN AS is_ended,
    incoming.submitted_at::TIMESTAMPTZ AS submitted_at,
    incoming.applied_at::TIMESTAMPTZ AS applied_at,
    incoming.touched_at::TIMESTAMPTZ AS touched_at,
    incoming.first_name::VARCHAR AS first_name,
    incoming.last_name::VARCHAR AS last_name,
    incoming.email::VARCHAR AS email,
    incoming.email_key::VARCHAR AS email_key,
    incoming.email_flag::VARCHAR AS email_flag,
    incoming.phone::VARCHAR AS phone,
    incoming.phone_key::VARCHAR AS phone_key,
    incoming.country::VARCHAR AS country,
    incoming.consent_granted::BOOLEAN AS consent_granted,
    incoming.consent_basis::VARCHAR AS consent_basis,
    incoming.consent_granted_at::TIMESTAMPTZ AS consent_granted_at,
    incoming.consent_expires_at::TIMESTAMPTZ AS consent_expires_at,
    incoming.clicks::BIGINT AS clicks,
    incoming.shares::BIGINT AS shares,
    incoming.reach::BIGINT AS reach,
    incoming.status::VARCHAR AS status,
    incoming.status_at::TIMESTAMPTZ AS status_at,
    incoming.ats_candidate_id::VARCHAR AS ats_candidate_id,
    incoming.ats_application_id::VARCHAR AS ats_application_id,
    incoming.updated_at::TIMESTAMPTZ AS updated_at
FROM incoming
LEFT JOIN staging.share AS share ON share.id = incoming.share_id
