-- What is wrong with the data, counted: records that were set aside or lost a field, referrals that were held back, and
-- hires that are placed by their record.
-- One row per kind (set_aside, held_back, by_record), entity, reason and level. No record is named, no value is shown.
-- set_aside: entity as staged, reason the field at fault, level record (left out) or field (went on without it).
-- Manual intake is left out: no number is made of it.
-- held_back: entity referral, reason the block, no level.
-- by_record: entity application, no level: hires without a date of their own (reason hired_at) or with one before their
-- application (negative_time_to_hire), which count in the month in which the ATS last changed them (status_at).
SELECT
    'set_aside' AS kind,
    entity,
    field AS reason,
    "level",
    count(DISTINCT record_id) AS records
FROM staging.quarantine
WHERE entity <> 'manual_intake'
GROUP BY entity, field, "level"
UNION ALL
SELECT
    'held_back',
    'referral',
    block,
    NULL::VARCHAR,
    count(*)
FROM staging.link
WHERE block IS NOT NULL
GROUP BY block
UNION ALL
SELECT
    'by_record',
    'application',
    CASE WHEN contains(missing, 'negative_time_to_hire') THEN 'negative_time_to_hire' ELSE 'hired_at' END AS reason,
    NULL::VARCHAR,
    count(*)
FROM core.attribution
WHERE status = 'hired' AND hired_at IS NULL
GROUP BY reason
ORDER BY kind, entity, reason, "level"
