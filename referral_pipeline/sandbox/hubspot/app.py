"""The ASGI application: the vendor's endpoints and, beside them, the control plane of the sandbox.

Belongs here: turning requests of the web framework into the vendor's and back, looking inside, acts of people. Does not
belong here: the endpoints of the control plane (sandbox.control), behaviour, injected faults (a middleware around this
app), starting servers.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response

from referral_pipeline.sandbox import control
from referral_pipeline.sandbox.hubspot.book import Book, Contact
from referral_pipeline.sandbox.hubspot.errors import Refusal
from referral_pipeline.sandbox.hubspot.schema import iso
from referral_pipeline.sandbox.hubspot.switches import HubSpotSwitches
from referral_pipeline.sandbox.hubspot.vendor import OPERATIONS, Incoming, Vendor

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def create_app(book: Book, *, key: str) -> FastAPI:
    """Make the app over a book of contacts. `app.state.vendor` is the `Vendor`."""
    vendor = Vendor(book, key)
    app = FastAPI(title="HubSpot CRM v3 sandbox", openapi_url=None, docs_url=None, redoc_url=None)
    app.router.redirect_slashes = False
    app.state.vendor = vendor
    control.add_control_plane(app, _inside(vendor))

    async def api(request: Request) -> Response:
        answer = vendor.answer(
            Incoming(
                method=request.method,
                path=request.scope["raw_path"].decode("latin-1"),
                query=request.url.query,
                authorization=request.headers.get("authorization"),
                content_type=request.headers.get("content-type", "").lower(),
                body=await request.body(),
            )
        )
        if answer.body is None:
            return Response(status_code=answer.status, headers=dict(answer.headers))
        return Response(answer.body, answer.status, dict(answer.headers), "application/json")

    app.add_route("/{path:path}", api, methods=_METHODS)
    return app


def _inside(vendor: Vendor) -> control.Inside[HubSpotSwitches]:
    book = vendor.book

    def dump() -> dict[str, Any]:
        return {
            "contacts": [_told(one) for one in book.contacts.values()],
            "properties": [one for one in book.schema.properties.values() if not one["hubspotDefined"]],
            "groups": list(book.schema.groups.values()),
            "_facts": {"erased": list(book.erased)},
        }

    def set_switches(switches: HubSpotSwitches) -> None:
        book.switches = switches

    def act(action: str, details: dict[str, Any]) -> dict[str, Any]:
        try:
            return perform(book, action, details)
        except Refusal as refusal:
            raise ValueError(refusal.body["message"]) from refusal

    return control.Inside(
        lock=book.lock,
        calls=vendor.calls,
        operations=OPERATIONS,
        dump=dump,
        switches=lambda: book.switches,
        set_switches=set_switches,
        act=act,
        refusals=(ValueError, KeyError, TypeError),
    )


def perform(book: Book, action: str, details: dict[str, Any]) -> dict[str, Any]:
    """What people do in the product.

    `create_contact {properties}`, `edit_contact {id, properties}`, `merge_contacts {primary_id, other_id}`,
    `delete_contact {id}`, `restore_contact {id}`, `erase_contact {id}`, `delete_property {name}`.
    Answers the contact; {} where there is none.

    Raises:
        ValueError: the act or the contact is unknown.
        KeyError: a detail is missing.
    """
    if action == "create_contact":
        return _told(book.create(details["properties"]))
    if action == "merge_contacts":
        return _told(book.merge(details["primary_id"], details["other_id"]))
    if action == "restore_contact":
        return _told(book.restore(details["id"]))
    if action == "delete_property":
        book.schema.remove(details["name"])
        return {}
    if action not in {"edit_contact", "delete_contact", "erase_contact"}:
        raise ValueError(f"{action[:40]} is no act of this sandbox")
    contact = book.find(details["id"])
    if contact is None:
        raise ValueError("there is no such contact")
    if action == "edit_contact":
        return _told(book.update(contact, details["properties"]))
    if action == "delete_contact":
        book.archive(contact)
        return _told(contact)
    book.erase(contact.id)
    return {}


def _told(contact: Contact) -> dict[str, Any]:
    return {
        "id": contact.id,
        "properties": dict(contact.properties),
        "further_emails": list(contact.further_emails),
        "merged_ids": list(contact.merged_ids),
        "created_at": iso(contact.created_at),
        "updated_at": iso(contact.updated_at),
        "archived": contact.archived_at is not None,
    }
