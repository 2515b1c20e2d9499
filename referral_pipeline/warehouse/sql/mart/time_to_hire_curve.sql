-- The probability to be hired by each day after the application, by channel: Aalen-Johansen, with rejection and withdrawal
-- competing and open applications censored (kpis). One row per channel (all, advocacy, other) and day, 0 to 180.
-- `at_risk`: applications observed for at least so long and not ended before; `hires`: hired by then. `probability` is null
-- from where nobody is observed any more while some were still open; an interval is null where nothing seen bounds it.
SELECT
    channel::VARCHAR AS channel,
    day::INTEGER AS "day",
    at_risk::BIGINT AS at_risk,
    hires::BIGINT AS hires,
    probability::DOUBLE AS probability,
    ci_low::DOUBLE AS ci_low,
    ci_high::DOUBLE AS ci_high
FROM incoming
ORDER BY list_position(['all', 'advocacy', 'other'], channel), day
