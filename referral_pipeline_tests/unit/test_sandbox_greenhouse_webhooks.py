"""Whatever changes in the Greenhouse sandbox is told as Greenhouse tells it, whoever changed it."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest

from referral_pipeline.sandbox.credentials import NEXT_WEBHOOK_SECRETS, SECRETS
from referral_pipeline.sandbox.greenhouse.events import connect
from referral_pipeline.sandbox.webhooks.emitter import Emitter
from referral_pipeline.sandbox.webhooks.signing import GreenhouseSigner
from referral_pipeline_tests.openapi import REFERENCE_DIR
from referral_pipeline_tests.unit.greenhouse_server import Greenhouse, greenhouse_with
from referral_pipeline_tests.unit.webhook_receiver import Receiver, emitting, receiving, until

NAME = "GREENHOUSE_WEBHOOK_SECRET"
SAMPLES = REFERENCE_DIR / "vendor_samples" / "greenhouse"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the vendor's samples are not here (set REFERENCE_DIR)")
OPEN_MAPS = ("custom_fields",)


class Told:
    """A Greenhouse whose webhooks are read in the order in which they were made."""

    def __init__(self, greenhouse: Greenhouse, emitter: Emitter, receiver: Receiver) -> None:
        self.greenhouse = greenhouse
        self.emitter = emitter
        self._receiver = receiver

    def bodies(self) -> list[dict[str, Any]]:
        """What was sent since the last call."""
        until(lambda: self.emitter.state()["under_way"] == 0)
        order = [entry["id"] for entry in self.emitter.log()]
        got = sorted(self._receiver.got, key=lambda one: order.index(one.headers["greenhouse-event-id"]))
        self._receiver.got = []
        self.emitter.forget()
        return [json.loads(one.body) for one in got]

    def actions(self) -> list[str]:
        """The actions of what was sent since the last call."""
        return [body["action"] for body in self.bodies()]

    def subjects(self) -> list[str | None]:
        """The subjects in the log since the last call."""
        found = [entry["subject"] for entry in self.emitter.log()]
        self.bodies()
        return found


@pytest.fixture(scope="module")
def told() -> Generator[Told]:
    emitter = Emitter("greenhouse", GreenhouseSigner(), (SECRETS[NAME], NEXT_WEBHOOK_SECRETS[NAME]), "evt")
    with receiving() as receiver, emitting(emitter), greenhouse_with() as greenhouse:
        connect(greenhouse.store, emitter)
        greenhouse.acts.add_custom_field("Referral id", name_key="referral_id")
        greenhouse.store.flush()
        emitter.set({"url": receiver.url})
        yield Told(greenhouse, emitter, receiver)


def test_a_new_address_is_greeted_with_a_ping(told: Told) -> None:
    told.emitter.set({"url": told.emitter.modes.url})
    assert set(told.actions()) == {"ping"}


def test_what_recruiters_do_is_told_action_by_action(told: Told) -> None:
    greenhouse = told.greenhouse
    job = greenhouse.job(openings=2)["id"]
    other = greenhouse.job("Account Executive")["id"]
    greenhouse.store.flush()
    told.actions()
    made = greenhouse.act("create_candidate", first_name="Ada", last_name="Example", job_id=job)
    (application,) = greenhouse.store.find("applications", "candidate_id", made["id"])
    for act, details in (
        ("move", {}),
        ("transfer", {"job_id": other}),
        ("edit_application", {"source_id": greenhouse.store.rows("sources")[0]["id"]}),
        ("offer_create", {"starts_on": "2026-12-01"}),
        ("offer_send", {}),
        ("offer_accept", {}),
        ("hire", {}),
        ("unhire", {"keep_offer": True}),
        ("reject", {"reason": "THEY_REJECTED_US"}),
        ("unreject", {}),
    ):
        greenhouse.act(act, application_id=application["id"], **details)
    assert told.actions() == [
        "new_candidate_application",
        "candidate_stage_change",
        "candidate_stage_change",
        "application_updated",
        "offer_created",
        "offer_updated",
        "offer_updated",
        "job_updated",
        "hire_candidate",
        "job_updated",
        "unhire_candidate",
        "offer_updated",
        "reject_candidate",
        "unreject_candidate",
    ]
    greenhouse.act("delete_application", application_id=application["id"])
    greenhouse.act("edit_candidate", candidate_id=made["id"], company="Example Ltd")
    greenhouse.act("edit_candidate", candidate_id=made["id"], company="Example Ltd")
    greenhouse.act("anonymize", candidate_id=made["id"], fields=["full_name"])
    assert told.actions() == ["delete_application", "update_candidate", "candidate_anonymized"]
    prospect = greenhouse.act("create_prospect", candidate_id=made["id"])
    assert told.subjects() == [f"application:{prospect['id']}"]
    greenhouse.act("delete_candidate", candidate_id=made["id"])
    (gone,) = told.bodies()
    assert gone["action"] == "delete_candidate"
    assert gone["payload"]["person"]["deleted_application_ids"] == [prospect["id"]]


def test_a_merge_is_told_instead_of_a_deletion(told: Told) -> None:
    greenhouse = told.greenhouse
    job = greenhouse.job()["id"]
    first, second = (
        greenhouse.act("create_candidate", first_name="Ada", last_name=n, emails=[f"{n}@example.com"], job_id=job)
        for n in ("first", "second")
    )
    told.actions()
    greenhouse.act("merge", primary_id=first["id"], secondary_id=second["id"])
    merged, kept = told.bodies()
    assert merged["action"] == "merge_candidate"
    assert merged["payload"]["person"]["id"] == second["id"]
    assert merged["payload"]["person"]["new_candidate_id"] == first["id"]
    assert kept["action"] == "update_candidate"


def test_writes_through_the_api_are_told_too_and_a_tag_is_noted_when_it_first_stands(told: Told) -> None:
    greenhouse = told.greenhouse
    job = greenhouse.job()["id"]
    greenhouse.store.flush()
    told.actions()
    tags = [{"name_key": "referral_id", "value": "R1"}]
    answer = greenhouse.post(
        "candidates",
        {"first_name": "Ada", "last_name": "Example", "application": {"job_id": job, "custom_fields": tags}},
    ).json()
    candidate, application = answer["candidate"]["id"], answer["application"]["id"]
    greenhouse.patch(f"applications/{application}", {"custom_fields": tags})
    greenhouse.patch(f"applications/{application}", {"custom_fields": [{**tags[0], "value": "R2"}]})
    greenhouse.patch(f"candidates/{candidate}", {"company": "Example Ltd"})
    greenhouse.post(f"applications/{application}/hire", {})
    assert told.actions() == [
        "new_candidate_application",
        "application_updated",
        "update_candidate",
        "job_updated",
        "hire_candidate",
    ]
    greenhouse.delete(f"candidates/{candidate}")
    assert told.actions() == ["delete_candidate"]
    arrivals = told.greenhouse.store.journal.arrivals[-2:]
    assert [(row["application_id"], row["candidate_id"], row["referral_id"]) for row in arrivals] == [
        (application, candidate, "R1"),
        (application, candidate, "R2"),
    ]


def test_a_refused_write_tells_nothing(told: Told) -> None:
    told.actions()
    assert told.greenhouse.post("candidates", {"first_name": "Ada"}).status_code == 422
    assert told.greenhouse.control("act", {"action": "move", "application_id": 1}).status_code == 422
    assert told.actions() == []


def test_jobs_and_posts_are_told(told: Told) -> None:
    job = told.greenhouse.act("add_job", name="Data Engineer")
    told.greenhouse.act("add_row", entity="job_posts", values={"job_id": job["id"], "title": "Data Engineer"})
    told.greenhouse.act("close_job", job_id=job["id"])
    assert told.actions() == ["job_created", "job_post_created", "job_updated"]


def test_letters_beyond_ascii_and_what_html_minds_are_escaped(told: Told) -> None:
    made = told.greenhouse.act("create_candidate", first_name="Zoë", last_name="<b>&", job_id=None)
    told.greenhouse.act("edit_candidate", candidate_id=made["id"], company="Łódź & Söhne")
    event = told.emitter.describe("update_candidate", str(made["id"]))
    assert event.body.isascii()
    assert not set(b"<>&") & set(event.body)
    assert json.loads(event.body)["payload"]["candidate"]["first_name"] == "Zoë"
    told.actions()


def test_a_hire_has_neither_status_nor_stage_and_carries_its_offer(told: Told) -> None:
    greenhouse = told.greenhouse
    made = greenhouse.act("create_candidate", first_name="Ada", last_name="Example", job_id=greenhouse.job()["id"])
    (application,) = greenhouse.store.find("applications", "candidate_id", made["id"])
    greenhouse.act("offer_create", application_id=application["id"], starts_on="2026-12-01")
    greenhouse.act("offer_accept", application_id=application["id"])
    greenhouse.act("hire", application_id=application["id"])
    (hired,) = [body["payload"]["application"] for body in told.bodies() if body["action"] == "hire_candidate"]
    assert not {"status", "current_stage", "applied_at", "last_activity_at", "rejected_at"} & set(hired)
    assert hired["offer"]["starts_at"] == "2026-12-01"
    assert hired["offer"]["resolved_at"] == "2026-11-02T09:00:00Z"


def test_many_applications_are_made_and_moved_at_once(told: Told) -> None:
    greenhouse = told.greenhouse
    job = greenhouse.job()["id"]
    greenhouse.store.flush()
    told.actions()
    made = greenhouse.act("create_applications", count=20, job_ids=[job], tags=["R1", "R2"])
    assert told.actions() == ["new_candidate_application"] * 20
    ids = made["application_ids"]
    moved = greenhouse.act("advance_applications", application_ids=ids)
    assert moved == {"advanced": ids, "refused": []}
    assert told.actions() == ["candidate_stage_change"] * 20
    again = greenhouse.act("advance_applications", application_ids=ids, stage="Phone Screen")
    assert again == {"advanced": [], "refused": ids}
    rows = [greenhouse.store.tables["applications"].rows[row_id] for row_id in ids]
    assert {row["stage_name"] for row in rows} == {"Phone Screen"}
    assert [row["custom_fields"].get("referral_id", {}).get("value") for row in rows[:3]] == ["R1", "R2", None]


@needs_samples
@pytest.mark.parametrize(
    ("sample", "action"),
    [
        ("application_created", "new_candidate_application"),
        ("candidate_stage_change", "candidate_stage_change"),
        ("candidate_prospect_rejected", "reject_candidate"),
        ("candidate_hired", "hire_candidate"),
        ("candidate_merged", "merge_candidate"),
        ("candidate_deleted", "delete_candidate"),
        ("candidate_anonymized", "candidate_anonymized"),
        ("application_deleted", "delete_application"),
        ("offer_created", "offer_created"),
        ("offer_deleted", "offer_deleted"),
        ("job_created", "job_created"),
        ("job_deleted", "job_deleted"),
        ("job_post_created", "job_post_created"),
        ("job_post_deleted", "job_post_deleted"),
    ],
)
def test_payloads_have_the_keys_of_the_published_samples(told: Told, sample: str, action: str) -> None:
    record = _record(told.greenhouse, action)
    ours = json.loads(told.emitter.describe(action, str(record)).body)
    theirs = json.loads((SAMPLES / f"webhook_{sample}_1.json").read_text())
    assert list(_differences(ours, theirs, "")) == []


def _record(greenhouse: Greenhouse, action: str) -> int:
    """A record of the kind that the action is about, with all that a sample shows."""
    job = greenhouse.job()["id"]
    post = greenhouse.acts.add_row("job_posts", {"job_id": job, "title": "Data Engineer"})["id"]
    source = greenhouse.store.rows("sources")[0]["id"]
    user = greenhouse.acts.add_user("ref@example.com", "Ref", "Errer")["id"]
    referrer = greenhouse.acts.add_referrer(user_id=user)["id"]
    made = greenhouse.act("create_candidate", first_name="Ada", last_name="Example")
    application = greenhouse.acts.create_application(
        candidate_id=made["id"], job_id=job, source_id=source, referrer_id=referrer
    )["id"]
    offer = greenhouse.acts.offer_create(application, starts_on="2026-12-01")["id"]
    if action == "reject_candidate":
        greenhouse.acts.reject(application)
    elif action == "hire_candidate":
        greenhouse.acts.hire(application)
    by_noun = {"offer": offer, "job": job, "job_post": post}
    noun = action.rpartition("_")[0]
    about_person = action in {"merge_candidate", "delete_candidate", "candidate_anonymized"}
    return by_noun.get(noun, made["id"] if about_person else application)


def _differences(ours: Any, theirs: Any, path: str) -> Generator[str]:
    """Keys that one side has and the other has not, wherever both sides have something to show."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(set(ours) ^ set(theirs)):
            yield f"{path}.{key}: only {'ours' if key in ours else 'theirs'}"
        for key in sorted(set(ours) & set(theirs) - set(OPEN_MAPS)):
            yield from _differences(ours[key], theirs[key], f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and ours and theirs:
        yield from _differences(ours[0], theirs[0], f"{path}[]")
