"""What the connector reads of HubSpot's answers.

Belongs here: one entry an operation. Does not belong here: the models (`hubspot_models`).
"""

from __future__ import annotations

from referral_pipeline.connectors.expected import FLAG, LIST, NULL, OBJECT, TEXT, Field, Shapes

_CONTACT = {
    "": Field(frozenset({OBJECT}), nullable=False),
    "id": Field(frozenset({TEXT}), required=True, nullable=False),
    "properties": Field(frozenset({OBJECT}), required=True, nullable=False, is_map=True),
    "properties.*": Field(frozenset({TEXT, NULL})),
    "archived": Field(frozenset({FLAG}), nullable=False),
}
_LIST = {
    "": Field(frozenset({OBJECT}), nullable=False),
    "results": Field(frozenset({LIST}), required=True, nullable=False),
    "results[]": Field(frozenset({OBJECT}), nullable=False),
    "results[].name": Field(frozenset({TEXT}), required=True, nullable=False),
}

SHAPES = Shapes(
    {
        **dict.fromkeys(("contacts.read", "contacts.read_by_email", "contacts.create", "contacts.update"), _CONTACT),
        "properties.list": {**_LIST, "results[].type": Field(frozenset({TEXT}), required=True, nullable=False)},
        "groups.list": _LIST,
        "contacts.search": {
            **{path: field for path, field in _LIST.items() if not path.endswith("name")},
            **{f"results[].{path}": field for path, field in _CONTACT.items() if path},
        },
    }
)
