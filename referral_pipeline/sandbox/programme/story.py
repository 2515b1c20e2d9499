"""What recruiters do at once with the applications that the bridge opens.

Belongs here: the hook that plays the truth's stories in the ATS sandbox, so that the status that comes back is the
ATS's and no blind `applied`. Does not belong here: the stories' choice (`plot`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from referral_pipeline.sandbox.greenhouse.acts import Acts
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore

Row = dict[str, Any]

_MOVES: Mapping[str, tuple[str, dict[str, str]]] = {
    "phone_screen": ("move", {"stage": "Phone Screen"}),
    "reject": ("reject", {"reason": "WE_REJECTED_THEM"}),
    "withdraw": ("reject", {"reason": "THEY_REJECTED_US"}),
}


class Stories:
    """Give an instance to the ATS sandbox as `on_application_created`."""

    def __init__(self, store: GreenhouseStore, truth: Mapping[str, Any]) -> None:
        self._acts = Acts(store)
        self._by_address: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for story in truth["stories"]:
            for key in {mailbox(email) for email in story["emails"]}:
                self._by_address[key, story["job_id"]].append(story)

    def __call__(self, candidate: Row, application: Row) -> None:
        """Play the story of this person's application for this job, if there is one."""
        story = self._story(candidate, str(application["job_id"]))
        if story is not None and story in _MOVES:
            action, details = _MOVES[story]
            self._acts.perform(action, {"application_id": application["id"], **details})

    def _story(self, candidate: Row, job_id: str) -> str | None:
        addresses = {mailbox(item["value"]) for item in candidate["email_addresses"]}
        found = [story for address in addresses for story in self._by_address.get((address, job_id), ())]
        if len(found) > 1:  # a shared mailbox: the name tells whose it is
            name = spelled(candidate["first_name"], candidate["last_name"])
            found = [story for story in found if name in {spelled(*spelling) for spelling in story["spellings"]}]
        return found[0]["story"] if found else None


def mailbox(address: str) -> str:
    """The mailbox behind an address as the programme invents them: only Gmail ignores dots and what follows a plus."""
    local, _, domain = address.strip().casefold().partition("@")
    if domain == "gmail.com":
        local = local.partition("+")[0].replace(".", "")
    return f"{local}@{domain}"


def spelled(first_name: str | None, last_name: str | None) -> tuple[str, str]:
    """A name for comparison, case aside."""
    return ((first_name or "").strip().casefold(), (last_name or "").strip().casefold())
