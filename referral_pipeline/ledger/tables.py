"""The ledger's tables as SQLAlchemy metadata: what must never be lost or done twice.

Belongs here: tables, columns, constraints and the one time type. Does not belong here: queries (store.py and its
neighbours) and how a database gets these tables (migrations/, which a test holds equal to this module).

No column holds personal data in clear: bodies are encrypted by `privacy.crypto.Cipher` before they come here, e-mail
and phone appear only as keyed hashes, names not at all.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, kept in UTC. SQLite has no zone, so there the column holds UTC without saying so."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Any:
        """Refuse a naive time: nobody can tell which instant it means."""
        return to_text if dialect.name == "sqlite" else _to_utc

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Give every time back aware, in UTC."""
        return _from_text if dialect.name == "sqlite" else _to_utc


def _to_utc(value: datetime | None) -> datetime | None:
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("the ledger takes aware times only")
    return value.astimezone(UTC)


def to_text(value: datetime | None) -> str | None:
    """A time as SQLite keeps it.

    Raises:
        ValueError: the time is naive.
    """
    # As SQLAlchemy writes a DateTime: always with microseconds, so that texts compare as times do.
    if value is None:
        return None
    if value.tzinfo is not UTC:
        value = _to_utc(value)
        assert value is not None
    return value.isoformat(" ", "microseconds")[:26]


def _from_text(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value).replace(tzinfo=UTC)


metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

