"""Every way in which a contract is refused: the key that is blamed, and the words that help."""

from __future__ import annotations

import re

import pytest

from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.problems import ContractError
from referral_pipeline.contract.scaffold import sandbox_contract
from referral_pipeline.contract.secrets import missing_secrets
from referral_pipeline_tests.contract.wrong import PRODUCTION, changed, problems_of, the_problem

CAMPAIGN = "{from: advocacy.referral.campaign_tag, to: ats.application.custom_fields.campaign_tag}"
FIRST_KPI = '{name: referral_conversion_rate, target: 0.06, owner: "talent-analytics@example.com"}'
SYSTEMS = "{candidate: ats, application: ats, job: ats, advocate: advocacy, content: advocacy, consent: advocacy}"

WRONG_CONTRACTS = {
    "unknown key": changed(("lookback_days: 90", "look_back: 90")),
    "bad URL": changed(("http://127.0.0.1:8702/v3", "127.0.0.1:8702/v3")),
    "http in production": changed(
        ("https://harvest.greenhouse.io/v3", "http://harvest.greenhouse.io/v3"), text=PRODUCTION
    ),
    "unknown KPI": changed(("{name: time_to_hire_days", "{name: time_to_hire_dayz")),
    "wrong owner": changed(("talent-ops@example.com", "the talent team")),
    "bad threshold": changed(("error_rate_threshold: 0.02", "error_rate_threshold: 2")),
    "cyclic mapping": changed(
        (
            CAMPAIGN,
            CAMPAIGN + "\n  - {from: ats.application.custom_fields.campaign_tag, to: advocacy.referral.campaign_tag}",
        )
    ),
    "foreign field": changed(("to: ats.application.custom_fields.campaign_tag", "to: ats.application.stage_name")),
    "unknown stage": changed(("create_when_stage: applied", "create_when_stage: aplied")),
    "two systems of record": changed(("{candidate: ats,", "{candidate: [ats, advocacy],")),
}


@pytest.mark.parametrize("kind", WRONG_CONTRACTS)
def test_each_wrong_contract_gives_exactly_one_line(kind):
    problem = the_problem(WRONG_CONTRACTS[kind])
    assert problem.key
    assert "\n" not in str(problem)


def test_the_wrong_contracts_and_a_missing_secret_give_different_lines(tmp_path, secrets_in_environment):
    settings = secrets_in_environment(without="GREENHOUSE_CLIENT_SECRET")
    lines = {str(the_problem(text)) for text in WRONG_CONTRACTS.values()}
    lines |= {str(problem) for problem in missing_secrets(parse_contract(sandbox_contract()), settings)}
    assert len(lines) == len(WRONG_CONTRACTS) + 1


def test_an_unknown_key_is_named_with_those_that_are_allowed_and_the_one_that_was_meant():
    problem = the_problem(changed(("lookback_days: 90", "lookback_day: 90")))
    assert problem.key == "rules.attribution.lookback_day"
    assert "model, lookback_days, tie" in problem.problem
    assert problem.mend == "Did you mean lookback_days?"


def test_an_unknown_section_is_refused():
    assert the_problem(sandbox_contract() + "monitor: {}\n").mend == "Did you mean monitoring?"


def test_a_secret_written_under_an_unknown_key_is_not_shown():
    problem = the_problem(
        changed(
            ("client_id_env: GREENHOUSE_CLIENT_ID", "client_id_env: GREENHOUSE_CLIENT_ID\n  client_secret: hunter2")
        )
    )
    assert problem.key == "ats.client_secret"
    assert problem.mend == "Did you mean client_secret_env?"
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize("secret", ["hunter2", "S3CR3TKEY", "sk_live_abcdef", "A" * 30, "123456"])
def test_a_secret_written_where_a_variable_is_named_is_not_shown(secret):
    problem = the_problem(changed(("client_secret_env: GREENHOUSE_CLIENT_SECRET", f"client_secret_env: {secret}")))
    assert problem.key == "ats.client_secret_env"
    assert secret not in str(problem)


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("127.0.0.1:8702/v3", "without http"),
        ("ftp://host/v3", "scheme 'ftp'"),
        ("htp://host/v3", "scheme 'htp'"),
        ("http://", "without a valid host"),
        ("http://host:99999/v3", "cannot be read"),
        ("http://ho st/v3", "spaces"),
        ("http://host/v3?key=abc", "query"),
        ("http://somebody:hunter2@host/v3", "user name or password"),
        ("http://[::1/v3", "cannot be read"),
        ("", "without http"),
    ],
)
def test_an_address_that_is_none_is_refused_without_showing_what_it_carries(address, word):
    problem = the_problem(changed(("http://127.0.0.1:8702/v3", address)))
    assert problem.key == "ats.base_url"
    assert word in problem.problem
    assert "hunter2" not in str(problem)
    assert "abc" not in str(problem)


