-- One row per ATS application: whose it is, who earned it, and where it stands.
-- Values come from the credited touch, else from the latest counting referral of its advocate; those of an override from
-- its referral alone. `override` is the number of the owner's override in force, null without; `attribution_model` then
-- says override.
-- `is_complete` and `missing` (sorted words, comma separated, empty when nothing is) say whether the attribution of an
-- advocacy application holds all that attribution_coverage asks for; for others `is_complete` is null. A hire that the ATS
-- dates before its application is told in `missing` as negative_time_to_hire, and neither its date nor a duration stands
-- here: one wrong date in the ATS must not hold back everybody's numbers, and it must not enter them.
-- Variables: attribution_model, advocacy_system.
WITH credited AS (
    SELECT * FROM core.attribution_credit WHERE place = 1 AND weight > 0
),
own_referral AS (
    SELECT
        credited.application_key,
        arg_max(
            {
                referral_id: touch.referral_id,
                share_id: touch.share_id,
                content_id: touch.content_id,
                campaign_tag: touch.campaign_tag
            },
            (touch.occurred_at, touch.referral_id)
        ) AS values
    FROM credited
    JOIN core.attribution_touch AS touch
        ON touch.application_key = credited.application_key AND touch.advocate_id = credited.advocate_id
    WHERE
        credited.reason <> 'override'
        AND touch.kind = 'referral'
        AND touch.verdict IN ('counts', 'outside_lookback')
    GROUP BY credited.application_key
),
link AS (
    SELECT referral_id, any_value(match_method) AS match_method
    FROM staging.link
    GROUP BY referral_id
),
joined AS (
    SELECT
        owner.application_key,
        owner.person_id,
        application.system AS ats,
        application.candidate_id AS ats_candidate_id,
        application.id AS ats_application_id,
        application.job_id,
        coalesce(credited.referral_id, own_referral.values.referral_id) AS referral_id,
        credited.advocate_id,
        coalesce(credited.share_id, own_referral.values.share_id) AS share_id,
        coalesce(credited.content_id, own_referral.values.content_id) AS content_id,
        coalesce(credited.campaign_tag, own_referral.values.campaign_tag) AS campaign_tag,
        credited.application_key IS NOT NULL AS is_advocacy,
        override.id AS override,
        application.applied_at,
        application.status,
        application.status_at,
        application.interviewed_at,
        application.offered_at,
        CASE WHEN application.status = 'hired' THEN application.hired_at END AS hired_at,
        CASE WHEN application.status = 'hired' THEN application.starts_on END AS starts_on,
        application.rejected_at
    FROM core.application_person AS owner
    JOIN staging.ats_application AS application
        ON application.system = owner.system AND application.id = owner.application_id
    LEFT JOIN credited ON credited.application_key = owner.application_key
    LEFT JOIN own_referral ON own_referral.application_key = owner.application_key
    LEFT JOIN staging.ledger_override AS override ON override.application_key = owner.application_key
),
matched AS (
    SELECT
        joined.*,
        coalesce(link.match_method, record.match_method) AS match_method,
        (epoch_us(joined.hired_at) - epoch_us(joined.applied_at)) / 86400e6 AS days
    FROM joined
    LEFT JOIN link ON link.referral_id = joined.referral_id
    LEFT JOIN core.person_record AS record
        ON record.record_id = getvariable('advocacy_system') || ':' || joined.referral_id
),
judged AS (
    SELECT
        *,
        list_filter(
            [
                CASE WHEN is_advocacy AND applied_at IS NULL THEN 'applied_at' END,
                CASE WHEN is_advocacy AND campaign_tag IS NULL THEN 'campaign_tag' END,
                CASE WHEN is_advocacy AND content_id IS NULL AND share_id IS NULL THEN 'content_or_share' END,
                CASE WHEN is_advocacy AND status = 'hired' AND hired_at IS NULL THEN 'hired_at' END,
                CASE WHEN is_advocacy AND job_id IS NULL THEN 'job_id' END,
                CASE WHEN days < 0 THEN 'negative_time_to_hire' END,
                CASE WHEN is_advocacy AND status = 'rejected' AND rejected_at IS NULL THEN 'rejected_at' END
            ],
            lambda word : word IS NOT NULL
        ) AS missing_words
    FROM matched
)
SELECT
    application_key,
    person_id,
    ats,
    ats_candidate_id,
    ats_application_id,
    job_id,
    referral_id,
    advocate_id,
    share_id,
    content_id,
    campaign_tag,
    CASE WHEN is_advocacy THEN 'advocacy' ELSE 'other' END AS channel,
    CASE WHEN override IS NULL THEN getvariable('attribution_model')::VARCHAR ELSE 'override' END AS attribution_model,
    override,
    applied_at,
    status,
    status_at,
    interviewed_at,
    offered_at,
    CASE WHEN days IS NULL OR days >= 0 THEN hired_at END AS hired_at,
    starts_on,
    rejected_at,
    CASE WHEN days >= 0 THEN days END AS time_to_hire_days,
    match_method,
    CASE WHEN is_advocacy THEN len(missing_words) = 0 END AS is_complete,
    array_to_string(missing_words, ',') AS missing
FROM judged
ORDER BY application_key