_row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""SQLite counts up by itself only in a column that is called INTEGER."""

inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("id", _row_id, primary_key=True, autoincrement=True),
    sa.Column("system", sa.String, nullable=False),
    sa.Column("delivery_id", sa.String, nullable=False),
    sa.Column("event_type", sa.String, nullable=False),
    sa.Column("origin", sa.String, nullable=False),  # webhook, reconciliation, replay
    sa.Column("subject", sa.String),  # what the event is about ("referral:R1"); one subject is done in order
    sa.Column("occurred_at", UtcDateTime),  # by the sender's clock; orders the events of a subject
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.Column("body", sa.LargeBinary),  # raw bytes as signed, encrypted; null once purged
    sa.Column("state", sa.String, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("available_at", UtcDateTime, nullable=False),  # not before this (back-off)
    sa.Column("lease_owner", sa.String),
    sa.Column("lease_until", UtcDateTime),
    sa.Column("last_error", sa.Text),
    sa.Column("outcome", sa.String),  # what came of it: created, updated, blocked:<reason>, duplicate, ignored
    sa.Column("done_at", UtcDateTime),
    sa.Column("bulk", sa.Boolean, nullable=False, server_default=sa.false()),  # may wait behind all that is not bulk
    sa.Column("run_id", sa.String),  # the run that finished it
    sa.UniqueConstraint("system", "delivery_id"),
    sa.CheckConstraint("state IN ('received', 'claimed', 'done', 'dead')", name="state"),
    # Claiming walks the waiting rows by id and never meets one that is done, however many of those there are.
    sa.Index(None, "state", "bulk", "id"),
    sa.Index(None, "subject", "state"),
    # SQLite would give the number of a row that was pruned again; runs and the warehouse know events by their number.
    sqlite_autoincrement=True,
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("system", sa.String, nullable=False),
    sa.Column("operation", sa.String, nullable=False),
    sa.Column("target", sa.String, nullable=False),
    sa.Column("request_hash", sa.String, nullable=False),
    sa.Column("referral_id", sa.String),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("first_attempt_at", UtcDateTime, nullable=False),
    sa.Column("last_attempt_at", UtcDateTime, nullable=False),
    sa.Column("confirmed_at", UtcDateTime),
    sa.Column("last_error", sa.Text),
    sa.Column("result", sa.JSON),  # ids and hashes that the answer gave
    sa.Column("request_body", sa.LargeBinary),  # encrypted, kept for dead letters only
    sa.Column("response_body", sa.LargeBinary),  # encrypted, kept for dead letters only
    sa.CheckConstraint("state IN ('pending', 'sent', 'confirmed', 'dead')", name="state"),
    sa.Index(None, "state", "last_attempt_at"),
    sa.Index(None, "referral_id"),
)

links = sa.Table(
    "links",
    metadata,
    sa.Column("referral_id", sa.String, primary_key=True),
    sa.Column("person_id", sa.String, nullable=False),
    sa.Column("job_id", sa.String, nullable=False),
    sa.Column("advocate_id", sa.String, nullable=False),
    sa.Column("share_id", sa.String),
    sa.Column("campaign_tag", sa.String),
    sa.Column("touched_at", UtcDateTime, nullable=False),
    sa.Column("block", sa.String),
    sa.Column("system", sa.String, nullable=False),
    sa.Column("candidate_id", sa.String),
    sa.Column("application_id", sa.String),
    sa.Column("match_method", sa.String),
    sa.Column("created_candidate", sa.Boolean, nullable=False),
    sa.Column("created_application", sa.Boolean, nullable=False),
    sa.Column("status", sa.String),  # last status confirmed in the advocacy platform
    sa.Column("status_at", UtcDateTime),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("state", sa.String),  # where the referral stands in its lifecycle
    sa.Index(None, "person_id", "job_id"),
    sa.Index(None, "system", "application_id"),
    sa.Index(None, "system", "candidate_id"),
)

candidate_aliases = sa.Table(
    "candidate_aliases",
    metadata,
    sa.Column("system", sa.String, primary_key=True),
    sa.Column("old_id", sa.String, primary_key=True),
    sa.Column("new_id", sa.String, nullable=False),
    sa.Column("seen_at", UtcDateTime, nullable=False),
    sa.Index(None, "system", "new_id"),
)

identity_keys = sa.Table(
    "identity_keys",
    metadata,
    sa.Column("key_hash", sa.String, primary_key=True),
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("record_id", sa.String, primary_key=True),
    sa.Column("system", sa.String, nullable=False),
    sa.Column("person_id", sa.String, nullable=False),
    sa.Index(None, "record_id"),
    sa.Index(None, "person_id"),
)

status_history = sa.Table(
    "status_history",
    metadata,
    sa.Column("id", _row_id, primary_key=True, autoincrement=True),
    sa.Column("system", sa.String, nullable=False),
    sa.Column("application_id", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("source_event", sa.String, nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("system", "application_id", "at", "status"),
)

consents = sa.Table(
    "consents",
    metadata,
    sa.Column("id", _row_id, primary_key=True, autoincrement=True),
    sa.Column("referral_id", sa.String, nullable=False),
    sa.Column("granted", sa.Boolean, nullable=False),
    sa.Column("basis", sa.String),
    sa.Column("granted_at", UtcDateTime),
    sa.Column("expires_at", UtcDateTime),
    sa.Column("seen_at", UtcDateTime, nullable=False),
    sa.Index(None, "referral_id", "id"),
)

tombstones = sa.Table(
    "tombstones",
    metadata,
    sa.Column(
        "kind", sa.String, primary_key=True
    ),  # email, phone (keyed hashes), referral, candidate (system:id), person
    sa.Column("value", sa.String, primary_key=True),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)

erasures = sa.Table(
    "erasures",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("person_id", sa.String),
    sa.Column("subject_hash", sa.String),  # keyed hash of the address that the request named
    sa.Column("requested_by", sa.String),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("requested_at", UtcDateTime, nullable=False),
    sa.Column("completed_at", UtcDateTime),
    sa.Column("evidence", sa.JSON),  # per store and system: what was removed and when; counts and ids only
    sa.CheckConstraint("state IN ('open', 'done', 'failed')", name="state"),
    sa.Index(None, "state", "requested_at"),
)

api_calls = sa.Table(
    "api_calls",
    metadata,
    sa.Column("id", _row_id, primary_key=True, autoincrement=True),
    sa.Column("system", sa.String, nullable=False),
    sa.Column("operation", sa.String, nullable=False),
    sa.Column("method", sa.String, nullable=False),
    sa.Column("status", sa.Integer),  # null when no answer came
    sa.Column("outcome", sa.String, nullable=False),
    sa.Column("latency_ms", sa.Integer, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("budget_left", sa.Integer),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("clock_skew_ms", sa.Integer),  # how far the clock of the answer was ahead of ours; null when it told none
    sa.Index(None, "system", "at"),
)

cursors = sa.Table(
    "cursors",
    metadata,
    sa.Column("system", sa.String, primary_key=True),
    sa.Column("entity", sa.String, primary_key=True),
    sa.Column("position", UtcDateTime, nullable=False),
    sa.Column("warehouse_id", sa.String, nullable=False),
    sa.Column("full_pull_at", UtcDateTime, nullable=False),
)

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("id", _row_id, primary_key=True, autoincrement=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("fingerprint", sa.String, nullable=False),  # what makes two firings the same alert
    sa.Column("severity", sa.String, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("owner", sa.String, nullable=False),
    sa.Column("channel", sa.String, nullable=False),
    sa.Column("fired_at", UtcDateTime, nullable=False),
    sa.Column("delivered_at", UtcDateTime),
    sa.Column("acknowledged_at", UtcDateTime),
    sa.Column("acknowledged_by", sa.String),
    sa.Column("resolved_at", UtcDateTime),
    sa.Column("last_at", UtcDateTime),  # the last firing that was counted here; null in rows of the first schema
    sa.Column("times", sa.Integer, nullable=False, server_default="1"),
    sa.Column("details", sa.JSON),
    sa.Index(None, "fingerprint", "fired_at"),
)

heartbeats = sa.Table(
    "heartbeats",
    metadata,
    sa.Column("name", sa.String, primary_key=True),  # lane, receiver
    sa.Column("owner", sa.String, primary_key=True),  # one process of that name
    sa.Column("address", sa.String),  # where the others reach it
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("details", sa.JSON),
)

mirror = sa.Table(
    "mirror",
    metadata,
    sa.Column("system", sa.String, primary_key=True),
    sa.Column("entity", sa.String, primary_key=True),
    sa.Column("record_id", sa.String, primary_key=True),
    sa.Column("changed_at", UtcDateTime, nullable=False),  # by the system's clock; the newest row stands
    sa.Column("owner", sa.String),  # the record it belongs to, such as the candidate of an application
    sa.Column("body", sa.LargeBinary, nullable=False),  # encrypted
    sa.Index(None, "system", "entity", "owner"),
)

breakers = sa.Table(
    "breakers",
    metadata,
    sa.Column("system", sa.String, primary_key=True),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("retry_at", UtcDateTime),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.CheckConstraint("state IN ('closed', 'open', 'half_open')", name="state"),
)

recognitions = sa.Table(
    "recognitions",
    metadata,
    sa.Column("key", sa.String, primary_key=True),  # the idempotency key it is sent with
    sa.Column("referral_id", sa.String, nullable=False),
    sa.Column("advocate_id", sa.String, nullable=False),
    sa.Column("system", sa.String, nullable=False),
    sa.Column("application_id", sa.String, nullable=False),
    sa.Column("cycle", sa.Integer, nullable=False),  # counts the hires of one application, from 1
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("amount_cents", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("sent_at", UtcDateTime),
    sa.Column("last_error", sa.Text),
    sa.CheckConstraint("kind IN ('hired', 'bonus_eligible', 'reversed')", name="kind"),
    sa.CheckConstraint("state IN ('pending', 'sent', 'dead')", name="state"),
    sa.Index(None, "referral_id"),
    sa.Index(None, "application_id"),
    sa.Index(None, "state"),
)

identity_decisions = sa.Table(
    "identity_decisions",
    metadata,
    sa.Column("id", _row_id, primary_key=True, autoincrement=True),
    sa.Column("verdict", sa.String, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("decided_by", sa.String, nullable=False),
    sa.Column("decided_at", UtcDateTime, nullable=False),
    sa.Column("revoked_at", UtcDateTime),  # null while the decision is in force
    sa.Column("revoked_by", sa.String),
    sa.Column("revoked_reason", sa.Text),
    sa.Column("ats_state", sa.String),  # of a merge that is to be made in the ATS too; null when it is not
    sa.Column("ats_error", sa.Text),
    sa.CheckConstraint("verdict IN ('merge', 'distinct')", name="verdict"),
    sa.CheckConstraint("ats_state IN ('pending', 'done', 'refused')", name="ats_state"),
)

identity_decision_records = sa.Table(
    "identity_decision_records",
    metadata,
    # Records, not persons: who is a person is what the decision changes.
    sa.Column("decision_id", _row_id, primary_key=True),
    sa.Column("record_id", sa.String, primary_key=True),
    sa.Column("side", sa.String, nullable=False),
    sa.Column("person_id", sa.String),  # who the record was by then; given back when a merge is revoked
    sa.CheckConstraint("side IN ('left', 'right')", name="side"),
    sa.Index(None, "record_id"),
)

attribution_overrides = sa.Table(
    "attribution_overrides",
    metadata,
    sa.Column("id", _row_id, primary_key=True, autoincrement=True),
    sa.Column("application_key", sa.String, nullable=False),
    sa.Column("referral_id", sa.String),  # the referral that has all the credit; null: nobody has any
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("decided_by", sa.String, nullable=False),
    sa.Column("decided_at", UtcDateTime, nullable=False),
    sa.Column("revoked_at", UtcDateTime),  # null while the override is in force
    sa.Column("revoked_by", sa.String),
    sa.Column("revoked_reason", sa.Text),
    sa.Index(None, "application_key"),
    # The database itself refuses two decisions in force about one application.
    sa.Index(
        "ix_attribution_overrides_in_force",
        "application_key",
        unique=True,
        sqlite_where=sa.text("revoked_at IS NULL"),
        postgresql_where=sa.text("revoked_at IS NULL"),
    ),
)

payroll_exports = sa.Table(
    "payroll_exports",
    metadata,
    sa.Column("id", _row_id, primary_key=True, autoincrement=True),
    sa.Column("exported_at", UtcDateTime, nullable=False),
    sa.Column("exported_by", sa.String, nullable=False),
    sa.Column("pay_on", sa.Date, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("reconciled_at", UtcDateTime),
    sa.Column("reconciled_by", sa.String),
    sa.CheckConstraint("state IN ('open', 'reconciled', 'cancelled')", name="state"),
)

payroll_entries = sa.Table(
    "payroll_entries",
    metadata,
    sa.Column("export_id", _row_id, primary_key=True),
    sa.Column("key", sa.String, primary_key=True),  # of the recognition that made the bonus eligible
    sa.Column("referral_id", sa.String, nullable=False),
    sa.Column("advocate_id", sa.String, nullable=False),
    sa.Column("system", sa.String, nullable=False),
    sa.Column("application_id", sa.String, nullable=False),
    sa.Column("amount_cents", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String, nullable=False),
    sa.Column("eligible_at", UtcDateTime, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("settled_at", UtcDateTime),
    sa.Column("note", sa.Text),
    sa.CheckConstraint("state IN ('paid', 'returned')", name="state"),
    sa.Index(None, "referral_id"),
    sa.Index(None, "application_id"),
    # The database itself refuses to pay one bonus twice.
    sa.Index(
        None,
        "key",
        unique=True,
        sqlite_where=sa.text("state = 'paid'"),
        postgresql_where=sa.text("state = 'paid'"),
    ),
)

counters = sa.Table(
    "counters",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)

verifications = sa.Table(
    "verifications",
    metadata,
    sa.Column("id", _row_id, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Column("environment", sa.String, nullable=False),
    sa.Column("fingerprint", sa.String, nullable=False),  # of what it is true of: contract, connectors, stage map
    sa.Column("made_at", UtcDateTime, nullable=False),
    sa.Column("made_by", sa.String, nullable=False),  # a person's address, or the job that made it
    sa.Column("facts", sa.JSON, nullable=False),  # counts, rates, ids; no personal data
    sa.CheckConstraint(
        "kind IN ('check', 'api_audit', 'sandbox_run', 'field_audit', 'attribution', 'parallel_run', 'sign_off', "
        "'go_live')",
        name="kind",
    ),
    sa.Index(None, "kind", "id"),
)

daily_volume = sa.Table(
    "daily_volume",
    metadata,
    sa.Column("day", sa.Date, primary_key=True),  # UTC, over
    sa.Column("system", sa.String, primary_key=True),
    sa.Column("measure", sa.String, primary_key=True),  # see measures.py; with an hour behind it, of that hour
    sa.Column("count", sa.BigInteger, nullable=False),
)

api_shapes = sa.Table(
    "api_shapes",
    metadata,
    sa.Column("system", sa.String, primary_key=True),
    sa.Column("operation", sa.String, primary_key=True),
    sa.Column("path", sa.String, primary_key=True),
    sa.Column("kind", sa.String, primary_key=True),  # type, word, deprecation, sunset
    sa.Column("value", sa.String, primary_key=True),  # a type, a word of business, a day; never another value
    sa.Column("seen", sa.BigInteger, nullable=False),
    sa.Column("first_seen_at", UtcDateTime, nullable=False),
    sa.Column("last_seen_at", UtcDateTime, nullable=False),
    sa.Column("accepted_at", UtcDateTime),
    sa.Column("accepted_by", sa.String),  # a person's address, or the rule that accepted it
    sa.Column("accepted_why", sa.Text),
)
