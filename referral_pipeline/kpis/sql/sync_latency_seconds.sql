-- sync_latency_seconds: from the receipt of an event of one system until the other system has confirmed what it asks for:
-- 95th percentile, median and 99th, together and by direction: forward (advocacy to ATS) and return (ATS to advocacy).
-- One row per event of the inbox that wrote to the other system, or found there what it would have written. Left out: what
-- wrote nothing there (ignored, blocked, unchanged), what was replayed or asked for by hand (it waited for a person), and
-- shares and clicks (staging.ledger_event). The period is that of the receipt.
-- Variables: advocacy_system.
SELECT
    received_at AS cohort_at,
    CASE WHEN system = getvariable('advocacy_system') THEN 'forward' ELSE 'return' END AS scope,
    true AS is_mature,
    true AS is_over,
    true AS is_counted,
    (epoch_us(done_at) - epoch_us(received_at)) / 1e6 AS measure
FROM staging.ledger_event
WHERE
    origin IN ('webhook', 'reconciliation')
    AND done_at >= received_at
    AND CASE
        WHEN system = getvariable('advocacy_system')
            THEN outcome IN ('created', 'application_opened', 'matched', 'updated')
        ELSE outcome IN ('status_sent', 'status_superseded', 'job_published')
    END
ORDER BY measure
