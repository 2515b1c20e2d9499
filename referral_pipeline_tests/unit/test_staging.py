"""Staging holds canonical records with their keys; what cannot be read is set aside with a reason and no value."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.connectors.records import (
    AdvocacyStaged,
    Advocate,
    AtsApplication,
    AtsCandidate,
    AtsJob,
    AtsOffer,
    AtsStaged,
    Click,
    Consent,
    Content,
    Referral,
    RowProblem,
    Share,
    StageEntry,
)
from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.models import Contract
from referral_pipeline.contract.scaffold import sandbox_contract
from referral_pipeline.ledger.store import Ledger, Link, StatusFact
from referral_pipeline.quality.columns import COLUMNS, kind_of
from referral_pipeline.vocabulary import CandidateStatus, ReferralStage
from referral_pipeline.warehouse.costs import stage_costs
from referral_pipeline.warehouse.quarantine import Level, Quarantined, StagingReport
from referral_pipeline.warehouse.staging import stage_advocacy, stage_ats, stage_ledger
from referral_pipeline.warehouse.store import ModelFailed, Warehouse
from referral_pipeline_tests.unit.bonus_books import CLERK, Books

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
ADVOCATES = [Advocate(i, None, None, True, None, None, NOW) for i in ("A1", "A2")]
NO_ADVOCACY = AdvocacyStaged(ADVOCATES, [], [], [], [], [])
NO_ATS = AtsStaged([], [], [], [], [])


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse("w.duckdb", home=tmp_path, published_dir=tmp_path / "published")


@pytest.fixture(scope="module")
def contract() -> Contract:
    return parse_contract(sandbox_contract())


def _referral(referral_id: str = "R1", **fields: Any) -> Referral:
    base = Referral(
        id=referral_id,
        advocate_id="A1",
        share_id=None,
        job_id="J1",
        campaign_tag="spring",
        stage=ReferralStage.APPLIED,
        submitted_at=NOW - timedelta(days=2),
        applied_at=None,
        first_name="Zoë",
        last_name="Ångström",
        email=" Zoe@Example.ORG ",
        phone="(415) 555-2671",
        country=" us ",
        consent=Consent(True, "consent", NOW, None),
        clicks=3,
        shares=1,
        reach=250,
        status=CandidateStatus.IN_REVIEW,
        status_at=NOW,
        ats_candidate_id=None,
        ats_application_id=None,
        updated_at=NOW,
    )
    return replace(base, **fields)


def _application(application_id: str = "9", **fields: Any) -> AtsApplication:
    base = AtsApplication(
        id=application_id,
        candidate_id="7",
        job_id="J1",
        status=CandidateStatus.HIRED,
        status_at=NOW,
        applied_at=NOW,
        updated_at=NOW,
    )
    return replace(base, **fields)


def _row(warehouse: Warehouse, table: str) -> dict[str, Any]:
    rows = warehouse.frame(f"SELECT * FROM {table}").astype(object).where(lambda f: f.notna(), None).to_dict("records")
    assert len(rows) == 1
    return rows[0]


# ---------------------------------------------------------------- both sides


def test_every_staging_table_has_its_declared_types_even_without_a_row(
    warehouse: Warehouse, contract: Contract, tmp_path: Path
) -> None:
    assert set(stage_advocacy(warehouse, replace(NO_ADVOCACY, advocates=[]), contract).rows.values()) == {0}
    assert set(stage_ats(warehouse, "greenhouse", NO_ATS).rows.values()) == {0}
    with Ledger.open("sqlite:///ledger.sqlite", home=tmp_path) as ledger:
        assert set(stage_ledger(warehouse, ledger).rows.values()) == {0}
    stage_costs(warehouse, contract.model_copy(update={"costs": None}), tmp_path)
    for table, columns in COLUMNS.items():
        if table.startswith("staging."):
            described = warehouse.frame(f"SELECT column_name, column_type FROM (DESCRIBE {table})")
            types = dict(zip(described["column_name"], described["column_type"], strict=True))
            assert {name: kind_of(types[name], kind) for name, kind in columns.items()} == columns


def test_of_two_records_with_one_id_the_newest_stands(warehouse: Warehouse, contract: Contract) -> None:
    newer, older = _referral(campaign_tag="new"), _referral(campaign_tag="old", updated_at=NOW - timedelta(days=1))
    for order in ([newer, older], [older, newer]):
        stage_advocacy(warehouse, replace(NO_ADVOCACY, referrals=order), contract)
        assert _row(warehouse, "staging.referral")["campaign_tag"] == "new"


def test_each_side_keeps_the_quarantine_of_the_other(warehouse: Warehouse, contract: Contract) -> None:
    problem = RowProblem("advocacy", "shares", "S9", "shared_at", "is missing", "nothing")
    stage_advocacy(warehouse, replace(NO_ADVOCACY, problems=[problem]), contract)
    stage_ats(warehouse, "greenhouse", replace(NO_ATS, problems=[replace(problem, system="greenhouse", entity="jobs")]))
    stage_ats(warehouse, "lever", replace(NO_ATS, problems=[replace(problem, system="lever", entity="offers")]))
    held = warehouse.frame("SELECT system, entity FROM staging.quarantine ORDER BY ALL")
    assert held.values.tolist() == [["advocacy", "shares"], ["lever", "offers"]]
    stage_advocacy(warehouse, NO_ADVOCACY, contract)
    assert warehouse.frame("SELECT system FROM staging.quarantine")["system"].to_list() == ["lever"]


def test_when_one_table_fails_all_stay_as_they_were(warehouse: Warehouse, contract: Contract, tmp_path: Path) -> None:
    stage_advocacy(warehouse, replace(NO_ADVOCACY, content=[Content("C1", None, None, None, None, NOW)]), contract)
    models = tmp_path / "sql"
    for path in (Path(stage_advocacy.__code__.co_filename).parent / "sql" / "staging").glob("*.sql"):
        broken = path.read_text().replace("incoming.email_key", "incoming.no_such_column")
        (models / "staging").mkdir(parents=True, exist_ok=True)
        (models / "staging" / path.name).write_text(broken)
    broken_warehouse = Warehouse("w.duckdb", home=tmp_path, published_dir=tmp_path, sql_dir=models)
    with pytest.raises(ModelFailed, match=r"staging\.referral"):
        stage_advocacy(broken_warehouse, NO_ADVOCACY, contract)
    assert warehouse.row_count("staging.content") == 1


# ---------------------------------------------------------------- advocacy


def test_a_referral_carries_canonical_keys_beside_what_was_sent(warehouse: Warehouse, contract: Contract) -> None:
    share = Share("S1", "A1", "C1", "J1", "linkedin", NOW.astimezone(timezone(timedelta(hours=5))), 250, NOW)
    stage_advocacy(warehouse, replace(NO_ADVOCACY, shares=[share], referrals=[_referral(share_id="S1")]), contract)
    row = _row(warehouse, "staging.referral")
    assert (row["email"], row["email_key"]) == (" Zoe@Example.ORG ", "zoe@example.org")
    assert (row["phone"], row["phone_key"], row["country"]) == ("(415) 555-2671", "+14155552671", "US")
    assert (row["content_id"], row["campaign_tag"]) == ("C1", "spring")
    assert (row["stage"], row["status"]) == ("applied", "in_review")
    assert (row["touched_at"], row["applied_at"]) == (NOW - timedelta(days=2), None)
    assert (row["consent_granted"], row["consent_basis"], row["consent_expires_at"]) == (True, "consent", None)
    assert (row["clicks"], row["shares"], row["reach"]) == (3, 1, 250)
    assert (row["first_name"], row["last_name"]) == ("Zoë", "Ångström")
    assert _row(warehouse, "staging.share")["shared_at"] == NOW


def test_a_referral_of_a_share_that_nobody_sent_has_no_content_and_stays(
    warehouse: Warehouse, contract: Contract
) -> None:
    stray = _referral(consent=None, share_id="S9")
    report = stage_advocacy(warehouse, replace(NO_ADVOCACY, referrals=[stray]), contract)
    row = _row(warehouse, "staging.referral")
    assert (row["share_id"], row["content_id"], row["consent_granted"]) == (None, None, None)
    assert report.quarantined_fields == {"share_id is no share": 1}


def test_what_an_advocate_did_whom_nobody_sent_waits_until_the_advocate_has_come(
    warehouse: Warehouse, contract: Contract
) -> None:
    """Blocking checks ask for known advocates: one dirty row must not hold everybody's numbers back for ever."""
    share = Share("S1", "A9", None, "J1", None, NOW, None, NOW)
    dirty = replace(NO_ADVOCACY, shares=[share], referrals=[_referral(advocate_id="A9"), _referral("R2")])
    report = stage_advocacy(warehouse, dirty, contract)
    assert report.quarantined_records_by_reason("shares") == {"advocate_id is nobody's": 1}
    assert report.quarantined_records_by_reason("referrals") == {"advocate_id is nobody's": 1}
    assert _row(warehouse, "staging.referral")["id"] == "R2"
    # One who was sent and is gone by now is known.
    warehouse.upsert_raw("advocacy", "advocates", [{"id": "A9"}], pulled_at=NOW)
    warehouse.mark_absent("advocacy", "advocates", full_pull_started_at=NOW + timedelta(days=1))
    assert stage_advocacy(warehouse, dirty, contract).quarantine == ()


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"email": "not an address"}, "email has no @"),
        ({"email": None}, "email is missing"),
        ({"email": "  "}, "email is missing"),
        ({"first_name": " "}, "first_name is missing"),
        ({"last_name": None}, "last_name is missing"),
        ({"first_name": None, "email": "a@b@c"}, "first_name is missing"),
    ],
)
def test_a_referral_nobody_can_be_found_by_is_left_out_and_counted_once(
    warehouse: Warehouse, contract: Contract, fields: dict[str, Any], why: str
) -> None:
    referrals = [_referral(**fields), _referral("R2")]
    report = stage_advocacy(warehouse, replace(NO_ADVOCACY, referrals=referrals), contract)
    assert report.quarantined_records == {why: 1}
    assert report.quarantined_records_by_reason("referrals") == {why: 1}
    assert report.quarantined_records_by_reason("shares") == {}
    assert report.quarantined_fields == {}
    assert _row(warehouse, "staging.referral")["id"] == "R2"
    held = warehouse.frame("SELECT * FROM staging.quarantine")
    assert set(held["record_id"]) == {"R1"}
    assert set(held["level"]) == {"record"}


