-- Every dated status of every application, before it becomes a history without overlaps (status_history).
-- Sources: the ATS's own stage history; the dates of interview and offer where that history has no such stage; the present
-- status with its own date; and, of what the ledger was told, only hires and rejections that were undone, with what
-- followed: the ATS forgets those, and for all else its own dates are better.
-- `error` says why an event is kept out: before_application, or ends_before_it_starts.
WITH application AS (
    SELECT
        system || ':' || id AS application_key,
        system,
        id,
        status,
        applied_at,
        interviewed_at,
        offered_at,
        CASE
            WHEN status = 'hired' THEN coalesce(hired_at, status_at)
            WHEN status IN ('rejected', 'withdrawn') THEN coalesce(rejected_at, status_at)
            ELSE status_at
        END AS status_at,
        status_at AS recorded_at
    FROM staging.ats_application
),
told AS (
    SELECT
        application.application_key,
        fact.status,
        fact."at" AS reached_at,
        lag(fact.status) OVER (
            PARTITION BY application.application_key ORDER BY fact."at", fact.source_event
        ) IN ('hired', 'rejected', 'withdrawn') AS follows_an_end,
        coalesce(
            lead(fact.status) OVER (
                PARTITION BY application.application_key ORDER BY fact."at", fact.source_event
            ) <> fact.status,
            false
        ) AS is_followed -- the same status again is a date that was corrected, nothing was undone
    FROM staging.ledger_status AS fact
    JOIN application ON application.system = fact.system AND application.id = fact.application_id
),
undone AS (
    SELECT application_key, status, reached_at, 'ledger' AS source
    FROM told
    WHERE follows_an_end OR (is_followed AND status IN ('hired', 'rejected', 'withdrawn'))
),
staged AS (
    SELECT
        application.application_key,
        entry.status,
        entry.entered_at AS reached_at,
        'stage' AS source,
        entry.exited_at < entry.entered_at AS ends_before_it_starts
    FROM staging.ats_stage_entry AS entry
    JOIN application ON application.id = entry.application_id
    WHERE entry.entered_at IS NOT NULL
),
present AS (
    -- After an undone end, an end counts from when it was told again, not from the date of the first one.
    SELECT
        application.application_key,
        application.status,
        CASE
            WHEN restart.reached_at > application.status_at THEN coalesce(restart.told_at, application.recorded_at)
            WHEN application.status_at < application.applied_at THEN application.recorded_at
            ELSE application.status_at
        END AS reached_at,
        'present' AS source,
        application.status_at < application.applied_at AS is_before_application
    FROM application
    LEFT JOIN (
        SELECT
            told.application_key,
            max(told.reached_at) FILTER (WHERE told.follows_an_end AND told.status <> now.status) AS reached_at,
            max(told.reached_at) FILTER (WHERE told.status = now.status) AS told_at
        FROM told
        JOIN application AS now ON now.application_key = told.application_key
        GROUP BY told.application_key
    ) AS restart ON restart.application_key = application.application_key
),
event AS (
    SELECT application_key, 'applied' AS status, applied_at AS reached_at, 'application' AS source, false AS is_wrong
    FROM application
    WHERE applied_at IS NOT NULL
    UNION ALL
    SELECT application_key, status, reached_at, source, ends_before_it_starts FROM staged
    UNION ALL
    SELECT application_key, 'interviewed', interviewed_at, 'interview', false
    FROM application
    WHERE
        interviewed_at IS NOT NULL
        AND application_key NOT IN (SELECT application_key FROM staged WHERE status = 'interviewed')
    UNION ALL
    SELECT application_key, 'offered', offered_at, 'offer', false
    FROM application
    WHERE
        offered_at IS NOT NULL
        AND application_key NOT IN (SELECT application_key FROM staged WHERE status = 'offered')
    UNION ALL
    SELECT application_key, status, reached_at, source, false FROM undone
    UNION ALL
    SELECT application_key, status, reached_at, source, is_before_application FROM present
)
SELECT
    event.application_key,
    event.status,
    event.reached_at,
    event.source,
    CASE
        WHEN event.source = 'present' AND event.is_wrong THEN 'before_application'
        WHEN event.is_wrong THEN 'ends_before_it_starts'
        WHEN event.reached_at < application.applied_at THEN 'before_application'
    END AS error
FROM event
JOIN application ON application.application_key = event.application_key
ORDER BY event.application_key, event.reached_at, event.source, event.status
