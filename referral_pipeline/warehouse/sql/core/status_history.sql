-- Which status each application was in, from when to when: no overlap, no gap, one row per stretch, the last one open.
-- Events with an error are kept out (they stay in status_event, where they are counted); so is what a system dates after
-- an end that still stands. Of events at one time the furthest counts.
WITH present AS (
    SELECT application_key, status, reached_at FROM core.status_event WHERE source = 'present'
),
past AS (
    SELECT event.application_key, event.status, event.reached_at, 0 AS is_present
    FROM core.status_event AS event
    JOIN present ON present.application_key = event.application_key
    WHERE
        event.source <> 'present'
        AND event.error IS NULL
        AND (present.status NOT IN ('hired', 'rejected', 'withdrawn') OR event.reached_at < present.reached_at)
),
last_past AS (
    SELECT application_key, max(reached_at) AS reached_at FROM past GROUP BY application_key
),
event AS (
    SELECT * FROM past
    UNION ALL
    -- The present status comes last whatever its own date is: an edit may be older than the stage it is in.
    SELECT present.application_key, present.status, greatest(present.reached_at, coalesce(last_past.reached_at, present.reached_at)), 1
    FROM present
    LEFT JOIN last_past ON last_past.application_key = present.application_key
),
at_one_time AS (
    SELECT
        application_key,
        reached_at,
        arg_max(
            status,
            (
                is_present,
                list_position(
                    ['applied', 'in_review', 'interviewed', 'offered', 'hired', 'rejected', 'withdrawn'], status
                )
            )
        ) AS status
    FROM event
    GROUP BY application_key, reached_at
),
changed AS (
    SELECT *
    FROM at_one_time
    QUALIFY lag(status) OVER (PARTITION BY application_key ORDER BY reached_at) IS DISTINCT FROM status
)
SELECT
    application_key,
    status,
    reached_at AS valid_from,
    lead(reached_at) OVER (PARTITION BY application_key ORDER BY reached_at) AS valid_to
FROM changed
ORDER BY application_key, valid_from
