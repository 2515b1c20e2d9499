-- Manual intake as the files say it, one row per row that could be read. `incoming` is what connectors.manual_intake read.
-- Personal data: record_id, names, email, phone, and the keys. `entered_on` is the day in the contract's time zone;
-- where no time stood (`has_time` false), `entered_at` is the last moment of that day.
SELECT
    place::VARCHAR AS place,
    file::VARCHAR AS file,
    line::BIGINT AS line,
    entered_at::TIMESTAMPTZ AS entered_at,
    entered_on::DATE AS entered_on,
    has_time::BOOLEAN AS has_time,
    record_id::VARCHAR AS record_id,
    first_name::VARCHAR AS first_name,
    last_name::VARCHAR AS last_name,
    email::VARCHAR AS email,
    email_key::VARCHAR AS email_key,
    phone::VARCHAR AS phone,
    phone_key::VARCHAR AS phone_key,
    country::VARCHAR AS country,
    job_id::VARCHAR AS job_id,
    advocate_id::VARCHAR AS advocate_id,
    campaign_tag::VARCHAR AS campaign_tag,
    status::VARCHAR AS status
FROM incoming
ORDER BY file, line
