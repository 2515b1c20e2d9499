"""The parallel run's numbers, its sign-off, and what its assets tell and raise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.cli import main
from referral_pipeline.connectors.covered import fingerprint_of
from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.scaffold import Choices, integration_yaml, sandbox_contract
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.orchestration.assets.parallel_run import CHECKS, NOT_MAPPED_WRONGLY, manual_intake, parallel_run
from referral_pipeline.orchestration.bridge import Bridge
from referral_pipeline.orchestration.resources import BridgeResource
from referral_pipeline.orchestration.steps_parallel_run import JOB, compare_manual_intake, stage_manual_intake
from referral_pipeline.quality.go_live import standings
from referral_pipeline.quality.parallel_run.numbers import Numbers, count, exact_bounds
from referral_pipeline.quality.parallel_run.records import AS_MEANT, Cause, Finding, Line, Window
from referral_pipeline.quality.parallel_run.run import NOT_CONFIGURED
from referral_pipeline.quality.parallel_run.sign_off import COMPARISON, SIGN_OFF, SignOffRefused, sign_off
from referral_pipeline.quality.parallel_run.words import what_to_do
from referral_pipeline.sandbox.programme.generate import generate
from referral_pipeline.sandbox.programme.manual_intake import SAMPLE, sample_manual_intake, write_sample_manual_intake
from referral_pipeline_tests.unit.intake_rig import COLUMNS, NOW, PEOPLE, Launch, utc

REPOSITORY = Path(__file__).parents[2]
BERLIN = Window(date(2026, 3, 23), date(2026, 3, 29), "Europe/Berlin", utc(2026, 3, 29, 22))
OWNER = "talent-ops@example.com"


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize(("records", "at_most_wrong"), [(50, 0.058), (25, 0.113), (149, 0.02)])
def test_without_a_difference_the_bound_says_how_many_there_may_still_be(records: int, at_most_wrong: float):
    low, high = exact_bounds(records, records, 0.95)
    assert 1 - low == pytest.approx(at_most_wrong, abs=5e-4)
    assert high == 1


@settings(deadline=None)
@given(st.integers(1, 400).flatmap(lambda units: st.tuples(st.integers(0, units), st.just(units))))
def test_the_bounds_hold_the_rate_between_them(pair: tuple[int, int]):
    hits, units = pair
    low, high = exact_bounds(hits, units, 0.95)
    assert 0 <= low <= hits / units <= high <= 1


def line(number: int, finding: Finding = Finding.AGREES, cause: str | None = None, **more: Any) -> Line:
    record = {
        "manual_record": f"i.csv:{number}",
        "referral_id": f"R{number}",
        "application_key": f"greenhouse:{number}",
    }
    return Line(date(2026, 3, 24), finding, cause=cause, **{**record, **more})


def counted(*lines: Line, window: Window = BERLIN) -> Numbers:
    return count(lines, window=window, rows=len(lines), outside=0, set_aside=0, confidence=0.95)


def test_differences_of_a_known_cause_lower_the_rate_and_not_the_one_that_is_checked():
    numbers = counted(
        line(1),
        line(2, Finding.FIELD_DIFFERENCE, Cause.MAPPING_ERROR),
        line(3, Finding.FIELD_DIFFERENCE, Cause.UNKNOWN),
        line(4, Finding.FIELD_DIFFERENCE, Cause.ATTRIBUTION_RULE),
    )  # fmt: skip
    assert (numbers.matched, numbers.agreeing, numbers.rate, numbers.unexplained_rate) == (4, 2, 0.5, 0.75)
    assert (numbers.open, numbers.unexplained) == (2, 1)
    assert len(numbers.days) == 7


def test_every_cause_has_its_words():
    assert all(what_to_do(cause) for cause in Cause)
    assert all(what_to_do(cause).startswith("Nothing") for cause in AS_MEANT)
    assert "no consent" in what_to_do("gate:no_consent")
    assert "last name" in what_to_do("quarantined:last_name")


# ---------------------------------------------------------------- sign-off


class Office:
    """A ledger in which comparisons are kept, and somebody who signs."""

    def __init__(self, home: Path) -> None:
        self.now = utc(2026, 3, 30)
        self.contract = parse_contract(sandbox_contract())
        self.ledger = Ledger.open(f"sqlite:///{home}/ledger.sqlite", home=home, clock=lambda: self.now)

    def compared(self, *lines: Line, at: datetime | None = None) -> None:
        self.now, now = at or self.now, self.now
        numbers = counted(*lines)
        self.ledger.record_verification(
            COMPARISON, passed=numbers.passed, environment="sandbox", fingerprint=fingerprint_of(self.contract),
            made_by="job:refresh", facts=numbers.facts(),
        )  # fmt: skip
        self.now = now

    def sign(self, *, reason: str = "all was looked at", **options: Any) -> Any:
        options = {"refuse": False, "accept_findings": False, "now": self.now, **options}
        return sign_off(self.ledger, self.contract, by=OWNER, reason=reason, **options)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.ledger.close()


OPEN = line(2, Finding.FIELD_DIFFERENCE, Cause.UNKNOWN, field="email")


def test_a_sign_off_keeps_the_numbers_that_were_signed_and_of_what_they_are_true(office: Office):
    office.compared(line(1), line(2))
    signed = office.sign()
    kept = office.ledger.latest_verification(SIGN_OFF, fingerprint_of(office.contract))
    assert kept == signed
    assert (signed.passed, signed.made_by, signed.environment) == (True, OWNER, "sandbox")
    assert {name: signed.facts[name] for name in ("matched", "agreeing", "rate", "open", "accepted_findings")} == {
        "matched": 2, "agreeing": 2, "rate": 1.0, "open": 0, "accepted_findings": 0,
    }  # fmt: skip
    assert signed.facts["low"] == pytest.approx(0.05**0.5)


def test_nothing_is_signed_that_was_not_compared_under_this_contract(office: Office):
    with pytest.raises(SignOffRefused, match="run `referral-pipeline parallel-run` first"):
        office.sign()
    office.compared(line(1))
    other = office.contract.model_copy(update={"stage_map": {}})
    with pytest.raises(SignOffRefused, match="this stage map"):
        sign_off(office.ledger, other, by=OWNER, reason="x", refuse=False, accept_findings=False, now=office.now)


def test_nothing_is_signed_before_the_last_day_is_over_in_its_zone(office: Office):
    midnight = utc(2026, 3, 29, 22)  # in summer time since that morning
    office.compared(line(1), at=midnight)
    with pytest.raises(SignOffRefused, match=r"not over before 2026-03-30T00:00\+02:00 \(Europe/Berlin\)"):
        office.sign(now=midnight - timedelta(seconds=1))
    assert office.sign(now=midnight).passed


def test_a_comparison_from_before_the_end_is_not_signed(office: Office):
    office.compared(line(1), at=utc(2026, 3, 28))
    with pytest.raises(SignOffRefused, match="made before the window was over"):
        office.sign()


def test_open_findings_are_signed_only_when_they_are_accepted_for_a_reason(office: Office):
    office.compared(line(1), OPEN)
    with pytest.raises(SignOffRefused, match=r"1 findings are open, 1 of them unexplained .*1 unknown"):
        office.sign()
    with pytest.raises(SignOffRefused, match="needs a reason"):
        office.sign(accept_findings=True, reason="  ")
    signed = office.sign(accept_findings=True, reason="i.csv:2 was a slip of ours")
    assert (signed.passed, signed.facts["accepted_findings"]) == (True, 1)
    assert signed.facts["reason"] == "i.csv:2 was a slip of ours"


def test_a_no_can_be_said_at_any_time(office: Office):
    office.compared(line(1), OPEN)
    refused = office.sign(refuse=True, reason="too many slips", now=utc(2026, 3, 24))
    assert (refused.passed, refused.facts["accepted_findings"]) == (False, 0)


def test_go_live_holds_the_findings_that_were_signed_over_to_be_no_more_than_they_were(office: Office):
    def state() -> str:
        found = standings(office.contract, office.ledger, now=office.now)
        return next(one.state for one in found if one.requirement.kind == COMPARISON)

    office.compared(line(1), OPEN)
    assert state() == "failed"
    office.sign(accept_findings=True, reason="i.csv:2 was a slip of ours")
    assert state() == "passed"
    office.compared(line(1), OPEN)
    assert state() == "passed"
    office.compared(line(1), OPEN, line(3, Finding.FIELD_DIFFERENCE, Cause.UNKNOWN, field="phone"))
    assert state() == "failed"
    # As many, and another cause, which nobody has accepted.
    office.compared(line(1), line(2, Finding.MISSED_DUPLICATE, Cause.WRONG_MERGE))
    assert state() == "failed"
    office.compared(line(1), OPEN)
    assert state() == "passed"
    office.sign(refuse=True, reason="we looked again")
    assert state() == "failed"


def test_what_has_nothing_in_common_is_not_signed(office: Office):
    office.compared(line(1, Finding.MISSING_IN_INTEGRATION, Cause.NOT_ON_PLATFORM, application_key=None))
    with pytest.raises(SignOffRefused, match="no record of manual intake was found"):
        office.sign(accept_findings=True)


# ---------------------------------------------------------------- assets and command


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for side in ("ADVOCACY", "GREENHOUSE"):
        for name in ("CLIENT_ID", "CLIENT_SECRET", "WEBHOOK_SECRET"):
            monkeypatch.setenv(f"{side}_{name}", "a-secret-value")
    monkeypatch.setenv("REFERRAL_PIPELINE_KEY", Fernet.generate_key().decode())
    monkeypatch.setenv("REFERRAL_PIPELINE_HASH_KEY", "0123456789abcdef")
    monkeypatch.setenv("REFERRAL_PIPELINE_HOME", str(tmp_path))
    monkeypatch.delenv("REFERRAL_PIPELINE_CONFIG", raising=False)
    (tmp_path / "data" / "state").mkdir(parents=True)
    return tmp_path


def materialized(home: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The metadata of both assets, and the checks by name."""
    run = dg.materialize([manual_intake, parallel_run], resources={"bridge": BridgeResource(home=str(home))})
    metadata: dict[str, Any] = {}
    for event in run.get_asset_materialization_events():
        made = event.step_materialization_data.materialization
        metadata |= {f"{made.asset_key.to_user_string()}.{name}": value.value for name, value in made.metadata.items()}
    return metadata, {check.check_name: check for check in run.get_asset_check_evaluations()}