@pytest.mark.parametrize(
    ("email", "flag"),
    [("hr@mailinator.com", "role,disposable"), ("jobs@example.org", "role"), ("zoe@example.org", None)],
)
def test_an_address_of_a_function_or_a_throw_away_provider_is_flagged_and_stays(
    warehouse: Warehouse, contract: Contract, email: str, flag: str | None
) -> None:
    stage_advocacy(warehouse, replace(NO_ADVOCACY, referrals=[_referral(email=email)]), contract)
    row = _row(warehouse, "staging.referral")
    assert (row["email"], row["email_key"], row["email_flag"]) == (email, email, flag)


@pytest.mark.parametrize("phone", ["12", "call me", "+1 415 555 2671 ext. 12", "+49 0", "+1 800 356 9377"])
def test_a_phone_that_cannot_be_read_costs_only_the_phone(warehouse: Warehouse, contract: Contract, phone: str) -> None:
    report = stage_advocacy(warehouse, replace(NO_ADVOCACY, referrals=[_referral(phone=phone)]), contract)
    row = _row(warehouse, "staging.referral")
    assert (row["phone"], row["phone_key"], row["email_key"]) == (phone, None, "zoe@example.org")
    assert report.quarantined_records == {}
    assert sum(report.quarantined_fields_by_reason("referrals").values()) == 1
    problem = _row(warehouse, "staging.quarantine")
    assert (problem["field"], problem["level"], problem["record_id"]) == ("phone", "field", "R1")
    assert phone not in f"{problem['reason']} {problem['shape']}"


