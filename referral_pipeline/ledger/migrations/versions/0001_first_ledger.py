"""The first ledger: inbox, deliveries, links, identity keys, history, consents, erasure, calls, cursors, alerts.

Revision 0001. Written out, not taken from `ledger.tables`: a migration says what a schema was, whatever it is today.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "alerts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("fired_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.String(), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    op.create_index(op.f("ix_alerts_fingerprint_fired_at"), "alerts", ["fingerprint", "fired_at"], unique=False)
    op.create_table(
        "api_calls",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("latency_ms", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("budget_left", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_calls")),
    )
    op.create_index(op.f("ix_api_calls_system_at"), "api_calls", ["system", "at"], unique=False)
    op.create_table(
        "candidate_aliases",
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("old_id", sa.String(), nullable=False),
        sa.Column("new_id", sa.String(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("system", "old_id", name=op.f("pk_candidate_aliases")),
    )
    op.create_index(op.f("ix_candidate_aliases_system_new_id"), "candidate_aliases", ["system", "new_id"], unique=False)
    op.create_table(
        "consents",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("referral_id", sa.String(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("basis", sa.String(), nullable=True),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
    )
    op.create_index(op.f("ix_consents_referral_id_id"), "consents", ["referral_id", "id"], unique=False)
    op.create_table(
        "cursors",
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("entity", sa.String(), nullable=False),
        sa.Column("position", sa.DateTime(timezone=True), nullable=False),
        sa.Column("warehouse_id", sa.String(), nullable=False),
        sa.Column("full_pull_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("system", "entity", name=op.f("pk_cursors")),
    )
    op.create_table(
        "deliveries",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("request_hash", sa.String(), nullable=False),
        sa.Column("referral_id", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("first_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("request_body", sa.LargeBinary(), nullable=True),
        sa.Column("response_body", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("state IN ('pending', 'sent', 'confirmed', 'dead')", name=op.f("ck_deliveries_state")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_deliveries")),
    )
    op.create_index(op.f("ix_deliveries_referral_id"), "deliveries", ["referral_id"], unique=False)
    op.create_index(
        op.f("ix_deliveries_state_last_attempt_at"), "deliveries", ["state", "last_attempt_at"], unique=False
    )
    op.create_table(
        "erasures",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=True),
        sa.Column("subject_hash", sa.String(), nullable=True),
        sa.Column("requested_by", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("evidence", sa.JSON(), nullable=True),
        sa.CheckConstraint("state IN ('open', 'done', 'failed')", name=op.f("ck_erasures_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
    )
    op.create_index(op.f("ix_erasures_state_requested_at"), "erasures", ["state", "requested_at"], unique=False)
    op.create_table(
        "identity_keys",
        sa.Column("key_hash", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("record_id", sa.String(), nullable=False),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("key_hash", "kind", "record_id", name=op.f("pk_identity_keys")),
    )
    op.create_index(op.f("ix_identity_keys_person_id"), "identity_keys", ["person_id"], unique=False)
    op.create_index(op.f("ix_identity_keys_record_id"), "identity_keys", ["record_id"], unique=False)
    op.create_table(
        "inbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("delivery_id", sa.String(), nullable=False),
        sa.Column("event_type", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_owner", sa.String(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('received', 'claimed', 'done', 'dead')", name=op.f("ck_inbox_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
        sa.UniqueConstraint("system", "delivery_id", name=op.f("uq_inbox_system_delivery_id")),
    )
    op.create_index(op.f("ix_inbox_state_available_at"), "inbox", ["state", "available_at"], unique=False)
    op.create_index(op.f("ix_inbox_subject_occurred_at"), "inbox", ["subject", "occurred_at"], unique=False)
    op.create_table(
        "links",
        sa.Column("referral_id", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("advocate_id", sa.String(), nullable=False),
        sa.Column("share_id", sa.String(), nullable=True),
        sa.Column("campaign_tag", sa.String(), nullable=True),
        sa.Column("touched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("block", sa.String(), nullable=True),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("candidate_id", sa.String(), nullable=True),
        sa.Column("application_id", sa.String(), nullable=True),
        sa.Column("match_method", sa.String(), nullable=True),
        sa.Column("created_candidate", sa.Boolean(), nullable=False),
        sa.Column("created_application", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(), nullable=True),
        sa.Column("status_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("referral_id", name=op.f("pk_links")),
    )
    op.create_index(op.f("ix_links_person_id_job_id"), "links", ["person_id", "job_id"], unique=False)
    op.create_index(op.f("ix_links_system_application_id"), "links", ["system", "application_id"], unique=False)
    op.create_index(op.f("ix_links_system_candidate_id"), "links", ["system", "candidate_id"], unique=False)
    op.create_table(
        "status_history",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("application_id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_event", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_status_history")),
        sa.UniqueConstraint(
            "system", "application_id", "at", "status", name=op.f("uq_status_history_system_application_id_at_status")
        ),
    )
    op.create_table(
        "tombstones",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", "value", name=op.f("pk_tombstones")),
    )


def downgrade() -> None:
    """Drop every table."""
    op.drop_table("tombstones")
    op.drop_table("status_history")
    op.drop_index(op.f("ix_links_system_candidate_id"), table_name="links")
    op.drop_index(op.f("ix_links_system_application_id"), table_name="links")
    op.drop_index(op.f("ix_links_person_id_job_id"), table_name="links")
    op.drop_table("links")
    op.drop_index(op.f("ix_inbox_subject_occurred_at"), table_name="inbox")
    op.drop_index(op.f("ix_inbox_state_available_at"), table_name="inbox")
    op.drop_table("inbox")
    op.drop_index(op.f("ix_identity_keys_record_id"), table_name="identity_keys")
    op.drop_index(op.f("ix_identity_keys_person_id"), table_name="identity_keys")
    op.drop_table("identity_keys")
    op.drop_index(op.f("ix_erasures_state_requested_at"), table_name="erasures")
    op.drop_table("erasures")
    op.drop_index(op.f("ix_deliveries_state_last_attempt_at"), table_name="deliveries")
    op.drop_index(op.f("ix_deliveries_referral_id"), table_name="deliveries")
    op.drop_table("deliveries")
    op.drop_table("cursors")
    op.drop_index(op.f("ix_consents_referral_id_id"), table_name="consents")
    op.drop_table("consents")
    op.drop_index(op.f("ix_candidate_aliases_system_new_id"), table_name="candidate_aliases")
    op.drop_table("candidate_aliases")
    op.drop_index(op.f("ix_api_calls_system_at"), table_name="api_calls")
    op.drop_table("api_calls")
    op.drop_index(op.f("ix_alerts_fingerprint_fired_at"), table_name="alerts")
    op.drop_table("alerts")