def launch_with_a_wrong_stage_map(home: Path, section: str = "") -> None:
    """Its warehouse, ledger, contract and manual intake; `section` is added to the contract's parallel_run."""
    launch = Launch(home / "data" / "state")  # the warehouse and the ledger of this home
    for number, person in enumerate(PEOPLE[:4], start=1):
        launch.written(number, person)
        launch.typed(person, status="interviewed")
        launch.stage(number, "Face to Face", "in_review")
    launch.compare()
    launch.close()
    text = sandbox_contract()
    (home / "data" / "integration.yaml").write_text(
        text[: text.index("    columns:\n")] + section + _STORES, encoding="utf-8"
    )
    sample = home / "data" / "samples" / "manual_intake.csv"
    sample.parent.mkdir()
    sample.write_bytes((home / "data" / "state" / "intake.csv").read_bytes())
    assert sample.read_text(encoding="utf-8").startswith(",".join(COLUMNS))


_STORES = 'warehouse: {url: "data/state/warehouse.duckdb"}\nledger: {url: "sqlite:///data/state/ledger.sqlite"}\n'


def test_a_wrong_stage_map_fails_one_check_by_its_name_and_is_shown_and_signed_on_the_command_line(home: Path):
    launch_with_a_wrong_stage_map(home)

    told, checks = materialized(home)
    assert {name for name, check in checks.items() if not check.passed} == {NOT_MAPPED_WRONGLY}
    failed = checks[NOT_MAPPED_WRONGLY]
    assert failed.metadata["failed_rows"].value == 4
    assert "stage 'Face to Face' counts as in_review" in (failed.description or "")
    assert "stage_map" in failed.metadata["what_to_do"].value
    assert (told["parallel_run.agreement_rate"], told["parallel_run.open_findings"]) == (0.0, 4)
    assert told["parallel_run.by_day"].records[0].data["field differences"] == 4
    assert not any(name in repr(told).casefold() for name in ("builder", "curie", "example.com"))

    shown = CliRunner().invoke(main, ["parallel-run"])
    assert shown.exit_code == 1, shown.output
    assert "0 of 4 records agree (0.0%)" in shown.output
    assert "mapping_error: The same field differs in most rows" in shown.output
    assert "Before: " in shown.output
    found = json.loads(CliRunner().invoke(main, ["parallel-run", "--json"]).stdout)
    assert (found["passed"], found["causes"], len(found["lines"])) == (False, {"mapping_error": 4}, 4)

    sign = ["parallel-run", "sign-off", "--by", OWNER, "--reason", "the stage map is mended by hand"]
    refused = CliRunner().invoke(main, sign)
    assert refused.exit_code == 1
    assert "4 findings are open, 0 of them unexplained" in refused.output
    signed = CliRunner().invoke(main, [*sign, "--accept-findings"])
    assert signed.exit_code == 0, signed.output
    assert "is signed off by talent-ops@example.com: 0 of 4 records agree, 4 findings open" in signed.output


