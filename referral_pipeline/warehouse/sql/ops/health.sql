-- ops.health: what each look at the health of the integration found, one row a measure and subject, kept for a month.
-- Reads: incoming (the rows of this look) and the table itself. Variables: keep_from.
SELECT *
FROM incoming
UNION ALL BY NAME
SELECT *
FROM ops.health
WHERE measured_at >= getvariable('keep_from')
