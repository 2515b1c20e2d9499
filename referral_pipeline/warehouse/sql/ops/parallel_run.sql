-- The parallel run: manual intake held against the integration. One row per finding, or one that says a record agrees.
-- `incoming` is what quality.parallel_run found. No personal data: a row of manual intake is named by file and line, and
-- `detail` describes values without showing them.
SELECT
    day::DATE AS day,
    manual_record::VARCHAR AS manual_record,
    referral_id::VARCHAR AS referral_id,
    application_key::VARCHAR AS application_key,
    person_id::VARCHAR AS person_id,
    finding::VARCHAR AS finding,
    field::VARCHAR AS field,
    cause::VARCHAR AS cause,
    is_open::BOOLEAN AS is_open,
    detail::VARCHAR AS detail
FROM incoming
ORDER BY
    day,
    regexp_extract(manual_record, '^(.*):', 1),
    TRY_CAST(regexp_extract(manual_record, '([0-9]+)$', 1) AS BIGINT),
    referral_id,
    finding,
    field
