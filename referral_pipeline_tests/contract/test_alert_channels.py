"""Where alerts go, as the contract says it: what is taken, what is refused at which key, which secrets are missing."""

from __future__ import annotations

import pytest

from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.models import EmailChannel
from referral_pipeline.contract.secrets import missing_secrets
from referral_pipeline_tests.contract.wrong import PRODUCTION, changed, the_problem

LOG = "alerts: [{type: log}]"
MAIL = "type: email, from: bridge@example.com, smtp_host: smtp.example.com"
SIGNED_IN = "username_env: ALERT_SMTP_USERNAME, password_env: ALERT_SMTP_PASSWORD"
HOOK = "type: webhook, secret_env: ALERT_WEBHOOK_SECRET, url"


def with_channels(channels: str, text: str | None = None) -> str:
    return changed((LOG, f"alerts: [{channels}]"), text=text)


def test_every_type_of_channel_is_taken_and_mail_is_encrypted_unless_it_is_said():
    text = with_channels(
        f"{{type: log}}, {{{MAIL}, {SIGNED_IN}}}, {{type: slack, url_env: ALERT_SLACK_URL}}, "
        f'{{{HOOK}: "https://hooks.example.com/x"}}'
    )
    channels = parse_contract(text).monitoring.alerts
    assert [channel.type for channel in channels] == ["log", "email", "slack", "webhook"]
    mail = channels[1]
    assert isinstance(mail, EmailChannel)
    assert mail.encrypted
    assert mail.smtp_port == 587


@pytest.mark.parametrize(
    ("channels", "key", "words"),
    [
        ("{type: emial}", "[0].type", "Did you mean email?"),
        ("{to: ops@example.com}", "[0].type", "one of log, email, slack, webhook"),
        ("{type: log}, log", "[1]", "Write {type: log}"),
        ("{type: log, to: ops@example.com}", "[0].to", "allowed here: type"),
        (f"{{{MAIL}, smtp_prt: 25}}", "[0].smtp_prt", "Did you mean smtp_port?"),
        (f"{{{MAIL}, smtp_port: 70000}}", "[0].smtp_port", "a port from 1 to 65535"),
        ("{type: email, from: x@example.com}", "[0].smtp_host", "like smtp_host: smtp.example.com"),
        ('{type: email, from: x@example.com, smtp_host: "smtp://x"}', "[0].smtp_host", "without port or scheme"),
        (f"{{{MAIL}, password_env: ALERT_SMTP_PASSWORD}}", "[0].username_env", "both or neither"),
        (f"{{{MAIL}, username_env: ALERT_SMTP_USERNAME}}", "[0].password_env", "both or neither"),
        (f"{{{MAIL}, {SIGNED_IN}, starttls: off}}", "[0].starttls", "nobody reads the password"),
        ("{type: slack}", "[0].url_env", "the name of an environment variable"),
        ("{type: log}, {type: log}", "", "each channel once"),
    ],
)
def test_a_wrong_channel_is_blamed_at_its_own_key(channels, key, words):
    problem = the_problem(with_channels(channels))
    assert problem.key == f"monitoring.alerts{key}"
    assert words in str(problem)


def test_a_slack_address_pasted_in_the_place_of_its_variable_is_never_shown():
    problem = the_problem(with_channels('{type: slack, url_env: "https://hooks.slack.com/services/T0/B0/xyz"}'))
    assert problem.key == "monitoring.alerts[0].url_env"
    assert "xyz" not in str(problem)


@pytest.mark.parametrize(
    ("channel", "key"),
    [
        (f'{{{HOOK}: "http://hooks.example.com"}}', "url"),
        (f'{{{HOOK}: "https://localhost/x"}}', "url"),
        (f"{{{MAIL}, starttls: off}}", "starttls"),
    ],
)
def test_in_production_nothing_is_told_in_the_clear(channel, key):
    assert the_problem(with_channels(channel, text=PRODUCTION)).key == f"monitoring.alerts[0].{key}"
    parse_contract(with_channels(channel))


def test_the_secrets_of_channels_are_looked_for_and_looked_at(secrets_in_environment):
    text = with_channels(
        f'{{{MAIL}, {SIGNED_IN}}}, {{type: slack, url_env: ALERT_SLACK_URL}}, {{{HOOK}: "https://hooks.example.com/x"}}'
    )
    names = ("ALERT_SMTP_USERNAME", "ALERT_SMTP_PASSWORD", "ALERT_SLACK_URL", "ALERT_WEBHOOK_SECRET")
    bare = missing_secrets(parse_contract(text), secrets_in_environment())
    assert [p.key.rpartition(".")[2] for p in bare] == ["username_env", "password_env", "url_env", "secret_env"]
    assert all(name in str(problem) for name, problem in zip(names, bare, strict=True))

    wrong = dict(zip(names, ("ops", "pass word", "http://hooks.slack.com/services/xyz", "not base64!"), strict=True))
    problems = missing_secrets(parse_contract(text), secrets_in_environment(**wrong))
    assert [p.key for p in problems] == ["monitoring.alerts[1].url_env", "monitoring.alerts[2].secret_env"]
    assert not any("xyz" in str(p) or "not base64" in str(p) for p in problems)

    right = wrong | {"ALERT_SLACK_URL": "https://hooks.slack.com/x", "ALERT_WEBHOOK_SECRET": "whsec_c2VjcmV0"}
    assert missing_secrets(parse_contract(text), secrets_in_environment(**right)) == []
