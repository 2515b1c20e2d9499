"""One name, where the store keeps a first and a last one.

Belongs here: joining and parting, always in the same way. Does not belong here: comparing names.
"""

from __future__ import annotations


def joined(first_name: str | None, last_name: str | None) -> str:
    """The name as Ashby shows it."""
    return " ".join(" ".join(filter(None, (first_name, last_name))).split())


def parted(name: str) -> tuple[str, str | None]:
    """First word and the rest: what the store keeps of a name that came through the API."""
    first, _, last = " ".join(name.split()).partition(" ")
    return first, last or None


def spelt(first_name: str | None, last_name: str | None) -> tuple[str, str]:
    """A first and a last name as they are after a way through Ashby."""
    first, last = parted(joined(first_name, last_name))
    return first, last or ""
