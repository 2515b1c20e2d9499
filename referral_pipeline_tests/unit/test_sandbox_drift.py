"""A sandbox can change its API as a vendor does, and goes back to what it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from referral_pipeline.sandbox.drift import Drift
from referral_pipeline_tests.unit.advocacy_server import serving

ROWS = [{"id": 1, "person": {"email": "a@example.com"}, "rank": 2, "tags": []}, {"id": 2, "person": None, "rank": None}]


async def _list(request: Request) -> Response:
    return JSONResponse(ROWS)


async def _page(request: Request) -> Response:
    return JSONResponse({"data": ROWS, "next_cursor": None})


async def _one(request: Request) -> Response:
    return JSONResponse(ROWS[0])


async def _refuse(request: Request) -> Response:
    return JSONResponse({"id": "no"}, 404)


async def _nothing(request: Request) -> Response:
    return Response(status_code=204)


@pytest.fixture(scope="module")
def root() -> Iterator[str]:
    paths = {"/list": _list, "/page": _page, "/one": _one, "/refused": _refuse, "/nothing": _nothing}
    routes = [Route(path, handler, methods=["GET", "POST"]) for path, handler in paths.items()]
    with serving(Drift(Starlette(routes=routes))) as running:
        yield running


@pytest.fixture(autouse=True)
def as_ever(root: str) -> Iterator[None]:
    yield
    drift(root)


def drift(root: str, *changes: dict[str, Any]) -> requests.Response:
    return requests.post(f"{root}/_sandbox/drift", json={"changes": list(changes)}, timeout=5)


def get(root: str, path: str) -> Any:
    return requests.get(f"{root}{path}", timeout=5).json()


def test_without_changes_everything_is_as_it_is(root: str):
    assert get(root, "/list") == ROWS
    assert requests.get(f"{root}/nothing", timeout=5).status_code == 204


@pytest.mark.parametrize("path", ["/list", "/page", "/one"])
def test_a_field_of_the_rows_is_renamed_wherever_rows_stand(root: str, path: str):
    drift(root, {"rename": {"id": "uid", "person.email": "address"}})
    answer = get(root, path)
    row = answer[0] if path == "/list" else answer["data"][0] if path == "/page" else answer
    assert row == {"person": {"address": "a@example.com"}, "rank": 2, "tags": [], "uid": 1}


def test_fields_are_added_get_another_type_and_another_word(root: str):
    drift(root, {"add": {"pronouns": None}, "retype": ["rank", "person", "tags"], "word": {"id": "x"}, "rows": 1})
    assert get(root, "/list") == [
        {"id": "x", "person": '{"email": "a@example.com"}', "rank": "2", "tags": {"value": []}, "pronouns": None},
        ROWS[1],
    ]


def test_the_answer_itself_can_change_and_only_that_of_the_calls_meant(root: str):
    drift(root, {"only": "GET /page", "rename": {"$.data": "rows"}})
    assert get(root, "/page").keys() == {"rows", "next_cursor"}
    assert get(root, "/list") == ROWS


def test_headers_come_with_every_answer_and_what_is_refused_or_empty_stays(root: str):
    drift(root, {"rename": {"id": "uid"}, "headers": {"Sunset": "Sat, 27 Feb 2027 00:00:00 GMT"}})
    refused = requests.get(f"{root}/refused", timeout=5)
    assert (refused.status_code, refused.json()) == (404, {"id": "no"})
    empty = requests.get(f"{root}/nothing", timeout=5)
    assert (empty.status_code, empty.content) == (204, b"")
    assert {refused.headers["Sunset"], empty.headers["Sunset"]} == {"Sat, 27 Feb 2027 00:00:00 GMT"}


def test_a_wish_that_is_not_understood_changes_nothing(root: str):
    assert drift(root, {"rname": {"id": "uid"}}).status_code == 422
    assert get(root, "/list") == ROWS
    assert requests.get(f"{root}/_sandbox/drift", timeout=5).json() == {"changes": []}