def test_a_missing_phone_or_country_is_no_problem_and_an_unreadable_country_is(
    warehouse: Warehouse, contract: Contract
) -> None:
    referrals = [_referral("R1", phone=None, country=None), _referral("R2", phone=" ", country="Atlantis")]
    report = stage_advocacy(warehouse, replace(NO_ADVOCACY, referrals=referrals), contract)
    assert report.quarantined_fields == {"country is no country code": 1}
    assert warehouse.frame("SELECT count(country) AS c FROM staging.referral")["c"][0] == 0


def test_a_record_its_connector_could_not_read_is_counted_beside_ours(warehouse: Warehouse, contract: Contract) -> None:
    problems = [
        RowProblem("advocacy", "referrals", "R9", "submitted_at", "is missing", "nothing"),
        RowProblem("advocacy", "referrals", "R1", "reach", "is negative", "a number"),
    ]
    staged = replace(NO_ADVOCACY, referrals=[_referral()], problems=problems)
    report = stage_advocacy(warehouse, staged, contract)
    assert report.quarantined_records == {"submitted_at is missing": 1}
    assert report.quarantined_fields == {"reach is negative": 1}


def test_half_a_character_and_a_number_beyond_all_bounds_stop_nobody(warehouse: Warehouse, contract: Contract) -> None:
    stage_advocacy(
        warehouse, replace(NO_ADVOCACY, referrals=[_referral(first_name="Zo\ud800", reach=10**30)]), contract
    )
    row = _row(warehouse, "staging.referral")
    assert (row["first_name"], row["reach"], row["clicks"]) == ("Zo?", None, 3)