def test_an_address_that_comes_from_the_environment_blames_the_variable():
    problem = the_problem(sandbox_contract(), ats_base_url="localhost:1")
    assert problem.key == "ats.base_url"
    assert "REFERRAL_PIPELINE_ATS_BASE_URL" in problem.mend


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:8702/v3", "http://harvest.greenhouse.io/v3", "https://127.0.0.1/v3", "https://[::1]/v3"],
)
def test_production_refuses_http_and_this_machine(address):
    problem = the_problem(changed(("https://harvest.greenhouse.io/v3", address), text=PRODUCTION))
    assert problem.key == "ats.base_url"
    assert "in environment production" in problem.problem


def test_production_refuses_http_for_the_token_endpoint():
    text = changed(("https://auth.greenhouse.io/token", "http://auth.greenhouse.io/token"), text=PRODUCTION)
    assert the_problem(text).key == "ats.auth_url"


def test_production_refuses_an_override_that_points_at_a_sandbox():
    assert the_problem(PRODUCTION, ats_base_url="http://127.0.0.1:1/v3").key == "ats.base_url"


def test_an_unknown_kpi_is_named_with_the_one_that_was_meant():
    problem = the_problem(changed(("{name: time_to_hire_days", "{name: time_to_hire")))
    assert problem.key == "objectives.kpis[1].name"
    assert "time_to_hire_days" in problem.mend


def test_an_objective_that_no_kpi_tells_of_is_refused():
    problem = the_problem(
        changed(
            ("primary: [attribute_hires, automate_bonuses, enrich_profiles]", "primary: [lower_cost_per_hire]"),
            ("    - " + FIRST_KPI + "\n", ""),
        )
    )
    assert problem.key == "objectives.kpis"
    assert "lower_cost_per_hire" in problem.problem
    assert "cost_per_hire" in problem.mend


def test_an_unknown_objective_is_refused():
    problem = the_problem(changed(("primary: [attribute_hires,", "primary: [atribute_hires,")))
    assert problem.key == "objectives.primary[0]"
    assert problem.mend == "Did you mean attribute_hires?"


def test_a_contract_without_objectives_is_refused():
    text = changed(("primary: [attribute_hires, automate_bonuses, enrich_profiles]", "primary: []"))
    assert the_problem(text).key == "objectives.primary"


@pytest.mark.parametrize(
    ("kpi", "key"),
    [
        ("{name: referral_conversion_rate, owner: a@example.com}", "objectives.kpis[0].target"),
        ("{name: referral_conversion_rate, target: null, owner: a@example.com}", "objectives.kpis[0].target"),
        ("{name: referral_conversion_rate, target: 6, owner: a@example.com}", "objectives.kpis[0].target"),
        ("{name: referral_conversion_rate, target: yes, owner: a@example.com}", "objectives.kpis[0].target"),
        ("{name: time_in_stage_days, target: 0, owner: a@example.com}", "objectives.kpis[0].target"),
        ("{name: referral_conversion_rate, target: 0.06}", "objectives.kpis[0].owner"),
        ("{name: referral_conversion_rate, target: 0.06, owner: null}", "objectives.kpis[0].owner"),
        ("{name: referral_conversion_rate, target: 0.06, owner: Somebody}", "objectives.kpis[0].owner"),
        ("{name: time_to_hire_days, target: 30, owner: a@example.com}", "objectives.kpis"),
        ("{target: 0.06, owner: a@example.com}", "objectives.kpis[0].name"),
        ("referral_conversion_rate", "objectives.kpis[0]"),
    ],
)
def test_a_kpi_needs_a_target_in_its_range_and_an_owner_once(kpi, key):
    assert the_problem(changed((FIRST_KPI, kpi))).key == key


def test_a_list_whose_only_entry_is_wrong_is_not_called_too_short_as_well():
    kpis = re.search(r"  kpis:\n(?:    - .*\n)+", sandbox_contract()).group()
    only = "  kpis:\n    - {name: referral_conversion_rate, target: 0.06, owner: Somebody}\n"
    assert the_problem(changed((kpis, only))).key == "objectives.kpis[0].owner"


