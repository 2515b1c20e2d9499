-- Every change of an API that was ever seen, one row each. The rows are made by warehouse.schema_drift.
SELECT
    drift_id,
    system,
    operation,
    kind,
    path,
    found,
    before,
    severity,
    state,
    is_read,
    times_seen,
    first_seen_at,
    last_seen_at,
    accepted_at,
    accepted_by,
    accepted_why,
    what,
    what_to_do
FROM incoming
ORDER BY system, operation, path, kind, drift_id
