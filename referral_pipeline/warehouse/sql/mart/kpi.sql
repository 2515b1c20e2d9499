-- Leadership's one table of numbers. `incoming` is what kpis.compute answered.
SELECT
    kpi::VARCHAR AS kpi,
    period_kind::VARCHAR AS period_kind,
    period_start::DATE AS period_start,
    segment_kind::VARCHAR AS segment_kind,
    segment::VARCHAR AS segment,
    value::DOUBLE AS value,
    unit::VARCHAR AS unit,
    numerator::BIGINT AS numerator,
    denominator::BIGINT AS denominator,
    ci_low::DOUBLE AS ci_low,
    ci_high::DOUBLE AS ci_high,
    maturity::VARCHAR AS maturity,
    target::DOUBLE AS target
FROM incoming
ORDER BY kpi, period_kind, period_start, segment_kind, segment
