"""Registering webhooks and making fields by the vendors' APIs: what is missing, once, whatever answers are lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.connectors import lever_events, lever_setup
from referral_pipeline.connectors.ashby import AshbyConnector
from referral_pipeline.connectors.ashby_events import TYPES as ASHBY_TYPES
from referral_pipeline.connectors.ashby_models import DEFAULT_FIELDS, AshbyOptions
from referral_pipeline.connectors.ashby_setup import HookIds
from referral_pipeline.connectors.failures import Forbidden, Invalid
from referral_pipeline.connectors.setup import (
    CreatesFields,
    Registered,
    RegistersWebhooks,
    hook_url,
    missing_events,
    register_missing,
)
from referral_pipeline_tests.unit import ashby_account, lever_account

URL = "https://bridge.example.com/webhooks/lever"
ASHBY_URL = "https://bridge.example.com/webhooks/ashby"
KEY = "a-key-of-the-environment"


@pytest.fixture
def lever() -> Iterator[lever_account.Account]:
    with lever_account.account_with() as account:
        yield account


@pytest.fixture
def ashby() -> Iterator[ashby_account.Account]:
    with ashby_account.account_with() as account:
        yield account


def registered(source: RegistersWebhooks, url: str, key: str | None = None) -> list[Registered]:
    told: list[Registered] = []
    assert list(register_missing(source, url, key=key, told=told.append)) == [one.hook.event for one in told]
    return told


def test_the_receiver_has_one_address_for_each_system():
    assert hook_url("https://bridge.example.com/", "lever") == URL
    assert hook_url(URL, "lever") == URL
    for wrong in ("bridge.example.com", "ftp://bridge.example.com", "https://bridge.example.com/?a=b"):
        with pytest.raises(ValueError, match="must be the web address"):
            hook_url(wrong, "lever")


# ------------------------------------------------------------ Lever


@pytest.mark.parametrize("answer", ["single", "double"])
def test_each_event_that_lever_can_tell_is_registered_once_with_a_key_of_its_own(answer: str):
    with lever_account.account_with(webhook_create_answer=answer) as account:
        made = registered(account.connector, URL)
        assert [one.hook.event for one in made] == list(lever_setup.EVENTS)
        assert len({one.key for one in made}) == len(made)
        assert {one["configuration"]["signatureToken"] for one in account.memory.webhooks} == {one.key for one in made}
        assert all(one.key not in repr(one) for one in made if one.key)
        assert registered(account.connector, URL) == []
        assert len(account.memory.webhooks) == len(made)


def test_every_event_that_is_registered_at_lever_is_read():
    assert set(lever_setup.EVENTS) <= lever_events.TYPES


def test_webhooks_of_lever_that_point_elsewhere_stay_and_do_not_count(lever: lever_account.Account):
    elsewhere = {"url": "https://other.example.com/hook", "event": "candidateHired"}
    lever.http("POST", "webhooks", json=elsewhere)
    lever.http("POST", "webhooks", json={"url": f"{URL}/", "event": "candidateDeleted"})
    assert set(missing_events(lever.connector, URL)) == set(lever_setup.EVENTS) - {"candidateDeleted"}
    registered(lever.connector, URL)
    assert [one["url"] for one in lever.memory.webhooks].count(elsewhere["url"]) == 1


def test_a_webhook_of_lever_whose_key_nobody_heard_is_ended_and_made_again(lever: lever_account.Account):
    app, losses = lever._door.app, [2]

    async def loses(scope: Any, receive: Any, send: Any) -> None:
        is_create = scope["type"] == "http" and (scope["method"], scope["path"]) == ("POST", "/v1/webhooks")
        if not is_create or not losses[0]:
            await app(scope, receive, send)
            return
        losses[0] -= 1

        async def swallow(message: Any) -> None:
            del message

        await app(scope, receive, swallow)
        await send({"type": "http.response.start", "status": 502, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    lever._door.app = loses
    made = registered(lever.connector, URL)
    assert sorted(one["event"] for one in lever.memory.webhooks) == sorted(lever_setup.EVENTS)
    assert {one["configuration"]["signatureToken"] for one in lever.memory.webhooks} == {one.key for one in made}


def test_a_key_of_lever_that_may_register_none_is_told(lever: lever_account.Account):
    lever.switch(operations_forbidden=["POST /webhooks"])
    with pytest.raises(Forbidden, match=r"webhooks\.create"):
        registered(lever.connector, URL)


def test_fields_of_lever_need_no_definition(lever: lever_account.Account):
    assert isinstance(lever.connector, CreatesFields)
    assert lever.connector.missing_fields() == []


# ------------------------------------------------------------ Ashby


def connect(account: ashby_account.Account, path: Path) -> AshbyConnector:
    """A new process of one installation."""
    made = account.connect()
    return AshbyConnector(
        made._client, AshbyOptions(source_name=ashby_account.SOURCE), stage_map={}, hook_ids=HookIds(path, "tests")
    )


def test_each_event_that_ashby_can_tell_is_registered_once_with_the_key_of_the_environment(
    ashby: ashby_account.Account, tmp_path: Path
):
    path = tmp_path / "hooks.json"
    first = connect(ashby, path)
    made = registered(first, ASHBY_URL, KEY)
    assert [one.hook.event for one in made] == list(first.hook_events)
    assert {one.key for one in made} == {None}  # nothing is told that is not known already
    assert {one["secretToken"] for one in ashby.world.webhooks.values()} == {KEY}
    assert KEY not in path.read_text()
    assert registered(connect(ashby, path), ASHBY_URL, KEY) == []
    assert len(ashby.world.webhooks) == len(made)
    assert set(first.hook_events) <= ASHBY_TYPES


def test_without_a_key_nothing_is_registered_at_ashby(ashby: ashby_account.Account):
    with pytest.raises(Invalid, match="no key to sign with"):
        registered(ashby.connector, ASHBY_URL, None)
    assert ashby.world.webhooks == {}


def test_webhooks_of_ashby_that_are_gone_or_switched_off_are_registered_again(
    ashby: ashby_account.Account, tmp_path: Path
):
    source = connect(ashby, tmp_path / "hooks.json")
    made = registered(source, ASHBY_URL, KEY)
    del ashby.world.webhooks[made[0].hook.id]
    ashby.world.webhooks[made[1].hook.id]["enabled"] = False
    again = [one.hook.event for one in registered(source, ASHBY_URL, KEY)]
    assert again == [made[0].hook.event, made[1].hook.event]
    assert len(ashby.world.webhooks) == len(made)
    assert missing_events(source, ASHBY_URL) == []


def test_a_webhook_of_ashby_whose_ping_nobody_answered_is_told_to_be_off(ashby: ashby_account.Account):
    ashby.switch(webhook_ping="refused")
    made = registered(ashby.connector, ASHBY_URL, KEY)
    assert {one.hook.is_on for one in made} == {False}
    assert missing_events(ashby.connector, ASHBY_URL) == list(ashby.connector.hook_events)


def test_the_probe_of_ashby_tells_whether_webhooks_point_here(ashby: ashby_account.Account, tmp_path: Path):
    source = connect(ashby, tmp_path / "hooks.json")

    def told() -> str:
        return next(one.found for one in source.probe() if one.key == "ats.webhook_secret_env")

    assert "referral-pipeline webhooks register" in told()
    registered(source, ASHBY_URL, KEY)
    assert told().startswith("events are sent to a receiver: applicationSubmit")
    ashby.switch(permissions_missing=("apiKeysRead",))
    assert "Admin > Integrations > Webhooks" in told()


def test_fields_that_ashby_has_not_are_made_once_whatever_answers_are_lost(ashby: ashby_account.Account):
    for key in ("share_id", "reach"):
        ashby.acts.archive_custom_field(key)
    source = ashby.connect(custom_fields={"campaign_tag": "Campaign of ours"})
    missing = source.missing_fields()
    assert [(one.title, one.state) for one in missing] == [
        ("Share id", "is archived"),
        ("Campaign of ours", "does not exist"),
        ("Reach", "is archived"),
    ]
    ashby.lose_answer("customField.create")
    for one in missing:
        source.create_field(one)
        source.create_field(one)
    assert source.missing_fields() == []
    assert len(ashby.sent("customField.create")) == len(missing)
    assert not [one for one in source.probe() if one.key.startswith("ats.options.custom_fields") and not one.ok]
    opened = source.create_candidate(ashby_account.ADA, ashby.new_application()).application
    assert opened is not None
    assert opened.tags["campaign_tag"] == "spring"
    assert set(DEFAULT_FIELDS) >= set(opened.tags)


def test_a_key_of_ashby_that_may_make_no_field_is_told(ashby: ashby_account.Account):
    ashby.acts.archive_custom_field("share_id")
    ashby.switch(permissions_missing=("hiringProcessMetadataWrite",))
    [missing] = ashby.connector.missing_fields()
    with pytest.raises(Forbidden, match="missing_endpoint_permission"):
        ashby.connector.create_field(missing)
