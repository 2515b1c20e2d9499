"""The section `verification.parallel_run`: what is refused, what `init`, `map` and `check` make of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from referral_pipeline.connectors.check import check_installation
from referral_pipeline.contract.flow import data_flow_map
from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.scaffold import Choices, integration_yaml, sandbox_contract
from referral_pipeline.contract.starter import write_starter
from referral_pipeline_tests.contract.wrong import changed, the_problem

FILES = 'files: "data/samples/manual_intake.csv"'
HEADER = "Entered,E-mail,Requisition,No,First name,Last name,Phone,Country,Referred by,Status"


@pytest.mark.parametrize(
    ("old", "new", "key", "words"),
    [
        ("time_zone: UTC", "time_zone: CEST", "verification.parallel_run.time_zone", "Write it like Europe/Berlin"),
        ("late_hours: 24", "late_hours: 0", "verification.parallel_run.late_hours", "from 1 to 720"),
        (FILES, "files: s3://bucket/x", "verification.parallel_run.files", "Write it like data/costs"),
        ("phone: Phone", "mobile: Phone", "verification.parallel_run.columns", "Name our field first"),
        ("phone: Phone", "phone: country ", "verification.parallel_run.columns", "one column for phone and country"),
        (
            FILES,
            f"{FILES}\n    starts_on: 2027-01-11\n    ends_on: 2027-01-10",
            "verification.parallel_run.ends_on",
            "Exchange the two",
        ),
        (FILES, f"{FILES}\n    starts_on: 11.1.2027", "verification.parallel_run.starts_on", "a day, year first"),
    ],
)
def test_a_section_that_is_wrong_is_told_with_key_and_mend(old: str, new: str, key: str, words: str):
    problem = str(the_problem(changed((old, new))))
    assert problem.startswith(f"{key}: ")
    assert words in problem


def test_init_writes_the_section_as_a_comment_that_can_be_switched_on(tmp_path: Path):
    write_starter(Choices(), home=tmp_path)
    text = (tmp_path / "data" / "integration.yaml").read_text(encoding="utf-8")
    assert parse_contract(text).verification.parallel_run is None
    start = text.index("#   parallel_run:")
    end = text.index("\n\n", start)
    on = "\n".join(line.removeprefix("# ") for line in text[start:end].splitlines())
    section = parse_contract(text[:start] + on + text[end:]).verification.parallel_run
    assert section is not None
    assert (section.files, str(section.starts_on), section.columns["email"]) == (
        "data/manual_intake", "2027-01-11", "E-mail",
    )  # fmt: skip


def test_the_map_shows_manual_intake_with_its_personal_fields_where_there_is_any():
    shown = data_flow_map(parse_contract(sandbox_contract()))
    assert 'manual ==>|"manual intake: manual row"| warehouse' in shown
    assert "**first_name**, **last_name**, **email**, **phone**, **country**, job_id" in shown
    assert "Manual intake" not in data_flow_map(parse_contract(integration_yaml(Choices())))


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (("2026-03-02,a@example.com,J1,,,,,,,",), (True, "1 rows in manual_intake.csv", "")),
        (
            ("2.3.2026,a@example.com,J1,,,,,,,", "2026-03-02,b@example.com,J1,,,,,,,"),
            (
                False,
                "manual_intake.csv:2: entered_at is no time",
                "Write it year first, such as 2026-11-20 or 2026-11-20 14:30",
            ),
        ),
        (None, (False, "manual_intake.csv: file is not there", "Put it in its place, or mend verification.")),
    ],
)
def test_check_says_what_it_read_and_what_to_mend(
    clean_environment: Path, secrets_in_environment, lines: tuple[str, ...] | None, told: tuple[bool, str, str]
):
    (clean_environment / "data" / "samples").mkdir(parents=True)
    (clean_environment / "data" / "integration.yaml").write_text(sandbox_contract(), encoding="utf-8")
    if lines is not None:
        path = clean_environment / "data" / "samples" / "manual_intake.csv"
        path.write_text("\n".join([HEADER, *lines]), encoding="utf-8")
    report = check_installation(secrets_in_environment(), offline=True)
    (finding,) = [f for f in report.findings if f.key.startswith("verification")]
    ok, found, mend = told
    assert (finding.ok, finding.found) == (ok, found)
    assert finding.mend.startswith(mend)
