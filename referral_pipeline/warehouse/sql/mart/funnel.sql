-- How many units reached each stage, by channel: shares and clicks of advocates, then applications.
-- An application reached a stage when it was ever in it; an undone hire is no hire. Stages may be skipped (a hire without
-- an offer), so counts need not fall from stage to stage.
WITH reached AS (
    SELECT
        attribution.channel,
        attribution.status = 'hired' AS is_hired,
        attribution.interviewed_at IS NOT NULL OR coalesce(history.was_interviewed, false) AS was_interviewed,
        attribution.offered_at IS NOT NULL OR coalesce(history.was_offered, false) AS was_offered
    FROM core.attribution AS attribution
    LEFT JOIN (
        SELECT
            application_key,
            bool_or(status = 'interviewed') AS was_interviewed,
            bool_or(status = 'offered') AS was_offered
        FROM core.status_history
        GROUP BY application_key
    ) AS history ON history.application_key = attribution.application_key
),
channel AS (
    SELECT unnest(['all', 'advocacy', 'other']) AS channel
),
applications AS (
    SELECT
        channel.channel,
        count(reached.channel) AS applications,
        count(*) FILTER (WHERE reached.was_interviewed) AS interviews,
        count(*) FILTER (WHERE reached.was_offered) AS offers,
        count(*) FILTER (WHERE reached.is_hired) AS hires
    FROM channel
    LEFT JOIN reached ON channel.channel IN ('all', reached.channel)
    GROUP BY channel.channel
),
counted AS (
    SELECT channel, 1 AS place, 'shares' AS stage, (SELECT count(*) FROM staging.share) AS units
    FROM channel
    WHERE channel <> 'other'
    UNION ALL
    SELECT channel, 2, 'clicks', (SELECT count(*) FROM staging.click) FROM channel WHERE channel <> 'other'
    UNION ALL
    SELECT channel, 3, 'applications', applications FROM applications
    UNION ALL
    SELECT channel, 4, 'interviews', interviews FROM applications
    UNION ALL
    SELECT channel, 5, 'offers', offers FROM applications
    UNION ALL
    SELECT channel, 6, 'hires', hires FROM applications
)
SELECT channel, place, stage, units
FROM counted
ORDER BY list_position(['all', 'advocacy', 'other'], channel), place
