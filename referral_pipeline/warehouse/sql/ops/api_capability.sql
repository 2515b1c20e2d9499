-- Every capability audit that the ledger keeps, one row per audit, system and line. `incoming` is what it keeps.
SELECT
    audit_id::BIGINT AS audit_id,
    made_at::TIMESTAMPTZ AS made_at,
    environment::VARCHAR AS environment,
    fingerprint::VARCHAR AS fingerprint,
    passed::BOOLEAN AS passed,
    side::VARCHAR AS side,
    system::VARCHAR AS system,
    line_number::BIGINT AS line_number,
    area::VARCHAR AS area,
    name::VARCHAR AS name,
    title::VARCHAR AS title,
    endpoint::VARCHAR AS endpoint,
    standing::VARCHAR AS standing,
    needed::BOOLEAN AS needed,
    needed_by::VARCHAR AS needed_by,
    unanswered::BOOLEAN AS unanswered,
    evidence::VARCHAR AS evidence,
    consequence::VARCHAR AS consequence
FROM incoming
ORDER BY audit_id, line_number
