-- Applications in canonical words. One row per application; application_key is system:id elsewhere.
SELECT
    system::VARCHAR AS system,
    id::VARCHAR AS id,
    candidate_id::VARCHAR AS candidate_id,
    job_id::VARCHAR AS job_id,
    status::VARCHAR AS status,
    status_at::TIMESTAMPTZ AS status_at,
    applied_at::TIMESTAMPTZ AS applied_at,
    interviewed_at::TIMESTAMPTZ AS interviewed_at,
    offered_at::TIMESTAMPTZ AS offered_at,
    hired_at::TIMESTAMPTZ AS hired_at,
    starts_on::DATE AS starts_on,
    rejected_at::TIMESTAMPTZ AS rejected_at,
    stage_name::VARCHAR AS stage_name,
    unmapped_stage::VARCHAR AS unmapped_stage,
    source_name::VARCHAR AS source_name,
    tag_referral_id::VARCHAR AS tag_referral_id,
    tag_advocate_id::VARCHAR AS tag_advocate_id,
    tag_share_id::VARCHAR AS tag_share_id,
    tag_content_id::VARCHAR AS tag_content_id,
    tag_campaign_tag::VARCHAR AS tag_campaign_tag,
    updated_at::TIMESTAMPTZ AS updated_at
FROM incoming
