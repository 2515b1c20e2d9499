-- What the ledger knows of applications that the ATS's rows do not show. One row per application and fact.
-- kind mended: somebody had changed its fields, and they were brought back; `finding` says what was wrong. kind settled: it
-- is gone, and nothing is written for its referral any more. kind gone: the same, found just now. kind fresh: its fields
-- were written after the pull that staging shows.
SELECT
    system::VARCHAR AS system,
    application_id::VARCHAR AS application_id,
    kind::VARCHAR AS kind,
    finding::VARCHAR AS finding,
    referral_id::VARCHAR AS referral_id,
    changed_at::TIMESTAMPTZ AS changed_at
FROM incoming
