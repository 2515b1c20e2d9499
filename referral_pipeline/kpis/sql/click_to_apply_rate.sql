-- click_to_apply_rate: visitors who applied for a job / visitors who clicked on it.
-- Unit: a visitor and a job, held by the share of the visitor's first click on that job. A click without a visitor is a
-- visitor of its own. Cohort: that first click. Segments: of the share, as in share_to_click_rate.
-- Hit: a click names no person, so which visitor applied cannot be known, only how many did and when. In order of time, each
-- person who applied takes the latest visitor of the share, not taken before them, whose first click on that share was at
-- or before the application. The visitor counts when that was within the horizon of the cohort, on any of their shares.
-- Somebody applied when a referral of theirs came to an application, in the ATS or on the platform (stage applied),
-- whatever became of it (rejected, withdrawn, held back by a gate); only the erased are forgotten. A person counts once for
-- a job, through the share of their first application. Applications through a share on which nobody was seen to click count
-- nothing here.
-- Variables: horizon_days, as_of.
WITH share AS (
    SELECT
        share.id,
        share.advocate_id,
        content.campaign_tag,
        coalesce(share.job_id, content.job_id) AS job_id
    FROM staging.share AS share
    LEFT JOIN staging.content AS content ON content.id = share.content_id
),
click AS (
    SELECT
        share.id AS share_id,
        share.advocate_id,
        share.campaign_tag,
        share.job_id,
        coalesce('v:' || click.visitor_id, 'c:' || click.id) AS visitor,
        click.id AS click_id,
        click.clicked_at
    FROM staging.click AS click
    JOIN share ON share.id = click.share_id
    WHERE click.clicked_at IS NOT NULL
),
visitor AS (
    SELECT
        visitor,
        job_id,
        arg_min(
            {share_id: share_id, advocate_id: advocate_id, campaign_tag: campaign_tag, clicked_at: clicked_at},
            (clicked_at, click_id)
        ) AS held
    FROM click
    GROUP BY visitor, job_id
),
application AS (
    SELECT touch.share_id, touch.job_id, touch.person_id, touch.occurred_at AS applied_at
    FROM core.touchpoint AS touch
    JOIN staging.referral AS referral ON referral.id = touch.referral_id
    WHERE
        touch.kind = 'referral'
        AND touch.blocked IS DISTINCT FROM 'erased'
        -- stage withdrawn does not tell whether they had applied
        AND (referral.stage = 'applied' OR referral.applied_at IS NOT NULL)
    UNION ALL
    SELECT touch.share_id, touch.job_id, application.person_id, application.applied_at
    FROM core.attribution_touch AS touch
    JOIN core.attribution AS application ON application.application_key = touch.application_key
    WHERE touch.kind = 'referral' AND touch.verdict NOT IN ('erased', 'after_application', 'outside_lookback')
),
applicant AS (
    SELECT person_id, job_id, arg_min(share_id, (applied_at, share_id)) AS share_id, min(applied_at) AS applied_at
    FROM application
    WHERE share_id IS NOT NULL
    GROUP BY person_id, job_id
),
event AS (
    SELECT applicant.share_id, applicant.applied_at AS moment, -1 AS step, applicant.person_id AS id
    FROM applicant
    JOIN share ON share.id = applicant.share_id AND share.job_id IS NOT DISTINCT FROM applicant.job_id
    UNION ALL
    SELECT share_id, min(clicked_at), 1, visitor
    FROM click
    WHERE share_id IN (SELECT share_id FROM applicant)
    GROUP BY share_id, visitor
),
-- Clicks open and applications close, like brackets: `level` is the height at which an event crosses. At one height they
-- take turns, so what closes a click is the next event at its height.
crossing AS (
    SELECT
        share_id, moment, step, id,
        sum(step) OVER (PARTITION BY share_id ORDER BY moment, step DESC, id ROWS UNBOUNDED PRECEDING)
        + CASE WHEN step = 1 THEN 0 ELSE 1 END AS level
    FROM event
),
pair AS (
    SELECT
        share_id, step, id AS visitor,
        lead(moment) OVER (PARTITION BY share_id, level ORDER BY moment, step DESC, id) AS applied_at
    FROM crossing
),
taken AS (
    SELECT pair.visitor, share.job_id, min(pair.applied_at) AS applied_at
    FROM pair
    JOIN share ON share.id = pair.share_id
    WHERE pair.step = 1 AND pair.applied_at IS NOT NULL
    GROUP BY pair.visitor, share.job_id
)
SELECT
    'all' AS series,
    visitor.held.clicked_at AS cohort_at,
    'advocacy' AS channel,
    job.department,
    visitor.held.campaign_tag AS campaign,
    visitor.held.advocate_id AS advocate,
    visitor.job_id AS job,
    true AS is_in_all,
    true AS is_unit,
    coalesce(taken.applied_at <= visitor.held.clicked_at + to_hours(24 * getvariable('horizon_days')), false) AS is_hit,
    visitor.held.clicked_at + to_hours(24 * getvariable('horizon_days')) <= getvariable('as_of') AS is_mature
FROM visitor
LEFT JOIN taken ON taken.visitor = visitor.visitor AND taken.job_id IS NOT DISTINCT FROM visitor.job_id
LEFT JOIN staging.ats_job AS job ON job.id = visitor.job_id
