-- E-mail addresses and phones of ATS candidates. One row per candidate, kind and value. Personal data.
-- key is the canonical form, null where there is none.
SELECT
    candidate_id::VARCHAR AS candidate_id,
    kind::VARCHAR AS kind,
    value::VARCHAR AS "value",
    key::VARCHAR AS "key"
FROM incoming
