-- What is wrong with the data, counted: records that were set aside or lost a field, and referrals that were held back.
-- One row per kind (set_aside, held_back), entity, reason and level. No record is named and no value is shown.
-- set_aside: entity as staged, reason the field at fault, level record (left out) or field (went on without it).
-- held_back: entity referral, reason the block, no level.
SELECT
    'set_aside' AS kind,
    entity,
    field AS reason,
    "level",
    count(DISTINCT record_id) AS records
FROM staging.quarantine
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
ORDER BY kind, entity, reason, "level"
