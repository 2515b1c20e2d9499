-- What is wrong between the applications in the ATS and their attribution: one row per application, finding and field.
-- An application that a referral leads to, and that somebody has the credit for, must name the credited referral, advocate,
-- share, content and campaign: the values that the write-back gives it (sync.facts; a property test holds the two together).
-- One whose owner decided that nobody has the credit must name nothing. Any other must not name a referral that is unknown
-- or leads to another application, nor an advocate or share without a referral.
-- `state`: open (it stands there now), mended (somebody had changed it, and the bridge brought it back), settled (gone, and
-- the bridge has drawn its conclusions). `is_new`: open, or mended or settled since the validation before.
-- `mends`: refresh (the next one does by itself), repair (`attribution repair` can), person (the bridge never wrote there).
-- `stands` shows ids and campaigns that the platform has sent, and of anything else its shape: anybody can type there. Both
-- it and `should` are null for an empty field.
-- Variables: advocacy_system, fields (names that the contract maps in the usual way), source_name ('' for none), new_since,
-- checked_at.
WITH application AS (
    SELECT system, id, candidate_id, source_name, tag_referral_id, tag_advocate_id, tag_share_id, tag_content_id,
        tag_campaign_tag
    FROM staging.ats_application AS staged
    ANTI JOIN staging.ats_application_live AS live ON live.system = staged.system AND live.id = staged.id
    UNION ALL
    SELECT system, id, candidate_id, source_name, tag_referral_id, tag_advocate_id, tag_share_id, tag_content_id,
        tag_campaign_tag
    FROM staging.ats_application_live
),
known_referral AS (
    SELECT id FROM staging.referral
    UNION
    SELECT referral_id FROM staging.link
    UNION
    SELECT record_id FROM staging.quarantine WHERE system = getvariable('advocacy_system') AND entity = 'referrals'
),
known_campaign AS (
    SELECT campaign_tag FROM staging.content WHERE campaign_tag IS NOT NULL
    UNION
    SELECT campaign_tag FROM staging.referral WHERE campaign_tag IS NOT NULL
),
link AS (
    SELECT link.*, coalesce(record.person_id, link.person_id) AS whose
    FROM staging.link AS link
    LEFT JOIN core.person_record AS record
        ON record.record_id = getvariable('advocacy_system') || ':' || link.referral_id
),
led_to AS (
    SELECT
        owner.application_key,
        bool_or(link.block IS NULL AND link.whose IS NOT DISTINCT FROM owner.person_id) AS is_assigned,
        min(link.referral_id) AS referral_id,
        arg_min(link.candidate_id, link.referral_id) AS candidate_id
    FROM core.application_person AS owner
    JOIN link ON link.system = owner.system AND link.application_id = owner.application_id
    WHERE link.block IS DISTINCT FROM 'erased'
    GROUP BY owner.application_key
),
credited AS (
    SELECT
        attribution.application_key,
        attribution.referral_id,
        touch.advocate_id,
        coalesce(touch.share_id, referral.share_id) AS share_id,
        coalesce(
            CASE WHEN touch.kind <> 'referral' THEN touch.content_id END, touched.id, shared.id
        ) AS content_id,
        coalesce(touch.campaign_tag, referral.campaign_tag) AS campaign_tag
    FROM core.attribution AS attribution
    JOIN core.attribution_credit AS touch
        ON touch.application_key = attribution.application_key AND touch.place = 1 AND touch.weight > 0
    LEFT JOIN staging.referral AS referral ON referral.id = attribution.referral_id
    LEFT JOIN staging.content AS touched ON touched.id = touch.content_id
    LEFT JOIN staging.share AS share ON share.id = coalesce(touch.share_id, referral.share_id)
    LEFT JOIN staging.content AS shared ON shared.id = share.content_id
),
judged AS (
    SELECT
        attribution.application_key,
        attribution.status = 'hired' AS is_hire,
        attribution.person_id,
        application.*,
        coalesce(application.tag_referral_id, application.tag_advocate_id, application.tag_share_id) IS NOT NULL
            AS is_tagged,
        coalesce(
            application.tag_referral_id, application.tag_advocate_id, application.tag_share_id,
            application.tag_content_id, application.tag_campaign_tag
        ) IS NULL AS is_bare,
        led_to.application_key IS NOT NULL AS is_led_to,
        led_to.referral_id AS led_from,
        led_to.candidate_id AS led_candidate_id,
        credited.application_key IS NOT NULL AND (coalesce(led_to.is_assigned, false) OR (
            override.id IS NOT NULL AND led_to.application_key IS NOT NULL
        )) AS is_credited,
        credited.application_key IS NULL AND override.id IS NOT NULL AND led_to.application_key IS NOT NULL
            AS is_nobodys,
        credited.referral_id AS right_referral_id,
        credited.advocate_id AS right_advocate_id,
        credited.share_id AS right_share_id,
        credited.content_id AS right_content_id,
        credited.campaign_tag AS right_campaign_tag,
        carried.id IS NOT NULL AS carries_known,
        carried_link.application_id AS carried_application_id,
        coalesce(carried_record.person_id, carried_link.person_id) AS carried_person_id
    FROM core.attribution AS attribution
    JOIN application ON application.system = attribution.ats AND application.id = attribution.ats_application_id
    ANTI JOIN staging.ledger_tag_change AS fresh
        ON fresh.kind IN ('fresh', 'gone') AND fresh.system = attribution.ats
        AND fresh.application_id = attribution.ats_application_id
    LEFT JOIN led_to ON led_to.application_key = attribution.application_key
    LEFT JOIN credited ON credited.application_key = attribution.application_key
    LEFT JOIN staging.ledger_override AS override ON override.application_key = attribution.application_key
    LEFT JOIN known_referral AS carried ON carried.id = application.tag_referral_id
    LEFT JOIN staging.link AS carried_link ON carried_link.referral_id = application.tag_referral_id
    LEFT JOIN core.person_record AS carried_record
        ON carried_record.record_id = getvariable('advocacy_system') || ':' || application.tag_referral_id
),
field AS (
    SELECT judged.*, pair.field AS field, pair.stands AS held, CASE WHEN is_credited THEN pair.due END AS should
    FROM judged, unnest([
        {field: 'referral_id', stands: tag_referral_id, due: right_referral_id},
        {field: 'advocate_id', stands: tag_advocate_id, due: right_advocate_id},
        {field: 'share_id', stands: tag_share_id, due: right_share_id},
        {field: 'content_id', stands: tag_content_id, due: right_content_id},
        {field: 'campaign_tag', stands: tag_campaign_tag, due: right_campaign_tag}
    ]) AS pairs(pair)
    WHERE (is_credited OR is_nobodys) AND list_contains(getvariable('fields'), pair.field)
),
on_field AS (
    -- what should stand there is known: each field that differs
    SELECT
        *,
        CASE
            WHEN is_bare THEN 'missing_tag'
            WHEN field = 'referral_id' AND held IS NULL THEN 'missing_tag'
            WHEN field = 'referral_id' AND NOT carries_known THEN 'orphaned_tag'
            WHEN field = 'referral_id' AND carried_application_id <> id THEN 'double_tag'
            WHEN field = 'referral_id' THEN 'wrong_referral'
            WHEN field = 'campaign_tag' AND held IS NULL THEN 'missing_campaign'
            WHEN field = 'campaign_tag' THEN 'wrong_campaign'
            ELSE 'wrong_' || replace(field, '_id', '')
        END AS finding,
        'refresh' AS mends
    FROM field
    WHERE held IS DISTINCT FROM should
),
on_tag AS (
    -- nobody has credit here: what it names all the same
    SELECT
        *,
        CASE
            WHEN tag_referral_id IS NOT NULL THEN 'referral_id'
            WHEN tag_advocate_id IS NOT NULL THEN 'advocate_id'
            ELSE 'share_id'
        END AS field,
        coalesce(tag_referral_id, tag_advocate_id, tag_share_id) AS held,
        NULL::VARCHAR AS should,
        CASE
            WHEN tag_referral_id IS NULL OR NOT carries_known THEN 'orphaned_tag'
            WHEN carried_application_id <> id THEN 'double_tag'
            WHEN carried_person_id IS DISTINCT FROM person_id THEN 'wrong_referral'
        END AS finding,
        CASE WHEN is_led_to THEN 'repair' ELSE 'person' END AS mends
    FROM judged
    WHERE is_tagged AND NOT is_credited AND NOT is_nobodys AND len(getvariable('fields')) > 0
),
open AS (
    SELECT application_key, id, is_hire, finding, field, held, should, mends, right_referral_id AS referral_id
    FROM on_field
    UNION ALL
    SELECT application_key, id, is_hire, finding, field, held, should, mends,
        CASE WHEN carries_known THEN tag_referral_id END
    FROM on_tag
    WHERE finding IS NOT NULL
    UNION ALL
    SELECT application_key, id, is_hire, 'source_missing', 'source', NULL, getvariable('source_name'), 'repair',
        right_referral_id
    FROM judged
    WHERE is_credited AND source_name IS NULL AND getvariable('source_name') <> ''
    UNION ALL
    SELECT judged.application_key, judged.id, judged.is_hire, 'merged', 'candidate_id', judged.led_candidate_id,
        judged.candidate_id, 'refresh', judged.led_from
    FROM judged
    ANTI JOIN staging.candidate_alias AS followed
        ON followed.system = judged.system AND followed.old_id = judged.led_candidate_id
    WHERE judged.led_candidate_id <> judged.candidate_id
),
changed AS (
    SELECT
        change.system || ':' || change.application_id AS application_key,
        change.application_id,
        coalesce(attribution.status = 'hired', false) AS is_hire,
        change.finding,
        change.kind,
        change.referral_id,
        change.changed_at
    FROM staging.ledger_tag_change AS change
    LEFT JOIN core.attribution AS attribution
        ON attribution.application_key = change.system || ':' || change.application_id
    WHERE change.kind <> 'fresh'
),
told AS (
    SELECT application_key, id AS application_id, finding, field, 'open' AS state, is_hire, referral_id, held, should,
        mends, NULL::TIMESTAMPTZ AS changed_at
    FROM open
    UNION ALL BY NAME
    SELECT
        application_key, application_id, finding,
        CASE finding
            WHEN 'gone' THEN 'application'
            WHEN 'wrong_advocate' THEN 'advocate_id'
            WHEN 'wrong_share' THEN 'share_id'
            WHEN 'wrong_content' THEN 'content_id'
            WHEN 'missing_campaign' THEN 'campaign_tag'
            WHEN 'wrong_campaign' THEN 'campaign_tag'
            ELSE 'referral_id'
        END AS field,
        CASE kind WHEN 'gone' THEN 'open' ELSE kind END AS state,
        is_hire, referral_id,
        'refresh' AS mends, changed_at
    FROM changed
    -- what is wrong again, or still, is open
    ANTI JOIN open ON open.application_key = changed.application_key AND changed.kind = 'mended'
)
SELECT
    application_key,
    application_id AS ats_application_id,
    finding,
    field,
    state,
    is_hire,
    referral_id,
    CASE
        WHEN field = 'candidate_id' OR referral.id IS NOT NULL OR advocate.id IS NOT NULL OR share.id IS NOT NULL
            OR content.id IS NOT NULL OR campaign.campaign_tag IS NOT NULL THEN held
        ELSE 'text of ' || length(held) || ' characters'
    END AS stands,
    should,
    mends,
    changed_at,
    state = 'open' OR changed_at >= getvariable('new_since') AS is_new,
    getvariable('checked_at') AS checked_at
FROM told
LEFT JOIN known_referral AS referral ON told.field = 'referral_id' AND referral.id = told.held
LEFT JOIN staging.advocate AS advocate ON told.field = 'advocate_id' AND advocate.id = told.held
LEFT JOIN staging.share AS share ON told.field = 'share_id' AND share.id = told.held
LEFT JOIN staging.content AS content ON told.field = 'content_id' AND content.id = told.held
LEFT JOIN known_campaign AS campaign ON told.field = 'campaign_tag' AND campaign.campaign_tag = told.held
ORDER BY state <> 'open', application_key, finding, field
