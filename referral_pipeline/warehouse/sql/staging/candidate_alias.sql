-- Merged ATS candidates and the id under which each lives on, a copy of the ledger's aliases.
SELECT
    system::VARCHAR AS system,
    old_id::VARCHAR AS old_id,
    new_id::VARCHAR AS new_id
FROM incoming