def test_of_a_job_an_unchanged_comparison_is_kept_once_a_day_and_once_more_after_the_window(home: Path):
    today = datetime.now(UTC)
    midnight = datetime(today.year, today.month, today.day, tzinfo=UTC) + timedelta(days=1)
    launch_with_a_wrong_stage_map(
        home, f"    starts_on: {NOW.date() - timedelta(days=90)}\n    ends_on: {today.date()}\n"
    )
    with Bridge.open() as bridge:

        def kept(*, by: str = f"{JOB}refresh", now: datetime = today) -> int:
            compare_manual_intake(bridge, made_by=by, now=now)
            return len(bridge.ledger.verifications(COMPARISON))

        stage_manual_intake(bridge)
        assert [kept(), kept()] == [1, 1]
        assert kept(by=OWNER) == 2  # whoever asks is answered, and it is kept that they did
        assert kept() == 2
        assert kept(now=midnight) == 3
        assert kept(now=today + timedelta(days=2)) == 4
        with bridge.warehouse.connect() as connection:
            connection.execute("DELETE FROM staging.manual_intake WHERE line = 2")
        assert kept() == 5


def test_without_a_parallel_run_the_assets_say_so_and_every_check_passes(home: Path):
    (home / "data" / "integration.yaml").write_text(integration_yaml(Choices()), encoding="utf-8")
    told, checks = materialized(home)
    assert (told["manual_intake.note"], told["parallel_run.note"]) == (NOT_CONFIGURED, NOT_CONFIGURED)
    assert {name: check.passed for name, check in checks.items()} == dict.fromkeys(CHECKS, True)


