"""What the control plane shows and does inside a local Lever.

Belongs here: its dump and its acts. Does not belong here: the endpoints that every vendor has (sandbox.control).

Acts are those of the local ATS (`sandbox.greenhouse.acts`); the ids that they take and answer are Lever's.
"""

from __future__ import annotations

from typing import Any, cast

from fastapi import FastAPI

from referral_pipeline.sandbox import control
from referral_pipeline.sandbox.greenhouse.acts import ActRefused, Acts
from referral_pipeline.sandbox.greenhouse.schema import ENTITIES, Row
from referral_pipeline.sandbox.lever.ids import encode, stage_id, told_row, understood
from referral_pipeline.sandbox.lever.switches import LeverSwitches
from referral_pipeline.sandbox.lever.vendor import OPERATIONS, Vendor


def add_control_plane(app: FastAPI, vendor: Vendor) -> None:
    """Add the endpoints below /_sandbox to an app."""
    store = vendor.store

    def dump() -> Row:
        rows: Row = {entity: [told_row(entity, row) for row in own] for entity, own in store.dump().items()}
        for row, told in zip(store.rows("applications"), rows["applications"], strict=True):
            told["lever"] = {"tags": vendor.memory.tags(row), "sources": vendor.memory.sources(row)}
        facts = {
            "merged": {encode("candidates", old): encode("candidates", new) for old, new in store.merged.items()},
            "deleted": {
                entity: sorted(told_row(entity, {"id": number})["id"] for number in numbers)
                for entity, numbers in store.deleted.items()
            },
            "anonymized": sorted(encode("candidates", number) for number in store.anonymized),
        }
        return {**rows, "_facts": facts}

    def set_switches(switches: LeverSwitches) -> None:
        store.switches = switches

    def act(action: str, details: Row) -> Row:
        arguments = {name: _stage(vendor, name, understood(value)) for name, value in details.items()}
        return _told(vendor, Acts(store).perform(action, arguments))

    control.add_control_plane(
        app,
        control.Inside(
            lock=store.lock,
            calls=vendor.calls,
            operations=OPERATIONS,
            dump=dump,
            switches=lambda: vendor.switches,
            set_switches=set_switches,
            act=act,
            refusals=(ActRefused,),
        ),
    )


def _stage(vendor: Vendor, name: str, value: Any) -> Any:
    """A stage may be named by its id here."""
    if name != "stage" or not isinstance(value, str):
        return value
    return next((text for text in vendor.views.stage_names() if stage_id(text) == value), value)


def _told(vendor: Vendor, row: Row) -> Row:
    """The row that an act answered; of which entity it is shows by where it stands."""
    number = row.get("id")
    if not isinstance(number, int):
        return {
            key: [encode(f"{key.removesuffix('_ids')}s", one) for one in cast("list[int]", value)]
            if key in {"application_ids", "candidate_ids"}
            else value
            for key, value in row.items()
        }
    entity = next((name for name in ENTITIES if vendor.store.get(name, number) == row), None)
    return row if entity is None else told_row(entity, row)
