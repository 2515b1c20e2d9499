"""What every asset is: its group, table, description and the columns that may be shown.

Belongs here: the words and names that the Dagster UI shows, as data. Does not belong here: code that runs. The preview
columns of a staging table are chosen so that no personal data reaches the UI; core and mart hold none.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AssetEntry:
    """One asset of the graph.

    `table` is its table in the warehouse; `preview` the columns shown, empty for all; `first` the order in which its
    rows are shown, empty for that of the columns.
    """

    name: str
    group: str
    description: str
    kinds: frozenset[str]
    table: str | None = None
    preview: tuple[str, ...] = ()
    deps: tuple[str, ...] = ()
    first: str = ""


_PLATFORM = frozenset({"python", "duckdb"})
_SQL = frozenset({"sql", "duckdb"})
_GREENHOUSE = frozenset({"python", "duckdb"})

CATALOG: tuple[AssetEntry, ...] = (
    AssetEntry(
        "ats_candidate_merges",
        "sync",
        "Merges in the ATS: what people decided to be one candidate (`referral-pipeline review`) is made one there, "
        "once, where the contract says rules.dedupe.merge_in_ats; before the pull, so that the same run sees it.",
        frozenset({"python"}),
    ),
    AssetEntry(
        "advocates",
        "ingest",
        "Employees who may share jobs and refer people, as the advocacy platform knows them. One row per advocate.",
        _PLATFORM,
        "staging.advocate",
        ("id", "department", "eligible", "joined_at", "left_at", "updated_at"),
    ),
    AssetEntry(
        "content",
        "ingest",
        "Posts that advocates can share, each with its campaign and job. One row per piece of content.",
        _PLATFORM,
        "staging.content",
    ),
    AssetEntry(
        "shares",
        "ingest",
        "Acts of sharing: who shared what, where, when, and how many people it reached. One row per share.",
        _PLATFORM,
        "staging.share",
    ),
    AssetEntry(
        "clicks",
        "ingest",
        "Clicks on shares, by pseudonymous visitor. A click names no person. One row per click.",
        _PLATFORM,
        "staging.click",
        ("id", "share_id", "clicked_at"),
    ),
    AssetEntry(
        "referrals",
        "ingest",
        "Referrals that passed validation, with canonical e-mail and phone. Rows that failed "
        "are counted here; `referral-pipeline quarantine` names each with field and reason. One row per referral.",
        _PLATFORM,
        "staging.referral",
        (
            "id",
            "advocate_id",
            "share_id",
            "job_id",
            "campaign_tag",
            "stage",
            "touched_at",
            "email_flag",
            "status",
            "status_at",
        ),
    ),
    AssetEntry(
        "ats_jobs",
        "ingest",
        "Requisitions of the ATS, the system of record for jobs. One row per job.",
        _GREENHOUSE,
        "staging.ats_job",
        deps=("ats_candidate_merges",),
    ),
    AssetEntry(
        "ats_candidates",
        "ingest",
        "Candidates of the ATS, the system of record for candidates. One row per candidate; names and contact "
        "details stay in staging.",
        _GREENHOUSE,
        "staging.ats_candidate",
        ("id", "created_at", "updated_at"),
        deps=("ats_candidate_merges",),
    ),
    AssetEntry(
        "ats_applications",
        "ingest",
        "Applications with their canonical status and the ATS's own dates. A hire is dated by the accepted offer, "
        "never by when we heard of it. One row per application; prospects are left out.",
        _GREENHOUSE,
        "staging.ats_application",
        ("id", "job_id", "status", "applied_at", "hired_at", "tag_advocate_id", "tag_campaign_tag", "updated_at"),
        deps=("ats_candidate_merges",),
    ),
    AssetEntry(
        "ats_offers",
        "ingest",
        "Current offers: acceptance is the hire date, the first day starts the bonus clock. One row per application.",
        _GREENHOUSE,
        "staging.ats_offer",
        deps=("ats_candidate_merges",),
    ),
    AssetEntry(
        "costs",
        "ingest",
        "What hiring costs, from the contract's CSV and XLSX files, read whole each time, each line converted once at "
        "the stated rate. Lines that failed are told here, and by `referral-pipeline quarantine`. One row per line.",
        frozenset({"python", "duckdb", "file"}),
        "staging.cost",
        (
            *("file", "line", "period", "channel", "kind", "amount_cents", "currency"),
            *("reporting_cents", "reporting_currency", "rate", "allocation_key"),
        ),
    ),
    AssetEntry(
        "ats_referral_candidates",
        "sync",
        "Candidate write-back: every referral that passes stage, consent and residency becomes, or is found as, "
        "one candidate with one application that carries advocate, content and campaign.",
        frozenset({"python"}),
        deps=(
            "advocates",
            "content",
            "shares",
            "referrals",
            "ats_jobs",
            "ats_candidates",
            "ats_applications",
            "ats_offers",
        ),
    ),
    AssetEntry(
        "advocacy_referral_statuses",
        "sync",
        "Status return: each change of an application's status goes back to the advocacy platform, once.",
        frozenset({"python"}),
        deps=("ats_referral_candidates",),
    ),
    AssetEntry(
        "advocacy_jobs",
        "sync",
        "Job postings from the ATS, published on the advocacy platform as open or closed. Drafts are not sent.",
        frozenset({"python"}),
        deps=("ats_jobs",),
    ),
    AssetEntry(
        "reconciliation",
        "sync",
        "What webhooks missed on either side, found by comparing both systems with what was done: each finding enters "
        "the inbox as a hint. The count is a health figure; above zero, look at the webhooks of that system.",
        frozenset({"python"}),
        deps=("referrals", "ats_jobs", "ats_applications", "ats_offers"),
    ),
    AssetEntry(
        "processed_events",
        "sync",
        "What became of each event from the webhooks and from reconciliation. One entry a batch, written by the lane's "
        "open run after the batch is done: counts by type and outcome, and each event by its number.",
        frozenset({"python"}),
    ),
    AssetEntry(
        "people",
        "identity",
        "Who is who: every referral and ATS candidate belongs to exactly one person. Shared mailboxes and "
        "contradicting names never merge by themselves; what people decided counts. Only what changed is resolved "
        "anew. One row per person, no personal data.",
        _PLATFORM,
        "core.person",
        deps=("referrals", "ats_candidates", "ats_referral_candidates"),
    ),
    AssetEntry(
        "duplicate_review",
        "identity",
        "Pairs of persons that may be one and were not merged: they share a mailbox or phone that proves nothing, or "
        "are alike with the probability shown. Nothing is merged by probability: a person decides. One row per pair.",
        _PLATFORM,
        "core.duplicate_review",
        deps=("people",),
        first="state <> 'open', score DESC NULLS LAST, left_person_id, right_person_id",
    ),
    AssetEntry(
        "touchpoints",
        "attribution",
        "Touches on the way to an application: shares, clicks, referrals. One row per touch.",
        _SQL,
        "core.touchpoint",
        deps=("people", "shares", "clicks", "content", "advocates"),
    ),
    AssetEntry(
        "attribution",
        "attribution",
        "The attribution table: one row per ATS application with its person, credited advocate, content, "
        "campaign, dates and whether the evidence is complete.",
        _SQL,
        "core.attribution",
        deps=("touchpoints", "people", "ats_applications", "ats_referral_candidates"),
    ),
    AssetEntry(
        "attribution_credit",
        "attribution",
        "Who earned what: weights that sum to exactly 1 per credited application, the bonus as today's credit divides "
        "it, to the cent (nothing for a rehire; what was paid or can come is in the bonus ledger), and the reason for "
        "every zero.",
        _SQL,
        "core.attribution_credit",
        deps=("touchpoints", "attribution"),
    ),
    AssetEntry(
        "attribution_comparison",
        "attribution",
        "What each of the five models would give, beside what is paid: one row per application, advocate and share, "
        "each model's weights summing to exactly 1. Shows what a change of the model would change.",
        _SQL,
        "mart.attribution_comparison",
        deps=("touchpoints", "attribution_credit"),
    ),
    AssetEntry(
        "bonus_ledger",
        "attribution",
        "What advocates have earned: one row per bonus with its state (pending, eligible, reversed, paid), amount, "
        "dates and the reason where one is needed. Sums are by state and currency, in the currency's smallest unit.",
        _SQL,
        "mart.bonus",
        deps=("attribution", "attribution_credit"),
    ),
    AssetEntry(
        "status_history",
        "attribution",
        "Every canonical status of every application with its time, from the ATS's own stage history.",
        _SQL,
        "core.status_history",
        deps=("attribution",),
    ),
    AssetEntry(
        "allocated_costs",
        "kpis",
        "What each channel cost in each month, to the cent: longer periods spread over their months, shared costs "
        "divided by the key they state. In the smallest unit of the reporting currency. One row per month, channel, "
        "source and kind.",
        _SQL,
        "mart.cost",
        deps=("costs", "attribution"),
    ),
    AssetEntry(
        "kpis",
        "kpis",
        "The numbers: each with numerator, denominator, interval, maturity and 90-day target, for all time, "
        "quarter and month and by channel, department, campaign, advocate and job. With it the curve of time to hire "
        "(mart.time_to_hire_curve).",
        _SQL,
        "mart.kpi",
        deps=(
            *("attribution", "attribution_credit", "status_history", "touchpoints", "people"),
            *("shares", "clicks", "content", "referrals", "advocates", "ats_jobs", "allocated_costs"),
        ),
    ),
    AssetEntry(
        "advocate_performance",
        "kpis",
        "What each advocate's dashboard shows: shares, clicks, referrals, applications to hires, conversion with "
        "interval and maturity, credit, and bonuses by state. One row per advocate, by id.",
        _SQL,
        "mart.advocate",
        deps=(
            *("advocates", "shares", "clicks", "referrals"),
            *("attribution", "attribution_credit", "status_history", "bonus_ledger"),
        ),
        first="hires DESC, applications DESC, advocate_id",
    ),
    AssetEntry(
        "crm_contacts",
        "sync",
        "CRM contacts: each person with an application from a referral is one contact with the properties that the "
        "contract maps, written where they changed, and nobody whom the gate holds back. Does nothing while the "
        "contract names no CRM.",
        frozenset({"python"}),
        deps=("ats_referral_candidates", "advocacy_referral_statuses"),
    ),
    AssetEntry(
        "advocate_results",
        "sync",
        "Results return: what came of each advocate's sharing goes back to the advocacy platform for their dashboard, "
        "once per change. Ids and counts only. Nothing is sent while status_return is off, nor of "
        "numbers that a run with as_of made.",
        frozenset({"python"}),
        deps=("advocate_performance", "advocacy_referral_statuses"),
    ),
    AssetEntry(
        "published_tables",
        "reports",
        "Parquet files and a read-only DuckDB copy under data/published, replaced by atomic rename. Nothing in "
        "them names a person.",
        frozenset({"duckdb", "parquet"}),
        deps=(
            "parallel_run",
            "attribution_validation",
            "kpis",
            "advocate_performance",
            "allocated_costs",
            "attribution",
            "attribution_credit",
            "attribution_comparison",
            "bonus_ledger",
            "status_history",
            "people",
            "duplicate_review",
            "integration_health",
            "api_schema_drift",
        ),
    ),
    AssetEntry(
        "leadership_report",
        "reports",
        "What the programme is worth, as a page and a workbook: headline numbers against their targets, what changed, "
        "funnel, time to hire, cost per hire, return, campaigns, coverage and data quality in plain words.",
        frozenset({"html", "excel"}),
        deps=("kpis", "published_tables"),
    ),
    AssetEntry(
        "quarterly_edition",
        "reports",
        "The leadership report as it stood when a quarter was over, kept by date under data/published/editions and "
        "never changed. A young quarter is told as such. Made by the job quarterly_review, not by a refresh.",
        frozenset({"html", "excel"}),
        deps=("kpis",),
    ),
    AssetEntry(
        "attribution_validation",
        "quality",
        "What the ATS carries against what attribution says: wrong, missing, orphaned and doubled tags, deleted and "
        "merged records, and what the bridge brought back because somebody had changed it. Empty when all is right. "
        "One row per application, finding and field; `referral-pipeline attribution repair` shows how each is mended.",
        _SQL,
        "ops.attribution_validation",
        deps=("attribution", "attribution_credit", "ats_referral_candidates"),
        first="state <> 'open', NOT is_hire, application_key, finding, field",
    ),
    AssetEntry(
        "field_accuracy_audit",
        "quality",
        "A sample of linked records, read again from both systems and compared field by field: accuracy with exact "
        "bounds, per field and per record, and what differs by its kind. Values are never shown. One row per audit, "
        "side and field. Made by the job monthly_audit or by `referral-pipeline audit run`, not by a refresh.",
        frozenset({"python", "duckdb"}),
        "ops.field_accuracy",
        (
            *("audit_id", "made_at", "side", "field", "checked", "mismatches", "accuracy", "lower", "upper"),
            *("missing", "truncated", "swapped", "case_or_space", "time_zone", "format", "stale", "vocabulary"),
            *("currency", "gone", "merged", "other"),
        ),
        deps=("ats_referral_candidates", "advocacy_referral_statuses"),
        first="audit_id DESC, field <> 'record', mismatches DESC, side, field",
    ),
    AssetEntry(
        "manual_intake",
        "ingest",
        "What people kept by hand beside the integration, from the contract's CSV and XLSX files, read whole each "
        "time. Rows that failed are in staging.quarantine with field, reason and mend. One row per row.",
        frozenset({"python", "duckdb", "file"}),
        "staging.manual_intake",
        ("place", "entered_on", "has_time", "status"),
    ),
    AssetEntry(
        "parallel_run",
        "quality",
        "Manual intake held against the integration, day by day for the launch window: what is missing on either side, "
        "what differs, each with its cause. One row per finding or agreement, no personal data. Sign it off with "
        "`referral-pipeline parallel-run sign-off`.",
        _PLATFORM,
        "ops.parallel_run",
        deps=("manual_intake", "people", "attribution", "status_history", "referrals", "ats_candidates"),
        first="NOT is_open, day, manual_record, referral_id",
    ),
    AssetEntry(
        "integration_health",
        "monitoring",
        "How the integration is: failing and slow calls, webhooks that arrive, latency, volume against its pattern, "
        "waiting and dead events, clocks, freshness, processes. The sensor `health` looks every minute and tells the "
        "owner; a measure is an error only when that is proven. One row per look, measure and subject, for a month.",
        frozenset({"python", "duckdb"}),
        "ops.health",
        # After nothing: when a pull fails, what health says of it is wanted most.
        first="measured_at DESC, severity = 'error' DESC, severity = 'warning' DESC, measure, system, operation",
    ),
    AssetEntry(
        "api_capability",
        "monitoring",
        "What the APIs of both systems can do, each line covered, partial, missing or not verified, with its evidence "
        "and what follows from it. Made by the job api_audit or by `referral-pipeline audit-api`, not by a refresh; "
        "writes in a sandbox only, and takes back what it wrote. One row per audit, system and line.",
        frozenset({"python", "duckdb", "markdown"}),
        "ops.api_capability",
        ("audit_id", "made_at", "system", "area", "name", "standing", "needed", "endpoint", "evidence", "consequence"),
        first="audit_id DESC, needed AND standing = 'missing' DESC, line_number",
    ),
    AssetEntry(
        "api_schema_drift",
        "monitoring",
        "What has changed in the APIs of both systems, learned from the answers that came anyway: fields that are new, "
        "missing or of another type, new words, notices of deprecation and sunset. No value is kept but words such as "
        "statuses and stages. One row per change, with its history; `referral-pipeline drift` lists and accepts them.",
        frozenset({"python", "duckdb"}),
        "ops.schema_drift",
        (
            *("drift_id", "severity", "state", "system", "operation", "kind", "path", "found", "before"),
            *("first_seen_at", "last_seen_at", "times_seen", "what"),
        ),
        # After nothing, as health.
        first="state <> 'open', severity = 'error' DESC, severity = 'warning' DESC, first_seen_at DESC, drift_id",
    ),
)

BY_NAME = {entry.name: entry for entry in CATALOG}
