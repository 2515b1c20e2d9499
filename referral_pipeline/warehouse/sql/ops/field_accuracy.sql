-- Every field accuracy audit, one row per audit, side and field; field 'record' is the records as wholes. `incoming` is
-- what the ledger keeps of the audits. Bounds are one-sided Clopper-Pearson bounds at `confidence`.
SELECT
    audit_id::BIGINT AS audit_id,
    made_at::TIMESTAMPTZ AS made_at,
    environment::VARCHAR AS environment,
    fingerprint::VARCHAR AS fingerprint,
    seed::BIGINT AS seed,
    verdict::VARCHAR AS verdict,
    passed::BOOLEAN AS passed,
    side::VARCHAR AS side,
    field::VARCHAR AS field,
    checked::BIGINT AS checked,
    mismatches::BIGINT AS mismatches,
    unreadable::BIGINT AS unreadable,
    missing::BIGINT AS missing,
    truncated::BIGINT AS truncated,
    swapped::BIGINT AS swapped,
    case_or_space::BIGINT AS case_or_space,
    time_zone::BIGINT AS time_zone,
    format::BIGINT AS format,
    stale::BIGINT AS stale,
    vocabulary::BIGINT AS vocabulary,
    currency::BIGINT AS currency,
    gone::BIGINT AS gone,
    merged::BIGINT AS merged,
    other::BIGINT AS other,
    accuracy::DOUBLE AS accuracy,
    lower::DOUBLE AS lower,
    upper::DOUBLE AS upper,
    confidence::DOUBLE AS confidence,
    minimum_accuracy::DOUBLE AS minimum_accuracy
FROM incoming
ORDER BY audit_id, field <> 'record', side, field