def test_an_address_that_is_none_signs_nothing(home: Path):
    result = CliRunner().invoke(main, ["parallel-run", "sign-off", "--by", "me", "--reason", "x"])
    assert result.exit_code == 2
    assert "is no e-mail address" in result.output


# ---------------------------------------------------------------- the sample


def test_the_repositorys_manual_intake_is_that_of_the_sandbox_and_fits_a_programme_of_any_day():
    text = (REPOSITORY / "data" / "samples" / "manual_intake.csv").read_text(encoding="utf-8")
    made = generate(as_of=SAMPLE)
    assert text == sample_manual_intake(made.advocacy["referrals"], made.truth)
    later = generate(as_of=SAMPLE + timedelta(days=500))

    def without_times(sample: str) -> list[list[str]]:
        return [[cell for place, cell in enumerate(row.split(",")) if place != 1] for row in sample.splitlines()]

    assert without_times(text) == without_times(sample_manual_intake(later.advocacy["referrals"], later.truth))


def test_a_sandbox_elsewhere_gets_an_intake_of_its_own_and_never_over_another(tmp_path: Path):
    path = write_sample_manual_intake(tmp_path, list, lambda: {"as_of": "2026-11-28T00:00:00Z", "referrals": {}})
    section = parse_contract(sandbox_contract()).verification.parallel_run
    assert section is not None
    assert path == tmp_path / section.files
    path.write_text("mine", encoding="utf-8")
    write_sample_manual_intake(tmp_path, list, dict)
    assert path.read_text(encoding="utf-8") == "mine"
