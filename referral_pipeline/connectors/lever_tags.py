"""The integration's fields as tags of an opportunity: "advocate_id: A4", one tag a field.

Belongs here: reading them, and what must be removed and added to bring them to given values. Does not belong here:
which values (`sync`), calls (`lever_updater`).

Lever's API has no custom fields on an opportunity. Tags that do not begin with one of our names belong to others and
are never touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from referral_pipeline.connectors.failures import Invalid
from referral_pipeline.connectors.lever_models import SYSTEM

_COLON = ": "


@dataclass(frozen=True)
class TagChange:
    """What brings the tags of an opportunity to what they should be."""

    remove: tuple[str, ...]
    add: tuple[str, ...]


def tag_of(label: str, value: str) -> str:
    """The tag that carries a value."""
    return f"{label.strip()}{_COLON}{value}"


def read_tags(tags: Iterable[str], labels: Mapping[str, str]) -> dict[str, str | None]:
    """Every logical field, None where no tag carries it.

    Two tags of one field are told together, as a value that nothing was ever meant to have: so it is mended.
    """
    found = _ours(tags, labels)
    return {name: ", ".join(sorted({value for _, value in found[name]})) or None for name in labels}


def written(tags: Mapping[str, str | None], labels: Mapping[str, str]) -> list[str]:
    """The tags of a new opportunity.

    Raises:
        Invalid: For a field that the options name no tag for.
    """
    _refuse_unknown(tags, labels)
    return [tag_of(labels[name], value.strip()) for name, value in tags.items() if value and value.strip()]


def change(tags: Iterable[str], wanted: Mapping[str, str | None], labels: Mapping[str, str]) -> TagChange:
    """What to remove and to add so that the fields of `wanted` hold these values; None empties a field.

    Raises:
        Invalid: For a field that the options name no tag for.
    """
    _refuse_unknown(wanted, labels)
    found = _ours(tags, labels)
    remove: list[str] = []
    add: list[str] = []
    for name, value in wanted.items():
        text = (value or "").strip() or None
        right = [tag for tag, there in found[name] if there == text]
        remove += [tag for tag, _ in found[name] if tag not in right[:1]]
        if text is not None and not right:
            add.append(tag_of(labels[name], text))
    return TagChange(tuple(remove), tuple(add))


def _ours(tags: Iterable[str], labels: Mapping[str, str]) -> dict[str, list[tuple[str, str]]]:
    """By field, the tags that carry it with their values."""
    names = {label.strip().casefold(): name for name, label in labels.items()}
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in labels}
    for tag in tags:
        label, colon, value = tag.partition(":")
        name = names.get(label.strip().casefold()) if colon else None
        if name is not None:
            found[name].append((tag, value.strip()))
    return found


def _refuse_unknown(tags: Mapping[str, str | None], labels: Mapping[str, str]) -> None:
    unknown = sorted(set(tags) - set(labels))
    if unknown:
        raise Invalid(SYSTEM, "opportunities.addTags", detail=f"no tag is named for the field {unknown[0]}")