def test_the_largest_table_is_staged_whole(warehouse: Warehouse, contract: Contract) -> None:
    clicks = [Click(f"K{n}", "S1", f"v{n % 700}", NOW, NOW) for n in range(20_000)]
    advocates = [Advocate("A1", "a@example.com", "Sales", True, NOW, None, NOW)]
    report = stage_advocacy(warehouse, replace(NO_ADVOCACY, clicks=clicks, advocates=advocates), contract)
    assert report.rows["staging.click"] == warehouse.row_count("staging.click") == 20_000
    assert _row(warehouse, "staging.advocate")["eligible"] is True


# ---------------------------------------------------------------- ATS


def test_an_application_comes_with_its_tags_dates_and_history(warehouse: Warehouse) -> None:
    application = _application(
        hired_at=NOW,
        starts_on=date(2026, 6, 1),
        unmapped_stage="Chat",
        tags={"referral_id": "R1", "advocate_id": "A1", "clicks": "4"},
        history=(
            StageEntry(CandidateStatus.APPLIED, "Application Review", NOW - timedelta(days=3), NOW),
            StageEntry(CandidateStatus.INTERVIEWED, None, NOW, None),
        ),
    )
    offer = AtsOffer("1", "9", "accepted", date(2026, 5, 1), NOW, date(2026, 6, 1), NOW)
    job = AtsJob("J1", "Engineer", "open", updated_at=None)
    report = stage_ats(
        warehouse, "greenhouse", replace(NO_ATS, applications=[application], offers=[offer], jobs=[job, job])
    )
    row = _row(warehouse, "staging.ats_application")
    assert (row["system"], row["id"], row["status"], row["unmapped_stage"]) == ("greenhouse", "9", "hired", "Chat")
    assert (row["tag_referral_id"], row["tag_advocate_id"], row["tag_share_id"]) == ("R1", "A1", None)
    assert row["starts_on"] == datetime(2026, 6, 1)  # noqa: DTZ001 - a date, as pandas gives it
    assert report.rows["staging.ats_stage_entry"] == 2
    assert _row(warehouse, "staging.ats_offer")["application_id"] == "9"
    assert _row(warehouse, "staging.ats_job")["title"] == "Engineer"


