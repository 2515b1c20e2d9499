-- click_to_apply_rate: visitors who applied for a job / visitors who clicked on it.
-- Unit: a visitor and a job, held by the share of the visitor's first click on that job. A click without a visitor is a
-- visitor of its own. Cohort: that first click. Segments: of the share, as in share_to_click_rate.
-- Hit: a click names no person, so which visitor applied cannot be known, only how many: of the visitors of a share as many
-- count as there are people who applied for its job through it, the earliest visitors first, at most all. Somebody applied
-- when a referral of theirs through that share counts (no gate holds it back) and came to an application, in the ATS or on
-- the platform (stage applied), at or after the first click of the share and within the horizon of it.
-- Applications through a share on which nobody was seen to click count nothing here.
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
        share.*,
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
            {share_id: id, advocate_id: advocate_id, campaign_tag: campaign_tag, clicked_at: clicked_at, click_id: click_id},
            (clicked_at, click_id)
        ) AS held
    FROM click
    GROUP BY visitor, job_id
),
first_click AS (
    SELECT id AS share_id, min(clicked_at) AS clicked_at FROM click GROUP BY id
),
applied AS (
    -- on the platform: every touch that is a referral is at least at stage applied
    SELECT share_id, job_id, person_id, occurred_at AS applied_at
    FROM core.touchpoint
    WHERE kind = 'referral' AND blocked IS NULL AND share_id IS NOT NULL
    UNION ALL
    SELECT touch.share_id, touch.job_id, application.person_id, application.applied_at
    FROM core.attribution_touch AS touch
    JOIN core.attribution AS application ON application.application_key = touch.application_key
    WHERE touch.kind = 'referral' AND touch.verdict = 'counts' AND touch.share_id IS NOT NULL
),
people AS (
    SELECT applied.share_id, count(DISTINCT applied.person_id) AS people
    FROM applied
    JOIN share ON share.id = applied.share_id AND share.job_id IS NOT DISTINCT FROM applied.job_id
    JOIN first_click ON first_click.share_id = applied.share_id
    WHERE
        applied.applied_at BETWEEN first_click.clicked_at
        AND first_click.clicked_at + to_hours(24 * getvariable('horizon_days'))
    GROUP BY applied.share_id
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
    row_number() OVER (PARTITION BY visitor.held.share_id ORDER BY visitor.held.clicked_at, visitor.held.click_id)
    <= coalesce(people.people, 0) AS is_hit,
    visitor.held.clicked_at + to_hours(24 * getvariable('horizon_days')) <= getvariable('as_of') AS is_mature
FROM visitor
LEFT JOIN people ON people.share_id = visitor.held.share_id
LEFT JOIN staging.ats_job AS job ON job.id = visitor.job_id
