"""The people of a programme: who they are, under which addresses and numbers they can be known.

Belongs here: persons. Does not belong here: what they did.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from referral_pipeline.sandbox.programme import names


@dataclass(eq=False)
class Person:
    """One human being. `emails` are all mailboxes that reach them, `spellings` all ways to write their name."""

    key: str
    first_name: str
    last_name: str
    email: str
    phone: str
    country: str
    emails: set[str] = field(default_factory=set[str])
    spellings: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    ats_candidate_id: int | None = None

    def __post_init__(self) -> None:
        self.emails.add(self.email)
        self.spellings.add((self.first_name, self.last_name))


class People:
    """Makes persons, each with contact details that nobody else has."""

    def __init__(self, rng: random.Random, countries: Sequence[str] = names.COUNTRIES) -> None:
        """`countries` are those that they live in."""
        self._rng = rng
        self._countries = countries
        self._last = list(range(names.LAST_NAMES))
        self._phones = {"US": 0, "DE": 0, "FR": 0}
        self.all: list[Person] = []

    def person(
        self,
        *,
        first_name: str | None = None,
        last_name: str | None = None,
        domain: str | None = None,
        email: str | None = None,
        country: str | None = None,
    ) -> Person:
        """A new person; what is not given is invented."""
        rng = self._rng
        number = len(self.all) + 1
        country = country or rng.choice(self._countries)
        if country not in self._countries:
            country = self._countries[0]
        first_name = first_name or rng.choice(names.FIRST)
        last_name = last_name or self._new_last_name()
        if email is None:
            local = f"{names.ascii_word(first_name) or 'person'}.{names.ascii_word(last_name) or 'mail'}{number}"
            email = f"{local}@{domain or rng.choice(names.MAIL_DOMAINS)}"
        person = Person(f"P{number:05d}", first_name, last_name, email, self._new_phone(country), country)
        self.all.append(person)
        return person

    def household(self, count: int) -> list[Person]:
        """People of clearly different names, each with a phone and a mailbox of their own (to be shared later)."""
        firsts = self._rng.sample(("Robert", "Greta", "Kwame", "Isabella", "Tariq", "Moritz", "Odile", "Hiro"), count)
        return [self.person(first_name=first) for first in firsts]

    def _new_last_name(self) -> str:
        """A name that was not drawn before: swap the drawn number out of the pool."""
        index = self._rng.randrange(len(self._last))
        self._last[index], self._last[-1] = self._last[-1], self._last[index]
        return names.last_name(self._last.pop())

    def _new_phone(self, country: str) -> str:
        block = country if country in self._phones else "US"
        self._phones[block] += 1
        return names.phone(self._phones[block], block)
