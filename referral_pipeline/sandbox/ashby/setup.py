"""The calls that set an account up: custom fields and webhooks.

Belongs here: what they make. Does not belong here: values of fields (`writes`), sending (`sandbox.webhooks`).

There is no list of webhooks: one is known by the id that its creation answers.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from referral_pipeline.sandbox.ashby.errors import invalid, not_found
from referral_pipeline.sandbox.ashby.payloads import OBJECT_TYPES, VALUE_TYPES, Payloads
from referral_pipeline.sandbox.ashby.world import World

Body = Mapping[str, Any]
_ENTITIES: Mapping[str, str] = {shown: entity for entity, shown in OBJECT_TYPES.items()}
_SELECTS = frozenset({"ValueSelect", "MultiValueSelect"})


class SetUp:
    """Sets one world up. Each method is a call and answers its fields beside `success`."""

    def __init__(self, world: World, payloads: Payloads) -> None:
        self._world = world
        self._store = world.store
        self._payloads = payloads
        self.calls: Mapping[str, Callable[[Body], dict[str, Any]]] = {
            "customField.create": self._create_field,
            "webhook.create": self._create_hook,
            "webhook.info": self._hook,
            "webhook.delete": self._delete_hook,
        }

    def _create_field(self, body: Body) -> dict[str, Any]:
        """A new definition. Nothing says that two of one title are refused."""
        if not body["title"].strip():
            raise invalid("title is required")
        if body["fieldType"] in _SELECTS and not body.get("selectableValues"):
            raise invalid("selectableValues is required for this type of field")
        now = self._world.now()
        row = self._store.insert(
            "custom_fields",
            {
                "name": body["title"].strip(),
                "name_key": self._free_key(body["title"]),
                "field_type": _ENTITIES[body["objectType"]],
                "value_type": VALUE_TYPES.get(body["fieldType"], "short_text"),
            },
            at=now,
        )
        for order, option in enumerate(body.get("selectableValues", ())):
            values = {"custom_field_id": row["id"], "name": option["label"], "sort_order": order}
            self._store.insert("custom_field_options", values, at=now)
        return {"results": self._payloads.field(row)}

    def _free_key(self, title: str) -> str:
        """What the store knows a field by."""
        key = re.sub(r"\W+", "_", title.casefold()).strip("_")
        taken = {row["name_key"] for row in self._store.rows("custom_fields")}
        return next(one for one in (key, *(f"{key}_{n}" for n in range(2, 1_000))) if one not in taken)

    def _create_hook(self, body: Body) -> dict[str, Any]:
        if not body["requestUrl"].startswith(("https://", "http://")):
            raise invalid("requestUrl is not a URL")
        hook_id = str(uuid.uuid4())
        hook: dict[str, Any] = {"id": hook_id, "enabled": self._world.switches.webhook_ping == "answered", **body}
        self._world.webhooks[hook_id] = hook
        return {"results": dict(hook)}

    def _hook(self, body: Body) -> dict[str, Any]:
        hook = self._world.webhooks.get(body["webhookId"])
        if hook is None:
            raise not_found("webhook_setting")
        return {"results": {name: value for name, value in hook.items() if name != "secretToken"}}

    def _delete_hook(self, body: Body) -> dict[str, Any]:
        if self._world.webhooks.pop(body["webhookId"], None) is None:
            raise not_found("webhook_setting")
        return {"results": {"webhookId": body["webhookId"]}}