def test_contact_details_of_a_candidate_get_keys_where_they_can_be_read(warehouse: Warehouse) -> None:
    candidate = AtsCandidate(
        "7", "Zoë", None, ("ZOE@example.org", "broken", "ZOE@example.org"), ("+1 415 555 2671", "555"), NOW, NOW
    )
    report = stage_ats(warehouse, "greenhouse", replace(NO_ATS, candidates=[candidate]))
    rows = warehouse.frame('SELECT kind, "value", "key" FROM staging.ats_candidate_contact ORDER BY ALL')
    assert rows.astype(object).where(rows.notna(), None).values.tolist() == [
        ["email", "ZOE@example.org", "zoe@example.org"],
        ["email", "broken", None],
        ["phone", "+1 415 555 2671", "+14155552671"],
        ["phone", "555", None],
    ]
    assert sorted(report.quarantined_fields_by_reason("candidates")) == [
        "email has no @",
        "phone is in national form and the country is unknown",
    ]


def test_a_phone_in_national_form_is_read_with_the_country_that_is_given(warehouse: Warehouse) -> None:
    candidate = AtsCandidate("7", "Zoë", "X", (), ("(415) 555-2671",), NOW, NOW)
    stage_ats(warehouse, "greenhouse", replace(NO_ATS, candidates=[candidate]), default_country="US")
    assert _row(warehouse, "staging.ats_candidate_contact")["key"] == "+14155552671"


# ---------------------------------------------------------------- ledger


def test_bonuses_and_what_payroll_was_given_are_copied_from_the_ledger(warehouse: Warehouse, tmp_path: Path) -> None:
    with Ledger.open("sqlite:///ledger.sqlite", home=tmp_path, clock=lambda: NOW) as ledger:
        books = Books(ledger)
        books.eligible(1)
        export = books.export()
        assert export is not None
        ledger.cancel_payroll(export.id, by=CLERK, reason="wrong day")
        again = books.export()
        assert again is not None
        stage_ledger(warehouse, ledger)
    row = _row(warehouse, "staging.ledger_bonus")
    assert (row["referral_id"], row["application_id"], row["cycle"], row["state"]) == ("R1", "1", 1, "paid")
    assert (row["amount_cents"], row["currency"], row["eligible_at"], row["export_id"]) == (
        200_000,
        "USD",
        NOW,
        again.id,
    )
    entries = warehouse.frame(
        "SELECT export_id, state, export_state, pay_on::VARCHAR FROM staging.ledger_payroll ORDER BY export_id"
    )
    assert entries.values.tolist() == [
        [export.id, "returned", "cancelled", "2026-05-31"],
        [again.id, "paid", "open", "2026-05-31"],
    ]


def test_links_statuses_and_aliases_are_copied_from_the_ledger(warehouse: Warehouse, tmp_path: Path) -> None:
    with Ledger.open("sqlite:///ledger.sqlite", home=tmp_path) as ledger:
        assert set(stage_ledger(warehouse, ledger).rows.values()) == {0}
        link = Link("R1", "per_1", "J1", "A1", None, None, NOW, "greenhouse", application_id="9", candidate_id="7")
        ledger.save_links([replace(link, status=CandidateStatus.HIRED, status_at=NOW, created_application=True)])
        ledger.append_status(StatusFact("greenhouse", "9", CandidateStatus.HIRED, NOW, "pull"))
        ledger.alias("greenhouse", "5", "6")
        ledger.alias("greenhouse", "6", "7")
        stage_ledger(warehouse, ledger)
    row = _row(warehouse, "staging.link")
    assert (row["person_id"], row["application_id"], row["status"], row["created_application"]) == (
        "per_1",
        "9",
        "hired",
        True,
    )
    assert (row["block"], row["status_at"]) == (None, NOW)
    assert _row(warehouse, "staging.ledger_status")["at"] == NOW
    aliases = warehouse.frame("SELECT * FROM staging.candidate_alias ORDER BY old_id").values.tolist()
    assert aliases == [["greenhouse", "5", "7"], ["greenhouse", "6", "7"]]


def test_records_without_an_id_are_counted_one_by_one():
    def without(record_id: str) -> Quarantined:
        problem = RowProblem("advocacy", "referrals", record_id, "id", "is missing", "nothing")
        return Quarantined(problem, Level.RECORD)

    report = StagingReport({}, [without(""), without(""), without("R1"), without("R1")])
    assert report.quarantined_records == {"id is missing": 3}
