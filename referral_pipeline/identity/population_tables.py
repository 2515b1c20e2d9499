"""What the steps of a population's resolution share: what matches, where the outcome is kept, how records are read.

Belongs here: those names and columns. Does not belong here: the steps (population, population_changes, neighbourhoods,
population_ids).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from referral_pipeline.identity.resolve import EMAIL, PHONE

COLUMNS: Final = "record_id, first_name, last_name, email_keys, phone_keys, first_seen_at"
FINGERPRINT: Final = (
    "hash(first_name, last_name, list_sort(list_distinct(email_keys)), list_sort(list_distinct(phone_keys)),"
    " epoch_us(first_seen_at))"
)
KEYS_OF: Final = {EMAIL: "email_keys", PHONE: "phone_keys"}


@dataclass(frozen=True)
class Matching:
    """What matches: kinds of keys, strongest first, and how many differently named people may share one."""

    match_on: tuple[str, ...] = (EMAIL, PHONE)
    shared_mailbox_limit: int = 3


@dataclass(frozen=True)
class PopulationTables:
    """Where the outcome is kept. All three may tell of personal data by their fingerprints: keep them with those.

    `people`: record_id, person_id, match_method (email, phone, link, single), first_seen_at, neighbourhood (a record
    id), fingerprint. `review`: left_person_id, right_person_id, evidence, is_decided. `links`: left_id, right_id, kind
    (must, cannot).
    """

    people: str
    review: str
    links: str
