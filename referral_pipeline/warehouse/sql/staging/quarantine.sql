-- What staging set aside. One row per problem; shape describes a value without showing it.
-- level record: the row is left out. level field: the row goes on without that field.
SELECT
    system::VARCHAR AS system,
    entity::VARCHAR AS entity,
    record_id::VARCHAR AS record_id,
    field::VARCHAR AS field,
    reason::VARCHAR AS reason,
    shape::VARCHAR AS shape,
    level::VARCHAR AS "level"
FROM incoming
