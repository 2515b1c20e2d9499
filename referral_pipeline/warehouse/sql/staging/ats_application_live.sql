-- Applications that were read once more before anything was told of them; they stand before staging.ats_application.
-- One row per application, and none between two validations of attribution.
SELECT
    system::VARCHAR AS system,
    id::VARCHAR AS id,
    candidate_id::VARCHAR AS candidate_id,
    source_name::VARCHAR AS source_name,
    tag_referral_id::VARCHAR AS tag_referral_id,
    tag_advocate_id::VARCHAR AS tag_advocate_id,
    tag_share_id::VARCHAR AS tag_share_id,
    tag_content_id::VARCHAR AS tag_content_id,
    tag_campaign_tag::VARCHAR AS tag_campaign_tag
FROM incoming
