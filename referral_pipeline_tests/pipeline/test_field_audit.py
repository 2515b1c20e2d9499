"""The field accuracy audit against both sandboxes: nothing wrong is found clean, and each fault by its name.

The faults are injected into records of their own, all before one audit of every linked record; each test looks at its
record. So each fault is also seen beside all others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from referral_pipeline.cli import main
from referral_pipeline.connectors.failures import TransientFailure
from referral_pipeline.connectors.records import StatusUpdate
from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.records import DeliveryIntent, InboxDelivery, Link
from referral_pipeline.orchestration.assets.field_audit import ACCURACY_IS_SHOWN, ASSET, EVERY_FIELD_AGREES
from referral_pipeline.orchestration.bridge import Bridge
from referral_pipeline.orchestration.instance import open_instance
from referral_pipeline.orchestration.steps_field_audit import audit_fields, rebuild_field_accuracy
from referral_pipeline.quality.field_audit.audit import Audit, Audited, AuditFailed, FieldAudit, Standing
from referral_pipeline.quality.field_audit.judge import Verdict
from referral_pipeline.quality.field_audit.live import Systems
from referral_pipeline.quality.field_audit.words import claim_words, mismatch_words, outcome_words
from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline_tests.pipeline.conftest import Installation, installed
from referral_pipeline_tests.unit.sync_rig import Spoilt

EVERY = 5000


@dataclass
class Rig:
    """An installation that was brought level, its open bridge, and what is injected into which record."""

    installation: Installation
    bridge: Bridge
    clean: Audit
    _links: list[Link] = field(default_factory=list)
    taken: dict[str, Link] = field(default_factory=dict)

    def audit(self, **instead: Any) -> Audit:
        """An audit of every linked record; nothing is under way in these tests, so nothing is waited for."""
        own = self.bridge
        values: dict[str, Any] = {
            "contract": own.contract,
            "ledger": own.ledger,
            "ats": own.ats,
            "advocacy": own.advocacy,
            "sleep": lambda seconds: None,
            **instead,
        }
        return FieldAudit(Systems(**values)).run(seed=1, sample=EVERY)

    def take(self, fault: str, fits: Callable[[Link], bool] = lambda link: link.created_candidate) -> Link:
        """A record that no other fault is injected into, of a candidate of its own."""
        link = next(link for link in self._links if fits(link))
        mine = [x for x in self._links if x.candidate_id == link.candidate_id]
        self._links = [x for x in self._links if x not in mine]
        self.taken[fault] = link
        return link

    def ats(self, action: str, **details: Any) -> dict[str, Any]:
        return self.installation.act("greenhouse", action, **details)

    def platform(self, action: str, **details: Any) -> dict[str, Any]:
        return self.installation.act("advocacy", action, **details)

    def candidate(self, link: Link) -> dict[str, Any]:
        return self.installation.row("greenhouse", "candidates", link.candidate_id or "")

    def application(self, link: Link) -> dict[str, Any]:
        return self.installation.row("greenhouse", "applications", link.application_id or "")

    def referral(self, link: Link) -> dict[str, Any]:
        return self.installation.row("advocacy", "referrals", link.referral_id)

    def tags(self, link: Link, **values: Any) -> None:
        self.ats("edit_application", application_id=int(link.application_id or 0), custom_fields=values)

    def tell(self, link: Link, **instead: Any) -> None:
        """Somebody else writes a status to the platform, with its present values but for these."""
        row = self.referral(link)
        values: dict[str, Any] = {
            "referral_id": link.referral_id,
            "status": CandidateStatus(row["status"]),
            "status_at": datetime.fromisoformat(row["status_at"]),
            "ats_system": row["ats"]["system"],
            "ats_candidate_id": row["ats"]["candidate_id"],
            "ats_application_id": row["ats"]["application_id"],
            "hired_at": datetime.fromisoformat(row["hired_at"]) if row["hired_at"] else None,
            "starts_on": datetime.fromisoformat(row["starts_on"]).date() if row["starts_on"] else None,
            **instead,
        }
        assert self.bridge.advocacy.return_status(StatusUpdate(**values))


def _is_alone(bridge: Bridge, link: Link) -> bool:
    """Whether nothing else hangs on the record: one referral of one person with one candidate."""
    of_person = bridge.ledger.links_of_persons([link.person_id])
    of_candidate = bridge.ledger.links_of_candidates(link.system, [link.candidate_id or ""])
    return len(of_person) == len(of_candidate) == 1


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, shared_patch: pytest.MonkeyPatch) -> Iterator[Rig]:
    with Sandbox(size=ProgrammeSize.small()) as sandbox:
        installation = installed(tmp_path_factory.mktemp("audit") / "home", sandbox, shared_patch)
        installation.level()
        with Bridge.open(installation.settings) as bridge:
            rig = Rig(installation, bridge, FieldAudit(_patient(bridge)).run(seed=1, sample=EVERY))
            links = [x for x in bridge.ledger.links() if x.block is None and x.application_id]
            rig._links = [x for x in links if _is_alone(bridge, x)]
            yield rig


def _patient(bridge: Bridge) -> Systems:
    return Systems(bridge.contract, bridge.ledger, bridge.ats, bridge.advocacy)


def test_what_was_brought_level_agrees_in_every_field_of_every_record(rig: Rig):
    assert rig.clean.wrong == []
    assert {record.standing for record in rig.clean.records} == {Standing.AGREES}
    assert rig.clean.verdict is Verdict.SHOWN
    assert rig.clean.of_records.checked == rig.clean.population > 100
    compared = {one.field for one in rig.clean.rates if one.rate.checked}
    assert compared >= {
        *("record", "first_name", "last_name", "email", "phone", "country", "job_id", "applied_at"),
        *("referral_id", "advocate_id", "share_id", "content_id", "campaign_tag", "clicks", "shares", "reach"),
        *("status", "status_at", "hired_at", "starts_on", "ats_candidate_id", "ats_application_id", "candidate_id"),
        *("recognition", "recognition_amount", "recognition_currency"),
    }


def test_audits_are_kept_and_the_table_is_made_anew_from_them(rig: Rig):
    kept = audit_fields(rig.bridge, seed=7, sample=40, made_by="somebody")
    again = audit_fields(rig.bridge, seed=7, claim=0.1)
    assert again.verification.id > kept.verification.id
    assert kept.verification.passed is True
    assert [len(one.verification.facts["referral_ids"]) for one in (kept, again)] == [40, 29]
    with rig.bridge.warehouse.connect() as connection:
        connection.execute("DROP TABLE ops.field_accuracy")
    rows = rebuild_field_accuracy(rig.bridge)
    table = rig.bridge.warehouse.frame("SELECT * FROM ops.field_accuracy ORDER BY audit_id, side, field")
    assert rows == len(table) == len(kept.audit.rates) + len(again.audit.rates)
    record = table[(table.field == "record") & (table.audit_id == kept.verification.id)].iloc[0]
    assert (record.checked, record.mismatches, record.seed) == (40, 0, 7)
    assert record.lower == pytest.approx(kept.audit.of_records.lower)
    assert "at most 7.2 % do not" in outcome_words(kept.verification.facts)
    assert mismatch_words(kept.verification.facts) == "every field compared agrees"
    assert "you may claim" in claim_words(again.verification.facts, 0.1)
    assert "it needs 149 records" in claim_words(again.verification.facts, 0.02)
    assert (table.mismatches == 0).all()


# ---------------------------------------------------------------- faults


def _is_open(link: Link) -> bool:
    return link.created_candidate and link.status is CandidateStatus.APPLIED


def _inject(rig: Rig) -> None:
    """Every fault, each into a record of its own."""
    link = rig.take("swapped_names")
    row = rig.candidate(link)
    rig.ats("edit_candidate", candidate_id=row["id"], first_name=row["last_name"], last_name=row["first_name"])
    link = rig.take("truncated_name")
    row = rig.candidate(link)
    rig.ats("edit_candidate", candidate_id=row["id"], last_name=row["last_name"][:3])
    link = rig.take("case_only")
    row = rig.candidate(link)
    rig.ats("edit_candidate", candidate_id=row["id"], first_name=row["first_name"].upper())
    link = rig.take("another_mailbox")
    rig.ats("edit_candidate", candidate_id=int(link.candidate_id or 0), emails=["somebody.else@example.org"])
    link = rig.take("no_phone", lambda x: x.created_candidate and bool(rig.candidate(x)["phone_numbers"]))
    rig.ats("edit_candidate", candidate_id=int(link.candidate_id or 0), phones=[])

    def is_dated_hire(link: Link) -> bool:
        row = rig.referral(link)
        return bool(row["hired_at"] and row["starts_on"])

    link = rig.take("shifted_hire", is_dated_hire)
    hired_at = datetime.fromisoformat(rig.referral(link)["hired_at"])
    rig.tell(link, hired_at=hired_at + timedelta(hours=2))
    link = rig.take("shifted_status")
    status_at = datetime.fromisoformat(rig.referral(link)["status_at"])
    rig.tell(link, status_at=status_at + timedelta(hours=5, minutes=30))
    link = rig.take("shifted_application")
    created_at = datetime.fromisoformat(rig.application(link)["created_at"])
    shifted = (created_at - timedelta(hours=1)).isoformat()
    rig.ats("edit_application", application_id=int(link.application_id or 0), created_at=shifted)

    rig.tags(rig.take("tag_changed"), advocate_id="adv_nobody")
    rig.tags(rig.take("tag_removed", lambda x: bool(x.campaign_tag)), campaign_tag=None)
    link = rig.take("tags_swapped", lambda x: bool(x.share_id))
    values = rig.application(link)["custom_fields"]
    rig.tags(link, share_id=values["content_id"]["value"], content_id=values["share_id"]["value"])
    rig.tell(rig.take("wrong_stage_map", _is_open), status=CandidateStatus.OFFERED)
    rig.tell(rig.take("old_status", is_dated_hire), status=CandidateStatus.APPLIED, hired_at=None, starts_on=None)
    rig.tell(rig.take("other_application"), ats_application_id="1")

    # One application with referrals of two advocates: the credit is one's, and the field names the other.
    first, second = _two_advocates(rig)
    current = rig.application(first)["custom_fields"]["advocate_id"]["value"]
    rig.tags(first, advocate_id=first.advocate_id if first.advocate_id != current else second.advocate_id)
    rig.taken |= {"other_advocate": first, "other_advocate_too": second}

    rig.ats("delete_candidate", candidate_id=int(rig.take("deleted").candidate_id or 0))
    rig.ats("anonymize", candidate_id=int(rig.take("anonymized").candidate_id or 0))
    link = rig.take("merged")
    made = rig.ats("create_candidate", first_name="Otto", last_name="Example", emails=["otto@example.org"])
    rig.ats("merge", primary_id=made["id"], secondary_id=int(link.candidate_id or 0))
    rig.platform("erase", referral_id=rig.take("erased").referral_id)

    rig.platform("withdraw_referral", referral_id=rig.take("withdrawn").referral_id)
    rig.platform("edit_referral", referral_id=rig.take("unreadable").referral_id, stage="nonsense")
    rig.platform("edit_referral", referral_id=rig.take("moved_abroad").referral_id, candidate={"country": "BR"})
    rig.ats("reject", application_id=int(rig.take("just_rejected", _is_open).application_id or 0))


def _two_advocates(rig: Rig) -> tuple[Link, Link]:
    """The links of an application that two advocates referred the same person for."""
    by_application: dict[str, list[Link]] = {}
    for link in rig.bridge.ledger.links():
        if link.application_id:
            by_application.setdefault(link.application_id, []).append(link)
    return next(
        (own[0], own[1])
        for own in by_application.values()
        if len(own) == 2
        and own[0].advocate_id != own[1].advocate_id
        and not any(x.block for x in own)
        and rig.application(own[0])["custom_fields"]
    )


@pytest.fixture(scope="module")
def faulty(rig: Rig) -> Audit:
    _inject(rig)
    return rig.audit()


def record_of(rig: Rig, audit: Audit, fault: str) -> Audited:
    (found,) = [one for one in audit.records if one.link.referral_id == rig.taken[fault].referral_id]
    return found


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("swapped_names", {"ats.first_name": "swapped", "ats.last_name": "swapped"}),
        ("truncated_name", {"ats.last_name": "truncated"}),
        ("case_only", {"ats.first_name": "case_or_space"}),
        ("another_mailbox", {"ats.email": "other"}),
        ("no_phone", {"ats.phone": "missing"}),
        ("shifted_hire", {"advocacy.hired_at": "time_zone"}),
        ("shifted_status", {"advocacy.status_at": "time_zone"}),
        ("shifted_application", {"ats.applied_at": "time_zone"}),
        ("tag_changed", {"ats.advocate_id": "other"}),
        ("tag_removed", {"ats.campaign_tag": "missing"}),
        ("tags_swapped", {"ats.share_id": "swapped", "ats.content_id": "swapped"}),
        ("other_advocate", {"ats.advocate_id": "stale"}),
        ("other_advocate_too", {"ats.advocate_id": "stale"}),
        ("wrong_stage_map", {"advocacy.status": "vocabulary"}),
        (
            "old_status",
            {"advocacy.status": "stale", "advocacy.hired_at": "missing", "advocacy.starts_on": "missing"},
        ),
        ("other_application", {"advocacy.ats_application_id": "other"}),
        ("deleted", {"ats.application_id": "gone"}),
        ("anonymized", {"ats.candidate_id": "gone"}),
        ("merged", {"ats.candidate_id": "merged", "advocacy.ats_candidate_id": "merged"}),
        ("erased", {"advocacy.referral_id": "gone"}),
    ],
)
def test_each_fault_is_found_where_it_is_and_has_its_name(
    rig: Rig, faulty: Audit, fault: str, expected: dict[str, str]
):
    record = record_of(rig, faulty, fault)
    assert {f"{one.side}.{one.field}": one.difference.value for one in record.wrong} == expected
    assert record.standing is Standing.DIFFERS


@pytest.mark.parametrize(
    ("fault", "standing"),
    [
        ("withdrawn", Standing.HELD_BACK),
        ("unreadable", Standing.UNREADABLE),
        ("just_rejected", Standing.UNDER_WAY),  # no pull has shown it yet
        ("moved_abroad", Standing.UNDER_WAY),  # nor this
    ],
)
def test_a_record_that_cannot_be_judged_is_counted_as_what_it_is(
    rig: Rig, faulty: Audit, fault: str, standing: Standing
):
    assert record_of(rig, faulty, fault).standing is standing


def test_no_other_record_is_blamed(rig: Rig, faulty: Audit):
    blamed = {one.link.referral_id for one in faulty.records if one.standing is not Standing.AGREES}
    assert blamed == {link.referral_id for link in rig.taken.values()}


def test_rates_count_each_record_once_and_the_unreadable_as_wrong(rig: Rig, faulty: Audit):
    record = faulty.of_records
    assert record.checked == len(faulty.records) - 3  # held back and under way
    assert record.wrong == len(rig.taken) - 3
    rates = {(one.side, one.field): one for one in faulty.rates}
    assert rates["both", "record"].unreadable == 1
    assert dict(rates["ats", "first_name"].differences) == {"swapped": 1, "case_or_space": 1}
    assert rates["ats", "first_name"].rate.wrong == 2
    assert faulty.verdict is Verdict.NOT_SHOWN


def test_what_is_kept_of_an_audit_shows_no_value(rig: Rig, faulty: Audit):
    text = json.dumps(faulty.facts(), ensure_ascii=False)
    dump = rig.installation.dump("greenhouse")["candidates"]
    personal = {value for row in dump for value in (row["last_name"], *(e["value"] for e in row["email_addresses"]))}
    assert len(personal) > 100
    assert [value for value in personal if len(value) > 4 and value in text] == []


def test_a_bonus_in_another_currency_than_the_contracts_is_found(rig: Rig):
    def in_euro(contract: Contract) -> Contract:
        bonus = contract.rules.bonus.model_copy(update={"currency": "EUR"})
        return contract.model_copy(update={"rules": contract.rules.model_copy(update={"bonus": bonus})})

    promised = {row.referral_id for row in rig.bridge.ledger.recognitions() if row.kind == "bonus_eligible"}
    found = rig.audit(contract=in_euro(rig.bridge.contract))
    by_field = {link.referral_id: one for link, one in found.wrong if one.field == "recognition_currency"}
    assert by_field.keys()
    assert by_field.keys() <= promised
    assert {(one.difference.value, one.expected, one.found) for one in by_field.values()} == {
        ("currency", "EUR", "USD")
    }


# ---------------------------------------------------------------- what is under way


def test_what_heals_until_the_second_look_was_no_mismatch(rig: Rig, faulty: Audit):
    link = rig.take("heals")
    row = rig.candidate(link)
    rig.ats("edit_candidate", candidate_id=row["id"], first_name="Somebody")
    waited: list[float] = []

    def heal(seconds: float) -> None:
        waited.append(seconds)
        rig.ats("edit_candidate", candidate_id=row["id"], first_name=row["first_name"])

    assert record_of(rig, rig.audit(sleep=heal), "heals").standing is Standing.AGREES
    assert waited == [rig.bridge.ats.visibility_lag_seconds]


def test_a_write_that_has_begun_and_an_event_that_waits_are_given_their_time(rig: Rig, faulty: Audit):
    ledger, link = rig.bridge.ledger, rig.take("is_written")
    row = rig.candidate(link)
    rig.ats("edit_candidate", candidate_id=row["id"], first_name="Somebody")
    key = f"status:{link.referral_id}"
    before = ledger.delivery(key)
    assert before is not None
    hint = InboxDelivery(
        "advocacy", "audit:1", "reconcile.referral", "reconciliation", f"referral:{link.referral_id}", None, None
    )
    steps: list[str] = []

    def time_passes(seconds: float) -> None:
        steps.append(f"{seconds:g}")
        match len(steps):
            case 1:
                ledger.begin_many([DeliveryIntent(key, "advocacy", "return_status", link.referral_id, "x")], anew=True)
            case 2:
                ledger.confirm(key, {})
                ledger.receive_many([hint])
            case 3:
                (event,) = ledger.claim("audit", limit=5, lease=timedelta(minutes=1), bulk=False)
                ledger.finish_many("audit", [(event.id, "done")], None)
                rig.ats("edit_candidate", candidate_id=row["id"], first_name=row["first_name"])

    found = rig.audit(sleep=time_passes)
    ledger.begin_many([DeliveryIntent(key, "advocacy", "return_status", link.referral_id, before.request_hash)])
    ledger.confirm(key, {})
    assert steps == ["3", "1", "1"]
    assert record_of(rig, found, "is_written").standing is Standing.AGREES


def test_patience_has_an_end(rig: Rig, faulty: Audit):
    ledger, link = rig.bridge.ledger, rig.take("is_stuck")
    rig.ats("edit_candidate", candidate_id=int(link.candidate_id or 0), first_name="Somebody")
    key = f"status:{link.referral_id}"
    ledger.begin_many([DeliveryIntent(key, "advocacy", "return_status", link.referral_id, "x")], anew=True)
    passed: list[float] = []
    found = rig.audit(sleep=passed.append, clock=lambda: datetime.now(UTC) + timedelta(seconds=sum(passed)))
    ledger.confirm(key, {})
    assert sum(passed) >= rig.bridge.contract.monitoring.latency_p95_seconds
    assert record_of(rig, found, "is_stuck").standing is Standing.DIFFERS


# ---------------------------------------------------------------- a system that fails


def test_a_system_that_fails_in_the_middle_ends_the_audit_and_nothing_is_kept(rig: Rig):
    before = len(rig.bridge.ledger.verifications("field_audit"))
    asked: list[str] = []

    def row(referral_id: str) -> Any:
        asked.append(referral_id)
        if len(asked) > 20:
            raise TransientFailure("advocacy", "referrals.get", status=503)
        return rig.bridge.advocacy.referral_row(referral_id)

    spoilt = Spoilt(rig.bridge.advocacy, referral_row=row)
    with pytest.raises(AuditFailed, match=r"advocacy.*kept nothing.*--seed 1"):
        rig.audit(advocacy=spoilt)
    assert len(asked) == 21
    assert len(rig.bridge.ledger.verifications("field_audit")) == before


# ---------------------------------------------------------------- kept, shown, asked for


def test_audit_run_tells_what_is_wrong_and_audit_list_keeps_it(rig: Rig, faulty: Audit):
    """One run through Dagster, as a user has it."""
    ran = CliRunner().invoke(main, ["audit", "run", "--sample", "5000", "--seed", "3", "--claim", "0.02", "--json"])
    told = json.loads(ran.stdout)
    assert ran.exit_code == 1
    assert told["verdict"] == "not_shown"
    assert told["passed"] is False
    assert told["claim"] == 0.02
    assert told["seed"] == 3
    assert told["unreadable"] == 1
    keys = [dg.AssetCheckKey(dg.AssetKey(ASSET), name) for name in (ACCURACY_IS_SHOWN, EVERY_FIELD_AGREES)]
    with open_instance(rig.installation.settings) as instance:
        results = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    evaluations = [results[key].evaluation for key in keys]
    assert [one is not None and one.passed for one in evaluations] == [False, False]
    assert [one.metadata["failed_rows"].value for one in evaluations if one] == [told["rates"][0]["wrong"]] * 2
    assert all(len(str(one.metadata["what_to_do"].value)) > 40 for one in evaluations if one)
    assert "ats." in str(evaluations[1] and evaluations[1].description)
    assert {one["difference"] for one in told["mismatches"]} >= {"swapped", "truncated", "time_zone", "gone", "merged"}
    listed = json.loads(CliRunner().invoke(main, ["audit", "list", "--json"]).stdout)["audits"]
    assert listed[0]["id"] == told["id"]
    lines = CliRunner().invoke(main, ["audit", "list"]).stdout.splitlines()
    assert lines[0].split("\t")[:5] == [
        str(told["id"]),
        datetime.fromisoformat(told["made_at"]).strftime("%Y-%m-%d %H:%M"),
        "3",
        str(told["rates"][0]["checked"]),
        str(told["rates"][0]["wrong"]),
    ]


def test_audit_run_says_in_one_line_which_system_failed_and_keeps_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    before = len(rig.bridge.ledger.verifications("field_audit"))
    monkeypatch.setenv("GREENHOUSE_CLIENT_SECRET", "no-secret-of-this-account")
    ran = CliRunner().invoke(main, ["audit", "run"])
    assert ran.exit_code == 1
    (line,) = [line for line in ran.stderr.splitlines() if line.startswith("Error")]
    assert "could not read greenhouse" in line
    assert "referral-pipeline check" in line
    assert len(rig.bridge.ledger.verifications("field_audit")) == before


def test_an_installation_without_an_audit_says_how_to_make_one(
    tmp_path: Path, rig: Rig, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("REFERRAL_PIPELINE_HOME", str(tmp_path))
    listed = CliRunner().invoke(main, ["audit", "list"])
    assert listed.exit_code == 0
    assert "audit run" in listed.stdout
    ran = CliRunner().invoke(main, ["audit", "run"])
    assert (ran.exit_code, ran.stdout) == (1, "too few records: run `referral-pipeline refresh` first\n")
    assert json.loads(CliRunner().invoke(main, ["audit", "list", "--json"]).stdout)["audits"][0]["passed"] is False