@pytest.mark.parametrize("owner", ["somebody", "somebody@", "@example.com", "a b@example.com", "", "7"])
def test_an_owner_that_is_no_e_mail_address_is_refused_and_not_shown(owner):
    problem = the_problem(changed(('email: "talent-ops@example.com"', f'email: "{owner}"')))
    assert problem.key == "owner.email"
    assert "e-mail" in problem.problem
    assert len(owner) < 3 or owner not in problem.problem


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("error_rate_threshold: 0.02", "error_rate_threshold: 0", "monitoring.error_rate_threshold"),
        ("error_rate_threshold: 0.02", "error_rate_threshold: 1", "monitoring.error_rate_threshold"),
        ("error_rate_threshold: 0.02", "error_rate_threshold: -0.1", "monitoring.error_rate_threshold"),
        ("error_rate_threshold: 0.02", "error_rate_threshold: 2%", "monitoring.error_rate_threshold"),
        ("error_rate_threshold: 0.02", "error_rate_threshold: true", "monitoring.error_rate_threshold"),
        ("error_rate_threshold: 0.02", "error_rate_threshold: .nan", "monitoring.error_rate_threshold"),
        ("minimum_calls: 50", "minimum_calls: 0", "monitoring.minimum_calls"),
        ("minimum_calls: 50", "minimum_calls: 1.5", "monitoring.minimum_calls"),
        ("latency_p95_seconds: 60", "latency_p95_seconds: 0", "monitoring.latency_p95_seconds"),
        ("alerts: [{type: log}]", "alerts: [{type: pigeon}]", "monitoring.alerts[0].type"),
        ("alerts: [{type: log}]", "alerts: []", "monitoring.alerts"),
        ("shared_mailbox_limit: 3", "shared_mailbox_limit: 0", "rules.dedupe.shared_mailbox_limit"),
        ("match_on: [email, phone]", "match_on: []", "rules.dedupe.match_on"),
        ("match_on: [email, phone]", "match_on: [email, email]", "rules.dedupe.match_on"),
        ("match_on: [email, phone]", "match_on: [email, fax]", "rules.dedupe.match_on[1]"),
        ("model: last_touch", "model: lst_touch", "rules.attribution.model"),
        ("lookback_days: 90", "lookback_days: 0", "rules.attribution.lookback_days"),
        ("horizon_days: 90", "horizon_days: 0", "objectives.horizon_days"),
        ("sample: 50", "sample: 24", "verification.field_audit.sample"),
        ("sample: 50", "sample: 28", "verification.field_audit.sample"),  # cannot show 0.9 even without an error
        ("minimum_accuracy: 0.9", "minimum_accuracy: 1.0", "verification.field_audit.minimum_accuracy"),
        ("horizon_days: 90", "horizon_days: 731", "objectives.horizon_days"),
        ("horizon_days: 90", "horizon_days: 90.5", "objectives.horizon_days"),
        ("lookback_days: 90", "lookback_days: ninety", "rules.attribution.lookback_days"),
        ("lookback_days: 90", "lookback_days: 010", "rules.attribution.lookback_days"),
        ("tie: earliest_share", "tie: coin", "rules.attribution.tie"),
        ("amount_cents: 200000", "amount_cents: -1", "rules.bonus.amount_cents"),
        ("amount_cents: 200000", "amount_cents: 2000.50", "rules.bonus.amount_cents"),
        ("currency: USD, w", "currency: usd, w", "rules.bonus.currency"),
        ("currency: USD, w", "currency: XXX, w", "rules.bonus.currency"),
        ("waiting_days: 90", "waiting_days: -1", "rules.bonus.waiting_days"),
        ("split: payee}", "split: half}", "rules.bonus.split"),
        ("on_withdrawal: keep", "on_withdrawal: forget", "rules.on_withdrawal"),
        ("create_when_stage: applied", "create_when_stage: hired", "rules.create_when_stage"),
        ('"Phone Screen": interviewed', '"Phone Screen": interview', "stage_map.Phone Screen"),
        ("require_consent: on", "require_consent: perhaps", "privacy.require_consent"),
        ("retention_days: 730", "retention_days: 0", "privacy.retention_days"),
        ("[US, DE, FR]", "[]", "privacy.allowed_countries"),
        ("[US, DE, FR]", "[US, UK]", "privacy.allowed_countries[1]"),
        ("[US, DE, FR]", "[US, us]", "privacy.allowed_countries[1]"),
        ("[US, DE, FR]", "[US, US]", "privacy.allowed_countries"),
        ("regulated_fields: [first_name,", "regulated_fields: [shoe_size,", "privacy.regulated_fields[0]"),
        ("lookback_minutes: 15", "lookback_minutes: -1", "sync.lookback_minutes"),
        ("full_pull_hours: 24", "full_pull_hours: 0", "sync.full_pull_hours"),
        ("environment: sandbox", "environment: staging", "environment"),
        ("version: 1", "version: 2", "version"),
        ("version: 1\n", "", "version"),
        ("connector: greenhouse", "connector: grenhouse", "ats.connector"),
        ("connector: greenhouse", "connector: advocacy", "ats.connector"),
        ("sqlite:///data/state/ledger.sqlite", "mysql://root:hunter2@host/x", "ledger.url"),
        ("data/state/warehouse.duckdb", "md:my_database", "warehouse.url"),
        ("candidate_creation: on", "candidate_creation: sometimes", "phases.candidate_creation"),
        ("consent: advocacy}", "consent: crm}", "systems_of_record.consent"),
        ("job: ats,", "job: advocacy,", "systems_of_record.job"),
    ],
)
def test_a_value_out_of_range_or_vocabulary_is_refused_at_its_key(old, new, key):
    problem = the_problem(changed((old, new)))
    assert problem.key == key
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("model: last_touch", "model: lst_touch", "last_touch"),
        ("create_when_stage: applied", "create_when_stage: aplied", "applied"),
        ("connector: greenhouse", "connector: grenhouse", "greenhouse"),
        ("[US, DE, FR]", "[US, UK]", "GB"),
        ("currency: USD, w", "currency: usd, w", "USD"),
        ('"Phone Screen": interviewed', '"Phone Screen": interview', "interviewed"),
        ("environment: sandbox", "environment: sand-box", "sandbox"),
        ("from: advocacy.engagement.clicks", "from: advocacy.engagement.click", "advocacy.engagement.clicks"),
    ],
)
def test_a_close_match_is_offered(old, new, hint):
    assert the_problem(changed((old, new))).mend == f"Did you mean {hint}?"


