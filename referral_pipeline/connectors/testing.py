"""For the author of a connector: what the rest of the project relies on, asked of a connector over its sandbox.

Belongs here: the questions, in words that say what lacks and what follows. Does not belong here: any vendor, pytest.

An author starts a server that behaves as the vendor documents (a sandbox), wraps it in a `AtsTenant`, and asserts in a
test of their own that nothing is missing::

    def test_nothing_lacks():
        with my_sandbox() as sandbox:
            tenant = AtsTenant(connector=..., job_id="J1", wait=sandbox.pass_time, hire=sandbox.hire)
            assert ats_gaps(tenant) == []
            assert webhook_gaps(VENDOR, secret="s", signed=sandbox.sign, samples=[...]) == []

Every question is asked even when an earlier one failed, so that an author sees all that lacks at once. Questions write
into the tenant; each uses people of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from referral_pipeline.connectors.protocols import AtsConnector
from referral_pipeline.connectors.records import (
    AtsApplication,
    AtsCandidate,
    AtsStaged,
    NewApplication,
    NewCandidate,
    Row,
    Window,
)
from referral_pipeline.connectors.signing import SignatureRefused
from referral_pipeline.connectors.vendors import Vendor
from referral_pipeline.vocabulary import CandidateStatus

__all__ = ["AtsTenant", "Gap", "ats_gaps", "webhook_gaps"]

_TAGS = {"referral_id": "ref_1", "advocate_id": "adv_1", "share_id": "sh_1", "campaign_tag": "spring"}
_NOBODY = "999999999"
_JUNK: tuple[Any, ...] = (None, 1, "x", [], {}, {"action": 3}, {"payload": None}, {"event": [], "data": "x"}, [[1]])


@dataclass(frozen=True)
class Gap:
    """Something that the project relies on and the connector does not do: `what` was asked, `found`, `follows`."""

    what: str
    found: str
    follows: str


@dataclass(frozen=True)
class AtsTenant:
    """A tenant of an ATS that may be written to, and what only its own side can do.

    Attributes:
        connector: under test, bound to the tenant.
        job_id: an open job.
        other_job_id: another one.
        wait: lets as much time pass as a fresh record may stay invisible; called before each search.
        hire: a recruiter hires this application, with an offer or without; None where that cannot be played.
        reject: a recruiter rejects it.
        advocate_email: somebody whom the ATS knows as its user; None where it credits nobody.
    """

    connector: AtsConnector
    job_id: str
    other_job_id: str
    wait: Callable[[], None] = lambda: None
    hire: Callable[[str], None] | None = None
    reject: Callable[[str], None] | None = None
    advocate_email: str | None = None
    people: Iterator[int] = field(default_factory=lambda: count(1))


def ats_gaps(tenant: AtsTenant) -> list[Gap]:
    """All that the connector of an ATS does not do."""
    gaps: list[Gap] = []
    for question in _ASKED:
        try:
            gaps += question(tenant)
        except Exception as error:  # noqa: BLE001 - an author shall see every gap, also behind one that raises
            gaps.append(Gap(_title(question), f"it raised {type(error).__name__}: {error}", "nothing of it is known"))
    return gaps


# ---------------------------------------------------------------- an ATS


def _says_what_it_is(tenant: AtsTenant) -> Iterable[Gap]:
    """It says which system it is, what it can pull, and how long a fresh record stays invisible."""
    own = tenant.connector
    if not own.system or own.system != own.system.casefold():
        yield Gap("system", f"found {own.system!r}", "keys of records begin with it: lower case, and never another")
    if own.visibility_lag_seconds < 0:
        yield Gap("visibility_lag_seconds", "below 0", "a lost create is looked for before it can be found")
    for name, entity in own.entities.items():
        if entity.name != name or not entity.key:
            yield Gap(f"entities[{name}]", f"name {entity.name!r}, key {entity.key!r}", "rows are kept under them")


def _creates_once_and_finds(tenant: AtsTenant) -> Iterable[Gap]:
    """A candidate is created with its application and tags, and found by its address in any case of letters."""
    person, made = _create(tenant)
    if made is None:
        yield Gap("create_candidate", "no application was to be seen after it", "the lane cannot link the referral")
        return
    found = tenant.connector.search_candidates((person.email or "").upper())
    if [one.id for one in found] != [made.candidate_id]:
        yield Gap("search_candidates", f"{len(found)} found by the address", "the next referral makes a duplicate")
        return
    yield from _same_person(found[0], person)
    yield from _same_tags(made, _TAGS, "create_candidate")
    if made.status is not CandidateStatus.APPLIED:
        yield Gap("create_candidate", f"its application is {made.status}", "a fresh application counts as applied")
    if tenant.connector.search_candidates("nobody.at.all@example.net"):
        yield Gap("search_candidates", "somebody was found for an address that nobody has", "strangers are merged")


def _opens_for_who_is_there(tenant: AtsTenant) -> Iterable[Gap]:
    """An application is opened for a candidate that exists, and both are theirs."""
    _, made = _create(tenant)
    if made is None:
        return
    more = tenant.connector.create_application(made.candidate_id, NewApplication(tenant.other_job_id, dict(_TAGS)))
    tenant.wait()
    own = {one.id: one for one in tenant.connector.applications_of([made.candidate_id])}
    if own.keys() != {made.id, more.id}:
        yield Gap("applications_of", f"{len(own)} of 2 found", "an application that is open is opened again")
    elif {one.job_id for one in own.values()} != {tenant.job_id, tenant.other_job_id}:
        yield Gap("applications_of", "jobs differ from those applied for", "an application is taken for another job's")


def _brings_tags_by_state(tenant: AtsTenant) -> Iterable[Gap]:
    """Tags are brought to a state: equal is no write, None empties, what is not named stays."""
    _, made = _create(tenant)
    if made is None:
        return
    own = tenant.connector
    if own.update_application(made.id, dict(_TAGS)):
        yield Gap("update_application", "it wrote what was there already", "each refresh writes everything again")
    if not own.update_application(made.id, {"advocate_id": "adv_2", "campaign_tag": None}):
        yield Gap("update_application", "it says that nothing differed", "credit that moves is never shown")
    tenant.wait()
    expected = {**_TAGS, "advocate_id": "adv_2", "campaign_tag": None}
    now = own.get_applications([made.id]).get(made.id)
    yield from [] if now is None else _same_tags(now, expected, "update_application")


def _keeps_what_recruiters_have(tenant: AtsTenant) -> Iterable[Gap]:
    """Contact details are added once, and what was there stays."""
    person, made = _create(tenant)
    if made is None:
        return
    own, fresh = tenant.connector, f"also.{person.email}"
    if not own.add_contact_details(made.candidate_id, email=fresh, phone=None):
        yield Gap("add_contact_details", "it says that nothing was written", "a second address is not found again")
    tenant.wait()
    if own.add_contact_details(made.candidate_id, email=fresh.upper(), phone=person.phone):
        yield Gap("add_contact_details", "what is there was written again", "addresses double at each referral")
    now = own.get_candidates([made.candidate_id]).get(made.candidate_id)
    held = {email.casefold() for email in now.emails} if now is not None else set[str]()
    if held != {(person.email or "").casefold(), fresh.casefold()}:
        yield Gap("add_contact_details", f"{len(held)} addresses afterwards", "a recruiter's entry is lost, or doubled")


def _leaves_out_what_is_not_there(tenant: AtsTenant) -> Iterable[Gap]:
    """Records that are not there are left out, and raise nothing."""
    own = tenant.connector
    for name, ask in (
        ("candidates", own.get_candidates),
        ("applications", own.get_applications),
        ("jobs", own.get_jobs),
    ):
        if ask([_NOBODY]) or ask([]):
            yield Gap(f"get_{name}", "something was found for an id that nobody has", "what was deleted seems to live")
    if own.applications_of([_NOBODY]) or own.raw_rows([_NOBODY]).get("applications"):
        yield Gap("applications_of, raw_rows", "something was found for an id that nobody has", "as above")


def _pulls_all_and_what_changed(tenant: AtsTenant) -> Iterable[Gap]:
    """A pull has everything, a window what changed in it, and staging reads both without a call."""
    _, made = _create(tenant)
    if made is None:
        return
    tenant.wait()
    now = datetime.now(UTC) + timedelta(days=1)
    staged = _staged(tenant.connector, Window(None, now))
    yield from _in_order(staged)
    if made.id not in {one.id for one in staged.applications}:
        yield Gap("pull", "a full pull lacks an application that is there", "it seems to be deleted")
    since = made.updated_at - timedelta(minutes=1)
    changed = _staged(tenant.connector, Window(since, now))
    if made.id not in {one.id for one in changed.applications}:
        yield Gap("pull", "a window lacks an application that changed in it", "its status is never returned")
    rows = tenant.connector.raw_rows([made.id])
    if not rows.get("applications") and not any(rows.values()):
        yield Gap("raw_rows", "no rows of an application that is there", "a create is seen only at the next pull")


def _tells_how_it_ended(tenant: AtsTenant) -> Iterable[Gap]:
    """A hire and a rejection are told, with their times."""
    for act, wanted in ((tenant.hire, CandidateStatus.HIRED), (tenant.reject, CandidateStatus.REJECTED)):
        _, made = _create(tenant)
        if act is None or made is None:
            continue
        act(made.id)
        tenant.wait()
        now = tenant.connector.get_applications([made.id]).get(made.id)
        if now is None or now.status is not wanted:
            found = "nothing" if now is None else now.status.value
            yield Gap(
                f"an application that is {wanted}", f"it is told as {found}", "its advocate hears the wrong thing"
            )
        elif now.status_at < made.status_at:
            yield Gap(f"an application that is {wanted}", "status_at went back", "the platform refuses the status")
        elif wanted is CandidateStatus.REJECTED and now.rejected_at is None:
            yield Gap("an application that is rejected", "without rejected_at", "time in the funnel is not known")


_ASKED: Sequence[Callable[[AtsTenant], Iterable[Gap]]] = (
    _says_what_it_is,
    _creates_once_and_finds,
    _opens_for_who_is_there,
    _brings_tags_by_state,
    _keeps_what_recruiters_have,
    _leaves_out_what_is_not_there,
    _pulls_all_and_what_changed,
    _tells_how_it_ended,
)


def _create(tenant: AtsTenant) -> tuple[NewCandidate, AtsApplication | None]:
    """Somebody new with an application, as it is to be seen once it can be."""
    number = next(tenant.people)
    person = NewCandidate(
        f"Testa{number}", f"Conne{number}", f"testa.conne{number}@example.net", f"+4930901{number:04}"
    )
    wanted = NewApplication(tenant.job_id, dict(_TAGS), advocate_email=tenant.advocate_email)
    made = tenant.connector.create_candidate(person, wanted)
    tenant.wait()
    own = tenant.connector.applications_of([made.candidate.id])
    return person, own[0] if len(own) == 1 else None


def _staged(connector: AtsConnector, window: Window) -> AtsStaged:
    """What staging makes of a pull. Entities without a change stamp of their own are pulled in full."""
    rows: dict[str, list[Row]] = {}
    for name, entity in connector.entities.items():
        own = window if entity.changed_field is not None else Window(None, window.until)
        rows[name] = [row for page in connector.pull(name, own) for row in page]
    return connector.stage(lambda entity: rows.get(entity, []))


def _in_order(staged: AtsStaged) -> Iterable[Gap]:
    for name, records in (
        ("jobs", staged.jobs),
        ("candidates", staged.candidates),
        ("applications", staged.applications),
    ):
        ids = [one.id for one in records]
        if len(set(ids)) != len(ids):
            yield Gap("stage", f"{name} are there twice", "keys of the warehouse break")
    times = [(one.applied_at, one.status_at, one.updated_at) for one in staged.applications]
    if any(at.utcoffset() != timedelta(0) for own in times for at in own):
        yield Gap("stage", "times that are not UTC, or have no zone", "orders and durations are wrong")
    known = {one.id for one in staged.candidates}
    if strangers := [one.id for one in staged.applications if one.candidate_id not in known]:
        yield Gap("stage", f"{len(strangers)} applications of candidates that are not there", "nobody is resolved")


def _same_person(found: AtsCandidate, person: NewCandidate) -> Iterable[Gap]:
    if (found.first_name, found.last_name) != (person.first_name, person.last_name):
        yield Gap("create_candidate", "the name differs from what was sent", "every record is told as a mismatch")
    if not found.phones:
        yield Gap("create_candidate", "the phone is lost", "who comes with another address is made anew")


def _same_tags(found: AtsApplication, wanted: Mapping[str, str | None], where: str) -> Iterable[Gap]:
    wrong = sorted(name for name, value in wanted.items() if found.tags.get(name) != value)
    if wrong:
        yield Gap(where, f"these tags are not read as they were written: {', '.join(wrong)}", "attribution is lost")


# ---------------------------------------------------------------- webhooks


def webhook_gaps(
    vendor: Vendor,
    *,
    secret: str,
    signed: Callable[[bytes], Mapping[str, str]],
    samples: Sequence[tuple[bytes, str | None]],
    now: datetime | None = None,
) -> list[Gap]:
    """All that reader and scheme of a vendor do not do.

    Args:
        vendor: that is asked.
        secret: a key of its webhooks.
        signed: headers (lower case) that the vendor sends with such a body, signed with that key.
        samples: bodies of the vendor, each with the subject it is about ("application:31"), None for none.
        now: the time, aware.
    """
    from referral_pipeline.connectors.events import decode, read_event, split_delivery

    name, at, gaps = vendor.facts.name, now or datetime.now(UTC), list[Gap]()
    read, scheme = vendor.read, vendor.verifier
    if read is None or scheme is None:
        return [Gap("webhooks", "the vendor names no reader or no scheme", "changes wait for reconciliation")]
    for junk in _JUNK:
        try:
            hint = read(junk)
            if hint.known and hint.subject is None and hint.event_type not in _WITHOUT:
                gaps.append(Gap("reader", f"it takes {type(junk).__name__} for a known event", "junk becomes work"))
        except Exception as error:  # noqa: BLE001 - a reader must never raise
            gaps.append(Gap("reader", f"it raised {type(error).__name__}", "a delivery is answered with 503 for ever"))
    verifier = scheme([secret] if vendor.facts.signs_webhooks else [])
    for body, subject in samples:
        parts = split_delivery(name, "d", body, decode(body)) or []
        about = [read_event(name, payload).subject for _, _, payload in parts]
        if subject not in about:
            gaps.append(Gap("reader", f"a sample is read as about {about}, not {subject}", "the wrong record is read"))
        try:
            if verifier.verify(signed(body), body, at) != verifier.verify(signed(body), body, at):
                gaps.append(Gap("scheme", "the same delivery has two ids", "it is done twice"))
        except SignatureRefused as refused:
            gaps.append(Gap("scheme", f"a signed sample is refused: {refused.reason}", "no webhook arrives"))
        if vendor.facts.signs_webhooks:
            gaps += _refusals(scheme([f"{secret}x"]), verifier, signed, body, at)
    return gaps


_WITHOUT = frozenset({"ping", "none"})
"""Events that are about nothing."""


def _refusals(
    stranger: Any, verifier: Any, signed: Callable[[bytes], Mapping[str, str]], body: bytes, at: datetime
) -> Iterator[Gap]:
    tried = (
        ("unsigned", verifier, {}, b"{}"),
        ("signed with another key", stranger, signed(body), body),
    )
    for words, one, headers, sent in tried:
        try:
            one.verify(headers, sent, at)
        except SignatureRefused:
            continue
        yield Gap("scheme", f"what is {words} is taken", "anybody can make events")


def _title(question: Callable[[AtsTenant], Iterable[Gap]]) -> str:
    return str(question.__doc__).rstrip(".")
