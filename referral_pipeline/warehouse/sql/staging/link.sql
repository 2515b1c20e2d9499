-- What became of each referral, a copy of the ledger's links. One row per referral.
SELECT
    referral_id::VARCHAR AS referral_id,
    person_id::VARCHAR AS person_id,
    job_id::VARCHAR AS job_id,
    system::VARCHAR AS system,
    candidate_id::VARCHAR AS candidate_id,
    application_id::VARCHAR AS application_id,
    block::VARCHAR AS block,
    match_method::VARCHAR AS match_method,
    created_candidate::BOOLEAN AS created_candidate,
    created_application::BOOLEAN AS created_application,
    status::VARCHAR AS status,
    status_at::TIMESTAMPTZ AS status_at
FROM incoming
