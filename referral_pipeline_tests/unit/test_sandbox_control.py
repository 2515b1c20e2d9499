"""The control plane that the sandboxes of Greenhouse, Lever, Ashby and HubSpot share, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
import requests

from referral_pipeline_tests.unit import ashby_account, greenhouse_account, hubspot_account, lever_account

OPENERS: dict[str, Callable[..., AbstractContextManager[Any]]] = {
    "greenhouse": greenhouse_account.account_with,
    "lever": lever_account.account_with,
    "ashby": ashby_account.account_with,
    "hubspot": hubspot_account.account_with,
}
CALLS = {
    "greenhouse": ("GET", "v3/candidates"),
    "lever": ("GET", "v1/opportunities"),
    "ashby": ("POST", "candidate.list"),
    "hubspot": ("GET", "crm/v3/objects/contacts"),
}


class Control:
    """The endpoints below /_sandbox of one vendor."""

    def __init__(self, vendor: str, root: str) -> None:
        self._vendor, self._root = vendor, root

    def ask(self, path: str) -> Any:
        answer = requests.get(f"{self._root}/_sandbox/{path}", timeout=5)
        assert answer.status_code == 200
        return answer.json()

    def post(self, path: str, body: Any) -> requests.Response:
        return requests.post(f"{self._root}/_sandbox/{path}", data=json.dumps(body), timeout=5)

    def call_the_vendor_without_a_key(self) -> None:
        method, path = CALLS[self._vendor]
        requests.request(method, f"{self._root}/{path}", timeout=5)


@pytest.fixture(params=sorted(OPENERS))
def control(request: pytest.FixtureRequest) -> Iterator[Control]:
    with OPENERS[request.param]() as account:
        yield Control(request.param, account.root)


@pytest.mark.parametrize("body", [[1], "forbidden", 1, None])
@pytest.mark.parametrize("path", ["switches", "act"])
def test_a_body_that_is_no_object_is_refused_and_changes_nothing(control: Control, path: str, body: Any) -> None:
    before = control.ask("switches"), control.ask("dump")
    answer = control.post(path, body)
    assert answer.status_code == 400
    assert "JSON object" in answer.json()["problem"]
    assert (control.ask("switches"), control.ask("dump")) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"no_such_switch": True},
        {"operations_absent": ["no such operation"]},
        {"operations_forbidden": ["no such operation"]},
        {"operations_forbidden": 1},
    ],
)
def test_switches_that_the_vendor_does_not_know_are_refused_by_name(control: Control, changes: Any) -> None:
    before = control.ask("switches")
    answer = control.post("switches", changes)
    assert answer.status_code == 422
    (name,) = changes
    assert any(name in said or "no such operation is no operation" in said for said in answer.json()["problem"])
    assert control.ask("switches") == before


def test_changed_switches_are_answered_and_stay(control: Control) -> None:
    (name, value), *_ = [(k, v) for k, v in control.ask("switches").items() if isinstance(v, int) and v > 1]
    answer = control.post("switches", {name: value + 1})
    assert answer.status_code == 200
    assert answer.json()[name] == value + 1
    assert control.ask("switches") == answer.json()


def test_an_act_without_a_name_is_malformed_and_one_that_is_unknown_is_refused(control: Control) -> None:
    before = control.ask("dump")
    assert control.post("act", {"id": "1"}).status_code == 400
    answer = control.post("act", {"action": "fly"})
    assert answer.status_code == 422
    assert answer.json()["problem"]
    assert control.ask("dump") == before


def test_calls_are_counted_by_operation_and_status_until_they_are_reset(control: Control) -> None:
    control.post("calls/reset", {})
    control.call_the_vendor_without_a_key()
    counted = control.ask("calls")
    assert sum(number for counts in counted.values() for number in counts.values()) == 1
    control.post("calls/reset", {})
    assert control.ask("calls") == {}
