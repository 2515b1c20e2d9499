"""The command group `events`: the inbox, its dead letters, replay and purge.

Belongs here: arguments, selection and drawing of inbox rows. Does not belong here: the states of a row (ledger), what
an event does (the lane).

Bodies hold personal data: they are shown only with --reveal, which needs REFERRAL_PIPELINE_KEY.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from referral_pipeline.ledger.records import InboxEvent
    from referral_pipeline.ledger.store import Delivery, Ledger
    from referral_pipeline.settings import Settings

STATES = ("received", "claimed", "done", "dead")
_PAGE = 500
_BODY_DAYS = 7
_AGE = re.compile(r"(\d+)\s*([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _moment(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """A time in RFC 3339 (without a zone: UTC), or an age such as 30m, 2h or 3d."""
    if value is None:
        return None
    age = _AGE.fullmatch(value.strip())
    try:
        if age is not None:
            return datetime.now(UTC) - timedelta(**{_UNITS[age[2]]: int(age[1])})
        moment = datetime.fromisoformat(value.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        words = f"{value!r} is no time. Write 2026-05-04T10:00:00Z, or an age: 30m, 2h, 3d"
        raise click.BadParameter(words, ctx, param) from None


def past_moment(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """A time or an age, as in `_moment`, that has passed."""
    moment = _moment(ctx, param, value)
    if moment is not None and moment > datetime.now(UTC):
        raise click.BadParameter("lies in the future: write a moment that has passed", ctx, param)
    return moment


@dataclass(frozen=True)
class _Installation:
    settings: Settings
    ledger: Ledger


@contextmanager
def _installation() -> Generator[_Installation]:
    from referral_pipeline.orchestration.liveness import open_ledger
    from referral_pipeline.settings import load_settings

    settings = load_settings()
    with open_ledger(settings) as (_, ledger):
        yield _Installation(settings, ledger)


_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_system = click.option("--system", help="Only of this system, such as advocacy or greenhouse.")


_COLUMNS = ("id", "received", "system", "type", "subject", "state", "attempts", "outcome", "run")


@click.group()
def events() -> None:
    """Look at the inbox, replay what failed, purge what is old."""


# ---------------------------------------------------------------- list


@events.command(name="list")
@click.option("--state", type=click.Choice(STATES), help="Only in this state.")
@_system
@click.option("--type", "event_type", help="Only of this type, such as referral.submitted.")
@click.option("--subject", help="Only about this record, such as referral:R1 or application:31.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="At most so many.")
@_json
def list_(
    state: str | None, system: str | None, event_type: str | None, subject: str | None, limit: int, as_json: bool
) -> None:
    """Show what came in, newest first."""
    with _installation() as own:
        found = own.ledger.inbox_events(state=state, system=system, event_type=event_type, subject=subject, limit=limit)
        counts = own.ledger.inbox_counts()
    if as_json:
        click.echo(json.dumps({"events": [_as_json(event) for event in found], "counts": counts}, indent=2))
        return
    rows = [
        (
            str(event.id),
            _short(event.received_at),
            event.system,
            event.event_type,
            event.subject or "",
            event.state,
            str(event.attempts),
            event.outcome or event.last_error or "",
            (event.run_id or "")[:8],
        )
        for event in found
    ]
    if sys.stdout.isatty():
        _print_table(rows)
    else:  # a line an event, for grep and cut
        for row in rows:
            click.echo("\t".join(row))
    total = ", ".join(f"{count} {name}" for name in STATES if (count := counts.get(name, 0)))
    click.echo(f"shown: {len(found)}; in the inbox: {total or 'nothing'}")


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Inbox", title_justify="left")
    for column in _COLUMNS:
        right = column in {"id", "attempts"}
        table.add_column(
            column, justify="right" if right else "left", overflow="fold", no_wrap=column in {"id", "received", "state"}
        )
    state = _COLUMNS.index("state")
    for row in rows:
        table.add_row(*row[:state], _coloured(row[state]), *row[state + 1 :])
    Console().print(table)


# ---------------------------------------------------------------- show


@events.command()
@click.argument("event_id", metavar="ID", type=int)
@click.option("--reveal", is_flag=True, help="Decrypt the bodies. They hold personal data.")
@_json
def show(event_id: int, reveal: bool, as_json: bool) -> None:
    """Show one event: its facts, attempts and errors, and the dead deliveries that came of it."""
    with _installation() as own:
        event = own.ledger.inbox_event(event_id)
        if event is None:
            raise click.ClickException(f"there is no event {event_id}; `events list` shows those that are there")
        opener = _opener(own.settings) if reveal else None
        shown: dict[str, Any] = {
            "event": {**_as_json(event), **_body("body", event.body, opener)},
            "deliveries": [_delivery_as_json(own.ledger, delivery, opener) for delivery in _dead_of(own.ledger, event)],
        }
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return
    _draw(shown["event"], indent="")
    for delivery in shown["deliveries"]:
        click.echo(f"\ndead delivery {delivery['key']}")
        _draw({name: value for name, value in delivery.items() if name != "key"}, indent="  ")
    if event.state == "dead":
        click.echo(f"\nWhen the cause is mended: referral-pipeline events replay {event.id}")


def _dead_of(ledger: Ledger, event: InboxEvent) -> list[Delivery]:
    """Dead deliveries about the record of the event, or about a referral that is linked to it."""
    from referral_pipeline.ledger.store import DeliveryState

    kind, _, record_id = (event.subject or "").partition(":")
    if not record_id:
        return []
    links = {
        "referral": lambda: list(ledger.links_for([record_id]).values()),
        "application": lambda: ledger.links_of_applications(event.system, [record_id]),
        "candidate": lambda: ledger.links_of_candidates(event.system, [record_id]),
    }.get(kind, list)()
    referrals = {link.referral_id for link in links} | ({record_id} if kind == "referral" else set[str]())
    targets = {record_id, *referrals} | {x for link in links for x in (link.candidate_id, link.application_id) if x}
    return [d for d in ledger.deliveries(state=DeliveryState.DEAD) if d.referral_id in referrals or d.target in targets]


def _delivery_as_json(ledger: Ledger, delivery: Delivery, opener: _Opener | None) -> dict[str, Any]:
    request, response = ledger.delivery_bodies(delivery.key)
    return {
        "key": delivery.key,
        "system": delivery.system,
        "operation": delivery.operation,
        "target": delivery.target,
        "referral_id": delivery.referral_id,
        "attempts": delivery.attempts,
        "first_attempt_at": delivery.first_attempt_at.isoformat(),
        "last_attempt_at": delivery.last_attempt_at.isoformat(),
        "last_error": delivery.last_error,
        **_body("request", request, opener),
        **_body("response", response, opener),
    }


# ---------------------------------------------------------------- replay


@events.command()
@click.argument("ids", metavar="[ID]...", nargs=-1, type=int)
@click.option("--dead", is_flag=True, help="Those that were given up.")
@_system
@click.option("--type", "event_type", help="Only of this type.")
@click.option("--since", callback=_moment, metavar="TIME", help="Received since a time, or in an age such as 2h.")
@_json
def replay(
    ids: tuple[int, ...], dead: bool, system: str | None, event_type: str | None, since: datetime | None, as_json: bool
) -> None:
    """Handle events again. Safe at any time: each brings its record level, and what is level stays as it is.

    Name events by ID, or choose them with --dead, --system, --type and --since.
    """
    from referral_pipeline.orchestration.liveness import wake_lane

    chosen = dead or system or event_type or since
    if bool(ids) == bool(chosen):
        raise click.UsageError("name events by ID, or choose them with --dead, --system, --type or --since, not both")
    with _installation() as own:
        if ids:
            _require_all(own.ledger, ids)
            wanted: Sequence[int] = ids
        else:
            wanted = [e.id for e in _chosen(own.ledger, dead=dead, system=system, event_type=event_type, since=since)]
        count = own.ledger.replay(wanted)
        woken = wake_lane(own.ledger) if count else False
    under_way = len(set(wanted)) - count
    if as_json:
        click.echo(json.dumps({"replayed": count, "under_way": under_way}, indent=2))
        return
    click.echo(f"{count} events wait again" + (f"; {under_way} were under way already" if under_way else ""))
    if count and not woken:
        click.echo("No lane beats: start `referral-pipeline up` or `lane`, or run `referral-pipeline reconcile`.")


def _chosen(
    ledger: Ledger, *, dead: bool, system: str | None, event_type: str | None, since: datetime | None
) -> Iterator[InboxEvent]:
    for state in ("dead",) if dead else ("dead", "done"):
        before_id = None
        while page := ledger.inbox_events(
            state=state, system=system, event_type=event_type, limit=_PAGE, before_id=before_id
        ):
            yield from (event for event in page if since is None or event.received_at >= since)
            if since is not None and page[-1].received_at < since:
                break  # ids grow with the time of receipt
            before_id = page[-1].id


# ---------------------------------------------------------------- purge


@events.command()
@click.argument("ids", metavar="[ID]...", nargs=-1, type=int)
@click.option("--dead", is_flag=True, help="Remove these dead events for good; name them by ID.")
@click.option(
    "--older-than", "days", default=30, show_default=True, type=click.IntRange(0), help="Remove what was done, in days."
)
@click.option("--yes", is_flag=True, help="Ask nothing.")
@_json
def purge(ids: tuple[int, ...], dead: bool, days: int, yes: bool, as_json: bool) -> None:
    """Remove what was done long ago: bodies after 7 days, rows after --older-than. Dead events only by ID."""
    if dead != bool(ids):
        raise click.UsageError("dead events are purged by ID: `events purge --dead ID...`; `events list --state dead`")
    with _installation() as own:
        bodies = rows = removed = 0
        if dead:
            _require_all(own.ledger, ids)
            if not yes:
                question = f"Remove {len(set(ids))} dead events for good? Nobody will handle them."
                click.confirm(question, abort=True, err=True)
            removed = own.ledger.purge_dead(ids)
        else:
            now = datetime.now(UTC)
            bodies, rows = own.ledger.purge_inbox(
                bodies_before=now - timedelta(days=min(days, _BODY_DAYS)), rows_before=now - timedelta(days=days)
            )
    if as_json:
        click.echo(json.dumps({"bodies_removed": bodies, "rows_removed": rows, "dead_removed": removed}, indent=2))
    elif dead:
        click.echo(f"{removed} dead events removed" + ("" if removed == len(set(ids)) else "; the others are not dead"))
    else:
        click.echo(f"{bodies} bodies and {rows} rows removed")


# ---------------------------------------------------------------- parts


@dataclass(frozen=True)
class _Opener:
    """Opens encrypted bodies."""

    keys: str

    def text(self, body: bytes) -> str:
        """A body as text."""
        from referral_pipeline.privacy.crypto import Cipher

        return Cipher(self.keys).decrypt(body).decode(errors="replace")


def _opener(settings: Settings) -> _Opener:
    return _Opener(settings.secret("REFERRAL_PIPELINE_KEY"))


def _require_all(ledger: Ledger, ids: Iterable[int]) -> None:
    unknown = [str(i) for i in sorted(set(ids)) if ledger.inbox_event(i) is None]
    if unknown:
        raise click.ClickException(f"there is no event {', '.join(unknown)}; `events list` shows those that are there")


def _as_json(event: InboxEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "received_at": event.received_at.isoformat(),
        "occurred_at": _iso(event.occurred_at),
        "system": event.system,
        "type": event.event_type,
        "origin": event.origin,
        "delivery_id": event.delivery_id,
        "subject": event.subject,
        "state": event.state,
        "attempts": event.attempts,
        "available_at": event.available_at.isoformat(),
        "claimed_by": event.lease_owner,
        "claimed_until": _iso(event.lease_until),
        "last_error": event.last_error,
        "outcome": event.outcome,
        "done_at": _iso(event.done_at),
        "run_id": event.run_id,
    }


def _body(name: str, body: bytes | None, opener: _Opener | None) -> dict[str, Any]:
    """A body under its name when it may be shown, else whether there is one."""
    if body is None:
        return {name: None}
    if opener is None:
        return {name: f"kept, {len(body)} bytes encrypted; --reveal shows it"}
    text = opener.text(body)
    try:
        return {name: json.loads(text)}
    except ValueError:
        return {name: text}


def _draw(facts: dict[str, Any], *, indent: str) -> None:
    for name, value in facts.items():
        if value is None:
            continue
        words = json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
        click.echo(f"{indent}{name.replace('_', ' '):<18}{words}", file=sys.stdout)


def _coloured(state: str) -> str:
    return f"[red]{state}" if state == "dead" else state


def _short(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
