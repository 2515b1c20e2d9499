"""The section `costs`: what is refused, what `init`, `map` and `check` make of it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from referral_pipeline.connectors.check import check_installation
from referral_pipeline.connectors.costs import read_costs
from referral_pipeline.contract.flow import data_flow_map
from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.scaffold import Choices, integration_yaml, sandbox_contract
from referral_pipeline.contract.starter import write_starter
from referral_pipeline.sandbox.programme.costs import SAMPLE, sample_costs, write_sample_costs
from referral_pipeline_tests.contract.wrong import changed, the_problem

REPOSITORY = Path(__file__).parents[2]
RATE = '{currency: EUR, rate: "1.0837", as_of: 2026-09-30, source: "an example, not a market rate"}'
FILES = 'files: "data/samples/costs.csv"'
SECTION = sandbox_contract()[sandbox_contract().index("costs:\n") : sandbox_contract().index("# Nobody is written")]


def test_a_rate_keeps_the_decimals_it_was_written_with():
    for written in ('"1.0837"', "1.0837"):
        contract = parse_contract(changed(('rate: "1.0837"', f"rate: {written}")))
        (rate,) = contract.costs.rates
        assert (rate.currency, rate.rate, rate.as_of) == ("EUR", Decimal("1.0837"), date(2026, 9, 30))


@pytest.mark.parametrize(
    ("old", "new", "key", "words"),
    [
        ('rate: "1.0837"', "rate: 0", "costs.rates[0].rate", 'like "1.0837"'),
        ('rate: "1.0837"', 'rate: "1,0837"', "costs.rates[0].rate", "with a dot before its decimals"),
        ('rate: "1.0837"', "rate: -1", "costs.rates[0].rate", "found -1"),
        ('rate: "1.0837"', 'rate: "1e400"', "costs.rates[0].rate", "from 0.000000001"),
        ("as_of: 2026-09-30", "as_of: 30.09.2026", "costs.rates[0].as_of", "Write it like 2026-09-30"),
        ("as_of: 2026-09-30", "as_of: 2026-09-31", "costs.rates[0].as_of", "a day, year first"),
        ("as_of: 2026-09-30, ", "", "costs.rates[0].as_of", "Add as_of"),
        ("currency: EUR", "currency: euro", "costs.rates[0].currency", "ISO 4217"),
        ("{currency: EUR", "{currency: USD", "costs.rates", "found USD, the reporting currency itself"),
        (RATE, f"{RATE}, {RATE}", "costs.rates", "found EUR more than once"),
        (FILES, "files: s3://bucket/costs", "costs.files", "Write it like data/costs"),
        (FILES, f"{FILES}\n  folder: data/costs", "costs.folder", "files, currency, rates"),
    ],
)
def test_a_section_that_is_wrong_is_told_with_key_and_mend(old: str, new: str, key: str, words: str):
    problem = str(the_problem(changed((old, new))))
    assert problem.startswith(f"{key}: ")
    assert words in problem


def test_the_repositorys_costs_are_those_of_the_sandbox_and_all_of_them_can_be_read():
    text = (REPOSITORY / "data" / "samples" / "costs.csv").read_text(encoding="utf-8")
    assert text == sample_costs(*SAMPLE)
    assert all("synthetic: " in line for line in text.splitlines()[1:])
    read = read_costs(parse_contract(sandbox_contract()).costs, REPOSITORY)
    assert (len(read.lines), read.problems, read.repeated, read.notes) == (len(text.splitlines()) - 1, (), (), ())


def test_a_sandbox_elsewhere_gets_costs_of_its_years_and_never_over_others(tmp_path: Path):
    path = write_sample_costs(tmp_path, date(2031, 5, 4))
    assert path == tmp_path / parse_contract(sandbox_contract()).costs.files
    periods = {line.partition(",")[0] for line in path.read_text(encoding="utf-8").splitlines()[1:]}
    assert periods == {"2030", *(f"2030-Q{quarter}" for quarter in range(1, 5)), "2031-Q1", "2031-Q2"}
    path.write_text("mine", encoding="utf-8")
    write_sample_costs(tmp_path, date(2031, 5, 4))
    assert path.read_text(encoding="utf-8") == "mine"


def test_init_writes_the_section_as_a_comment_that_can_be_switched_on(tmp_path: Path):
    write_starter(Choices(currency="EUR"), home=tmp_path)
    text = (tmp_path / "data" / "integration.yaml").read_text(encoding="utf-8")
    assert parse_contract(text).costs is None
    on = "\n".join(line.removeprefix("# ") if line[2:].startswith(_SWITCHED) else line for line in text.splitlines())
    costs = parse_contract(on).costs
    assert (costs.files, costs.currency, [rate.currency for rate in costs.rates]) == ("data/costs", "EUR", ["USD"])


_SWITCHED = ("costs:", "  files:", "  currency:", "  rates:")


def test_the_map_shows_costs_where_there_are_any():
    assert 'costs -->|"costs: cost"| warehouse' in data_flow_map(parse_contract(sandbox_contract()))
    assert "Cost files" not in data_flow_map(parse_contract(integration_yaml(Choices())))


# ---------------------------------------------------------------- check


def checked(home: Path, secrets_in_environment, *lines: str, text: str | None = None) -> dict[str, tuple[bool, str]]:
    (home / "data" / "samples").mkdir(parents=True)
    (home / "data" / "integration.yaml").write_text(text or sandbox_contract(), encoding="utf-8")
    if lines:
        header = "period,channel,kind,amount,currency,allocation_key,note"
        (home / "data" / "samples" / "costs.csv").write_text("\n".join([header, *lines]), encoding="utf-8")
    report = check_installation(secrets_in_environment(), offline=True)
    assert [problem.key for problem in report.problems] == [f.key for f in report.findings if not f.ok]
    assert all(problem.mend for problem in report.problems)
    return {f.key: (f.ok, f"{f.found}. {f.mend}") for f in report.findings if f.key.startswith("costs")}


def test_check_says_what_it_read_of_the_costs(clean_environment, secrets_in_environment):
    found = checked(clean_environment, secrets_in_environment, *["2026-03,agency,external,1,EUR,,"] * 2)
    told = "2 lines in costs.csv; costs.csv:3 is the same cost as costs.csv:2; counted as other channels: agency. "
    assert found == {"costs": (True, told)}


def test_check_names_the_lines_to_mend_once_for_each_reason(clean_environment, secrets_in_environment):
    lines = ["2026-03,agency,external,1,CHF,,"] * 2 + ["2026-03,agency,external,1,USD,,"]
    found = checked(clean_environment, secrets_in_environment, *lines)
    told = "costs.csv:2, costs.csv:3: currency has no rate in the contract. Add one to costs.rates, to USD"
    assert found == {"costs.files": (False, told)}


def test_check_tells_a_file_that_is_not_there(clean_environment, secrets_in_environment):
    found = checked(clean_environment, secrets_in_environment)
    told = "costs.csv: file is not there. Put it in its place, or mend costs.files"
    assert found == {"costs.files": (False, told)}


def test_a_promise_of_cost_per_hire_without_costs_is_told_and_is_no_error(clean_environment, secrets_in_environment):
    text = changed((SECTION, ""), ("{name: time_to_hire_days, target: 45", "{name: cost_per_hire, target: 3000"))
    ok, found = checked(clean_environment, secrets_in_environment, text=text)["costs"]
    assert (ok, "cost_per_hire will have no value" in found) == (True, True)
    assert "add the section costs" in found
