-- share_to_click_rate: shares with at least one click within the horizon / shares.
-- Unit: a share. Cohort: when it was shared. Hit: a click at or after that, within the horizon. Segments: the share's
-- advocate, the campaign of its content, the job it is for (else its content's) and that job's department. The channel is
-- always advocacy.
-- Variables: horizon_days, as_of.
WITH share AS (
    SELECT
        share.id,
        share.advocate_id,
        content.campaign_tag,
        coalesce(share.job_id, content.job_id) AS job_id,
        share.shared_at,
        share.shared_at + to_hours(24 * getvariable('horizon_days')) AS horizon_at
    FROM staging.share AS share
    LEFT JOIN staging.content AS content ON content.id = share.content_id
)
SELECT
    'all' AS series,
    share.shared_at AS cohort_at,
    'advocacy' AS channel,
    job.department,
    share.campaign_tag AS campaign,
    share.advocate_id AS advocate,
    share.job_id AS job,
    true AS is_in_all,
    true AS is_unit,
    clicked.share_id IS NOT NULL AS is_hit,
    coalesce(share.horizon_at <= getvariable('as_of'), false) AS is_mature
FROM share
LEFT JOIN staging.ats_job AS job ON job.id = share.job_id
LEFT JOIN (
    SELECT DISTINCT click.share_id
    FROM staging.click AS click
    JOIN share ON share.id = click.share_id
    WHERE click.clicked_at BETWEEN share.shared_at AND share.horizon_at
) AS clicked ON clicked.share_id = share.id