@pytest.mark.parametrize("phase", ["status_return", "content_enrichment"])
def test_a_phase_that_depends_on_one_that_is_off_is_refused(phase):
    other = ({"status_return", "content_enrichment"} - {phase}).pop()
    problem = the_problem(
        changed(("candidate_creation: on", "candidate_creation: off"), (f"{other}: on", f"{other}: off"))
    )
    assert problem.key == f"phases.{phase}"
    assert "candidate_creation" in problem.problem


def test_a_record_with_a_list_of_systems_is_refused():
    problem = the_problem(changed(("{candidate: ats,", "{candidate: [ats, advocacy],")))
    assert problem.key == "systems_of_record.candidate"
    assert "2 systems of record" in problem.problem


def test_a_record_named_twice_is_refused_with_both_lines():
    twice = "\n  candidate: ats\n  application: ats\n  job: ats\n  candidate: advocacy"
    text = changed((f"\n  {SYSTEMS}", twice))
    problem = the_problem(text)
    first, second = (n for n, line in enumerate(text.splitlines(), 1) if line.startswith("  candidate: "))
    assert problem.key == "systems_of_record.candidate"
    assert f"line {first} and line {second}" in problem.problem
    assert "one system of record" in problem.problem


def test_all_problems_are_told_at_once_in_the_order_of_the_file():
    text = changed(
        ("environment: sandbox", "environment: staging"),
        ("{name: time_to_hire_days", "{name: time_to_hire_dayz"),
        ("candidate_creation: on", "candidate_creation: off"),
        ("http://127.0.0.1:8701", "127.0.0.1"),
        ("model: last_touch", "modell: last_touch"),
        ("from: advocacy.engagement.clicks", "from: advocacy.engagement.klicks"),
        ("retention_days: 730", "retention_days: 0"),
    )
    assert [problem.key for problem in problems_of(text)] == [
        "environment",
        "objectives.kpis[1].name",
        "phases.status_return",
        "phases.content_enrichment",
        "advocacy.base_url",
        "rules.attribution.modell",
        "mappings[5].from",
        "privacy.retention_days",
    ]


def test_the_error_says_each_problem_in_one_line():
    with pytest.raises(ContractError) as refused:
        parse_contract(changed(("version: 1", "version: 2"), ("minimum_calls: 50", "minimum_calls: 0")))
    assert len(str(refused.value).splitlines()) == 2


@pytest.mark.parametrize("section", ["owner", "objectives", "phases", "ats", "rules", "privacy", "systems_of_record"])
@pytest.mark.parametrize("value", ["[]", "word", "7", "null"])
def test_a_section_of_another_shape_is_refused(section, value):
    lines = sandbox_contract().splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"{section}:"))
    end = next((n for n in range(start + 1, len(lines)) if lines[n][:1].isalpha()), len(lines))
    problem = the_problem("\n".join([*lines[:start], f"{section}: {value}", *lines[end:]]))
    assert problem.key == section


def test_merges_asked_of_an_ats_that_cannot_merge_are_refused():
    merging = ("dedupe: {", "dedupe: {merge_in_ats: on, ")
    assert parse_contract(changed(merging)).rules.dedupe.merge_in_ats
    problem = the_problem(changed(merging, ("connector: greenhouse", "connector: lever")))
    assert problem.key == "rules.dedupe.merge_in_ats"
    assert "only with greenhouse" in problem.problem
    assert "Write off" in problem.mend


def test_a_contract_that_asks_for_no_merges_may_name_any_ats():
    assert not parse_contract(changed(("connector: greenhouse", "connector: lever"))).rules.dedupe.merge_in_ats
